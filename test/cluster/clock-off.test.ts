/** One region's clock is set five minutes wrong while it runs: as a follower, as the leader; ahead and behind. */
import assert from 'node:assert/strict';
import { rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Watch } from '../checkers/watch.ts';
import { checkWholeCluster } from '../checkers/whole-cluster.ts';
import { Acknowledged } from '../harness/clients/acknowledged.ts';
import { Workload } from '../harness/clients/workload.ts';
import { eventually } from '../harness/kernel/eventually.ts';
import { Cluster } from '../harness/processes/cluster.ts';

const MINUTES_5_MS = 5 * 60_000;

describe('a clock is five minutes off', function () {
  this.timeout(120_000);
  const file = join(tmpdir(), `tidal-clock-${process.pid}`);
  const told = new Acknowledged();
  let cluster: Cluster;
  let watch: Watch;

  before(async () => {
    writeFileSync(file, '0');
    cluster = await Cluster.start({
      routers: 2,
      mains: {
        'us-east': { main: 'test/harness/kernel/stepped-clock-region.js', env: { TIDAL_TEST_CLOCK_FILE: file } },
      },
    });
    watch = new Watch(cluster);
  });
  after(async () => {
    await cluster?.stop();
    rmSync(file, { force: true });
  });

  const setClock = async (offMs: number): Promise<void> => {
    writeFileSync(file, String(offMs));
    cluster.process('us-east').signal('SIGUSR2');
    await eventually('the others see it', async () => {
      const { body } = await cluster.region<{ writeBlocker?: { code: string } }>('us-east', '/internal/status');
      return (body.writeBlocker?.code === 'clock_unsafe') === (offMs !== 0);
    });
  };
  const promote = (region: string, force = false) =>
    cluster.post<{ code?: string; detail?: string; leader?: string }>('/cluster/promote', { region, force });
  const underLoad = async (fault: (load: Workload) => Promise<void>): Promise<Workload> => {
    const load = new Workload({ urls: cluster.routerUrls, writers: 8, perSecond: 100, keyed: 2, told });
    try {
      await load.flows();
      await fault(load);
    } finally {
      await setClock(0);
      await load.stop();
    }
    return load;
  };

  for (const offMs of [MINUTES_5_MS, -MINUTES_5_MS]) {
    const where = offMs > 0 ? 'ahead' : 'behind';

    it(`${where}, of a follower: no write notices; it is not promoted while it is wrong`, async () => {
      assert.equal((await promote('eu-west')).status, 200);
      const load = await underLoad(async (load) => {
        await setClock(offMs);
        await load.flows(100);
        const read = await cluster.get('/feed?profile=trending&region=us-east');
        assert.equal(read.status, 200);
        const { status, body } = await promote('us-east');
        assert.deepEqual([status, body.code], [409, 'target_not_ready'], JSON.stringify(body));
        assert.match(String(body.detail), /clock/);
        await load.flows();
      });
      assert.deepEqual([...load.failures], []);
      assert.equal((await promote('us-east')).status, 200, 'right again, it may lead');
    });

    it(`${where}, of the leader: it refuses with clock_unsafe, and another can be promoted`, async () => {
      assert.equal((await promote('us-east')).status, 200);
      const load = await underLoad(async (load) => {
        await setClock(offMs);
        await eventually('writes are refused', () => (load.failures.get('503 clock_unsafe') ?? 0) > 0);
        const health = await cluster.get('/health');
        assert.equal(health.body.status, 'unavailable');
        assert.match(
          JSON.stringify(health.body.notes),
          /us-east leads and refuses writes: the clock of us-east is 300 s off/,
        );
        const { status, body } = await promote('ap-south');
        assert.equal(status, 200, JSON.stringify(body));
        await load.flows(100);
      });
      assert.deepEqual([...load.failures.keys()], ['503 clock_unsafe']);
      assert.ok(load.told.refused.every(({ code }) => code === 'clock_unsafe'));
    });
  }

  it('afterwards everything is in every region once, and nothing ever went back', async () => {
    await checkWholeCluster(cluster, told);
    await watch.stop();
  });
});
