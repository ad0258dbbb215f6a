/**
 * The batch codec: consecutive events of one origin, the same bytes in LMDB and on the wire, taken or skipped whole.
 *
 * Layout, little-endian; varint = LEB128 of a non-negative integer below 2^53:
 *
 *     0  u16  magic 0x4254 ("TB")        4  u32  length of the whole batch, bytes
 *     2  u8   format version             8  u32  CRC-32 of everything from byte 12
 *     3  u8   reserved, 0               12  16 B chain: SHA-256 of the predecessor's bytes, cut to 16 (zeros for the first)
 *                                       28  8 B  schema hash
 *     36 u8 length + origin · varint epoch · varint first · varint count · varint base HLC
 *     varint names, each u8 length + UTF-8: the signals used here (names are logged, never ordinals)
 *     per event: u8 kind · varint HLC − previous HLC · varint entity · keyed: 16 B id, 8 B body hash · by kind:
 *       signal, accepted time: varint name index · varint weight
 *       signal, own time:      the same · varint acceptance ms − time ms
 *       item:                  varint bytes · metadata as JSON
 *       delete:                nothing
 *       embedding:             varint count · count × f32
 *     A keyed event, one under an idempotency key, has the highest bit of its kind set.
 *
 * A reader that meets another version or kind stops there (`UnknownFormat`): nothing is skipped.
 */
import { createHash } from 'node:crypto';
import { crc32 } from 'node:zlib';
import { Fault } from '../errors/errors.ts';
import { floatBytes, floatsOf } from '../kernel/floats.ts';
import { assert } from '../kernel/kernel.ts';
import type { Event, EventBody, EventKey, Metadata } from './events.ts';
import { BATCH_LIMIT_BYTES, BATCH_LIMIT_EVENTS, hlcMs } from './events.ts';

export const FORMAT_VERSION = 1;
const MAGIC = 0x4254;
const HEADER_BYTES = 36;
/** Room for the header with the longest origin, epoch, counts and the name table's count. */
const HEADER_LIMIT_BYTES = HEADER_BYTES + 1 + 65 + 4 * 8 + 2;
export const CHAIN_BYTES = 16;
export const NO_PREDECESSOR: Uint8Array = new Uint8Array(CHAIN_BYTES);

const KIND_SIGNAL = 1;
const KIND_SIGNAL_TIMED = 2;
const KIND_ITEM = 3;
const KIND_DELETE = 4;
const KIND_EMBEDDING = 5;
/** Flag in the kind byte. */
const KEYED = 0x80;
const KEY_ID_BYTES = 16;
const KEY_HASH_BYTES = 8;
const KEY_BYTES = KEY_ID_BYTES + KEY_HASH_BYTES;

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
  readonly events: readonly Event[];
}

/** The bytes are not a batch, or not the batch they claim to be. */
export class DamagedBatch extends Fault {
  constructor(message: string) {
    super('damaged_batch', message);
  }
}

/** A batch of a later version of this program. */
export class UnknownFormat extends Fault {
  constructor(message: string) {
    super('unknown_format', message);
  }
}

/** What the successor of a batch carries as `chain`. */
export function chainHash(bytes: Uint8Array): Uint8Array {
  return createHash('sha256').update(bytes).digest().subarray(0, CHAIN_BYTES);
}

class Writer {
  private buffer: Buffer;
  length = 0;

  constructor(capacity: number) {
    this.buffer = Buffer.allocUnsafe(capacity);
  }

  private room(bytes: number): void {
    if (this.length + bytes <= this.buffer.length) return;
    const grown = Buffer.allocUnsafe(Math.max(this.buffer.length * 2, this.length + bytes));
    this.buffer.copy(grown, 0, 0, this.length);
    this.buffer = grown;
  }

  byte(value: number): void {
    this.room(1);
    this.buffer[this.length++] = value;
  }

  varint(value: number): void {
    this.room(8);
    let rest = value;
    while (rest >= 0x80) {
      this.buffer[this.length++] = (rest % 0x80) | 0x80;
      rest = Math.floor(rest / 0x80);
    }
    this.buffer[this.length++] = rest;
  }

  bytes(value: Uint8Array): void {
    this.room(value.length);
    this.buffer.set(value, this.length);
    this.length += value.length;
  }

  floats(values: Float32Array): void {
    this.bytes(floatBytes(values));
  }

  take(): Buffer {
    return this.buffer.subarray(0, this.length);
  }
}

/** Encodes the events of one batch in order; `add` says no when the batch is full. */
export class BatchBuilder {
  private readonly body = new Writer(4096);
  private readonly names = new Map<string, number>();
  private namesBytes = 0;
  private readonly events: Event[] = [];
  private previousHlc: number | undefined;

  get count(): number {
    return this.events.length;
  }

  /** Takes the event, or leaves the builder unchanged and answers false: cut this batch and begin another. */
  add(event: Event): boolean {
    if (this.events.length >= BATCH_LIMIT_EVENTS) return false;
    const before = this.body.length;
    const base = this.previousHlc ?? event.hlc;
    assert(event.hlc >= base, 'the HLC grows within a batch');
    let newName: string | undefined;
    const head = (kind: number): void => {
      this.body.byte(event.key === undefined ? kind : kind | KEYED);
      this.body.varint(event.hlc - base);
      this.body.varint(event.entity);
      if (event.key !== undefined) this.body.bytes(encodeKey(event.key));
    };
    switch (event.kind) {
      case 'signal': {
        const accepted = hlcMs(event.hlc);
        assert(event.timeMs <= accepted, 'a signal is never later than its acceptance');
        head(event.timeMs === accepted ? KIND_SIGNAL : KIND_SIGNAL_TIMED);
        let index = this.names.get(event.signal);
        if (index === undefined) {
          index = this.names.size;
          newName = event.signal;
        }
        this.body.varint(index);
        this.body.varint(event.weight);
        if (event.timeMs !== accepted) this.body.varint(accepted - event.timeMs);
        break;
      }
      case 'item': {
        head(KIND_ITEM);
        const json = Buffer.from(JSON.stringify(event.metadata), 'utf8');
        this.body.varint(json.length);
        this.body.bytes(json);
        break;
      }
      case 'delete':
        head(KIND_DELETE);
        break;
      case 'embedding':
        head(KIND_EMBEDDING);
        this.body.varint(event.values.length);
        this.body.floats(event.values);
        break;
    }
    const nameBytes = newName === undefined ? 0 : Buffer.byteLength(newName) + 1;
    if (
      this.events.length > 0 &&
      HEADER_LIMIT_BYTES + this.namesBytes + nameBytes + this.body.length > BATCH_LIMIT_BYTES
    ) {
      this.body.length = before;
      return false;
    }
    if (newName !== undefined) this.names.set(newName, this.names.size);
    this.namesBytes += nameBytes;
    this.previousHlc = event.hlc;
    this.events.push(event);
    return true;
  }

  /** The finished batch. `first` is the sequence of its first event. */
  build(header: Omit<BatchHeader, 'last'>): Batch {
    const firstEvent = this.events[0];
    assert(firstEvent !== undefined, 'a batch holds at least one event');
    const writer = new Writer(HEADER_LIMIT_BYTES + this.namesBytes + this.body.length);
    for (let index = 0; index < HEADER_BYTES; index++) writer.byte(0);
    const origin = Buffer.from(header.origin, 'latin1');
    writer.byte(origin.length);
    writer.bytes(origin);
    writer.varint(header.epoch);
    writer.varint(header.first);
    writer.varint(this.events.length);
    writer.varint(firstEvent.hlc);
    writer.varint(this.names.size);
    for (const name of this.names.keys()) {
      const text = Buffer.from(name, 'utf8');
      assert(text.length <= 255, 'the name of a signal fits its length byte', () => ({ name }));
      writer.byte(text.length);
      writer.bytes(text);
    }
    writer.bytes(this.body.take());
    const bytes = writer.take();
    bytes.writeUInt16LE(MAGIC, 0);
    bytes[2] = FORMAT_VERSION;
    bytes.writeUInt32LE(bytes.length, 4);
    bytes.set(header.chain, 12);
    bytes.write(header.schemaHash, 28, 8, 'hex');
    bytes.writeUInt32LE(crc32(bytes.subarray(12)), 8);
    assert(bytes.length <= BATCH_LIMIT_BYTES || this.events.length === 1, 'a batch respects its limit');
    return { ...header, last: header.first + this.events.length - 1, bytes, events: this.events };
  }
}

/** Encoded size of one event, bytes: what the 256 KiB limit is about. */
export function eventBytes(event: Event | EventBody): number {
  const frame = event.key === undefined ? 24 : 24 + KEY_BYTES;
  switch (event.kind) {
    case 'item':
      return frame + Buffer.byteLength(JSON.stringify(event.metadata));
    case 'embedding':
      return frame + 4 * event.values.length;
    default:
      return frame + 16;
  }
}

function encodeKey({ id, bodyHash }: EventKey): Buffer {
  const bytes = Buffer.concat([Buffer.from(id, 'base64url'), Buffer.from(bodyHash, 'base64url')]);
  const same = bytes.toString('base64url', 0, KEY_ID_BYTES) === id;
  assert(same && bytes.length === KEY_BYTES, 'an idempotency key is logged as it is known', () => ({ id, bodyHash }));
  return bytes;
}

function decodeKey(reader: Reader): EventKey {
  const id = reader.slice(KEY_ID_BYTES).toString('base64url');
  return { id, bodyHash: reader.slice(KEY_HASH_BYTES).toString('base64url') };
}

class Reader {
  private readonly buffer: Buffer;
  offset: number;
  private readonly end: number;

  constructor(buffer: Buffer, offset: number, end: number) {
    this.buffer = buffer;
    this.offset = offset;
    this.end = end;
  }

  byte(): number {
    if (this.offset >= this.end) throw new DamagedBatch('the batch ends within a value');
    return this.buffer[this.offset++]!;
  }

  varint(): number {
    let value = 0;
    let scale = 1;
    for (let count = 0; count < 8; count++) {
      const byte = this.byte();
      value += (byte & 0x7f) * scale;
      if (byte < 0x80) {
        if (!Number.isSafeInteger(value)) break;
        return value;
      }
      scale *= 0x80;
    }
    throw new DamagedBatch('a number of the batch is out of range');
  }

  slice(length: number): Buffer {
    if (this.offset + length > this.end) throw new DamagedBatch('the batch ends within a value');
    const slice = this.buffer.subarray(this.offset, this.offset + length);
    this.offset += length;
    return slice;
  }

  floats(count: number): Float32Array {
    return floatsOf(this.slice(count * 4));
  }

  get done(): boolean {
    return this.offset === this.end;
  }
}

/** Splits a message into the bytes of its batches. Throws {@link DamagedBatch} where the framing does not hold. */
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

/** Decodes and checks one batch: magic, version, length, CRC, and that its events fill it exactly. */
export function decodeBatch(bytes: Uint8Array): Batch {
  const { header, reader, count, baseHlc } = readHead(bytes);
  const names: string[] = [];
  const nameCount = reader.varint();
  for (let index = 0; index < nameCount; index++) names.push(reader.slice(reader.byte()).toString('utf8'));
  const events: Event[] = [];
  let hlc = baseHlc;
  for (let index = 0; index < count; index++) {
    const tag = reader.byte();
    const kind = tag & ~KEYED;
    if (kind < KIND_SIGNAL || kind > KIND_EMBEDDING) throw new UnknownFormat(`event kind ${tag} of a later version`);
    hlc += reader.varint();
    const entity = reader.varint();
    const keyed = tag === kind ? undefined : { key: decodeKey(reader) };
    switch (kind) {
      case KIND_SIGNAL:
      case KIND_SIGNAL_TIMED: {
        const signal = names[reader.varint()];
        if (signal === undefined) throw new DamagedBatch('an event names a signal outside the name table');
        const weight = reader.varint();
        const timeMs = hlcMs(hlc) - (kind === KIND_SIGNAL_TIMED ? reader.varint() : 0);
        events.push(withKey({ kind: 'signal', hlc, entity, signal, weight, timeMs }, keyed));
        break;
      }
      case KIND_ITEM: {
        const metadata = parseMetadata(reader.slice(reader.varint()));
        events.push(withKey({ kind: 'item', hlc, entity, metadata }, keyed));
        break;
      }
      case KIND_DELETE:
        events.push(withKey({ kind: 'delete', hlc, entity }, keyed));
        break;
      case KIND_EMBEDDING:
        events.push(withKey({ kind: 'embedding', hlc, entity, values: reader.floats(reader.varint()) }, keyed));
        break;
    }
  }
  if (!reader.done) throw new DamagedBatch('the batch is longer than its events');
  return { ...header, bytes, events };
}

function withKey(event: Event, keyed: { readonly key: EventKey } | undefined): Event {
  return keyed === undefined ? event : { ...event, ...keyed };
}

function parseMetadata(bytes: Buffer): Metadata {
  try {
    return JSON.parse(bytes.toString('utf8')) as Metadata;
  } catch {
    throw new DamagedBatch('the metadata of an item is not JSON');
  }
}

/** The header alone, after the same checks of magic, version, length and CRC. */
export function decodeHeader(bytes: Uint8Array): BatchHeader {
  return readHead(bytes).header;
}

function readHead(bytes: Uint8Array): { header: BatchHeader; reader: Reader; count: number; baseHlc: number } {
  const view = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
  if (view.length <= HEADER_BYTES || view.readUInt16LE(0) !== MAGIC) throw new DamagedBatch('not a batch');
  if (view[2] !== FORMAT_VERSION)
    throw new UnknownFormat(`batch format ${view[2]}; this program knows ${FORMAT_VERSION}`);
  if (view[3] !== 0) throw new DamagedBatch('a byte that is always 0 is not');
  if (view.readUInt32LE(4) !== view.length) throw new DamagedBatch('the batch is not as long as it says');
  if (view.readUInt32LE(8) !== crc32(view.subarray(12))) throw new DamagedBatch('the checksum of the batch is wrong');
  const reader = new Reader(view, HEADER_BYTES, view.length);
  const origin = reader.slice(reader.byte()).toString('latin1');
  const epoch = reader.varint();
  const first = reader.varint();
  const count = reader.varint();
  const baseHlc = reader.varint();
  if (first < 1 || count < 1 || count > BATCH_LIMIT_EVENTS) throw new DamagedBatch('the batch counts are out of range');
  const header: BatchHeader = {
    origin,
    epoch,
    first,
    last: first + count - 1,
    schemaHash: view.toString('hex', 28, 36),
    chain: view.subarray(12, 12 + CHAIN_BYTES),
  };
  return { header, reader, count, baseHlc };
}
