/**
 * Pages of every kind of list, over HTTP, while items are written in between: an item that is not written is on exactly one page,
 * and the pages end.
 */
import assert from 'node:assert/strict';
import { toWire, type WireWrite } from '../../shared/protocol/writes.ts';
import { type LeadingRegion, leadingRegion } from '../harness/region/leading-region.ts';

const schema = `
signals:
  view: { sentiment: positive, half_life: 24h }
text: { fields: { title: { boost: 2 }, body: {} } }
embedding: { dimensions: 2 }
`;
const SEED = 20_261;
const ROUNDS = 4;
const WORDS = ['zebra', 'zebras', 'jazz', 'jazzy', 'piano', 'night', 'rock', 'samba', 'drum', 'giraffe'];

interface Page {
  readonly items: readonly { readonly entity_id: number; readonly rank: number }[];
  readonly next_cursor: string | null;
}

type Ask = Readonly<Record<string, string | number | readonly number[]>>;

const kinds: readonly (readonly [name: string, path: '/search' | '/feed' | 'POST /search', ask: Ask])[] = [
  ['a word', '/search', { query: 'zebra' }],
  ['words, one of them common', '/search', { query: 'zebra jazz piano night' }],
  ['required, boosted and excluded words', '/search', { query: '+zebra title:jazz^3 -drum', syntax: 'lunr' }],
  ['wildcards and fuzzy words', '/search', { query: 'z* ja* pianos~2', syntax: 'lunr' }],
  ['a filter', '/search', { query: 'zebra jazz', filter: 'kind:a' }],
  ['max_per', '/search', { query: 'zebra jazz night', max_per: 'kind:1' }],
  ['everything, the newest first', '/search', { query: '*' }],
  ['everything, sorted', '/search', { query: '', sort: 'year:desc,title', filter: 'kind:a|b' }],
  ['everything, sorted, with max_per', '/search', { query: '*', sort: 'title:desc,kind', max_per: 'kind:1' }],
  ['a sorted search', '/search', { query: 'zebra ja*', sort: 'kind,score' }],
  ['a sorted search with a vector', 'POST /search', { vector: [1, 0.2], sort: 'year,score' }],
  ['a sorted fused search', 'POST /search', { query: 'zebra', vector: [1, 0.2], sort: 'kind:desc', max_per: 'kind:1' }],
  ['a sorted feed', '/feed', { profile: 'top', sort: 'year:desc,score', max_per: 'kind:2' }],
  ['sorted related items', '/feed', { profile: 'related', entity_id: 1, sort: 'title' }],
  ['a search with a profile', '/search', { query: 'zebra jazz', profile: 'top', profile_weight: '3' }],
  ['everything with a profile', '/search', { query: '*', profile: 'hot', max_per: 'kind:2' }],
  ['a fused search with a profile', 'POST /search', { query: 'zebra', vector: [1, 0.2], profile: 'trending' }],
  ['a word that is being typed', '/search', { query: 'night j' }],
  ['misspelt words', '/search', { query: 'zebar nihgt pianno' }],
  ['most of the words', '/search', { query: 'zebra jazz piano night' }],
  ['more words than any item has', '/search', { query: 'zebra missing unknown elsewhere' }],
  ['all of the words', '/search', { query: 'zebra jazz', matching: 'all' }],
  ['most of the words, sorted', '/search', { query: 'zebra jazz piano night', sort: 'kind' }],
  ['a phrase', '/search', { query: '"zebra jazz" night' }],
  ['excluded words alone', '/search', { query: '-giraffe' }],
  ['text in a body', 'POST /search', { query: 'zebra ja*', max_per: 'kind:2' }],
  ['a vector', 'POST /search', { vector: [1, 0.2] }],
  ['a vector with a filter and max_per', 'POST /search', { vector: [1, 0.2], filter: 'kind:a|b', max_per: 'kind:1' }],
  ['text and vector', 'POST /search', { query: 'zebra jazz', vector: [1, 0.2] }],
  ['text and vector with max_per', 'POST /search', { query: 'zebra ja*', vector: [0.3, 1], max_per: 'kind:1' }],
  ['related items', '/feed', { profile: 'related', entity_id: 1 }],
  ['a feed by signals', '/feed', { profile: 'trending' }],
  ['a feed by creation', '/feed', { profile: 'new', max_per: 'kind:1' }],
  ['a shuffled feed', '/feed', { profile: 'shuffle', seed: 'x' }],
];

describe(`pages under writes, seed ${SEED}`, () => {
  const draw = mulberry(SEED);
  const pick = <T>(list: readonly T[]): T => list[Math.floor(draw() * list.length)]!;
  const text = (words: number): string =>
    Array.from({ length: 1 + Math.floor(draw() * words) }, () => pick(WORDS)).join(' ');
  let region: LeadingRegion;
  before(async () => {
    region = await leadingRegion({ schema });
  });
  after(() => region?.stop());

  function put(entity: number): WireWrite[] {
    const body = draw() < 0.5 ? { body: text(8) } : {};
    const year = draw() < 0.8 ? { year: 1_980 + Math.floor(draw() * 5) } : {};
    const item: WireWrite = { k: 'i', e: entity, m: { title: text(4), kind: pick(['a', 'b', 'c']), ...body, ...year } };
    if (draw() < 0.3) return [item];
    return [item, toWire({ kind: 'embedding', entity, values: Float32Array.of(draw() - 0.5, draw()) })];
  }

  /** Writes to other items than the first one; returns those written. */
  async function writes(entities: readonly number[]): Promise<number[]> {
    const written: number[] = [];
    for (let left = Math.floor(draw() * 4); left > 0; left--) {
      const isNew = draw() < 0.6;
      const entity = isNew ? 1_000 + Math.floor(draw() * 2 ** 40) : pick(entities);
      if (entity === 1) continue;
      written.push(entity);
      const what = draw();
      if (isNew || what < 0.4) await region.write(...put(entity));
      else if (what < 0.7) await region.remove(entity);
      else await region.write({ k: 's', e: entity, s: 'view', w: 1_000 });
    }
    return written;
  }

  async function page(path: string, ask: Ask): Promise<Page> {
    const { status, body } = path.startsWith('POST')
      ? await region.post<Page>('/search', ask)
      : await region.get<Page>(
          `${path}?${new URLSearchParams(Object.entries(ask).map(([k, v]): [string, string] => [k, String(v)]))}`,
        );
    assert.equal(status, 200, JSON.stringify(body));
    return body;
  }

  for (const [name, path, ask] of kinds) {
    it(`${name}: what is not written is on exactly one page`, async function () {
      this.timeout(60_000);
      for (let round = 0; round < ROUNDS; round++) {
        const entities = Array.from({ length: 40 }, (_, n) => n + 1);
        await region.write(...entities.flatMap(put));
        const limit = 2 + Math.floor(draw() * 6);
        const expected = new Set((await page(path, { ...ask, limit: 200 })).items.map((item) => item.entity_id));
        const pages = new Map<number, number>();
        const touched: number[] = [];
        let shown = 0;
        let cursor: string | null = null;
        let count = 0;
        do {
          const { items, next_cursor }: Page = await page(path, {
            ...ask,
            limit,
            ...(cursor === null ? {} : { cursor }),
          });
          for (const { entity_id: entity, rank } of items) {
            assert.equal(rank, ++shown);
            pages.set(entity, (pages.get(entity) ?? 0) + 1);
          }
          cursor = next_cursor;
          assert.ok(
            cursor === null || (items.length === limit && cursor.length < 1_000),
            `${items.length} of ${limit}`,
          );
          if (cursor !== null) touched.push(...(await writes(entities)));
          assert.ok(++count <= 40 + touched.length, 'the pages end');
        } while (cursor !== null);
        for (const entity of touched) {
          expected.delete(entity);
          pages.delete(entity);
        }
        assert.deepEqual([...pages].sort(byEntity), [...expected].map((entity) => [entity, 1] as const).sort(byEntity));
        const all = [...new Set([...touched, ...entities])];
        await region.write(...all.map((entity): WireWrite => ({ k: 'd', e: entity })));
      }
    });
  }
});

function byEntity([a]: readonly [number, number], [b]: readonly [number, number]): number {
  return a - b;
}

function mulberry(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
