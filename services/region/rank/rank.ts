/**
 * Ranking: from the catalog and the ledger to a feed. Pure reads of applied state at a pinned moment `atMs`; ties
 * everywhere by ascending entity id.
 */
import type { ScorePart } from '../../../shared/kernel/ranking.ts';
import type { Metadata } from '../../../shared/protocol/events.ts';
import type { Filter } from '../../../shared/protocol/filter.ts';
import { type BuiltInProfile, builtInProfiles } from '../../../shared/schema/profile.ts';
import type { Window } from '../../../shared/schema/schema.ts';

export const profiles = builtInProfiles;
export type Profile = BuiltInProfile;

/** The parsed query of `GET /feed`. */
export interface FeedQuery {
  /** A built-in profile, or one of the schema's. */
  readonly profile: string;
  /** 1 … 200. */
  readonly limit: number;
  /** How many ranked items precede the page. */
  readonly skip: number;
  readonly window: Window;
  /** All must hold. */
  readonly filters: readonly Filter[];
  /** At most `count` items per value of the metadata field, where the feed has enough others. */
  readonly maxPer: { readonly field: string; readonly count: number } | undefined;
  /** For `related`. */
  readonly entity: number | undefined;
  /** For `shuffle`. */
  readonly seed: string;
  /** Whether every item says what its score is made of. */
  readonly explain: boolean;
}

/** A signal summary as answered: sums of weights. */
export type SignalSummary = Readonly<Record<string, Readonly<Record<string, number>>>>;

export interface FeedItem {
  readonly entity_id: number;
  /** From 1. */
  readonly rank: number;
  readonly score: number;
  readonly metadata: Metadata;
  readonly signals: SignalSummary;
  /** Where the query asks for it. */
  readonly explain?: readonly ScorePart[];
}

export interface FeedResult {
  readonly items: readonly FeedItem[];
  /** Number of items that were scored: live, matching the filters, and passing the gates of the profile. */
  readonly totalScored: number;
  /** Constraints that could not be kept within the page, e.g. `max_per=category:2`. */
  readonly relaxed: readonly string[];
  /** Whether items follow this page. */
  readonly more: boolean;
}

export interface Rank {
  /** The names of the profiles there are, built-in ones first. */
  readonly profiles: readonly string[];
  /** Throws `Refusal` `unknown_item` or `no_embedding` for `related`. */
  feed(query: FeedQuery, atMs: number): FeedResult;
  /** All signals of an entity that have events, with the windows the schema declares, plus `decayed`. */
  summary(entity: number, atMs: number): SignalSummary;
}
