/** Curations of queries, as a whole region answers them over HTTP, and how the schema is checked. */
import assert from 'node:assert/strict';
import { parseSchema } from '../../../../services/region/schema/parse-schema.ts';
import type { ScorePart } from '../../../../services/region/scored/scored.ts';
import { type LeadingRegion, leadingRegion } from '../../../harness/region/leading-region.ts';

const base = `
signals:
  view: { sentiment: positive, half_life: 24h }
text: { fields: { title: {} } }
embedding: { dimensions: 2 }
`;
const schema = `${base}
curations:
  - query: Jazz Pianos
    pin: [9, 77, 4]
    hide: [2]
  - { query: rock, hide: [5] }
`;

interface Page {
  readonly items: readonly {
    readonly entity_id: number;
    readonly rank: number;
    readonly pinned?: boolean;
    readonly explain?: readonly ScorePart[];
  }[];
  readonly next_cursor: string | null;
  readonly total_matched: number;
  readonly facets?: unknown;
}

describe('curations', () => {
  let region: LeadingRegion;
  before(async () => {
    region = await leadingRegion({ schema });
    for (let entity = 1; entity <= 4; entity++) {
      await region.put(entity, { title: `jazz piano ${'night '.repeat(entity)}`, kind: 'music' });
      await region.embed(entity, [1, entity]);
    }
    await region.put(5, { title: 'rock', kind: 'music' });
    await region.put(9, { title: 'a sponsor', kind: 'news' });
  });
  after(() => region?.stop());

  async function find(path: string): Promise<Page> {
    const { status, body } = await region.get<Page>(path);
    assert.equal(status, 200, JSON.stringify(body));
    return body;
  }
  const ids = ({ items }: Page): number[] => items.map(({ entity_id }) => entity_id);

  it('put live items first in their order, and never show hidden ones, however the query is written', async () => {
    for (const query of ['jazz pianos', 'JAZZ  piano', 'jazz, piano!']) {
      const page = await find(`/search?query=${encodeURIComponent(query)}&explain=true&facets=kind`);
      assert.deepEqual(ids(page), [9, 4, 1, 3], query);
      assert.deepEqual(
        page.items.map(({ rank, pinned }) => [rank, pinned]),
        [
          [1, true],
          [2, true],
          [3, undefined],
          [4, undefined],
        ],
      );
      assert.equal(page.total_matched, 4);
      assert.deepEqual(page.items[1]?.explain, [{ term: 'pinned', value: 2, weight: 0, part: 0 }]);
      assert.deepEqual(page.facets, {
        kind: [
          { value: 'music', count: 3 },
          { value: 'news', count: 1 },
        ],
      });
    }
    assert.ok(ids(await find('/search?query=jazz')).includes(2), 'another query');
    assert.deepEqual(ids(await find('/search?query=rock')), []);
  });

  it('keep to filters and to what is excluded', async () => {
    assert.deepEqual(ids(await find('/search?query=jazz%20piano&filter=kind:music')), [4, 1, 3]);
    assert.deepEqual(ids(await find('/search?query=jazz%20piano&exclude=4,9')), [1, 3]);
  });

  it('are on the first page alone, each item once', async () => {
    for (const [limit, expected] of [
      // The third pin is none on a page of so few.
      [1, [9, 1, 3, 4]],
      [2, [9, 1, 3, 4]],
      [3, [9, 4, 1, 3]],
    ] as const) {
      const found: number[] = [];
      for (let cursor: string | null = ''; cursor !== null; ) {
        const page: Page = await find(
          `/search?query=jazz%20piano&limit=${limit}${cursor === '' ? '' : `&cursor=${cursor}`}`,
        );
        found.push(...ids(page));
        assert.equal(page.items.at(-1)?.rank, found.length);
        cursor = page.next_cursor;
      }
      assert.deepEqual(found, expected, `${limit} a page`);
    }
  });

  it('hold for a search with a vector, a sorted one and one with a profile', async () => {
    const body = { query: 'jazz piano', vector: [1, 4] };
    assert.deepEqual(ids((await region.post<Page>('/search', body)).body).slice(0, 2), [9, 4]);
    assert.ok(!ids((await region.post<Page>('/search', body)).body).includes(2));
    assert.deepEqual(ids(await find('/search?query=jazz%20piano&sort=entity_id:desc')), [9, 4, 3, 1]);
    assert.deepEqual(ids(await find('/search?query=jazz%20piano&profile=hot')), [9, 4, 1, 3]);
  });

  const refused: readonly (readonly [curations: string, message: RegExp])[] = [
    ['- { query: jazz }', /curations\[0\].*must have ids to pin or to hide/],
    ['- { pin: [1] }', /query/],
    ['- { query: "...", pin: [1] }', /has no words to search for/],
    ['- { query: jazz, pin: [1, 1] }', /has 1 more than once/],
    ['- { query: jazz, pin: [1], hide: [1] }', /both pins and hides 1/],
    ['- { query: jazz, pin: [-1] }', /pin\[0\]/],
    ['- { query: jazz, pin: [1.5] }', /pin\[0\]/],
    ['- { query: Jazz, pin: [1] }\n  - { query: "jazz!", hide: [2] }', /has the words of an earlier curation/],
    ['- { query: jazz, pins: [1] }', /pins/],
  ];
  for (const [curations, message] of refused) {
    it(`refuse ${curations.replaceAll('\n', ' ')}`, () => {
      assert.throws(() => parseSchema(`${base}curations:\n  ${curations}\n`, 'schema.yaml'), message);
    });
  }

  it('are no part of the hash of the schema', () => {
    assert.equal(parseSchema(schema, 'a').hash, parseSchema(base, 'a').hash);
  });
});
