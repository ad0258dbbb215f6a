/**
 * What the score of a built-in profile is made of (`explain=true`), in the order of its formula (docs/ranking.md).
 *
 * Every part is value · weight, and the parts add up to the score within rounding. Sums are explained summand by summand. A
 * product or quotient has one part: the value is the factor the profile is about, the weight is everything it is multiplied
 * by; the measurements the weight is made of follow with weight 0.
 */
import type { ScorePart } from '../../../shared/kernel/ranking.ts';
import { confidence, type ScoredProfile, type ScoringTime, wilson } from './profiles.ts';
import { shuffler } from './shuffle.ts';
import type { SignalSums } from './signal-sums.ts';

/** What is explained: an item by its id and creation time. */
interface Explained {
  readonly entity: number;
  readonly createdMs: number;
}

type Explain = (sums: SignalSums, readTime: ScoringTime, item: Explained) => readonly ScorePart[];

const HOUR_MS = 3_600_000;

function weighted(term: string, value: number, weight: number): ScorePart {
  return { term, value, weight, part: value * weight };
}

/** A measurement that enters the score through the weight of another term. */
function measurement(term: string, value: number): ScorePart {
  return { term, value, weight: 0, part: 0 };
}

export const explainers: Readonly<Record<ScoredProfile, Explain>> = {
  trending: (sums, { window, atMs }, item) => [
    weighted(`share velocity ${window}`, sums.velocity('share', item, window, atMs), 0.5),
    weighted(`view velocity ${window}`, sums.velocity('view', item, window, atMs), 0.3),
    weighted('reach = view velocity 7d', sums.velocity('view', item, '7d', atMs), 0.2),
  ],

  hot(sums, { atMs }, { entity, createdMs }) {
    const positive = sums.positive(entity, 'all', atMs);
    const negative = sums.negative(entity, 'all', atMs);
    const ageHours = Math.max(0, atMs - createdMs) / HOUR_MS;
    const size = Math.log10(Math.max(Math.abs(positive - negative), 1));
    return [
      weighted('log10(max(|positive − negative|, 1))', size, 1 / Math.sqrt(ageHours + 2)),
      measurement('positive all', positive),
      measurement('negative all', negative),
      measurement('age in hours', ageHours),
    ];
  },

  new: (_, __, { createdMs }) => [weighted('created_at', createdMs, 1)],

  top: (sums, { window, atMs }, { entity }) => [
    weighted(`positive ${window}`, sums.positive(entity, window, atMs), 1),
    weighted(`negative ${window}`, sums.negative(entity, window, atMs), -1),
  ],

  best(sums, { window, atMs }, { entity }) {
    const approving = sums.approving(entity, window, atMs);
    const negative = sums.negative(entity, window, atMs);
    return [
      weighted('lower bound of the positive share', wilson(approving, negative), 1),
      measurement(`positive without views ${window}`, approving),
      measurement(`negative ${window}`, negative),
    ];
  },

  rising(sums, { atMs }, { entity }) {
    const day = sums.positive(entity, '24h', atMs);
    const spread = Math.sqrt(day / 24 + 1);
    return [
      weighted('positive 1h', sums.positive(entity, '1h', atMs), 1 / spread),
      weighted('positive 24h', day, -1 / (24 * spread)),
    ];
  },

  controversial(sums, { window, atMs }, { entity }) {
    const positive = sums.positive(entity, window, atMs);
    const negative = sums.negative(entity, window, atMs);
    const total = positive + negative;
    return [
      weighted('positive share', total === 0 ? 0 : positive / total, total === 0 ? 0 : negative / total),
      measurement(`positive ${window}`, positive),
      measurement(`negative ${window}`, negative),
    ];
  },

  debated(sums, { window, atMs }, { entity }) {
    const approving = sums.approving(entity, window, atMs);
    const negative = sums.negative(entity, window, atMs);
    const opinions = approving + negative;
    const [pro, contra] = opinions === 0 ? [0, 0] : [approving / opinions, negative / opinions];
    return [
      weighted('positive share · negative share', pro * contra, confidence(opinions)),
      measurement(`positive without views ${window}`, approving),
      measurement(`negative ${window}`, negative),
    ];
  },

  hidden_gems(sums, { window, atMs }, { entity }) {
    const approving = sums.approving(entity, window, atMs);
    const negative = sums.negative(entity, window, atMs);
    const opinions = approving + negative;
    const share = opinions === 0 ? 0 : approving / opinions;
    const views = sums.of('view', entity, window, atMs);
    return [
      weighted('quality = positive share · confidence', share * confidence(opinions), 1 / Math.log10(views + 10)),
      measurement(`positive without views ${window}`, approving),
      measurement(`negative ${window}`, negative),
      measurement(`view ${window}`, views),
    ];
  },

  most_viewed: (sums, { window, atMs }, { entity }) => [
    weighted(`view ${window}`, sums.of('view', entity, window, atMs), 1),
  ],

  most_liked: (sums, { window, atMs }, { entity }) => [
    weighted(`like ${window}`, sums.of('like', entity, window, atMs), 1),
  ],

  shuffle: (_, { seed }, { entity }) => [weighted('draw', shuffler(seed)(entity), 1)],
};
