/**
 * The limit of a query's cost: it is answered in one turn of the event loop, so a query that would take too long is refused.
 *
 * Counted in steps of a few nanoseconds each, so that the same query over the same documents is refused on every machine
 * or on none.
 */
import { Refusal } from '../../../../shared/errors/errors.ts';

export const QUERY_LIMIT_STEPS = 6_000_000;
/** A posting that is read. */
export const POSTING_STEPS = 1;
/** A surcharge if several fields are combined or distinguished. */
export const SEVERAL_FIELDS_STEPS = 4;
/** A word of the vocabulary that is skipped. */
export const WORD_STEPS = 1;
/** A word compared letter by letter, in addition to its letters: mostly a cache miss. */
export const COMPARISON_STEPS = 120;

export class QueryCost {
  private steps = 0;

  get spent(): number {
    return this.steps;
  }

  /** Throws `Refusal('invalid_query')`. */
  spend(steps: number): void {
    this.steps += steps;
    if (this.steps <= QUERY_LIMIT_STEPS) return;
    throw new Refusal('invalid_query', 'the query matches too many words or documents', {
      hint: 'use fewer or rarer words, or wildcards with longer prefixes',
    });
  }
}
