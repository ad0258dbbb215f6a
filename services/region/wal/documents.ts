/**
 * The encoding of registers and marks in the store. Marks and the records of origins are JSON, rows of idempotency keys are in
 * `key-rows.ts`; registers are read by the million at a start, so they are fields at fixed offsets, little-endian:
 *
 *     0  u8   form: 1                    3   f64 epoch        27  f64 createdMs of an item; −1: none
 *     1  u8   1: not a tombstone        11  f64 HLC          35  the origin, ASCII
 *     2  u8   length of the origin       19  f64 sequence     …   an item's metadata as JSON, an embedding's values as f32
 *
 * Form 2 is for an item whose winner has another acceptance time than the millisecond of its HLC: f64 updatedMs at 35, then the
 * origin.
 *
 * Registers of version 0.1 began with JSON, so with another byte than 1. They stay readable, and are rewritten in this form by
 * the next put or delete.
 */
import { floatBytes, floatsOf } from '../../../shared/kernel/floats.ts';
import { hlcMs, type Metadata, type Order } from '../../../shared/protocol/events.ts';
import { NO_PREDECESSOR } from '../batch/batch.ts';
import { type EmbeddingRegister, encodeMetadata, type ItemRegister } from '../state/catalog/catalog.ts';
import type { OriginInfo } from './wal.ts';

const FORM = 1;
const FORM_UPDATED_APART = 2;
const HAS_CONTENT = 1;
const ORIGIN_AT = 35;
const UPDATED_BYTES = 8;
const NO_PUT_MS = -1;

export function encodeJson(value: unknown): Uint8Array {
  return Buffer.from(JSON.stringify(value), 'utf8');
}

export function decodeJson<T>(bytes: Uint8Array): T {
  return JSON.parse(asBuffer(bytes).toString('utf8')) as T;
}

export function encodeItem({ order, metadata, createdMs, updatedMs }: ItemRegister): Uint8Array {
  return encodeRegister(order, metadata, createdMs, updatedMs === hlcMs(order.hlc) ? undefined : updatedMs);
}

export function decodeItem(stored: Uint8Array): ItemRegister {
  const bytes = asBuffer(stored);
  if (bytes[0] !== FORM && bytes[0] !== FORM_UPDATED_APART) return decodeJsonItem(bytes);
  const createdMs = bytes.readDoubleLE(27);
  const order = decodeOrder(bytes);
  return {
    order,
    metadata: contentOf(bytes),
    createdMs: createdMs === NO_PUT_MS ? undefined : createdMs,
    updatedMs: bytes[0] === FORM ? hlcMs(order.hlc) : bytes.readDoubleLE(ORIGIN_AT),
  };
}

export function encodeEmbedding({ order, values }: EmbeddingRegister): Uint8Array {
  return encodeRegister(order, values && floatBytes(values));
}

export function decodeEmbedding(stored: Uint8Array): EmbeddingRegister {
  const bytes = asBuffer(stored);
  if (bytes[0] !== FORM) return decodeJsonEmbedding(bytes);
  const content = contentOf(bytes);
  return { order: decodeOrder(bytes), values: content && floatsOf(content) };
}

/** `updatedMs`: present if it is not the millisecond of the order's HLC. */
function encodeRegister(
  order: Order,
  content: Uint8Array | undefined,
  createdMs = NO_PUT_MS,
  updatedMs?: number,
): Uint8Array {
  const form = updatedMs === undefined ? FORM : FORM_UPDATED_APART;
  const originAt = originAtOf(form);
  const contentAt = originAt + order.origin.length;
  const bytes = Buffer.allocUnsafe(contentAt + (content?.length ?? 0));
  bytes[0] = form;
  bytes[1] = content === undefined ? 0 : HAS_CONTENT;
  bytes[2] = order.origin.length;
  bytes.writeDoubleLE(order.epoch, 3);
  bytes.writeDoubleLE(order.hlc, 11);
  bytes.writeDoubleLE(order.sequence, 19);
  bytes.writeDoubleLE(createdMs, 27);
  if (updatedMs !== undefined) bytes.writeDoubleLE(updatedMs, ORIGIN_AT);
  bytes.write(order.origin, originAt, 'latin1');
  if (content !== undefined) bytes.set(content, contentAt);
  return bytes;
}

function originAtOf(form: number): number {
  return form === FORM ? ORIGIN_AT : ORIGIN_AT + UPDATED_BYTES;
}

function decodeOrder(bytes: Buffer): Order {
  return {
    epoch: bytes.readDoubleLE(3),
    hlc: bytes.readDoubleLE(11),
    origin: origins.read(bytes, originAtOf(bytes[0]!), bytes[2]!),
    sequence: bytes.readDoubleLE(19),
  };
}

function contentOf(bytes: Buffer): Uint8Array | undefined {
  return (bytes[1]! & HAS_CONTENT) === 0 ? undefined : bytes.subarray(originAtOf(bytes[0]!) + bytes[2]!);
}

/** Thousands of registers have the same origin: the last one that was read is not decoded again. */
class OriginReader {
  private latest: Uint8Array = new Uint8Array(0);
  private name = '';

  read(bytes: Buffer, start: number, length: number): string {
    let same = length === this.latest.length;
    for (let index = 0; same && index < length; index++) same = bytes[start + index] === this.latest[index];
    if (!same) {
      this.latest = Uint8Array.prototype.slice.call(bytes, start, start + length);
      this.name = bytes.toString('latin1', start, start + length);
    }
    return this.name;
  }
}
const origins = new OriginReader();

interface JsonOrder {
  readonly e: number;
  readonly h: number;
  readonly o: string;
  readonly s: number;
}

const orderOf = ({ e, h, o, s }: JsonOrder): Order => ({ epoch: e, hlc: h, origin: o, sequence: s });

function decodeJsonItem(bytes: Uint8Array): ItemRegister {
  const { o, m, c } = decodeJson<{ o: JsonOrder; m?: Metadata; c?: number }>(bytes);
  const order = orderOf(o);
  return { order, metadata: m && encodeMetadata(m), createdMs: c, updatedMs: hlcMs(order.hlc) };
}

/** u32 length of the JSON, between 40 and 250, so its first byte is not {@link FORM} · the JSON, with the number of values · the values. */
function decodeJsonEmbedding(bytes: Buffer): EmbeddingRegister {
  const start = 4 + bytes.readUInt32LE(0);
  const { o, n } = decodeJson<{ o: JsonOrder; n?: number }>(bytes.subarray(4, start));
  return {
    order: orderOf(o),
    values: n === undefined ? undefined : floatsOf(bytes.subarray(start, start + 4 * n)),
  };
}

/** The end of an origin, and its times. */
interface StoredOrigin {
  readonly epoch: number;
  readonly last: number;
  readonly chain: string;
  readonly lastHlc: number;
  /** Both are absent if they are the millisecond of `lastHlc`, the common case. */
  readonly lastMs?: number;
  readonly newestMs?: number;
}

/** An origin before its first event. */
export function openedOrigin(origin: string, epoch: number): OriginInfo {
  return { origin, epoch, first: 1, last: 0, chain: NO_PREDECESSOR, lastHlc: 0, lastMs: 0, newestMs: 0 };
}

export function encodeOrigin({ epoch, last, chain, lastHlc, lastMs, newestMs }: OriginInfo): Uint8Array {
  const stored: StoredOrigin = {
    ...{ epoch, last, chain: Buffer.from(chain).toString('hex'), lastHlc },
    ...(lastMs === hlcMs(lastHlc) ? {} : { lastMs }),
    ...(newestMs === hlcMs(lastHlc) ? {} : { newestMs }),
  };
  return encodeJson(stored);
}

/** `first`: the lowest sequence whose batch is still stored; absent if none is. */
export function decodeOrigin(origin: string, bytes: Uint8Array, first?: number): OriginInfo {
  const { epoch, last, chain, lastHlc, ...times } = decodeJson<StoredOrigin>(bytes);
  const { lastMs = hlcMs(lastHlc), newestMs = hlcMs(lastHlc) } = times;
  return { origin, epoch, first: first ?? last + 1, last, chain: Buffer.from(chain, 'hex'), lastHlc, lastMs, newestMs };
}

function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
}
