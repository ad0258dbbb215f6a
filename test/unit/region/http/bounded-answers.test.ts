/** An answer has a budget of bytes: pages of large items are shorter, and continue where they end. */
import assert from 'node:assert/strict';
import { PAGE_LIMIT_BYTES } from '../../../../services/region/http/reads/ranked-items.ts';
import type { Answer } from '../../../harness/clients/request-json.ts';
import { type LeadingRegion, leadingRegion } from '../../../harness/region/leading-region.ts';

const schema = `
signals:
  view: { sentiment: positive, half_life: 24h }
text: { fields: { title: {} } }
embedding: { dimensions: 2 }
`;
const ITEMS = 45;
/** So many of an item, below the limit of one event. */
const ITEM_BYTES = 250_000;

interface Page {
  readonly items: readonly { readonly entity_id: number; readonly rank: number }[];
  readonly next_cursor: string | null;
}

describe('pages of large items', () => {
  let region: LeadingRegion;
  before(async () => {
    region = await leadingRegion({ schema });
    for (let entity = 1; entity <= ITEMS; entity++) {
      await region.put(entity, { title: 'large film', kind: `k${entity % 3}`, text: 'é'.repeat(ITEM_BYTES / 2) });
      await region.embed(entity, [Math.cos(entity / 100), Math.sin(entity / 100)]);
    }
  });
  after(() => region?.stop());

  const kinds: readonly (readonly [
    what: string,
    ask: (cursor: string | null) => Promise<Answer<Page>>,
    items: number,
  ])[] = [
    ['a feed', (cursor) => region.get<Page>(`/feed?profile=new&limit=200${goOn(cursor)}`), ITEMS],
    [
      'a shuffled feed that is explained',
      (cursor) => region.get<Page>(`/feed?profile=shuffle&seed=1&explain=true&limit=200${goOn(cursor)}`),
      ITEMS,
    ],
    ['a diverse feed', (cursor) => region.get<Page>(`/feed?profile=new&limit=60&max_per=kind:9${goOn(cursor)}`), ITEMS],
    [
      'related items',
      (cursor) => region.get<Page>(`/feed?profile=related&entity_id=7&limit=200${goOn(cursor)}`),
      ITEMS - 1,
    ],
    ['a search by text', (cursor) => region.get<Page>(`/search?query=film&limit=200${goOn(cursor)}`), ITEMS],
    [
      'a search by vector',
      (cursor) => region.post<Page>('/search', { vector: [1, 0], limit: 200, ...(cursor === null ? {} : { cursor }) }),
      ITEMS,
    ],
    [
      'a fused and diverse search',
      (cursor) =>
        region.post<Page>('/search', {
          query: 'film',
          vector: [1, 0],
          limit: 200,
          max_per: 'kind:4',
          explain: true,
          ...(cursor === null ? {} : { cursor }),
        }),
      ITEMS,
    ],
  ];

  function goOn(cursor: string | null): string {
    return cursor === null ? '' : `&cursor=${cursor}`;
  }

  for (const [what, ask, items] of kinds) {
    it(`${what}: no page beyond the budget, and every item on exactly one`, async () => {
      const seen: number[] = [];
      let cursor: string | null = null;
      let pages = 0;
      do {
        const { status, body }: Answer<Page> = await ask(cursor);
        assert.equal(status, 200);
        assert.ok(body.items.length > 0);
        assert.ok(Buffer.byteLength(JSON.stringify(body)) <= PAGE_LIMIT_BYTES, `${body.items.length} items`);
        assert.deepEqual(
          body.items.map(({ rank }) => rank),
          body.items.map((_, index) => seen.length + index + 1),
        );
        seen.push(...body.items.map(({ entity_id }) => entity_id));
        cursor = body.next_cursor;
        pages++;
      } while (cursor !== null);
      assert.equal(seen.length, items);
      assert.equal(new Set(seen).size, items);
      // As few pages as the budget allows.
      assert.equal(pages, Math.ceil(items / Math.floor(PAGE_LIMIT_BYTES / (ITEM_BYTES + 2_100))));
    });
  }

  it('a page that fits has as many items as were asked for', async () => {
    assert.equal((await region.get<Page>('/feed?profile=new&limit=16')).body.items.length, 16);
  });
});
