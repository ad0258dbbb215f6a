/** What the launcher shows of the processes' logs, and that two launchers do not share a folder. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { lockDataDir } from '../../../../deploy/local/lock.ts';
import { endLeftover, runsAs } from '../../../../deploy/local/own-process.ts';
import { showLogLine, stateChanges } from '../../../../deploy/local/show.ts';
import { systemClock } from '../../../../shared/kernel/system.ts';
import { eventually } from '../../../harness/kernel/eventually.ts';

describe('shown log lines', () => {
  it('changes of state, warnings and errors are shown always, other lines on demand', () => {
    const line = (fields: object): string => JSON.stringify({ time: 't', name: 'us-east', ...fields });
    assert.deepEqual(showLogLine(line({ level: 'info', msg: 'listening on http://127.0.0.1:9501' })), {
      text: 'listening on http://127.0.0.1:9501',
      always: true,
    });
    assert.deepEqual(showLogLine(line({ level: 30, msg: 'checkpoint written', tookMs: 12 })), {
      text: 'checkpoint written tookMs=12',
      always: false,
    });
    assert.deepEqual(showLogLine(line({ level: 'warn', msg: 'slow', why: 'disk' })), {
      text: 'warn: slow why=disk',
      always: true,
    });
    assert.deepEqual(showLogLine(line({ level: 50, msg: 'failed', error: { message: 'ENOSPC', stack: 's' } })), {
      text: 'error: failed: ENOSPC',
      always: true,
    });
    for (const msg of stateChanges) assert.ok(showLogLine(line({ level: 'info', msg })).always, msg);
    for (const text of ['(node:1) Warning', '{"half":', '{"no":"message"}']) {
      assert.deepEqual(showLogLine(text), { text, always: true });
    }
  });
});

describe('changes of state', () => {
  it('each is a message that a process writes, so that none is waited for in vain', () => {
    const sources = ['services', 'shared'].flatMap((folder) =>
      readdirSync(folder, { recursive: true, encoding: 'utf8' })
        .filter((file) => file.endsWith('.ts'))
        .map((file) => readFileSync(join(folder, file), 'utf8')),
    );
    const written = stateChanges.filter((message) => sources.some((source) => source.includes(`'${message}'`)));
    assert.deepEqual(written, stateChanges);
  });
});

describe('launcher lock', () => {
  let dataDir: string;
  const marker = 'marker-of-a-test-launcher';

  beforeEach(() => {
    dataDir = mkdtempSync(join(tmpdir(), 'tidal-lock-'));
  });

  afterEach(() => rmSync(dataDir, { recursive: true, force: true }));

  async function other(): Promise<{ readonly pid: number; end(): void }> {
    const child = spawn(process.execPath, ['-e', 'process.stdin.resume()', marker], {
      stdio: ['pipe', 'ignore', 'ignore'],
    });
    const pid = child.pid ?? 0;
    await eventually('it runs', () => runsAs(pid, marker));
    return { pid, end: () => child.stdin.end() };
  }

  it('a running launcher is refused with its process id; once it has ended its lock is replaced', async () => {
    const launcher = await other();
    writeFileSync(join(dataDir, 'launcher.pid'), `${launcher.pid}\n`);
    assert.throws(() => lockDataDir({ dataDir, marker }), new RegExp(`process ${launcher.pid};`));
    assert.deepEqual(readdirSync(dataDir), ['launcher.pid']);
    launcher.end();
    await eventually('it is gone', () => !runsAs(launcher.pid, marker));
    const lock = lockDataDir({ dataDir, marker });
    assert.equal(lock.takenOver, true);
    assert.equal(readFileSync(join(dataDir, 'launcher.pid'), 'utf8'), `${process.pid}\n`);
    lock.release();
    assert.deepEqual(readdirSync(dataDir), []);
    const again = lockDataDir({ dataDir, marker });
    assert.equal(again.takenOver, false);
    again.release();
  });

  it('a process id that belongs to something else by now, or to this process, holds nothing', () => {
    for (const pid of [process.pid, process.ppid, 0, -1, Number.NaN, 2 ** 30]) {
      writeFileSync(join(dataDir, 'launcher.pid'), `${pid}\n`);
      const lock = lockDataDir({ dataDir, marker });
      assert.equal(lock.takenOver, true);
      lock.release();
    }
  });

  it('a leftover is ended if it is the one, and nothing else is', async () => {
    const file = join(dataDir, 'some.pid');
    assert.equal(await endLeftover(file, marker, systemClock), false);
    const left = await other();
    writeFileSync(file, String(left.pid));
    assert.equal(await endLeftover(file, 'another marker', systemClock), false);
    assert.equal(runsAs(left.pid, marker), true);
    assert.equal(await endLeftover(file, marker, systemClock), true);
    assert.equal(runsAs(left.pid, marker), false);
    assert.equal(existsSync(file), true);
  });
});
