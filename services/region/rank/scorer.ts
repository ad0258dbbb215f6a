/**
 * What a profile is to whoever ranks by it: a score for every item, and an upper bound for every group of items, so that
 * groups that cannot hold one of the best are never looked at.
 *
 * An item whose score is −Infinity is not ranked: it fails a gate of the profile, is in no page, and does not count in the
 * total. So the bound of a group that no item can pass with is −Infinity too, and a search that has come to −Infinity
 * has seen everything that is ranked.
 */

import type { Window } from '../schema/schema.ts';
import type { ScorePart } from '../scored/scored.ts';

/** At least what every item of a group has: for upper bounds. */
export interface Limits {
  /** Sum of weights of the signal (by its place in the schema's signals) over the window. */
  sum(signal: number, window: Window): number;
  /** At most the sum of everything that any item has which ever had a signal; Infinity: there is none. */
  min(signal: number): number;
  /** Decayed score at the moment of reading. */
  decayed(signal: number): number;
  /** Latest creation time, epoch ms. */
  newestMs: number;
  /** Of the items that ever had a signal; −1: there is none. */
  newestActiveMs: number;
}

export interface Ties {
  of(entity: number, createdMs: number): number;
  /** Never below what an item within the limits has. */
  bound(limits: Limits): number;
}

/** A profile, ready to score at one moment. */
export interface Scorer {
  /** −Infinity: not ranked. */
  score(entity: number, createdMs: number): number;
  /** Never below the score of an item that is within the limits. Infinity is allowed, costs a scan. */
  bound(limits: Limits): number;
  /** Decides between equal scores, see `Scored`; absent: the newer item comes first. */
  readonly ties?: Ties;
  /** The parts of the item's score, in formula order; their `part`s add up to the score within rounding. */
  explain(entity: number, createdMs: number): readonly ScorePart[];
  /** What every item without a signal scores; absent where that depends on the item. */
  readonly quiet?: number;
  /**
   * Whether an item may score −Infinity. Where it is false every item of a selection is ranked and the total is known; where
   * it is true the total has to be counted, over the groups whose bound is not −Infinity.
   */
  readonly gated: boolean;
}
