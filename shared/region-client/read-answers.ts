/** The other answers of a region on whose fields decisions depend. Each throws `Fault`: `wrong_region` or `malformed_answer`. */
import { Fault } from '../errors/errors.ts';
import { isCount, TIME_LIMIT_MS } from '../protocol/events.ts';
import type { AwaitReply, CountDigestReply, KeyRunReport, KeyRunsReply, SnapshotInfo } from '../protocol/internal.ts';
import { originPattern } from '../protocol/position.ts';
import { formatFlaw } from '../protocol/version.ts';
import type { AwaitOutcome, DigestCount, SnapshotOffer } from './region-client.ts';
import { malformed, ofRegion, readPosition } from './reported-status.ts';

/** Only if the region offers a copy of its own store; `Fault('unknown_format')` for one that a later version has written. */
export function readSnapshot(region: string, answer: unknown): SnapshotOffer {
  const info = ofRegion<SnapshotInfo>(region, answer);
  const { id, bytes, sha256, position, format } = info;
  const flaw = formatFlaw(format);
  if (flaw !== undefined) throw new Fault('unknown_format', `${region} offered a snapshot: ${flaw}`);
  if (typeof id !== 'string' || !/^[a-z2-7]{1,64}$/.test(id))
    throw malformed(region, 'offered a snapshot without an id');
  if (!Number.isSafeInteger(bytes) || (bytes as number) < 1) throw malformed(region, 'offered a snapshot of no size');
  if (typeof sha256 !== 'string' || !/^[0-9a-f]{64}$/.test(sha256)) {
    throw malformed(region, 'offered a snapshot without a digest');
  }
  return { ...(info as SnapshotInfo), position: readPosition(region, position) };
}

export function readDigestCount(region: string, answer: unknown): DigestCount {
  const reply = ofRegion<CountDigestReply>(region, answer);
  const { applied, position, digest } = reply;
  if (position !== undefined) readPosition(region, position);
  if (digest !== undefined && (typeof digest !== 'string' || position === undefined)) {
    throw malformed(region, 'reported a digest that is not one');
  }
  return { ...(reply as CountDigestReply), applied: readPosition(region, applied) };
}

/** `count`: how many ids were asked for. */
export function readKeyRuns(region: string, answer: unknown, count: number): KeyRunsReply['runs'] {
  const { runs } = ofRegion<KeyRunsReply>(region, answer);
  const isRun = ({ origin, first, last, acceptedMs, isRetraction }: Partial<KeyRunReport>): boolean =>
    typeof origin === 'string' &&
    originPattern.test(origin) &&
    isCount(first) &&
    isCount(last) &&
    first >= 1 &&
    last >= first &&
    isCount(acceptedMs) &&
    acceptedMs < TIME_LIMIT_MS &&
    typeof isRetraction === 'boolean';
  const areRuns =
    Array.isArray(runs) &&
    runs.length === count &&
    runs.every((each: unknown) => Array.isArray(each) && each.every((run: unknown) => isRun(run ?? {})));
  if (!areRuns) throw malformed(region, 'reported writes under a key that are none');
  return runs as KeyRunsReply['runs'];
}

export function readAwaited(region: string, answer: unknown): AwaitOutcome {
  const { reached, applied } = (answer ?? {}) as Partial<AwaitReply>;
  return { reached: reached === true, applied: readPosition(region, applied) };
}
