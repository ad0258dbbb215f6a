/** Writes with durability `stream`: refused before anything changed, or answered as accepted and not confirmed. */
import assert from 'node:assert/strict';
import { Refusal } from '../../../../shared/errors/errors.ts';
import { CoreCluster } from '../../../harness/region/core-cluster.ts';
import { view } from '../../../harness/region/core-region.ts';

async function refusalOf(cluster: CoreCluster, promise: Promise<unknown>): Promise<Refusal> {
  try {
    await cluster.clock.run(promise);
  } catch (error) {
    assert.ok(error instanceof Refusal, String(error));
    return error;
  }
  assert.fail('it was taken');
}

describe('writes that insist on the stream', () => {
  const unhealthy: readonly [what: string, arrange: (cluster: CoreCluster) => Promise<void>][] = [
    ['the leader is cut', (cluster) => cluster.clock.run(cluster.region('us-east').setCut(true))],
    ['the broker is gone', (cluster) => cluster.broker.kill()],
    ['the wire is cut', async (cluster) => cluster.region('us-east').client.disconnect()],
    [
      'an acknowledgement is outstanding for more than a second',
      async (cluster) => {
        cluster.broker.pause();
        void cluster.region('us-east').write([view(1)]);
        await cluster.clock.advance(1_100);
        assert.equal(cluster.region('us-east').client.stream.connected, true);
      },
    ],
  ];
  for (const [what, arrange] of unhealthy) {
    it(`${what}: refused with 503, and nothing is changed, now or later (schedule 13)`, async () => {
      const cluster = await CoreCluster.start();
      const router = await cluster.router();
      const leader = cluster.region('us-east');
      await cluster.clock.run(router.submit([view(1)]));
      await arrange(cluster);
      const before = [leader.durable, leader.store.count('batches'), leader.digest()];
      const refusal = await refusalOf(cluster, router.submit([view(7)], { key: 'k', durability: 'stream' }));
      assert.deepEqual([refusal.code, refusal.status], ['stream_unavailable', 503]);
      assert.deepEqual([leader.durable, leader.store.count('batches'), leader.digest()], before);
      cluster.broker.resume();
      if (!cluster.broker.up) await cluster.broker.restart();
      leader.client.reconnect();
      await cluster.clock.run(leader.setCut(false));
      await cluster.converge();
      assert.equal(cluster.count(7), 0);
      await cluster.clock.until('the stream is healthy', () => leader.ship.healthy);
      const answer = await cluster.clock.run(router.submit([view(7)], { key: 'k', durability: 'stream' }));
      assert.deepEqual([answer.durability, answer.replayed], ['stream', undefined]);
      await cluster.converge();
      assert.equal(cluster.count(7), 1);
    });
  }

  it('stalled after the append: 504 with its position; the event exists and ships, the client that asks again by key counts once (schedule 13)', async () => {
    const cluster = await CoreCluster.start();
    const { clock, broker } = cluster;
    const router = await cluster.router();
    await clock.run(router.submit([view(1)]));
    broker.pause();
    const [keyed, plain] = await Promise.all([
      refusalOf(cluster, router.submit([view(7)], { key: 'k', durability: 'stream' })),
      refusalOf(cluster, router.submit([view(8)], { durability: 'stream' })),
    ]);
    for (const refusal of [keyed, plain]) {
      assert.deepEqual([refusal.code, refusal.status], ['stream_unconfirmed', 504]);
      assert.match(refusal.message, /us-east@[a-z0-9]{13}:\d/);
    }
    assert.match(keyed.extras.hint ?? '', /same Idempotency-Key/);
    assert.match(plain.extras.hint ?? '', /do not send it again/);
    assert.equal(cluster.region('us-east').ledger.read(7, 'view', clock.nowMs())?.count, 1, 'it exists');
    broker.resume();
    await cluster.converge();
    const again = await clock.run(router.submit([view(7)], { key: 'k', durability: 'stream' }));
    assert.deepEqual([again.durability, again.replayed], ['stream', true]);
    assert.ok(keyed.message.includes(again.position), 'at the position it was told');
    await cluster.converge();
    assert.deepEqual([cluster.count(7), cluster.count(8)], [1, 1]);
  });

  it('the leader dies while the confirmation is waited for: an unknown outcome, and the key finds out (schedule 13)', async () => {
    const cluster = await CoreCluster.start();
    const { clock, broker } = cluster;
    const router = await cluster.router();
    await clock.run(router.submit([view(1)]));
    broker.pause();
    const told = refusalOf(cluster, router.submit([view(7)], { key: 'k', durability: 'stream' }));
    await clock.advance(500);
    cluster.kill('us-east');
    assert.equal((await told).code, 'outcome_unknown');
    broker.resume();
    cluster.start('us-east');
    const again = await clock.run(router.submit([view(7)], { key: 'k' }));
    assert.equal(again.replayed, true);
    await cluster.converge();
    assert.equal(cluster.count(7), 1);
  });

  it('an acknowledgement that was lost is found by reading the mark, and the write is confirmed after all (schedules 9 and 13)', async () => {
    const cluster = await CoreCluster.start();
    const { clock } = cluster;
    const router = await cluster.router();
    await clock.run(router.submit([view(1)]));
    cluster.region('us-east').client.publishFaults.push('lost_ack');
    const answer = await clock.run(router.submit([view(7)], { durability: 'stream' }));
    assert.equal(answer.durability, 'stream');
    await cluster.converge();
    assert.equal(cluster.count(7), 1);
    assert.equal(cluster.broker.stream?.last, 2);
  });
});
