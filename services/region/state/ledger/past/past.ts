/**
 * Reads for a time before events that are already applied: no event after that time counts.
 *
 * A pair knows the times of its first and latest events exactly, those of others to the minute for an hour before the latest, and
 * to the hour for a week. So a reading is exact at and after the latest event, before the first, if the minute of the read time
 * (its hour, if the minutes were dropped) has no event, and at the end of any minute or hour: `Doubt.withinMs` reports where it
 * is not. Sums whose buckets newer events have displaced are no longer known (`Doubt.knownSince`).
 */
import { WEIGHT_SCALE } from '../../../../../shared/protocol/events.ts';
import { byWindow, type Window } from '../../../schema/schema.ts';
import type { Decay } from '../decay/decay.ts';
import type { Doubt, Past, SignalReading, SignalView } from '../ledger.ts';
import {
  type BucketValues,
  HOUR_MS,
  hourOf,
  knownSince,
  MINUTE_MS,
  MINUTES_KEPT,
  type RingKind,
  windowSpans,
} from '../spans/spans.ts';

/** The pairs of one signal, as reads of the past use them. Sums in thousandths. */
export interface TimedPairs {
  readonly decay: Decay;
  /** The pair's slot; −1 without one. */
  find(entity: number): number;
  firstMs(slot: number): number;
  lastMs(slot: number): number;
  count(slot: number): number;
  /** Sum of everything. */
  all(slot: number): number;
  /** Sum of the ring's buckets above `above`. */
  sumAfter(slot: number, ring: RingKind, above: number): number;
  values(slot: number, ring: RingKind): BucketValues;
  /** The decayed score of all events, weights. */
  score(slot: number, atMs: number): number;
}

/** The bucket of a time, in the finest ring that still has it. */
interface Place {
  readonly ring: RingKind;
  readonly bucket: number;
  readonly bucketMs: number;
}

class Doubts implements Doubt {
  withinMs = 0;
  readonly knownSince = new Map<Window, number>();

  within(bucketMs: number): void {
    this.withinMs = Math.max(this.withinMs, bucketMs);
  }

  gone(window: Window, sinceMs: number): void {
    this.knownSince.set(window, Math.max(sinceMs, this.knownSince.get(window) ?? 0));
  }
}

class PastPairs implements SignalView {
  private readonly pairs: TimedPairs;
  private readonly doubts: () => Doubts;

  constructor(pairs: TimedPairs, doubts: () => Doubts) {
    this.pairs = pairs;
    this.doubts = doubts;
  }

  sum(entity: number, window: Window, atMs: number): number {
    const slot = this.pairs.find(entity);
    if (slot < 0) return 0;
    this.requireKnown(slot, window, atMs);
    return this.sumOf(slot, window, atMs);
  }

  decayed(entity: number, atMs: number): number {
    const slot = this.pairs.find(entity);
    if (slot < 0) return 0;
    this.requireKnown(slot, 'all', atMs);
    return this.decayedOf(slot, atMs);
  }

  read(entity: number, atMs: number): SignalReading | undefined {
    const { pairs } = this;
    const slot = pairs.find(entity);
    if (slot < 0) return undefined;
    const sum = (window: Window): number | undefined =>
      this.knows(slot, window, atMs) ? this.sumOf(slot, window, atMs) : undefined;
    return {
      sums: byWindow(sum),
      count: pairs.count(slot),
      decayed: this.knows(slot, 'all', atMs) ? this.decayedOf(slot, atMs) : undefined,
      firstMs: pairs.firstMs(slot),
      lastMs: pairs.lastMs(slot),
    };
  }

  private knows(slot: number, window: Window, atMs: number): boolean {
    const lastMs = this.pairs.lastMs(slot);
    return atMs >= lastMs || atMs < this.pairs.firstMs(slot) || atMs >= knownSince(window, lastMs);
  }

  private requireKnown(slot: number, window: Window, atMs: number): void {
    if (!this.knows(slot, window, atMs)) this.doubts().gone(window, knownSince(window, this.pairs.lastMs(slot)));
  }

  private sumOf(slot: number, window: Window, atMs: number): number {
    const { pairs } = this;
    if (atMs < pairs.firstMs(slot)) return 0;
    const minute = Math.floor(atMs / MINUTE_MS);
    const later = atMs >= pairs.lastMs(slot) ? 0 : this.laterThan(slot, atMs);
    if (window === 'all') return (pairs.all(slot) - later) / WEIGHT_SCALE;
    const { ring, count } = windowSpans[window];
    if (ring === 'hours') return Math.max(0, pairs.sumAfter(slot, ring, hourOf(minute) - count) - later) / WEIGHT_SCALE;
    return (pairs.sumAfter(slot, ring, minute - count) - pairs.sumAfter(slot, ring, minute)) / WEIGHT_SCALE;
  }

  /** The sum of later buckets than that of the read time; events of that one may be on either side. */
  private laterThan(slot: number, atMs: number): number {
    const { ring, bucket, bucketMs } = this.placeOf(slot, atMs);
    const later = this.pairs.sumAfter(slot, ring, bucket);
    const isWhole = (atMs + 1) % bucketMs === 0;
    if (!isWhole && this.pairs.sumAfter(slot, ring, bucket - 1) > later) this.doubts().within(bucketMs);
    return later;
  }

  private placeOf(slot: number, atMs: number): Place {
    const minute = Math.floor(atMs / MINUTE_MS);
    const newestMinute = Math.floor(this.pairs.lastMs(slot) / MINUTE_MS);
    if (newestMinute - minute < MINUTES_KEPT) return { ring: 'minutes', bucket: minute, bucketMs: MINUTE_MS };
    return { ring: 'hours', bucket: hourOf(minute), bucketMs: HOUR_MS };
  }

  /**
   * The decay buckets include later events, mixed with earlier ones, and the rings know their times only to the bucket. So the
   * score is bounded in two ways: the decay buckets minus the later events of the rings; and the earlier events of the rings plus
   * older ones, which weigh at most as much as at the beginning of the rings. Each is off by the decay over half a bucket. The
   * result is the middle of the interval that both allow, never above the plain sum.
   */
  private decayedOf(slot: number, atMs: number): number {
    const { pairs } = this;
    const { decay } = pairs;
    if (atMs < pairs.firstMs(slot)) return 0;
    if (atMs >= pairs.lastMs(slot)) return pairs.score(slot, atMs);
    const { ring, bucket: upTo, bucketMs } = this.placeOf(slot, atMs);
    const values = pairs.values(slot, ring);
    let known = 0;
    let knownWeight = 0;
    let later = 0;
    for (let at = 0; at < values.length; at += 2) {
      const bucket = Number(values[at]!);
      const weight = Number(values[at + 1]!) / WEIGHT_SCALE;
      const worth = weight * decay.factor((bucket + 0.5) * bucketMs, atMs);
      if (bucket > upTo) later += worth;
      else {
        known += worth;
        knownWeight += weight;
      }
    }
    const earlier = this.sumOf(slot, 'all', atMs);
    const oldest = Math.min(upTo, Number(values[0] ?? upTo));
    const older = Math.max(0, earlier - knownWeight) * decay.factor(oldest * bucketMs, atMs);
    const cells = pairs.score(slot, atMs);
    const off = decay.factor(bucketMs / 2, 0);
    const lowest = Math.max(0, known / off, cells - later * off);
    const highest = Math.min(earlier, known * off + older, cells - later / off);
    // Rounding or extreme numbers may leave an empty interval: then only the rings are used.
    return Math.min(earlier, highest >= lowest ? (lowest + highest) / 2 : known);
  }
}

/** The past of all signals. */
export class PastLedger implements Past {
  private readonly bySignal: ReadonlyMap<string, PastPairs>;
  private doubts = new Doubts();

  constructor(pairs: Iterable<readonly [signal: string, pairs: TimedPairs]>) {
    const doubts = (): Doubts => this.doubts;
    this.bySignal = new Map(Array.from(pairs, ([signal, timed]) => [signal, new PastPairs(timed, doubts)]));
  }

  watch<T>(read: () => T, earlier?: Doubt): { readonly value: T; readonly doubt: Doubt } {
    const doubt = new Doubts();
    const outer = this.doubts;
    this.doubts = doubt;
    try {
      if (earlier !== undefined) this.include(earlier);
      return { value: read(), doubt };
    } finally {
      this.doubts = outer;
    }
  }

  include({ withinMs, knownSince }: Doubt): void {
    this.doubts.within(withinMs);
    for (const [window, sinceMs] of knownSince) this.doubts.gone(window, sinceMs);
  }

  signal(name: string): SignalView | undefined {
    return this.bySignal.get(name);
  }

  read(entity: number, signal: string, atMs: number): SignalReading | undefined {
    return this.bySignal.get(signal)?.read(entity, atMs);
  }

  sum(entity: number, signal: string, window: Window, atMs: number): number {
    return this.bySignal.get(signal)?.sum(entity, window, atMs) ?? 0;
  }

  decayed(entity: number, signal: string, atMs: number): number {
    return this.bySignal.get(signal)?.decayed(entity, atMs) ?? 0;
  }
}
