/**
 * The text index: BM25 over the schema's text fields of the live items.
 *
 * Promise: an item is found by the first search after its `put`; a score is a function of the set of live documents only
 * (document count, lengths and frequencies are integers changed with every put and remove), so every region ranks identically at
 * the same position. Terms add to a score in query order; ties are broken by entity id.
 *
 * Nothing is stored: a restart rebuilds the index, for many items in a background thread (`rebuild/rebuild.ts`). Putting items in
 * the order of their ordinals is fastest: postings are appended.
 */

import type { Steps } from '../../../../shared/kernel/steps.ts';
import type { Metadata } from '../../../../shared/protocol/events.ts';
import type { Matches, Ranking, ScorePart, TieOf } from '../../scored/scored.ts';
import type { Selection } from '../filter-index/filter-index.ts';
import type { InvertedIndexImage } from './inverted-index.ts';
import type { Suggestion } from './lexicon/lexicon.ts';
import type { Span } from './marks/marks.ts';
import type { TextQuery } from './query/query.ts';
import type { Form } from './statistics/statistics.ts';

/** A text index as plain data: built in one thread (`InvertedIndex.gather`), adopted in another. */
export type TextImage = InvertedIndexImage;

export interface AdoptsText {
  /** Adopts the index that was built from the live items; nothing was put before. */
  adopt(image: TextImage): void;
}

/** A term of the index, the result of analysing a word, and its weight. */
export interface WeightedTerm {
  readonly term: string;
  /** Factor of its share in the score, > 0. */
  readonly weight: number;
}

/** The part of one term in a score. */
export interface TermPart extends ScorePart {
  /** The word or phrase of the query that it is for. */
  readonly asked: string;
  /** How the two match. */
  readonly match: Form['match'];
  /** The word of the documents. */
  readonly word: string;
  /** Edits between the two, of a typo in plain text. */
  readonly distance?: number;
}

/** The documents that match, by score. */
export interface TextRanking extends Ranking {
  /** What was left out of the query, known once `total` or `after` was read: answers say it as `relaxed`. */
  readonly relaxed: readonly string[];
  /** The part of each term in the document's score, in query order; empty if it does not match. */
  explain(entity: number): readonly TermPart[];
  /** Where the words of the query are in a text of the field; those that do not exclude. */
  marks(field: string, text: string): readonly Span[];
  /** All documents that match, with their scores: costs in proportion to their number. */
  matches(): Matches;
  /**
   * What fixes the scores besides the documents, as bytes, at most 5,600: given to {@link TextIndex.rank} with the same query,
   * documents that were not changed score the same to the bit.
   */
  statistics(): Uint8Array;
}

/**
 * Runs a part of a read, which `id` distinguishes from its other parts, and returns its result. What does not fit a slice throws
 * `Unfinished`; the read is then repeated, and gets the results of its finished parts again. Until the read is over nothing may
 * change in the index.
 */
export type RunSteps = <T>(id: string, begin: () => Steps<T>) => T;

export interface TextIndex {
  /**
   * Indexes the document, replacing that of the entity. Fields not in the schema are ignored; arrays are joined. A step is some
   * words; until the last one nothing else is read or changed here.
   */
  putting(entity: number, metadata: Metadata): Steps;
  /** Idempotent. In steps as {@link putting}. */
  removing(entity: number): Steps;
  /** In one go. */
  put(entity: number, metadata: Metadata): void;
  remove(entity: number): void;
  /**
   * The matching documents, of those in `selection` if it is given. A text is plain text (`query/plain-syntax.ts`); a list of
   * terms means any of them. Throws `Refusal('invalid_query')` in lunr's syntax. Without `run` all is done in one turn.
   * `statistics`: those of an earlier ranking of the query, in this or another region; throws `Refusal('invalid_request')` if they
   * are none. `tieOf` decides between equal scores; without it the lower entity is first.
   */
  rank(
    query: TextQuery | readonly WeightedTerm[],
    selection?: Selection,
    run?: RunSteps,
    statistics?: Uint8Array,
    tieOf?: TieOf,
  ): TextRanking;
  /** The words of a query, the same for queries that ask for the same ones; empty if there are none. */
  keyOf(query: string): string;
  /**
   * At most `limit` ≥ 1 words that begin with the prefix's last word, the most frequent first, ties alphabetically. Of words with
   * the same term, such as `run` and `runs`, only the first. None if the prefix does not end with a word.
   */
  suggest(prefix: string, limit: number, run?: RunSteps): readonly Suggestion[];
  /**
   * The document's terms with the highest tf-idf, at most `limit` ≥ 1, best first, as a query. None if there is no such document
   * or it has no words.
   */
  significantTerms(entity: number, limit: number, run?: RunSteps): readonly WeightedTerm[];
  /** Number of documents. */
  readonly size: number;
}
