/** A ledger and a catalog that random steps write to, and scores of all items to compare searches with. */
import fc from 'fast-check';
import { formulas, profileScorer, type ScoredProfile } from '../../../../services/region/rank/profiles.ts';
import { SignalSums } from '../../../../services/region/rank/signal-sums.ts';
import { TopK, type TopKScorer } from '../../../../services/region/rank/top-k.ts';
import { windows } from '../../../../services/region/schema/schema.ts';
import { type Scored, TopScores } from '../../../../services/region/scored/scored.ts';
import type { Selection } from '../../../../services/region/state/filter-index/filter-index.ts';
import { SHARDS } from '../../../../services/region/state/ledger/ledger.ts';
import { selectionOf } from '../state/selections.ts';
import { TinyCatalog } from '../state/tiny-state.ts';
import { schemaOf } from './signals-schema.ts';

export const MINUTE_MS = 60_000;
export const HOUR_MS = 60 * MINUTE_MS;
export const START_MS = 1_800_000_000_000;
export const names = Object.keys(formulas) as ScoredProfile[];

/** Like ones by the hour are ranked, by the day not: `rising` must not take the day for more than the hour. */
export const schema = schemaOf(
  ['view', 'positive', 86_400],
  ['like', 'positive', 86_400, ['1h', '7d', 'all']],
  ['share', 'positive', 3_600],
  ['skip', 'negative', 86_400],
);

/** One step for one item, or between items: time that passes, feeds that are read. */
export type Step =
  | { readonly do: 'put'; readonly entity: number; readonly ageMs: number }
  | { readonly do: 'remove'; readonly entity: number }
  | {
      readonly do: 'signal';
      readonly entity: number;
      readonly signal: string;
      readonly weight: number;
      readonly ageMs: number;
    }
  | { readonly do: 'retract' }
  | { readonly do: 'wait'; readonly ms: number }
  | { readonly do: 'pack' }
  | { readonly do: 'restart' }
  | {
      readonly do: 'feed';
      readonly profile: ScoredProfile;
      readonly window: (typeof windows)[number];
      readonly limit: number;
      readonly atAgoMs: number;
      /** Whether events after the read time are excluded. */
      readonly past: boolean;
      /** Of a selection: entities that leave this remainder; undefined: all. */
      readonly divisor: number | undefined;
      readonly after: number;
    };

const entity = fc.nat(400);
const age = fc.oneof(
  { weight: 3, arbitrary: fc.constant(0) },
  { weight: 2, arbitrary: fc.nat(2 * HOUR_MS) },
  { weight: 1, arbitrary: fc.nat(10 * 24 * HOUR_MS) },
);
export const steps: fc.Arbitrary<Step[]> = fc.array(
  fc.oneof(
    { weight: 8, arbitrary: fc.record({ do: fc.constant('put' as const), entity, ageMs: age }) },
    { weight: 1, arbitrary: fc.record({ do: fc.constant('remove' as const), entity }) },
    {
      weight: 16,
      arbitrary: fc.record({
        do: fc.constant('signal' as const),
        entity,
        signal: fc.constantFrom('view', 'view', 'like', 'share', 'skip'),
        weight: fc.oneof(fc.constant(1_000), fc.nat(20_000), fc.constant(10_000_000)),
        ageMs: age,
      }),
    },
    { weight: 1, arbitrary: fc.constant({ do: 'retract' as const }) },
    { weight: 1, arbitrary: fc.constant({ do: 'pack' as const }) },
    { weight: 1, arbitrary: fc.constant({ do: 'restart' as const }) },
    {
      weight: 2,
      arbitrary: fc.record({
        do: fc.constant('wait' as const),
        ms: fc.oneof(fc.nat(10 * MINUTE_MS), fc.nat(30 * HOUR_MS), fc.nat(9 * 24 * HOUR_MS)),
      }),
    },
    {
      weight: 6,
      arbitrary: fc.record({
        do: fc.constant('feed' as const),
        profile: fc.constantFrom(...names),
        window: fc.constantFrom(...windows),
        limit: fc.integer({ min: 1, max: 12 }),
        atAgoMs: fc.oneof(
          { weight: 4, arbitrary: fc.constant(0) },
          { weight: 1, arbitrary: fc.integer({ min: -40 * HOUR_MS, max: 40 * HOUR_MS }) },
        ),
        past: fc.boolean(),
        divisor: fc.option(fc.integer({ min: 2, max: 9 }), { nil: undefined }),
        after: fc.nat(20),
      }),
    },
  ),
  { minLength: 20, maxLength: 300 },
);

export class RankingWorld {
  readonly catalog = new TinyCatalog();
  ledger = this.catalog.ledgerOf(schema);
  nowMs = START_MS;
  sums = new SignalSums({ schema, ledger: this.ledger });
  pastSums = new SignalSums({ schema, ledger: this.ledger.past });
  topK: TopK;
  /** After this many items without a result, a search scans all. */
  private readonly bestFirstLeast: number;
  private readonly standing: (Step & { do: 'signal'; timeMs: number })[] = [];

  constructor({ bestFirstLeast = 4_096 }: { readonly bestFirstLeast?: number } = {}) {
    this.bestFirstLeast = bestFirstLeast;
    this.topK = this.search();
  }

  private search(): TopK {
    return new TopK({
      entities: this.catalog.entities,
      catalog: this.catalog,
      upperBounds: this.ledger.upperBounds,
      nowMs: () => this.nowMs,
      fewItems: 0,
      bestFirstLeast: this.bestFirstLeast,
      changes: this.ledger.changes,
      pastLedger: this.ledger.past,
    });
  }

  /** The ledger as it is read back from its shards, over the present items. */
  private restart(): void {
    const pass = this.ledger.pass();
    while (!pass.prepare(1_000));
    this.ledger = this.catalog.ledgerOf(schema);
    this.ledger.upperBounds.fill();
    for (let shard = 0; shard < SHARDS; shard++) this.ledger.load(shard, pass.encode(shard));
    this.sums = new SignalSums({ schema, ledger: this.ledger });
    this.pastSums = new SignalSums({ schema, ledger: this.ledger.past });
    this.topK = this.search();
  }

  play(step: Exclude<Step, { do: 'feed' }>): void {
    const { catalog, ledger } = this;
    switch (step.do) {
      case 'put':
        // The kind of item, for filters: only what no feed looks at here.
        catalog.put(step.entity, {}, this.nowMs - step.ageMs);
        return;
      case 'remove':
        catalog.remove(step.entity);
        return;
      case 'signal': {
        const timeMs = this.nowMs - step.ageMs;
        ledger.add(step.entity, step.signal, step.weight, timeMs);
        this.standing.push({ ...step, timeMs });
        return;
      }
      case 'retract': {
        const taken = this.standing.splice(this.nowMs % Math.max(1, this.standing.length), 1)[0];
        if (taken !== undefined) ledger.retract(taken.entity, taken.signal, taken.weight, taken.timeMs);
        return;
      }
      case 'wait':
        this.nowMs += step.ms;
        return;
      case 'restart':
        this.restart();
        return;
      case 'pack':
        for (let signal = 0; signal < schema.signals.size; signal++) ledger.pack(1_000, this.nowMs - HOUR_MS);
    }
  }

  scorer(
    profile: ScoredProfile,
    { past = false, ...readTime }: { window: (typeof windows)[number]; atMs: number; past?: boolean },
  ): TopKScorer {
    return profileScorer(profile, past ? this.pastSums : this.sums, { ...readTime, seed: 'seed' });
  }

  scan(scorer: TopKScorer, accept: (entity: number) => boolean, limit: number): Scored[] {
    const top = new TopScores(limit);
    for (const item of this.catalog.items()) {
      if (!accept(item.entity)) continue;
      const tie = scorer.ties?.of(item.entity, item.createdMs) ?? item.createdMs;
      top.add(item.entity, scorer.score(item.entity, item.createdMs), tie);
    }
    return top.sorted();
  }

  selection(divisor: number): Selection {
    const { entities } = this.catalog;
    const chosen = [...this.catalog.items()].map((item) => item.entity).filter((one) => one % divisor === 1);
    return selectionOf(chosen.map((one) => entities.find(one)));
  }
}
