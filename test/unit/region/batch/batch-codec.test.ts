/** The batch codec: what it refuses, and the limits it keeps. */
import assert from 'node:assert/strict';
import { crc32 } from 'node:zlib';
import {
  chainHash,
  DamagedBatch,
  decodeBatch,
  decodeHeader,
  eventBytes,
  NO_PREDECESSOR,
  newestMsOf,
  splitMessage,
  UnknownFormat,
} from '../../../../services/region/batch/batch.ts';
import { BatchBuilder } from '../../../../services/region/intake/batch-builder.ts';
import {
  acceptedMs,
  BATCH_LIMIT_BYTES,
  BATCH_LIMIT_EVENTS,
  EVENT_LIMIT_BYTES,
  type Event,
  HLC_PER_MS,
  RETRACTED_AHEAD_LIMIT_MS,
} from '../../../../shared/protocol/events.ts';
import { bytesOf, chainOf, startMs, viewChain, viewEvent } from '../../../harness/region/batches.ts';

const origin = 'us-east@aaaaaaaaaa';
const hlc = startMs * HLC_PER_MS;
const one: Event[] = [
  viewEvent(1),
  { kind: 'signal', hlc: hlc + 2, entity: 2, signal: 'skip', weight: 0, timeMs: startMs - 5_000 },
  {
    kind: 'item',
    hlc: hlc + 3,
    entity: 2 ** 53 - 1,
    metadata: { title: 'ä\u0000"', year: 1999.5, ok: true, tags: ['x'] },
  },
  { kind: 'delete', hlc: hlc + 4, entity: 0 },
  { kind: 'embedding', hlc: hlc + 5, entity: 3, values: Float32Array.of(0.1, -2.5) },
];
const key = { id: Buffer.alloc(16, 0xfb).toString('base64url'), bodyHash: Buffer.alloc(8, 1).toString('base64url') };
const keyed: Event[] = one.map((event) => ({ ...event, key }));

/** Sets one byte and makes the checksum right again: what a later version, not damage, would look like. */
function resealed(bytes: Uint8Array, at: number, value: number): Uint8Array {
  const copy = Buffer.from(bytes);
  copy[at] = value;
  copy.writeUInt32LE(crc32(copy.subarray(12)), 8);
  return copy;
}

describe('batch codec', () => {
  it('gives back what was put in, header and events', () => {
    const [batch] = chainOf({ origin, epoch: 7 }, [one]);
    const decoded = decodeBatch(batch!.bytes);
    assert.deepEqual(decoded.events, one);
    assert.deepEqual([decoded.origin, decoded.epoch, decoded.first, decoded.last], [origin, 7, 1, 5]);
    assert.equal(decoded.schemaHash, '0123456789abcdef');
    assert.equal(decodeHeader(batch!.bytes).last, 5);
  });

  it('a batch of an ordinary clock is written byte for byte as it always was', () => {
    const [plain] = chainOf({ origin, epoch: 7 }, [one]);
    const [withKeys] = chainOf({ origin, epoch: 7 }, [keyed]);
    assert.equal(
      Buffer.from(plain!.bytes).toString('hex'),
      '54420100af000000be538de7000000000000000000000000000000000123456789abcdef1275732d656173744061616161616161616161070105818080b790f4ae0602047669657704736b697001000100e807020102010088270301ffffffffffffff0f3b7b227469746c65223a22c3a45c75303030305c22222c2279656172223a313939392e352c226f6b223a747275652c2274616773223a5b2278225d7d04010005010302cdcccc3d000020c0',
    );
    assert.equal(Buffer.from(withKeys!.hash).toString('hex'), '8078a975fdca709ae1608e834d324c16');
  });

  it('a batch whose HLC is ahead says by how much: order by the HLC, times by the wall clock, by event and by column', () => {
    const aheadMs = 30 * 86_400_000;
    const wallMs = startMs - aheadMs;
    const late = [
      { ...viewEvent(1), aheadMs, timeMs: wallMs },
      { ...viewEvent(2), aheadMs, timeMs: wallMs - 5_000 },
    ] as Event[];
    const item: Event = { kind: 'item', hlc: hlc + 3, entity: 4, metadata: {}, aheadMs };
    const [mixed, signals] = [[...late, item], late].map((events) => {
      const builder = new BatchBuilder(aheadMs);
      for (const event of events) assert.equal(builder.add(event), true);
      return builder.build({ origin, epoch: 1, first: 1, schemaHash: '0'.repeat(16), chain: NO_PREDECESSOR });
    });
    assert.equal(mixed!.bytes[2], 2, 'format 2: a program that knows only format 1 stops, and misreads nothing');
    const decoded = decodeBatch(mixed!.bytes);
    assert.deepEqual(decoded.events, [...late, item]);
    assert.deepEqual(decoded.events.map(acceptedMs), [wallMs, wallMs, wallMs]);
    assert.equal(newestMsOf(decoded), wallMs);
    const columns = decodeBatch(signals!.bytes).signals!;
    assert.deepEqual([...columns.timesMs], [wallMs, wallMs - 5_000]);
    const builder = new BatchBuilder(aheadMs);
    assert.equal(builder.addSignals({ ...columns, timesMs: Float64Array.of(Infinity, wallMs - 5_000) }, 0, hlc + 1), 2);
    const header = { origin, epoch: 1, first: 1, schemaHash: '0'.repeat(16), chain: NO_PREDECESSOR };
    assert.deepEqual(builder.build(header).bytes, signals!.bytes);
    assert.throws(() => builder.add(viewEvent(9)), /accepted at one moment/);
  });

  it('a clock that was ahead by nothing, or by more than there was time, is damage', () => {
    const builder = new BatchBuilder(1);
    builder.add({ kind: 'delete', hlc: HLC_PER_MS, entity: 1, aheadMs: 1 });
    const { bytes } = builder.build({ origin, epoch: 1, first: 1, schemaHash: '0'.repeat(16), chain: NO_PREDECESSOR });
    const at = bytes.length - 5;
    assert.equal(bytes[at], 1, 'where the field lies');
    assert.equal(acceptedMs(decodeBatch(bytes).events[0]!), 0);
    for (const ms of [0, 2]) assert.throws(() => decodeBatch(resealed(bytes, at, ms)), DamagedBatch);
  });

  it('writes the values of an embedding as little-endian floats, whatever the machine', () => {
    const [batch] = chainOf({ origin, epoch: 7 }, [
      [{ ...viewEvent(1), kind: 'embedding', values: Float32Array.of(1, -2) }],
    ]);
    assert.equal(Buffer.from(batch!.bytes.subarray(-8)).toString('hex'), '0000803f000000c0');
  });

  it('gives back the idempotency keys of events, next to events without', () => {
    const mixed = [...one, ...keyed.map((event, index): Event => ({ ...event, hlc: hlc + 10 + index }))];
    const [batch] = chainOf({ origin }, [mixed]);
    assert.deepEqual(decodeBatch(batch!.bytes).events, mixed);
    const size = (events: readonly Event[]): number => chainOf({ origin }, [events])[0]!.bytes.length;
    assert.equal(size(keyed) - size(one), 24 * one.length);
    for (const [index, event] of keyed.entries()) assert.equal(eventBytes(event) - eventBytes(one[index]!), 24);
  });

  it('no single flipped bit goes unnoticed', () => {
    const [batch] = chainOf({ origin }, [one]);
    const { bytes } = batch!;
    for (let bit = 0; bit < bytes.length * 8; bit++) {
      const flipped = Buffer.from(bytes);
      flipped[bit >> 3]! ^= 1 << (bit & 7);
      assert.throws(
        () => decodeBatch(flipped),
        (error) => error instanceof DamagedBatch || error instanceof UnknownFormat,
        `bit ${bit & 7} of byte ${bit >> 3}`,
      );
    }
  });

  it('no truncated or lengthened batch goes unnoticed', () => {
    const { bytes } = chainOf({ origin }, [one])[0]!;
    for (let length = 0; length < bytes.length; length++)
      assert.throws(() => decodeBatch(bytes.subarray(0, length)), DamagedBatch);
    assert.throws(() => decodeBatch(Buffer.concat([bytes, Buffer.of(0)])), DamagedBatch);
  });

  it('a later format or event kind is an unknown format, not damage (schedule 24)', () => {
    const { bytes } = chainOf({ origin }, [[{ kind: 'delete', hlc, entity: 1 }]])[0]!;
    for (const version of [0, 3, 255]) assert.throws(() => decodeBatch(resealed(bytes, 2, version)), UnknownFormat);
    const kindAt = bytes.length - 3;
    assert.equal(bytes[kindAt], 4, 'where the kind of the only event lies');
    for (const kind of [0, 8, 9, 0x80, 0x88, 0xff]) {
      assert.throws(() => decodeBatch(resealed(bytes, kindAt, kind)), UnknownFormat, `kind ${kind}`);
    }
  });

  it('a retraction is read back, also one of a time ahead of its clock; one without a key is refused', () => {
    const key = { id: 'AAAAAAAAAAAAAAAAAAAAAA', bodyHash: 'AAAAAAAAAAA' };
    const values = { hlc, entity: 1, signal: 'view', weight: 2_500, key } as const;
    const upToMs = acceptedMs(values);
    const events: Event[] = [
      { kind: 'signal', ...values, timeMs: upToMs - 5 },
      { kind: 'retraction', ...values, upToMs },
      { kind: 'retraction', ...values, upToMs: upToMs + 90_000 },
    ];
    const { bytes } = chainOf({ origin }, [events])[0]!;
    assert.deepEqual(decodeBatch(bytes).events, events);
    const last = chainOf({ origin }, [events.slice(1, 2)])[0]!.bytes;
    const kindAt = last.length - 31;
    assert.equal(last[kindAt], 0x87, 'where the kind of the only event lies');
    const unkeyed = Buffer.concat([last.subarray(0, kindAt + 3), last.subarray(kindAt + 27)]);
    unkeyed.writeUInt32LE(unkeyed.length, 4);
    assert.throws(() => decodeBatch(resealed(unkeyed, kindAt, 7)), /a retraction has no key/);
  });

  it('a retraction takes back no further ahead of its acceptance than a request and clocks that agree can reach', () => {
    const values = { hlc, entity: 1, signal: 'view', weight: 2_500, key } as const;
    const limitMs = acceptedMs(values) + RETRACTED_AHEAD_LIMIT_MS;
    const { bytes } = chainOf({ origin }, [[{ kind: 'retraction', ...values, upToMs: limitMs }]])[0]!;
    assert.deepEqual(decodeBatch(bytes).events, [{ kind: 'retraction', ...values, upToMs: limitMs }]);
    const beyond: Event = { kind: 'retraction', ...values, upToMs: limitMs + 1 };
    assert.throws(() => chainOf({ origin }, [[beyond]]), /a retraction can be read back/);
    assert.notEqual(bytes.at(-5)! & 0x7f, 0x7f, 'one more needs no carry');
    const later = resealed(bytes, bytes.length - 5, bytes.at(-5)! + 1);
    assert.throws(() => decodeBatch(later), /a retraction takes back more than seven days beyond its acceptance/);
  });

  it('a message splits into exactly its batches, and a torn one is damage', () => {
    const batches = viewChain(origin, 3);
    const message = bytesOf(batches);
    assert.deepEqual(
      splitMessage(message).map((bytes) => decodeBatch(bytes).first),
      [1, 6, 11],
    );
    assert.deepEqual(splitMessage(new Uint8Array()), []);
    assert.throws(() => splitMessage(message.subarray(0, message.length - 1)), DamagedBatch);
    assert.throws(() => splitMessage(Buffer.concat([message, Buffer.of(1, 2, 3)])), DamagedBatch);
  });

  it('a batch holds at most 5,000 events; the one that does not fit leaves it as it was', () => {
    const builder = new BatchBuilder();
    for (let n = 1; n <= BATCH_LIMIT_EVENTS; n++) assert.equal(builder.add(viewEvent(n)), true);
    assert.equal(builder.add(viewEvent(BATCH_LIMIT_EVENTS + 1)), false);
    const batch = builder.build({ origin, epoch: 1, first: 1, schemaHash: '0'.repeat(16), chain: NO_PREDECESSOR });
    assert.equal(decodeBatch(batch.bytes).events.length, BATCH_LIMIT_EVENTS);
  });

  it('a batch has at most 512 KiB, and the largest event fits in one (schedule 10)', () => {
    const fill = EVENT_LIMIT_BYTES - eventBytes({ kind: 'item', entity: 1, metadata: { t: '' } });
    const whole = { kind: 'item' as const, entity: 1, metadata: { t: 'x'.repeat(fill) } };
    assert.equal(eventBytes({ ...whole, key }), EVENT_LIMIT_BYTES + 24, 'a key takes its room from the event');
    const large = (n: number): Event => ({ kind: 'item', hlc: hlc + n, entity: n, metadata: { t: 'x'.repeat(fill) } });
    assert.equal(eventBytes(large(1)), EVENT_LIMIT_BYTES);
    const builder = new BatchBuilder();
    assert.equal(builder.add(large(1)), true);
    let taken = 1;
    while (builder.add(large(taken + 1))) taken++;
    const batch = builder.build({ origin, epoch: 1, first: 1, schemaHash: '0'.repeat(16), chain: NO_PREDECESSOR });
    assert.ok(batch.bytes.length <= BATCH_LIMIT_BYTES, `${batch.bytes.length}`);
    assert.equal(decodeBatch(batch.bytes).events.length, taken);
  });

  it('a refused event leaves no name behind: the next batch carries only what it uses', () => {
    const builder = new BatchBuilder();
    const body = { t: 'x'.repeat(EVENT_LIMIT_BYTES - 100) };
    builder.add({ kind: 'item', hlc: hlc + 1, entity: 1, metadata: body });
    builder.add({ kind: 'item', hlc: hlc + 2, entity: 2, metadata: { t: 'x'.repeat(EVENT_LIMIT_BYTES - 300) } });
    let n = 3;
    while (builder.add({ kind: 'delete', hlc: hlc + n, entity: n })) n++;
    assert.equal(builder.add({ ...viewEvent(n), signal: 'a-signal-nobody-used' } as Event), false);
    const batch = builder.build({ origin, epoch: 1, first: 1, schemaHash: '0'.repeat(16), chain: NO_PREDECESSOR });
    assert.equal(Buffer.from(batch.bytes).includes('a-signal-nobody-used'), false);
    assert.equal(decodeBatch(batch.bytes).events.length, n - 1);
  });

  it('the chain hash differs for batches that differ in one bit', () => {
    const { bytes } = viewChain(origin, 1)[0]!;
    const other = Buffer.from(bytes);
    other[40]! ^= 1;
    assert.notDeepEqual(chainHash(bytes), chainHash(other));
    assert.equal(chainHash(bytes).length, 16);
  });
});
