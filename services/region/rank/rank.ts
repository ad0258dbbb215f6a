/**
 * Ranking: the rankings that feeds page through, computed from catalog and ledger. Pure reads of applied state at a fixed read
 * time `atMs`. Of equal scores the newer item comes first, then the lower entity id.
 */

import type { Steps } from '../../../shared/kernel/steps.ts';
import type { Filter } from '../filter/filter.ts';
import type { MaxPer } from '../pages/pages.ts';
import type { SortKey } from '../result/result.ts';
import type { Window } from '../schema/schema.ts';
import { type BuiltInProfile, builtInProfiles } from '../schema/schema.ts';
import type { Matches, Ranking, Scored, ScorePart, TieOf } from '../scored/scored.ts';
import type { Selection } from '../state/filter-index/filter-index.ts';
import type { SearchSlices } from './sliced.ts';

export const profiles = builtInProfiles;
export type Profile = BuiltInProfile;

/** The default window of a profile; a profile that is not listed takes no `window` parameter. */
export const defaultWindows: Readonly<Record<string, Window | undefined>> = {
  trending: '24h',
  top: 'all',
  best: 'all',
  controversial: 'all',
  debated: 'all',
  hidden_gems: 'all',
  most_viewed: 'all',
  most_liked: 'all',
};

/** The read time. */
export interface ReadTime {
  /** Epoch ms. */
  readonly atMs: number;
  /** True if it was given by `at` or a cursor: no event after it counts. Otherwise every event does. */
  readonly past: boolean;
}

/** The parameters that decide a feed's ranking. */
export interface RankingQuery {
  /** A built-in profile, or one of the schema's. */
  readonly profile: string;
  readonly window: Window;
  /** For `related`. */
  readonly entity: number | undefined;
  /** For `shuffle`. */
  readonly seed: string;
}

/** The parsed query of `GET /feed`. */
export interface FeedQuery extends RankingQuery {
  /** 1 … 200. */
  readonly limit: number;
  /** All must hold. */
  readonly filters: readonly Filter[];
  /** Ids of items that are left out. */
  readonly exclude: readonly number[];
  readonly maxPer: MaxPer | undefined;
  /** Whether every item has the parts of its score. */
  readonly explain: boolean;
  /** Undefined: by score. */
  readonly sort?: readonly SortKey[] | undefined;
}

/** A ranking of items, and all of it in any order. */
export interface ItemRanking extends Ranking {
  /** Costs in proportion to its size. */
  matches(): Matches;
}

export interface ItemScores {
  /** In the order of the ordinals. */
  readonly scores: Float64Array;
  settle(): void;
}

/** A signal summary as returned: sums of weights; null: no longer known for that time. */
export type SignalSummary = Readonly<Record<string, Readonly<Record<string, number | null>>>>;

export interface Rank {
  /** The names of all profiles, built-in ones first. */
  readonly profiles: readonly string[];
  /**
   * The items of the selection (undefined: all) that are eligible for the profile, as they rank at `atMs`. Not for `related`,
   * which is found by search (`search/search.ts`). With `slices` it throws `Unfinished` if it takes longer than a slice of a
   * turn; `name` distinguishes the rankings of one read.
   */
  ranking(
    query: RankingQuery,
    selection: Selection | undefined,
    readTime: ReadTime,
    slices?: SearchSlices,
    name?: string,
  ): ItemRanking;
  /**
   * The scores of these items by a profile other than `related`, in steps, between which the items may be written to; −Infinity for
   * one that the profile does not rank. `settle` must be called in every turn that uses them: it reports what is not known exactly.
   */
  scoring(query: RankingQuery, ordinals: Int32Array, readTime: ReadTime): Steps<ItemScores>;
  /**
   * How popular an item is at the read time, as a tie of `Scored`: its positive weights of all time minus the negative ones, in
   * thousandths, at least 0.
   */
  popularity(readTime: ReadTime): TieOf;
  /** The searches that a read keeps between its slices; must be ended. */
  slices(over: () => boolean): SearchSlices;
  /** The parts of the score of a ranked item, in the order of the formula. */
  explain(query: RankingQuery, scored: Scored, readTime: ReadTime): readonly ScorePart[];
  /**
   * Answers for a time that a client gives: for that time, or for the end of the last whole minute or hour before it, if events
   * of the same one may be on either side of it; then `answer` is called twice. Throws `invalid_request` if newer events have
   * displaced sums that a score needs; in a summary such a sum is null.
   */
  past<T>(askedMs: number, answer: (readTime: ReadTime) => T): T;
  /**
   * All signals of an entity that have events, with the windows the schema declares, plus `decayed`. `whole`: unknown sums are
   * refused (`past`).
   */
  summary(entity: number, readTime: ReadTime, whole?: boolean): SignalSummary;
}
