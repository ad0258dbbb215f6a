/** Drills while the broker is unavailable, on the leader, and while a client waits for the heal. */
import assert from 'node:assert/strict';
import { Refusal } from '../../../../shared/errors/errors.ts';
import { CoreCluster } from '../../../harness/region/core-cluster.ts';
import { view } from '../../../harness/region/core-region.ts';
import { names } from '../../../harness/router/memory-cluster.ts';

async function codeOf(cluster: CoreCluster, promise: Promise<unknown>): Promise<string> {
  try {
    await cluster.clock.run(promise);
  } catch (error) {
    assert.ok(error instanceof Refusal, String(error));
    return error.code;
  }
  return 'done';
}

describe('drills', () => {
  for (const away of ['killed', 'paused'] as const) {
    it(`with the broker ${away} a partition is set, survives a restart, and is healed (schedule 26)`, async () => {
      const cluster = await CoreCluster.start();
      const { clock, broker } = cluster;
      const router = await cluster.router();
      await clock.run(router.submit([view(1)]));
      await cluster.converge();
      if (away === 'killed') await broker.kill();
      else broker.pause();
      const beganMs = clock.monotonicMs();
      await clock.run(router.service.drills.partition('ap-south'));
      assert.ok(clock.monotonicMs() - beganMs <= 5_000, 'within the time a router waits for it');
      await clock.run(router.submit([view(2)]));
      cluster.kill('ap-south');
      assert.equal(await codeOf(cluster, router.service.drills.heal('ap-south')), 'region_unreachable');
      const { applied } = cluster.region('ap-south');
      const again = cluster.start('ap-south');
      await clock.advance(10_000);
      assert.deepEqual([again.cut, again.applied], [true, applied]);
      assert.equal(again.ledger.read(2, 'view', clock.nowMs()), undefined, 'nothing is fetched from peers either');
      const { missed_events } = await clock.run(router.service.drills.heal('ap-south'));
      assert.equal(missed_events, 1);
      await clock.until('the peers have it', () => again.ledger.read(2, 'view', clock.nowMs())?.count === 1);
      assert.equal(broker.up && !broker.paused, false, 'all this without the broker');
      if (away === 'killed') await broker.restart();
      else broker.resume();
      await cluster.converge();
      assert.equal(cluster.count(2), 1);
    });
  }

  it('a partitioned leader cannot hand its tail over: refused at once, nothing announced; by force it can be left behind, and merges (schedule 26)', async () => {
    const cluster = await CoreCluster.start();
    const { clock } = cluster;
    const router = await cluster.router();
    await clock.run(router.submit([view(1)]));
    await clock.run(router.service.drills.partition('us-east'));
    const tail = await clock.run(router.submit([view(2)]));
    assert.equal(tail.durability, 'local');
    const before = cluster.record;
    const beganMs = clock.monotonicMs();
    assert.equal(
      await codeOf(cluster, router.service.promote({ region: 'eu-west', force: false })),
      'leader_partitioned',
    );
    assert.ok(clock.monotonicMs() - beganMs < 1_000);
    assert.deepEqual(cluster.record, before);
    const forced = await clock.run(router.service.promote({ region: 'eu-west', force: true }));
    assert.equal(forced.left_behind, 1);
    await clock.run(router.submit([view(3)]));
    await clock.advance(10_000);
    for (const name of ['eu-west', 'ap-south'] as const) {
      assert.equal(
        cluster.region(name).ledger.read(2, 'view', clock.nowMs()),
        undefined,
        'a partitioned region serves nobody',
      );
    }
    const { missed_events } = await clock.run(router.service.drills.heal('us-east'));
    assert.equal(missed_events, 2, 'one in each direction');
    await cluster.converge();
    assert.deepEqual(
      [1, 2, 3].map((entity) => cluster.count(entity)),
      [1, 1, 1],
    );
  });

  it('a wait for the heal of a leader waits for its tail, although its lag is 0 (schedule 26)', async () => {
    const cluster = await CoreCluster.start();
    const { clock } = cluster;
    const router = await cluster.router();
    await clock.run(router.service.drills.partition('us-east'));
    for (let entity = 1; entity <= 5; entity++) await clock.run(router.submit([view(entity)]));
    // Neither the stream nor a peer has the tail for a while.
    cluster.region('us-east').client.publishFaults.push('dropped', 'dropped');
    cluster.region('us-east').serve = () => new Uint8Array();
    let answered = false;
    const healing = router.service.drills.heal('us-east', true).finally(() => {
      answered = true;
    });
    await clock.advance(3_000);
    const { regions } = await clock.run(router.service.reports.status());
    assert.deepEqual([regions[0]?.lag_events, regions[0]?.unshipped_events], [0, 5]);
    assert.equal(answered, false);
    const { missed_events, caught_up_with } = await clock.run(healing);
    assert.deepEqual([missed_events, caught_up_with], [5, ['eu-west', 'ap-south']]);
    const { applied } = cluster.region('us-east');
    for (const name of names) assert.equal(cluster.region(name).applied, applied);
  });

  it('a partitioned region takes nothing from the stream or from peers, and none takes from it; writes and control continue (schedule 26)', async () => {
    const cluster = await CoreCluster.start();
    const { clock } = cluster;
    const router = await cluster.router();
    await clock.run(router.submit([view(1)]));
    await cluster.converge();
    const stream = cluster.broker.stream?.last;
    await clock.run(router.service.drills.partition('us-east'));
    const { durability } = await clock.run(router.submit([view(2)]));
    assert.equal(durability, 'local');
    await clock.advance(20_000);
    assert.equal(cluster.broker.stream?.last, stream);
    assert.equal(cluster.region('eu-west').applied, cluster.region('ap-south').applied);
    assert.equal(cluster.region('eu-west').ledger.read(2, 'view', clock.nowMs()), undefined);
    assert.equal((await clock.run(router.service.reports.status())).regions[0]?.partitioned, true);
    await clock.run(router.service.drills.heal('us-east'));
    await cluster.converge();
  });
});
