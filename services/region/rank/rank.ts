/**
 * Ranking: from the catalog and the ledger to what a feed pages through. Pure reads of applied state at a pinned moment `atMs`; ties
 * everywhere by ascending entity id.
 */
import type { Ranking } from '../../../shared/kernel/ranking.ts';
import type { Filter } from '../../../shared/protocol/filter.ts';
import type { Window } from '../../../shared/schema/schema.ts';
import type { MaxPer } from '../pages/pages.ts';
import type { Selection } from '../state/facets/facets.ts';

export const profiles = [
  'trending',
  'hot',
  'new',
  'top',
  'rising',
  'controversial',
  'hidden_gems',
  'most_viewed',
  'most_liked',
  'shuffle',
  'related',
] as const;
export type Profile = (typeof profiles)[number];

/** What decides a feed's ranking. */
export interface RankingQuery {
  readonly profile: Profile;
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
}

/** A signal summary as answered: sums of weights. */
export type SignalSummary = Readonly<Record<string, Readonly<Record<string, number>>>>;

export interface Rank {
  /**
   * The items of the selection - undefined: all - that are eligible for the profile, as they rank at `atMs`. Throws `Refusal` `unknown_item`
   * or `no_embedding` for `related`.
   */
  ranking(query: RankingQuery, selection: Selection | undefined, atMs: number): Ranking;
  /** All signals of an entity that have events, with the windows the schema declares, plus `decayed`. */
  summary(entity: number, atMs: number): SignalSummary;
}
