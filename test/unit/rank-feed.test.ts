import assert from 'node:assert/strict';
import { diversePage } from '../../services/region/rank/max-per.ts';
import { parseFilter } from '../../services/region/rank/parse-filter.ts';
import type { FeedQuery } from '../../services/region/rank/rank.ts';
import { createRank } from '../../services/region/rank/scan-rank.ts';
import type { Metadata } from '../../shared/protocol/events.ts';
import { compileFilters } from '../../shared/protocol/filter.ts';
import { schemaOf } from '../harness/signals-schema.ts';
import { TinyCatalog, TinyVectors } from '../harness/tiny-state.ts';

const HOUR_MS = 3_600_000;
const AT_MS = 500_000 * HOUR_MS;
const byViews: FeedQuery = {
  profile: 'most_viewed',
  limit: 3,
  skip: 0,
  window: 'all',
  filters: [],
  maxPer: undefined,
  entity: undefined,
  seed: '',
  explain: false,
};

function world() {
  const schema = schemaOf(['view', 'positive', 3_600, ['all', '1h']], ['hide', 'negative', 3_600]);
  const catalog = new TinyCatalog();
  const ledger = catalog.ledgerOf(schema);
  const rank = createRank({
    schema,
    entities: catalog.entities,
    facets: catalog.facets,
    catalog,
    ledger,
    vectors: new TinyVectors(catalog),
    nowMs: () => AT_MS,
  });
  const put = (entity: number, views: number, metadata: Metadata = {}): void => {
    catalog.put(entity, metadata);
    ledger.add(entity, 'view', views * 1000, AT_MS);
  };
  const ids = (query: Partial<FeedQuery> = {}): number[] =>
    rank.feed({ ...byViews, ...query }, AT_MS).items.map((item) => item.entity_id);
  return { catalog, ledger, rank, put, ids };
}

describe('feed', () => {
  it('answers rank, score, metadata and the signal summary', () => {
    const { rank, put, ledger } = world();
    put(7, 2, { title: 'Jazz' });
    put(8, 5);
    ledger.add(7, 'hide', 1_000, AT_MS - HOUR_MS);
    const result = rank.feed(byViews, AT_MS);
    assert.deepEqual(result, {
      items: [
        { entity_id: 8, rank: 1, score: 5, metadata: {}, signals: { view: { '1h': 5, all: 5, decayed: 5 } } },
        {
          entity_id: 7,
          rank: 2,
          score: 2,
          metadata: { title: 'Jazz' },
          // `hide` shows all four windows, one half-life old; `view` shows the two its definition names.
          signals: {
            view: { '1h': 2, all: 2, decayed: 2 },
            hide: { '1h': 0, '24h': 1, '7d': 1, all: 1, decayed: 0.5 },
          },
        },
      ],
      totalScored: 2,
      relaxed: [],
      more: false,
    });
    assert.deepEqual(rank.summary(99, AT_MS), {});
  });

  it('breaks ties by ascending entity id, whatever the order of the catalog', () => {
    const { put, ids } = world();
    for (const entity of [50, 10, 40, 20, 30]) put(entity, 1);
    put(60, 2);
    assert.deepEqual(ids(), [60, 10, 20]);
    assert.deepEqual(ids({ skip: 3 }), [30, 40, 50]);
  });

  it('pages through everything exactly once', () => {
    const { put, rank } = world();
    for (let entity = 1; entity <= 10; entity++) put(entity, (entity * 7) % 5);
    const seen: number[] = [];
    for (let skip = 0; ; skip += 3) {
      const { items, more, totalScored } = rank.feed({ ...byViews, skip }, AT_MS);
      assert.equal(totalScored, 10);
      assert.deepEqual(
        items.map((item) => item.rank),
        items.map((_, index) => skip + index + 1),
      );
      seen.push(...items.map((item) => item.entity_id));
      if (!more) break;
    }
    assert.deepEqual(seen, [2, 7, 4, 9, 1, 6, 3, 8, 5, 10]);
    assert.deepEqual(rank.feed({ ...byViews, skip: 12 }, AT_MS).items, []);
    assert.equal(rank.feed({ ...byViews, limit: 10 }, AT_MS).more, false);
    assert.deepEqual(rank.feed({ ...byViews, skip: Number.MAX_SAFE_INTEGER }, AT_MS).items, []);
  });

  it('ranks live items only', () => {
    const { put, ids, catalog, ledger } = world();
    put(1, 5);
    put(2, 3);
    ledger.add(3, 'view', 9_000, AT_MS);
    catalog.remove(1);
    assert.deepEqual(ids(), [2]);
  });

  it('applies filters before counting', () => {
    const { put, rank } = world();
    put(1, 5, { category: 'music' });
    put(2, 4, { category: 'film' });
    put(3, 3, { category: 'music' });
    const filters = [parseFilter('category:music')];
    const result = rank.feed({ ...byViews, filters, limit: 1 }, AT_MS);
    assert.deepEqual([result.items[0]?.entity_id, result.totalScored, result.more], [1, 2, true]);
  });
});

describe('filters', () => {
  const metadata: Metadata = { category: 'music', year: 1990, live: true, tags: ['jazz', 'piano'], note: '1995' };
  const table: [string, boolean][] = [
    ['category:music', true],
    ['category:film', false],
    ['category:film|music', true],
    ['category:Music', false],
    ['category:!music', false],
    ['category:!film', true],
    ['category:!film|music', false],
    ['category:!film|play', true],
    ['tags:jazz', true],
    ['tags:rock|piano', true],
    ['tags:rock', false],
    ['tags:!jazz', false],
    ['tags:!rock', true],
    ['year:1990', true],
    ['year:1990.0', false],
    ['live:true', true],
    ['live:!true', false],
    ['year>=1990', true],
    ['year>1990', false],
    ['year<=1990', true],
    ['year<1990', false],
    ['year>1989.5', true],
    ['year<2e3', true],
    ['note>1990', false],
    ['live>=0', false],
    ['absent:x', false],
    ['absent:!x', true],
    ['absent>=0', false],
    ['toString:!x', true],
    ['constructor>=0', false],
  ];
  for (const [text, expected] of table) {
    it(`${text} is ${expected}`, () => {
      assert.equal(compileFilters([parseFilter(text)])(metadata), expected);
    });
  }

  it('must all hold', () => {
    const test = compileFilters([parseFilter('category:music'), parseFilter('year>=1995')]);
    assert.equal(test(metadata), false);
    assert.equal(compileFilters([])(metadata), true);
  });
});

describe('max_per', () => {
  const page = (ranked: string[], limit: number, skip = 0, count = 2): { page: string; relaxed: boolean } => {
    const { page: items, relaxed } = diversePage(ranked, { count, limit, skip, valuesOf: ([value]) => [value!] });
    return { page: items.join(' '), relaxed };
  };
  const ranked = ['a1', 'a2', 'a3', 'b1', 'a4', 'c1', 'a5', 'a6'];

  it('passes over what has had its share, in rank order', () => {
    assert.deepEqual(page(ranked, 4), { page: 'a1 a2 b1 c1', relaxed: false });
    assert.deepEqual(page(ranked, 2), { page: 'a1 a2', relaxed: false });
    assert.deepEqual(page(ranked, 3, 0, 1), { page: 'a1 b1 c1', relaxed: false });
  });

  it('never shrinks the page: it fills up with the best it passed over, and says so', () => {
    assert.deepEqual(page(ranked, 6), { page: 'a1 a2 b1 c1 a3 a4', relaxed: true });
    assert.deepEqual(page(ranked, 20), { page: 'a1 a2 b1 c1 a3 a4 a5 a6', relaxed: true });
    assert.deepEqual(page(['a1', 'a2'], 20), { page: 'a1 a2', relaxed: false });
  });

  it('shows every item once over all pages', () => {
    assert.deepEqual(page(ranked, 4, 4), { page: 'a3 a4 a5 a6', relaxed: true });
    assert.deepEqual(page(ranked, 4, 8), { page: '', relaxed: false });
    assert.deepEqual(page(ranked, 3, 3), { page: 'a3 a4 c1', relaxed: false });
    assert.deepEqual(page(ranked, 4, 2), { page: 'a3 b1 a4 c1', relaxed: false });
  });

  it('limits a feed by metadata; items without the field are free, arrays count for each value', () => {
    const { put, rank } = world();
    put(1, 9, { tags: ['x', 'y'] });
    put(2, 8, { tags: ['y'] });
    put(3, 7);
    put(4, 6);
    put(5, 5, { tags: ['z'] });
    const feed = (limit: number) => rank.feed({ ...byViews, limit, maxPer: { field: 'tags', count: 1 } }, AT_MS);
    const first = feed(4);
    assert.deepEqual(
      first.items.map((item) => [item.entity_id, item.rank]),
      [
        [1, 1],
        [3, 2],
        [4, 3],
        [5, 4],
      ],
    );
    assert.deepEqual([first.relaxed, first.more, first.totalScored], [[], true, 5]);
    const whole = feed(5);
    assert.deepEqual(
      whole.items.map((item) => item.entity_id),
      [1, 3, 4, 5, 2],
    );
    assert.deepEqual([whole.relaxed, whole.more], [['max_per=tags:1'], false]);
  });
});
