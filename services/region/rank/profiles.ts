/**
 * The built-in profiles but `related`: one definition each, from which the score of an item, the upper bound of a group of items
 * and the explanation of a score follow.
 *
 * `pos` and `neg` are the sums over all positive and all negative signals of the schema; `pro` is `pos` without `view`; `views`,
 * `likes` are the sums of the signals `view` and `like`. All sums are of the query's window unless a formula names another. The
 * formulas of `hot`, `controversial`, `hidden_gems` and `trending` are the original's (docs/architecture.md, section 5); their
 * undefined parts are decided here, and docs/ranking.md says why.
 *
 * A profile that adds up measurements is a list of terms (`terms.ts`). Any other is written out in its three parts. A bound
 * computes from limits what the score computes from an item's sums. Additions, multiplications, divisions and square roots never
 * turn ≤ into >; logarithms and powers may by their last bit, which `SLACK` covers.
 */

import type { Window } from '../schema/schema.ts';
import type { ScorePart } from '../scored/scored.ts';
import type { Formula } from './formula.ts';
import type { Profile } from './rank.ts';
import { type Limits, type Scorer, spanMsOf } from './scorer.ts';
import { Shuffle } from './shuffle.ts';
import type { Aged, SignalSums } from './signal-sums.ts';
import { linear, measurement, weighted } from './terms.ts';

export interface ScoringTime {
  readonly window: Window;
  readonly seed: string;
  readonly atMs: number;
}

export type ScoredProfile = Exclude<Profile, 'related'>;

const HOUR_MS = 3_600_000;
const SLACK = 1 + 2 ** -50;
/** For a bound that is computed by other steps than the score: some dozen roundings apart. */
const WIDE_SLACK = 1 + 2 ** -47;
/** Number of opinions with a confidence of 1/2. */
const HALF_CONVINCING = 5;
/** The quantile of the normal distribution that leaves 2.5 % on either side: `best` is the lower end of a 95 % interval. */
const WILSON_Z = 1.959963984540054;
/** Greater than every creation time: ranks items with a reaction before those without. */
const REACTED = 2 ** 46;

/** A built-in profile as a scorer: one item at a time, in one object however many are scored. */
export function profileScorer(profile: ScoredProfile, sums: SignalSums, time: ScoringTime): Scorer {
  const { score, bound, explain, ties, quiet, steadyMs, drawn } = formulas[profile](sums, time);
  const item = { entity: 0, createdMs: 0 };
  return {
    gated: false,
    score(entity, createdMs) {
      item.entity = entity;
      item.createdMs = createdMs;
      return score(item);
    },
    bound,
    explain: (entity, createdMs) => explain({ entity, createdMs }),
    ...(ties === undefined ? {} : { ties }),
    ...(quiet === undefined ? {} : { quiet }),
    ...(drawn === undefined ? {} : { drawn }),
    ...(steadyMs === undefined ? {} : { steady: { name: `${profile} ${time.window}`, spanMs: steadyMs } }),
  };
}

export const formulas: Readonly<Record<ScoredProfile, (sums: SignalSums, time: ScoringTime) => Formula>> = {
  /** 0.5 · share velocity + 0.3 · view velocity + 0.2 · reach; reach = view velocity over 7d: all three are events a second. */
  trending(sums, { window, atMs }) {
    const velocity = (signal: string, over: Window) => ({
      value: (item: Aged) => sums.velocity(signal, item, over, atMs),
      bound: (limits: Limits) => sums.maxVelocity(signal, limits, over, atMs),
    });
    const terms = [
      { name: `share velocity ${window}`, weight: 0.5, ...velocity('share', window) },
      { name: `view velocity ${window}`, weight: 0.3, ...velocity('view', window) },
      { name: 'reach = view velocity 7d', weight: 0.2, ...velocity('view', '7d') },
    ];
    // Over `all` a velocity falls with the age of the item.
    return linear(terms, window === 'all' ? undefined : spanMsOf(window));
  },

  /**
   * log10(max(|pos − neg|, 1)) / (age in hours + 2)^gravity, of all time; gravity = 1/2. Many negative reactions score as much as
   * many positive ones: that is the original's |…|. One reaction scores the same as none: among equals, items with one rank
   * first.
   */
  hot(sums, { atMs }) {
    const sizeOf = (entity: number): number =>
      Math.log10(Math.max(Math.abs(sums.positive(entity, 'all', atMs) - sums.negative(entity, 'all', atMs)), 1));
    return {
      quiet: 0,
      score: ({ entity, createdMs }) => sizeOf(entity) / gravity(createdMs, atMs),
      bound(limits) {
        if (limits.newestActiveMs < 0) return 0;
        const most = Math.max(sums.maxPositive(limits, 'all'), sums.maxNegative(limits, 'all'), 1);
        return (Math.log10(most) / gravity(limits.newestActiveMs, atMs)) * SLACK;
      },
      explain: ({ entity, createdMs }) => [
        weighted('log10(max(|positive − negative|, 1))', sizeOf(entity), 1 / gravity(createdMs, atMs)),
        measurement('positive all', sums.positive(entity, 'all', atMs)),
        measurement('negative all', sums.negative(entity, 'all', atMs)),
        measurement('age in hours', ageHours(createdMs, atMs)),
      ],
      ties: {
        of(entity, createdMs) {
          const reacted = sums.positive(entity, 'all', atMs) + sums.negative(entity, 'all', atMs) > 0;
          return reacted ? REACTED + createdMs : createdMs;
        },
        bound: ({ newestMs, newestActiveMs }) => (newestActiveMs < 0 ? newestMs : REACTED + newestActiveMs),
      },
    };
  },

  /** The creation time, epoch ms. */
  new: () => ({
    score: ({ createdMs }) => createdMs,
    bound: ({ newestMs }) => newestMs,
    explain: ({ createdMs }) => [weighted('created_at', createdMs, 1)],
  }),

  /** pos − neg. */
  top: (sums, { window, atMs }) =>
    linear(
      [
        {
          name: `positive ${window}`,
          weight: 1,
          value: ({ entity }) => sums.positive(entity, window, atMs),
          bound: (limits) => sums.maxPositive(limits, window),
        },
        {
          name: `negative ${window}`,
          weight: -1,
          value: ({ entity }) => sums.negative(entity, window, atMs),
          bound: (limits) => sums.maxNegative(limits, window),
        },
      ],
      spanMsOf(window),
    ),

  /** The lower end of the 95 % Wilson interval of pro / (pro + neg): {@link wilson}. The bound assumes no negative opinions. */
  best: (sums, { window, atMs }) => ({
    quiet: 0,
    steadyMs: spanMsOf(window),
    score: ({ entity }) => wilson(sums.approving(entity, window, atMs), sums.negative(entity, window, atMs)),
    bound: (limits) => wilson(sums.maxApproving(limits, window), 0) * WIDE_SLACK,
    explain({ entity }) {
      const approving = sums.approving(entity, window, atMs);
      const negative = sums.negative(entity, window, atMs);
      return [
        weighted('lower bound of the positive share', wilson(approving, negative), 1),
        ...opinionParts(window, approving, negative),
      ];
    },
  }),

  /**
   * The last hour against the day's pace: (pos of 1h − e) / √(e + 1), e = pos of 24h / 24. For random events at a steady rate
   * that is about the number of standard deviations by which the hour exceeds its expectation; the 1 keeps the score of an item
   * without a past finite and that of a single event small.
   */
  rising: (sums, { atMs }) => ({
    quiet: 0,
    steadyMs: spanMsOf('1h'),
    score({ entity }) {
      const expected = sums.positive(entity, '24h', atMs) / 24;
      return (sums.positive(entity, '1h', atMs) - expected) / Math.sqrt(expected + 1);
    },
    // The day has at least what the hour has: e is not below pos of 1h / 24. That grows with pos of 1h.
    bound(limits) {
      const hour = sums.maxPositive(limits, '1h');
      if (!sums.dayHasHour) return hour;
      return ((hour * (23 / 24)) / Math.sqrt(hour / 24 + 1)) * SLACK;
    },
    explain({ entity }) {
      const day = sums.positive(entity, '24h', atMs);
      const spread = Math.sqrt(day / 24 + 1);
      return [
        weighted('positive 1h', sums.positive(entity, '1h', atMs), 1 / spread),
        weighted('positive 24h', day, -1 / (24 * spread)),
      ];
    },
  }),

  /** pos · neg / (pos + neg)²: 0.25 where they are even, 0 where one is absent. */
  controversial: (sums, { window, atMs }) => ({
    quiet: 0,
    steadyMs: spanMsOf(window),
    score({ entity }) {
      const positive = sums.positive(entity, window, atMs);
      const negative = sums.negative(entity, window, atMs);
      const total = positive + negative;
      // The quotient may round up to more than the maximum.
      return total === 0 ? 0 : Math.min(0.25, (positive * negative) / (total * total));
    },
    // If they may be equal, ties end the search: the newest first.
    bound: (limits) => (sums.maxPositive(limits, window) > 0 && sums.maxNegative(limits, window) > 0 ? 0.25 : 0),
    explain({ entity }) {
      const positive = sums.positive(entity, window, atMs);
      const negative = sums.negative(entity, window, atMs);
      const total = positive + negative;
      return [
        weighted('positive share', total === 0 ? 0 : positive / total, total === 0 ? 0 : negative / total),
        measurement(`positive ${window}`, positive),
        measurement(`negative ${window}`, negative),
      ];
    },
  }),

  /**
   * pro · neg / (pro + neg)² · confidence: near 0.25 if many opinions are split evenly. `controversial` for pages that people
   * read: it ranks 499 and 501 above one and one, and does not count views as opinions.
   */
  debated: (sums, { window, atMs }) => ({
    quiet: 0,
    steadyMs: spanMsOf(window),
    score: ({ entity }) => split(sums.approving(entity, window, atMs), sums.negative(entity, window, atMs)),
    // For n against, the score grows with those for it up to √(n² + 5n) of them (where its derivative is 0), and so the other way
    // round; it grows with both.
    bound(limits) {
      const approving = sums.maxApproving(limits, window);
      const negative = sums.maxNegative(limits, window);
      return split(Math.min(approving, balancing(negative)), Math.min(negative, balancing(approving))) * WIDE_SLACK;
    },
    explain({ entity }) {
      const approving = sums.approving(entity, window, atMs);
      const negative = sums.negative(entity, window, atMs);
      const opinions = approving + negative;
      const shares = opinions === 0 ? 0 : (approving / opinions) * (negative / opinions);
      return [
        weighted('positive share · negative share', shares, confidence(opinions)),
        ...opinionParts(window, approving, negative),
      ];
    },
  }),

  /** quality / log10(views + 10); quality = pro / (pro + neg) · confidence, 0 without opinions. */
  hidden_gems: (sums, { window, atMs }) => ({
    quiet: 0,
    steadyMs: spanMsOf(window),
    score: ({ entity }) =>
      qualityOf(sums.approving(entity, window, atMs), sums.negative(entity, window, atMs)) /
      Math.log10(sums.of('view', entity, window, atMs) + 10),
    // The bound assumes no negative opinions and the minimum of views.
    bound(limits) {
      const views = window === 'all' ? sums.minOf('view', limits) : 0;
      return (confidence(sums.maxApproving(limits, window)) / Math.log10(views + 10)) * WIDE_SLACK;
    },
    explain({ entity }) {
      const approving = sums.approving(entity, window, atMs);
      const negative = sums.negative(entity, window, atMs);
      const views = sums.of('view', entity, window, atMs);
      return [
        weighted('quality = positive share · confidence', qualityOf(approving, negative), 1 / Math.log10(views + 10)),
        ...opinionParts(window, approving, negative),
        measurement(`view ${window}`, views),
      ];
    },
  }),

  most_viewed: (sums, time) => most('view', sums, time),

  most_liked: (sums, time) => most('like', sums, time),

  /** A number in [0, 1) drawn from the seed and the entity. */
  shuffle(_, { seed }) {
    const shuffle = new Shuffle(seed);
    return {
      score: ({ entity }) => shuffle.draw(entity),
      bound: () => Number.POSITIVE_INFINITY,
      drawn: shuffle,
      explain: ({ entity }) => [weighted('draw', shuffle.draw(entity), 1)],
    };
  },
};

/** The sum of one signal. */
function most(signal: string, sums: SignalSums, { window, atMs }: ScoringTime): Formula {
  return linear(
    [
      {
        name: `${signal} ${window}`,
        weight: 1,
        value: ({ entity }) => sums.of(signal, entity, window, atMs),
        bound: (limits) => sums.maxOf(signal, limits, window),
      },
    ],
    spanMsOf(window),
  );
}

function opinionParts(window: Window, approving: number, negative: number): readonly ScorePart[] {
  return [measurement(`positive without views ${window}`, approving), measurement(`negative ${window}`, negative)];
}

/** (age in hours + 2)^gravity; never above the value of an older item. */
function gravity(createdMs: number, atMs: number): number {
  return Math.sqrt(ageHours(createdMs, atMs) + 2);
}

function ageHours(createdMs: number, atMs: number): number {
  return Math.max(0, atMs - createdMs) / HOUR_MS;
}

/** The confidence of a share of so many opinions: 0 for none, 1/2 for five, near 1 for very many. */
function confidence(opinions: number): number {
  return opinions / (opinions + HALF_CONVINCING);
}

function qualityOf(approving: number, negative: number): number {
  const opinions = approving + negative;
  return opinions === 0 ? 0 : (approving / opinions) * confidence(opinions);
}

/**
 * The lower end of the score interval of a share (E. B. Wilson, “Probable inference, the law of succession, and statistical
 * inference”, JASA 22, 1927), z = 1.96: a lower bound of the share of positive opinions with 97.5 % confidence. 0 without any.
 */
function wilson(approving: number, negative: number): number {
  const opinions = approving + negative;
  if (approving === 0) return 0;
  const share = approving / opinions;
  const spread = (WILSON_Z * WILSON_Z) / opinions;
  const deviation = Math.sqrt(spread * (share * (1 - share) + spread / 4));
  return Math.max(0, (share + spread / 2 - deviation) / (1 + spread));
}

function split(approving: number, negative: number): number {
  const opinions = approving + negative;
  return opinions === 0 ? 0 : ((approving * negative) / (opinions * opinions)) * confidence(opinions);
}

/** As many opinions on the other side make an item the most debated. */
function balancing(opinions: number): number {
  return Math.sqrt(opinions * (opinions + HALF_CONVINCING));
}
