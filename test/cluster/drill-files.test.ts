/** Drills from their files, run by the program on a real cluster: the verdict, and that nothing is left however it ends. */
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { DrillReport } from '../../deploy/drill/report.ts';
import { startTidal } from '../harness/clients/tidal-command.ts';
import { eventually } from '../harness/kernel/eventually.ts';
import { Cluster } from '../harness/processes/cluster.ts';

interface Status {
  readonly leader: string;
  readonly drill?: { readonly title: string };
  readonly regions: readonly { readonly partitioned: boolean }[];
}

describe('drills from files', function () {
  this.timeout(120_000);
  let cluster: Cluster;
  let folder: string;

  before(async () => {
    folder = mkdtempSync(join(tmpdir(), 'tidal-drill-'));
    cluster = await Cluster.start();
  });
  after(async () => {
    await cluster?.stop();
    rmSync(folder, { recursive: true, force: true });
  });

  const started = (...args: readonly string[]) => startTidal(['drill', ...args], { TIDAL_URL: cluster.url });
  const status = async (): Promise<Status> => (await cluster.get<Status>('/cluster/status')).body;
  const partitioned = async (): Promise<boolean> => (await status()).regions.some((region) => region.partitioned);
  const settled = () =>
    eventually('the cluster is well', async () => (await cluster.get('/health')).body.status === 'ok', 30_000);
  /** Waits long for a partition that another process has to end. */
  const long = (): string => {
    const file = join(folder, 'long.yaml');
    writeFileSync(
      file,
      `title: A long drill
why: to be ended
observe: 500ms
steady: {}
load: { writers: 1, writes_per_second: 10 }
steps: [ { partition: follower, heal_after: 15s }, { wait: 10m } ]
`,
    );
    return file;
  };

  for (const name of [
    'partition-follower',
    'partition-leader',
    'promote-under-load',
    'split-brain',
    'flapping-partition',
  ]) {
    it(`${name}: the cluster holds`, async () => {
      await settled();
      const report = join(folder, name);
      // The first router is away.
      const urls = `http://127.0.0.1:2,${cluster.url}`;
      const { code, text } = await started('run', name, '--short', '--report', report, '--url', urls).done;
      assert.equal(code, 0, text);
      const { result, writes, left, events } = JSON.parse(
        readFileSync(join(report, 'report.json'), 'utf8'),
      ) as DrillReport;
      assert.deepEqual([result, writes!.lost, writes!.doubled, left], ['held', 0, 0, []]);
      assert.ok(writes!.acknowledged > 50, `${writes!.acknowledged} writes`);
      assert.ok(events.length >= 4, text);
      const after = await status();
      assert.deepEqual([after.leader, after.drill, await partitioned()], ['us-east', undefined, false]);
    });
  }

  it('one drill at a time, visible in the status; Ctrl+C undoes it', async () => {
    await settled();
    const first = started('run', long());
    await eventually('the partition', partitioned, 60_000);
    assert.equal((await status()).drill?.title, 'A long drill');
    const { stdout } = await startTidal(['status'], { TIDAL_URL: cluster.url }).done;
    assert.match(stdout, /^drill in progress since \d\d:\d\d:\d\d: A long drill$/m);
    const second = await started('run', 'partition-follower', '--short').done;
    assert.equal(second.code, 2, second.text);
    assert.match(second.text, /the drill "A long drill" is in progress/);
    assert.ok(await partitioned(), 'the second one has changed nothing');
    first.child.kill('SIGINT');
    const { code, text } = await first.done;
    assert.equal(code, 3, text);
    assert.match(text, /^aborted:\n {2}interrupted \(SIGINT\)$/m);
    assert.match(text, /^writes: \d+ acknowledged, 0 failed, 0 lost, 0 doubled$/m);
    assert.deepEqual([await partitioned(), (await status()).drill], [false, undefined]);
  });

  it('tidal drill stop ends it', async () => {
    await settled();
    const running = started('run', long());
    await eventually('the partition', partitioned, 60_000);
    const stopped = await started('stop').done;
    assert.equal(stopped.code, 0, stopped.text);
    assert.equal(stopped.text, 'ended: A long drill\nhealed: eu-west\n');
    const { code, text } = await running.done;
    assert.equal(code, 3, text);
    assert.match(text, /the drill was stopped/);
  });

  it('a drill whose process is killed heals by itself', async () => {
    await settled();
    const { child, done } = started('run', long());
    await eventually('the partition', partitioned, 60_000);
    child.kill('SIGKILL');
    await done;
    await eventually('the deadline on the disk of the region', async () => !(await partitioned()), 30_000);
  });

  it('a file with mistakes is exit code 2, and so is a cluster that is not there', async () => {
    const file = join(folder, 'wrong.yaml');
    writeFileSync(file, 'title: t\nwhy: w\nsteady: {}\nload: none\nsteps: [ { explode: leader } ]\n');
    const wrong = await started('run', file).done;
    assert.equal(wrong.code, 2);
    assert.match(
      wrong.text,
      /steps\[0\]\.explode \(line 5\): is not a known key; accepted keys: partition, heal, promote/,
    );
    const checked = await started('check', file, 'split-brain').done;
    assert.equal(checked.code, 1);
    assert.match(checked.text, /split-brain\.yaml: accepted\n.*1 of 2 drills cannot be used/);
    assert.match((await started('list').done).text, /^split-brain +http +Another region is promoted by force/m);
    const nowhere = await started('run', 'split-brain', '--url', 'http://127.0.0.1:1').done;
    assert.equal(nowhere.code, 2, nowhere.text);
    const report = await started('run', 'split-brain', '--report', '/proc/nowhere').done;
    assert.deepEqual([report.code, /\/proc\/nowhere/.test(report.text)], [2, true], report.text);
    const unknown = await started('run', 'nothing').done;
    assert.match(unknown.text, /no drill of this name; drills: flapping-partition, kill-leader, lose-site/);
  });
});
