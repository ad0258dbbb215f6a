/**
 * Messages that no part should publish: what a bug, a foreign program or an attacker could put on the stream. All is made from
 * the arguments and a random source, nothing here touches a stream.
 *
 * The production encoder refuses to write most of it, so batches are laid out here by hand, as `services/region/batch/batch.ts`
 * words them.
 */
import { crc32 } from 'node:zlib';
import { CHAIN_BYTES, HEADER_BYTES, MAGIC } from '../../../services/region/batch/batch.ts';
import type { Random } from '../../../shared/kernel/kernel.ts';
import { HLC_PER_MS } from '../../../shared/protocol/events.ts';
import { regionOf } from '../../../shared/protocol/position.ts';

export interface Garbage {
  /** What is wrong with it. */
  readonly name: string;
  /** The subject it is to be published under. */
  readonly origin: string;
  readonly bytes: Uint8Array;
}

/** An event laid out by hand: kind byte, HLC step, entity, and whatever follows. */
export interface RawEvent {
  readonly kind: number;
  readonly step?: number | bigint;
  readonly entity?: number | bigint;
  readonly rest?: Uint8Array;
}

export interface RawBatch {
  readonly origin: string;
  readonly events: readonly RawEvent[];
  readonly epoch?: number | bigint;
  readonly first?: number | bigint;
  readonly hlc?: number | bigint;
  /** The predecessor's chain hash; absent: of no predecessor. */
  readonly chain?: Uint8Array;
  readonly schemaHash?: string;
  readonly signals?: readonly string[];
  readonly version?: number;
}

/** A varint of any size: unlike the production writer it asserts nothing. */
export function rawVarint(value: number | bigint): Buffer {
  const bytes: number[] = [];
  let rest = BigInt(value);
  do {
    const low = Number(rest & 0x7fn);
    rest >>= 7n;
    bytes.push(rest === 0n ? low : low | 0x80);
  } while (rest > 0n);
  return Buffer.from(bytes);
}

/** The batch with a right length and checksum, whatever it holds. */
export function sealed(bytes: Uint8Array): Buffer {
  const copy = Buffer.from(bytes);
  copy.writeUInt32LE(copy.length, 4);
  copy.writeUInt32LE(crc32(copy.subarray(12)), 8);
  return copy;
}

export function rawBatch({
  origin,
  events,
  epoch = 1,
  first = 1,
  hlc = 1_750_000_000_000 * HLC_PER_MS,
  chain = new Uint8Array(CHAIN_BYTES),
  schemaHash = '0123456789abcdef',
  signals = [],
  version = 1,
}: RawBatch): Buffer {
  const header = Buffer.alloc(HEADER_BYTES);
  header.writeUInt16LE(MAGIC, 0);
  header[2] = version;
  header.set(chain, 12);
  header.write(schemaHash, 28, 8, 'hex');
  const named = (text: string): Buffer => Buffer.concat([Buffer.of(Buffer.byteLength(text)), Buffer.from(text)]);
  return sealed(
    Buffer.concat([
      header,
      named(origin),
      ...[epoch, first, events.length, hlc, signals.length].map(rawVarint),
      ...signals.map(named),
      ...events.flatMap(({ kind, step = 0, entity = 1, rest = Buffer.alloc(0) }) => [
        Buffer.of(kind),
        rawVarint(step),
        rawVarint(entity),
        rest,
      ]),
    ]),
  );
}

/** An item put of any JSON, or of what is not. */
export function rawItem(json: string, entity: number | bigint = 1): RawEvent {
  const text = Buffer.from(json);
  return { kind: 3, entity, rest: Buffer.concat([rawVarint(text.length), text]) };
}

/** A signal by its index in the batch's names, of any weight. */
export function rawSignal(weight: number | bigint, { name = 0, entity = 1, agoMs }: RawSignalOptions = {}): RawEvent {
  const numbers = [rawVarint(name), rawVarint(weight), ...(agoMs === undefined ? [] : [rawVarint(agoMs)])];
  return { kind: agoMs === undefined ? 1 : 2, entity, rest: Buffer.concat(numbers) };
}

export interface RawSignalOptions {
  readonly name?: number | bigint;
  readonly entity?: number | bigint;
  readonly agoMs?: number | bigint;
}

export function rawEmbedding(values: readonly number[], entity: number | bigint = 1): RawEvent {
  return {
    kind: 5,
    entity,
    rest: Buffer.concat([rawVarint(values.length), Buffer.from(Float32Array.from(values).buffer)]),
  };
}

/** The subject of the garbage: an origin, and its end. */
export interface Target {
  readonly origin: string;
  readonly epoch?: number;
  /** The sequence to claim, and what a batch there chains to; absent: the origin's beginning. */
  readonly first?: number;
  readonly chain?: Uint8Array;
  /** A signal of the schema. */
  readonly signal?: string;
}

/**
 * One of each kind: undecodable, or with a value no event may have, each claiming to be the next batch of the target's origin.
 * No region may append any of it.
 */
export function garbageFor({ origin, epoch = 1, first = 1, chain, signal = 'view' }: Target): Garbage[] {
  const next = { origin, epoch, first, signals: [signal], ...(chain === undefined ? {} : { chain }) };
  const of = (name: string, bytes: Uint8Array, subject = origin): Garbage => ({ name, origin: subject, bytes });
  const event = (name: string, one: RawEvent): Garbage => of(name, rawBatch({ ...next, events: [one] }));
  const header = (name: string, change: Partial<RawBatch>): Garbage =>
    of(name, rawBatch({ ...next, events: [{ kind: 4 }], ...change }), change.origin ?? origin);
  const region = regionOf(origin);
  const laterVersion = Buffer.alloc(37);
  laterVersion.writeUInt16LE(MAGIC, 0);
  laterVersion[2] = 2;
  laterVersion.writeUInt32LE(37, 4);
  const torn = rawBatch({ ...next, events: [rawSignal(1_000)] });
  return [
    of('nothing', Buffer.alloc(0)),
    of('a text', Buffer.from('garbage')),
    of('almost as much as the server takes', Buffer.alloc(1_000_000, 'x')),
    of('a later version without a checksum', laterVersion),
    of('a torn batch', torn.subarray(0, torn.length - 1)),
    of('a wrong checksum', Buffer.from(torn).fill(0xff, 8, 12)),
    of('a batch of another subject', torn, `${region}@zzzzzzzzzzzzz`),
    event('metadata that is null', rawItem('null')),
    event('metadata that is a list', rawItem('[1]')),
    event('metadata that is nested', rawItem('{"a":{"b":1}}')),
    event('a list in metadata that holds null', rawItem('{"tags":[1,null]}')),
    event('metadata with an infinite number', rawItem('{"a":1e400}')),
    event(
      'metadata with too many fields',
      rawItem(JSON.stringify(Object.fromEntries(Array.from({ length: 257 }, (_, n) => [`f${n}`, n])))),
    ),
    event('metadata that is no JSON', rawItem('{')),
    event('a weight of 2^53 - 1', rawSignal(2 ** 53 - 1)),
    event('a weight beyond every integer', rawSignal(2n ** 62n)),
    event('a time before 1970', rawSignal(1_000, { agoMs: 2 ** 53 - 1 })),
    event('a signal outside the name table', rawSignal(1_000, { name: 7 })),
    event('an entity of 2^53', { kind: 4, entity: 2n ** 53n }),
    event('an embedding of NaN', rawEmbedding([Number.NaN, 0])),
    event('an embedding of nothing', rawEmbedding([])),
    event('an embedding cut off', { kind: 5, rest: Buffer.of(9, 1) }),
    event('a clock value beyond 2^53', { kind: 4, step: 2 ** 53 - 1 }),
    event('bytes behind the last event', { kind: 4, rest: Buffer.of(0) }),
    header('epoch 0', { epoch: 0 }),
    header('an epoch of 2^53', { epoch: 2n ** 53n }),
    header('sequence 0', { first: 0 }),
    header('sequences beyond 2^53', { first: 2 ** 53 - 1, events: [{ kind: 4 }, { kind: 4 }] }),
    header('no event', { events: [] }),
    header('an origin that is none', { origin: 'e,v:i' }),
    header('an origin of no region', { origin: 'evil@aaaaaaaaaaaaa' }),
    header('an empty name of a signal', { signals: [''] }),
    header('more names of signals than events', { signals: [signal, 'skip'] }),
  ];
}

/** `bytes` with a few of its bytes changed, and, where `resealed`, a right length and checksum again. */
export function mutated(random: Random, bytes: Uint8Array, resealed: boolean): Buffer {
  const copy = Buffer.from(bytes);
  const [count = 0, ...places] = random.bytes(1 + 3 * 4);
  for (let n = 0; n <= count % 4; n++) {
    const at = ((places[3 * n]! << 8) | places[3 * n + 1]!) % copy.length;
    copy[at] = places[3 * n + 2]!;
  }
  return resealed && copy.length > HEADER_BYTES ? sealed(copy) : copy;
}

/** One message of garbage about the target, drawn. `genuine`: bytes of a real message to change, where there are some. */
export function drawGarbage(random: Random, target: Target, genuine?: Uint8Array): Garbage {
  const [choice = 0, which = 0, seal = 0] = random.bytes(3);
  if (genuine !== undefined && genuine.length > 0 && choice < 96) {
    // A whole checksum over changed bytes may be an honest batch of other events: only the torn kind is garbage for certain.
    return { name: 'a changed message', origin: target.origin, bytes: mutated(random, genuine, false) };
  }
  if (choice < 112) return { name: 'noise', origin: target.origin, bytes: random.bytes(1 + seal) };
  const all = garbageFor(target);
  return all[which % all.length]!;
}
