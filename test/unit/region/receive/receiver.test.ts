/** Receiving: where to start, what to take, what to skip, when to subscribe anew. */
import assert from 'node:assert/strict';
import { crc32 } from 'node:zlib';
import { type Batch, chainHash, NO_PREDECESSOR } from '../../../../services/region/batch/batch.ts';
import type { SubscriptionEnd } from '../../../../shared/stream/stream.ts';
import { internalKeys } from '../../../harness/clients/internal.ts';
import { garbageFor, rawBatch, rawSignal } from '../../../harness/hostile/garbage.ts';
import { ManualClock } from '../../../harness/kernel/manual-clock.ts';
import { bytesOf, chainOf, viewChain, viewEvent } from '../../../harness/region/batches.ts';
import { CoreRegion, type CoreRegionOptions } from '../../../harness/region/core-region.ts';
import { schemaOf } from '../../../harness/region/rank/signals-schema.ts';
import type { MemoryClient } from '../../../harness/stream/memory-client.ts';
import { MemoryBroker } from '../../../harness/stream/memory-stream.ts';

const a = 'us-east@aaaaaaaaaa';
const b = 'ap-south@bbbbbbbbbb';

interface Rig {
  readonly clock: ManualClock;
  readonly broker: MemoryBroker;
  readonly region: CoreRegion;
  readonly sender: MemoryClient;
  /** Publishes batches as one message, in the place the subject's last one gives. */
  send(...batches: readonly Batch[]): Promise<void>;
  position(expected: string): Promise<void>;
}

async function rig(options: Partial<CoreRegionOptions> = {}): Promise<Rig> {
  const clock = new ManualClock();
  const broker = new MemoryBroker({ clock });
  const sender = broker.connect('sender');
  await clock.settle();
  await sender.stream.ensure();
  const region = new CoreRegion({ region: 'eu-west', clock, broker, ...options });
  await clock.settle();
  return {
    clock,
    broker,
    region,
    sender,
    async send(...batches) {
      const { origin } = batches[0]!;
      const expected = (await sender.stream.lastOf(origin))?.sequence ?? 0;
      const result = await sender.stream.publish(origin, bytesOf(batches), expected);
      assert.ok('sequence' in result, JSON.stringify(result));
    },
    async position(expected) {
      await clock.until(`the position is ${expected}`, () => region.durable === expected);
      assert.equal(region.applied, expected);
    },
  };
}

/** The region as it starts again from its disk. */
function restarted(it: Rig): Rig {
  const region = it.region.crash();
  return {
    ...it,
    region,
    async position(expected) {
      await it.clock.until(`the position is ${expected}`, () => region.durable === expected);
    },
  };
}

async function offsetStored(it: Rig, sequence: number): Promise<void> {
  await it.clock.until(`the offset ${sequence} is stored`, () => it.region.wal.offset?.sequence === sequence, 10_000);
}

describe('receiver', () => {
  it('takes what is next, skips what it has, per batch, and stores the offset with what it took', async () => {
    const it = await rig();
    const batches = viewChain(a, 4);
    await it.region.wal.append({ batches: batches.slice(0, 1) });
    it.region.apply.apply(batches.slice(0, 1));
    it.region.receiver.start();
    await it.send(batches[0]!, batches[1]!);
    await it.position(`${a}:10`);
    assert.equal(it.region.wal.offset?.sequence, 1);
    await it.send(batches[1]!, batches[2]!, batches[3]!);
    await it.position(`${a}:20`);
    assert.equal(it.region.ledger.read(1, 'view', it.clock.nowMs())?.count, 20, 'each event once');
    assert.deepEqual(
      { ...it.region.wal.offset, created: undefined },
      { sequence: 2, origin: a, last: 20, created: undefined },
    );
  });

  it('messages that are received during a flush are appended together by the next one, and the offset is the last one’s', async () => {
    const it = await rig();
    it.region.receiver.start();
    await it.clock.until('subscribed', () => it.region.subscriptions === 1);
    const { commits } = it.region.store;
    it.region.store.holdFlushes();
    for (const batch of viewChain(a, 20)) await it.send(batch);
    await it.send(...viewChain(b, 3));
    await it.clock.advance(1_000);
    assert.deepEqual([it.region.durable, it.region.applied, it.region.receiver.delivered], ['', '', 0]);
    it.region.store.releaseFlushes();
    await it.position(`${b}:15,${a}:100`);
    assert.equal(it.region.store.commits - commits, 2, 'the first message, then all that waited');
    assert.deepEqual([it.region.wal.offset?.sequence, it.region.receiver.delivered], [21, 21]);
  });

  it('a message of a later version is judged by the position behind the unflushed messages before it', async () => {
    const it = await rig();
    const [first, second, later] = viewChain(a, 3) as [Batch, Batch, Batch];
    const bytes = Buffer.from(later.bytes);
    bytes[2] = 9;
    it.region.receiver.start();
    await it.clock.until('subscribed', () => it.region.subscriptions === 1);
    it.region.store.holdFlushes();
    await it.send(first);
    await it.send(second);
    await it.send({ ...later, bytes });
    await it.clock.advance(1_000);
    it.region.store.releaseFlushes();
    await it.clock.until('refused', () => it.region.refused.length > 0);
    assert.deepEqual(it.region.gaps, [{ origin: a, first: 12, upTo: 11 }]);
    await it.send(...viewChain(b, 1));
    await it.position(`${b}:5,${a}:10`);
    await it.clock.advance(10_000);
    assert.equal(it.region.wal.offset?.sequence, 2, 'an upgraded region reads it again');
  });

  it('consumes its own origins too, so that a demoted leader does not replay ancient history (schedule 33)', async () => {
    const own = 'eu-west@cccccccccc';
    const it = await rig();
    const batches = viewChain(own, 3);
    await it.region.wal.append({ batches });
    it.region.apply.apply(batches);
    await it.send(...batches);
    it.region.receiver.start();
    await offsetStored(it, 1);
    const again = restarted(it);
    again.region.receiver.start();
    await it.clock.until('subscribed', () => again.region.subscriptions === 1);
    assert.equal(again.region.receiver.delivered, 1, 'from behind its offset');
  });

  it('skips a gap, continues with other origins, and the stored offset stays before it until it is filled', async () => {
    const it = await rig();
    const batches = viewChain(a, 4);
    it.region.receiver.start();
    await it.send(batches[0]!);
    await it.send(batches[2]!);
    await it.send(...viewChain(b, 2));
    await it.position(`${b}:10,${a}:5`);
    await it.clock.advance(5_000);
    assert.deepEqual(it.region.gaps, [{ origin: a, first: 11 }]);
    assert.equal(it.region.wal.offset?.sequence, 1);
    const after = restarted(it);
    assert.equal(after.region.wal.offset?.sequence, 1, 'a restart reads the passed-over batch again');
    after.region.receiver.start();
    await after.region.ingest.take([batches[1]!]);
    await after.position(`${b}:10,${a}:15`);
    await offsetStored(after, 3);
  });

  it('batches behind a filled hole are read again from the stream, which may be the only one to have them', async () => {
    const it = await rig();
    const batches = viewChain(a, 4);
    it.region.receiver.start();
    await it.send(batches[1]!);
    await it.send(batches[2]!, batches[3]!);
    await it.clock.until('passed over', () => it.region.gaps.length === 3);
    await it.region.ingest.take([batches[0]!]);
    await it.position(`${a}:20`);
    await offsetStored(it, 2);
    const { subscriptions } = it.region;
    await it.clock.advance(10_000);
    assert.equal(it.region.subscriptions, subscriptions, 'and no further subscription was needed');
  });

  describe('a stored offset is a hint (schedule 2)', () => {
    /** A region at offset 3 of a stream with five messages of `a`, not running. */
    async function standing(): Promise<Rig & { batches: Batch[] }> {
      const it = await rig();
      const batches = viewChain(a, 9);
      it.region.receiver.start();
      for (const batch of batches.slice(0, 3)) await it.send(batch);
      await it.position(`${a}:15`);
      await it.region.stop();
      for (const batch of batches.slice(3, 5)) await it.send(batch);
      return { ...it, batches };
    }

    async function subscribedFrom(it: Rig): Promise<number> {
      const { stream } = it.region.client;
      const subscribe = stream.subscribe.bind(stream);
      let from = 0;
      stream.subscribe = (options) => {
        from ||= options.from;
        return subscribe(options);
      };
      it.region.receiver.start();
      await it.clock.until('subscribed', () => it.region.subscriptions > 0);
      return from;
    }

    it('on the same stream it continues behind it', async () => {
      const it = await standing();
      const again = restarted(it);
      assert.equal(await subscribedFrom(again), 4);
      await again.position(`${a}:25`);
    });

    it('a recreated stream is read from its first message, also when it has grown beyond the offset', async () => {
      for (const count of [2, 9]) {
        const it = await standing();
        await it.sender.stream.ensure();
        await it.broker.deleteStream();
        await it.sender.stream.ensure();
        for (const batch of it.batches.slice(9 - count)) await it.send(batch);
        const again = restarted(it);
        assert.equal(await subscribedFrom(again), 1);
        if (count === 9) await again.position(`${a}:45`);
        else await it.clock.until('the hole was met', () => again.region.gaps.length > 0);
      }
    });

    it('a restored older copy, with the same `created`, whose sequences name other messages now', async () => {
      const it = await rig();
      const batches = viewChain(a, 4);
      const others = viewChain(b, 5);
      await it.send(batches[0]!);
      const copy = it.broker.copy();
      it.region.receiver.start();
      for (const batch of batches.slice(1)) await it.send(batch);
      await it.position(`${a}:20`);
      const { created } = await it.sender.stream.info();
      await it.region.stop();
      await it.broker.restart({ from: copy });
      await it.clock.until('connected', () => it.sender.stream.connected);
      for (const batch of others) await it.send(batch);
      assert.equal((await it.sender.stream.info()).created, created);
      assert.equal((await it.sender.stream.info()).last, 6, 'beyond the offset 4');
      const again = restarted(it);
      assert.equal(await subscribedFrom(again), 1);
      await again.position(`${b}:25,${a}:20`);
    });

    it('a restored older copy that ends before the offset: a quiet origin’s missing batches show no gap, so it starts anew', async () => {
      const it = await rig();
      const batches = viewChain(a, 3);
      await it.send(batches[0]!);
      const copy = it.broker.copy();
      it.region.receiver.start();
      for (const batch of batches.slice(1)) await it.send(batch);
      await it.position(`${a}:15`);
      await it.region.stop();
      await it.broker.restart({ from: copy });
      await it.clock.until('connected', () => it.sender.stream.connected);
      const again = restarted(it);
      assert.equal(await subscribedFrom(again), 1);
      await it.send(...viewChain(b, 1));
      await again.position(`${b}:5,${a}:15`);
    });

    it('an offset below the first message starts at the first', async () => {
      const it = await standing();
      await it.broker.purgeStream(5);
      const again = restarted(it);
      assert.equal(await subscribedFrom(again), 5);
      await it.clock.until('the trimmed part is a gap', () => again.region.gaps.length === 1);
    });

    it('never asks beyond the end: a purged stream is joined at its next message', async () => {
      const it = await standing();
      await it.broker.purgeStream();
      const again = restarted(it);
      assert.equal(await subscribedFrom(again), 6);
      await it.send(...viewChain(b, 1));
      await again.position(`${b}:5,${a}:15`);
    });
  });

  describe('subscribes anew on any doubt (schedule 3)', () => {
    for (const reason of ['disconnected', 'consumer_gone', 'stream_gone', 'heartbeats_missed', 'error'] as const) {
      it(`unsubscribed: ${reason}`, async () => {
        const it = await rig();
        const batches = viewChain(a, 2);
        it.region.receiver.start();
        await it.send(batches[0]!);
        await it.position(`${a}:5`);
        it.region.client.endSubscriptions(reason satisfies SubscriptionEnd);
        await it.send(batches[1]!);
        await it.position(`${a}:10`);
        assert.equal(it.region.subscriptions, 2);
      });
    }

    it('a consumer that delivers nothing while the stream grows', async () => {
      const it = await rig();
      const batches = viewChain(a, 2);
      it.region.receiver.start();
      await it.send(batches[0]!);
      await it.position(`${a}:5`);
      it.region.client.stallSubscriptions();
      await it.send(batches[1]!);
      const before = it.clock.monotonicMs();
      await it.position(`${a}:10`);
      assert.ok(it.clock.monotonicMs() - before <= 5_000);
    });

    it('a stream deleted under the connection is recreated, and later messages are accepted', async () => {
      const it = await rig();
      it.region.receiver.start();
      await it.send(viewChain(a, 1)[0]!);
      await it.position(`${a}:5`);
      await it.broker.deleteStream();
      await it.clock.until('made anew', () => it.broker.stream !== undefined);
      await it.send(...viewChain(a, 2));
      await it.position(`${a}:10`);
    });

    it('a stream wiped with its server, behind a quiet disconnect', async () => {
      const it = await rig();
      it.region.receiver.start();
      for (const batch of viewChain(a, 3)) await it.send(batch);
      await it.position(`${a}:15`);
      await it.broker.restart({ wiped: true });
      await it.clock.until('made anew', () => it.broker.stream !== undefined);
      await it.send(...viewChain(b, 1));
      await it.position(`${b}:5,${a}:15`);
    });

    it('a quiet stream is not doubted', async () => {
      const it = await rig();
      it.region.receiver.start();
      await it.send(...viewChain(a, 1));
      await it.position(`${a}:5`);
      await it.clock.advance(120_000);
      assert.equal(it.region.subscriptions, 1);
    });
  });

  describe('takes nothing more of an origin, rather than skip', () => {
    it('at a signal its schema lacks (schedule 24)', async () => {
      const it = await rig({ schema: schemaOf(['skip', 'negative', 3_600]) });
      it.region.receiver.start();
      await it.send(...viewChain(a, 1));
      await it.clock.until('stopped', () => it.region.stopped.length > 0);
      assert.equal(it.region.stopped[0]?.code, 'schema_behind');
      assert.match(it.region.stopped[0]?.detail ?? '', /us-east@aaaaaaaaaa:1-5 .*"view"/);
      const known = chainOf({ origin: b }, [[{ ...viewEvent(1), signal: 'skip' } as never]]);
      await it.send(...known);
      await it.position(`${b}:1`);
      await it.clock.advance(10_000);
      assert.equal(it.region.wal.offset, undefined, 'the stream may be the only one that has what was passed over');
      assert.equal(it.region.subscriptions, 1, 'reading it again does not help before an upgrade');
      assert.equal(it.region.fatal.length, 0);
    });

    it('at an embedding of another length', async () => {
      const it = await rig();
      it.region.receiver.start();
      const hlc = viewEvent(1).hlc;
      await it.send(...chainOf({ origin: a }, [[{ kind: 'embedding', hlc, entity: 1, values: Float32Array.of(1) }]]));
      await it.clock.until('stopped', () => it.region.stopped.length > 0);
      assert.equal(it.region.stopped[0]?.code, 'schema_behind');
    });

    it('at a format it does not know, and continues from there once upgraded', async () => {
      const it = await rig();
      const batches = viewChain(a, 2);
      it.region.receiver.start();
      await it.send(batches[0]!);
      await it.send(batches[1]!);
      await it.position(`${a}:10`);
      const later = viewChain(b, 1)[0]!;
      const bytes = Buffer.from(later.bytes);
      bytes[2] = 9;
      await it.send({ ...later, bytes });
      await it.clock.until('refused', () => it.region.refused.length > 0);
      assert.deepEqual(it.region.refused, ['later_version']);
      assert.deepEqual(it.region.gaps, [{ origin: b, first: 2, upTo: 1 }], 'a peer is asked');
      await it.clock.advance(10_000);
      assert.equal(it.region.wal.offset?.sequence, 2);
      assert.equal(it.region.subscriptions, 1);
      it.broker.damage(3, () => later.bytes);
      const upgraded = restarted(it);
      upgraded.region.receiver.start();
      await upgraded.position(`${b}:5,${a}:10`);
    });

    it('at a batch that does not chain to what is here, also within one message (schedule 10)', async () => {
      for (const sameMessage of [false, true]) {
        const it = await rig();
        const [first] = viewChain(a, 1) as [Batch];
        const [, fork] = chainOf({ origin: a }, [[1, 2, 3, 4, 5].map((n) => viewEvent(n, 99)), [viewEvent(6)]]) as [
          Batch,
          Batch,
        ];
        it.region.receiver.start();
        if (sameMessage) await it.send(first, fork);
        else {
          await it.send(first);
          await it.send(fork);
        }
        await it.clock.until('refused', () => it.region.refused.length > 0);
        assert.deepEqual(it.region.refused, ['not_next']);
        await it.clock.until('a peer is asked', () =>
          it.region.gaps.some(({ origin, first }) => origin === a && first === 6),
        );
        assert.equal(it.region.durable, `${a}:5`);
        assert.equal(it.region.fatal.length, 0, 'what others send does not end this process');
      }
    });

    it('at a batch of another epoch than its origin', async () => {
      const it = await rig();
      const [first] = viewChain(a, 1) as [Batch];
      const { events } = viewChain(a, 2)[1]!;
      const [, other] = chainOf({ origin: a, epoch: 1 }, [first.events, events]) as [Batch, Batch];
      it.region.receiver.start();
      const [changed] = relabelled(other, 2);
      await it.send(first, changed!);
      await it.clock.until('refused', () => it.region.refused.length > 0);
      assert.deepEqual(it.region.refused, ['not_next']);
      assert.match(it.region.ingest.refused?.detail ?? '', /epoch 2/);
      assert.equal(it.region.fatal.length, 0);
    });
  });

  it('a damaged message is skipped, repair is asked, and other origins continue', async () => {
    const it = await rig();
    const batches = viewChain(a, 2);
    await it.send(batches[0]!);
    it.broker.damage(1, (bytes) => {
      bytes[50]! ^= 4;
      return bytes;
    });
    await it.send(...viewChain(b, 1));
    it.region.receiver.start();
    await it.position(`${b}:5`);
    assert.deepEqual(it.region.gaps, [{ origin: a, first: 1 }]);
    assert.equal(it.region.stopped.length, 0);
    await it.region.ingest.take([batches[0]!]);
    await it.send(batches[1]!);
    await it.position(`${b}:5,${a}:10`);
    await it.clock.advance(10_000);
    assert.equal(it.region.subscriptions, 1, 'reading it again would not help');
    assert.equal(it.region.wal.offset?.sequence, 3);
  });

  it('whatever is published, nothing of it is taken, no origin stops, and what regions publish is', async () => {
    const it = await rig();
    it.region.receiver.start();
    await it.send(viewChain(a, 1)[0]!);
    await it.position(`${a}:5`);
    const chain = it.region.wal.origin(a)!.chain;
    const garbage = garbageFor({ origin: a, first: 6, chain }).filter(({ origin }) => /^[a-z0-9@-]+$/.test(origin));
    for (const { origin, bytes } of garbage) {
      const expected = (await it.sender.stream.lastOf(origin))?.sequence ?? 0;
      assert.ok('sequence' in (await it.sender.stream.publish(origin, bytes, expected)));
    }
    await it.send(...viewChain(b, 1));
    await it.position(`${b}:5,${a}:5`);
    assert.ok(it.region.refused.length >= garbage.length - 1, `${it.region.refused.length} refused`);
    await it.send(viewChain(a, 2)[1]!);
    await it.position(`${b}:5,${a}:10`);
    await it.clock.until('the offset is stored', () => it.region.wal.offset?.sequence === garbage.length + 3, 10_000);
    assert.deepEqual([it.region.stopped.length, it.region.fatal.length, it.region.subscriptions], [0, 0, 1]);
    assert.equal(
      it.region.crash().durable,
      `${b}:5,${a}:10`,
      'nor is anything in the log that a start could not replay',
    );
  });

  it('a message without the MAC of its region is refused, and repair is asked for the right one; known ones are not checked', async () => {
    const it = await rig({ internalKeys });
    it.region.receiver.start();
    const [first, second, third] = viewChain(a, 3).map(({ bytes }) => bytes) as [Uint8Array, Uint8Array, Uint8Array];
    let last = 0;
    const publish = async (bytes: Uint8Array, mac?: string): Promise<void> => {
      const result = await it.sender.stream.publish(a, bytes, last, mac);
      assert.ok('sequence' in result);
      last = result.sequence;
    };
    await publish(first, internalKeys.macOf('us-east', first));
    await it.position(`${a}:5`);
    await publish(first);
    for (const mac of [undefined, internalKeys.macOf('eu-west', second), internalKeys.macOf('us-east', third)]) {
      await publish(second, mac);
    }
    await publish(Buffer.from('no batch'));
    await publish(rawBatch({ origin: a, events: [rawSignal(1)], first: 6, version: 200 }));
    await it.clock.until('refused', () => it.region.refused.length === 5);
    assert.deepEqual(new Set(it.region.refused), new Set(['forged']));
    assert.deepEqual(it.region.gaps.at(-1), { origin: a, first: 6 });
    assert.deepEqual([it.region.durable, it.region.stopped.length], [`${a}:5`, 0]);
    await publish(second, internalKeys.macOf('us-east', second));
    await it.position(`${a}:10`);
    await it.clock.until('the offset is stored', () => it.region.wal.offset?.sequence === last, 10_000);
  });

  it('a batch under the subject of another origin is damage', async () => {
    const it = await rig();
    it.region.receiver.start();
    await it.sender.stream.publish(b, viewChain(a, 1)[0]!.bytes, 0);
    await it.clock.until('passed over', () => it.region.gaps.length > 0);
    assert.equal(it.region.durable, '');
  });

  it('a failed flush ends the process; a full disk does not, and what was refused is accepted when there is free space', async () => {
    const it = await rig();
    const batches = viewChain(a, 2);
    it.region.receiver.start();
    await it.clock.until('subscribed', () => it.region.subscriptions === 1);
    it.region.store.failNext('storage_full');
    await it.send(batches[0]!);
    await it.position(`${a}:5`);
    assert.equal(it.region.fatal.length, 0);
    it.region.store.failNext('storage_failed');
    await it.send(batches[1]!);
    await it.clock.until('ended', () => it.region.fatal.length > 0);
    assert.equal(it.region.durable, `${a}:5`);
  });

  it('partitioned it receives nothing; healed it continues from its offset; partitioned and healed at once it stays subscribed', async () => {
    const it = await rig();
    const batches = viewChain(a, 3);
    it.region.receiver.start();
    await it.send(batches[0]!);
    await it.position(`${a}:5`);
    let cut = false;
    void it.region.receiver.setEnabled(false).then(() => {
      cut = true;
    });
    await it.clock.until('cut', () => cut, 1_000);
    await it.send(batches[1]!);
    await it.clock.advance(10_000);
    assert.equal(it.region.durable, `${a}:5`);
    void it.region.receiver.setEnabled(true);
    await it.position(`${a}:10`);
    let both = 0;
    const count = (): void => {
      both++;
    };
    void it.region.receiver.setEnabled(false).then(count);
    void it.region.receiver.setEnabled(true).then(count);
    await it.clock.until('both are answered', () => both === 2, 1_000);
    await it.send(batches[2]!);
    await it.position(`${a}:15`);
  });

  it('stopped while subscribing, no timer, listener or consumer is left', async () => {
    for (const settled of [false, true]) {
      const it = await rig();
      await it.send(...viewChain(a, 1));
      it.region.receiver.start();
      if (settled) await it.clock.advance(500);
      let over = false;
      void it.region.receiver.stop().then(() => {
        over = true;
      });
      await it.clock.until('stopped', () => over, 1_000);
      assert.equal(it.clock.pending, 0);
      assert.equal(it.region.client.subscriptions.size, 0);
    }
  });
});

/** The batch as if its origin had another epoch, its checksum right. */
function relabelled(batch: Batch, epoch: number): Batch[] {
  const [first, second] = chainOf({ origin: batch.origin, epoch }, [
    Array.from({ length: batch.first - 1 }, (_, n) => viewEvent(n + 1)),
    batch.events,
  ]) as [Batch, Batch];
  const [original] = chainOf({ origin: batch.origin }, [first.events]) as [Batch];
  const bytes = Buffer.from(second.bytes);
  bytes.set(chainHash(original.bytes) ?? NO_PREDECESSOR, 12);
  return [{ ...second, bytes: resealed(bytes) }];
}

function resealed(bytes: Buffer): Buffer {
  bytes.writeUInt32LE(crc32(bytes.subarray(12)), 8);
  return bytes;
}
