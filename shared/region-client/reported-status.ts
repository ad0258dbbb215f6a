/**
 * A region's status, validated once when it is received. Trimming, promotion and clock checks rely on its region and its
 * position: an answer of another region, or one that is not a status, does not count.
 */
import { clip, Fault } from '../errors/errors.ts';
import type { RegionStatus } from '../protocol/internal.ts';
import { type Position, parsePosition } from '../protocol/position.ts';
import { asVersion, requireUnderstandable } from '../protocol/version.ts';

export interface ReportedStatus extends Omit<RegionStatus, 'durable' | 'applied'> {
  readonly durable: Position;
  /** Never ahead of `durable`. */
  readonly applied: Position;
}

type Check = readonly [holds: (value: unknown) => boolean, expected: string];

const flag: Check = [(value) => typeof value === 'boolean', 'true or false'];
const number: Check = [Number.isFinite, 'a number'];
const text: Check = [(value) => typeof value === 'string', 'a text'];
const texts: Check = [(value) => Array.isArray(value) && value.every((each) => typeof each === 'string'), 'texts'];
const reason: Check = [isReason, 'a reason'];

/** Fields that an earlier version does not report are absent; the others have their declared type. */
const checks: Partial<Record<keyof RegionStatus, Check>> = {
  ready: flag,
  partitioned: flag,
  streamConnected: flag,
  offset: number,
  items: number,
  clockMs: number,
  startedMs: number,
  newestMs: number,
  healAtMs: number,
  streamLimitBytes: number,
  logAheadMs: number,
  signals: texts,
  failedIndexes: texts,
  streamSettings: texts,
  refusedValues: texts,
  quarantined: text,
  scanOnly: text,
  disk: text,
  stopped: reason,
  refused: reason,
  writeBlocker: reason,
  refuses: reason,
  // Whether it is valid for this cluster is judged by its reader (`shared/leadership`), and reported in `/health`.
  leadership: [isRecord, 'a leadership record'],
  newestEpoch: [isNewestEpoch, 'an epoch with its events'],
};

/**
 * Throws `Fault`: `wrong_region`, `version_mismatch`, or `malformed_answer` if a field does not have its declared type. The
 * version is looked at first: the fields of one that is not understood may have other types.
 */
export function readStatus(region: string, answer: unknown): ReportedStatus {
  const status = ofRegion<RegionStatus>(region, answer);
  const version = asVersion(status.version);
  if (version === undefined) throw malformed(region, 'reported a version that is not one');
  requireUnderstandable(region, version);
  for (const [name, [holds, expected]] of Object.entries(checks)) {
    const value = status[name as keyof RegionStatus];
    if (value === undefined || holds(value)) continue;
    throw malformed(region, `reported ${name} that is not ${expected}`);
  }
  return {
    ...(status as RegionStatus),
    signals: status.signals ?? [],
    durable: readPosition(region, status.durable),
    applied: readPosition(region, status.applied),
  };
}

/** The fields of an answer that names its region; throws `Fault('wrong_region')` if that is another one, or none. */
export function ofRegion<T extends { readonly region: string }>(region: string, answer: unknown): Partial<T> {
  const fields = (typeof answer === 'object' && answer !== null ? answer : {}) as Partial<T>;
  if (fields.region === region) return fields;
  throw new Fault('wrong_region', `the address of ${region} answers as the region ${clip(String(fields.region))}`);
}

/** Throws `Fault('malformed_answer')`: an invalid position is never read as "holds nothing". */
export function readPosition(region: string, token: unknown): Position {
  const position = typeof token === 'string' ? parsePosition(token) : undefined;
  if (position === undefined) throw malformed(region, 'reported a position that is not one');
  return position;
}

export function malformed(region: string, detail: string): Fault {
  return new Fault('malformed_answer', `${region} ${detail}`);
}

function isReason(value: unknown): boolean {
  const { detail, origins = [] } = (value ?? {}) as { readonly detail?: unknown; readonly origins?: unknown };
  return typeof detail === 'string' && Array.isArray(origins);
}

function isRecord(value: unknown): boolean {
  const { leader, epoch, nonce } = (value ?? {}) as Partial<Record<string, unknown>>;
  return typeof leader === 'string' && Number.isSafeInteger(epoch) && typeof nonce === 'string';
}

function isNewestEpoch(value: unknown): boolean {
  const { epoch, events } = (value ?? {}) as Partial<Record<string, unknown>>;
  return Number.isSafeInteger(epoch) && Number.isSafeInteger(events);
}
