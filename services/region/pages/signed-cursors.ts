/**
 * Cursors as signed bytes, base64url:
 *
 *     version 1 · flags 1 · read time 8 · items shown 8 · [rest 22] · kinds 2 · kinds × (fingerprint 6, key 22) ·
 *     fingerprint of the query 8 · HMAC-SHA256 of all before 16
 *
 * where a key is score and entity, 8 bytes each, and tie, 6. Score, entity, read time and count are float64, bit for bit, the tie
 * an integer; numbers are big-endian.
 *
 * The HMAC's key is derived from the secret and the schema: every region of a cluster accepts the cursors of every other, also
 * after a restart, and none of a schema with other signals, whose scores may have another meaning. While the cluster's internal
 * secret is replaced, cursors under either are accepted. Without any secret the key is public: then cursors that were damaged, truncated or edited are refused, but one can be forged. A forged cursor shows
 * nothing that paging would not, and costs a region no more than any page. With a secret of their own, the regions refuse forged
 * cursors as well.
 */
import { createHmac, hash, timingSafeEqual } from 'node:crypto';
import { assert } from '../../../shared/kernel/kernel.ts';
import { LAST_TIMESTAMP_MS } from '../../../shared/protocol/timestamp.ts';
import type { RankKey } from '../scored/scored.ts';
import type { Cursors, PagePosition } from './pages.ts';
import { KIND_BYTES, KINDS_LIMIT } from './pages.ts';

const VERSION = 2;
const HAS_REST = 1;
const HEAD_BYTES = 1 + 1 + 8 + 8;
const TIE_BYTES = 6;
const KEY_BYTES = 8 + 8 + TIE_BYTES;
const QUERY_BYTES = 8;
const TAG_BYTES = 16;
const TAIL_BYTES = QUERY_BYTES + TAG_BYTES;
const MOST_BYTES = HEAD_BYTES + KEY_BYTES + 2 + KINDS_LIMIT * (KIND_BYTES + KEY_BYTES) + TAIL_BYTES;

export interface SignedCursorsOptions {
  /** The same in every region, the one that signs first; an empty one: the public default. */
  readonly secrets: () => readonly string[];
  readonly schemaHash: string;
}

export function createCursors({ secrets, schemaHash }: SignedCursorsOptions): Cursors {
  return new SignedCursors(() =>
    secrets().map((secret) => createHmac('sha256', secret).update(`tidal cursor ${VERSION} ${schemaHash}`).digest()),
  );
}

class SignedCursors implements Cursors {
  private readonly keys: () => readonly Uint8Array[];

  constructor(keys: () => readonly Uint8Array[]) {
    this.keys = keys;
  }

  write(identity: readonly unknown[], atMs: number, { shown, rest, kinds }: PagePosition): string {
    assert(kinds.size <= KINDS_LIMIT, 'a place names few kinds', () => kinds.size);
    const bytes = Buffer.alloc(MOST_BYTES);
    let at = bytes.writeUInt8(VERSION);
    at = bytes.writeUInt8(rest === undefined ? 0 : HAS_REST, at);
    at = bytes.writeDoubleBE(atMs, at);
    at = bytes.writeDoubleBE(shown, at);
    if (rest !== undefined) at = writeKey(bytes, at, rest);
    at = bytes.writeUInt16BE(kinds.size, at);
    for (const [kind, key] of kinds) {
      at += bytes.write(kind, at, 'hex');
      at = writeKey(bytes, at, key);
    }
    at += queryFingerprint(identity).copy(bytes, at);
    at += tagOf(this.keys()[0]!, bytes.subarray(0, at)).copy(bytes, at);
    return bytes.toString('base64url', 0, at);
  }

  read(cursor: string, identity: readonly unknown[]): ReturnType<Cursors['read']> {
    const bytes = Buffer.from(cursor, 'base64url');
    const signedBytes = bytes.length - TAG_BYTES;
    // One encoding only: base64url decoding ignores unknown characters.
    if (signedBytes < HEAD_BYTES + QUERY_BYTES || bytes.toString('base64url') !== cursor) return 'not_ours';
    const [signed, tag] = [bytes.subarray(0, signedBytes), bytes.subarray(signedBytes)];
    if (!this.keys().some((key) => timingSafeEqual(tagOf(key, signed), tag))) return 'not_ours';
    if (!queryFingerprint(identity).equals(bytes.subarray(signedBytes - QUERY_BYTES, signedBytes)))
      return 'other_query';
    return parse(bytes, signedBytes - QUERY_BYTES) ?? 'not_ours';
  }
}

function tagOf(key: Uint8Array, bytes: Uint8Array): Buffer {
  return createHmac('sha256', key).update(bytes).digest().subarray(0, TAG_BYTES);
}

/** Undefined if `write` does not produce it, even if the signature is right. */
function parse(bytes: Buffer, end: number): { readonly atMs: number; readonly place: PagePosition } | undefined {
  const atMs = bytes.readDoubleBE(2);
  const shown = bytes.readDoubleBE(10);
  const hasRest = bytes[1] === HAS_REST;
  const kindsAt = HEAD_BYTES + (hasRest ? KEY_BYTES : 0);
  if (bytes[0] !== VERSION || kindsAt + 2 > end) return undefined;
  if (!(atMs >= 0 && atMs <= LAST_TIMESTAMP_MS && Number.isSafeInteger(shown) && shown >= 0)) return undefined;
  const count = bytes.readUInt16BE(kindsAt);
  const rest = hasRest ? readKey(bytes, HEAD_BYTES) : undefined;
  if (count > KINDS_LIMIT || end !== kindsAt + 2 + count * (KIND_BYTES + KEY_BYTES)) return undefined;
  const kinds = new Map<string, RankKey>();
  for (let at = kindsAt + 2; at < end; at += KIND_BYTES + KEY_BYTES) {
    kinds.set(bytes.toString('hex', at, at + KIND_BYTES), readKey(bytes, at + KIND_BYTES));
  }
  const keys = [...kinds.values(), ...(rest === undefined ? [] : [rest])];
  if (keys.some(({ score, entity }) => Number.isNaN(score) || !Number.isSafeInteger(entity))) return undefined;
  return { atMs, place: { shown, rest, kinds } };
}

function writeKey(bytes: Buffer, at: number, { score, entity, tie = 0 }: RankKey): number {
  return bytes.writeUIntBE(tie, bytes.writeDoubleBE(entity, bytes.writeDoubleBE(score, at)), TIE_BYTES);
}

function readKey(bytes: Buffer, at: number): RankKey {
  const tie = bytes.readUIntBE(at + 16, TIE_BYTES);
  const key = { score: bytes.readDoubleBE(at), entity: bytes.readDoubleBE(at + 8) };
  return tie === 0 ? key : { ...key, tie };
}

function queryFingerprint(identity: readonly unknown[]): Buffer {
  return hash('sha256', JSON.stringify(identity), 'buffer').subarray(0, QUERY_BYTES);
}
