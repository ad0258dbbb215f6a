/** `POST /search`, `GET /suggest` and related feeds as a whole region answers them over HTTP. */
import assert from 'node:assert/strict';
import type { ScorePart } from '../../../../services/region/scored/scored.ts';
import type { Problem } from '../../../../shared/errors/errors.ts';
import { positionOf, totalOf } from '../../../../shared/protocol/position.ts';
import type { Answer } from '../../../harness/clients/request-json.ts';
import { eventually } from '../../../harness/kernel/eventually.ts';
import { type LeadingRegion, leadingRegion } from '../../../harness/region/leading-region.ts';
import { HeldVectors } from '../../../harness/region/state/vectors/held-vectors.ts';

const schema = `
signals:
  view: { sentiment: positive, half_life: 24h }
text: { fields: { title: {}, tags: {} } }
embedding: { dimensions: 2 }
`;

interface Page {
  readonly region: string;
  readonly position: string;
  readonly at: string;
  readonly query?: string;
  readonly items: readonly {
    readonly entity_id: number;
    readonly rank: number;
    readonly score: number;
    readonly metadata: Readonly<Record<string, unknown>>;
    readonly signals: unknown;
    readonly explain?: readonly ScorePart[];
  }[];
  readonly next_cursor: string | null;
  readonly total_matched: number;
  readonly candidates: unknown;
  readonly relaxed: readonly string[];
}

const ids = ({ body }: Answer<Page>): number[] => body.items.map(({ entity_id }) => entity_id);
const total = (position: string): number => totalOf(positionOf(position));

describe('search over HTTP', () => {
  let region: LeadingRegion;

  before(async () => {
    region = await leadingRegion({ schema });
    const films: readonly (readonly [number, string, string, readonly number[] | undefined])[] = [
      [1, 'Blue Train', 'jazz', [1, 0]],
      [2, 'Night Train to Paris', 'crime', [0.9, 0.1]],
      [3, 'Paris Blues', 'jazz', [0.8, 0.6]],
      [4, 'Silent Movie', 'comedy', [0, 1]],
      [5, 'Train', 'crime', undefined],
    ];
    for (const [entity, title, kind, values] of films) {
      await region.put(entity, { title, kind });
      if (values !== undefined) await region.embed(entity, values);
    }
  });
  after(() => region?.stop());

  const search = (body: unknown): Promise<Answer<Page>> => region.post<Page>('/search', body);

  it('by text answers what GET /search answers', async () => {
    const { body: fetched } = await region.get<Page>('/search?query=train&limit=2');
    const posted = await search({ query: 'train', limit: 2 });
    assert.equal(posted.status, 200);
    assert.deepEqual(posted.body.items, fetched.items);
    assert.equal(posted.body.total_matched, 3);
    assert.equal(posted.body.query, 'train');
    assert.equal(posted.body.items[0]!.rank, 1);
    assert.deepEqual(posted.body.items[0]!.metadata, { title: 'Train', kind: 'crime' });
    const next = await search({ query: 'train', limit: 2, cursor: posted.body.next_cursor });
    assert.deepEqual([next.body.items.length, next.body.items[0]!.rank, next.body.next_cursor], [1, 3, null]);
  });

  it('GET /search?explain=true says what each word gave', async () => {
    const { body } = await region.get<Page>('/search?syntax=lunr&query=tags:none+night^2+train&limit=2&explain=true');
    const posted = await search({ query: 'tags:none night^2 train', syntax: 'lunr', limit: 2, explain: true });
    assert.deepEqual(body.items, posted.body.items);
    const [night, train] = body.items;
    assert.deepEqual(
      night!.explain!.map(({ term }) => term),
      ['night', 'train'],
    );
    assert.deepEqual(
      train!.explain!.map(({ term }) => term),
      ['train'],
    );
    for (const { score, explain } of body.items) {
      assert.ok(Math.abs(explain!.reduce((sum, { part }) => sum + part, 0) - score) < 1e-12);
    }
    assert.ok(!('explain' in (await region.get<Page>('/search?query=train&explain=false')).body.items[0]!));
    const wrong = await region.get<Problem>('/search?query=train&explain=1');
    assert.deepEqual([wrong.status, wrong.body.detail], [400, 'explain must be true or false']);
  });

  it('by vector answers the nearest, page by page', async () => {
    const first = await search({ vector: [1, 0], limit: 3 });
    assert.deepEqual(ids(first), [1, 2, 3]);
    assert.ok(Math.abs(first.body.items[2]!.score - 0.8) < 1e-6);
    assert.deepEqual([first.body.total_matched, first.body.candidates], [4, { vector: 4 }]);
    const second = await search({ vector: [1, 0], limit: 3, cursor: first.body.next_cursor });
    assert.deepEqual([ids(second), second.body.items[0]!.rank, second.body.next_cursor], [[4], 4, null]);
  });

  it('by vector goes through many pages, each item once and all of them, whatever a page has to look for', async () => {
    const writes = Array.from({ length: 400 }, (_, index) => {
      const angle = ((index * 173) % 400) * 0.003;
      return { entity: 1_000 + index, near: Math.cos(angle), values: [Math.cos(angle), Math.sin(angle)] };
    });
    for (const { entity, values } of writes) {
      await region.put(entity, { title: 'many', kind: `k${entity % 7}` });
      await region.embed(entity, values);
    }
    const nearest = [...writes].sort((a, b) => b.near - a.near).map(({ entity }) => entity);
    const through = async (asked: object): Promise<number[]> => {
      const found: number[] = [];
      let cursor: string | null | undefined;
      while (cursor !== null) {
        const { status, body } = await search({
          vector: [1, 0],
          ...asked,
          ...(cursor === undefined ? {} : { cursor }),
        });
        assert.equal(status, 200);
        assert.deepEqual([body.items[0]!.rank, body.total_matched], [found.length + 1, nearest.length]);
        assert.deepEqual(body.candidates, { vector: nearest.length });
        found.push(...body.items.map(({ entity_id }) => entity_id));
        cursor = body.next_cursor;
      }
      return found;
    };
    const many = { filter: 'title:many' };
    assert.deepEqual(await through({ ...many, limit: 30 }), nearest);
    assert.deepEqual(await through({ ...many, limit: 200 }), nearest);
    const diverse = await through({ ...many, limit: 20, max_per: 'kind:3' });
    assert.deepEqual([...diverse].sort(), [...nearest].sort());
    for (const { entity } of writes) await region.remove(entity);
  });

  it('by both fuses them, and explains both ranks', async () => {
    const { status, body } = await search({ query: 'paris', vector: [0, 1], explain: true });
    assert.equal(status, 200);
    // Text: 3, 2 (the shorter title first). Vector: 4, 3, 2, 1.
    const expected = new Map([
      [3, 1 / 61 + 1 / 62],
      [2, 1 / 62 + 1 / 63],
      [4, 1 / 61],
      [1, 1 / 64],
    ]);
    assert.deepEqual(
      body.items.map(({ entity_id }) => entity_id),
      [...expected.keys()],
    );
    for (const { entity_id, score, explain } of body.items) {
      assert.ok(Math.abs(score - expected.get(entity_id)!) < 1e-12);
      const sum = explain!.reduce((parts, { part }) => parts + part, 0);
      assert.ok(Math.abs(sum - score) < 1e-12);
    }
    assert.deepEqual(
      body.items[0]!.explain!.map(({ term }) => term),
      ['rank 1 by text', 'rank 2 by vector'],
    );
    assert.deepEqual([body.total_matched, body.candidates], [4, { text: 2, vector: 4 }]);
  });

  it('takes filters, several or one, and max_per, and says what it relaxed', async () => {
    assert.deepEqual(ids(await search({ vector: [1, 0], filter: 'kind:jazz' })), [1, 3]);
    assert.deepEqual(ids(await search({ vector: [1, 0], filter: ['kind:jazz|crime', 'kind:!jazz'] })), [2]);
    const diverse = await search({ vector: [1, 0], max_per: 'kind:1', limit: 3 });
    assert.deepEqual([ids(diverse), diverse.body.relaxed], [[1, 2, 4], []]);
    const relaxed = await search({ vector: [1, 0], filter: 'kind:jazz', max_per: 'kind:1' });
    assert.deepEqual([ids(relaxed), relaxed.body.relaxed], [[1, 3], ['max_per=kind:1']]);
  });

  it('pins at, and a cursor keeps it', async () => {
    const at = '2026-01-01T00:00:00.000Z';
    const first = await search({ vector: [1, 0], limit: 1, at });
    assert.equal(first.body.at, at);
    const second = await search({ vector: [1, 0], limit: 1, cursor: first.body.next_cursor });
    assert.equal(second.body.at, at);
    assert.equal((await search({ vector: [1, 0], limit: 1, at: Date.parse(at) })).body.at, at);
  });

  const refusals: readonly (readonly [string, unknown, string, RegExp])[] = [
    ['neither text nor vector', {}, 'invalid_request', /query or vector is required/],
    ['an unknown field', { query: 'a', colour: 1 }, 'unknown_field', /colour/],
    ['a vector of other dimensions', { vector: [1, 2, 3] }, 'wrong_dimensions', /3 values; the schema says 2/],
    ['an empty vector', { vector: [] }, 'invalid_request', /vector must be an array of numbers/],
    ['a vector with a text', { vector: [1, 'x'] }, 'invalid_request', /vector\[1\]/],
    ['a vector beyond 32 bits', { vector: [1e39, 0] }, 'invalid_request', /vector\[0\]/],
    ['a text for a vector', { vector: '1,0' }, 'invalid_request', /vector/],
    ['a number for a query', { query: 7 }, 'invalid_request', /query must be a text/],
    ['a query that is none', { query: 'a~x', syntax: 'lunr', vector: [1, 0] }, 'invalid_query', /./],
    ['an unknown syntax', { query: 'a', syntax: 'sql' }, 'invalid_request', /syntax must be one of plain, lunr/],
    [
      'an unknown matching',
      { query: 'a', matching: 'some' },
      'invalid_request',
      /matching must be one of all, any, most/,
    ],
    [
      'all words in lunr',
      { query: 'a', syntax: 'lunr', matching: 'all' },
      'invalid_request',
      /no meaning with syntax=lunr/,
    ],
    ['a limit of 0', { query: 'a', limit: 0 }, 'invalid_request', /limit must be an integer from 1 to 200/],
    ['a limit as a text', { query: 'a', limit: '5' }, 'invalid_request', /limit/],
    ['a fractional limit', { query: 'a', limit: 1.5 }, 'invalid_request', /limit/],
    ['a filter that is none', { query: 'a', filter: 'kind' }, 'invalid_filter', /filter "kind", character 5/],
    ['a filter that is a number', { query: 'a', filter: [7] }, 'invalid_request', /filter must be a text/],
    ['33 filters', { query: 'a', filter: new Array(33).fill('kind:a') }, 'invalid_request', /at most 32/],
    ['max_per without a count', { query: 'a', max_per: 'kind' }, 'invalid_request', /max_per/],
    ['explain as a text', { query: 'a', explain: 'yes' }, 'invalid_request', /explain must be true or false/],
    ['a cursor of nobody', { query: 'a', cursor: 'abc' }, 'invalid_request', /cursor/],
    ['a time that is none', { query: 'a', at: 'soon' }, 'invalid_request', /at must be/],
    ['a position that is none', { query: 'a', min_position: 'soon' }, 'invalid_request', /min_position/],
    ['an array', [], 'invalid_request', /must be a JSON object/],
    ['null', 'null', 'invalid_request', /must be a JSON object/],
    ['no JSON', '{"query"', 'invalid_json', /not valid JSON/],
  ];
  for (const [what, body, code, detail] of refusals) {
    it(`refuses ${what}`, async () => {
      const answer = await region.post<Problem>('/search', body);
      assert.deepEqual([answer.status, answer.body.code], [400, code]);
      assert.match(answer.body.detail, detail);
    });
  }

  it('names the fields there are, and takes no other content type', async () => {
    const { body } = await region.post<Problem>('/search', { query: 'a', vectors: [1, 0] });
    assert.match(
      body.hint ?? '',
      /query, vector, limit, cursor, filter, exclude, max_per, profile, profile_weight, sort, fields, facets, facet_limit, highlight, snippet_length, explain, at, region, min_position, syntax, matching/,
    );
    const form = await fetch(`${region.url}/search`, { method: 'POST', body: 'query=a' });
    assert.equal(form.status, 415);
  });

  it('a cursor belongs to its query, its vector and its filters', async () => {
    const { body } = await search({ query: 'train', vector: [1, 0], limit: 1 });
    for (const other of [
      { query: 'train', limit: 1 },
      { query: 'train', vector: [0, 1], limit: 1 },
      { query: 'paris', vector: [1, 0], limit: 1 },
      { query: 'train', vector: [1, 0], limit: 2 },
      { query: 'train', vector: [1, 0], limit: 1, syntax: 'lunr' },
      { query: 'train', vector: [1, 0], limit: 1, matching: 'all' },
      { query: 'train', vector: [1, 0], limit: 1, filter: 'kind:jazz' },
    ]) {
      const answer = await region.post<Problem>('/search', { ...other, cursor: body.next_cursor });
      assert.equal(answer.status, 400);
      assert.match(answer.body.detail, /belongs to another query/);
    }
    assert.equal((await search({ query: 'train', vector: [1, 0], limit: 1, cursor: body.next_cursor })).status, 200);
  });

  it('reads one’s own writes by min_position', async () => {
    const position = await region.embed(5, [-1, 0]);
    const { body } = await search({ vector: [-1, 0], limit: 1, min_position: position });
    assert.equal(body.items[0]!.entity_id, 5);
    const far = position.replace(/\d+$/, '999999');
    const late = await region.post<Problem>('/search', { vector: [-1, 0], min_position: far });
    assert.deepEqual([late.status, late.body.code], [504, 'position_not_reached']);
  });

  it('suggests how a word continues, the most frequent first', async () => {
    const { status, body } = await region.get('/suggest?prefix=pa');
    assert.equal(status, 200);
    const { position, ...rest } = body;
    assert.equal(typeof position, 'string');
    assert.equal(rest.region, 'us-east');
    assert.equal(rest.prefix, 'pa');
    const suggestions = rest.suggestions as { text: string; documents: number }[];
    assert.equal(suggestions.length, 1);
    assert.equal(suggestions[0]!.documents, 2);
    assert.match(suggestions[0]!.text, /^paris?$/i);
    const one = await region.get<{ suggestions: unknown[] }>('/suggest?prefix=t&limit=1');
    assert.equal(one.body.suggestions.length, 1);
    const none = await region.get<{ suggestions: unknown[] }>('/suggest?prefix=zzz');
    assert.deepEqual(none.body.suggestions, []);
  });

  for (const [query, detail] of [
    ['', /prefix is required/],
    ['prefix=', /prefix is required/],
    ['prefix=%20', /prefix is required/],
    [`prefix=${'a'.repeat(101)}`, /longer than 100/],
    ['prefix=a&limit=0', /integer from 1 to 50/],
    ['prefix=a&limit=51', /integer from 1 to 50/],
    ['prefix=a&limit=x', /integer from 1 to 50/],
    ['prefix=a&at=1', /at is not a parameter of \/suggest/],
    ['prefix=a&prefix=b', /more than once/],
  ] as const) {
    it(`refuses /suggest?${query.slice(0, 30)}`, async () => {
      const { status, body } = await region.get<Problem>(`/suggest?${query}`);
      assert.deepEqual([status, body.code], [400, 'invalid_request']);
      assert.match(body.detail, detail);
    });
  }

  it('related feeds use embedding and words, exclude the item, and take filters, cursors and max_per', async () => {
    const feed = (parameters: string) => region.get<Page>(`/feed?profile=related&entity_id=${parameters}`);
    const all = await feed('1');
    assert.equal(all.status, 200);
    assert.ok(!ids(all).includes(1));
    // By words: 3 (blue, the rarer one), 5 and 2 (train); by embedding: 2, 3.
    assert.deepEqual(ids(all).slice(0, 2), [3, 2]);
    assert.deepEqual([...ids(all)].sort(), [2, 3, 4, 5]);
    assert.deepEqual(ids(await feed('1&filter=kind:jazz')), [3]);
    const first = await feed('1&limit=1');
    const second = await feed(`1&limit=3&cursor=${first.body.next_cursor}`);
    assert.equal(second.status, 400);
    const rest = await feed(`1&limit=1&cursor=${first.body.next_cursor}`);
    assert.deepEqual([ids(first)[0], ids(rest)[0]], ids(all).slice(0, 2));
    const diverse = await feed('4&max_per=kind:1&limit=2');
    assert.equal(new Set(diverse.body.items.map(({ metadata }) => metadata.kind)).size, 2);
  });

  it('related feeds refuse unknown items and items without embedding and words', async () => {
    await region.put(77, { kind: 'odd' });
    const nothing = await region.get<Problem>('/feed?profile=related&entity_id=77');
    assert.deepEqual([nothing.status, nothing.body.code], [404, 'no_embedding']);
    const nobody = await region.get<Problem>('/feed?profile=related&entity_id=78');
    assert.deepEqual([nobody.status, nobody.body.code], [404, 'unknown_item']);
    await region.remove(77);
  });

  it('shows the index in its metrics', async () => {
    const text = await region.metrics();
    assert.match(text, /tidal_vectors\{[^}]*\} 5/);
    assert.match(text, /tidal_vector_searches_waiting\{[^}]*\} 0/);
    assert.match(text, /tidal_vector_search_duration_seconds_count\{[^}]*\} [1-9]/);
    assert.deepEqual(region.fatal, []);
  });
});

describe('search over HTTP while the index is slow, or dead', () => {
  const held = new HeldVectors();
  let region: LeadingRegion;

  before(async () => {
    region = await leadingRegion({ schema, openVectors: held.open });
    for (const [entity, values] of [
      [1, 0],
      [0.9, 0.1],
      [0.5, 0.5],
    ].entries()) {
      await region.put(entity, { title: `word ${entity}` });
      await region.embed(entity, values);
    }
    await held.settle();
  });
  after(() => region?.stop());

  const asked = async (): Promise<void> => {
    await eventually('the question is on its way', () => held.there.some(({ kind }) => kind === 'nearest'));
  };

  it('answers the position and the items of the time of the answer, not of the request', async () => {
    const answer = region.post<Page>('/search', { query: 'word', vector: [1, 0], explain: true });
    await asked();
    held.arrive();
    await region.remove(0);
    await region.put(5, { title: 'word five' });
    const position = await region.embed(5, [1, 0]);
    held.return();
    const { body } = await answer;
    assert.ok(total(body.position) >= total(position), `${body.position} is before ${position}`);
    assert.deepEqual(ids(await answer).sort(), [1, 2, 5]);
    const five = body.items.find(({ entity_id }) => entity_id === 5);
    assert.equal(five!.explain!.length, 2);
    assert.equal(five!.explain![1]!.term, 'rank 1 by vector');
    await held.settle();
  });

  it('other reads and writes continue meanwhile; a related item that is deleted is refused', async () => {
    const answer = region.get<Problem>('/feed?profile=related&entity_id=1');
    await asked();
    held.arrive();
    assert.equal((await region.get('/feed?profile=new')).status, 200);
    assert.equal((await region.post('/search', { query: 'word' })).status, 200);
    await region.remove(1);
    held.return();
    assert.deepEqual([(await answer).status, (await answer).body.code], [404, 'unknown_item']);
    await held.settle();
  });

  it('an index that dies costs its searches a 503, nothing else, and is reopened', async () => {
    const answer = region.post<Problem>('/search', { vector: [1, 0] });
    await asked();
    held.arrive();
    held.die(new Error('killed'));
    const refused = await answer;
    assert.deepEqual([refused.status, refused.body.code], [503, 'overloaded']);
    assert.ok(refused.headers.get('retry-after') !== null);
    assert.equal((await region.post('/search', { query: 'word' })).status, 200);
    const again = region.post<Page>('/search', { vector: [1, 0] });
    await eventually('another one is opened', () => held.opened === 2);
    let done = false;
    void again.then(() => {
      done = true;
    });
    await eventually('it is answered', async () => {
      await held.settle();
      return done;
    });
    assert.deepEqual(ids(await again), [5, 2]);
    assert.deepEqual(region.fatal, []);
  });
});
