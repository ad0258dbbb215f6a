/**
 * The signal ledger: for every (entity, signal) pair its sums over windows and its decayed score.
 *
 * Promise: its state is a function of the *set* of events added, whatever their order or interleaving, bit for bit
 * (invariant 4). Every stored sum is an exact integer in thousandths of a weight. Nothing turns by a clock or a read.
 *
 * - `all`: Σ weight of every event.
 * - Rings: `1h` by minutes, `24h` and `7d` by hours. Per pair and ring, newest = highest bucket number among its events;
 *   the ring covers (newest − n, newest], n = 66 minutes and 170 hours. An event older than that adds to `all` only; a
 *   higher newest clears what falls out. A read at `atMs` sums floor(at/b) − N < i ≤ floor(at/b), N = 60, 24, 168. `all` and decay
 *   have every event in them, also later ones: a read of the past asks `past`.
 * - An event may be taken back (`retract`), or known only by its time (`note`): how a request that was logged twice under
 *   one idempotency key counts once. What is *newest*, and first and last, goes by the times of all events, counting or
 *   not; sums and count by the counting ones. Both are functions of sets, so any order of adding, noting and retracting
 *   ends in the same bits. Were newest taken over the counting events alone, retracting one that had moved it on would
 *   have to bring back what the move cleared.
 * - Decay: S(at) = Σ w · 2^((t − at)/H), in cells of 8 half-lives; see `decay.ts`.
 */
import type { SignalColumns } from '../../../../shared/protocol/signal-columns.ts';
import type { Window } from '../../schema/schema.ts';
import type { PairBound, UpperBounds } from '../upper-bounds/upper-bounds.ts';

export type { PairBound };

/** What one pair says at a moment. Weights, not thousandths. */
export interface SignalReading {
  /** Sum of weights per window; undefined: not known for that moment any more. */
  readonly sums: Readonly<Record<Window, number | undefined>>;
  /** Number of events ever, whatever their weight. */
  readonly count: number;
  /** Decayed score at the moment of reading: 1.0 for a weight-1 event that happens right then; undefined: not known any more. */
  readonly decayed: number | undefined;
  /** Earliest and latest event time, epoch ms. */
  readonly firstMs: number;
  readonly lastMs: number;
}

/** The ledger is cut into this many shards by a hash of the entity, to be written one at a time (`ShardPass`). */
export const SHARDS = 256;

/** One pass over the shards: what is written of the ledger while events go on being added. */
export interface ShardPass {
  /**
   * Sorts the pairs by shard, about `limitPairs` of them a call, so that no call takes long; true when it is done. Pairs
   * opened meanwhile are found all the same.
   */
  prepare(limitPairs: number): boolean;
  /**
   * The shard as it stands now, in one synchronous step. From then on it counts as unchanged: bytes that are not stored
   * are the caller's to remember. They are a function of the shard's content and of the form its rings are in: not of the
   * order its pairs were opened in.
   */
  encode(shard: number): Uint8Array;
}

/** One signal's pairs, looked up once: what is read very often. All of 0 for a pair without events. Allocates nothing. */
export interface SignalView {
  /** One window's sum of weights at `atMs`. */
  sum(entity: number, window: Window, atMs: number): number;
  /** The decayed score at `atMs`. */
  decayed(entity: number, atMs: number): number;
}

export type PairSink = (entity: number, parts: readonly (string | number | bigint)[]) => void;

/** What is read of the pairs. */
export interface LedgerView {
  /** The pair at `atMs`; undefined when no event of it was ever added. */
  read(entity: number, signal: string, atMs: number): SignalReading | undefined;
  /** Undefined: the schema has no such signal. */
  signal(name: string): SignalView | undefined;
  /** One window's sum of weights at `atMs`, 0 without events. */
  sum(entity: number, signal: string, window: Window, atMs: number): number;
  /** The decayed score at `atMs`, 0 without events. */
  decayed(entity: number, signal: string, atMs: number): number;
}

/** What reads of the past have met. */
export interface Doubt {
  /**
   * Events of the moment's minute or hour may lie on either side of it: readings are exact for the end of the last whole one.
   * Its length, ms; 0: they are exact as they are.
   */
  readonly withinMs: number;
  /** Windows of which newer events have pushed out what was read, and since when each is known, epoch ms. */
  readonly knownSince: ReadonlyMap<Window, number>;
}

export interface Past extends LedgerView {
  /** Runs a read, and says what it met. Sums and decayed scores are refused by `knownSince`; readings say it themselves. */
  watch<T>(read: () => T): { readonly value: T; readonly doubt: Doubt };
}

/** As a {@link LedgerView} it allocates nothing but readings, and `all` and decay have every event in them. */
export interface Ledger extends LedgerView {
  /** The same at a moment of the past: no event after it counts. */
  readonly past: Past;
  /**
   * Adds one event. `weight` in thousandths (integer ≥ 0), `timeMs` epoch ms. The signal is one of the schema's: the
   * caller has stopped at `schema_behind` before.
   */
  add(entity: number, signal: string, weight: number, timeMs: number): void;
  /** Adds each of them, as {@link add} does; `names` are signals of the schema. */
  addColumns(signals: SignalColumns): void;
  /** The time of an event that does not count: it moves what is newest, first and last, and no sum. */
  note(entity: number, signal: string, timeMs: number): void;
  /** Takes an event out of every sum and out of the count that was added before, exactly. Its time stays noted. */
  retract(entity: number, signal: string, weight: number, timeMs: number): void;
  /** At least what is in every entity's pairs, by block: what bounds the scores of many at once. */
  readonly upperBounds: UpperBounds;
  /**
   * Gives back bucket memory of pairs without an event since `beforeMs`, looking at about `limitPairs`; the next call goes
   * on from there. What is read, described and encoded stays the same.
   */
  pack(limitPairs: number, beforeMs: number): void;
  /** Number of pairs with at least one event. */
  readonly pairs: number;
  /** The entity's shard, 0 … {@link SHARDS} − 1: the same in every process, for ever. */
  shardOf(entity: number): number;
  /** Whether anything was added to, noted in or taken out of the shard since it was last encoded or loaded. */
  changed(shard: number): boolean;
  /** Begins a pass. One at a time. */
  pass(): ShardPass;
  /**
   * Fills an empty shard with what `encode` answered: the same pairs, bit for bit. Throws `Fault('damaged_checkpoint')`
   * for bytes that are none of these; pairs of a signal the schema does not know are one too.
   */
  load(shard: number, bytes: Uint8Array): void;
  /**
   * Takes the future out of every pair that has an event after `upToMs`: see `long-past.ts`. No sum of all time and no count
   * changes. Answers how many pairs it was. For a ledger that nothing is ranked from: upper bounds are not kept.
   */
  withoutFuture(upToMs: number): number;
  /** Feeds every stored value of every pair, entities ascending, to the digest. */
  describe(sink: PairSink): void;
  /** One pair, as `describe` feeds it; nothing when it has no events. */
  describePair(entity: number, signal: string, sink: PairSink): void;
  /**
   * Every pair, each once. The iteration may be paused while events are added: the pairs they open come at the end of
   * their signal's, or, where that was passed already, not at all.
   */
  described(): Iterable<{ readonly entity: number; readonly signal: string }>;
}
