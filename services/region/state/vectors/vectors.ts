/**
 * The vector index over the embeddings of live items: cosine similarity, exact while there are few, by a graph (hnswlib)
 * beyond. It lives in a thread of its own; this is what the region's thread sees of it.
 *
 * Promise: an answer is true for the moment it arrives, not for the one it was asked at - it is compared with everything
 * that changed meanwhile. A vector that was replaced or removed never comes back, and one that was put is there.
 * Approximate is only which of the far ones a graph finds: outside the digest, and not the same in every region.
 *
 * The vectors come from the catalog: when the thread dies another one is filled from there.
 */
import type { Selection } from '../filter-index/filter-index.ts';

/** Neighbours that may be asked for at one time. */
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
   * Among whom; undefined, or answering undefined: among all. Called when the question goes out, and once more if anything
   * has changed when the answer is there.
   */
  readonly select?: () => Selection | undefined;
}

/** What the index tells of itself. */
export interface VectorStats {
  /** Vectors of live items. */
  readonly live: number;
  /** Of those, in the graph; the others are scanned. */
  readonly graphed: number;
  /** In the graph and in no answer any more; beyond half of it a new graph is built. */
  readonly deleted: number;
  /** Searches that wait for their answer. */
  readonly waiting: number;
  /** When the graph was last written to its file, epoch ms; 0: there is none. */
  readonly savedMs: number;
  /** Why there is no graph on this machine, so that every search is a scan; undefined: there is one where one is due. */
  readonly scanOnly: string | undefined;
  /** Why the index ends again and again, so that there is none but for moments; undefined: it does not. */
  readonly failed: string | undefined;
}

/** What the applier tells: whatever may change an answer. */
export interface VectorChanges {
  /** The entity's embedding became another one, or visible, or went. */
  changed(entity: number): void;
  /** Its metadata changed, and with them what selects it. */
  touched(entity: number): void;
}

export interface Vectors extends VectorChanges {
  /**
   * `answer` is called with the nearest, nearest first, ties by entity id, in the very turn of the event loop in which they
   * are true; what it answers is answered. Rejects with `Refusal('overloaded')` when too many wait, when no answer came in
   * time or the index died of it, with `not_ready` while it has failed, with `shutting_down`, and with what `answer` throws.
   */
  nearest<T>(question: VectorQuestion, answer: (hits: readonly VectorHit[]) => T): Promise<T>;
  readonly stats: VectorStats;
  /** Opens the thread and fills it from the catalog. */
  start(): void;
  /** Writes the graph to its file, ends the thread, refuses what waits. */
  stop(): Promise<void>;
}
