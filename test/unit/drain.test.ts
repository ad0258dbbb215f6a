/** Draining the stream: what a candidate does before it may lead. */
import assert from 'node:assert/strict';
import { drain } from '../../services/region/receive/drain.ts';
import { CoreRegion, views } from '../harness/core-region.ts';
import { ManualClock } from '../harness/manual-clock.ts';
import { MemoryBroker } from '../harness/memory-stream.ts';

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
    drain({ clock, stream: follower.client.stream, receiver: follower.receiver, wal: follower.wal }, limitMs);
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
    assert.equal(drained, undefined, 'the follower has not even attached');
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

  it('an empty stream is drained at once; one that cannot be asked is not', async () => {
    const it = await rig();
    assert.equal(await it.drainFollower(2_000), true);
    await it.broker.kill();
    await it.clock.settle();
    assert.equal(await it.drainFollower(2_000), false);
    await it.stop();
  });
});
