/** One request under one key that reaches the log more than once, or nearly: through two routers, over a forced promotion. */
import assert from 'node:assert/strict';
import { decodeBatch } from '../../../../services/region/batch/batch.ts';
import { CoreCluster } from '../../../harness/region/core-cluster.ts';
import { view, views } from '../../../harness/region/core-region.ts';
import { names } from '../../../harness/router/memory-cluster.ts';

const MINUTE_MS = 60_000;

describe('duplicates of one request', () => {
  for (const [what, bodies] of [
    ['a write', [view(7)]],
    ['a bulk', views(40, 7)],
  ] as const) {
    it(`${what} sent through two routers at the same time is taken once, in one commit or in two (schedule 14)`, async () => {
      const cluster = await CoreCluster.start();
      const { clock } = cluster;
      const routers = [await cluster.router(), await cluster.router()];
      const leader = cluster.region('us-east');
      await clock.run(routers[0]!.submit([view(1)]));
      for (const [key, later] of [
        ['together', false],
        ['behind', true],
      ] as const) {
        const before = cluster.count(7);
        leader.store.holdFlushes();
        const first = routers[0]!.submit(bodies, { key });
        // Either both wait for one commit, or the second comes while the first has not been flushed.
        if (later) await clock.settle();
        const second = routers[1]!.submit(bodies, { key });
        await clock.advance(1_000);
        leader.store.releaseFlushes();
        const answers = await clock.run(Promise.all([first, second]));
        assert.equal(answers[0].position, answers[1].position);
        assert.deepEqual(answers.map(({ replayed }) => replayed).sort(), [true, undefined]);
        await cluster.converge();
        assert.equal(cluster.count(7), before + bodies.length);
      }
    });
  }

  for (const away of ['dead', 'cut'] as const) {
    it(`taken by a leader whose tail stays behind (${away}), retried at its successors: it counts once, and the first one counts (schedule 14)`, async () => {
      const cluster = await CoreCluster.start();
      const { clock } = cluster;
      const router = await cluster.router();
      const promote = (region: string) => clock.run(router.service.promote({ region, force: true }));
      await clock.run(router.submit([view(1)]));
      await cluster.converge();

      const x = cluster.region('us-east');
      await clock.run(x.setCut(true));
      const first = await clock.run(router.submit([view(7), view(7)], { key: 'k' }));
      assert.equal(first.durability, 'local');
      await clock.run(router.submit([view(8)], { key: 'l' }));
      if (away === 'dead') cluster.kill('us-east');
      await promote('eu-west');
      await clock.run(cluster.region('eu-west').setCut(true));
      clock.stepWall(10 * MINUTE_MS);
      const second = await clock.run(router.submit([view(7), view(7)], { key: 'k' }));
      assert.equal(second.replayed, undefined, 'the new leader cannot know');
      await promote('ap-south');
      clock.stepWall(10 * MINUTE_MS);
      const third = await clock.run(router.submit([view(7), view(7)], { key: 'k' }));
      assert.equal(third.replayed, undefined);
      assert.equal(new Set([first, second, third].map(({ position }) => position)).size, 3, 'three copies in the log');

      // The higher duplicates counted for a while; the lowest arrives last.
      await clock.run(cluster.region('eu-west').setCut(false));
      await clock.until('the second copy is known', () => cluster.region('ap-south').applied.includes('eu-west@'));
      const ap = cluster.region('ap-south');
      assert.equal(ap.ledger.read(7, 'view', clock.nowMs())?.count, 2);
      if (away === 'dead') cluster.start('us-east');
      await clock.run(cluster.region('us-east').setCut(false));
      await cluster.converge();
      assert.deepEqual([cluster.count(7), cluster.count(8)], [2, 1]);

      const again = await clock.run(router.submit([view(7), view(7)], { key: 'k' }));
      assert.deepEqual([again.position, again.replayed], [first.position, true], 'the lowest copy is the answer');
      const digest = cluster.region('us-east').digest();
      for (const name of names) assert.equal(cluster.region(name).crash('lost').digest(), digest, 'recovered the same');
    });
  }

  it('a bulk is one key in every region, also where it came by repair, after restarts, and where two leaders took a part of it each', async () => {
    const cluster = await CoreCluster.start();
    const { clock } = cluster;
    const router = await cluster.router();
    const keysKnown = (): number[] => names.map((name) => cluster.region(name).wal.keys);
    const bulk = views(20_000, 7);
    const first = await clock.run(router.submit(bulk, { key: 'k' }));
    await cluster.converge();
    assert.deepEqual(keysKnown(), [1, 1, 1]);
    cluster.kill('ap-south');
    cluster.start('ap-south', 'new');
    cluster.kill('us-east');
    cluster.start('us-east');
    await clock.until('it leads again', () => 'epoch' in cluster.region('us-east').role.gate(1));
    await cluster.converge();
    assert.deepEqual(keysKnown(), [1, 1, 1]);
    assert.deepEqual(await clock.run(router.submit(bulk, { key: 'k' })), {
      ...first,
      durability: 'stream',
      replayed: true,
    });

    // The leader accepts a bulk that no region receives, except for one of its batches, before it is sent again.
    const x = cluster.region('us-east');
    await clock.run(x.setCut(true));
    const local = await clock.run(router.submit(views(20_000, 8), { key: 'l' }));
    const [origin, last] = local.position.split(':') as [string, string];
    const part = x.wal.read(origin, Number(last) - 19_999, 1).map(decodeBatch);
    await clock.run(router.service.promote({ region: 'eu-west', force: true }));
    await cluster.region('eu-west').ingest.take(part);
    const completed = await clock.run(router.submit(views(20_000, 8), { key: 'l' }));
    assert.equal(completed.replayed, undefined);
    assert.equal(completed.position.split(',').length, 2, 'where both parts are');
    assert.equal(cluster.region('eu-west').ledger.read(8, 'view', clock.nowMs())?.count, 20_000);
    await clock.run(x.setCut(false));
    await cluster.converge();
    assert.deepEqual(keysKnown(), [2, 2, 2]);
    assert.deepEqual([cluster.count(7), cluster.count(8)], [20_000, 20_000]);
    const again = await clock.run(router.submit(views(20_000, 8), { key: 'l' }));
    assert.deepEqual([again.position, again.replayed], [local.position, true], 'the lowest copies are the answer');
    const digest = cluster.region('us-east').digest();
    for (const name of names) {
      const after = cluster.region(name).crash('lost');
      assert.deepEqual([after.digest(), after.wal.keys], [digest, 2], 'recovered the same');
    }
  });
});
