/** Drills on the containers of `compose.yaml`, by the program: the cluster holds, and all runs again if the program is killed. */
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { DrillReport } from '../../../deploy/drill/report.ts';
import { startTidal } from '../../harness/clients/tidal-command.ts';
import { servingServices } from '../../harness/containers/compose-cluster.ts';
import { sharedComposeCluster } from '../../harness/containers/shared-compose-cluster.ts';
import { eventually } from '../../harness/kernel/eventually.ts';

describe('drills on docker compose', function () {
  this.timeout(300_000);
  const shared = sharedComposeCluster();
  let folder: string;
  before(() => {
    folder = mkdtempSync(join(tmpdir(), 'tidal-drills-'));
  });
  after(() => rmSync(folder, { recursive: true, force: true }));

  const started = (...args: readonly string[]) => {
    const cluster = shared();
    return startTidal(['drill', 'run', ...args, '--target', 'compose'], {
      ...cluster.commandEnvironment,
      TIDAL_URL: cluster.url,
    });
  };
  const states = async (): Promise<Readonly<Record<string, string>>> => {
    const stated = servingServices.map(
      async (name) => [name, await shared().inspect(name, '{{.State.Status}}')] as const,
    );
    return Object.fromEntries(await Promise.all(stated));
  };
  const allRun = async (): Promise<boolean> => Object.values(await states()).every((state) => state === 'running');

  for (const name of ['wipe-nats', 'lose-site']) {
    it(`${name}: the cluster holds`, async () => {
      const report = join(folder, name);
      const { code, text } = await started(name, '--short', '--report', report).done;
      assert.equal(code, 0, text);
      const { writes, left } = JSON.parse(readFileSync(join(report, 'report.json'), 'utf8')) as DrillReport;
      assert.deepEqual([writes!.lost, writes!.doubled, writes!.failed, left], [0, 0, 0, []]);
      assert.ok(writes!.acknowledged > 0, `${writes!.acknowledged} writes`);
      assert.ok(await allRun(), JSON.stringify(await states()));
      await shared().settled();
    });
  }

  it('a program that is killed: what it has paused and killed runs again', async () => {
    const cluster = shared();
    const file = join(folder, 'waiting.yaml');
    writeFileSync(
      file,
      `title: A long drill
why: to be ended
observe: 500ms
steady: {}
load: none
steps: [ { pause: follower }, { kill: other-follower }, { wait: 10m } ]
`,
    );
    const [paused, killed] = await cluster.followers();
    const drill = started(file);
    const areAway = async (): Promise<boolean> => {
      const { [paused]: one, [killed]: other } = await states();
      return one === 'paused' && other === 'exited';
    };
    await eventually('both are away', async () => (await areAway()) || drill.child.exitCode !== null, 90_000);
    assert.equal(drill.child.exitCode, null, drill.said.text);
    drill.child.kill('SIGKILL');
    await eventually('all run again', allRun, 90_000);
    await cluster.settled();
  });
});
