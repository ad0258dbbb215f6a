/** `exclude`: what is left ranks as before, is counted exactly, and is paged through without a gap; in every list. */
import assert from 'node:assert/strict';
import { builtInProfiles } from '../../../../services/region/schema/schema.ts';
import type { Answer } from '../../../harness/clients/request-json.ts';
import { drawFraction, seededRandom } from '../../../harness/kernel/seeded-random.ts';
import { type LeadingRegion, leadingRegion } from '../../../harness/region/leading-region.ts';

const schema = `
signals:
  view: { sentiment: positive, half_life: 24h }
  like: { sentiment: positive, half_life: 24h }
  share: { sentiment: positive, half_life: 24h }
  skip: { sentiment: negative, half_life: 24h }
text: { fields: { title: {} } }
embedding: { dimensions: 2 }
profiles:
  liked: { terms: [{ signal: like, window: all, weight: 1 }], gates: [{ signal: like, window: all, min: 1 }] }
`;
/** More than are ranked one by one. */
const ITEMS = 700;
const SEED = 20;

interface Page {
  readonly items: readonly { readonly entity_id: number; readonly score: number }[];
  readonly next_cursor: string | null;
  readonly total_scored?: number;
  readonly total_matched?: number;
}

/** Whose scores are made of ranks, which are counted among what is left. */
const byRanks = new Set(['related items', 'a search by both']);

type Ask = (more: Record<string, unknown>) => Promise<Answer<Page>>;

const ascending = (a: number, b: number): number => a - b;

describe('excluded items', () => {
  let region: LeadingRegion;
  const random = seededRandom(SEED);
  const below = (limit: number): number => Math.floor(drawFraction(random) * limit);

  before(async () => {
    region = await leadingRegion({ schema });
    for (let entity = 1; entity <= ITEMS; entity++) {
      await region.write({ k: 'i', e: entity, m: { title: `film ${entity % 7}`, kind: `k${entity % 5}` } });
    }
    await region.write(
      ...Array.from({ length: 3_000 }, () => ({
        ...{ k: 's' as const, e: 1 + below(ITEMS), w: 1_000 },
        s: ['view', 'like', 'share', 'skip'][below(4)]!,
      })),
    );
    for (let entity = 1; entity <= ITEMS; entity += 2) {
      await region.embed(entity, [Math.cos(entity / 500), Math.sin(entity / 500)]);
    }
  });
  after(() => region?.stop());

  const feedByUrl =
    (query: string): Ask =>
    ({ exclude, ...more }) => {
      const parameters = new URLSearchParams(query);
      for (const [name, value] of Object.entries(more)) parameters.set(name, String(value));
      if (exclude !== undefined) parameters.set('exclude', (exclude as number[]).join(','));
      return region.get<Page>(`/feed?${parameters}`);
    };
  const posted =
    (path: string, fields: Record<string, unknown>): Ask =>
    (more) =>
      region.post<Page>(path, { ...fields, ...more });
  const lists: readonly (readonly [what: string, ask: Ask])[] = [
    ...builtInProfiles
      .filter((profile) => profile !== 'related')
      .map((profile) => [`the feed ${profile}`, feedByUrl(`profile=${profile}&seed=1`)] as const),
    ['a profile with gates', feedByUrl('profile=liked')],
    ['a filtered feed', feedByUrl('profile=top&filter=kind:k1')],
    ['a feed by POST', posted('/feed', { profile: 'most_viewed', filter: ['kind:k1|k2', 'NOT kind:k2'] })],
    ['related items', feedByUrl('profile=related&entity_id=7')],
    ['a search by text', (more) => region.post<Page>('/search', { query: 'film', ...more })],
    ['a filtered search by text', posted('/search', { query: 'film', filter: 'kind:k3' })],
    ['a search by vector', posted('/search', { vector: [1, 0] })],
    ['a search by both', posted('/search', { query: 'film', vector: [1, 0] })],
    ['a filtered search by vector', posted('/search', { vector: [1, 0], filter: 'kind:k3' })],
  ];

  const all = async (ask: Ask, more: Record<string, unknown>): Promise<{ ids: number[]; total: number }> => {
    const ids: number[] = [];
    let total: number | undefined;
    let cursor: string | null = null;
    do {
      const { status, body }: Answer<Page> = await ask({ ...more, ...(cursor === null ? {} : { cursor }) });
      assert.equal(status, 200, JSON.stringify(body));
      ids.push(...body.items.map(({ entity_id }) => entity_id));
      total ??= body.total_scored ?? body.total_matched;
      cursor = body.next_cursor;
    } while (cursor !== null);
    return { ids, total: total! };
  };

  for (const [what, ask] of lists) {
    it(`${what}`, async () => {
      // Of one time, so that no score changes between the two.
      const first = await ask({ limit: 1 });
      const at = (first.body as unknown as { at: string }).at;
      const plain = await all(ask, { limit: 200, at });
      assert.ok(plain.ids.length > 50, `${plain.ids.length} items`);
      const exclude = [
        // The best, so that whole pages are missing, some anywhere, and some that do not exist.
        ...plain.ids.slice(0, 30),
        ...plain.ids.filter((_, index) => index % 3 === 0),
        ...[0, 123_456, Number.MAX_SAFE_INTEGER],
      ].slice(0, 1_000);
      const left = await all(ask, { limit: 50, at, exclude });
      const expected = plain.ids.filter((id) => !exclude.includes(id));
      if (byRanks.has(what)) assert.deepEqual(left.ids.toSorted(ascending), expected.toSorted(ascending));
      else assert.deepEqual(left.ids, expected);
      assert.equal(left.total, left.ids.length);
      const none = await all(ask, { limit: 200, at, exclude: [] });
      assert.deepEqual(none, plain);
    });
  }

  it('an item that is put while it is excluded stays out, and a cursor belongs to its exclusion', async () => {
    const ask = feedByUrl('profile=new');
    const first = await ask({ limit: 5, exclude: [1, 2, 9_000] });
    await region.put(9_000, { title: 'new' });
    await region.put(9_001, { title: 'new' });
    const again = await ask({ limit: 5, exclude: [9_000, 2, 1, 1] });
    assert.equal(again.body.items[0]?.entity_id, 9_001);
    const cursor = first.body.next_cursor;
    assert.equal((await ask({ limit: 5, exclude: [9_000, 1, 2], cursor })).status, 200, 'whatever their order');
    for (const exclude of [[1, 2], [], [1, 2, 9_000, 3]]) {
      const answer = await ask({ limit: 5, exclude, cursor });
      assert.deepEqual([answer.status, (answer.body as unknown as { code: string }).code], [400, 'invalid_request']);
    }
    await region.remove(9_000);
    await region.remove(9_001);
  });

  it('with max_per', async () => {
    const exclude = Array.from({ length: 300 }, (_, index) => index + 1);
    const ask = feedByUrl('profile=top&max_per=kind:2');
    const { ids, total } = await all(ask, { limit: 10, exclude });
    assert.equal(total, ITEMS - 300);
    assert.deepEqual(
      ids.toSorted(ascending),
      Array.from({ length: ITEMS - 300 }, (_, index) => index + 301),
    );
  });

  it('what is not a list of at most 1,000 ids is refused by name', async () => {
    const far = Array.from({ length: 1_000 }, (_, index) => Number.MAX_SAFE_INTEGER - index);
    assert.equal((await region.get(`/feed?exclude=${far.join(',')}`)).status, 200);
    assert.equal((await region.get(`/feed?exclude=${far.join('%2C')}`)).status, 200);
    assert.equal((await region.get('/feed?exclude=')).status, 200);
    const rows: readonly (readonly [path: string, body: unknown, says: RegExp])[] = [
      [`/feed?exclude=${far.join(',')},1`, undefined, /at most 1000|longer/],
      ['/feed?exclude=1,x', undefined, /exclude\[1\]/],
      ['/feed?exclude=1,', undefined, /exclude\[1\]/],
      ['/feed?exclude=1&exclude=2', undefined, /more than once/],
      ['/search?query=film&exclude=-1', undefined, /exclude\[0\]/],
      ['/feed', { exclude: [...far, 1] }, /at most 1000/],
      ['/feed', { exclude: '1,2' }, /array/],
      ['/feed', { exclude: ['1'] }, /exclude\[0\]/],
      ['/feed', { exclude: [1, 1.5] }, /exclude\[1\]/],
      ['/feed', { exclude: null }, /array/],
      ['/feed', '{"exclude":[9007199254740993]}', /exclude\[0\]/],
      ['/search', { query: 'film', exclude: [null] }, /exclude\[0\]/],
      ['/feed', { profile: 5 }, /profile must be a text/],
      ['/feed', { limit: '5' }, /limit must be an integer/],
      ['/feed', { limit: 0 }, /limit must be an integer/],
      ['/feed', { explain: 'true' }, /explain must be true or false/],
      ['/feed', { filter: [1] }, /filter must be a text/],
      ['/feed', { entity_id: '7', profile: 'related' }, /entity_id must be an item id/],
      ['/feed', [], /object/],
      ['/feed', { window: '2h' }, /window must be one of/],
    ];
    for (const [path, body, says] of rows) {
      const answer = body === undefined ? await region.get(path) : await region.post(path, body);
      assert.equal(answer.status, 400, `${path} ${JSON.stringify(body)}`);
      assert.match(JSON.stringify(answer.body), says);
    }
    const unknown = await region.post<{ code: string }>('/feed', { vector: [1, 0] });
    assert.deepEqual([unknown.status, unknown.body.code], [400, 'unknown_field']);
  });

  it('POST /feed answers as GET does', async () => {
    const query = { profile: 'hot', limit: 7, filter: 'kind:k1', max_per: 'title:2', window: '7d', explain: true };
    const at = new Date().toISOString();
    const get = await region.get(
      `/feed?${new URLSearchParams(Object.entries({ ...query, at }).map(([k, v]) => [k, `${v}`] as [string, string]))}`,
    );
    assert.deepEqual((await region.post('/feed', { ...query, at })).body, get.body);
  });
});
