/** Requests for processes: what a file asks for is done while it can be read, and nothing is held when it cannot. */
import assert from 'node:assert/strict';
import { existsSync, mkdirSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { launcherAt } from '../../../../deploy/drill/local-processes.ts';
import { ProcessRequests, requestPaths, stateIn, writeWhole } from '../../../../deploy/local/process-requests.ts';
import type { Hold, ProcessState } from '../../../../deploy/local/supervise.ts';
import { ManualClock } from '../../../harness/kernel/manual-clock.ts';

class HeldChild {
  held: Hold | undefined;
  readonly pid = 4_321;

  hold(how: Hold): void {
    this.held = how;
  }

  release(): void {
    this.held = undefined;
  }

  get state(): ProcessState {
    return this.held === undefined ? 'running' : this.held === 'pause' ? 'paused' : 'stopped';
  }
}

describe('requests for processes', () => {
  let folder: string;
  let clock: ManualClock;
  let children: Map<string, HeldChild>;
  let requests: ProcessRequests;
  let said: string[];
  const paths = () => requestPaths(folder);
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'tidal-requests-'));
    clock = new ManualClock();
    children = new Map(['us-east', 'nats'].map((name) => [name, new HeldChild()]));
    said = [];
    requests = new ProcessRequests({
      ...{ dataDir: folder, marker: 'marker', url: 'http://127.0.0.1:1', storeDir: join(folder, 'store'), clock },
      children,
      say: (_, text) => said.push(text),
    });
    requests.start();
  });
  afterEach(async () => {
    await clock.run(requests.stop());
    rmSync(folder, { recursive: true, force: true });
  });
  const ask = (name: string, hold: Hold): void =>
    writeWhole(join(paths().requests, `${name}.json`), { do: hold, wipe: false, untilMs: clock.nowMs() + 60_000 });

  it('a removed directory releases every process, and is made again', async () => {
    ask('us-east', 'pause');
    await clock.advance(300);
    assert.deepEqual([children.get('us-east')!.held, stateIn(folder)?.processes['us-east']], ['pause', 'paused']);
    rmSync(dirname(paths().state), { recursive: true });
    await clock.advance(300);
    assert.equal(children.get('us-east')!.held, undefined);
    assert.match(said.join('\n'), /ENOENT/);
    assert.equal(statSync(paths().requests).mode & 0o777, 0o700);
    assert.equal(stateIn(folder)?.processes['us-east'], 'running', 'written again');
    ask('us-east', 'kill');
    await clock.advance(300);
    assert.equal(children.get('us-east')!.held, 'kill', 'requests are read again');
  });

  it('processes are released also when the directory cannot be made', async () => {
    ask('us-east', 'stop');
    await clock.advance(300);
    rmSync(dirname(paths().state), { recursive: true });
    writeFileSync(dirname(paths().state), 'a file');
    await clock.advance(300);
    assert.equal(children.get('us-east')!.held, undefined);
    rmSync(dirname(paths().state));
  });

  it('processes are released also when the state cannot be written', async () => {
    ask('us-east', 'pause');
    await clock.advance(300);
    // A directory stands where the partial file would be.
    rmSync(paths().state);
    const partial = `${paths().state}.${process.pid}.part`;
    rmSync(partial, { recursive: true, force: true });
    mkdirSync(partial);
    rmSync(join(paths().requests, 'us-east.json'));
    await clock.advance(300);
    assert.equal(children.get('us-east')!.held, undefined);
    assert.match(said.join('\n'), /EISDIR/);
    assert.ok(!existsSync(paths().state));
  });

  it('the state names the process of each', () => {
    assert.deepEqual(stateIn(folder)?.pids, { 'us-east': 4_321, nats: 4_321 });
  });

  it('a state that is missing or half is no launcher', () => {
    writeFileSync(paths().state, '{"pid":');
    assert.equal(launcherAt(folder), undefined);
    rmSync(paths().state);
    assert.equal(launcherAt(folder), undefined);
  });
});
