/** The catalog's registers: what is live is a function of the set of events, not of their order or repetition. */
import assert from 'node:assert/strict';
import fc from 'fast-check';
import { OrdinalSet } from '../../services/region/state/catalog/ordinal-set.ts';
import { createRegisters } from '../../services/region/state/catalog/registers.ts';
import { digestOf } from '../../services/region/state/digest/value-hash.ts';
import type { Event, PlacedEvent } from '../../shared/protocol/events.ts';
import { acceptedMs, compareOrder, HLC_PER_MS } from '../../shared/protocol/events.ts';
import { selectionOf } from '../harness/region/state/selections.ts';

const origins = ['us-east@aaaaaaaaaa', 'eu-west@bbbbbbbbbb', 'us-east@cccccccccc'] as const;

/** Events of three origins with an epoch each; an (origin, sequence) names one event only. */
const history: fc.Arbitrary<PlacedEvent[]> = fc
  .tuple(
    fc.tuple(fc.integer({ min: 1, max: 2 }), fc.integer({ min: 1, max: 2 }), fc.integer({ min: 2, max: 3 })),
    fc.array(
      fc.record({
        origin: fc.integer({ min: 0, max: 2 }),
        kind: fc.constantFrom('item', 'delete', 'embedding'),
        entity: fc.integer({ min: 1, max: 2 }),
        // Few values, so that clocks tie between origins.
        stepMs: fc.integer({ min: 0, max: 2 }),
        value: fc.integer({ min: 0, max: 3 }),
        aheadMs: fc.constantFrom(0, 0, 1, 900),
      }),
      { minLength: 1, maxLength: 14 },
    ),
  )
  .map(([epochs, magnitudes]) => {
    const sequence = [0, 0, 0];
    const hlc = [1000, 1000, 1000].map((ms) => ms * HLC_PER_MS);
    return magnitudes.map(({ origin, kind, entity, stepMs, value, aheadMs }) => {
      sequence[origin]!++;
      hlc[origin]! += stepMs * HLC_PER_MS + 1;
      const base = { hlc: hlc[origin]!, entity, ...(aheadMs === 0 ? {} : { aheadMs }) };
      const event: Event =
        kind === 'item'
          ? { ...base, kind, metadata: { value } }
          : kind === 'embedding'
            ? { ...base, kind, values: Float32Array.of(value) }
            : { ...base, kind: 'delete' };
      const order = { epoch: epochs[origin]!, hlc: base.hlc, origin: origins[origin]!, sequence: sequence[origin]! };
      return { event, order };
    });
  });

function applied(events: readonly PlacedEvent[]): ReturnType<typeof createRegisters> {
  const registers = createRegisters();
  for (const event of events) registers.apply(event);
  return registers;
}

function digest(registers: ReturnType<typeof createRegisters>): string {
  return digestOf(registers);
}

function live(registers: ReturnType<typeof createRegisters>): unknown {
  return [...registers.items()]
    .sort((a, b) => a.entity - b.entity)
    .map((item) => ({ ...item, embedding: registers.embedding(item.entity) }));
}

/** What the rules say, written down without cleverness. */
function expected(events: readonly PlacedEvent[]): unknown {
  const byOrder = [...events].sort((a, b) => compareOrder(a.order, b.order));
  return [1, 2].flatMap((entity) => {
    const mine = byOrder.filter(({ event }) => event.entity === entity);
    const item = mine.findLast(({ event }) => event.kind !== 'embedding')?.event;
    const vector = mine.findLast(({ event }) => event.kind !== 'item')?.event;
    if (item?.kind !== 'item') return [];
    const puts = mine.filter(({ event }) => event.kind === 'item').map(({ event }) => acceptedMs(event));
    return [
      {
        entity,
        metadata: item.metadata,
        createdMs: Math.min(...puts),
        updatedMs: acceptedMs(item),
        embedding: vector?.kind === 'embedding' ? vector.values : undefined,
      },
    ];
  });
}

/** Ordinals of a few words, so that they lie in one another's words and beyond them. */
const ordinal = fc.oneof(fc.nat(70), fc.nat(2_000));

describe('sets of ordinals', () => {
  it('count what they share with a selection, be it a list or a bitmap', () => {
    const change = fc.record({ ordinal, isIn: fc.boolean() });
    fc.assert(
      fc.property(fc.array(change, { maxLength: 200 }), fc.array(ordinal), (changes, chosen) => {
        const set = new OrdinalSet();
        const naive = new Set<number>();
        for (const { ordinal, isIn } of changes) {
          set.set(ordinal, isIn);
          if (isIn) naive.add(ordinal);
          else naive.delete(ordinal);
        }
        assert.equal(set.count, naive.size);
        const list = selectionOf(chosen);
        const words = new Int32Array(chosen.length === 0 ? 0 : (Math.max(...chosen) >> 5) + 1);
        for (const one of chosen) words[one >> 5]! |= 1 << (one & 31);
        const shared = [...new Set(chosen)].filter((one) => naive.has(one)).length;
        assert.equal(set.countAmong(list), shared);
        assert.equal(set.countAmong({ ...list, words }), shared);
      }),
    );
  });
});

describe('catalog registers', () => {
  it('any order and any repetition of the same events gives the same bits (schedules 12 and 22)', () => {
    const cases = history.chain((events) =>
      fc.tuple(
        fc.constant(events),
        fc.shuffledSubarray([...events, ...events], { minLength: 2 * events.length, maxLength: 2 * events.length }),
      ),
    );
    fc.assert(
      fc.property(cases, ([events, shuffled]) => {
        const straight = applied(events);
        const other = applied(shuffled);
        assert.equal(digest(other), digest(straight));
        assert.deepEqual(live(other), live(straight));
        assert.deepEqual(live(straight), expected(events));
        assert.equal(straight.size, (expected(events) as unknown[]).length);
      }),
      { numRuns: 500 },
    );
  });

  it('the changes it passes to the indexes after each event add up to the live items', () => {
    fc.assert(
      fc.property(
        history.chain((events) => fc.shuffledSubarray(events, { minLength: events.length })),
        (events) => {
          const registers = createRegisters();
          const items = new Map<number, unknown>();
          const vectors = new Map<number, Float32Array>();
          for (const placed of events) {
            const { entity } = placed.event;
            const change = registers.apply(placed);
            if (change.item === 'gone') assert.ok(items.delete(entity), 'gone means that it was there');
            else if (change.item !== undefined) items.set(entity, change.item.metadata);
            if (change.embedding === 'gone') assert.ok(vectors.delete(entity), 'gone means that it was there');
            else if (change.embedding !== undefined) vectors.set(entity, change.embedding);
            for (const one of [1, 2]) {
              assert.deepEqual(items.get(one), registers.item(one)?.metadata);
              assert.deepEqual(vectors.get(one), registers.embedding(one));
            }
            assert.equal(registers.embeddedAmong(), vectors.size);
          }
        },
      ),
      { numRuns: 500 },
    );
  });
});
