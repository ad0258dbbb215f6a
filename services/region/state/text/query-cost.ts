/**
 * What one query may cost: it is answered in one turn of the event loop, so what would take too long is refused.
 *
 * Counted in steps of a few nanoseconds each, so that the same query over the same documents is refused on every machine
 * or on none.
 */
import { Refusal } from '../../../../shared/errors/errors.ts';

/** About 40 ms on the machine of the benchmarks. */
export const QUERY_LIMIT_STEPS = 8_000_000;
/** A posting looked at. */
export const POSTING_STEPS = 1;
/** A posting of a clause with a field: its frequencies are taken apart. */
export const RESTRICTED_POSTING_STEPS = 3;
/** A word of the vocabulary passed by. */
export const WORD_STEPS = 1;
/** A word compared letter by letter. */
export const COMPARISON_STEPS = 30;
/** A posting looked for. */
export const LOOKUP_STEPS = 24;

export class QueryCost {
  private steps = 0;

  get spent(): number {
    return this.steps;
  }

  /** Throws `Refusal('invalid_query')`. */
  spend(steps: number): void {
    this.steps += steps;
    if (this.steps <= QUERY_LIMIT_STEPS) return;
    throw new Refusal('invalid_query', 'the query has too many matches to look at, in words or in documents', {
      hint: 'use fewer words, rarer ones, or wildcards that begin with more letters',
    });
  }
}
