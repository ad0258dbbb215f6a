/**
 * Removes a pair's future from its windows: decides which of its events keep a time, and which count as long past.
 *
 * A pair with an event from the future has rings and decay buckets that ignore the present until the calendar has caught up.
 * Events that its rings still have from before a given time keep their minute; the part of an hour's sum that its minutes do not
 * have is put at the beginning of the hour; everything else (the future, and events that the rings had dropped) becomes long
 * past: in `all`, in no window, and so old that its decayed weight is negligible. The result is a function of the pair's stored
 * values and that time alone.
 */
import { WEIGHT_LIMIT, WEIGHT_SCALE } from '../../../../shared/protocol/events.ts';
import { type BucketValues, MINUTE_MS, MINUTES_PER_HOUR } from './spans/spans.ts';

/** More than the longest ring covers, ms. */
export const LONG_PAST_MS = 8 * 86_400_000;

/** Maximum of one event, thousandths: no more is added at once. */
const HEAVIEST = BigInt(WEIGHT_LIMIT * WEIGHT_SCALE);

/** At most the weight of one event, thousandths, and its time. */
export interface Placed {
  readonly weight: number;
  readonly timeMs: number;
}

/** Everything in `all`, ascending in time, the long past first. No more pieces than there were events. */
export function* placedUpTo(
  { all, minutes, hours }: { all: number | bigint; minutes: BucketValues; hours: BucketValues },
  upToMs: number,
): Generator<Placed> {
  const placed = new Map<number, bigint>();
  const inMinutes = new Map<number, bigint>();
  let rest = BigInt(all);
  const place = (minute: number, weight: bigint): void => {
    placed.set(minute, (placed.get(minute) ?? 0n) + weight);
    rest -= weight;
  };
  for (const [minute, weight] of bucketsOf(minutes)) {
    if (minute * MINUTE_MS > upToMs) continue;
    place(minute, weight);
    const hour = Math.floor(minute / MINUTES_PER_HOUR);
    inMinutes.set(hour, (inMinutes.get(hour) ?? 0n) + weight);
  }
  for (const [hour, weight] of bucketsOf(hours)) {
    // An hour that has not ended may have the future in it.
    if ((hour + 1) * MINUTES_PER_HOUR * MINUTE_MS > upToMs) continue;
    place(hour * MINUTES_PER_HOUR, weight - (inMinutes.get(hour) ?? 0n));
  }
  yield* pieces(rest, upToMs - LONG_PAST_MS);
  for (const [minute, weight] of [...placed].sort(([a], [b]) => a - b)) yield* pieces(weight, minute * MINUTE_MS);
}

function* pieces(weight: bigint, timeMs: number): Generator<Placed> {
  for (let left = weight; left > 0n; left -= HEAVIEST) {
    yield { weight: Number(left < HEAVIEST ? left : HEAVIEST), timeMs };
  }
}

function* bucketsOf(values: BucketValues): Generator<readonly [number, bigint]> {
  for (let at = 0; at < values.length; at += 2) yield [Number(values[at]!), BigInt(values[at + 1]!)];
}
