/**
 * The limit of a query's cost: a query that would take too long is refused, or, where it is plain text, means less.
 *
 * Counted in steps of a few nanoseconds each, so that the same query over the same documents is refused on every machine
 * or on none.
 */
import { Refusal } from '../../../../../shared/errors/errors.ts';

export const QUERY_LIMIT_STEPS = 6_000_000;
/** A posting that is read. */
export const POSTING_STEPS = 1;
/** A surcharge if several fields are combined or distinguished. */
export const SEVERAL_FIELDS_STEPS = 4;
/** A document that is looked up in a term. */
export const LOOKUP_STEPS = 20;
/** A character of a text that is read again. */
export const READ_STEPS = 10;
/** A word of such a text that is compared with one of a phrase. */
export const PLACE_STEPS = 20;
/** A word of the vocabulary that is skipped. */
export const WORD_STEPS = 1;
/** A word that is looked up: mostly a cache miss. */
export const VISIT_STEPS = 20;
/** A word compared letter by letter, in addition to its letters: mostly a cache miss. */
export const COMPARISON_STEPS = 120;

export class QueryCost {
  private readonly isRefusing: boolean;
  private readonly limit: number;
  private readonly whole: QueryCost | undefined;
  private steps = 0;

  /** Without refusals the caller keeps to the limit itself: see {@link allows}. `whole`: what is spent is part of that, too. */
  constructor({ isRefusing = true, limit = QUERY_LIMIT_STEPS, whole = undefined as QueryCost | undefined } = {}) {
    this.isRefusing = isRefusing;
    this.limit = limit;
    this.whole = whole;
  }

  /** The cost of a part of the query that has a share of the limit for itself, whatever the rest costs. */
  partOf(share: number): QueryCost {
    return new QueryCost({ isRefusing: false, limit: this.limit * share, whole: this });
  }

  get spent(): number {
    return this.steps;
  }

  /** Whether so many steps more are within the limit, or within a share of it. */
  allows(steps: number, share = 1): boolean {
    return this.steps + steps <= this.limit * share;
  }

  /** Throws `Refusal('invalid_query')`. */
  spend(steps: number): void {
    this.steps += steps;
    this.whole?.spend(steps);
    if (this.steps <= this.limit || !this.isRefusing) return;
    throw new Refusal('invalid_query', 'the query matches too many words or documents', {
      hint: 'use fewer or rarer words, or wildcards with longer prefixes',
    });
  }
}
