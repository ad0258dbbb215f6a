/** Profiles of the schema against a naive reference, and the promises every search relies on: bounds and gates. */
import assert from 'node:assert/strict';
import fc from 'fast-check';
import { compileFilters } from '../../services/region/filter/filter.ts';
import { readFilter } from '../../services/region/filter/grammar/grammar.ts';
import { compileProfile } from '../../services/region/rank/custom-profile.ts';
import type { Limits } from '../../services/region/rank/scorer.ts';
import type { Boost, Gate, ProfileDefinition, ProfileTerm, SignalTerm } from '../../services/region/schema/schema.ts';
import { windowSeconds, windows } from '../../services/region/schema/schema.ts';
import type { SignalReading } from '../../services/region/state/ledger/ledger.ts';
import { schemaOf } from '../harness/region/rank/signals-schema.ts';
import { TinyCatalog } from '../harness/region/state/tiny-state.ts';

const HOUR_MS = 3_600_000;
const AT_MS = 500_000 * HOUR_MS + 1_234_567;
const signals = ['view', 'like', 'skip'] as const;
const schema = schemaOf(['view', 'positive', 86_400], ['like', 'positive', 604_800], ['skip', 'negative', 3_600]);

const signal = fc.constantFrom(...signals);
const window = fc.constantFrom(...windows);
const weight = fc.oneof(
  fc.integer({ min: -5, max: 5 }),
  fc.integer({ min: -1e9, max: 1e9 }).map((thousandths) => thousandths / 1_000),
);
/** Below it numbers have few digits left, and none of a relative error means anything. */
const NOTHING = 1e-300;
const measure = fc.oneof(
  window.map((window) => ({ of: 'sum', window }) as const),
  fc.constantFrom('1h', '24h', '7d').map((window) => ({ of: 'velocity', window }) as const),
  fc.constant({ of: 'decayed' } as const),
);
const term: fc.Arbitrary<ProfileTerm> = fc.oneof(
  fc.record({ kind: fc.constant('signal' as const), signal, measure, log: fc.boolean(), weight }),
  fc.record({ kind: fc.constant('recency' as const), halfLifeSeconds: fc.integer({ min: 60, max: 1e7 }), weight }),
);
const gate: fc.Arbitrary<Gate> = fc.oneof(
  fc.tuple(signal, window, fc.nat(20), fc.option(fc.nat(50))).map(([signal, window, min, more]) => ({
    kind: 'signal' as const,
    signal,
    window,
    min,
    max: more === null ? Number.POSITIVE_INFINITY : min + more,
  })),
  fc.record({
    kind: fc.constant('age' as const),
    maxSeconds: fc.integer({ min: 1, max: 10 }).map((hours) => hours * 3_600),
  }),
);
const boost: fc.Arbitrary<Boost> = fc
  .tuple(
    fc.constantFrom('kind:a', 'kind:!a', 'kind:a|b', 'year>=5'),
    fc.double({ min: 0.001, max: 1_000, noNaN: true }),
  )
  .map(([text, factor]) => {
    const filter = readFilter(text);
    assert.ok(!('problem' in filter));
    return { text, filter, factor };
  });
const definition: fc.Arbitrary<ProfileDefinition> = fc.record({
  name: fc.constant('mine'),
  terms: fc.array(term, { minLength: 1, maxLength: 16 }),
  gates: fc.array(gate, { maxLength: 2 }),
  boosts: fc.array(boost, { maxLength: 4 }),
});
interface Magnitude {
  readonly createdMs: number;
  readonly metadata: Readonly<Record<string, string | number>>;
  readonly events: readonly (readonly [signal: string, weight: number, ageMs: number])[];
}
const item: fc.Arbitrary<Magnitude> = fc.record({
  // Some are created after the read time.
  createdMs: fc.oneof(
    fc.integer({ min: AT_MS - 2e9, max: AT_MS + 1e7 }),
    // At the edge of an age gate.
    fc.integer({ min: -1, max: 12 }).map((hours) => AT_MS - hours * HOUR_MS),
  ),
  metadata: fc.oneof(
    fc.constant({}),
    fc.record({ kind: fc.constantFrom('a', 'b', 'c') }),
    fc.record({ kind: fc.constantFrom('a', 'b'), year: fc.nat(10) }),
  ),
  events: fc.array(fc.tuple(signal, fc.integer({ min: 0, max: 10_000_000 }), fc.integer({ min: 0, max: 1e9 })), {
    maxLength: 6,
  }),
});

function worldOf(items: readonly Magnitude[]) {
  const catalog = new TinyCatalog();
  const ledger = catalog.ledgerOf(schema);
  for (const [entity, { createdMs, metadata, events }] of items.entries()) {
    catalog.put(entity, metadata, createdMs);
    for (const [signal, thousandths, ageMs] of events) ledger.add(entity, signal, thousandths, AT_MS - ageMs);
  }
  return { catalog, ledger };
}

describe('profiles of a schema, properties', () => {
  it('score what their definition says', () => {
    fc.assert(
      fc.property(definition, fc.array(item, { minLength: 1, maxLength: 8 }), (profile, items) => {
        const { catalog, ledger } = worldOf(items);
        const scorer = compileProfile(profile, { schema, ledger, catalog })(AT_MS);
        assert.equal(scorer.gated, profile.gates.length > 0);
        for (const [entity, magnitude] of items.entries()) {
          const { score, size } = naiveScore(profile, magnitude, (signal) => ledger.read(entity, signal, AT_MS));
          const actual = scorer.score(entity, magnitude.createdMs);
          if (score === Number.NEGATIVE_INFINITY) assert.equal(actual, score);
          else assert.ok(Math.abs(actual - score) <= 1e-12 * size + NOTHING, `${actual} is not ${score}`);
        }
      }),
      { numRuns: 300 },
    );
  });

  it('bounds are never below the score of an item within the limits, tight or loose', () => {
    fc.assert(
      fc.property(
        definition,
        fc.array(item, { minLength: 1, maxLength: 8 }),
        fc.constantFrom(1, 1.5, 1_000),
        (profile, items, looseness) => {
          const { catalog, ledger } = worldOf(items);
          const scorer = compileProfile(profile, { schema, ledger, catalog })(AT_MS);
          const entities = [...items.keys()];
          const limits: Limits = {
            sum: (place, window) =>
              looseness * Math.max(...entities.map((entity) => ledger.sum(entity, signals[place]!, window, AT_MS))),
            decayed: (place) =>
              looseness * Math.max(...entities.map((entity) => ledger.decayed(entity, signals[place]!, AT_MS))),
            newestMs: Math.max(...items.map(({ createdMs }) => createdMs)),
            newestActiveMs: -1,
            min: () => 0,
          };
          const bound = scorer.bound(limits);
          assert.ok(!Number.isNaN(bound));
          for (const [entity, { createdMs }] of items.entries()) {
            const score = scorer.score(entity, createdMs);
            assert.ok(score <= bound, `score ${score} is above the bound ${bound}`);
          }
        },
      ),
      { numRuns: 1_000 },
    );
  });

  it('a bound is the score of a group of one that has no negative weights and fits every boost', () => {
    fc.assert(
      fc.property(definition, item, (profile, magnitude) => {
        const positive: ProfileDefinition = {
          ...profile,
          terms: profile.terms.map((term) => ({ ...term, weight: Math.abs(term.weight) })),
          gates: [],
          boosts: profile.boosts.filter(
            ({ filter, factor }) => factor >= 1 && compileFilters([filter])(magnitude.metadata),
          ),
        };
        const { catalog, ledger } = worldOf([magnitude]);
        const scorer = compileProfile(positive, { schema, ledger, catalog })(AT_MS);
        const bound = scorer.bound({
          sum: (place, window) => ledger.sum(0, signals[place]!, window, AT_MS),
          decayed: (place) => ledger.decayed(0, signals[place]!, AT_MS),
          newestMs: magnitude.createdMs,
          newestActiveMs: magnitude.createdMs,
          min: () => 0,
        });
        const score = scorer.score(0, magnitude.createdMs);
        assert.ok(bound - score <= 1e-13 * score + NOTHING, `bound ${bound}, score ${score}`);
      }),
      { numRuns: 300 },
    );
  });

  it('explained parts are value · weight and add up to the score', () => {
    fc.assert(
      fc.property(definition, item, (profile, magnitude) => {
        const { catalog, ledger } = worldOf([magnitude]);
        const scorer = compileProfile({ ...profile, gates: [] }, { schema, ledger, catalog })(AT_MS);
        const parts = scorer.explain(0, magnitude.createdMs);
        const size = parts.reduce((sum, { part, value }) => sum + Math.abs(part) + Math.abs(value), 0);
        for (const { value, weight, part } of parts)
          assert.ok(Math.abs(value * weight - part) <= 1e-12 * size + NOTHING);
        const sum = parts.reduce((sum, { part }) => sum + part, 0);
        assert.ok(Math.abs(sum - scorer.score(0, magnitude.createdMs)) <= 1e-12 * size + NOTHING);
      }),
      { numRuns: 300 },
    );
  });

  it('a read time long before the signals, where decayed scores overflow, gives numbers that can be encoded', () => {
    const { catalog, ledger } = worldOf([{ createdMs: 0, metadata: {}, events: [['skip', 10_000_000, 0]] }]);
    const decayed = (weight: number): SignalTerm => {
      return { kind: 'signal', signal: 'skip', measure: { of: 'decayed' }, log: false, weight };
    };
    const profile = { name: 'mine', terms: [decayed(1e6), decayed(-1e6), decayed(2)], gates: [], boosts: [] };
    const scorer = compileProfile(profile, { schema, ledger, catalog })(0);
    assert.equal(scorer.score(0, 0), 1e300);
    assert.ok(
      scorer.bound({ sum: () => 0, decayed: () => Number.MAX_VALUE, newestMs: 0, newestActiveMs: 0, min: () => 0 }) >=
        1e300,
    );
  });
});

/** By the words of the documentation; `size`: how large the numbers are that were added. */
function naiveScore(
  { terms, gates, boosts }: ProfileDefinition,
  { createdMs, metadata }: Magnitude,
  read: (signal: string) => Pick<SignalReading, 'sums' | 'decayed'> | undefined,
): { score: number; size: number } {
  for (const gate of gates) {
    const passes =
      gate.kind === 'age'
        ? AT_MS - createdMs <= gate.maxSeconds * 1000
        : (read(gate.signal)?.sums[gate.window] ?? 0) >= gate.min &&
          (read(gate.signal)?.sums[gate.window] ?? 0) <= gate.max;
    if (!passes) return { score: Number.NEGATIVE_INFINITY, size: 0 };
  }
  const parts = terms.map((term) => {
    if (term.kind === 'recency') {
      return term.weight * 0.5 ** (Math.max(0, AT_MS - createdMs) / 1000 / term.halfLifeSeconds);
    }
    const reading = read(term.signal);
    const { measure } = term;
    const plain =
      reading === undefined
        ? 0
        : measure.of === 'decayed'
          ? reading.decayed!
          : reading.sums[measure.window]! / (measure.of === 'velocity' ? windowSeconds[measure.window] : 1);
    return term.weight * (term.log ? Math.log10(1 + plain) : plain);
  });
  const factors = boosts.filter(({ filter }) => compileFilters([filter])(metadata)).map(({ factor }) => factor);
  const factor = factors.reduce((product, factor) => product * factor, 1);
  const add = (numbers: readonly number[]): number => numbers.reduce((sum, number) => sum + number, 0);
  return { score: add(parts) * factor, size: add(parts.map(Math.abs)) * factor };
}
