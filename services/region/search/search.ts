/**
 * Search by text, by vector, or by both; and what is related to an item. Rankings for pages to go through.
 *
 * Two rankings become one by reciprocal rank fusion (Cormack, Clarke, Büttcher: Reciprocal Rank Fusion outperforms
 * Condorcet and individual Rank Learning Methods, SIGIR 2009), k = 60:
 *
 *     score = 1 / (60 + rank by text) + 1 / (60 + rank by vector)
 *
 * ranks from 1, a list that an item is not on adds 0. Of each list the first {@link CANDIDATES} take part.
 */

import type { Filter } from '../filter/filter.ts';
import type { Ranking, ScorePart } from '../scored/scored.ts';
import { NEAREST_LIMIT } from '../state/vectors/vectors.ts';

/**
 * How far down a list ranks count: further down they add less than 0.001 to a score. By vector alone, how far there is
 * anything to page through.
 */
export const CANDIDATES = NEAREST_LIMIT;

export interface SearchQuestion {
  /** In lunr's syntax. Alone: as BM25 ranks. */
  readonly text?: string | undefined;
  /** As many values as the schema's dimensions. Alone: by cosine similarity. */
  readonly vector?: Float32Array | undefined;
  /** All must hold. */
  readonly filters: readonly Filter[];
  /** How many from the top the answer is expected to look at; that far and further at least it is looked for at first. */
  readonly reach?: number;
}

/** What was found, as it is in this turn of the event loop. */
export interface Found extends Ranking {
  /** How many of each list take part, where it was asked for. */
  readonly candidates: { readonly text?: number; readonly vector?: number };
  /** What the item's score is made of. */
  explain(entity: number): readonly ScorePart[];
}

export interface Search {
  /**
   * By text, by vector, or fused; one of them at least. `answer` is called in the turn in which what was found is true. By
   * vector alone it may be called again: when it asked for more than was looked for, with what was found then.
   * Rejects with `Refusal` `invalid_query`, `wrong_dimensions`, `overloaded`, and with what `answer` throws.
   */
  find<T>(question: SearchQuestion, answer: (found: Found) => T): Promise<T>;
  /**
   * Neighbours of the item's embedding, fused with what its most significant words find; by one of them where it has no
   * other. Itself left out. Rejects with `unknown_item`, and `no_embedding` where it has neither.
   */
  related<T>(entity: number, filters: readonly Filter[], answer: (found: Found) => T): Promise<T>;
}
