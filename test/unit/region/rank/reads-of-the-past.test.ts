/** `at=`: what a region answers for a time before events that it has applied. */
import assert from 'node:assert/strict';
import type { Problem } from '../../../../shared/errors/errors.ts';
import type { Answer } from '../../../harness/clients/request-json.ts';
import { nextMillisecond } from '../../../harness/kernel/next-millisecond.ts';
import { type LeadingRegion, leadingRegion } from '../../../harness/region/leading-region.ts';

const schema = `
signals:
  view: { sentiment: positive, half_life: 24h }
  like: { sentiment: positive, half_life: 168h }
  hide: { sentiment: negative, half_life: 168h }
text: { fields: { title: {} } }
embedding: { dimensions: 2 }
profiles:
  lasting: { terms: [{ signal: view, decayed: true }] }
`;

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
const DAY_MS = 24 * HOUR_MS;

type Sums = Readonly<Record<'1h' | '24h' | '7d' | 'all' | 'decayed', number | null>>;
interface Item {
  readonly at: string;
  readonly signals: Readonly<Record<string, Sums>>;
}
interface Page {
  readonly at: string;
  readonly items: readonly {
    readonly entity_id: number;
    readonly score: number;
    readonly signals: Readonly<Record<string, Sums>>;
  }[];
  readonly next_cursor: string | null;
}

describe('reads of the past', () => {
  let region: LeadingRegion;
  /** A time after everything below; within an hour, so that no bucket begins between. */
  let nowMs: number;

  beforeEach(async () => {
    region = await leadingRegion({ schema });
    nowMs = Math.floor(Date.now() / HOUR_MS) * HOUR_MS - 1;
    for (const entity of [1, 2, 3]) await region.put(entity, { title: `item ${entity}` });
  });
  afterEach(() => region?.stop());

  const view = (entity: number, agoMs: number, count = 1): Promise<string> =>
    region.write({ k: 's', e: entity, s: 'view', w: count * 1_000, t: nowMs - agoMs });
  const item = async (agoMs: number): Promise<Sums & { at: number }> => {
    const { status, body } = await region.get<Item>(`/items/1?at=${nowMs - agoMs}`);
    assert.equal(status, 200, JSON.stringify(body));
    return { ...body.signals.view!, at: nowMs - Date.parse(body.at) };
  };
  const refusal = async (path: string): Promise<Problem> => {
    const { status, body } = (await region.get(path)) as Answer<Problem>;
    assert.equal(status, 400, JSON.stringify(body));
    return body;
  };

  it('a time before the first event counts nothing: no window, not all, no decay', async () => {
    await view(1, 0, 20_000 / 4);
    for (const at of ['1970-01-01T00:00:00.000Z', new Date(nowMs - 30 * DAY_MS).toISOString()]) {
      const { body } = await region.get<Item>(`/items/1?at=${at}`);
      assert.deepEqual(body.signals.view, { '1h': 0, '24h': 0, '7d': 0, all: 0, decayed: 0 });
      assert.equal(body.at, at);
    }
  });

  it('all, windows, decay and scores exclude later events', async () => {
    await view(1, 3 * MINUTE_MS, 2);
    await view(1, 0, 100);
    const then = await item(2 * MINUTE_MS);
    assert.deepEqual([then['1h'], then['24h'], then['7d'], then.all], [2, 2, 2, 2]);
    assert.ok(then.decayed! > 1.99 && then.decayed! <= 2, `decayed ${then.decayed}`);
    const { body } = await region.get<Page>(`/feed?profile=most_viewed&window=1h&at=${nowMs - 2 * MINUTE_MS}`);
    assert.deepEqual([body.items[0]!.entity_id, body.items[0]!.score], [1, 2]);
    const lasting = await region.get<Page>(`/feed?profile=lasting&at=${nowMs - 2 * MINUTE_MS}`);
    assert.ok(Math.abs(lasting.body.items[0]!.score - 2) < 0.01);
    assert.equal((await item(0)).all, 102, 'and with the newest event everything counts');
  });

  it('a window that newer events have pushed out is refused, not answered with 0', async () => {
    await view(1, 90 * MINUTE_MS);
    assert.equal((await item(80 * MINUTE_MS))['1h'], 1);
    await view(1, 0);
    const refused = await refusal(`/items/1?at=${nowMs - 80 * MINUTE_MS}`);
    assert.equal(refused.code, 'invalid_request');
    assert.match(refused.detail, /^at is too far back: 1h of a moment before .* is not known any more$/);
    const since = Date.parse(/before (\S+) is/.exec(refused.detail)![1]!);
    assert.equal((await region.get(`/items/1?at=${since}`)).status, 200, 'the moment it names is known');
    assert.equal((await region.get(`/items/1?at=${since - 1}`)).status, 400);
  });

  it('how far back a feed may ask depends on the windows it reads', async () => {
    await view(1, 8 * DAY_MS);
    await view(1, 0);
    const status = async (query: string, agoMs: number): Promise<number> =>
      (await region.get(`/feed?${query}&at=${nowMs - agoMs}`)).status;
    for (const [query, known, gone] of [
      ['profile=most_viewed&window=1h', 5 * MINUTE_MS, 8 * MINUTE_MS],
      ['profile=most_viewed&window=24h', 145 * HOUR_MS, 148 * HOUR_MS],
      ['profile=most_viewed&window=7d', HOUR_MS, 4 * HOUR_MS],
      ['profile=trending', HOUR_MS, 4 * HOUR_MS],
      ['profile=rising', 5 * MINUTE_MS, 8 * MINUTE_MS],
      ['profile=hot', 169 * HOUR_MS, 172 * HOUR_MS],
      ['profile=lasting', 169 * HOUR_MS, 172 * HOUR_MS],
    ] as const) {
      assert.equal(await status(query, known), 200, `${query} ${known}`);
      assert.equal(await status(query, gone), 400, `${query} ${gone}`);
    }
    for (const profile of ['new', 'shuffle'])
      assert.equal(await status(`profile=${profile}`, 30 * DAY_MS), 200, profile);
    const { body } = await region.get<Page>(`/feed?profile=most_viewed&at=${nowMs - 3 * HOUR_MS}`);
    const { view: shown } = body.items.find(({ entity_id }) => entity_id === 1)!.signals;
    assert.deepEqual(
      [shown!['1h'], shown!['7d'], shown!.all],
      [null, null, 1],
      'what a page only shows is null instead',
    );
  });

  it('where events of one minute or hour may lie on either side, the answer is for the end of the last whole one', async () => {
    await view(1, 2 * MINUTE_MS);
    await view(1, MINUTE_MS - 20_000);
    await view(1, 0);
    const within = await item(MINUTE_MS - 30_000);
    assert.deepEqual([within.at, within.all], [MINUTE_MS, 1]);
    await view(1, 150 * MINUTE_MS);
    const earlier = await region.get<Page>(`/feed?profile=most_viewed&at=${nowMs - 140 * MINUTE_MS}`);
    assert.deepEqual([nowMs - Date.parse(earlier.body.at), earlier.body.items[0]!.score], [3 * HOUR_MS, 0]);
  });

  it('other items’ events do not matter to an item', async () => {
    await view(1, 20 * DAY_MS);
    await view(2, 0);
    const then = await item(20 * DAY_MS - 30 * MINUTE_MS);
    assert.deepEqual([then['1h'], then.all, then.at], [1, 1, 20 * DAY_MS - 30 * MINUTE_MS]);
    const { body } = await region.get<Page>(`/feed?profile=rising&at=${nowMs - 20 * DAY_MS + 30 * MINUTE_MS}`);
    assert.equal(body.items[0]!.entity_id, 1);
  });

  it('the pages of a feed keep the read time of its first one, whatever is written meanwhile', async () => {
    for (const entity of [1, 2, 3]) await view(entity, 8 * DAY_MS, entity);
    const path = `/feed?profile=most_viewed&limit=1&at=${nowMs - HOUR_MS}`;
    const first = await region.get<Page>(path);
    assert.equal(first.body.items[0]!.entity_id, 3);
    await view(1, 0, 100);
    const second = await region.get<Page>(`${path}&cursor=${first.body.next_cursor}`);
    assert.deepEqual([second.body.at, second.body.items[0]!.entity_id], [first.body.at, 2]);
    const third = await region.get<Page>(`${path}&cursor=${second.body.next_cursor}`);
    assert.deepEqual([third.body.items[0]!.entity_id, third.body.items[0]!.score], [1, 1]);
  });

  it('without at every event counts, also one whose time is ahead of the region’s clock', async () => {
    await view(1, -10 * MINUTE_MS);
    const { body } = await region.get<Item>('/items/1');
    assert.equal(body.signals.view!.all, 1);
  });
});

describe('feeds among equals', () => {
  let region: LeadingRegion;
  before(async () => {
    region = await leadingRegion({ schema });
    for (let entity = 1; entity <= 11; entity++) {
      await region.put(entity, { title: `item ${entity}` });
      await nextMillisecond();
    }
  });
  after(() => region?.stop());
  const ids = async (profile: string): Promise<number[]> =>
    (await region.get<Page>(`/feed?profile=${profile}`)).body.items.map(({ entity_id }) => entity_id);

  it('the newer item ranks first, in every profile that scores items without signals alike', async () => {
    const newestFirst = [11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1];
    for (const profile of ['hot', 'trending', 'rising', 'controversial', 'top', 'best', 'lasting']) {
      assert.deepEqual(await ids(profile), newestFirst, profile);
    }
    const first = await region.get<Page>('/feed?profile=hot&limit=4');
    const second = await region.get<Page>(`/feed?profile=hot&limit=4&cursor=${first.body.next_cursor}`);
    assert.deepEqual(
      second.body.items.map(({ entity_id }) => entity_id),
      [7, 6, 5, 4],
    );
  });

  it('one reaction ranks above none in hot', async () => {
    await region.write({ k: 's', e: 3, s: 'like', w: 1_000 });
    assert.equal((await ids('hot'))[0], 3);
  });

  it('best puts what is hated last, whatever hot makes of it', async () => {
    await region.write({ k: 's', e: 5, s: 'hide', w: 1_000_000 }, { k: 's', e: 6, s: 'like', w: 10_000 });
    const best = await ids('best');
    assert.deepEqual(best.slice(0, 2), [6, 3]);
    assert.equal((await ids('hot'))[0], 5, 'the old formula takes much against for much');
  });

  it('an item that was deleted and put again keeps the time of its first put', async () => {
    const before = await region.get<{ created_at: string }>('/items/2');
    await region.remove(2);
    await region.put(2, { title: 'again' });
    const after = await region.get<{ created_at: string }>('/items/2');
    assert.equal(after.body.created_at, before.body.created_at);
    assert.equal((await ids('new')).at(-2), 2);
  });
});
