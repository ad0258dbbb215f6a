/** Sorting, browsing, facets and chosen fields as a whole region answers them over HTTP. */
import assert from 'node:assert/strict';
import type { Problem } from '../../../../shared/errors/errors.ts';
import type { Metadata } from '../../../../shared/protocol/events.ts';
import { nextMillisecond } from '../../../harness/kernel/next-millisecond.ts';
import { type LeadingRegion, leadingRegion } from '../../../harness/region/leading-region.ts';

const schema = `
signals:
  view: { sentiment: positive, half_life: 24h }
text: { fields: { title: {} } }
embedding: { dimensions: 2 }
profiles:
  seen:
    terms: [{ signal: view, window: all }]
    gates: [{ signal: view, window: all, min: 1 }]
`;

const items: readonly (readonly [entity: number, metadata: Metadata])[] = [
  [1, { title: 'Blue jazz', year: 1957, tags: ['cool', 'blue'], released: '1957-09-15' }],
  [2, { title: 'jazz jazz', year: -3.5, tags: ['cool'], live: true, released: '1999-01-01T00:00:00+02:00' }],
  [3, { title: 'A jazz night', year: 1957, 'og:type': 'film', released: 'unknown' }],
  [4, { title: 'élan jazz', year: 2001, tags: ['cool', 'cool', 'new'], released: '1999-01-01T00:00:00Z' }],
  [5, { title: 'rock', year: '1957', tags: [] }],
];

interface Page {
  readonly items: readonly { readonly entity_id: number; readonly score: number; readonly metadata: Metadata }[];
  readonly next_cursor: string | null;
  readonly total_matched: number;
  readonly facets?: unknown;
  readonly facet_stats?: unknown;
}

describe('sorted and counted results', () => {
  let region: LeadingRegion;
  before(async () => {
    region = await leadingRegion({ schema });
    for (const [entity, metadata] of items) {
      await region.put(entity, metadata);
      if (entity !== 5) await region.embed(entity, [1, entity]);
      await nextMillisecond();
    }
    await region.write({ k: 's', e: 3, s: 'view', w: 5_000 }, { k: 's', e: 1, s: 'view', w: 2_000 });
  });
  after(() => region?.stop());

  async function get(path: string): Promise<Page> {
    const { status, body } = await region.get<Page>(path);
    assert.equal(status, 200, JSON.stringify(body));
    return body;
  }
  const ids = async (path: string): Promise<number[]> => (await get(path)).items.map(({ entity_id }) => entity_id);

  it('browse everything, the newest first', async () => {
    for (const query of ['', '*', '%20*%20']) {
      const { items: found, total_matched: total } = await get(`/search?query=${query}`);
      assert.deepEqual(
        found.map(({ entity_id, score }) => [entity_id, score]),
        [5, 4, 3, 2, 1].map((entity) => [entity, 0]),
      );
      assert.equal(total, 5);
    }
    assert.deepEqual(await ids('/search?query=*&filter=tags:cool&sort=created_at'), [1, 2, 4]);
    assert.equal((await region.get('/search')).status, 400);
    const { body } = await region.post<Page>('/search', { query: '*', filter: 'year:1957', sort: ['year', 'score'] });
    assert.deepEqual(
      body.items.map(({ entity_id }) => entity_id),
      [1, 3, 5],
    );
  });

  const orders: readonly (readonly [sort: string, expected: readonly number[]])[] = [
    ['year', [2, 1, 3, 4, 5]],
    ['year:asc,entity_id:desc', [2, 3, 1, 4, 5]],
    // The text '1957' is no number.
    ['year:desc', [5, 4, 1, 3, 2]],
    ['title', [3, 1, 2, 5, 4]],
    ['title:desc', [4, 5, 2, 1, 3]],
    // The first of a list in the direction; items without the field last.
    ['tags', [1, 2, 4, 3, 5]],
    ['tags:desc', [4, 1, 2, 3, 5]],
    // Times by the instant they name, before other texts.
    ['released', [1, 2, 4, 3, 5]],
    ['released:desc', [3, 4, 2, 1, 5]],
    ['live:desc,"og:type",entity_id:desc', [2, 3, 5, 4, 1]],
    ['nothing', [1, 2, 3, 4, 5]],
    ['updated_at:desc', [5, 4, 3, 2, 1]],
    ['entity_id:desc', [5, 4, 3, 2, 1]],
  ];
  for (const [sort, expected] of orders) {
    it(`sort=${sort}`, async () => {
      const encoded = encodeURIComponent(sort);
      assert.deepEqual(await ids(`/search?query=*&sort=${encoded}`), expected);
      assert.deepEqual(await ids(`/feed?profile=new&sort=${encoded}`), expected);
      assert.deepEqual(
        await ids(`/search?query=jazz&sort=${encoded}`),
        expected.filter((entity) => entity !== 5),
      );
      const { body } = await region.post<Page>('/search', { vector: [1, 3], sort });
      assert.deepEqual(
        body.items.map(({ entity_id }) => entity_id),
        expected.filter((entity) => entity !== 5),
      );
      // Page by page.
      const paged: number[] = [];
      for (let cursor: string | null = ''; cursor !== null; ) {
        const page: Page = await get(
          `/search?query=*&limit=2&sort=${encoded}${cursor === '' ? '' : `&cursor=${cursor}`}`,
        );
        paged.push(...page.items.map(({ entity_id }) => entity_id));
        cursor = page.next_cursor;
      }
      assert.deepEqual(paged, expected);
    });
  }

  it('sort by score, and keep the score of what is sorted', async () => {
    const scored = ({ items: found }: Page) => found.map(({ entity_id, score }) => [entity_id, score] as const);
    const byScore = scored(await get('/search?query=jazz'));
    assert.ok(new Set(byScore.map(([, score]) => score)).size > 1);
    // Without `sort` popularity decides between equal ones.
    assert.deepEqual(
      scored(await get('/search?query=jazz&sort=score')),
      byScore.toSorted(([a, low], [b, high]) => high - low || a - b),
    );
    assert.deepEqual(
      scored(await get('/search?query=jazz&sort=score:asc')),
      byScore.toSorted(([a, low], [b, high]) => low - high || a - b),
    );
    assert.deepEqual(await ids('/feed?profile=top&sort=year,score'), [2, 3, 1, 4, 5]);
    assert.deepEqual(await ids('/feed?profile=top&sort=score,year'), [3, 1, 2, 4, 5]);
    assert.deepEqual(await ids('/feed?profile=related&entity_id=1&sort=year:desc'), [4, 3, 2]);
  });

  it('count facets of the whole result, whatever the page', async () => {
    const facets = encodeURIComponent('tags,year,live,nothing');
    const expected = {
      facets: {
        tags: [
          { value: 'cool', count: 3 },
          { value: 'blue', count: 1 },
          { value: 'new', count: 1 },
        ],
        year: [
          { value: 1957, count: 2 },
          { value: -3.5, count: 1 },
          { value: 2001, count: 1 },
        ],
        live: [{ value: 'true', count: 1 }],
        nothing: [],
      },
      facet_stats: { year: { min: -3.5, max: 2001 } },
    };
    const { body: byVector } = await region.post<Page>('/search', {
      vector: [1, 3],
      limit: 1,
      facets: ['tags', 'year', 'live', 'nothing'],
    });
    const { body: fused } = await region.post<Page>('/search', {
      query: 'jazz',
      vector: [1, 3],
      limit: 1,
      facets: 'tags,year,live,nothing',
    });
    // Items 1 to 4, as those that were found by the word.
    const feed = `/feed?profile=new&exclude=5&limit=1&facets=${facets}`;
    const first = await get(feed);
    const { body: posted } = await region.post<Page>('/feed', {
      ...{ profile: 'shuffle', seed: 1, exclude: [5], limit: 2, sort: 'year' },
      facets: ['tags', 'year', 'live', 'nothing'],
    });
    const pages = [
      ...[await get(`/search?query=jazz&limit=1&facets=${facets}`), byVector, fused],
      ...[first, await get(`${feed}&cursor=${first.next_cursor}`), await get(`${feed}&max_per=tags:1`), posted],
    ];
    for (const page of pages) {
      assert.deepEqual({ facets: page.facets, facet_stats: page.facet_stats }, expected);
    }
    assert.deepEqual((await get('/search?query=*&facets=year&facet_limit=2')).facets, {
      year: [
        { value: 1957, count: 2 },
        { value: -3.5, count: 1 },
      ],
    });
    assert.deepEqual((await get('/search?query=*&filter=tags:new&facets=tags')).facets, {
      tags: [
        { value: 'cool', count: 1 },
        { value: 'new', count: 1 },
      ],
    });
    // Only what the profile ranks.
    assert.deepEqual((await get('/feed?profile=seen&limit=1&facets=year')).facets, {
      year: [{ value: 1957, count: 2 }],
    });
    assert.deepEqual((await get('/feed?profile=related&entity_id=1&facets=year')).facets, {
      year: [
        { value: -3.5, count: 1 },
        { value: 1957, count: 1 },
        { value: 2001, count: 1 },
      ],
    });
    assert.deepEqual((await get('/feed?profile=new&filter=tags:new&facets=tags&facet_limit=1')).facets, {
      tags: [{ value: 'cool', count: 1 }],
    });
    assert.equal((await get('/search?query=jazz')).facets, undefined);
    assert.equal((await get('/feed?profile=new&sort=year')).facets, undefined);
  });

  it('count ranges of numbers and times, the upper bound excluded', async () => {
    const facets = 'year[..0,0..1957,1957..2001,2001..],released[..1999-01-01,1999-01-01..]';
    const expected = {
      year: [
        { value: '..0', count: 1 },
        { value: '0..1957', count: 0 },
        { value: '1957..2001', count: 2 },
        { value: '2001..', count: 1 },
      ],
      released: [
        { value: '..1999-01-01', count: 2 },
        { value: '1999-01-01..', count: 1 },
      ],
    };
    assert.deepEqual((await get(`/search?query=*&facets=${encodeURIComponent(facets)}`)).facets, expected);
    const { body } = await region.post<Page>('/search', { vector: [1, 3], facets });
    assert.deepEqual(body.facets, expected);
  });

  it('show the fields that are asked for', async () => {
    const fields = encodeURIComponent('year,"og:type",nothing');
    const expected = { year: 1957, 'og:type': 'film' };
    assert.deepEqual((await get(`/search?query=night&fields=${fields}`)).items[0]?.metadata, expected);
    assert.deepEqual((await get(`/feed?profile=top&fields=${fields}`)).items[0]?.metadata, expected);
    assert.deepEqual((await region.get<{ metadata: Metadata }>(`/items/3?fields=${fields}`)).body.metadata, expected);
    const { body } = await region.post<Page>('/search', { query: 'night', fields: ['year'] });
    assert.deepEqual(body.items[0]?.metadata, { year: 1957 });
  });

  it('refuse with what is accepted', async () => {
    const { status, body } = await region.get<Problem>('/feed?sort=year:up');
    assert.equal(status, 400);
    assert.match(JSON.stringify(body), /created_at, updated_at, entity_id/);
    const posted = await region.post<Problem>('/search', { query: 'a', facets: [1] });
    assert.equal(posted.status, 400);
    assert.match(JSON.stringify(posted.body), /facets must be a text or an array of texts/);
  });
});
