import assert from 'node:assert/strict';
import { compileFilters } from '../../../../services/region/filter/filter.ts';
import { firstPosition, type PagePosition } from '../../../../services/region/pages/pages.ts';
import { parseFilter } from '../../../../services/region/query/query.ts';
import { createRank } from '../../../../services/region/rank/profile-rank.ts';
import type { FeedQuery } from '../../../../services/region/rank/rank.ts';
import type { Metadata } from '../../../../shared/protocol/events.ts';
import { type FeedAnswer, feedOf } from '../../../harness/region/rank/feed.ts';
import { schemaOf } from '../../../harness/region/rank/signals-schema.ts';
import { TinyCatalog } from '../../../harness/region/state/tiny-state.ts';

const HOUR_MS = 3_600_000;
const AT_MS = 500_000 * HOUR_MS;
const byViews: FeedQuery = {
  profile: 'most_viewed',
  limit: 3,
  window: 'all',
  filters: [],
  exclude: [],
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
    catalog,
    ledger,
    nowMs: () => AT_MS,
  });
  const put = (entity: number, views: number, metadata: Metadata = {}): void => {
    catalog.put(entity, metadata);
    ledger.add(entity, 'view', views * 1000, AT_MS);
  };
  const feed = (query: Partial<FeedQuery> = {}, from?: PagePosition): FeedAnswer =>
    feedOf({ rank, catalog }, { ...byViews, ...query }, AT_MS, from);
  const ids = (query: Partial<FeedQuery> = {}, from?: PagePosition): number[] =>
    feed(query, from).items.map(({ entity }) => entity);
  return { catalog, ledger, rank, put, feed, ids };
}

describe('feed', () => {
  it('answers scores, how many were scored, and summaries of signals', () => {
    const { rank, put, ledger, feed } = world();
    put(7, 2, { title: 'Jazz' });
    put(8, 5);
    ledger.add(7, 'hide', 1_000, AT_MS - HOUR_MS);
    assert.deepEqual(feed(), {
      items: [
        { entity: 8, score: 5 },
        { entity: 7, score: 2 },
      ],
      totalScored: 2,
      relaxed: false,
      next: undefined,
    });
    assert.deepEqual(rank.summary(8, { atMs: AT_MS, past: false }), { view: { '1h': 5, all: 5, decayed: 5 } });
    // `hide` shows all four windows, one half-life old; `view` shows the two its definition names.
    assert.deepEqual(rank.summary(7, { atMs: AT_MS, past: false }), {
      view: { '1h': 2, all: 2, decayed: 2 },
      hide: { '1h': 0, '24h': 1, '7d': 1, all: 1, decayed: 0.5 },
    });
    assert.deepEqual(rank.summary(99, { atMs: AT_MS, past: false }), {});
  });

  it('breaks ties by ascending entity id, whatever the order of the catalog', () => {
    const { put, feed, ids } = world();
    for (const entity of [50, 10, 40, 20, 30]) put(entity, 1);
    put(60, 2);
    assert.deepEqual(ids(), [60, 10, 20]);
    assert.deepEqual(ids({}, feed().next), [30, 40, 50]);
  });

  it('pages through everything exactly once', () => {
    const { put, feed } = world();
    for (let entity = 1; entity <= 10; entity++) put(entity, (entity * 7) % 5);
    const seen: number[] = [];
    for (let from: PagePosition | undefined = firstPosition; from !== undefined; ) {
      assert.equal(from.shown, seen.length);
      const { items, next, totalScored } = feed({}, from);
      assert.equal(totalScored, 10);
      seen.push(...items.map(({ entity }) => entity));
      from = next;
    }
    assert.deepEqual(seen, [2, 7, 4, 9, 1, 6, 3, 8, 5, 10]);
    assert.equal(feed({ limit: 10 }).next, undefined);
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
    const { put, feed } = world();
    put(1, 5, { category: 'music' });
    put(2, 4, { category: 'film' });
    put(3, 3, { category: 'music' });
    const filters = [parseFilter('category:music')];
    const { items, totalScored, next } = feed({ filters, limit: 1 });
    assert.deepEqual([items[0]?.entity, totalScored, next?.shown], [1, 2, 1]);
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
    ['year:1990.0', true],
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
