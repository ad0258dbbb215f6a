/**
 * The signal ledger: for every (entity, signal) pair its sums over windows and its decayed score.
 *
 * Promise: its state is a function of the *set* of events added, whatever their order or interleaving, bit for bit
 * (invariant 4). Every stored sum is an exact integer in thousandths of a weight. Nothing turns by a clock or a read.
 *
 * - `all`: Σ weight of every event.
 * - Rings: `1h` by minutes, `24h` and `7d` by hours. Per pair and ring, newest = highest bucket number among its events;
 *   the ring covers (newest − n, newest], n = 66 minutes and 170 hours. An event older than that adds to `all` only; a
 *   higher newest clears what falls out. A read at `atMs` sums floor(at/b) − N < i ≤ floor(at/b), N = 60, 24, 168.
 * - Decay: S(at) = Σ w · 2^((t − at)/H), in cells of 8 half-lives; see `decay.ts`.
 */
import type { Window } from '../../../../shared/schema/schema.ts';

/** What one pair says at a moment. Weights, not thousandths. */
export interface SignalReading {
  /** Sum of weights per window. */
  readonly sums: Readonly<Record<Window, number>>;
  /** Number of events ever, whatever their weight. */
  readonly count: number;
  /** Decayed score at the moment of reading: 1.0 for a weight-1 event that happens right then. */
  readonly decayed: number;
  /** Earliest and latest event time, epoch ms. */
  readonly firstMs: number;
  readonly lastMs: number;
}

export interface Ledger {
  /**
   * Adds one event. `weight` in thousandths (integer ≥ 0), `timeMs` epoch ms. The signal is one of the schema's: the
   * caller has stopped at `schema_behind` before.
   */
  add(entity: number, signal: string, weight: number, timeMs: number): void;
  /** The pair at `atMs`; undefined when no event of it was ever added. */
  read(entity: number, signal: string, atMs: number): SignalReading | undefined;
  /** One window's sum of weights at `atMs`, 0 without events. The hot path of ranking: allocates nothing. */
  sum(entity: number, signal: string, window: Window, atMs: number): number;
  /** The decayed score at `atMs`, 0 without events. Allocates nothing. */
  decayed(entity: number, signal: string, atMs: number): number;
  /** Number of pairs with at least one event. */
  readonly pairs: number;
  /** Feeds every stored value of every pair, entities ascending, to the digest. */
  describe(sink: (entity: number, parts: readonly (string | number | bigint)[]) => void): void;
}
