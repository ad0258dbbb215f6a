/** A ledger and live items of a size, filled by seeded Zipf traffic: what the benchmarks of ranking look at. */
import { profileScorer, type ScoredProfile } from '../../services/region/rank/profiles.ts';
import { SignalSums } from '../../services/region/rank/signal-sums.ts';
import { TopK, type TopKScorer } from '../../services/region/rank/top-k.ts';
import { loadSchema } from '../../services/region/schema/parse-schema.ts';
import type { Window } from '../../services/region/schema/schema.ts';
import { Entities } from '../../services/region/state/entities/entities.ts';
import type { Ledger } from '../../services/region/state/ledger/ledger.ts';
import { createLedger } from '../../services/region/state/ledger/signal-ledger.ts';

export const HOUR_MS = 3_600_000;
export const NOW_MS = 1_800_000_000_000;

/** Signals of the default schema by how often they come. */
const mix = [
  ['view', 0.8],
  ['like', 0.08],
  ['completion', 0.05],
  ['skip', 0.04],
  ['share', 0.025],
  ['hide', 0.005],
] as const;

/** A fast generator: benchmarks draw tens of millions of random numbers (mulberry32). */
export function fastRandom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let bits = Math.imul(state ^ (state >>> 15), state | 1);
    bits ^= bits + Math.imul(bits ^ (bits >>> 7), bits | 61);
    return ((bits ^ (bits >>> 14)) >>> 0) / 4_294_967_296;
  };
}

/** Ranks from 0 drawn with probability in proportion to 1 / (rank + 1): the inverse of the harmonic sum, approximately. */
export function zipf(random: () => number, count: number): () => number {
  const logarithm = Math.log(count + 1);
  return () => Math.min(count - 1, Math.floor(Math.exp(random() * logarithm)) - 1);
}

export function drawSignal(random: () => number): string {
  let left = random();
  for (const [signal, part] of mix) {
    left -= part;
    if (left <= 0) return signal;
  }
  return 'view';
}

export class RankingWorld {
  readonly entities = new Entities();
  readonly ledger: Ledger;
  readonly sums: SignalSums;
  readonly topK: TopK;
  private readonly created: Float64Array;

  /** `items` live items, created over the last 90 days: one after the other, or in no order at all. */
  constructor(items: number, seed: number, order: 'chronological' | 'random' = 'chronological') {
    const random = fastRandom(seed);
    const schema = loadSchema('deploy/config/default-schema.yaml');
    this.created = new Float64Array(items);
    const createdMs = (ordinal: number): number => this.created[ordinal] ?? -1;
    this.ledger = createLedger({ schema, entities: this.entities, createdMs });
    for (let entity = 0; entity < items; entity++) {
      const age = order === 'random' ? random() : 1 - entity / items;
      this.created[this.entities.ordinal(entity)] = NOW_MS - Math.floor(age * 90 * 24 * HOUR_MS);
      this.ledger.upperBounds.put(entity);
    }
    this.sums = new SignalSums({ schema, ledger: this.ledger });
    const catalog = { size: items, createdMs };
    this.topK = new TopK({
      entities: this.entities,
      catalog,
      upperBounds: this.ledger.upperBounds,
      nowMs: () => NOW_MS,
      changes: this.ledger.changes,
      pastLedger: this.ledger.past,
    });
  }

  /** Events of the last two days over `active` of the items, spread among all of them. */
  play(events: number, active: number, seed: number): void {
    const random = fastRandom(seed);
    const draw = zipf(random, active);
    const step = Math.floor(this.created.length / active);
    // Popular items lie anywhere among the others: a permutation of the ranks.
    const spread = 7_919;
    for (let event = 0; event < events; event++) {
      const entity = ((draw() * spread) % active) * step;
      this.ledger.add(entity, drawSignal(random), 1_000, NOW_MS - Math.floor(random() ** 2 * 48 * HOUR_MS));
    }
  }

  scorer(profile: ScoredProfile, window: Window = '24h'): TopKScorer {
    return profileScorer(profile, this.sums, { window, seed: '', atMs: NOW_MS });
  }

  createdMs(ordinal: number): number {
    return this.created[ordinal]!;
  }

  get items(): number {
    return this.created.length;
  }
}
