/**
 * The text index: BM25 over the schema's text fields of the live items.
 *
 * Promise: an item is in the answer of the first search after its `put`; a score is a function of the set of live
 * documents only (document count, lengths and frequencies are integers changed with every put and remove), so every
 * region ranks identically at the same position. Terms add to a score in query order; ties are broken by entity id.
 */
import type { Metadata } from '../../../../shared/protocol/events.ts';

export interface TextHit {
  readonly entity: number;
  readonly score: number;
}

export interface TextResult {
  /** Best first, at most the asked number. */
  readonly hits: readonly TextHit[];
  /** Number of documents that matched. */
  readonly total: number;
}

export interface TextIndex {
  /** Indexes the document, replacing what the entity had. Fields not in the schema are ignored; arrays are joined. */
  put(entity: number, metadata: Metadata): void;
  /** Idempotent. */
  remove(entity: number): void;
  /**
   * Searches with lunr's query syntax: `term`, `field:term`, `term^3`, `+must`, `-not`, `wild*`, `fuzzy~1`; several terms
   * mean "any". `accept` filters documents; `limit` ≥ 1 best hits are returned. Throws `Refusal('invalid_query')`.
   */
  search(query: string, limit: number, accept?: (entity: number) => boolean): TextResult;
  /** Number of documents. */
  readonly size: number;
}
