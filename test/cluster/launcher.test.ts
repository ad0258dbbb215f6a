/**
 * The launcher's processes, with the real nats-server under its guard and stand-ins for the services: order of start and
 * stop, kill -9 of each, and that nothing outlives the launcher.
 */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { runsAs } from '../../deploy/local/own-process.ts';
import { planCluster } from '../../deploy/local/plan.ts';
import { takenPorts } from '../../deploy/local/ports.ts';
import { eventually } from '../harness/kernel/eventually.ts';

const launcher = new URL('../harness/processes/fake-launcher.js', import.meta.url).pathname;

interface Life {
  readonly name: string;
  readonly what: string;
  readonly pid: number;
}

/** A port whose neighbours are free too: below the system's ephemeral ports. */
async function freePortWithNeighbours(): Promise<number> {
  for (let port = 20_000 + (process.pid % 100) * 50; ; port += 50) {
    const regions = [1, 2].map((distance) => ({
      name: 'r',
      listen: { host: '127.0.0.1', port: port + distance },
      dataDir: '',
    }));
    const plan = planCluster({ listen: { host: '127.0.0.1', port }, dataDir: '' }, { regions: [], firstLeader: '' });
    if ((await takenPorts({ ...plan, regions })).length === 0) return port;
  }
}

describe('launcher', function () {
  this.timeout(30_000);
  let folder: string;
  let port: number;
  let children: ChildProcess[];

  beforeEach(async () => {
    folder = mkdtempSync(join(tmpdir(), 'tidal-launcher-'));
    writeFileSync(join(folder, 'topology.yaml'), 'leader: b\nregions:\n  - name: a\n  - name: b\n');
    port = await freePortWithNeighbours();
    children = [];
  });

  afterEach(async () => {
    for (const child of children) {
      if (child.exitCode !== null || child.signalCode !== null) continue;
      child.kill('SIGKILL');
      await once(child, 'exit');
    }
    await eventually('every process has left', () => pids().every((pid) => !alive(pid)), 20_000);
    rmSync(folder, { recursive: true, force: true });
  });

  /** Whether it runs. Every command line names the folder; that of a zombie process is empty. */
  const alive = (pid: number): boolean => runsAs(pid, folder);

  const dataDir = (): string => join(folder, 'data');

  function journal(): Life[] {
    const file = join(folder, 'journal');
    if (!existsSync(file)) return [];
    return readFileSync(file, 'utf8')
      .trim()
      .split('\n')
      .map((line) => {
        const [name = '', what = '', pid] = line.split(' ');
        return { name, what, pid: Number(pid) };
      });
  }

  function natsPid(): number {
    const file = join(dataDir(), '_nats', 'nats.pid');
    return existsSync(file) ? Number(readFileSync(file, 'utf8')) : 0;
  }

  /** The guard that runs a nats-server. */
  function parentOf(pid: number): number {
    const [, parent] = /^PPid:\s+(\d+)$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8')) ?? [];
    assert.ok(Number(parent) > 1, `the parent of ${pid} is ${parent}`);
    return Number(parent);
  }

  function pids(): number[] {
    return [...journal().map(({ pid }) => pid), natsPid()].filter((pid) => pid > 0);
  }

  function latest(name: string): number {
    return journal().findLast((life) => life.name === name && life.what === 'start')?.pid ?? 0;
  }

  function launch(environment: Record<string, string> = {}, args: readonly string[] = []) {
    const flags = [
      '--listen',
      `127.0.0.1:${port}`,
      '--data-dir',
      dataDir(),
      '--topology',
      join(folder, 'topology.yaml'),
    ];
    const child = spawn(process.execPath, [launcher, ...flags, ...args], {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { ...process.env, FAKE_JOURNAL: join(folder, 'journal'), ...environment },
    });
    children.push(child);
    const said = { text: '' };
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding('utf8').on('data', (chunk: string) => {
        said.text += chunk;
      });
    }
    const says = (what: string | RegExp, limitMs = 15_000): Promise<void> =>
      eventually(
        `the launcher says ${what}`,
        () => (typeof what === 'string' ? said.text.includes(what) : what.test(said.text)),
        limitMs,
      ).catch((error: Error) => {
        throw new Error(`${error.message}; it said:\n${said.text}`);
      });
    return { child, said, says };
  }

  it('starts server, regions, router; a signal stops router, regions, server, and exits 0', async () => {
    const { child, said, says } = launch({ TIDAL_MAX_BODY_BYTES: '2000000', OTHER_PROGRAMS_SECRET: 'x' });
    await says(`cluster ready: http://127.0.0.1:${port}`);
    for (const line of [
      `nats      listening on nats://127.0.0.1:${port + 20}`,
      `a         listening on http://127.0.0.1:${port + 1}`,
      `b         listening on http://127.0.0.1:${port + 2}`,
      `router    listening on http://127.0.0.1:${port}`,
    ]) {
      assert.ok(said.text.includes(line), said.text);
    }
    assert.ok(!said.text.includes('a detail nobody asked for'));
    const flags = (await (await fetch(`http://127.0.0.1:${port + 2}`)).json()) as Record<string, string> & {
      environment: Record<string, string>;
    };
    assert.equal(flags.region, 'b');
    assert.equal(flags['data-dir'], join(dataDir(), 'b'));
    assert.equal(flags.nats, `nats://127.0.0.1:${port + 20}`);
    assert.match(
      readFileSync(flags.topology ?? '', 'utf8'),
      new RegExp(`leader: b[\\s\\S]*url: http://127.0.0.1:${port + 1}`),
    );
    assert.equal(flags.environment.TIDAL_INTERNAL_SECRET_FILE, join(dataDir(), 'internal-secret'));
    assert.equal(flags.environment.TIDAL_MAX_BODY_BYTES, '2000000', 'a setting of the child');
    assert.equal(flags.environment.OTHER_PROGRAMS_SECRET, undefined);
    for (const [path, mode] of [
      ['', 0o700],
      ['b', 0o700],
      ['_nats', 0o700],
      ['_nats/nats.conf', 0o600],
      ['internal-secret', 0o600],
    ] as const) {
      assert.equal(statSync(join(dataDir(), path)).mode & 0o777, mode, path);
    }
    const nats = natsPid();
    assert.ok(alive(nats));
    child.kill('SIGINT');
    const [code] = await once(child, 'exit');
    assert.equal(code, 0, said.text);
    const stops = journal().filter(({ what }) => what === 'stop');
    assert.deepEqual(stops.map(({ name }) => name).sort(), ['a', 'b', 'router']);
    assert.equal(stops[0]?.name, 'router');
    assert.match(said.text, /launcher {2}shutdown signal received[\s\S]*nats {6}stopped[\s\S]*launcher {2}stopped/);
    assert.equal(alive(nats), false);
  });

  it('kill -9 of any one process is reported and healed', async () => {
    const { says, said } = launch();
    await says('cluster ready');
    for (const name of ['a', 'router']) {
      const pid = latest(name);
      process.kill(pid, 'SIGKILL');
      await says(`${name.padEnd(8)}  died (SIGKILL); starting it again in 1 s`);
      await eventually(`${name} runs again`, () => latest(name) !== pid);
    }
    const nats = natsPid();
    process.kill(nats, 'SIGKILL');
    await says(/nats {6}died \(exit code 1\)/);
    await eventually('nats-server runs again', () => natsPid() !== nats && alive(natsPid()));
    assert.ok(said.text.includes('error: nats-server exited'), said.text);
    const left = natsPid();
    process.kill(parentOf(left), 'SIGKILL');
    await says('nats      died (SIGKILL); starting it again in', 25_000);
    await eventually(
      'the nats-server its guard left is replaced',
      () => natsPid() !== left && alive(natsPid()),
      15_000,
    );
    assert.ok(!alive(left));
  });

  it('kill -9 of the launcher ends every process, and the next launch continues', async () => {
    const first = launch();
    await first.says('cluster ready');
    const before = pids();
    assert.equal(before.length, 4);
    first.child.kill('SIGKILL');
    const second = launch();
    await second.says('did not end in order');
    await second.says('cluster ready', 25_000);
    assert.ok(before.every((pid) => !alive(pid)));
  });

  it('a second launcher on the folder, and a taken port, are refused in plain words', async () => {
    const first = launch();
    await first.says('cluster ready');
    const second = launch();
    const [code] = await once(second.child, 'close');
    assert.equal(code, 2);
    assert.match(second.said.text, new RegExp(`in use by another launcher, process ${first.child.pid};`));
    const third = launch({}, ['--data-dir', join(folder, 'other')]);
    const [taken] = await once(third.child, 'close');
    assert.equal(taken, 2);
    assert.match(third.said.text, new RegExp(`port ${port} is taken by another process.*--listen`));
  });

  it('a service whose files cannot be used ends the launch with its own words', async () => {
    const { child, said } = launch({ FAKE_EXIT: 'b:2' });
    const [code] = await once(child, 'close');
    assert.equal(code, 1);
    assert.match(said.text, /b {9}the schema cannot be read[\s\S]*b {9}cannot start \(exit code 2\)/);
  });
});
