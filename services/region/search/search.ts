/**
 * Search by text, by vector, or by both; and related items. Returns rankings to page through.
 *
 * Two rankings become one by reciprocal rank fusion (Cormack, Clarke, Büttcher: Reciprocal Rank Fusion outperforms
 * Condorcet and individual Rank Learning Methods, SIGIR 2009), k = 60:
 *
 *     score = 1 / (60 + rank by text) + 1 / (60 + rank by vector)
 *
 * ranks count from 1, a list without the item adds 0. The first {@link CANDIDATES} of each list are used.
 */

import type { Filter } from '../filter/filter.ts';
import type { Matches, Ranking, Scored, ScorePart, TieOf } from '../scored/scored.ts';
import type { TextQuery } from '../state/text/query/query.ts';
import type { RunSteps, TextRanking } from '../state/text/text.ts';
import { NEAREST_LIMIT } from '../state/vectors/vectors.ts';

/**
 * How many ranks of a list count: further ones add less than 0.001 to a score. By vector alone, the number of items to page
 * through.
 */
export const CANDIDATES = NEAREST_LIMIT;

export interface SearchQuestion {
  /** Alone: ranked by BM25. Blank or `*`: everything, without a score. */
  readonly text?: TextQuery | undefined;
  /** As many values as the schema's dimensions. Alone: ranked by cosine similarity. */
  readonly vector?: Float32Array | undefined;
  /** All must hold. */
  readonly filters: readonly Filter[];
  /** Ids of items that are left out. Absent: none. */
  readonly exclude?: readonly number[];
  /** How many top entries the answer is expected to read; at least that many are searched first. */
  readonly reach?: number;
  /** By text alone: the statistics of the first page; absent on it. */
  readonly statistics?: Uint8Array | undefined;
  /** By text alone: decides between equal scores; absent: the lower entity is first. */
  readonly tieOf?: TieOf | undefined;
}

/** The result, valid in this turn of the event loop. */
export interface Found extends Ranking {
  /**
   * All of it, best first, if its scores are made of ranks, which every write changes; then it is paged through by what was shown.
   * Absent: an item that is not changed keeps its score.
   */
  readonly fused?: readonly Scored[];
  /** By text alone: what fixes its scores, for the next page. */
  statistics?(): Uint8Array;
  /** Absent: it is of this turn. Otherwise what was applied by this position is in it, and of what came later perhaps a part. */
  readonly position?: string | undefined;
  /** All of it, in slices. Absent if it has at most {@link CANDIDATES} items of each list: those are read in one go. */
  readonly whole?: WholeResult;
  /** Absent: nothing was asked for by words. */
  readonly marking?: Marking;
  /** How many of each list are used, if requested. */
  readonly candidates: { readonly text?: number; readonly vector?: number };
  /** What was left out of the text, known once the ranking was read. */
  readonly relaxed: readonly string[];
  /** The parts of the item's score. */
  explain(entity: number): readonly ScorePart[];
}

/** A result of any size, read from the indexes as they are. */
export interface WholeResult {
  matches(): Matches;
  /** Runs a part of `answer`. */
  readonly run: RunSteps;
  /** Whether it has an order of its own; otherwise `after` returns nothing. */
  readonly isRanked: boolean;
}

/** Where in texts the words of a query are. */
export interface Marking extends Pick<TextRanking, 'marks'> {
  /** Runs a part of `answer`. */
  readonly run: RunSteps;
}

/** How a search reads the text index: in slices, when everything that was applied is indexed. */
export interface TextReading {
  /** Resolves to what `attempt` returns, which may be called again after it has thrown `Unfinished`. */
  run<T>(attempt: (slices: TextSlices) => T): Promise<T>;
  /** The same in this turn; undefined if it takes longer. */
  now<T>(attempt: (slices: TextSlices) => T): { readonly value: T } | undefined;
  /** What is applied now. */
  position(): string;
}

export interface TextSlices {
  readonly run: RunSteps;
  /** What the indexes contain; undefined: everything that is applied in this turn. */
  readonly position: string | undefined;
}

export interface Search {
  /**
   * By text, by vector, or fused; at least one is required. `answer` is called in the turn of the event loop in which the result
   * is valid; by text it may be called again. By vector alone it may be called again with a longer result, if it read beyond the
   * first one. Rejects with `Refusal` `invalid_query`, `wrong_dimensions`, `overloaded`, and with what
   * `answer` throws.
   */
  find<T>(question: SearchQuestion, reading: TextReading, answer: (found: Found) => T): Promise<T>;
  /**
   * Neighbours of the item's embedding, fused with what its most significant words find; by one of them if the other is missing.
   * The item itself is excluded. Rejects with `unknown_item`, and `no_embedding` if it has neither.
   */
  related<T>(
    entity: number,
    among: Pick<SearchQuestion, 'filters' | 'exclude'>,
    reading: TextReading,
    answer: (found: Found) => T,
  ): Promise<T>;
}
