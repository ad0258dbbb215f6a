/**
 * The batch codec: consecutive events of one origin, the same bytes in LMDB and on the wire, accepted or skipped whole.
 *
 * Layout, little-endian; varint = LEB128 of a non-negative integer below 2^53:
 *
 *     0  u16  magic 0x4254 ("TB")        4  u32  length of the whole batch, bytes
 *     2  u8   format version             8  u32  CRC-32 of everything from byte 12
 *     3  u8   reserved, 0               12  16 B chain: SHA-256 of the predecessor's bytes, truncated to 16 (zeros for the first)
 *                                       28  8 B  schema hash
 *     36 u8 length + origin · varint epoch · varint first · varint count · varint base HLC
 *     format 2 alone: varint ms by which the HLC was ahead of the wall clock when the batch was accepted, ≥ 1
 *     varint names, each u8 length + UTF-8: the signals used here (names are logged, never ordinals)
 *     per event: u8 kind · varint HLC − previous HLC · varint entity · keyed: 16 B id, 8 B body hash · by kind:
 *       signal, accepted time: varint name index · varint weight
 *       signal, own time:      the same · varint acceptance ms − time ms
 *       item:                  varint bytes · metadata as JSON
 *       item, own creation:    varint acceptance ms − creation ms, ≥ 1 · varint bytes · metadata as JSON
 *       delete:                nothing
 *       embedding:             varint count · count × f32
 *       retraction:            varint name index · varint weight · varint ms by which what it takes back may be ahead of it
 *     A keyed event, one under an idempotency key, has the highest bit of its kind set.
 *
 * The acceptance time of an event is the millisecond of its HLC less what the HLC was ahead (`acceptedMs` in `events.ts`).
 * Format 2 is written only where it was ahead: every other batch is of format 1, byte for byte.
 *
 * Magic, length and CRC have the same offsets in every version, so that damage is distinguished from a later version. A reader
 * that finds another version or kind behind a right CRC stops there (`UnknownFormat`): nothing is skipped. The contents of events
 * are checked here by the rules for every source (`events.ts`), so a decoded batch can be applied as far as the schema allows.
 * `batch-builder.ts` writes what is read here.
 */
import { createHash } from 'node:crypto';
import type { Event, EventBody, EventKey, Metadata } from '../../../shared/protocol/events.ts';
import {
  areValues,
  BATCH_LIMIT_EVENTS,
  hlcMs,
  isMetadata,
  isSignalName,
  isThousandths,
  retractedTimeFlaw,
} from '../../../shared/protocol/events.ts';
import { originPattern } from '../../../shared/protocol/position.ts';
import { NO_QUARANTINE, type Quarantine } from '../../../shared/protocol/quarantine.ts';
import { type SignalColumns, signalColumns } from '../../../shared/protocol/signal-columns.ts';
import {
  CHAIN_BYTES,
  checkedBytes,
  DamagedBatch,
  HEADER_BYTES,
  InvalidBatch,
  MAGIC,
  Reader,
  UnknownFormat,
  UnreadableBatch,
} from './reader/reader.ts';
import { setAside } from './set-aside.ts';

export { CHAIN_BYTES, DamagedBatch, HEADER_BYTES, MAGIC, UnknownFormat };

export const FORMAT_VERSION = 1;
/** With the field that says how far the HLC was ahead. A program that does not know it must not misread the times. */
export const FORMAT_VERSION_AHEAD = 2;
export const NO_PREDECESSOR: Uint8Array = new Uint8Array(CHAIN_BYTES);

export const KIND_SIGNAL = 1;
export const KIND_SIGNAL_TIMED = 2;
export const KIND_ITEM = 3;
export const KIND_DELETE = 4;
export const KIND_EMBEDDING = 5;
/** A program that does not know it stops at the batch: ignoring the time would make its state another one. */
export const KIND_ITEM_CREATED = 6;
/** Always keyed. A program that does not know it stops at the batch. */
export const KIND_RETRACTION = 7;
/** Flag in the kind byte. */
export const KEYED = 0x80;
export const KEY_ID_BYTES = 16;
const KEY_HASH_BYTES = 8;
export const KEY_BYTES = KEY_ID_BYTES + KEY_HASH_BYTES;

export interface BatchHeader {
  readonly origin: string;
  readonly epoch: number;
  /** Sequence of the first and of the last event. */
  readonly first: number;
  readonly last: number;
  /** 16 hexadecimal digits. */
  readonly schemaHash: string;
  /** Chain hash of the predecessor, {@link CHAIN_BYTES} bytes. */
  readonly chain: Uint8Array;
}

export interface Batch extends BatchHeader {
  readonly bytes: Uint8Array;
  /** HLC of its last event, the highest. */
  readonly lastHlc: number;
  /** By how much the HLC was ahead of the wall clock when these events were accepted, ms. */
  readonly aheadMs: number;
  /** The value of `chain` in its successor: {@link chainHash} of the bytes, computed once. */
  readonly hash: Uint8Array;
  /** The same events by column, if all are signals without keys: callers that handle many read these. */
  readonly signals: SignalColumns | undefined;
  /** Decoded from the bytes at the first access. */
  readonly events: readonly Event[];
}

interface BatchParts {
  readonly header: BatchHeader;
  readonly bytes: Uint8Array;
  readonly lastHlc: number;
  readonly aheadMs: number;
  readonly signals?: SignalColumns | undefined;
  readonly events?: readonly Event[] | undefined;
}

/** A batch of bytes that were checked before. */
export function batchOf(parts: BatchParts): Batch {
  return new LazyBatch(parts);
}

class LazyBatch implements Batch {
  readonly origin: string;
  readonly epoch: number;
  readonly first: number;
  readonly last: number;
  readonly schemaHash: string;
  readonly chain: Uint8Array;
  readonly bytes: Uint8Array;
  readonly lastHlc: number;
  readonly aheadMs: number;
  readonly signals: SignalColumns | undefined;
  private made: readonly Event[] | undefined;
  private counted: Uint8Array | undefined;

  constructor({ header, bytes, lastHlc, aheadMs, signals, events }: BatchParts) {
    this.origin = header.origin;
    this.epoch = header.epoch;
    this.first = header.first;
    this.last = header.last;
    this.schemaHash = header.schemaHash;
    this.chain = header.chain;
    this.bytes = bytes;
    this.lastHlc = lastHlc;
    this.aheadMs = aheadMs;
    this.signals = signals;
    this.made = events;
  }

  get events(): readonly Event[] {
    this.made ??= readEvents(readHead(this.bytes), NO_QUARANTINE).events;
    return this.made;
  }

  get hash(): Uint8Array {
    this.counted ??= chainHash(this.bytes);
    return this.counted;
  }
}

/** The latest acceptance time of its events, epoch ms. */
export function newestMsOf({ lastHlc, aheadMs }: Pick<Batch, 'lastHlc' | 'aheadMs'>): number {
  return hlcMs(lastHlc) - aheadMs;
}

/** The value of `chain` in the successor of a batch. */
export function chainHash(bytes: Uint8Array): Uint8Array {
  return createHash('sha256').update(bytes).digest().subarray(0, CHAIN_BYTES);
}

/** Encoded size of one event, bytes; the 256 KiB limit applies to it. */
export function eventBytes(event: Event | EventBody): number {
  const frame = event.key === undefined ? 24 : 24 + KEY_BYTES;
  switch (event.kind) {
    case 'item':
      return frame + (event.createdMs === undefined ? 0 : 8) + Buffer.byteLength(JSON.stringify(event.metadata));
    case 'embedding':
      return frame + 4 * event.values.length;
    default:
      return frame + 16;
  }
}

function decodeKey(reader: Reader): EventKey {
  const id = reader.slice(KEY_ID_BYTES).toString('base64url');
  return { id, bodyHash: reader.slice(KEY_HASH_BYTES).toString('base64url') };
}

/** Splits a message into the bytes of its batches. Throws {@link DamagedBatch} if the framing is wrong. */
export function splitMessage(message: Uint8Array): Uint8Array[] {
  const view = Buffer.from(message.buffer, message.byteOffset, message.length);
  const parts: Uint8Array[] = [];
  let offset = 0;
  while (offset < view.length) {
    if (offset + HEADER_BYTES > view.length) throw new DamagedBatch('the message ends within a batch header');
    const length = view.readUInt32LE(offset + 4);
    if (length <= HEADER_BYTES || offset + length > view.length)
      throw new DamagedBatch('the message ends within a batch');
    parts.push(view.subarray(offset, offset + length));
    offset += length;
  }
  return parts;
}

/** Decodes and checks one batch: magic, length, CRC, version, that its events fill it exactly, and the contents of each. */
export function decodeBatch(bytes: Uint8Array): Batch {
  return decodeBatchUnder(NO_QUARANTINE, bytes);
}

/** The same for a batch with events in quarantine: these may have any contents, and are decoded as the quarantine defines. */
export function decodeBatchUnder(quarantine: Quarantine, bytes: Uint8Array): Batch {
  const head = readHead(bytes);
  const { header, aheadMs, reader } = head;
  const start = reader.position;
  const columns = quarantine.touches(header.origin, header.first, header.last) ? undefined : signalsOf(head);
  if (columns !== undefined) return batchOf({ header, bytes, aheadMs, ...columns });
  reader.position = start;
  return batchOf({ header, bytes, aheadMs, ...readEvents(head, quarantine) });
}

/** Undefined if not all are plain signals, or one is invalid: reading one by one then finds out which. */
function signalsOf(head: Head): { signals: SignalColumns; lastHlc: number } | undefined {
  try {
    return readSignals(head);
  } catch (error) {
    if (error instanceof InvalidBatch) return undefined;
    throw error;
  }
}

/** A batch names the signals it uses, each once. */
export function readNames(reader: Reader, count: number): string[] {
  const names: string[] = [];
  let left = reader.varint();
  if (left > count) throw new InvalidBatch('the batch names more signals than it has events');
  for (; left > 0; left--) names.push(reader.slice(reader.byte()).toString('utf8'));
  if (!names.every(isSignalName)) throw new InvalidBatch('the name of a signal is not one');
  return names;
}

/** A client's time lies between 1970 and the acceptance. */
function timeBefore(acceptedMs: number, agoMs: number): number {
  if (agoMs > acceptedMs) throw new InvalidBatch('a signal is older than 1970');
  return acceptedMs - agoMs;
}

function readWeight(reader: Reader): number {
  const weight = reader.varint();
  if (!isThousandths(weight)) throw new InvalidBatch('the weight of a signal is out of range');
  return weight;
}

/** HLC of the last event; the differences only grow up to it. */
function checkedHlc(hlc: number): number {
  if (!Number.isSafeInteger(hlc)) throw new InvalidBatch('a clock value of the batch is out of range');
  return hlc;
}

/** Undefined at the first event that is not a signal, or has a key. */
function readSignals({
  reader,
  count,
  baseHlc,
  aheadMs,
}: Head): { signals: SignalColumns; lastHlc: number } | undefined {
  const names = readNames(reader, count);
  const signals = signalColumns(count, names);
  const { entities, kinds, weights, timesMs } = signals;
  let lastHlc = baseHlc;
  for (let index = 0; index < count; index++) {
    const tag = reader.byte();
    if (tag !== KIND_SIGNAL && tag !== KIND_SIGNAL_TIMED) return undefined;
    lastHlc += reader.varint();
    entities[index] = reader.varint();
    const kind = reader.varint();
    if (kind >= names.length) throw new InvalidBatch('an event names a signal outside the name table');
    kinds[index] = kind;
    weights[index] = readWeight(reader);
    const acceptedMs = hlcMs(lastHlc) - aheadMs;
    timesMs[index] = tag === KIND_SIGNAL_TIMED ? timeBefore(acceptedMs, reader.varint()) : acceptedMs;
  }
  if (!reader.done) throw new InvalidBatch('the batch is longer than its events');
  return { signals, lastHlc: checkedHlc(lastHlc) };
}

function readEvents(head: Head, quarantine: Quarantine): { events: readonly Event[]; lastHlc: number } {
  const { reader, count, baseHlc, header } = head;
  const events: Event[] = [];
  let names: readonly string[] = [];
  let hlc = baseHlc;
  // If the offset of the next event is unknown, all that follow are unreadable.
  let lost: InvalidBatch | UnknownFormat | undefined;
  try {
    names = readNames(reader, count);
  } catch (error) {
    if (!(error instanceof InvalidBatch)) throw error;
    lost = error;
  }
  for (let index = 0; index < count; index++) {
    const sequence = header.first + index;
    const isAside = quarantine.has(header.origin, sequence);
    let read: ReadEvent | undefined;
    let flaw = lost;
    if (lost === undefined) {
      try {
        read = readEvent(head, names, hlc);
        hlc = read.event.hlc;
        flaw = read.flaw;
      } catch (error) {
        if (!(error instanceof UnreadableBatch || error instanceof UnknownFormat)) throw error;
        flaw = lost = error;
      }
    }
    if (flaw !== undefined && !isAside) {
      if (flaw instanceof UnknownFormat) throw flaw;
      const last = lost === undefined ? sequence : header.last;
      throw new InvalidBatch(`${header.origin}:${sequence}: ${flaw.message}`, { first: sequence, last });
    }
    if (isAside) events.push(setAside(read?.event, hlc));
    else events.push((read as ReadEvent).event);
  }
  if (lost === undefined && !reader.done) throw new InvalidBatch('the batch is longer than its events');
  return { events, lastHlc: hlc };
}

interface ReadEvent {
  readonly event: Event;
  /** Contents that are not allowed in an event; the next one can still be read. */
  readonly flaw: InvalidBatch | undefined;
}

/** Throws if the offset of the next event is unknown. */
export function readEvent({ reader, aheadMs }: Head, names: readonly string[], lastHlc: number): ReadEvent {
  const tag = reader.byte();
  const kind = tag & ~KEYED;
  if (kind < KIND_SIGNAL || kind > KIND_RETRACTION) throw new UnknownFormat(`event kind ${tag} of a later version`);
  const hlc = lastHlc + reader.varint();
  if (!Number.isSafeInteger(hlc)) throw new UnreadableBatch('a clock value of the batch is out of range');
  const entity = reader.varint();
  const extra: Extra = {
    ...(tag === kind ? {} : { key: decodeKey(reader) }),
    ...(aheadMs === 0 ? {} : { aheadMs }),
  };
  const whole = (event: Event, flaw?: string): ReadEvent => ({
    event: withExtra(event, extra),
    flaw: flaw === undefined ? undefined : new InvalidBatch(flaw),
  });
  switch (kind) {
    case KIND_ITEM:
    case KIND_ITEM_CREATED: {
      const agoMs = kind === KIND_ITEM ? 0 : reader.varint();
      const createdMs = hlcMs(hlc) - aheadMs - agoMs;
      const metadata = parseMetadata(reader.slice(reader.varint()));
      const flaw = metadata === undefined ? 'the metadata of an item is not flat JSON' : undefined;
      const event = { kind: 'item', hlc, entity, metadata: metadata ?? {} } as const;
      if (kind === KIND_ITEM) return whole(event, flaw);
      const timeFlaw =
        agoMs === 0 || createdMs < 0 ? 'an item was created before 1970, or at its acceptance' : undefined;
      return whole({ ...event, createdMs: Math.max(createdMs, 0) }, flaw ?? timeFlaw);
    }
    case KIND_DELETE:
      return whole({ kind: 'delete', hlc, entity });
    case KIND_EMBEDDING: {
      const values = reader.floats(reader.varint());
      const flaw = areValues(values) ? undefined : 'an embedding has no values, or one that is not finite';
      return whole({ kind: 'embedding', hlc, entity, values }, flaw);
    }
    case KIND_RETRACTION: {
      const signal = names[reader.varint()];
      const weight = reader.varint();
      const upToMs = hlcMs(hlc) - aheadMs + reader.varint();
      const event = { kind: 'retraction', hlc, entity, signal: signal ?? '', weight, upToMs } as const;
      if (signal === undefined) return whole(event, 'an event names a signal outside the name table');
      if (!isThousandths(weight)) return whole(event, 'the weight of a retraction is out of range');
      if (tag === kind) return whole(event, 'a retraction has no key');
      return whole(event, retractedTimeFlaw(upToMs, hlcMs(hlc) - aheadMs));
    }
    default: {
      const signal = names[reader.varint()];
      const weight = reader.varint();
      const acceptedMs = hlcMs(hlc) - aheadMs;
      const timeMs = kind === KIND_SIGNAL_TIMED ? acceptedMs - reader.varint() : acceptedMs;
      const event = { kind: 'signal', hlc, entity, signal: signal ?? '', weight, timeMs } as const;
      if (signal === undefined) return whole(event, 'an event names a signal outside the name table');
      if (!isThousandths(weight)) return whole(event, 'the weight of a signal is out of range');
      return whole(event, timeMs < 0 ? 'a signal is older than 1970' : undefined);
    }
  }
}

type Extra = Pick<Event, 'key' | 'aheadMs'>;

/** Most events have nothing extra: they are not copied. */
function withExtra(event: Event, extra: Extra): Event {
  return extra.key === undefined && extra.aheadMs === undefined ? event : { ...event, ...extra };
}

/** Undefined if it is not metadata. */
function parseMetadata(bytes: Buffer): Metadata | undefined {
  try {
    const value: unknown = JSON.parse(bytes.toString('utf8'));
    return isMetadata(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

/** The header alone, after the same checks of magic, version, length and CRC. */
export function decodeHeader(bytes: Uint8Array): BatchHeader {
  return readHead(bytes).header;
}

export interface Head {
  readonly header: BatchHeader;
  readonly reader: Reader;
  readonly count: number;
  readonly baseHlc: number;
  readonly aheadMs: number;
}

export function readHead(bytes: Uint8Array): Head {
  const view = checkedBytes(bytes);
  const version = view[2];
  if (version !== FORMAT_VERSION && version !== FORMAT_VERSION_AHEAD)
    throw new UnknownFormat(
      `batch format ${version}; this program knows ${FORMAT_VERSION} and ${FORMAT_VERSION_AHEAD}`,
    );
  if (view[3] !== 0) throw new InvalidBatch('a byte that is always 0 is not');
  const reader = new Reader(view, HEADER_BYTES);
  const origin = reader.slice(reader.byte()).toString('latin1');
  const epoch = reader.varint();
  const first = reader.varint();
  const count = reader.varint();
  const baseHlc = reader.varint();
  const aheadMs = version === FORMAT_VERSION_AHEAD ? reader.varint() : 0;
  if (aheadMs > hlcMs(baseHlc) || (version === FORMAT_VERSION_AHEAD && aheadMs === 0))
    throw new InvalidBatch('the batch says that its clock was ahead by what it cannot have been');
  if (!originPattern.test(origin)) throw new InvalidBatch('the origin of the batch is not a name of one');
  if (epoch < 1 || first < 1 || count < 1 || count > BATCH_LIMIT_EVENTS || !Number.isSafeInteger(first - 1 + count)) {
    throw new InvalidBatch('the batch counts are out of range');
  }
  const header: BatchHeader = {
    origin,
    epoch,
    first,
    last: first + count - 1,
    schemaHash: view.toString('hex', 28, 36),
    chain: view.subarray(12, 12 + CHAIN_BYTES),
  };
  return { header, reader, count, baseHlc, aheadMs };
}
