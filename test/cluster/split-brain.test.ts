/**
 * A real partition of the network: the leader and one router on one side; nats-server, the other regions and the other router
 * on the other. Both sides accept at once, each as the leader it knows; after the heal everything of both is there.
 */
import assert from 'node:assert/strict';
import { Watch } from '../checkers/watch.ts';
import { checkWholeCluster } from '../checkers/whole-cluster.ts';
import { Acknowledged } from '../harness/clients/acknowledged.ts';
import { Workload } from '../harness/clients/workload.ts';
import { eventually } from '../harness/kernel/eventually.ts';
import { NATS } from '../harness/network/network.ts';
import { Cluster } from '../harness/processes/cluster.ts';

const here = ['us-east', 'router-2'];
const there = ['eu-west', 'ap-south', 'router', NATS];

describe('split brain', function () {
  this.timeout(120_000);
  let cluster: Cluster;
  const told = new Acknowledged();

  before(async () => {
    cluster = await Cluster.start({ routers: 2, wires: { seed: 2 } });
  });
  after(() => cluster?.stop());

  for (const how of ['cut', 'pause'] as const) {
    it(`both sides accept (${how === 'cut' ? 'resets' : 'a black hole'}), the heal merges them, every acknowledgement counts`, async () => {
      const watch = new Watch(cluster);
      const back = await cluster.post('/cluster/promote', { region: 'us-east' });
      assert.equal(back.status, 200, JSON.stringify(back.body));
      const apart = new Acknowledged();
      const [one, two] = cluster.routerUrls as [string, string];
      const majority = new Workload({ urls: [one], writers: 8, perSecond: 60, keyed: 4, told });
      const minority = new Workload({
        urls: [two],
        writers: 8,
        perSecond: 60,
        keyed: 4,
        firstEntity: 101,
        told: apart,
      });
      let epoch = 0;
      try {
        await Promise.all([majority.flows(), minority.flows()]);
        epoch = (await cluster.status()).epoch;
        await Promise.all(cluster.network.between(here, there).map(async (link) => link[how]()));
        await eventually(
          'the first router has lost the leader',
          async () => (await cluster.get('/health')).status === 503,
          30_000,
        );
        const forced = await cluster.post('/cluster/promote', { region: 'eu-west', force: true });
        assert.equal(forced.status, 200, JSON.stringify(forced.body));
        assert.equal(forced.body.epoch, epoch + 1);
        await Promise.all([majority.flows(100), minority.flows(100)]);
        assert.equal(minority.told.acknowledgements.at(-1)?.durability, 'local');
        const places = [majority, minority].map(({ told }) => told.acknowledgements.at(-1)?.position.split('@')[0]);
        assert.deepEqual(places, ['eu-west', 'us-east'], 'both accept');
      } finally {
        await cluster.network.heal();
        await Promise.all([majority.flows(), minority.flows()]);
        await Promise.all([majority.stop(), minority.stop()]);
      }
      assert.equal(minority.told.acknowledgements.at(-1)?.position.split('@')[0], 'eu-west', 'the old leader follows');
      told.add(apart);
      const { accepting } = await checkWholeCluster(cluster, told);
      assert.deepEqual([accepting.get(epoch), accepting.get(epoch + 1)], ['us-east', 'eu-west']);
      await watch.stop();
      const verified = await cluster.post('/cluster/verify', {});
      assert.equal(verified.body.converged, true, JSON.stringify(verified.body));
    });
  }
});
