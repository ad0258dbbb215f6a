/**
 * Ranking: from the catalog and the ledger to what a feed pages through. Pure reads of applied state at a pinned moment `atMs`; ties
 * everywhere by ascending entity id.
 */
import type { Ranking, ScorePart } from '../../../shared/kernel/ranking.ts';
import type { Scored } from '../../../shared/kernel/top-scores.ts';
import type { Filter } from '../../../shared/protocol/filter.ts';
import { type BuiltInProfile, builtInProfiles } from '../../../shared/schema/profile.ts';
import type { Window } from '../../../shared/schema/schema.ts';
import type { MaxPer } from '../pages/pages.ts';
import type { Selection } from '../state/facets/facets.ts';

export const profiles = builtInProfiles;
export type Profile = BuiltInProfile;

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

/** A signal summary as answered: sums of weights. */
export type SignalSummary = Readonly<Record<string, Readonly<Record<string, number>>>>;

export interface Rank {
  /** The names of the profiles there are, built-in ones first. */
  readonly profiles: readonly string[];
  /**
   * The items of the selection - undefined: all - that are eligible for the profile, as they rank at `atMs`. Not for `related`,
   * which is found by search (`search/search.ts`).
   */
  ranking(query: RankingQuery, selection: Selection | undefined, atMs: number): Ranking;
  /** What the score of a ranked item is made of, in the order of the formula. */
  explain(query: RankingQuery, scored: Scored, atMs: number): readonly ScorePart[];
  /** All signals of an entity that have events, with the windows the schema declares, plus `decayed`. */
  summary(entity: number, atMs: number): SignalSummary;
}
