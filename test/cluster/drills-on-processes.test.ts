/** Drills that stop processes, on the processes of the launcher: the cluster holds, and whatever happens to the drill they run again. */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { launcherAt } from '../../deploy/drill/local-processes.ts';
import type { DrillReport } from '../../deploy/drill/report.ts';
import { requestPaths, writeWhole } from '../../deploy/local/process-requests.ts';
import { systemClock } from '../../shared/kernel/system.ts';
import { startTidal } from '../harness/clients/tidal-command.ts';
import { eventually } from '../harness/kernel/eventually.ts';
import { watchChild } from '../harness/processes/children-watch.ts';
import { natsBinary } from '../harness/processes/nats-binary.ts';
import { freePort } from '../harness/processes/nats-server.ts';
import { processesOf } from '../harness/processes/processes-of.ts';

const launcherMain = fileURLToPath(new URL('../../deploy/local/main.js', import.meta.url));

describe('drills on processes', function () {
  this.timeout(180_000);
  let folder: string;
  let dataDir: string;
  let launcher: ChildProcess;
  let url: string;
  let port: number;
  let said = '';

  before(async () => {
    folder = mkdtempSync(join(tmpdir(), 'tidal-drills-'));
    dataDir = join(folder, 'data');
    writeFileSync(
      join(folder, 'topology.yaml'),
      'leader: us-east\nfailover: automatic\nfailover_after: 4s\nregions:\n  - name: us-east\n  - name: eu-west\n  - name: ap-south\n',
    );
    port = 21_000 + ((await freePort()) % 400) * 25;
    url = `http://127.0.0.1:${port}`;
    await launch();
  });
  const launch = async (): Promise<void> => {
    said = '';
    launcher = spawn(
      process.execPath,
      [
        launcherMain,
        ...['--data-dir', dataDir, '--listen', `127.0.0.1:${port}`, '--topology', join(folder, 'topology.yaml')],
      ],
      { stdio: ['ignore', 'pipe', 'pipe'], env: { ...process.env, NATS_SERVER: await natsBinary() } },
    );
    watchChild('launcher', launcher);
    for (const stream of [launcher.stdout!, launcher.stderr!])
      stream.setEncoding('utf8').on('data', (text: string) => {
        said += text;
      });
    await eventually('the cluster is up', () => /cluster ready/.test(said) || launcher.exitCode !== null, 90_000);
    await eventually('the launcher takes requests', () => launcherAt(dataDir) !== undefined, 30_000);
  };
  after(async () => {
    launcher.kill('SIGTERM');
    if (launcher.exitCode === null) await once(launcher, 'exit');
    await eventually('every process has left', () => processesOf(folder).length === 0, 25_000);
    rmSync(folder, { recursive: true, force: true });
  });

  const started = (...args: readonly string[]) =>
    startTidal(['drill', ...args], { TIDAL_URL: url, TIDAL_DATA_DIR: dataDir });
  const processes = () => launcherAt(dataDir)?.processes ?? {};
  const got = async <T>(path: string): Promise<Partial<T>> => {
    const answer = await fetch(url + path).catch(() => undefined);
    return answer?.ok === true ? ((await answer.json()) as T) : {};
  };
  const settled = () =>
    eventually(
      'the cluster is well, and the lease of a killed drill has expired',
      async () => {
        const { status } = await got<{ status: string }>('/health');
        const { leader, drill } = await got<{ leader: string; drill?: unknown }>('/cluster/status');
        return status === 'ok' && leader !== undefined && drill === undefined;
      },
      60_000,
    );

  for (const name of ['kill-leader', 'stop-nats', 'wipe-nats', 'rolling-restart', 'lose-site']) {
    it(`${name}: the cluster holds`, async () => {
      await settled();
      const report = join(folder, name);
      const { code, text } = await started('run', name, '--short', '--report', report).done;
      assert.equal(code, 0, `${text}\n${said}`);
      const { writes, left } = JSON.parse(readFileSync(join(report, 'report.json'), 'utf8')) as DrillReport;
      assert.deepEqual([writes!.lost, writes!.doubled, writes!.failed, left], [0, 0, 0, []]);
      assert.match(readFileSync(join(report, 'report.html'), 'utf8'), /<strong>Held<\/strong>/);
      assert.ok(
        Object.values(processes()).every((state) => state === 'running'),
        JSON.stringify(processes()),
      );
    });
  }

  /** A drill that has stopped and paused something, and waits. */
  const waiting = async (seconds: number) => {
    const file = join(folder, 'waiting.yaml');
    writeFileSync(
      file,
      `title: A long drill
why: to be ended
observe: 500ms
steady: {}
load: none
steps: [ { pause: follower, for: ${seconds}s }, { kill: other-follower, for: ${seconds}s }, { wait: 10m } ]
`,
    );
    await settled();
    const drill = started('run', file);
    const areAway = (): boolean => {
      const { 'eu-west': paused, 'ap-south': killed } = processes();
      return paused === 'paused' && killed === 'stopped';
    };
    await eventually('both are away', () => areAway() || drill.child.exitCode !== null, 60_000);
    assert.equal(drill.child.exitCode, null, drill.said.text);
    return drill;
  };
  const allRun = () =>
    eventually('all run again', () => Object.values(processes()).every((state) => state === 'running'), 60_000);

  it('requests are their owner’s alone', async () => {
    const drill = await waiting(120);
    const { requests, state } = requestPaths(dataDir);
    for (const [path, mode] of [
      [requests, 0o700],
      [state, 0o600],
      [join(requests, 'eu-west.json'), 0o600],
    ] as const)
      assert.equal(statSync(path).mode & 0o777, mode, path);
    drill.child.kill('SIGTERM');
    const { code, text } = await drill.done;
    assert.equal(code, 3, text);
    await allRun();
  });

  it('a drill whose process is killed: the launcher keeps the deadlines', async () => {
    const drill = await waiting(8);
    drill.child.kill('SIGKILL');
    await drill.done;
    await allRun();
    await settled();
  });

  it('tidal drill stop starts and resumes everything', async () => {
    const drill = await waiting(120);
    drill.child.kill('SIGKILL');
    await drill.done;
    const { code, text } = await started('stop').done;
    assert.equal(code, 0, text);
    assert.match(text, /^ended: A long drill$/m);
    await allRun();
    await settled();
  });

  it('files that are no requests are removed, and change nothing', async () => {
    const { requests } = requestPaths(dataDir);
    const before = processes();
    writeFileSync(join(requests, 'mars.json'), JSON.stringify({ do: 'kill', wipe: false, untilMs: 1e15 }));
    writeFileSync(join(requests, 'eu-west.json'), '{"do":"explode"}');
    await eventually('they are named', () => /mars\.json/.test(said) && /eu-west\.json/.test(said), 30_000);
    await eventually('they are removed', () => readdirSync(requests).length === 0, 30_000);
    assert.deepEqual(processes(), before);
  });

  it('--target local names what is wrong', async () => {
    const nowhere = await started('run', 'kill-leader', '--target', 'local', '--data-dir', folder).done;
    assert.equal(nowhere.code, 2);
    assert.match(nowhere.text, /no cluster of npm start runs there/);
    const http = await started('run', 'kill-leader', '--target', 'http').done;
    assert.equal(http.code, 2);
    assert.match(http.text, /it needs --target local or --target compose/);
    assert.match((await started('run', 'kill-leader', '--target', 'moon').done).text, /one of http, local, compose/);
  });

  it('a launcher that is killed while processes are paused: the next one ends them, and serves', async () => {
    await settled();
    for (const name of ['eu-west', 'router', 'nats']) {
      const file = join(requestPaths(dataDir).requests, `${name}.json`);
      writeWhole(file, { do: 'pause', wipe: false, untilMs: systemClock.nowMs() + 600_000 });
    }
    await eventually(
      'they are paused',
      () => ['eu-west', 'router', 'nats'].every((name) => processes()[name] === 'paused'),
      30_000,
    );
    const exited = once(launcher, 'exit');
    launcher.kill('SIGKILL');
    await exited;
    await launch();
    assert.match(said, /ended its .*eu-west/);
    await allRun();
    await settled();
  });
});
