/**
 * A profile as the search uses it: a score for every item, and an upper bound for every group of items, so that groups that
 * cannot contain a top item are never opened.
 *
 * An item whose score is −Infinity is not ranked: it fails a gate of the profile, is on no page, and does not count in the total.
 * So the bound of a group without an eligible item is −Infinity too, and a search that reaches −Infinity has seen all ranked
 * items.
 */

import { type Window, windowSeconds } from '../schema/schema.ts';
import type { ScorePart } from '../scored/scored.ts';
import type { Steady } from './known-bounds/known-bounds.ts';

/** Limits of a group: no item of it exceeds them. */
export interface Limits {
  /** Sum of weights of the signal (by its index in the schema's signals) over the window. */
  sum(signal: number, window: Window): number;
  /** Minimum of the total over the items that ever had a signal; Infinity: there is none. */
  min(signal: number): number;
  /** Decayed score at the read time. */
  decayed(signal: number): number;
  /** Latest creation time, epoch ms. */
  newestMs: number;
  /** The same over the items that ever had a signal; −1: there is none. */
  newestActiveMs: number;
}

export interface Ties {
  of(entity: number, createdMs: number): number;
  /** Never below the value of an item within the limits. */
  bound(limits: Limits): number;
}

/** Scores of entities that are not less than a threshold, without looking at the items. */
export interface Drawn {
  /** The index of the next entity from `from` on that may score `atLeast` or more; `end`: there is none below it. */
  next(entities: Float64Array, from: number, end: number, atLeast: number): number;
}

/** A profile, prepared for one read time. */
export interface Scorer {
  /** −Infinity: not ranked. */
  score(entity: number, createdMs: number): number;
  /** Never below the score of an item that is within the limits. Infinity is allowed, and costs a scan. */
  bound(limits: Limits): number;
  /** Decides between equal scores, see `Scored`; absent: the newer item comes first. */
  readonly ties?: Ties;
  /** The parts of the item's score, in formula order; their `part`s add up to the score within rounding. */
  explain(entity: number, createdMs: number): readonly ScorePart[];
  /** Present if nothing but the entity decides the score: then no bound can be below the highest. */
  readonly drawn?: Drawn;
  /** Present if scores change with time only from span to span. */
  readonly steady?: Steady;
  /** The score of every item without signals; absent if it depends on the item. */
  readonly quiet?: number;
  /**
   * Whether an item may score −Infinity. If false, every item of a selection is ranked and the total is known; if true, the total
   * has to be counted, over the groups whose bound is not −Infinity.
   */
  readonly gated: boolean;
}

/** How long no sum over the window changes without an event: windows move by the minute or by the hour. */
export function spanMsOf(window: Window): number {
  if (window === 'all') return Number.POSITIVE_INFINITY;
  return windowSeconds[window] <= 3_600 ? 60_000 : 3_600_000;
}
