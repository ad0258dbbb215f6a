/**
 * From a client's `Idempotency-Key` to what travels and is logged. The router makes it, so that every router makes the
 * same: id = hash(key, route, index), 16 bytes; body hash = hash(how many writes the request has, the write), 8 bytes,
 * over the write as it was parsed, so that spelling (field order, white space, `1` or `1.0`) makes no difference.
 *
 * The number of writes is part of the body: the first ten lines of a bulk are not that bulk, nor is one write an array
 * of one.
 */
import { hash } from 'node:crypto';
import { Refusal } from '../errors/errors.ts';
import { valuesOf, type WireWrite, type WriteRoute } from './writes.ts';

const ID_BYTES = 16;
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
  return writes.map((write, index) => ({
    ...write,
    key: [shortHash([key, route, index], ID_BYTES), shortHash([count, ...canonical(write)], BODY_HASH_BYTES)],
  }));
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
