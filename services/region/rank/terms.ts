/** Profiles that add up measurements: Σ weight · measurement, with the bound and the explanation that follow. */
import type { ScorePart } from '../scored/scored.ts';
import type { Formula } from './formula.ts';
import type { Limits } from './scorer.ts';
import type { Aged } from './signal-sums.ts';

/** One measurement of signals, ≥ 0, and 0 for an item without any. */
export interface LinearTerm {
  readonly name: string;
  readonly weight: number;
  value(item: Aged): number;
  /** Never below the value of an item within the limits. */
  bound(limits: Limits): number;
}

/** `steadyMs`: see {@link Formula}. */
export function linear(terms: readonly LinearTerm[], steadyMs: number | undefined): Formula {
  const rising = terms.filter(({ weight }) => weight > 0);
  return {
    quiet: 0,
    ...(steadyMs === undefined ? {} : { steadyMs }),
    score(item) {
      let score = 0;
      for (const term of terms) score += term.weight * term.value(item);
      return score;
    },
    bound(limits) {
      let bound = 0;
      for (const term of rising) bound += term.weight * term.bound(limits);
      return bound;
    },
    explain: (item) => terms.map(({ name, weight, value }) => weighted(name, value(item), weight)),
  };
}

export function weighted(term: string, value: number, weight: number): ScorePart {
  return { term, value, weight, part: value * weight };
}

/** A measurement that enters the score through the weight of another part. */
export function measurement(term: string, value: number): ScorePart {
  return { term, value, weight: 0, part: 0 };
}
