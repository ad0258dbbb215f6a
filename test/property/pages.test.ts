import assert from 'node:assert/strict';
import fc from 'fast-check';
import { firstPosition, type Page, type PagePosition, takePage } from '../../services/region/pages/pages.ts';
import { createCursors } from '../../services/region/pages/signed-cursors.ts';
import { compareScored, type Ranking, rankingOf, type Scored } from '../../services/region/scored/scored.ts';
import { plainPage } from '../harness/region/rank/diverse-pages.ts';

const cursors = createCursors({ secrets: () => ['a'], schemaHash: 'b' });

/** Few distinct scores, so that ties are the rule. */
const score = fc.oneof(fc.integer({ min: -3, max: 3 }), fc.double({ noNaN: true, noDefaultInfinity: true }));
/** No value, one, or several; some twice. */
const values = fc.oneof(
  fc.constant([]),
  fc.constantFrom('a', 'a', 'a', 'b', 'c', 'd').map((value) => [value]),
  fc.array(fc.constantFrom('a', 'b', 'c', 'd'), { maxLength: 4 }),
);
const items = (maxLength: number) =>
  fc.uniqueArray(fc.record({ entity: fc.nat(10_000), score, values }), { selector: ({ entity }) => entity, maxLength });
/**
 * Some that use up all letters at once, many with one letter, others with a value of their own: what is skipped on the first page
 * fills the second one before it comes as far.
 */
const shaped = fc
  .tuple(fc.integer({ min: 1, max: 4 }), fc.array(fc.constantFrom(...'abcde'), { maxLength: 60 }), fc.nat(30))
  .map(([greedy, letters, others]) => [
    ...Array.from({ length: greedy }, () => [...'abcde']),
    ...letters.map((letter) => [letter]),
    ...Array.from({ length: others }, (_, index) => [`own ${index}`]),
  ])
  .map((list) => list.map((values, entity) => ({ entity, score: -entity, values })));
const limit = fc.integer({ min: 1, max: 12 });
const count = fc.integer({ min: 1, max: 4 });

/** The page start that a client continues from. */
function handedOut(page: Page): PagePosition | undefined {
  if (page.next === undefined) return undefined;
  const read = cursors.read(cursors.write(['query'], 1, page.next), ['query']);
  assert.ok(typeof read === 'object');
  return read.place;
}

const best = (list: Iterable<Scored>): Scored[] =>
  [...list].map(({ entity, score }) => ({ entity, score })).sort(compareScored);

describe('pages', () => {
  it('of anything ranked show all of it in its order, each item once', () => {
    fc.assert(
      fc.property(items(100), limit, (list, limit) => {
        const ranking = rankingOf(best(list));
        const seen: Scored[] = [];
        for (let from: PagePosition | undefined = firstPosition; from !== undefined; ) {
          const page: Page = takePage(ranking, { limit, from });
          assert.equal(from.shown, seen.length);
          assert.equal(page.relaxed, false);
          seen.push(...page.items);
          from = handedOut(page);
        }
        assert.deepEqual(seen, best(list));
      }),
    );
  });

  it('that are diverse are those of a greedy scan of the items that earlier ones left, each item once', () => {
    fc.assert(
      fc.property(fc.oneof(items(100), shaped), limit, count, (list, limit, count) => {
        const valuesByEntity = new Map(list.map(({ entity, values }) => [entity, values]));
        const diversity = { count, valuesOf: (entity: number) => valuesByEntity.get(entity)! };
        const ranking = rankingOf(best(list));
        let left: readonly Scored[] = best(list);
        for (let from: PagePosition | undefined = firstPosition; from !== undefined; ) {
          const page: Page = takePage(ranking, { limit, from, diversity });
          const plain = plainPage(left, limit, diversity);
          assert.deepEqual(page.items, plain.page);
          assert.equal(page.relaxed, plain.relaxed);
          left = plain.left;
          from = handedOut(page);
        }
        assert.deepEqual(left, []);
      }),
      { numRuns: 1_000 },
    );
  });

  it('show an item whose score and values stay as they are exactly once, whatever is written in between', () => {
    const write = fc.record({ entity: fc.nat(60), score, values, gone: fc.boolean() });
    fc.assert(
      fc.property(
        fc.oneof(
          fc.uniqueArray(fc.record({ entity: fc.nat(60), score, values }), { selector: ({ entity }) => entity }),
          shaped,
        ),
        fc.array(fc.array(write, { maxLength: 3 }), { maxLength: 30 }),
        limit,
        fc.option(count, { nil: undefined }),
        (list, writes, limit, count) => {
          const live = new Map(list.map((item) => [item.entity, item]));
          const still = new Set(live.keys());
          const diversity =
            count === undefined ? undefined : { count, valuesOf: (entity: number) => live.get(entity)!.values };
          const seen = new Map<number, number>();
          let pages = 0;
          for (let from: PagePosition | undefined = firstPosition; from !== undefined; pages++) {
            const page: Page = takePage(rankingOf(best(live.values())), { limit, from, diversity });
            assert.ok(page.next === undefined || page.items.length === limit, 'no page but the last is short');
            for (const { entity } of page.items) seen.set(entity, (seen.get(entity) ?? 0) + 1);
            for (const { gone, ...item } of writes[pages] ?? []) {
              still.delete(item.entity);
              if (gone) live.delete(item.entity);
              else live.set(item.entity, item);
            }
            from = handedOut(page);
          }
          for (const entity of still) assert.equal(seen.get(entity), 1, `item ${entity}`);
        },
      ),
      { numRuns: 2_000 },
    );
  });

  it('find other values far down by a ranking without those that have had their share', () => {
    const most = 500;
    const sizes = fc.record({
      seed: fc.integer(),
      limit: fc.integer({ min: 10, max: 200 }),
      count,
      strays: fc.double({ min: 0, max: 0.5, noNaN: true }),
      writes: fc.boolean(),
    });
    fc.assert(
      fc.property(sizes, ({ seed, limit, count, strays, writes }) => {
        const draw = mulberry(seed);
        // Long runs of one value, one after another, and some of any kind in between.
        const drawn = (rank: number): string[] => {
          const run = `run ${Math.floor(rank / most)}`;
          if (draw() >= strays) return [run];
          if (draw() < 0.2) return [];
          return draw() < 0.3 ? [run, `own ${rank}`] : [`kind ${Math.floor(draw() * 4)}`];
        };
        const item = (entity: number, rank: number) => ({ entity, score: -Math.floor(rank), values: drawn(rank) });
        const live = new Map(Array.from({ length: 6 * most }, (_, entity) => [entity, item(entity, entity)]));
        const still = new Set(live.keys());
        let ranked = best(live.values());
        const valuesOf = (entity: number): string[] => live.get(entity)!.values;
        const ranking = (without: readonly string[]): Ranking =>
          rankingOf(ranked.filter(({ entity }) => !valuesOf(entity).some((value) => without.includes(value))));
        const diversity = { count, valuesOf, without: ranking };
        const seen = new Map<number, number>();
        let left: readonly Scored[] = ranked;
        for (let from: PagePosition | undefined = firstPosition; from !== undefined; ) {
          const page: Page = takePage(rankingOf(ranked), { limit, from, diversity });
          // Later pages look at too many that were shown: they may relax before they have come so far down.
          if (!writes && from.shown < 300) {
            const plain = plainPage(left, limit, diversity);
            assert.deepEqual(page.items, plain.page);
            assert.equal(page.relaxed, plain.relaxed);
            left = plain.left;
          }
          for (const { entity } of page.items) seen.set(entity, (seen.get(entity) ?? 0) + 1);
          for (let times = writes ? 3 : 0; times > 0; times--) {
            const entity = Math.floor(draw() * live.size);
            still.delete(entity);
            live.set(entity, item(entity, draw() * live.size));
          }
          if (writes) ranked = best(live.values());
          from = handedOut(page);
        }
        for (const entity of still) assert.equal(seen.get(entity), 1, `item ${entity}`);
      }),
      { numRuns: 25 },
    );
  });

  it('ask a ranking for what they look at, and for other values not for ever', () => {
    const list = Array.from({ length: 100_000 }, (_, entity) => ({ entity, score: -entity }));
    const whole = rankingOf(list);
    let asked = 0;
    const ranking: Ranking = {
      total: whole.total,
      after(key, limit) {
        asked += limit;
        return whole.after(key, limit);
      },
    };
    const askedFor = (from: PagePosition, valuesOf?: (entity: number) => readonly string[]): [number, Page] => {
      asked = 0;
      const diversity = valuesOf === undefined ? undefined : { count: 2, valuesOf };
      const page = takePage(ranking, { limit: 20, from, diversity });
      return [asked, page];
    };
    assert.equal(askedFor(firstPosition)[0], 21);
    assert.equal(askedFor({ shown: 50_000, rest: list[49_999], kinds: new Map() })[0], 21);
    assert.equal(askedFor(firstPosition, (entity) => [`own ${entity}`])[0], 64);
    const [all, page] = askedFor(firstPosition, () => ['same']);
    assert.ok(all <= 4_000, `${all}`);
    assert.deepEqual([page.items, page.relaxed, page.next?.rest], [list.slice(0, 20), true, list[19]]);
  });

  it('stay full and show each item once if a page start cannot name all kinds: such pages are in order of rank', () => {
    const sizes = fc.record({ seed: fc.integer(), limit: fc.integer({ min: 20, max: 200 }), popular: fc.nat(10) });
    fc.assert(
      fc.property(sizes, ({ seed, limit, popular }) => {
        const draw = mulberry(seed);
        // Most have one tag in common and one of their own: nearly every item is a kind of itself.
        const valuesByEntity = Array.from({ length: 3_000 }, (_, entity) =>
          draw() * 10 < popular ? ['popular', `own ${entity}`] : [`own ${Math.floor(draw() * 2_000)}`],
        );
        const ranked = best(valuesByEntity.map((_, entity) => ({ entity, score: Math.floor(draw() * 1_000) })));
        const diversity = { count: 1, valuesOf: (entity: number) => valuesByEntity[entity]! };
        const ranking = rankingOf(ranked);
        const seen: number[] = [];
        for (let from: PagePosition | undefined = firstPosition; from !== undefined; ) {
          const page: Page = takePage(ranking, { limit, from, diversity });
          assert.equal(page.items.length, Math.min(limit, ranked.length - seen.length));
          const shared = page.items.filter(({ entity }) => valuesByEntity[entity]![0] === 'popular').length;
          assert.ok(page.relaxed || shared <= 1);
          seen.push(...page.items.map(({ entity }) => entity));
          if (page.next !== undefined) assert.ok(cursors.write([], 1, page.next).length <= 8_000);
          from = handedOut(page);
        }
        assert.deepEqual(
          seen.sort((a, b) => a - b),
          valuesByEntity.map((_, entity) => entity),
        );
      }),
      { numRuns: 8 },
    );
  });
});

function mulberry(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}
