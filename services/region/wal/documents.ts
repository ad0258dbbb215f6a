/** How registers and marks lie in the store: JSON, with an embedding's values as f32 behind a length-prefixed head. */
import type { Order } from '../../../shared/protocol/events.ts';
import type { EmbeddingRegister, ItemRegister } from '../state/catalog/catalog.ts';
import type { Copy } from '../state/keys/keys.ts';

interface StoredOrder {
  readonly e: number;
  readonly h: number;
  readonly o: string;
  readonly s: number;
}

const packOrder = (order: Order): StoredOrder => ({ e: order.epoch, h: order.hlc, o: order.origin, s: order.sequence });
const unpackOrder = (stored: StoredOrder): Order => ({
  epoch: stored.e,
  hlc: stored.h,
  origin: stored.o,
  sequence: stored.s,
});

export function encodeJson(value: unknown): Uint8Array {
  return Buffer.from(JSON.stringify(value), 'utf8');
}

export function decodeJson<T>(bytes: Uint8Array): T {
  return JSON.parse(asBuffer(bytes).toString('utf8')) as T;
}

export function encodeItem(register: ItemRegister): Uint8Array {
  return encodeJson({ o: packOrder(register.order), m: register.metadata, c: register.createdMs });
}

export function decodeItem(bytes: Uint8Array): ItemRegister {
  const stored = decodeJson<{ o: StoredOrder; m?: ItemRegister['metadata']; c?: number }>(bytes);
  return { order: unpackOrder(stored.o), metadata: stored.m, createdMs: stored.c };
}

export function encodeEmbedding({ order, values }: EmbeddingRegister): Uint8Array {
  const head = Buffer.from(JSON.stringify({ o: packOrder(order), n: values?.length }), 'utf8');
  const bytes = Buffer.alloc(4 + head.length + 4 * (values?.length ?? 0));
  bytes.writeUInt32LE(head.length, 0);
  head.copy(bytes, 4);
  for (const [index, value] of (values ?? []).entries()) bytes.writeFloatLE(value, 4 + head.length + 4 * index);
  return bytes;
}

export function decodeEmbedding(stored: Uint8Array): EmbeddingRegister {
  const bytes = asBuffer(stored);
  const start = 4 + bytes.readUInt32LE(0);
  const head = decodeJson<{ o: StoredOrder; n?: number }>(bytes.subarray(4, start));
  if (head.n === undefined) return { order: unpackOrder(head.o), values: undefined };
  const values = new Float32Array(head.n);
  for (let index = 0; index < head.n; index++) values[index] = bytes.readFloatLE(start + 4 * index);
  return { order: unpackOrder(head.o), values };
}

type StoredCopy = readonly [
  origin: string,
  sequence: number,
  epoch: number,
  acceptedMs: number,
  /** Acceptance time − event time. */
  ageMs: number,
  bodyHash: string,
];

export function encodeCopies(copies: readonly Copy[]): Uint8Array {
  const stored = copies.map(
    ({ origin, sequence, epoch, acceptedMs, timeMs, bodyHash }): StoredCopy => [
      origin,
      sequence,
      epoch,
      acceptedMs,
      acceptedMs - timeMs,
      bodyHash,
    ],
  );
  return encodeJson(stored);
}

export function decodeCopies(bytes: Uint8Array): Copy[] {
  return decodeJson<StoredCopy[]>(bytes).map(([origin, sequence, epoch, acceptedMs, ageMs, bodyHash]) => ({
    origin,
    sequence,
    epoch,
    acceptedMs,
    timeMs: acceptedMs - ageMs,
    bodyHash,
  }));
}

function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
}
