/**
 * The encoding of idempotency records: one row for all writes under one key on one route, so that a bulk of any size is one row.
 * A *copy* is one event of the log under the key.
 *
 * A row is a list of runs, in the order they were appended. A run has copies of consecutive writes at consecutive sequences of
 * one origin: a bulk of one commit is one run, a bulk that was split is two. Little-endian:
 *
 *     0  u8   form                           14  f64  sequence of its first copy
 *     1  u8   length of the origin          22  f64  when that was accepted, epoch ms
 *     2  u32  index of its first write      30  u32  copies
 *     6  f64  epoch                         34  the origin, ASCII, and the copies
 *
 * Each copy has 16 bytes: its body hash (8), how many ms after the first it was accepted (u16), and how many ms its event time is
 * before that, or, of a retraction, the time up to which it takes back is after that (u48). A signal and a retraction have 8 more: the
 * hash of their values. Offsets are fixed, so that only the requested copies are decoded.
 *
 * Forms: 1 has no hash of values: of puts and deletes, and of signals by an earlier version; 2: retractions by an earlier version;
 * 3: signals; 4: retractions.
 */
import { Fault } from '../../../shared/errors/errors.ts';
import { assert } from '../../../shared/kernel/kernel.ts';
import type { KeyRunReport } from '../../../shared/protocol/internal.ts';
import { type Copy, VALUES_BYTES } from '../state/keys/keys.ts';
import { decodeJson } from './documents.ts';

/** A copy of one write of a request. */
export interface WriteCopy extends Copy {
  /** Which write of its request, from 0. */
  readonly index: number;
}

const FORM = 1;
const FORM_RETRACTIONS = 2;
const FORM_SIGNALS = 3;
const FORM_VALUED_RETRACTIONS = 4;
const HEAD_BYTES = 34;
const HASH_BYTES = 8;
const COPY_BYTES = 16;
const ACCEPTED_AT = 8;
const AGE_AT = 10;
const AGE_BYTES = 6;
const VALUES_AT = COPY_BYTES;
const AFTER_LIMIT_MS = 0xffff;
const AGE_LIMIT_MS = 2 ** (8 * AGE_BYTES) - 1;

/** The bytes that these copies add to their row. */
export function encodeCopies(copies: readonly WriteCopy[]): Buffer {
  const runs: WriteCopy[][] = [];
  for (const copy of copies) {
    const run = runs.at(-1);
    if (run !== undefined && continues(run[0]!, run.length, copy)) run.push(copy);
    else runs.push([copy]);
  }
  return Buffer.concat(runs.map(encodeRun));
}

function continues(first: WriteCopy, after: number, copy: WriteCopy): boolean {
  const afterMs = copy.acceptedMs - first.acceptedMs;
  return (
    copy.origin === first.origin &&
    copy.epoch === first.epoch &&
    copy.isRetraction === first.isRetraction &&
    (copy.values === undefined) === (first.values === undefined) &&
    copy.index === first.index + after &&
    copy.sequence === first.sequence + after &&
    afterMs >= 0 &&
    afterMs <= AFTER_LIMIT_MS
  );
}

function formOf({ isRetraction, values }: Copy): number {
  if (values === undefined) return isRetraction ? FORM_RETRACTIONS : FORM;
  return isRetraction ? FORM_VALUED_RETRACTIONS : FORM_SIGNALS;
}

function encodeRun(run: readonly WriteCopy[]): Buffer {
  const { origin, epoch, index, sequence, acceptedMs: firstMs, isRetraction } = run[0]!;
  const copiesAt = HEAD_BYTES + origin.length;
  const copyBytes = run[0]!.values === undefined ? COPY_BYTES : COPY_BYTES + VALUES_BYTES;
  const bytes = Buffer.allocUnsafe(copiesAt + run.length * copyBytes);
  bytes[0] = formOf(run[0]!);
  bytes[1] = origin.length;
  bytes.writeUInt32LE(index, 2);
  bytes.writeDoubleLE(epoch, 6);
  bytes.writeDoubleLE(sequence, 14);
  bytes.writeDoubleLE(firstMs, 22);
  bytes.writeUInt32LE(run.length, 30);
  bytes.write(origin, HEAD_BYTES, 'latin1');
  for (const [number, { bodyHash, values, acceptedMs, timeMs }] of run.entries()) {
    const at = copiesAt + number * copyBytes;
    const ageMs = isRetraction ? timeMs - acceptedMs : acceptedMs - timeMs;
    const hashBytes = bytes.write(bodyHash, at, HASH_BYTES, 'base64url');
    const valuesBytes = values === undefined ? VALUES_BYTES : bytes.write(values, at + VALUES_AT, VALUES_BYTES, 'hex');
    const fits = hashBytes === HASH_BYTES && valuesBytes === VALUES_BYTES && ageMs >= 0 && ageMs <= AGE_LIMIT_MS;
    assert(fits, 'a copy of a keyed write can be stored', () => ({
      origin,
      sequence: sequence + number,
      bodyHash,
      ageMs,
    }));
    bytes.writeUInt16LE(acceptedMs - firstMs, at + ACCEPTED_AT);
    bytes.writeUIntLE(ageMs, at + AGE_AT, AGE_BYTES);
  }
  return bytes;
}

interface Run {
  readonly origin: string;
  readonly epoch: number;
  readonly index: number;
  readonly sequence: number;
  readonly firstMs: number;
  readonly count: number;
  readonly isRetraction: boolean;
  /** Offset of its copies, and the bytes of each. */
  readonly at: number;
  readonly copyBytes: number;
}

export class KeyRow {
  private readonly bytes: Buffer;
  private readonly runs: readonly Run[];

  /** Throws `Fault('damaged_log')` if the bytes are not a row. */
  constructor(stored: Uint8Array) {
    this.bytes = Buffer.from(stored.buffer, stored.byteOffset, stored.length);
    this.runs = readRuns(this.bytes);
  }

  copiesOf(index: number): Copy[] {
    const found: Copy[] = [];
    for (const run of this.runs) {
      if (index >= run.index && index < run.index + run.count) found.push(this.copy(run, index - run.index));
    }
    return found;
  }

  /** Consecutive copies of consecutive writes, in the order they were appended. */
  summary(): readonly KeyRunReport[] {
    return this.runs.map(({ origin, sequence, firstMs, count, isRetraction }) => ({
      ...{ origin, first: sequence, last: sequence + count - 1, acceptedMs: firstMs, isRetraction },
    }));
  }

  /** All copies of the row, in the order they were appended. */
  *copies(): Iterable<WriteCopy> {
    for (const run of this.runs) {
      for (let number = 0; number < run.count; number++) yield { index: run.index + number, ...this.copy(run, number) };
    }
  }

  /** Whether every copy was accepted before that time and is covered by `upTo`. */
  isOlder(beforeMs: number, upTo: (origin: string) => number): boolean {
    return this.runs.every(({ origin, sequence, firstMs, count, at, copyBytes }) => {
      if (firstMs >= beforeMs || sequence + count - 1 > upTo(origin)) return false;
      for (let number = 1; number < count; number++) {
        if (firstMs + this.bytes.readUInt16LE(at + number * copyBytes + ACCEPTED_AT) >= beforeMs) return false;
      }
      return true;
    });
  }

  private copy({ origin, epoch, sequence, firstMs, isRetraction, at, copyBytes }: Run, number: number): Copy {
    const copyAt = at + number * copyBytes;
    const valuesAt = copyAt + VALUES_AT;
    const acceptedMs = firstMs + this.bytes.readUInt16LE(copyAt + ACCEPTED_AT);
    const ageMs = this.bytes.readUIntLE(copyAt + AGE_AT, AGE_BYTES);
    return {
      origin,
      sequence: sequence + number,
      epoch,
      acceptedMs,
      timeMs: isRetraction ? acceptedMs + ageMs : acceptedMs - ageMs,
      bodyHash: this.bytes.toString('base64url', copyAt, copyAt + HASH_BYTES),
      ...(copyBytes === COPY_BYTES ? {} : { values: this.bytes.toString('hex', valuesAt, copyAt + copyBytes) }),
      ...(isRetraction ? { isRetraction } : {}),
    };
  }
}

function readRuns(bytes: Buffer): Run[] {
  const damaged = (at: number, why: string): Fault =>
    new Fault(
      'damaged_log',
      `a row of the table of idempotency keys is damaged at byte ${at} of ${bytes.length}: ${why}`,
    );
  const runs: Run[] = [];
  if (bytes.length === 0) throw damaged(0, 'it is empty');
  for (let start = 0; start < bytes.length; ) {
    const form = bytes[start];
    if (form === undefined || form < FORM || form > FORM_VALUED_RETRACTIONS) {
      throw damaged(start, `a run of form ${form}; forms ${FORM} to ${FORM_VALUED_RETRACTIONS} are known`);
    }
    if (start + HEAD_BYTES > bytes.length) throw damaged(start, 'it ends within the head of a run');
    const count = bytes.readUInt32LE(start + 30);
    const at = start + HEAD_BYTES + bytes[start + 1]!;
    const run = {
      origin: bytes.toString('latin1', start + HEAD_BYTES, at),
      epoch: bytes.readDoubleLE(start + 6),
      index: bytes.readUInt32LE(start + 2),
      sequence: bytes.readDoubleLE(start + 14),
      firstMs: bytes.readDoubleLE(start + 22),
      count,
      isRetraction: form === FORM_RETRACTIONS || form === FORM_VALUED_RETRACTIONS,
      at,
      copyBytes: form < FORM_SIGNALS ? COPY_BYTES : COPY_BYTES + VALUES_BYTES,
    };
    if (count === 0) throw damaged(start, 'a run without copies');
    const end = at + count * run.copyBytes;
    if (end > bytes.length) throw damaged(start, `it ends within the ${count} copies of a run`);
    if (![run.epoch, run.sequence + count, run.firstMs].every(Number.isSafeInteger)) {
      throw damaged(start, 'an epoch, sequence or time is out of range');
    }
    runs.push(run);
    start = end;
  }
  return runs;
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

/** Copies of one keyed write, in the format of an earlier version. */
export function decodeEarlierCopies(bytes: Uint8Array): Copy[] {
  return decodeJson<StoredCopy[]>(bytes).map(([origin, sequence, epoch, acceptedMs, ageMs, bodyHash]) => ({
    origin,
    sequence,
    epoch,
    acceptedMs,
    timeMs: acceptedMs - ageMs,
    bodyHash,
  }));
}
