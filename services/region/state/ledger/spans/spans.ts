/**
 * The two rings of a pair and the windows read from them.
 *
 * A ring of n buckets covers (newest − n, newest], newest = the bucket of the pair's latest event. n exceeds the widest window by
 * a few buckets, so that an event of another region that is received a little late is still counted.
 */
import { type Window, windowSeconds } from '../../../schema/schema.ts';

export const MINUTE_MS = 60_000;
export const MINUTES_PER_HOUR = 60;
export const HOUR_MS = MINUTES_PER_HOUR * MINUTE_MS;
export type RingKind = 'minutes' | 'hours';

export interface WindowSpan {
  readonly ring: RingKind;
  /** A read at `atMs` sums the buckets floor(at/b) − count < i ≤ floor(at/b). */
  readonly count: number;
}

/** Up to an hour a window is read to the minute, beyond it to the hour. */
export const windowSpans = Object.fromEntries(
  Object.entries(windowSeconds).map(([window, seconds]): [string, WindowSpan] => [
    window,
    seconds * 1_000 <= HOUR_MS
      ? { ring: 'minutes', count: (seconds * 1_000) / MINUTE_MS }
      : { ring: 'hours', count: (seconds * 1_000) / HOUR_MS },
  ]),
) as Readonly<Record<Exclude<Window, 'all'>, WindowSpan>>;

export const MINUTES_KEPT = widest('minutes') + 6;
export const HOURS_KEPT = widest('hours') + 2;
/** The hours of a total over a day: a day and two hours, as the rings exceed their windows. */
export const DAY_HOURS_KEPT = 26;

function widest(kind: RingKind): number {
  return Math.max(...Object.values(windowSpans).map(({ ring, count }) => (ring === kind ? count : 0)));
}

/**
 * The earliest read time for which a window is known, for a pair whose latest event is at `newestMs`: the first minute or hour of
 * which later events have displaced no bucket; for `all`, the end of the hour before the oldest one kept, since all later hours
 * are subtracted. Decayed scores are known for as long as `all`.
 */
export function knownSince(window: Window, newestMs: number): number {
  const newestMinute = Math.floor(newestMs / MINUTE_MS);
  if (window === 'all') return (hourOf(newestMinute) - HOURS_KEPT + 1) * HOUR_MS - 1;
  const { ring, count } = windowSpans[window];
  if (ring === 'minutes') return (newestMinute - MINUTES_KEPT + count) * MINUTE_MS;
  return (hourOf(newestMinute) - HOURS_KEPT + count) * HOUR_MS;
}

export function hourOf(minute: number): number {
  return Math.floor(minute / MINUTES_PER_HOUR);
}

/** Appends bucket, value, bucket, value … ascending, zero values left out: the canonical content of a ring. */
export type BucketValues = (number | bigint)[];

/** The three totals of a pair: see `dense-rings.ts`. Thousandths. */
export interface RingTotals {
  minutes: number;
  day: number;
  hours: number;
}
