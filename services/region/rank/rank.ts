/**
 * Ranking: from the catalog and the ledger to what a feed pages through. Pure reads of applied state at a pinned time `atMs`. Of
 * equal scores the newer item comes first, then the lower entity id.
 */

import type { Filter } from '../filter/filter.ts';
import type { MaxPer } from '../pages/pages.ts';
import type { Window } from '../schema/schema.ts';
import { type BuiltInProfile, builtInProfiles } from '../schema/schema.ts';
import type { Ranking, Scored, ScorePart } from '../scored/scored.ts';
import type { Selection } from '../state/filter-index/filter-index.ts';

export const profiles = builtInProfiles;
export type Profile = BuiltInProfile;

/** The window a profile takes when the query names none; a profile that is not here reads no window of the query. */
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

/** The moment that a read is answered for. */
export interface ReadTime {
  /** Epoch ms. */
  readonly atMs: number;
  /** Asked for by name, or by a cursor: no event after it counts. Otherwise every event does. */
  readonly past: boolean;
}

/** What decides a feed's ranking. */
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
  readonly maxPer: MaxPer | undefined;
  /** Whether every item says what its score is made of. */
  readonly explain: boolean;
}

/** A signal summary as answered: sums of weights; null: not known for that moment any more. */
export type SignalSummary = Readonly<Record<string, Readonly<Record<string, number | null>>>>;

export interface Rank {
  /** The names of the profiles there are, built-in ones first. */
  readonly profiles: readonly string[];
  /**
   * The items of the selection - undefined: all - that are eligible for the profile, as they rank at `atMs`. Not for `related`,
   * which is found by search (`search/search.ts`).
   */
  ranking(query: RankingQuery, selection: Selection | undefined, readTime: ReadTime): Ranking;
  /** What the score of a ranked item is made of, in the order of the formula. */
  explain(query: RankingQuery, scored: Scored, readTime: ReadTime): readonly ScorePart[];
  /**
   * Answers for a moment that a client names: for itself, or for the end of the last whole minute or hour before it, where events
   * of that one may lie on either side of it - then `answer` is called twice. Throws `invalid_request` where newer events have
   * pushed out of the ledger what a score was made of; in a summary such a sum is null.
   */
  past<T>(askedMs: number, answer: (readTime: ReadTime) => T): T;
  /** All signals of an entity that have events, with the windows the schema declares, plus `decayed`. `whole`: what is not known is refused (`past`). */
  summary(entity: number, readTime: ReadTime, whole?: boolean): SignalSummary;
}
