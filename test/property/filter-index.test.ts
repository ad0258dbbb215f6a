import assert from 'node:assert/strict';
import fc from 'fast-check';
import type { Comparison, Filter } from '../../services/region/filter/filter.ts';
import { comparable, compileFilters } from '../../services/region/filter/filter.ts';
import { Entities } from '../../services/region/state/entities/entities.ts';
import { createFilterIndex } from '../../services/region/state/filter-index/bitmap-filter-index.ts';
import type { Selection } from '../../services/region/state/filter-index/filter-index.ts';
import { forEachMember, MemberPool } from '../../services/region/state/filter-index/member-pool.ts';
import {
  NumberOrder,
  type NumberRange,
  outside,
  rangeOf,
} from '../../services/region/state/filter-index/number-order.ts';
import { finish } from '../../shared/kernel/steps.ts';
import type { Metadata } from '../../shared/protocol/events.ts';
import { createScanFilterIndex } from '../harness/region/state/scan-filter-index.ts';

// Of each kind: with capitals, in several spellings, numbers, times.
const text = fc.constantFrom(
  ...[
    'a',
    'A',
    'b',
    'B',
    'ß',
    'SS',
    'ΟΔΟΣ',
    'οδός',
    'caf\u00e9',
    'cafe\u0301',
    'CAFE\u0301',
    'true',
    'True',
    '1',
    '-0',
    '1.5',
  ],
  ...[
    '1.50',
    '1e21',
    '',
    '2024-01-01',
    '2024-01-01T00:00:00Z',
    '2024-01-01t01:00:00.000+01:00',
    '2023-12-31T00:00:00Z',
  ],
  ...['1999-02-30', '1815-12-10'],
);
const number = fc.oneof(fc.constantFrom(-1, -0, 0, 1, 1.5, 2, 1e21), fc.integer({ min: -20, max: 20 }));
const field = fc.constantFrom('x', 'y', '__proto__', 'constructor');
const value = fc.oneof(text, number, fc.boolean(), fc.array(text, { maxLength: 4 }));
const metadata: fc.Arbitrary<Metadata> = fc
  .array(fc.tuple(field, value), { maxLength: 4 })
  .map((entries) => Object.fromEntries(entries));
const time = fc.constantFrom(
  '2024-01-01',
  '2024-01-01T00:00:00.001Z',
  '2023-06-01T00:00:00Z',
  '1900-01-01',
  '9000-01-01',
);
const bound = fc.oneof(number.map(String), time);
const comparison: fc.Arbitrary<Comparison> = fc.oneof(
  fc.record({
    field,
    operator: fc.constantFrom('in' as const, 'in' as const, 'not_in' as const, 'same_letters' as const),
    values: fc.array(fc.oneof(text, number.map(String)), { minLength: 1, maxLength: 4 }),
  }),
  fc.record({
    field,
    operator: fc.constantFrom('>=' as const, '<=' as const, '>' as const, '<' as const),
    values: bound.map((bound) => [bound]),
  }),
  fc.record({
    field,
    operator: fc.constant('between' as const),
    values: fc.oneof(fc.tuple(number.map(String), number.map(String)), fc.tuple(time, time)),
  }),
  fc.record({ field, operator: fc.constant('exists' as const), values: fc.constant([]) }),
);
const filter: fc.Arbitrary<Filter> = fc.letrec<{ filter: Filter }>((tie) => ({
  filter: fc.oneof(
    { depthSize: 'small' },
    comparison,
    fc.record({ operator: fc.constant('not' as const), filter: tie('filter') }),
    fc.record({
      operator: fc.constantFrom('and' as const, 'or' as const),
      filters: fc.array(tie('filter'), { minLength: 1, maxLength: 3 }),
    }),
  ),
})).filter;

function ordinalsOf(selection: Selection): number[] {
  const ordinals: number[] = [];
  selection.forEach((ordinal) => void ordinals.push(ordinal));
  return ordinals;
}

/** All a selection says, held against the plain one. */
function assertSame(selection: Selection, plain: Selection, size: number): void {
  const ordinals = ordinalsOf(plain);
  assert.deepEqual(ordinalsOf(selection), ordinals);
  assert.equal(selection.count, ordinals.length);
  const members = new Set(ordinals);
  for (let ordinal = -1; ordinal <= size + 40; ordinal++) assert.equal(selection.has(ordinal), members.has(ordinal));
  for (let first = 0; first <= size + 40; first += 16) {
    const end = first + 16;
    assert.equal(
      selection.any(first, end),
      ordinals.some((ordinal) => ordinal >= first && ordinal < end),
    );
  }
  for (const [first, end] of [
    [3, 4],
    [0, size],
    [5, 75],
    [31, 33],
    [7, 7],
    [size, size + 1],
  ] as const) {
    assert.equal(
      selection.any(first, end),
      ordinals.some((ordinal) => ordinal >= first && ordinal < end),
    );
  }
}

/** A filter index over a catalog, and the plain model, with the same changes. */
class Both {
  readonly entities = new Entities();
  private readonly catalog = new Map<number, Metadata>();
  readonly filterIndex = createFilterIndex({
    entities: this.entities,
    metadataOf: (ordinal) => this.catalog.get(ordinal),
  });
  readonly scan = createScanFilterIndex({ entities: this.entities });

  put(entity: number, metadata: Metadata): void {
    const ordinal = this.entities.ordinal(entity);
    const former = this.catalog.get(ordinal);
    this.catalog.set(ordinal, metadata);
    for (const each of [this.filterIndex, this.scan]) each.put(entity, metadata, former);
    // As a start indexes an item that changed before it was reached.
    if (entity % 3 === 0) this.filterIndex.put(entity, metadata, undefined);
  }

  remove(entity: number): void {
    const ordinal = this.entities.find(entity);
    const former = this.catalog.get(ordinal);
    this.catalog.delete(ordinal);
    for (const each of [this.filterIndex, this.scan]) each.remove(entity, former);
  }

  assertSame(filters: readonly Filter[]): void {
    this.assertSelected(this.filterIndex.select(filters), filters);
  }

  assertSelected(selection: Selection, filters: readonly Filter[]): void {
    assertSame(selection, this.scan.select(filters), this.entities.size);
  }

  assertCounted(filters: readonly Filter[], field: string, limit: number): void {
    const words = new Int32Array((this.entities.size >> 5) + 1);
    this.scan.select(filters).forEach((ordinal) => {
      words[ordinal >> 5]! |= 1 << (ordinal & 31);
    });
    const [column, plain] = [this.filterIndex, this.scan].map((index) => finish(index.numbersOf(field)));
    if (column !== undefined) assert.deepEqual(column, plain);
    for (const ranges of [[], countedRanges]) {
      const [counts, plain] = [this.filterIndex, this.scan].map((index) =>
        finish(index.counting(field, words, limit, ranges)),
      );
      assert.deepEqual(counts, plain);
    }
  }

  assertWithout(filters: readonly Filter[], field: string, texts: readonly string[]): void {
    const [selection, plain] = [this.filterIndex, this.scan].map((index) =>
      index.without(index.select(filters), field, texts),
    ) as [Selection, Selection];
    assertSame(selection, plain, this.entities.size);
  }
}

const countedRanges = [
  { of: 'number', from: 1, to: 5 },
  { of: 'number', from: 5, to: Number.POSITIVE_INFINITY },
  { of: 'time', from: Number.NEGATIVE_INFINITY, to: Date.UTC(2000, 0) },
  { of: 'time', from: Date.UTC(2000, 0), to: Number.POSITIVE_INFINITY },
] as const;

describe('filterIndex', () => {
  it('count and find the items within bounds of a number, and outside of them', () => {
    const pairs = fc.array(fc.tuple(fc.integer({ min: -600, max: 600 }), fc.boolean()), {
      maxLength: 2_000,
      size: 'max',
    });
    const bounds = fc.array(
      fc.record({
        field: fc.constant('x'),
        operator: fc.constantFrom('>=' as const, '<=' as const, '>' as const, '<' as const),
        values: number.map((bound) => [String(bound)]),
      }),
      { minLength: 1, maxLength: 3 },
    );
    fc.assert(
      fc.property(pairs, bounds, (changes, filters) => {
        const pool = new MemberPool();
        const order = new NumberOrder(pool);
        const numbers = new Map<number, number>();
        for (const [ordinal, [number, stays]] of changes.entries()) {
          order.add(number, ordinal);
          if (stays) numbers.set(ordinal, number);
          else order.remove(number, ordinal);
        }
        const test = compileFilters(filters);
        const ordinals = (passing: boolean): number[] =>
          [...numbers].filter(([, x]) => test({ x }) === passing).map(([ordinal]) => ordinal);
        const collected = (walk: (visit: (set: number) => void) => void): number[] => {
          const found: number[] = [];
          walk((set) => forEachMember(pool.read(set), (each) => void found.push(each)));
          return found.sort((a, b) => a - b);
        };
        const range = rangeOf(filters);
        const visit = (left: NumberRange | undefined, take: (set: number) => void): void => {
          for (let rest = left; rest !== undefined; ) rest = order.visit(rest, take);
        };
        assert.equal(order.countIn(range), ordinals(true).length);
        assert.deepEqual(
          collected((take) => visit(range, take)),
          ordinals(true),
        );
        assert.deepEqual(
          collected((take) => {
            for (const each of outside(range)) visit(each, take);
          }),
          ordinals(false),
        );
      }),
      { numRuns: 100 },
    );
  });

  it('select what a look at every item selects, after any puts and removes', () => {
    const step = fc.oneof(
      { weight: 4, arbitrary: fc.record({ entity: fc.nat(40), metadata }) },
      { weight: 1, arbitrary: fc.record({ entity: fc.nat(40) }) },
      { weight: 2, arbitrary: fc.record({ filters: fc.array(filter, { maxLength: 3 }) }) },
    );
    fc.assert(
      fc.property(fc.array(step, { maxLength: 80 }), (steps) => {
        const both = new Both();
        for (const step of steps) {
          if ('filters' in step) {
            both.assertSame(step.filters);
            for (const limit of [1, 3, 100]) both.assertCounted(step.filters, limit === 3 ? 'y' : 'x', limit);
          } else if ('metadata' in step) both.put(step.entity, step.metadata);
          else both.remove(step.entity);
        }
      }),
      { numRuns: 500 },
    );
  });

  it('select in slices what a look at every item selects, whatever is put and removed between them', () => {
    const step = fc.oneof(
      { weight: 4, arbitrary: fc.record({ entity: fc.nat(80), metadata }) },
      { weight: 1, arbitrary: fc.record({ entity: fc.nat(80) }) },
      { weight: 6, arbitrary: fc.record({ slice: fc.nat(2) }) },
      { weight: 2, arbitrary: fc.record({ ask: fc.nat(2) }) },
    );
    const asked = fc.array(fc.array(filter, { minLength: 1, maxLength: 2 }), { minLength: 3, maxLength: 3 });
    fc.assert(
      fc.property(asked, fc.array(step, { maxLength: 100, size: 'max' }), (asked, steps) => {
        const both = new Both();
        for (let entity = 0; entity < 40; entity++) both.put(entity, { x: ['a', 'B'][entity % 2]!, y: entity });
        const selecting = asked.map((filters) => both.filterIndex.selecting(filters));
        for (const step of steps) {
          if ('slice' in step) selecting[step.slice]!.step(() => true);
          else if ('ask' in step) both.assertSelected(selecting[step.ask]!.now(), asked[step.ask]!);
          else if ('metadata' in step) both.put(step.entity, step.metadata);
          else both.remove(step.entity);
        }
        for (const [index, filters] of asked.entries()) {
          both.assertSelected(selecting[index]!.now(), filters);
          both.assertSame(filters);
        }
      }),
      { numRuns: 300 },
    );
  });

  it('combine a selection anew that more items were indexed since than are remembered', () => {
    const both = new Both();
    const filters: Filter[] = [{ field: 'x', operator: 'in', values: ['a', 'b'] }];
    for (let entity = 0; entity < 100; entity++) both.put(entity, { x: 'a' });
    const selecting = both.filterIndex.selecting(filters);
    assert.equal(
      selecting.step(() => true),
      false,
    );
    for (let count = 0; count < 20_000; count++) both.put(count % 100, { x: count % 3 === 0 ? 'c' : 'b' });
    both.assertSelected(selecting.now(), filters);
    for (let count = 0; count < 20_000; count++) both.put(count % 100, { x: count % 7 === 0 ? 'c' : 'b' });
    both.assertSame(filters);
  });

  it('find what few items do not have while very many others are put', () => {
    const both = new Both();
    const filters: Filter[] = [{ field: 'x', operator: 'not_in', values: ['a'] }];
    for (let entity = 0; entity < 5; entity++) both.put(entity, { x: 'b' });
    const selecting = both.filterIndex.selecting(filters);
    selecting.step(() => true);
    for (let entity = 5; entity < 6_000; entity++) both.put(entity, { x: 'a' });
    both.assertSelected(selecting.now(), filters);
  });

  it('leave out the items that have any of some texts', () => {
    fc.assert(
      fc.property(fc.array(metadata, { maxLength: 40 }), filter, field, fc.array(text), (all, filter, field, texts) => {
        const both = new Both();
        for (const [entity, each] of all.entries()) both.put(entity, each);
        both.assertWithout([filter], field, [...new Set(texts.map(comparable))]);
        both.assertWithout([], field, [...new Set(texts.map(comparable))]);
      }),
    );
  });

  it('of thousands: values of one item, of some and of most, numbers in chunks, all removed again', () => {
    const size = 6_000;
    fc.assert(
      fc.property(fc.integer(), fc.array(filter, { maxLength: 2 }), (seed, some) => {
        const both = new Both();
        let state = seed | 1;
        const below = (limit: number): number => {
          state = (Math.imul(state, 1_664_525) + 1_013_904_223) | 0;
          return (state >>> 8) % limit;
        };
        const drawn = (entity: number): Metadata => ({
          id: `item ${entity}`,
          author: `author ${below(800)}`,
          category: ['music', 'music', 'music', 'film', 'rare'][below(5)]!,
          tags: ['a', 'b', 'c', 'd'].slice(below(4), 1 + below(4)),
          year: 1_950 + below(70),
          price: below(1_000_000) / 100,
          ...(below(200) === 0 ? { x: below(3), odd: true } : {}),
        });
        const queries: Filter[][] = [
          [{ field: 'id', operator: 'in', values: ['item 17', 'item 5999', 'item x'] }],
          [{ field: 'author', operator: 'in', values: ['author 3', 'author 4'] }],
          [{ field: 'category', operator: 'not_in', values: ['music'] }],
          [{ field: 'category', operator: 'in', values: ['music'] }],
          [{ field: 'tags', operator: 'in', values: ['a', 'c'] }],
          [
            { field: 'year', operator: '>=', values: ['1990'] },
            { field: 'year', operator: '<', values: ['2000'] },
          ],
          [{ field: 'price', operator: '>', values: ['20'] }],
          [
            { field: 'price', operator: '<=', values: ['9000'] },
            { field: 'tags', operator: 'not_in', values: ['b'] },
          ],
          [
            { field: 'odd', operator: 'in', values: ['true'] },
            { field: 'year', operator: '>', values: ['1960'] },
          ],
          [{ field: 'x', operator: '>=', values: ['0'] }],
          [...some, { field: 'year', operator: 'in', values: ['1999', '2000'] }],
          [],
        ];
        const check = (): void => {
          for (const filters of queries) both.assertSame(filters);
        };
        const put = (entity: number): void => {
          const metadata = drawn(entity);
          both.put(entity, metadata);
        };
        const remove = (entity: number): void => {
          both.remove(entity);
        };
        for (let entity = 0; entity < size; entity++) put(entity);
        check();
        for (let count = 0; count < size; count++) (below(3) === 0 ? remove : put)(below(size));
        check();
        // Bitmaps whose lowest members are removed and added again, until others are removed.
        for (let entity = 0; entity < size / 2; entity++) remove(entity);
        for (let entity = 0; entity < 5; entity++) put(below(size));
        for (let entity = 0; entity < size / 2; entity++) put(entity);
        for (let entity = size / 2; entity < size; entity++) remove(entity);
        check();
        for (let entity = size / 2; entity < size; entity++) put(entity);
        // From most to few to none, and back.
        for (let entity = 0; entity < size; entity++) if (entity % 97 !== 0) remove(entity);
        check();
        for (let entity = 0; entity < size; entity++) remove(entity);
        check();
        for (let entity = 0; entity < size; entity += 3) put(entity);
        check();
      }),
      { numRuns: 3 },
    );
  }).timeout(60_000);
});
