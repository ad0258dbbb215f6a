/**
 * The text index: BM25 over the schema's text fields of the live items.
 *
 * Promise: an item is in the answer of the first search after its `put`; a score is a function of the set of live
 * documents only (document count, lengths and frequencies are integers changed with every put and remove), so every
 * region ranks identically at the same position. Terms add to a score in query order; ties are broken by entity id.
 *
 * Nothing is stored: a restart builds the index anew, of many items by a thread beside the rest of the start
 * (`rebuild/rebuild.ts`). Putting items in the order of their ordinals, as they are met, is fastest: postings are appended.
 */

import type { Metadata } from '../../../../shared/protocol/events.ts';
import type { Ranking, ScorePart } from '../../scored/scored.ts';
import type { Selection } from '../filter-index/filter-index.ts';
import type { InvertedIndexImage } from './inverted-index.ts';
import type { Suggestion } from './lexicon/lexicon.ts';

/** A text index as plain data: built in one thread (`InvertedIndex.gather`), adopted in another. */
export type TextImage = InvertedIndexImage;

export interface AdoptsText {
  /** Takes over what was built of the live items; nothing was put so far. */
  adopt(image: TextImage): void;
}

/** A term of the index, as analysis makes it of a word, and how much it counts. */
export interface WeightedTerm {
  readonly term: string;
  /** Factor of its share in the score, > 0. */
  readonly weight: number;
}

/** The documents that match, by score. */
export interface TextRanking extends Ranking {
  /** What each term gave to the document's score, in query order; empty for one that does not match. */
  explain(entity: number): readonly ScorePart[];
}

export interface TextIndex {
  /** Indexes the document, replacing what the entity had. Fields not in the schema are ignored; arrays are joined. */
  put(entity: number, metadata: Metadata): void;
  /** Idempotent. */
  remove(entity: number): void;
  /**
   * The documents that match, of those in `selection` where there is one. A text is lunr's query syntax: `term`,
   * `field:term`, `term^3`, `+must`, `-not`, `wild*`, `fuzzy~1`; several terms mean "any", a list of terms too. Throws
   * `Refusal('invalid_query')`.
   */
  rank(query: string | readonly WeightedTerm[], selection?: Selection): TextRanking;
  /**
   * At most `limit` ≥ 1 words that begin with the prefix's last word, those most documents have first, ties alphabetically.
   * Of words that find the same documents, as `run` and `runs`, only the first. None where the prefix ends with no word.
   */
  suggest(prefix: string, limit: number): readonly Suggestion[];
  /**
   * What tells the document from others: its at most `limit` ≥ 1 terms with the highest tf-idf, best first, as a query. None
   * where there is no such document or no word in it.
   */
  significantTerms(entity: number, limit: number): readonly WeightedTerm[];
  /** Number of documents. */
  readonly size: number;
}
