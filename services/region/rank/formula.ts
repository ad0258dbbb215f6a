/** The definition of a built-in profile: the score of an item, the upper bound of a group, and the explanation. */
import type { ScorePart } from '../scored/scored.ts';
import type { Drawn, Limits, Ties } from './scorer.ts';
import type { Aged } from './signal-sums.ts';

export interface Formula {
  score(item: Aged): number;
  /** Never below the score of an item within the limits. */
  bound(limits: Limits): number;
  /**
   * The parts of the score, in the order of the formula (docs/ranking.md): value · weight each, which add up to the score within
   * rounding. A product or quotient has one part: the value is its main factor, the weight is everything it is multiplied by; the
   * measurements in that weight follow with weight 0.
   */
  explain(item: Aged): readonly ScorePart[];
  /** Decides between equal scores; absent: the newer item comes first. */
  readonly ties?: Ties;
  /** Present if nothing but the entity decides the score. */
  readonly drawn?: Drawn;
  /** Present if scores change with time only where it passes a multiple of this; Infinity: never. */
  readonly steadyMs?: number;
  /** The score of every item without signals; absent if it depends on the item. */
  readonly quiet?: number;
}
