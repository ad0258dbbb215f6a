/** The bounds of the built-in profiles: never below any score within the limits, and where it matters hardly above the best. */
import assert from 'node:assert/strict';
import fc from 'fast-check';
import type { Formula } from '../../services/region/rank/formula.ts';
import { formulas, type ScoredProfile } from '../../services/region/rank/profiles.ts';
import type { Limits } from '../../services/region/rank/scorer.ts';
import { SignalSums } from '../../services/region/rank/signal-sums.ts';
import { windows } from '../../services/region/schema/schema.ts';
import { schemaOf } from '../harness/region/rank/signals-schema.ts';
import { TinyCatalog } from '../harness/region/state/tiny-state.ts';

const HOUR_MS = 3_600_000;
const AT_MS = 500_000 * HOUR_MS + 1_234_567;
const DAY_SECONDS = 86_400;
const signals = ['view', 'like', 'share', 'skip', 'hide'] as const;
const schema = schemaOf(
  ['view', 'positive', DAY_SECONDS],
  ['like', 'positive', DAY_SECONDS],
  ['share', 'positive', DAY_SECONDS],
  ['skip', 'negative', DAY_SECONDS],
  ['hide', 'negative', DAY_SECONDS],
);

interface Magnitude {
  readonly ageMs: number;
  readonly events: readonly (readonly [signal: string, weight: number, ageMs: number])[];
}
const item: fc.Arbitrary<Magnitude> = fc.record({
  ageMs: fc.integer({ min: -1e6, max: 2e9 }),
  events: fc.array(
    fc.tuple(
      fc.constantFrom(...signals),
      fc.oneof(
        fc.nat(10).map((units) => units * 1_000),
        fc.nat(10_000_000),
      ),
      fc.oneof(fc.nat(HOUR_MS), fc.nat(1e9)),
    ),
    { maxLength: 8 },
  ),
});
const readTime = fc.record({ window: fc.constantFrom(...windows), seed: fc.string(), atMs: fc.constant(AT_MS) });

function worldOf(items: readonly Magnitude[]) {
  const catalog = new TinyCatalog();
  const ledger = catalog.ledgerOf(schema);
  for (const [entity, { ageMs, events }] of items.entries()) {
    catalog.put(entity, {}, AT_MS - ageMs);
    for (const [signal, weight, agoMs] of events) ledger.add(entity, signal, weight, AT_MS - agoMs);
  }
  const entities = [...items.keys()];
  const newest = (among: readonly Magnitude[]): number => Math.max(-1, ...among.map(({ ageMs }) => AT_MS - ageMs));
  const limits: Limits = {
    sum: (place, window) => Math.max(...entities.map((entity) => ledger.sum(entity, signals[place]!, window, AT_MS))),
    min: (place) =>
      Math.min(
        ...entities
          .filter((entity) => items[entity]!.events.length > 0)
          .map((entity) => ledger.sum(entity, signals[place]!, 'all', AT_MS)),
      ),
    decayed: () => assert.fail('no built-in profile decays'),
    newestMs: newest(items),
    newestActiveMs: newest(items.filter(({ events }) => events.length > 0)),
  };
  return { sums: new SignalSums({ schema, ledger }), limits };
}

describe('bounds of the built-in profiles', () => {
  for (const profile of Object.keys(formulas) as ScoredProfile[]) {
    it(`${profile}: never below a score within the limits; what is explained adds up to the score`, () => {
      fc.assert(
        fc.property(fc.array(item, { minLength: 1, maxLength: 6 }), readTime, (items, readTime) => {
          const { sums, limits } = worldOf(items);
          const formula = formulas[profile](sums, readTime);
          const bound = formula.bound(limits);
          for (const [entity, { ageMs, events }] of items.entries()) {
            const aged = { entity, createdMs: AT_MS - ageMs };
            const score = formula.score(aged);
            assert.ok(score <= bound, `score ${score} is above the bound ${bound}`);
            if (events.length === 0 && formula.quiet !== undefined) assert.equal(score, formula.quiet);
            const parts = formula.explain(aged);
            const sum = parts.reduce((sum, { part }) => sum + part, 0);
            const size = parts.reduce((size, { part }) => size + Math.abs(part), 0);
            assert.ok(Math.abs(sum - score) <= 1e-12 * size, `${sum} is not ${score}`);
          }
        }),
        { numRuns: 300 },
      );
    });
  }

  it('controversial: the bound is a quarter where any item has anything for it and any anything against it, else 0', () => {
    const seen = new Set<number>();
    fc.assert(
      fc.property(fc.array(item, { minLength: 1, maxLength: 3 }), readTime, (items, readTime) => {
        const { sums, limits } = worldOf(items);
        const has = (sentiment: string): boolean =>
          signals.some((signal, place) => {
            return schema.signals.get(signal)!.sentiment === sentiment && limits.sum(place, readTime.window) > 0;
          });
        const bound = formulas.controversial(sums, readTime).bound(limits);
        assert.equal(bound, has('positive') && has('negative') ? 0.25 : 0);
        seen.add(bound);
      }),
      { numRuns: 300 },
    );
    assert.deepEqual([...seen].sort(), [0, 0.25]);
  });

  /** One item with this many for and against it and as many views, as limits and as an item. */
  function opinions(profile: 'debated' | 'hidden_gems', approving: number, negative: number, views = 0) {
    const { sums, limits } = worldOf([
      {
        ageMs: 0,
        events: [
          ['like', approving * 1_000, 0],
          ['hide', negative * 1_000, 0],
          ['view', views * 1_000, 0],
        ],
      },
    ]);
    const formula: Formula = formulas[profile](sums, { window: 'all', seed: '', atMs: AT_MS });
    return { score: formula.score({ entity: 0, createdMs: AT_MS }), bound: formula.bound(limits) };
  }

  it('debated: the bound is that of the most debated item there could be', () => {
    fc.assert(
      fc.property(fc.nat(60), fc.nat(60), (approving, negative) => {
        const { bound } = opinions('debated', approving, negative);
        let best = 0;
        for (let a = 0; a <= approving; a++) {
          for (let n = 0; n <= negative; n++) {
            if (a + n > 0) best = Math.max(best, ((a * n) / (a + n) ** 2) * ((a + n) / (a + n + 5)));
          }
        }
        // Between whole numbers of opinions there may be a little more.
        assert.ok(bound >= best && bound <= best * 1.05, `bound ${bound}, best ${best}`);
      }),
      { numRuns: 100 },
    );
  });

  it('hidden_gems: for an item without negative opinions the bound is the score, whatever its views', () => {
    for (const approving of [0, 1, 7, 1_000]) {
      for (const views of [0, 90, 9_990]) {
        const { score, bound } = opinions('hidden_gems', approving, 0, views);
        assert.ok(bound >= score && bound <= score * (1 + 1e-12), `bound ${bound}, score ${score}`);
      }
    }
  });
});
