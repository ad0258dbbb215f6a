/** Shipping: what leaves, in what order, and what a lost or late acknowledgement may do. */
import assert from 'node:assert/strict';
import { decodeBatch, splitMessage } from '../../../../services/region/batch/batch.ts';
import { regionOf } from '../../../../shared/protocol/position.ts';
import { internalKeys } from '../../../harness/clients/internal.ts';
import { rawBatch } from '../../../harness/hostile/garbage.ts';
import { ManualClock } from '../../../harness/kernel/manual-clock.ts';
import { bytesOf, viewChain } from '../../../harness/region/batches.ts';
import { CoreRegion, type CoreRegionOptions } from '../../../harness/region/core-region.ts';
import { MemoryBroker } from '../../../harness/stream/memory-stream.ts';

const own = 'us-east@aaaaaaaaaa';
const older = 'us-east@bbbbbbbbbb';
const foreign = 'eu-west@cccccccccc';

interface Rig {
  readonly clock: ManualClock;
  readonly broker: MemoryBroker;
  readonly region: CoreRegion;
}

async function rig(others: readonly string[] = [], options: Partial<CoreRegionOptions> = {}): Promise<Rig> {
  const clock = new ManualClock();
  const broker = new MemoryBroker({ clock });
  const region = new CoreRegion({ region: 'us-east', clock, broker, ...options }, others);
  await clock.settle();
  return { clock, broker, region };
}

/** What the stream holds of an origin, as ranges in stream order. */
function shipped(broker: MemoryBroker, origin: string): [number, number][] {
  return [...(broker.stream?.messages.values() ?? [])]
    .filter((message) => message.origin === origin)
    .flatMap(({ bytes }) => splitMessage(bytes).map(decodeBatch))
    .map(({ first, last }) => [first, last]);
}

async function allShipped({ clock, region }: Rig): Promise<void> {
  await clock.until('all is shipped', () => region.ship.unshipped === 0);
}

describe('shipper', () => {
  it('ships older own tails after a restart as well as the present origin, and never what others accepted', async () => {
    const it = await rig();
    await it.region.wal.append({ batches: viewChain(older, 2) });
    await it.region.wal.append({ batches: viewChain(foreign, 2) });
    await it.region.wal.openOrigin(own, 1);
    await it.region.wal.append({ batches: viewChain(own, 1), own: true });
    it.region.ship.start();
    await allShipped(it);
    assert.deepEqual(shipped(it.broker, older), [
      [1, 5],
      [6, 10],
    ]);
    assert.deepEqual(shipped(it.broker, own), [[1, 5]]);
    assert.deepEqual(shipped(it.broker, foreign), []);
  });

  it('continues with what is kept when the stream lacks what was trimmed here, and counts that as safe', async () => {
    const it = await rig();
    await it.region.wal.append({ batches: viewChain(older, 3) });
    await it.region.wal.trim(older, 10, 1 << 20);
    await it.region.wal.append({ batches: viewChain(own, 2) });
    await it.region.wal.trim(own, 10, 1 << 20);
    it.region.ship.start();
    await allShipped(it);
    assert.deepEqual(shipped(it.broker, older), [[11, 15]]);
    assert.deepEqual(shipped(it.broker, own), [], 'nothing of it is left');
    assert.deepEqual([it.region.ship.acknowledged(older), it.region.ship.acknowledged(own)], [15, 10]);
  });

  it('what is not flushed does not leave (schedule 7)', async () => {
    const it = await rig();
    it.region.ship.start();
    it.region.store.holdFlushes();
    const append = it.region.wal.append({ batches: viewChain(older, 1) });
    await it.clock.settle();
    it.region.ship.notify();
    await it.clock.advance(5_000);
    assert.deepEqual(shipped(it.broker, older), []);
    it.region.store.releaseFlushes();
    await append;
    it.region.ship.notify();
    await allShipped(it);
    assert.deepEqual(shipped(it.broker, older), [[1, 5]]);
  });

  for (const fault of ['lost_ack', 'dropped', 'late'] as const) {
    it(`after a publish without an answer (${fault}) the mark is read again: nothing is missing and nothing is stored twice (schedule 9)`, async () => {
      const it = await rig();
      it.region.client.publishFaults.push(fault);
      await it.region.wal.append({ batches: viewChain(older, 1) });
      it.region.ship.start();
      await it.clock.advance(1_500);
      assert.equal(it.region.ship.healthy, false, 'an acknowledgement is outstanding for more than a second');
      assert.equal(await it.region.ship.confirmed(older, 5, 100, 'local'), false, 'answered at once');
      await it.region.wal.append({ batches: viewChain(older, 3).slice(1) });
      it.region.ship.notify();
      await allShipped(it);
      it.broker.landLate();
      await it.clock.advance(3_000);
      assert.deepEqual(shipped(it.broker, older), [
        [1, 5],
        [6, 10],
        [11, 15],
      ]);
      assert.equal(it.region.ship.healthy, true);
    });
  }

  it('a publish that lands between the read mark and the next publish is met by wrong_last and recovered from (schedule 9)', async () => {
    const it = await rig();
    it.region.client.publishFaults.push('late');
    await it.region.wal.append({ batches: viewChain(older, 2) });
    it.region.ship.start();
    const { stream } = it.region.client;
    const lastOf = stream.lastOf.bind(stream);
    let reads = 0;
    stream.lastOf = async (origin) => {
      const answer = await lastOf(origin);
      if (++reads === 2) it.broker.landLate();
      return answer;
    };
    await allShipped(it);
    assert.ok(reads >= 3, 'the mark was read once more');
    assert.deepEqual(shipped(it.broker, older), [
      [1, 5],
      [6, 10],
    ]);
  });

  it('a stream that does not answer is not healthy between two tries either (schedule 13)', async () => {
    const it = await rig();
    it.region.ship.start();
    await it.region.wal.append({ batches: viewChain(older, 1) });
    await it.region.client.stream.ensure();
    it.broker.pause();
    it.region.ship.notify();
    await it.clock.advance(1_100);
    // The publish times out after 2 s, then the mark is read, without an answer either.
    while (it.region.client.stream.connected) {
      assert.equal(it.region.ship.healthy, false);
      await it.clock.advance(100);
    }
    it.broker.resume();
    await allShipped(it);
    assert.equal(it.region.ship.healthy, true);
    assert.deepEqual(shipped(it.broker, older), [[1, 5]]);
  });

  it('a wiped stream gets everything again after the reconnect, an emptied subject continues from 0 (schedules 5 and 9)', async () => {
    const it = await rig();
    await it.region.wal.append({ batches: viewChain(older, 2) });
    it.region.ship.start();
    await allShipped(it);
    await it.broker.restart({ wiped: true });
    await it.clock.until('shipped again', () => shipped(it.broker, older).length === 2);
    await it.broker.purgeStream();
    await it.region.wal.append({ batches: viewChain(older, 3).slice(2) });
    it.region.ship.notify();
    await it.clock.until('behind the purge', () => shipped(it.broker, older).some(([first]) => first === 11));
  });

  it('an emptied subject is shipped from the lowest position that every other region has, and from 1 when one is unresponsive (schedule 1)', async () => {
    for (const unresponsive of [false, true]) {
      const it = await rig(['eu-west', 'ap-south']);
      const batches = viewChain(older, 4);
      await it.region.wal.append({ batches });
      const peers = ['eu-west', 'ap-south'].map((region) => new CoreRegion({ ...it.region.options, region }));
      it.region.meet(...peers);
      await peers[0]!.wal.append({ batches: batches.slice(0, 3) });
      await peers[1]!.wal.append({ batches: batches.slice(0, 2) });
      peers[1]!.down = unresponsive;
      await it.region.peers.poll();
      it.region.ship.start();
      await allShipped(it);
      assert.equal(shipped(it.broker, older)[0]?.[0], unresponsive ? 1 : 11);
      assert.equal(shipped(it.broker, older).at(-1)?.[1], 20);
    }
  });

  it('an origin that cannot be shipped does not block the others', async () => {
    const it = await rig();
    await it.region.wal.append({ batches: viewChain(older, 1) });
    await it.region.wal.openOrigin(own, 1);
    const { stream } = it.region.client;
    const publish = stream.publish.bind(stream);
    stream.publish = async (origin, bytes, expected) =>
      origin === older ? { failure: 'unknown', detail: 'too large for this server' } : publish(origin, bytes, expected);
    it.region.ship.start();
    await it.region.wal.append({ batches: viewChain(own, 1), own: true });
    it.region.ship.notify();
    await it.clock.until('the other one is shipped', () => shipped(it.broker, own).length === 1, 1_000);
    assert.equal(it.region.ship.unshipped, 5);
  });

  const claimed = [{ kind: 4 }, { kind: 4 }, { kind: 4 }, { kind: 4 }, { kind: 4 }];
  const notOurs: readonly (readonly [what: string, bytes: Uint8Array])[] = [
    ['nothing', new Uint8Array()],
    ['not a batch', Buffer.from('not a batch')],
    ['of a later version', rawBatch({ origin: older, events: claimed, version: 200 })],
    ['a batch of what comes next', rawBatch({ origin: older, events: claimed, first: 11 })],
    ['a batch in the place of our last one', rawBatch({ origin: older, events: claimed, first: 6 })],
    ['a batch of another origin', viewChain(own, 2)[1]!.bytes],
  ];
  for (const [what, bytes] of notOurs) {
    it(`a last message of the subject that is not ours is followed, not believed: ${what}`, async () => {
      const it = await rig();
      await it.region.wal.append({ batches: viewChain(older, 2) });
      await it.region.client.stream.ensure();
      await it.region.client.stream.publish(older, bytes, 0);
      it.region.ship.start();
      await allShipped(it);
      assert.equal(it.broker.stream?.last, 2);
      assert.deepEqual(Buffer.compare(it.broker.stream.messages.get(2)!.bytes, bytesOf(viewChain(older, 2))), 0);
    });
  }

  it('every message carries the MAC of its region; our own batches without one are shipped again', async () => {
    const it = await rig([], { internalKeys });
    const batches = viewChain(older, 2);
    await it.region.wal.append({ batches });
    await it.region.client.stream.ensure();
    await it.region.client.stream.publish(older, bytesOf(batches), 0);
    it.region.ship.start();
    await allShipped(it);
    const message = it.broker.stream?.messages.get(2);
    assert.equal(internalKeys.macFlaw(regionOf(older), message!.bytes, message!.mac), undefined);
    assert.equal(it.broker.stream?.last, 2);
  });

  it('messages hold whole batches within the server’s limit (schedule 10)', async () => {
    const it = await rig();
    const batches = viewChain(older, 30, 400);
    const size = batches[0]!.bytes.length;
    it.broker.payloadLimitBytes = 8 * 1024 + 3 * size + 10;
    await it.broker.restart();
    await it.clock.until('connected', () => it.region.client.stream.connected);
    await it.region.wal.append({ batches });
    it.region.ship.start();
    await allShipped(it);
    const messages = [...it.broker.stream!.messages.values()];
    assert.ok(messages.every(({ bytes }) => bytes.length <= 3 * size + 10));
    assert.equal(Buffer.compare(Buffer.concat(messages.map(({ bytes }) => bytes)), bytesOf(batches)), 0);
  });

  it('partitioned it ships nothing and reports it at once; healed it ships at once (schedule 26)', async () => {
    const it = await rig();
    it.region.ship.start();
    await it.region.ship.setEnabled(false);
    await it.region.wal.append({ batches: viewChain(older, 1) });
    it.region.ship.notify();
    assert.equal(it.region.ship.healthy, false);
    assert.equal(await it.region.ship.confirmed(older, 5, 10_000, 'local'), false);
    await it.clock.advance(10_000);
    assert.deepEqual(shipped(it.broker, older), []);
    assert.equal(it.region.ship.unshipped, 5);
    await it.region.ship.setEnabled(true);
    await it.clock.settle();
    assert.deepEqual(shipped(it.broker, older), [[1, 5]]);
  });

  it('a partition waits for the publish in flight, and for nothing else', async () => {
    const it = await rig();
    await it.region.wal.append({ batches: viewChain(older, 1) });
    it.broker.pause();
    it.region.ship.start();
    await it.clock.settle();
    let cut = false;
    void it.region.ship.setEnabled(false).then(() => {
      cut = true;
    });
    const before = it.clock.monotonicMs();
    await it.clock.until('the cut is in force', () => cut);
    assert.ok(it.clock.monotonicMs() - before <= 2_000);
  });

  it('after stop no timer and no listener is left', async () => {
    const it = await rig();
    await it.region.wal.append({ batches: viewChain(older, 1) });
    it.region.client.publishFaults.push('dropped');
    it.region.ship.start();
    await it.clock.advance(2_100);
    await it.region.ship.stop();
    assert.equal(it.clock.pending, 0);
    const { publishes } = it.region.client;
    await it.broker.restart({ wiped: true });
    await it.clock.advance(5_000);
    assert.equal(it.region.client.publishes, publishes);
  });
});
