/** What a query means for the index: clauses of terms with their weights. */
import type { Form } from '../statistics/statistics.ts';
import type { Presence } from './text-query.ts';

/** A term adds `base + weight · value` to the score of a document that has it; `value` is in `saturation.ts`. */
export interface ExpandedTerm {
  readonly term: number;
  /** Boost × idf. */
  readonly weight: number;
  /** ≥ 0. */
  readonly base: number;
  readonly form: Form;
  /** Documents as a set of bits: the term counts in no others. Absent: in all that have it. */
  readonly only?: Uint32Array | undefined;
}

/** A clause with its terms. */
export interface ExpandedClause {
  readonly presence: Presence;
  /** Ascending; undefined: all fields. */
  readonly fields: readonly number[] | undefined;
  readonly terms: readonly ExpandedTerm[];
  /** So many of the terms, the first ones, are one part, their sum; each other term is one. A document gets the best part. */
  readonly summed: number;
  /** The word or phrase as it is in the query. */
  readonly asked: string;
}

export interface ExpandedQuery {
  readonly clauses: readonly ExpandedClause[];
  /** A document must have that many of the clauses that are not prohibited, ≥ 1, in addition to each required one. */
  readonly minimum: number;
  /** Whether it finds all documents but the prohibited ones, with score 0: it asks for no word. */
  readonly isBrowse: boolean;
  /** What was left out, as answers say it. */
  readonly relaxed: readonly string[];
  /** Whether fewer clauses suffice if no document has the minimum. */
  readonly isMinimumRelaxed: boolean;
}

/** Whether a set of bits has the document. */
export function hasBit(bits: Uint32Array, document: number): boolean {
  return (((bits[document >>> 5] ?? 0) >>> (document & 31)) & 1) === 1;
}

/** Adds the documents of a set to another. */
export function addBits(bits: Uint32Array, others: Uint32Array): void {
  for (let word = 0; word < others.length; word++) bits[word]! |= others[word]!;
}

/** Number of documents of a set. */
export function countBits(bits: Uint32Array): number {
  let count = 0;
  for (const word of bits) for (let rest = word | 0; rest !== 0; rest &= rest - 1) count++;
  return count;
}
