/** The best-first search answers exactly what scoring every item answers, whatever the ledger, the read time and the filter. */
import assert from 'node:assert/strict';
import fc from 'fast-check';
import { formulas, profileScorer, type ScoredProfile } from '../../services/region/rank/profiles.ts';
import { SignalSums } from '../../services/region/rank/signal-sums.ts';
import { TopK, type TopKScorer } from '../../services/region/rank/top-k.ts';
import { windows } from '../../services/region/schema/schema.ts';
import { type Scored, TopScores } from '../../services/region/scored/scored.ts';
import { SHARDS } from '../../services/region/state/ledger/ledger.ts';
import { drawBetween, drawFraction, seededRandom } from '../harness/kernel/seeded-random.ts';
import { schemaOf } from '../harness/region/rank/signals-schema.ts';
import { TinyCatalog } from '../harness/region/state/tiny-state.ts';

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
const START_MS = 1_800_000_000_000;
const names = Object.keys(formulas) as ScoredProfile[];

/** Like ones by the hour are ranked, by the day not: `rising` must not take the day for more than the hour. */
const schema = schemaOf(
  ['view', 'positive', 86_400],
  ['like', 'positive', 86_400, ['1h', '7d', 'all']],
  ['share', 'positive', 3_600],
  ['skip', 'negative', 86_400],
);

/** One step for one item, or between items: time that passes, feeds that are read. */
type Step =
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
const steps = fc.array(
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

class World {
  readonly catalog = new TinyCatalog();
  ledger = this.catalog.ledgerOf(schema);
  nowMs = START_MS;
  sums = new SignalSums({ schema, ledger: this.ledger });
  pastSums = new SignalSums({ schema, ledger: this.ledger.past });
  topK = this.search();
  private readonly standing: (Step & { do: 'signal'; timeMs: number })[] = [];

  private search(): TopK {
    return new TopK({
      entities: this.catalog.entities,
      catalog: this.catalog,
      upperBounds: this.ledger.upperBounds,
      nowMs: () => this.nowMs,
      fewItems: 0,
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

  selection(divisor: number): {
    count: number;
    has(o: number): boolean;
    any(): boolean;
    forEach(v: (o: number) => void): void;
  } {
    const { entities } = this.catalog;
    const chosen = [...this.catalog.items()].map((item) => item.entity).filter((one) => one % divisor === 1);
    const ordinals = chosen.map((one) => entities.find(one)).sort((a, b) => a - b);
    return {
      count: ordinals.length,
      has: (ordinal) => ordinals.includes(ordinal),
      any: () => true,
      forEach(visit) {
        for (const ordinal of ordinals) visit(ordinal);
      },
    };
  }
}

describe('top-k', () => {
  it('is what scoring every item gives, at any time, for every profile, page and selection', () => {
    fc.assert(
      fc.property(steps, (list) => {
        const world = new World();
        for (const step of list) {
          if (step.do !== 'feed') {
            world.play(step);
            continue;
          }
          const atMs = world.nowMs - step.atAgoMs;
          const scorer = world.scorer(step.profile, { window: step.window, atMs, past: step.past });
          const { divisor } = step;
          const selection = divisor === undefined ? undefined : world.selection(divisor);
          const accept = (one: number): boolean => divisor === undefined || one % divisor === 1;
          const ranking = world.topK.ranking(scorer, selection, atMs, step.past);
          const all = world.scan(scorer, accept, 1_000);
          assert.equal(ranking.total, all.length);
          assert.deepEqual(ranking.after(undefined, step.limit), all.slice(0, step.limit));
          const key = all[step.after];
          if (key !== undefined) {
            assert.deepEqual(ranking.after(key, step.limit), all.slice(step.after + 1, step.after + 1 + step.limit));
          }
        }
      }),
      { numRuns: 1_000 },
    );
  });

  it('scores few of many items, also after the head of the ranking became quiet', () => {
    const world = new World();
    const random = seededRandom(7);
    const items = 60_000;
    for (let one = 0; one < items; one++)
      world.catalog.put(one, {}, world.nowMs - drawBetween(random, 0, 30 * 24 * HOUR_MS));
    const active = Array.from({ length: 6_000 }, () => drawBetween(random, 0, items - 1));
    for (let event = 0; event < 60_000; event++) {
      const one = active[Math.floor(active.length * drawFraction(random) ** 4)]!;
      world.ledger.add(
        one,
        drawFraction(random) < 0.8 ? 'view' : 'share',
        1_000,
        world.nowMs - drawBetween(random, 0, 20 * HOUR_MS),
      );
    }
    const check = (limitScored: number): void => {
      for (const profile of ['trending', 'hot', 'new', 'top', 'rising', 'most_viewed'] as const) {
        const scorer = world.scorer(profile, { window: '24h', atMs: world.nowMs });
        const ranking = world.topK.ranking(scorer, undefined, world.nowMs);
        assert.deepEqual(
          ranking.after(undefined, 10),
          world.scan(scorer, () => true, 10),
          profile,
        );
        // Lowered where they are looked at: a few searches more show what the upper bounds are like by then.
        for (let more = 0; more < 12; more++) ranking.after(undefined, 10);
        // A steady hour is as large as a sudden one: rising looks at whatever had a signal in it.
        const most = profile === 'rising' ? items / 4 : limitScored;
        assert.ok(world.topK.scored <= most, `${profile} scored ${world.topK.scored} of ${items}`);
      }
    };
    check(1_500);
    world.nowMs += 30 * HOUR_MS;
    for (let event = 0; event < 500; event++)
      world.ledger.add(active[5_000 + drawBetween(random, 0, 899)]!, 'view', 1_000, world.nowMs);
    check(6_500);
  });
});
