/**
 * Cursors as signed bytes, base64url:
 *
 *     version 1 · flags 1 · read time 8 · items shown 8 · [rest 22] · kinds 2 · kinds × (fingerprint 6, key 22) ·
 *     [length 2, statistics] · [length 2, items seen] · [lowest and highest score 16] · fingerprint of the query 8 · HMAC-SHA256 of all before 16
 *
 * where a key is score and entity, 8 bytes each, and tie, 6, and in a list that is sorted by fields [length 2, order]. Score, entity, read time and count are float64, bit for bit, the tie
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
import { CURSOR_LIMIT_CHARACTERS } from '../../../shared/protocol/internal.ts';
import { LAST_TIMESTAMP_MS } from '../../../shared/protocol/timestamp.ts';
import type { RankKey } from '../scored/scored.ts';
import type { Cursors, PagePosition } from './pages.ts';
import { KIND_BYTES, KINDS_LIMIT } from './pages.ts';
import { Seen } from './seen.ts';

const VERSION = 3;
const HAS_REST = 1;
const HAS_STATISTICS = 2;
const HAS_SEEN = 4;
const HAS_ORDER = 8;
const HAS_RANGE = 16;
const FLAGS = HAS_REST + HAS_STATISTICS + HAS_SEEN + HAS_ORDER + HAS_RANGE;
const RANGE_BYTES = 16;
const HEAD_BYTES = 1 + 1 + 8 + 8;
const TIE_BYTES = 6;
const KEY_BYTES = 8 + 8 + TIE_BYTES;
const QUERY_BYTES = 8;
const TAG_BYTES = 16;
const TAIL_BYTES = QUERY_BYTES + TAG_BYTES;
/** Four characters of base64url are three bytes. */
const MOST_BYTES = (CURSOR_LIMIT_CHARACTERS / 4) * 3;
const FRAME_BYTES = HEAD_BYTES + KEY_BYTES + 2 + RANGE_BYTES + TAIL_BYTES;

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

  kindsLimit(statistics: Uint8Array | undefined, orderBytes = 0): number {
    const order = orderBytes === 0 ? 0 : 2 + orderBytes;
    const left = MOST_BYTES - FRAME_BYTES - order - (statistics === undefined ? 0 : 2 + statistics.length);
    return Math.max(0, Math.min(KINDS_LIMIT, Math.floor(left / (KIND_BYTES + KEY_BYTES + order))));
  }

  write(identity: readonly unknown[], atMs: number, place: PagePosition): string {
    const { shown, rest, kinds, statistics, range } = place;
    const seen = place.seen?.bytes();
    const hasOrder = [rest, ...kinds.values()].some((key) => key?.order !== undefined);
    assert(kinds.size <= KINDS_LIMIT, 'a place names few kinds', () => kinds.size);
    const bytes = Buffer.alloc(MOST_BYTES);
    let at = bytes.writeUInt8(VERSION);
    const flags = [
      rest && HAS_REST,
      statistics && HAS_STATISTICS,
      seen && HAS_SEEN,
      hasOrder ? HAS_ORDER : 0,
      range && HAS_RANGE,
    ];
    at = bytes.writeUInt8(
      flags.reduce<number>((sum, flag) => sum + (flag ?? 0), 0),
      at,
    );
    at = bytes.writeDoubleBE(atMs, at);
    at = bytes.writeDoubleBE(shown, at);
    if (rest !== undefined) at = writeKey(bytes, at, rest, hasOrder);
    at = bytes.writeUInt16BE(kinds.size, at);
    for (const [kind, key] of kinds) {
      at += bytes.write(kind, at, 'hex');
      at = writeKey(bytes, at, key, hasOrder);
    }
    for (const part of [statistics, seen]) {
      if (part === undefined) continue;
      at = bytes.writeUInt16BE(part.length, at);
      bytes.set(part, at);
      at += part.length;
    }
    if (range !== undefined) at = bytes.writeDoubleBE(range.highest, bytes.writeDoubleBE(range.lowest, at));
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
  const flags = bytes[1]!;
  const hasRest = (flags & HAS_REST) !== 0;
  const hasOrder = (flags & HAS_ORDER) !== 0;
  if (bytes[0] !== VERSION || flags > FLAGS) return undefined;
  let at = HEAD_BYTES;
  const key = (): RankKey | undefined => {
    if (at + KEY_BYTES + (hasOrder ? 2 : 0) > end) return undefined;
    const read = readKey(bytes, at);
    at += KEY_BYTES;
    if (!hasOrder) return read;
    const from = at + 2;
    at = from + bytes.readUInt16BE(at);
    return at > end ? undefined : { ...read, order: bytes.toString('utf16le', from, at) };
  };
  if (!(atMs >= 0 && atMs <= LAST_TIMESTAMP_MS && Number.isSafeInteger(shown) && shown >= 0)) return undefined;
  const rest = hasRest ? key() : undefined;
  if ((hasRest && rest === undefined) || at + 2 > end) return undefined;
  const count = bytes.readUInt16BE(at);
  at += 2;
  if (count > KINDS_LIMIT) return undefined;
  const kinds = new Map<string, RankKey>();
  for (let i = 0; i < count; i++) {
    const kind = bytes.toString('hex', at, at + KIND_BYTES);
    at += KIND_BYTES;
    const read = key();
    if (read === undefined) return undefined;
    kinds.set(kind, read);
  }
  const keys = [...kinds.values(), ...(rest === undefined ? [] : [rest])];
  if (keys.some(({ score, entity }) => Number.isNaN(score) || !Number.isSafeInteger(entity))) return undefined;
  const parts: Uint8Array[] = [];
  for (const flag of [HAS_STATISTICS, HAS_SEEN]) {
    if ((flags & flag) === 0) continue;
    const from = at + 2;
    if (from > end) return undefined;
    at = from + bytes.readUInt16BE(at);
    if (at > end) return undefined;
    parts.push(bytes.subarray(from, at));
  }
  const hasRange = (flags & HAS_RANGE) !== 0;
  if (at + (hasRange ? RANGE_BYTES : 0) !== end) return undefined;
  const range = hasRange ? { lowest: bytes.readDoubleBE(at), highest: bytes.readDoubleBE(at + 8) } : undefined;
  if (range !== undefined && !(Number.isFinite(range.lowest) && Number.isFinite(range.highest))) return undefined;
  const seen = (flags & HAS_SEEN) === 0 ? undefined : Seen.read(parts.at(-1)!);
  const statistics = (flags & HAS_STATISTICS) === 0 ? undefined : parts[0];
  if ((flags & HAS_SEEN) !== 0 && seen === undefined) return undefined;
  const place = {
    shown,
    rest,
    kinds,
    ...(seen && { seen }),
    ...(statistics && { statistics }),
    ...(range && { range }),
  };
  return { atMs, place };
}

function writeKey(
  bytes: Buffer,
  at: number,
  { score, entity, tie = 0, order = '' }: RankKey,
  hasOrder: boolean,
): number {
  const end = bytes.writeUIntBE(tie, bytes.writeDoubleBE(entity, bytes.writeDoubleBE(score, at)), TIE_BYTES);
  if (!hasOrder) return end;
  const from = bytes.writeUInt16BE(order.length * 2, end);
  return from + bytes.write(order, from, 'utf16le');
}

function readKey(bytes: Buffer, at: number): RankKey {
  const tie = bytes.readUIntBE(at + 16, TIE_BYTES);
  const key = { score: bytes.readDoubleBE(at), entity: bytes.readDoubleBE(at + 8) };
  return tie === 0 ? key : { ...key, tie };
}

function queryFingerprint(identity: readonly unknown[]): Buffer {
  return hash('sha256', JSON.stringify(identity), 'buffer').subarray(0, QUERY_BYTES);
}
