/**
 * The vector index over the embeddings of live items: cosine similarity, exact while there are few, by a graph (hnswlib) beyond.
 * It runs in a thread of its own; this is the region's side of it.
 *
 * Promise: an answer is correct when it is returned, because it is compared with everything that changed since the request. It
 * has no replaced or removed vector, and every new one that belongs in it. Only which of the distant ones a graph finds is
 * approximate: outside the digest, and not the same in every region.
 *
 * The vectors are read from the catalog: when the thread dies another one is filled from there.
 */
import type { Selection } from '../filter-index/filter-index.ts';

/** Maximum number of neighbours of one search. */
export const NEAREST_LIMIT = 1_000;

export interface VectorHit {
  readonly entity: number;
  /** Cosine similarity, −1 … 1; vectors of length 0 have similarity 0 to everything. */
  readonly similarity: number;
}

export interface VectorQuestion {
  /** Length = the schema's dimensions. */
  readonly values: Float32Array;
  /** 1 … {@link NEAREST_LIMIT}. */
  readonly limit: number;
  /**
   * The selection to search; undefined, or returning undefined: all. Called when the search is sent, and again if anything has
   * changed when its result arrives.
   */
  readonly select?: () => Selection | undefined;
}

/** The state of the index. */
export interface VectorStats {
  /** Vectors of live items. */
  readonly live: number;
  /** Of those, in the graph; the others are scanned. */
  readonly graphed: number;
  /** Removed, but still in the graph; beyond half of it a new graph is built. */
  readonly deleted: number;
  /** Searches that wait for their answer. */
  readonly waiting: number;
  /** When the graph was last written to its file, epoch ms; 0: there is none. */
  readonly savedMs: number;
  /** Why there are no graphs on this machine, so that every search is a scan; undefined if there are. */
  readonly scanOnly: string | undefined;
  /** Why the index crashes repeatedly and is mostly unavailable; undefined if it does not. */
  readonly failed: string | undefined;
}

/** The notifications of the applier: every change that may affect an answer. */
export interface VectorChanges {
  /** The entity's embedding was changed, became visible, or was removed. */
  changed(entity: number): void;
  /** Its metadata changed, and so may the filters that select it. */
  touched(entity: number): void;
}

export interface Vectors extends VectorChanges {
  /**
   * `answer` is called with the nearest, nearest first, ties by entity id, in the same turn of the event loop in which they are
   * valid; its result is returned. Rejects with `Refusal('overloaded')` when too many wait, when no answer came in time or the
   * index died of it, with `not_ready` while it has failed, with `shutting_down`, and with what `answer` throws.
   */
  nearest<T>(question: VectorQuestion, answer: (hits: readonly VectorHit[]) => T): Promise<T>;
  readonly stats: VectorStats;
  /** Opens the thread and fills it from the catalog. */
  start(): void;
  /** Writes the graph to its file, ends the thread, refuses what waits. */
  stop(): Promise<void>;
}
