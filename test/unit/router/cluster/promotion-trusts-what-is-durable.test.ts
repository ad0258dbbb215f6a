/** What a region has taken and not flushed: not reported, not waited for, not promoted on; and what a demoted leader reads. */
import assert from 'node:assert/strict';
import { CoreCluster } from '../../../harness/region/core-cluster.ts';
import { view } from '../../../harness/region/core-region.ts';

describe('what is not flushed is not there', () => {
  it('a follower that has committed and not flushed reports neither, and a handover waits for its flush (schedule 7)', async () => {
    const cluster = await CoreCluster.start();
    const { clock } = cluster;
    const router = await cluster.router();
    await clock.run(router.submit([view(1)]));
    await cluster.converge();
    const target = cluster.region('eu-west');
    const before = target.durable;
    target.store.holdFlushes();
    await clock.run(router.submit([view(2)]));
    await clock.until('it is committed', () => target.store.count('batches') === 2);
    await clock.advance(2_000);
    assert.deepEqual([target.status().durable, target.status().applied], [before, before]);
    let promoted = false;
    const promotion = router.service.promote({ region: 'eu-west', force: false }).finally(() => {
      promoted = true;
    });
    await clock.advance(2_000);
    assert.deepEqual([promoted, cluster.record.leader], [false, 'us-east']);
    target.store.releaseFlushes();
    await clock.run(promotion);
    assert.equal(cluster.record.leader, 'eu-west');
    cluster.kill('us-east');
    const again = cluster.region('eu-west').crash('lost');
    assert.equal(again.ledger.read(2, 'view', clock.nowMs())?.count, 1, 'a power cut right after takes nothing');
  });

  it('a follower that loses its power with a commit unflushed takes it again; the leader never counted on it (schedule 7)', async () => {
    const cluster = await CoreCluster.start();
    const { clock } = cluster;
    const router = await cluster.router();
    await clock.run(router.submit([view(1)]));
    await cluster.converge();
    for (const unflushed of ['lost', 'kept'] as const) {
      const follower = cluster.region('ap-south');
      follower.store.holdFlushes();
      await clock.run(router.submit([view(2)]));
      await clock.settle();
      cluster.kill('ap-south', unflushed);
      cluster.start('ap-south');
      await cluster.converge();
    }
    assert.equal(cluster.count(2), 2);
  });
});

describe('a demoted leader', () => {
  it('continues from its own offset, which moved with its own messages too: it does not read history again (schedule 33)', async () => {
    const cluster = await CoreCluster.start();
    const { clock, broker } = cluster;
    const router = await cluster.router();
    for (let n = 0; n < 50; n++) await clock.run(router.submit([view(n)]));
    await cluster.converge();
    assert.equal(broker.stream?.last, 50);
    await clock.run(router.service.promote({ region: 'eu-west', force: false }));
    await clock.run(router.submit([view(51)]));
    await cluster.converge();
    await clock.advance(5_000);
    cluster.kill('us-east');
    const again = cluster.start('us-east');
    let from = 0;
    const { stream } = again.client;
    const subscribe = stream.subscribe.bind(stream);
    stream.subscribe = (options) => {
      from = options.from;
      return subscribe(options);
    };
    await clock.until('it is subscribed', () => from > 0);
    assert.equal(from, 52);
    await clock.run(router.submit([view(52)]));
    await cluster.converge();
  });
});
