/**
 * The decayed score S(at) = Σ w · 2^((t − at)/H) of one signal, in decay buckets.
 *
 * A decay bucket is 8 half-lives long: k = floor(t / 8H). An event adds one integer, round(w · scale · 2^((t − 8Hk)/H)), to its
 * pair's bucket k. Integers commute, so the buckets are the same bits whatever the order of events; nothing is ever rescaled.
 * Buckets newest − 3 … newest are kept, newest = the highest k among the pair's events: dropped events are more than 24
 * half-lives older than the newest one and weigh less than 2^-24 of their weight.
 *
 * Scale: a weight of 1 is 1000 thousandths, so its smallest stored integer is 1000 · 1024 and the one rounding is at most 0.5 /
 * 1,024,000 = 4.9e-7 of it; with the dropped 2^-24 = 6e-8 that stays below 1e-6 of the closed form. The largest event (weight
 * 10,000 at the end of a bucket) adds 2.6e12, far below 2^53: every addition is exact.
 */
import { assert } from '../../../../../shared/kernel/kernel.ts';
import { WEIGHT_SCALE } from '../../../../../shared/protocol/events.ts';
import { exp2, log2 } from './powers-of-two.ts';

export const BUCKET_HALF_LIVES = 8;
/** Decay buckets kept per pair: the newest and the three before it. */
export const DECAY_BUCKETS = 4;
export const DECAY_SCALE = 1024;

/** The weight of a bucket's content one bucket later: 2^-8. */
const PER_CELL = 1 / 256;

export class Decay {
  private readonly halfLifeMs: number;
  private readonly cellMs: number;

  constructor(halfLifeSeconds: number) {
    assert(Number.isFinite(halfLifeSeconds) && halfLifeSeconds > 0, 'a half-life is positive', () => halfLifeSeconds);
    this.halfLifeMs = halfLifeSeconds * 1000;
    this.cellMs = this.halfLifeMs * BUCKET_HALF_LIVES;
  }

  bucketOf(timeMs: number): number {
    return Math.floor(timeMs / this.cellMs);
  }

  /** The integer that an event of `weight` thousandths at `timeMs` adds to its bucket. */
  contribution(weight: number, timeMs: number, cell: number): number {
    return Math.round(weight * DECAY_SCALE * exp2((timeMs - cell * this.cellMs) / this.halfLifeMs));
  }

  /** The decayed value at `atMs` of a weight of 1 at `timeMs`: above 1 if `atMs` is earlier. */
  factor(timeMs: number, atMs: number): number {
    return exp2((timeMs - atMs) / this.halfLifeMs);
  }

  /**
   * The score at `atMs` of a pair with this newest bucket and {@link bucketSum}, in weights. Above the plain sum if there are
   * events after `atMs` (`past/past.ts` excludes them); never infinite, so that it can always be encoded.
   */
  score(newest: number, sum: number, atMs: number): number {
    if (sum === 0) return 0;
    const scale = exp2((newest * this.cellMs - atMs) / this.halfLifeMs);
    return Math.min((sum * scale) / (WEIGHT_SCALE * DECAY_SCALE), Number.MAX_VALUE);
  }

  /** The score at `atMs` of a pair with this {@link sortKey}, within 1e-9 of {@link score}. */
  ofKey(key: number, atMs: number): number {
    const score = exp2(key - atMs / this.halfLifeMs) / (WEIGHT_SCALE * DECAY_SCALE);
    return Math.min(score, Number.MAX_VALUE);
  }
}

/** Σ bucket · 256^(k − newest), newest first. */
export function bucketSum(newest: number, second: number, third: number, fourth: number): number {
  return newest + second * PER_CELL + third * (PER_CELL * PER_CELL) + fourth * (PER_CELL * PER_CELL * PER_CELL);
}

/**
 * Orders the pairs of one signal by their decayed score, whatever the read time: all scores shrink by the same factor, so 8 ·
 * newest + log2(Σ bucket · 256^(k − newest)) is constant. −Infinity when nothing of weight was added.
 */
export function sortKey(newest: number, sum: number): number {
  return sum === 0 ? Number.NEGATIVE_INFINITY : BUCKET_HALF_LIVES * newest + log2(sum);
}
