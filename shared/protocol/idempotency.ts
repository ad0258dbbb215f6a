/**
 * From a client's `Idempotency-Key` to what travels and is logged. The router makes it, so that every router makes the
 * same: id = hash(key, route), 12 bytes, and the index of the write in its request, 4 bytes, big-endian; body hash = hash(how
 * many writes the request has, the write), 8 bytes, over the write as it was parsed, so that spelling (field order, white
 * space, `1` or `1.0`) makes no difference.
 *
 * In base64url the first 12 bytes are exactly the first 16 characters: what all writes of a request have in common is read off
 * their ids.
 *
 * The number of writes is part of the body: the first ten lines of a bulk are not that bulk, nor is one write an array
 * of one.
 */
import { hash } from 'node:crypto';
import { Refusal } from '../errors/errors.ts';
import { valuesOf, type WireWrite, type WriteRoute } from './writes.ts';

const KEY_ID_BYTES = 12;
/** Characters of what is common to all ids of a request. */
const KEY_ID_LENGTH = 16;
const BODY_HASH_BYTES = 8;
/** Added to an internal request by the key of one write, bytes. */
export const WIRE_KEY_BYTES = 52;

const keyPattern = /^[\x21-\x7e]{1,255}$/;

/** The header's value; undefined when there is none. Throws a `Refusal` for one that cannot be a key. */
export function parseIdempotencyKey(header: string | readonly string[] | undefined): string | undefined {
  if (header === undefined) return undefined;
  if (typeof header === 'string' && keyPattern.test(header)) return header;
  throw new Refusal('invalid_request', 'Idempotency-Key must have 1 to 255 visible ASCII characters, without spaces', {
    hint: 'a random UUID for each write will do; send the same one again to retry the same write',
  });
}

/** The writes of one request under one key. `bulk`: they came as an array or as lines, however many. */
export function withKeys(key: string, route: WriteRoute, writes: readonly WireWrite[], bulk: boolean): WireWrite[] {
  const count = bulk ? writes.length : 0;
  const keyId = shortHash([key, route], KEY_ID_BYTES);
  return writes.map((write, index) => ({
    ...write,
    key: [writeIdOf(keyId, index), shortHash([count, ...canonical(write)], BODY_HASH_BYTES)],
  }));
}

/** Names the key on its route: what the ids of all writes under it begin with. */
export function keyIdOf(id: string): string {
  return id.slice(0, KEY_ID_LENGTH);
}

/** Which write of its request the id names. One that a router made before there were such ids has any number, and a key id of its own. */
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
      return ['s', write.e, write.s, write.w, write.t ?? null];
    case 'i':
      return ['i', write.e, Object.entries(write.m).sort(([a], [b]) => (a < b ? -1 : 1))];
    case 'd':
      return ['d', write.e];
    case 'v':
      return ['v', write.e, [...valuesOf(write.b)]];
  }
}
