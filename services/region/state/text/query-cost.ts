/**
 * What one query may cost: it is answered in one turn of the event loop, so what would take too long is refused.
 *
 * Counted in steps of a few nanoseconds each, so that the same query over the same documents is refused on every machine
 * or on none.
 */
import { Refusal } from '../../../../shared/errors/errors.ts';

export const QUERY_LIMIT_STEPS = 6_000_000;
/** A posting looked at. */
export const POSTING_STEPS = 1;
/** More, where several fields are put together or told apart. */
export const SEVERAL_FIELDS_STEPS = 4;
/** A word of the vocabulary passed by. */
export const WORD_STEPS = 1;
/** A word compared letter by letter, besides its letters: most often it has to come from far away in memory. */
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
