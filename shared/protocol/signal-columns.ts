/**
 * Signals without idempotency keys, column by column: bulks of them pass from the router through the log to the ledger without an
 * object each, which would burden the garbage collector.
 */

export interface SignalColumns {
  readonly count: number;
  /** Signals by name, indexed by {@link kinds}. */
  readonly names: readonly string[];
  /** Entities, 0 … 2^53 − 1. */
  readonly entities: Float64Array;
  /** Indexes into {@link names}. */
  readonly kinds: Uint16Array;
  /** Thousandths of a weight. */
  readonly weights: Float64Array;
  /** Event times, epoch ms. For writes that are not logged yet: the client’s, or Infinity for the acceptance time. */
  readonly timesMs: Float64Array;
}

/** Empty columns for `count` signals, to be filled. */
export function signalColumns(count: number, names: readonly string[]): SignalColumns {
  return {
    count,
    names,
    entities: new Float64Array(count),
    kinds: new Uint16Array(count),
    weights: new Float64Array(count),
    timesMs: new Float64Array(count),
  };
}
