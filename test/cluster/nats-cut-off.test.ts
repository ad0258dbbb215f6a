/** One region alone cannot reach nats-server, by a reset or by a black hole, while all others can. */
import assert from 'node:assert/strict';
import { Watch } from '../checkers/watch.ts';
import { checkWholeCluster } from '../checkers/whole-cluster.ts';
import { Acknowledged } from '../harness/clients/acknowledged.ts';
import { Workload } from '../harness/clients/workload.ts';
import { eventually } from '../harness/kernel/eventually.ts';
import { NATS } from '../harness/network/network.ts';
import { Cluster } from '../harness/processes/cluster.ts';

describe('one region is isolated from nats-server', function () {
  this.timeout(120_000);
  let cluster: Cluster;
  let watch: Watch;
  const told = new Acknowledged();

  before(async () => {
    cluster = await Cluster.start({ routers: 2, wires: { seed: 1 } });
    watch = new Watch(cluster);
  });
  after(async () => {
    await cluster?.stop();
  });

  const underLoad = async (fault: (load: Workload) => Promise<void>): Promise<Workload> => {
    const load = new Workload({ urls: cluster.routerUrls, writers: 8, perSecond: 100, keyed: 2, told });
    try {
      await load.flows();
      await fault(load);
    } finally {
      await cluster.network.heal();
      await load.stop();
    }
    await checkWholeCluster(cluster, load.told);
    return load;
  };

  for (const how of ['cut', 'pause'] as const) {
    const what = how === 'cut' ? 'its connection is reset' : 'its packets vanish';

    it(`a follower, ${what}: its peers bring what the stream cannot; no write fails`, async () => {
      const load = await underLoad(async (load) => {
        await cluster.network.link('eu-west', NATS)[how]();
        await eventually('the follower has noticed', async () => {
          const { body } = await cluster.region<{ streamConnected: boolean }>('eu-west', '/internal/status');
          return !body.streamConnected;
        });
        await load.flows();
        const wanted = load.told.acknowledgements.at(-1)?.position;
        await eventually(
          'it has what was written meanwhile',
          async () => {
            const path = `/feed?profile=new&limit=1&region=eu-west&min_position=${wanted}`;
            return (await cluster.get(path)).status === 200;
          },
          30_000,
        );
      });
      assert.deepEqual([...load.failures], []);
    });

    it(`the leader, ${what}: it continues as local, followers fetch from it, everything ships afterwards`, async () => {
      const load = await underLoad(async (load) => {
        await cluster.network.link('us-east', NATS)[how]();
        await eventually(
          'writes are answered as local',
          () => load.told.acknowledgements.at(-1)?.durability === 'local',
        );
        await load.flows();
        const wanted = load.told.acknowledgements.at(-1)?.position;
        await eventually(
          'a follower has what was written meanwhile',
          async () => {
            const path = `/feed?profile=new&limit=1&region=ap-south&min_position=${wanted}`;
            return (await cluster.get(path)).status === 200;
          },
          30_000,
        );
        await cluster.network.heal();
        await eventually(
          'the stream confirms again',
          () => load.told.acknowledgements.at(-1)?.durability === 'stream',
          30_000,
        );
      });
      assert.deepEqual([...load.failures], []);
    });
  }

  it('no position and no epoch ever went back, and one region led all the time', async () => {
    await watch.stop();
    assert.deepEqual(
      [...watch.leaders].map(([epoch, leaders]) => [epoch, [...leaders]]),
      [[1, ['us-east']]],
    );
  });
});
