/**
 * The signal ledger: for every (entity, signal) pair its sums over windows and its decayed score.
 *
 * Promise: its state is a function of the *set* of events added, whatever their order or interleaving, bit for bit (invariant 4).
 * Every stored sum is an exact integer in thousandths of a weight. Neither a clock nor a read changes anything.
 *
 * - `all`: Σ weight of every event.
 * - Rings: `1h` by minutes, `24h` and `7d` by hours. Per pair and ring, newest = highest bucket number among its events;
 *   the ring covers (newest − n, newest], n = 66 minutes and 170 hours. An event older than that adds to `all` only; a higher
 *   newest clears the buckets that drop out. A read at `atMs` sums floor(at/b) − N < i ≤ floor(at/b), N = 60, 24, 168. `all`
 *   and decay include every event, also later ones: a read of the past uses `past`.
 * - An event may be retracted (`retract`), or contribute only its time (`note`): so a request that was logged twice under one
 *   idempotency key counts once. *Newest*, first and last are taken over the times of all events, counting or not; sums and count
 *   over the counting ones. Both are functions of sets, so any order of adding, noting and retracting results in the same bits.
 *   If newest were taken over the counting events alone, retracting one that had advanced it would have to restore cleared
 *   buckets.
 * - Decay: S(at) = Σ w · 2^((t − at)/H), in decay buckets of 8 half-lives; see `decay.ts`.
 */
import type { SignalColumns } from '../../../../shared/protocol/signal-columns.ts';
import type { Window } from '../../schema/schema.ts';
import type { Changes } from '../changes/changes.ts';
import type { Digested } from '../digest/digest.ts';
import type { PairBound, UpperBounds } from '../upper-bounds/upper-bounds.ts';

export type { PairBound };

/** The values of one pair at a read time. Weights, not thousandths. */
export interface SignalReading {
  /** Sum of weights per window; undefined: no longer known for that time. */
  readonly sums: Readonly<Record<Window, number | undefined>>;
  /** Number of events ever, whatever their weight. */
  readonly count: number;
  /** Decayed score at the read time: 1.0 for a weight-1 event at that time; undefined: no longer known. */
  readonly decayed: number | undefined;
  /** Earliest and latest event time, epoch ms. */
  readonly firstMs: number;
  readonly lastMs: number;
}

/** The number of shards into which a hash of the entity divides the ledger, to be written one at a time (`ShardPass`). */
export const SHARDS = 256;

/** One run over the shards, which encodes them while events are added. */
export interface ShardPass {
  /**
   * Sorts the pairs by shard, about `limitPairs` of them a call, so that no call takes long; true when it is done. Pairs created
   * meanwhile are included.
   */
  prepare(limitPairs: number): boolean;
  /**
   * The present shard, encoded in one synchronous step. Afterwards it counts as unchanged: the caller must remember bytes that
   * were not stored. They are a function of the shard's content and of the form of its rings, not of the order in which its pairs
   * were created.
   */
  encode(shard: number): Uint8Array;
}

/** One signal's pairs, looked up once, for frequent reads. Values are 0 for a pair without events. Allocates nothing. */
export interface SignalView {
  /** One window's sum of weights at `atMs`. */
  sum(entity: number, window: Window, atMs: number): number;
  /** The decayed score at `atMs`. */
  decayed(entity: number, atMs: number): number;
}

/** Reads of the pairs. */
export interface LedgerView {
  /** The pair at `atMs`; undefined when no event of it was ever added. */
  read(entity: number, signal: string, atMs: number): SignalReading | undefined;
  /** Undefined if the schema does not declare the signal. */
  signal(name: string): SignalView | undefined;
  /** One window's sum of weights at `atMs`, 0 without events. */
  sum(entity: number, signal: string, window: Window, atMs: number): number;
  /** The decayed score at `atMs`, 0 without events. */
  decayed(entity: number, signal: string, atMs: number): number;
}

/** Why reads of the past were not exact. */
export interface Doubt {
  /**
   * If events of the same minute or hour may be on either side of the read time: the length of that bucket, ms; reads are exact
   * for the end of the last whole one. 0: they are exact.
   */
  readonly withinMs: number;
  /** Windows whose buckets newer events have displaced, and since when each is known, epoch ms. */
  readonly knownSince: ReadonlyMap<Window, number>;
}

export interface Past extends LedgerView {
  /**
   * Runs a read, and reports whether it was exact. For sums and decayed scores `knownSince` is a refusal; readings have undefined
   * values. `earlier`: of a part of the read that ran before, to be included.
   */
  watch<T>(read: () => T, earlier?: Doubt): { readonly value: T; readonly doubt: Doubt };
  /** Adds the doubt of reads that were watched on their own to that of the present watch. */
  include(doubt: Doubt): void;
}

/** The signal ledger. As a {@link LedgerView} it allocates nothing but readings, and `all` and decay include every event. */
export interface Ledger extends LedgerView, Digested {
  /** The same for a time in the past: no event after it counts. */
  readonly past: Past;
  /**
   * Adds one event. `weight` in thousandths (integer ≥ 0), `timeMs` epoch ms. The schema declares the signal: the caller has
   * stopped with `schema_behind` otherwise.
   */
  add(entity: number, signal: string, weight: number, timeMs: number): void;
  /** Adds each of them, as {@link add} does; `names` are signals of the schema. */
  addColumns(signals: SignalColumns): void;
  /** Notes the time of an event that does not count: it changes newest, first and last, but no sum. */
  note(entity: number, signal: string, timeMs: number): void;
  /** Subtracts an event that was added before from every sum and from the count, exactly. Its time stays noted. */
  retract(entity: number, signal: string, weight: number, timeMs: number): void;
  /** Which entities are written to: events and items. */
  readonly changes: Changes;
  /** Upper bounds of the sums of every entity's pairs, by block, which bound many scores at once. */
  readonly upperBounds: UpperBounds;
  /**
   * Releases bucket memory of pairs without an event since `beforeMs`, checking about `limitPairs`; the next call continues after
   * them. Reads, descriptions and encodings do not change.
   */
  pack(limitPairs: number, beforeMs: number): void;
  /** Number of pairs with at least one event. */
  readonly pairs: number;
  /** Whether the pair has at least one event. */
  has(entity: number, signal: string): boolean;
  /** The entity's shard, 0 … {@link SHARDS} − 1: the same in every process and version. */
  shardOf(entity: number): number;
  /** Whether the shard was changed since it was last encoded or loaded. */
  changed(shard: number): boolean;
  /** Begins a run. One at a time. */
  pass(): ShardPass;
  /**
   * Fills an empty shard with the bytes of `encode`: the same pairs, bit for bit. Throws `Fault('damaged_checkpoint')` for other
   * bytes, and for pairs of an undeclared signal.
   */
  load(shard: number, bytes: Uint8Array): void;
  /**
   * Removes the future from every pair that has an event after `upToMs`: see `long-past.ts`. No sum of all time and no count
   * changes. Returns the number of these pairs. Only for a ledger that is not used for ranking: upper bounds are not updated.
   */
  withoutFuture(upToMs: number): number;
}
