/** The broker's volume is lost, or restored as it was long ago: leadership comes from the regions, and epochs only grow. */
import assert from 'node:assert/strict';
import { CoreCluster } from '../../../harness/region/core-cluster.ts';
import { view } from '../../../harness/region/core-region.ts';
import { names } from '../../../harness/router/memory-cluster.ts';

describe('the broker’s volume is lost', () => {
  for (const unresponsive of [false, true]) {
    it(`the leader of the highest record leads on, in a higher epoch${unresponsive ? ', above what an unresponsive region may know' : ''} (schedule 5)`, async () => {
      const cluster = await CoreCluster.start();
      const { clock, broker } = cluster;
      const routers = [await cluster.router(), await cluster.router()];
      await clock.run(routers[0]!.submit([view(1)]));
      await clock.run(routers[0]!.service.promote({ region: 'eu-west', force: false }));
      await clock.run(routers[1]!.submit([view(2)]));
      await cluster.converge();
      if (unresponsive) cluster.kill('ap-south');
      await broker.restart({ wiped: true });
      await clock.until('the key is there again', () => broker.bucket?.entries.has('leadership') === true);
      assert.equal(cluster.record.leader, 'eu-west', 'not the topology’s default');
      assert.equal(cluster.record.epoch, unresponsive ? 1_050 : 3);
      await clock.run(routers[0]!.submit([view(3)]));
      if (unresponsive) cluster.start('ap-south');
      await cluster.converge();
      assert.deepEqual(
        [1, 2, 3].map((entity) => cluster.count(entity)),
        [1, 1, 1],
      );
      for (const [epoch, leaders] of cluster.leadersByEpoch()) assert.equal(leaders.size, 1, `epoch ${epoch}`);
      for (const name of names) assert.equal(cluster.region(name).role.leadership?.leader, 'eu-west');
    });
  }

  it('an older copy is restored during a promotion, through any router: it is based on what the regions know (schedule 5)', async () => {
    for (const fresh of [false, true]) {
      const cluster = await CoreCluster.start();
      const { clock, broker } = cluster;
      const router = await cluster.router();
      await clock.run(router.submit([view(1)]));
      const copy = broker.copy();
      for (const region of ['eu-west', 'ap-south', 'eu-west']) {
        await clock.run(router.service.promote({ region, force: false }));
        await clock.run(router.submit([view(2)]));
      }
      assert.deepEqual([cluster.record.leader, cluster.record.epoch], ['eu-west', 4]);
      await cluster.converge();
      await broker.restart({ from: copy });
      assert.deepEqual([cluster.record.leader, cluster.record.epoch], ['us-east', 1]);
      const asked = fresh ? await cluster.router() : router;
      await clock.until('connected', () => asked.client.stream.connected);
      const told = await clock.run(asked.service.promote({ region: 'ap-south', force: true }));
      assert.ok(told.epoch > 4, `epoch ${told.epoch}`);
      await clock.advance(5_000);
      assert.deepEqual([cluster.record.leader, cluster.record.epoch], ['ap-south', told.epoch]);
      await clock.run(asked.submit([view(3)]));
      await cluster.converge();
      assert.deepEqual([cluster.count(1), cluster.count(2), cluster.count(3)], [1, 3, 1]);
      for (const [epoch, leaders] of cluster.leadersByEpoch()) assert.equal(leaders.size, 1, `epoch ${epoch}`);
    }
  });
});
