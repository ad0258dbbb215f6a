/** Draining the stream: what a candidate does before it may lead. */
import assert from 'node:assert/strict';
import { drain } from '../../../../services/region/receive/drain.ts';
import { ManualClock } from '../../../harness/kernel/manual-clock.ts';
import { bytesOf, viewChain } from '../../../harness/region/batches.ts';
import { CoreRegion, views } from '../../../harness/region/core-region.ts';
import { MemoryBroker } from '../../../harness/stream/memory-stream.ts';

async function rig() {
  const clock = new ManualClock();
  const broker = new MemoryBroker({ clock });
  const leader = new CoreRegion({ region: 'us-east', clock, broker });
  const follower = new CoreRegion({ region: 'eu-west', clock, broker });
  await clock.settle();
  await leader.client.stream.ensure();
  await leader.client.control.create({ leader: 'us-east', epoch: 1, nonce: 'n' });
  leader.start();
  await clock.until('it leads', () => leader.role.leads);
  const drainFollower = (limitMs: number) =>
    drain({ clock, stream: follower.client.stream, receiver: follower.receiver }, limitMs);
  const stop = async (): Promise<void> => {
    const stopped = Promise.all([leader.stop(), follower.stop()]);
    await clock.advance(5_000);
    await stopped;
    await broker.stop();
  };
  return { clock, broker, leader, follower, drainFollower, stop };
}

describe('drain', () => {
  it('is done when everything the stream held was handled', async () => {
    const it = await rig();
    const written = it.leader.write(views(20));
    await it.clock.until('it is shipped', () => it.leader.ship.unshipped === 0 && it.leader.durable !== '');
    await written;
    let drained: boolean | undefined;
    void it.drainFollower(2_000).then((result) => {
      drained = result;
    });
    await it.clock.advance(100);
    assert.equal(drained, undefined, 'the follower has not even subscribed');
    it.follower.start();
    await it.clock.until('it is drained', () => drained !== undefined, 2_000);
    assert.equal(drained, true);
    assert.equal(it.follower.durable, it.leader.durable);
    await it.stop();
  });

  it('gives up after its limit', async () => {
    const it = await rig();
    await Promise.all([it.leader.write(views(3)), it.clock.advance(500)]);
    const result = it.drainFollower(2_000);
    await it.clock.advance(2_100);
    assert.equal(await result, false);
    await it.stop();
  });

  it('progress on a deleted stream does not count for the recreated one (schedule 2)', async () => {
    const it = await rig();
    it.follower.start();
    await Promise.all([it.leader.write(views(3)), it.clock.advance(500)]);
    await Promise.all([it.leader.write(views(3)), it.clock.advance(500)]);
    assert.equal(it.follower.wal.offset?.sequence, 2);
    // The follower has not subscribed to the new stream, and its contents are not here.
    it.follower.client.disconnect();
    const asked = it.broker.connect('asked');
    await it.broker.deleteStream();
    await asked.stream.ensure();
    await asked.stream.publish('ap-south@bbbbbbbbbb', bytesOf(viewChain('ap-south@bbbbbbbbbb', 1)), 0);
    const { receiver } = it.follower;
    const result = drain({ clock: it.clock, stream: asked.stream, receiver }, 2_000);
    await it.clock.advance(2_100);
    assert.equal(await result, false);
    it.follower.client.reconnect();
    await it.clock.until('subscribed', () => it.follower.durable.includes('ap-south'));
    const again = drain({ clock: it.clock, stream: asked.stream, receiver }, 2_000);
    await it.clock.advance(2_100);
    assert.equal(await again, true);
    await it.stop();
  });

  it('an empty stream is drained at once; one that cannot be asked is not', async () => {
    const it = await rig();
    assert.equal(await it.drainFollower(2_000), true);
    await it.broker.kill();
    await it.clock.settle();
    assert.equal(await it.drainFollower(2_000), false);
    await it.stop();
  });
});
