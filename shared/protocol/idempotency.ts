/**
 * Derives the id and body hash of a write from a client's `Idempotency-Key`, in the router, the same in every router: id =
 * hash(key, route), 12 bytes, and the index of the write in its request, 4 bytes, big-endian; body hash = hash(how many writes
 * the request has, the write), 8 bytes, over the parsed write, so that formatting (field order, white space, `1` or `1.0`) makes
 * no difference.
 *
 * In base64url the first 12 bytes are exactly the first 16 characters: the part that all writes of a request share is a prefix of
 * their ids.
 *
 * The number of writes is part of the body: the first ten lines of a bulk are not that bulk, nor is one write an array
 * of one.
 */
import { hash } from 'node:crypto';
import { Refusal } from '../errors/errors.ts';
import { valuesOf, type WireWrite, type WriteRoute } from './writes.ts';

const KEY_ID_BYTES = 12;
/** Number of characters that all ids of a request share. */
const KEY_ID_LENGTH = 16;
const BODY_HASH_BYTES = 8;
/** Bytes that the key of one write adds to an internal request. */
export const WIRE_KEY_BYTES = 52;

const keyPattern = /^[\x21-\x7e]{1,255}$/;

/** The header's value; undefined when there is none. Throws a `Refusal` for an invalid key. */
export function parseIdempotencyKey(header: string | readonly string[] | undefined): string | undefined {
  if (header === undefined) return undefined;
  if (typeof header === 'string' && keyPattern.test(header)) return header;
  throw new Refusal('invalid_request', 'Idempotency-Key must have 1 to 255 visible ASCII characters, without spaces', {
    hint: 'a random UUID for each write will do; send the same one again to retry the same write',
  });
}

/** The writes of one request under one key. `bulk`: sent as an array or as lines, whatever their number. */
export function withKeys(key: string, route: WriteRoute, writes: readonly WireWrite[], bulk: boolean): WireWrite[] {
  const count = bulk ? writes.length : 0;
  const keyId = keyIdOn(key, route);
  return writes.map((write, index) => ({
    ...write,
    key: [writeIdOf(keyId, index), bodyHashOf(write, count)],
  }));
}

/** `count`: how many writes its request has, if it is a bulk; 0 otherwise. */
export function bodyHashOf(write: WireWrite, count: number): string {
  return shortHash([count, ...canonical(write)], BODY_HASH_BYTES);
}

/** Names the key on its route: the common prefix of the ids of all writes under it. */
export function keyIdOf(id: string): string {
  return id.slice(0, KEY_ID_LENGTH);
}

/** Of a key on a route, as {@link keyIdOf} returns it. */
export function keyIdOn(key: string, route: WriteRoute): string {
  return shortHash([key, route], KEY_ID_BYTES);
}

export function isKeyId(value: unknown): value is string {
  return typeof value === 'string' && value.length === KEY_ID_LENGTH && /^[\w-]+$/.test(value);
}

/** The index of the write in its request. An id of an earlier version has an arbitrary index, and a key id of its own. */
export function writeIndexOf(id: string): number {
  return Buffer.from(id.slice(KEY_ID_LENGTH), 'base64url').readUInt32BE();
}

export function writeIdOf(keyId: string, index: number): string {
  const bytes = Buffer.allocUnsafe(4);
  bytes.writeUInt32BE(index);
  return keyId + bytes.toString('base64url');
}

function shortHash(value: unknown, bytes: number): string {
  return hash('sha256', JSON.stringify(value), 'buffer').subarray(0, bytes).toString('base64url');
}

function canonical(write: WireWrite): readonly unknown[] {
  switch (write.k) {
    case 's':
    // It has the body of what it takes back.
    case 'r':
      return ['s', write.e, write.s, write.w, write.t ?? null];
    case 'i':
      return ['i', write.e, Object.entries(write.m).sort(([a], [b]) => (a < b ? -1 : 1))];
    case 'c':
      return ['c', write.e, Object.entries(write.m).sort(([a], [b]) => (a < b ? -1 : 1)), write.t];
    case 'p':
      return ['p', write.e, Object.entries(write.m).sort(([a], [b]) => (a < b ? -1 : 1))];
    case 'd':
      return ['d', write.e];
    case 'b':
      return ['b', write.p];
    case 'v':
      return ['v', write.e, [...valuesOf(write.b)]];
  }
}
