import assert from 'node:assert/strict';
import type { PagePosition } from '../../../../services/region/pages/pages.ts';
import { createRank } from '../../../../services/region/rank/profile-rank.ts';
import { defaultWindows, type FeedQuery, type Profile, profiles } from '../../../../services/region/rank/rank.ts';
import type { Schema } from '../../../../services/region/schema/schema.ts';
import { type FeedAnswer, feedOf } from '../../../harness/region/rank/feed.ts';
import { schemaOf } from '../../../harness/region/rank/signals-schema.ts';
import { TinyCatalog } from '../../../harness/region/state/tiny-state.ts';

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
const AT_MS = 500_000 * HOUR_MS + 30 * MINUTE_MS;

const everySignal = schemaOf(
  ['view', 'positive', 86_400],
  ['like', 'positive', 86_400],
  ['share', 'positive', 86_400],
  ['completion', 'positive', 86_400],
  ['skip', 'negative', 86_400],
  ['hide', 'negative', 86_400],
);

function world(schema: Schema = everySignal) {
  const catalog = new TinyCatalog();
  const ledger = catalog.ledgerOf(schema);
  const rank = createRank({
    schema,
    entities: catalog.entities,
    catalog,
    ledger,
    nowMs: () => AT_MS,
  });
  return {
    catalog,
    rank,
    /** `weight` of a signal, `hoursAgo` hours before the read time of the feed. */
    signal: (entity: number, signal: string, weight: number, hoursAgo = 0): void =>
      ledger.add(entity, signal, weight * 1000, AT_MS - hoursAgo * HOUR_MS),
    feed: (profile: Profile, more: Partial<FeedQuery> = {}, from?: PagePosition): FeedAnswer =>
      feedOf({ rank, catalog }, { ...plain, profile, window: defaultWindows[profile] ?? 'all', ...more }, AT_MS, from),
  };
}

const plain: FeedQuery = {
  profile: 'trending',
  limit: 20,
  window: 'all',
  filters: [],
  exclude: [],
  maxPer: undefined,
  entity: undefined,
  seed: '',
  explain: false,
};

function scores(result: FeedAnswer): [number, number][] {
  return result.items.map((item) => [item.entity, item.score]);
}

function closeScores(result: FeedAnswer, expected: readonly (readonly [number, number])[]): void {
  assert.deepEqual(
    result.items.map((item) => item.entity),
    expected.map(([entity]) => entity),
  );
  for (const [index, [entity, score]] of expected.entries()) {
    const actual = result.items[index]!.score;
    assert.ok(Math.abs(actual - score) <= 1e-12 * Math.max(1, Math.abs(score)), `item ${entity}: ${actual} ≠ ${score}`);
  }
}

describe('ranking profiles', () => {
  it('trending: 0.5 share velocity + 0.3 view velocity + 0.2 view velocity of seven days', () => {
    const { catalog, signal, feed } = world();
    for (const entity of [1, 2, 3, 4]) catalog.put(entity);
    signal(1, 'view', 8_640, 2);
    signal(1, 'share', 864, 2);
    // The same, but 30 hours ago: what remains is reach. And eight days ago: nothing does.
    signal(2, 'view', 8_640, 30);
    signal(2, 'share', 864, 30);
    signal(3, 'view', 8_640, 192);
    // 0.5 · 864/86,400 + 0.3 · 8,640/86,400 = 0.5 · 0.01 + 0.3 · 0.1; reach = 8,640/604,800 = 1/70.
    closeScores(feed('trending'), [
      [1, 0.005 + 0.03 + 0.2 / 70],
      [2, 0.2 / 70],
      [3, 0],
      [4, 0],
    ]);
    // In the last hour nothing moved. Over seven days: 0.5 · 864/604,800 + 0.3 · 8,640/604,800 = 0.5/700 + 0.3/70.
    closeScores(feed('trending', { window: '1h' }), [
      [1, 0.2 / 70],
      [2, 0.2 / 70],
      [3, 0],
      [4, 0],
    ]);
    const week = 0.5 / 700 + 0.3 / 70 + 0.2 / 70;
    closeScores(feed('trending', { window: '7d' }), [
      [1, week],
      [2, week],
      [3, 0],
      [4, 0],
    ]);
  });

  it('trending over `all` spreads the sum over the life of the item, an hour at least', () => {
    const { catalog, signal, feed } = world();
    catalog.put(1, {}, AT_MS - 100 * HOUR_MS);
    catalog.put(2, {}, AT_MS - MINUTE_MS);
    signal(1, 'share', 3_600, 50);
    signal(2, 'share', 3_600, 0);
    // 0.5 · 3,600/3,600 (created a minute ago, counted as an hour) and 0.5 · 3,600/(100 · 3,600).
    closeScores(feed('trending', { window: 'all' }), [
      [2, 0.5],
      [1, 0.005],
    ]);
  });

  it('hot: log10(max(|pos − neg|, 1)) / √(age in hours + 2)', () => {
    const { catalog, signal, feed } = world();
    catalog.put(1, {}, AT_MS - 2 * HOUR_MS);
    catalog.put(2, {}, AT_MS - 7 * HOUR_MS);
    catalog.put(3, {}, AT_MS);
    catalog.put(4, {}, AT_MS - 7 * HOUR_MS);
    catalog.put(5, {}, AT_MS - 62 * HOUR_MS);
    // 60 + 50 − 10 = 100: log10 = 2, √(2 + 2) = 2.
    signal(1, 'view', 60);
    signal(1, 'like', 50);
    signal(1, 'skip', 10);
    // log10 = 3, √(7 + 2) = 3; disliked by 1,000 is as hot as liked by 1,000, to the letter of the formula.
    signal(2, 'view', 1_000, 200);
    signal(4, 'hide', 1_000, 200);
    // Ten thousand, but older: log10 = 4, √(62 + 2) = 8.
    signal(5, 'view', 10_000, 60);
    closeScores(feed('hot'), [
      [1, 1],
      [2, 1],
      [4, 1],
      [5, 0.5],
      [3, 0],
    ]);
  });

  it('new: latest creation first', () => {
    const { catalog, feed } = world();
    catalog.put(1, {}, 1_000);
    catalog.put(2, {}, 3_000);
    catalog.put(4, {}, 2_000);
    catalog.put(3, {}, 2_000);
    assert.deepEqual(scores(feed('new')), [
      [2, 3_000],
      [3, 2_000],
      [4, 2_000],
      [1, 1_000],
    ]);
  });

  it('top: pos − neg within the window', () => {
    const { catalog, signal, feed } = world();
    for (const entity of [1, 2, 3]) catalog.put(entity);
    // All: 10 + 1; 4 − 1; −2. A day: 1; 4 − 1; −2. An hour: 1; nothing; −2.
    signal(1, 'like', 10, 100);
    signal(1, 'view', 1, 0);
    signal(2, 'completion', 4, 3);
    signal(2, 'skip', 1, 3);
    signal(3, 'hide', 2, 0);
    assert.deepEqual(scores(feed('top')), [
      [1, 11],
      [2, 3],
      [3, -2],
    ]);
    assert.deepEqual(scores(feed('top', { window: '24h' })), [
      [2, 3],
      [1, 1],
      [3, -2],
    ]);
    assert.deepEqual(scores(feed('top', { window: '1h' })), [
      [1, 1],
      [2, 0],
      [3, -2],
    ]);
  });

  it('rising: the last hour against the pace of the day', () => {
    const { catalog, signal, feed } = world();
    for (const entity of [1, 2, 3, 4]) catalog.put(entity);
    // 72 in the last hour alone: e = 3, (72 − 3) / √4.
    signal(1, 'view', 72);
    // A big item at a steady pace: 2400 a day, 100 an hour: e = 100.
    signal(2, 'view', 100);
    signal(2, 'view', 2_300, 10);
    // Was bigger: 24 · 8 earlier today: (0 − 8) / √9.
    signal(3, 'like', 192, 5);
    closeScores(feed('rising'), [
      [1, 34.5],
      [2, 0],
      [4, 0],
      [3, -8 / 3],
    ]);
  });

  it('controversial: pos · neg / (pos + neg)², views among the positive, however few there are', () => {
    const { catalog, signal, feed } = world();
    for (const entity of [1, 2, 3, 4, 5]) catalog.put(entity);
    // All for it: 0.
    signal(1, 'like', 10);
    // 20 for, 25 against: 500/2,025 = 20/81.
    signal(2, 'like', 15, 50);
    signal(2, 'completion', 5, 50);
    signal(2, 'hide', 25, 50);
    // A view and two shares for, 1 against: 3/16.
    signal(3, 'view', 1);
    signal(3, 'share', 2);
    signal(3, 'skip', 1);
    // 1 for, 1 against: 1/4, and first.
    signal(4, 'like', 1);
    signal(4, 'hide', 1);
    closeScores(feed('controversial'), [
      [4, 1 / 4],
      [2, 20 / 81],
      [3, 3 / 16],
      [1, 0],
      [5, 0],
    ]);
    closeScores(feed('controversial', { window: '24h' }), [
      [4, 1 / 4],
      [3, 3 / 16],
      [1, 0],
      [2, 0],
      [5, 0],
    ]);
  });

  it('controversial: 0.25 at most, also where the quotient rounds up', () => {
    const { catalog, signal, feed } = world();
    for (const entity of [1, 2]) catalog.put(entity);
    for (let times = 0; times < 9; times++) {
      signal(1, 'like', 10_000);
      signal(1, 'hide', 10_000);
    }
    signal(1, 'hide', 0.001);
    assert.ok((90_000 * 90_000.001) / 180_000.001 ** 2 > 0.25);
    signal(2, 'like', 7);
    signal(2, 'hide', 7);
    assert.deepEqual(scores(feed('controversial')), [
      [1, 0.25],
      [2, 0.25],
    ]);
  });

  it('debated: pro · neg / (pro + neg)² · n / (n + 5), views left out', () => {
    const { catalog, signal, feed } = world();
    for (const entity of [1, 2, 3, 4, 5]) catalog.put(entity);
    // All for it: 0, however many have seen it.
    signal(1, 'like', 10);
    signal(1, 'view', 1_000);
    // 20 for, 25 against, 45 opinions: 500/2,025 = 20/81; 45/50 = 9/10; 2/9.
    signal(2, 'like', 15, 50);
    signal(2, 'completion', 5, 50);
    signal(2, 'hide', 25, 50);
    // 3 for, 1 against: 3/16; 4/9; 1/12.
    signal(3, 'share', 3);
    signal(3, 'skip', 1);
    // 1 for, 1 against: 1/4; 2/7; 1/14. Even, but of two.
    signal(4, 'like', 1);
    signal(4, 'hide', 1);
    closeScores(feed('debated'), [
      [2, 2 / 9],
      [3, 1 / 12],
      [4, 1 / 14],
      [1, 0],
      [5, 0],
    ]);
    closeScores(feed('debated', { window: '24h' }), [
      [3, 1 / 12],
      [4, 1 / 14],
      [1, 0],
      [2, 0],
      [5, 0],
    ]);
  });

  it('hidden_gems: pro / (pro + neg) · n / (n + 5) / log10(views + 10)', () => {
    const { catalog, signal, feed } = world();
    for (const entity of [1, 2, 3, 4]) catalog.put(entity);
    // 45 of 45 for it: 1 · 45/50 = 0.9; but no secret, seen by 9,990: log10(10,000) = 4.
    signal(1, 'view', 9_990);
    signal(1, 'like', 45);
    // 12 of 15 for it: 0.8 · 15/20 = 0.6; seen by 90: log10(100) = 2.
    signal(2, 'view', 90);
    signal(2, 'completion', 12);
    signal(2, 'hide', 3);
    // One like and nothing else: 1 · 1/6; log10(10) = 1.
    signal(3, 'like', 1);
    closeScores(feed('hidden_gems'), [
      [2, 0.3],
      [1, 0.225],
      [3, 1 / 6],
      [4, 0],
    ]);
  });

  it('most_viewed and most_liked: the sum of one signal in the window', () => {
    const { catalog, signal, feed } = world();
    for (const entity of [1, 2]) catalog.put(entity);
    signal(1, 'view', 5, 30);
    signal(2, 'view', 3, 1);
    signal(2, 'like', 2, 200);
    signal(1, 'like', 1, 2);
    assert.deepEqual(scores(feed('most_viewed')), [
      [1, 5],
      [2, 3],
    ]);
    assert.deepEqual(scores(feed('most_viewed', { window: '24h' })), [
      [2, 3],
      [1, 0],
    ]);
    assert.deepEqual(scores(feed('most_liked')), [
      [2, 2],
      [1, 1],
    ]);
    assert.deepEqual(scores(feed('most_liked', { window: '7d' })), [
      [1, 1],
      [2, 0],
    ]);
  });

  it('shuffle: one order a seed, another seed another order, every place equally likely', () => {
    const { catalog, feed } = world();
    for (let entity = 0; entity < 100; entity++) catalog.put(entity);
    const order = (seed: string): number[] => feed('shuffle', { seed, limit: 100 }).items.map(({ entity }) => entity);
    assert.deepEqual(order('a'), order('a'));
    assert.notDeepEqual(order('a'), order('b'));
    assert.deepEqual(
      order('a').sort((a, b) => a - b),
      Array.from({ length: 100 }, (_, entity) => entity),
    );
    // χ² of where item 0 lands, in ten tenths, over 1000 seeds: above 33.7 one time in 10,000.
    const tenths = new Array<number>(10).fill(0);
    for (let seed = 0; seed < 1_000; seed++) tenths[Math.floor(order(`seed ${seed}`).indexOf(0) / 10)]! += 1;
    const deviation = tenths.reduce((sum, count) => sum + (count - 100) ** 2 / 100, 0);
    assert.ok(deviation < 33.7, `${tenths}`);
    for (const { score } of feed('shuffle').items) assert.ok(score >= 0 && score < 1);
  });

  it('shuffle: what a seed means stays what it means, in every region and version', () => {
    const { catalog, feed } = world();
    for (let entity = 1; entity <= 9; entity++) catalog.put(entity);
    catalog.put(Number.MAX_SAFE_INTEGER);
    assert.deepEqual(
      feed('shuffle', { seed: 'tonight' }).items.map(({ entity }) => entity),
      [4, 3, 1, 5, 9, 8, 6, 2, 7, Number.MAX_SAFE_INTEGER],
    );
  });

  it('counts a signal the schema lacks, or does not rank by the window, as 0', () => {
    const { catalog, signal, feed } = world(schemaOf(['view', 'positive', 86_400, ['24h', 'all']]));
    catalog.put(1);
    signal(1, 'view', 99);
    // No share, and no reach without 7d: 0.3 · 99/86,400.
    closeScores(feed('trending'), [[1, (0.3 * 99) / 86_400]]);
    closeScores(feed('trending', { window: '7d' }), [[1, 0]]);
    closeScores(feed('most_liked'), [[1, 0]]);
    closeScores(feed('controversial'), [[1, 0]]);
    closeScores(feed('debated'), [[1, 0]]);
    closeScores(feed('top', { window: '1h' }), [[1, 0]]);
  });

  it('gives finite scores to items without a single signal, under every profile', () => {
    const { catalog, feed } = world(schemaOf());
    catalog.put(1, {}, AT_MS + HOUR_MS);
    for (const profile of profiles.filter((profile) => profile !== 'related')) {
      const [item] = feed(profile).items;
      assert.ok(item !== undefined && Number.isFinite(item.score), profile);
    }
  });
});
