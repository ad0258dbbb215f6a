/**
 * The score of an item under each built-in profile but `related` (whose score is the vector index's similarity).
 *
 * `pos` and `neg` are the sums over all positive and all negative signals of the schema; `pro` is `pos` without `view`;
 * `views`, `likes` are the sums of the signals `view` and `like`. All sums are of the query's window unless a formula names
 * another. The formulas of `hot`, `controversial`, `hidden_gems` and `trending` are the original's (docs/architecture.md,
 * section 5); what that page leaves open is decided here, and docs/ranking.md says why.
 */
import type { Window } from '../../../shared/schema/schema.ts';
import type { Item } from '../state/catalog/catalog.ts';
import type { Profile } from './rank.ts';
import { shuffler } from './shuffle.ts';
import type { SignalSums } from './signal-sums.ts';

export interface ScoringMoment {
  readonly window: Window;
  readonly seed: string;
  readonly atMs: number;
}

export type Score = (item: Item) => number;
export type ScoredProfile = Exclude<Profile, 'related'>;

/** The window a profile takes when the query names none; a profile that is not here reads no window of the query. */
export const defaultWindows: Readonly<Partial<Record<string, Window>>> = {
  trending: '24h',
  top: 'all',
  controversial: 'all',
  hidden_gems: 'all',
  most_viewed: 'all',
  most_liked: 'all',
};

const HOUR_MS = 3_600_000;

/** Opinions that convince by half. */
const HALF_CONVINCING = 5;

/** How much a share of so many opinions says: 0 of none, 1/2 of five, near 1 of very many. */
export function confidence(opinions: number): number {
  return opinions / (opinions + HALF_CONVINCING);
}

export const scorers: Readonly<Record<ScoredProfile, (sums: SignalSums, moment: ScoringMoment) => Score>> = {
  /** 0.5 · share velocity + 0.3 · view velocity + 0.2 · reach; reach = view velocity over 7d: all three are events a second. */
  trending:
    (sums, { window, atMs }) =>
    (item) => {
      const shares = sums.velocity('share', item, window, atMs);
      const views = sums.velocity('view', item, window, atMs);
      const reach = sums.velocity('view', item, '7d', atMs);
      return 0.5 * shares + 0.3 * views + 0.2 * reach;
    },

  /**
   * log10(max(|pos − neg|, 1)) / (age in hours + 2)^gravity, of all time; gravity = 1/2. An item that much is said against is as hot as one
   * that much is said for: that is the original's |…|.
   */
  hot:
    (sums, { atMs }) =>
    ({ entity, createdMs }) => {
      const balance = sums.positive(entity, 'all', atMs) - sums.negative(entity, 'all', atMs);
      const ageHours = Math.max(0, atMs - createdMs) / HOUR_MS;
      return Math.log10(Math.max(Math.abs(balance), 1)) / Math.sqrt(ageHours + 2);
    },

  /** The creation time, epoch ms. */
  new: () => (item) => item.createdMs,

  /** pos − neg. */
  top:
    (sums, { window, atMs }) =>
    ({ entity }) =>
      sums.positive(entity, window, atMs) - sums.negative(entity, window, atMs),

  /**
   * The last hour against the day's pace: (pos of 1h − e) / √(e + 1), e = pos of 24h / 24. For events that come at
   * random at a steady pace that is about how many standard deviations the hour lies above it; the 1 keeps an item with
   * no past finite and one lucky event small.
   */
  rising:
    (sums, { atMs }) =>
    ({ entity }) => {
      const expected = sums.positive(entity, '24h', atMs) / 24;
      return (sums.positive(entity, '1h', atMs) - expected) / Math.sqrt(expected + 1);
    },

  /**
   * pro · neg / (pro + neg)² · confidence: near 0.25 where the opinion of many is split evenly, 0 where it is one-sided or
   * absent. The formula alone would put one like and one skip above 500 and 499.
   */
  controversial:
    (sums, { window, atMs }) =>
    ({ entity }) => {
      const approving = sums.approving(entity, window, atMs);
      const negative = sums.negative(entity, window, atMs);
      const opinions = approving + negative;
      return opinions === 0 ? 0 : ((approving * negative) / (opinions * opinions)) * confidence(opinions);
    },

  /** quality / log10(views + 10); quality = pro / (pro + neg) · confidence, 0 without opinions. */
  hidden_gems:
    (sums, { window, atMs }) =>
    ({ entity }) => {
      const approving = sums.approving(entity, window, atMs);
      const opinions = approving + sums.negative(entity, window, atMs);
      const quality = opinions === 0 ? 0 : (approving / opinions) * confidence(opinions);
      return quality / Math.log10(sums.of('view', entity, window, atMs) + 10);
    },

  most_viewed:
    (sums, { window, atMs }) =>
    ({ entity }) =>
      sums.of('view', entity, window, atMs),

  most_liked:
    (sums, { window, atMs }) =>
    ({ entity }) =>
      sums.of('like', entity, window, atMs),

  /** A number in [0, 1) drawn from the seed and the entity. */
  shuffle: (_, { seed }) => {
    const draw = shuffler(seed);
    return ({ entity }) => draw(entity);
  },
};
