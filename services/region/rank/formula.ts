/** What a built-in profile is: the score of an item, the upper bound of a group and the explanation, beside each other. */
import type { ScorePart } from '../scored/scored.ts';
import type { Limits, Ties } from './scorer.ts';
import type { Aged } from './signal-sums.ts';

export interface Formula {
  score(item: Aged): number;
  /** Never below the score of an item within the limits. */
  bound(limits: Limits): number;
  /**
   * What the score is made of, in the order of the formula (docs/ranking.md): value · weight each, which add up to the score within
   * rounding. A product or quotient has one part: the value is the factor the profile is about, the weight is everything it is
   * multiplied by; the measurements the weight is made of follow with weight 0.
   */
  explain(item: Aged): readonly ScorePart[];
  /** Decides between equal scores; absent: the newer item comes first. */
  readonly ties?: Ties;
  /** What every item without a signal scores; absent where that depends on the item. */
  readonly quiet?: number;
}
