/** Three in ten calls between router and regions are late by 0.2 to 2 s, writes and promotions among them. */
import assert from 'node:assert/strict';
import { Watch } from '../checkers/watch.ts';
import { checkWholeCluster } from '../checkers/whole-cluster.ts';
import { Workload } from '../harness/clients/workload.ts';
import { Cluster } from '../harness/processes/cluster.ts';

const late = { probability: 0.3, leastMs: 200, mostMs: 2_000 };

describe('late calls', function () {
  this.timeout(120_000);
  const seed = Math.floor(Math.random() * 1e6);
  let cluster: Cluster;

  before(async () => {
    cluster = await Cluster.start({ routers: 2, wires: { seed } });
  });
  after(() => cluster?.stop());

  it(`30 % of calls between routers and regions are late by 0.2-2 s, seed ${seed}: nothing is lost or doubled`, async () => {
    const watch = new Watch(cluster);
    const load = new Workload({ urls: cluster.routerUrls, writers: 32, perSecond: 200, keyed: 16 });
    let promoted = 0;
    try {
      await load.flows();
      for (const link of cluster.network.between(cluster.routerNames, cluster.regionNames)) link.delay(late);
      for (const region of ['eu-west', 'ap-south', 'us-east']) {
        await load.flows();
        const { status } = await cluster.post('/cluster/promote', { region });
        if (status === 200) promoted += 1;
      }
      await load.flows();
    } finally {
      await cluster.network.heal();
      await load.stop();
    }
    console.log(
      `      ${load.count} writes acknowledged, ${promoted} of 3 promotions, not 200: ${JSON.stringify([...load.failures])}`,
    );
    assert.deepEqual(load.told.refused, [], 'late is not refused');
    await checkWholeCluster(cluster, load.told);
    await watch.stop();
  });
});
