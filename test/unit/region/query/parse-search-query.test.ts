import assert from 'node:assert/strict';
import { firstPosition, type PagePosition } from '../../../../services/region/pages/pages.ts';
import { createCursors } from '../../../../services/region/pages/signed-cursors.ts';
import { parseSearchQuery, type SearchQuery } from '../../../../services/region/query/query.ts';
import { Refusal } from '../../../../shared/errors/errors.ts';

const cursors = createCursors({ secrets: () => [''], schemaHash: 'x' });
const parse = (query: string): SearchQuery => parseSearchQuery(new URLSearchParams(query), { cursors });
const place: PagePosition = { shown: 5, rest: { score: 0.1, entity: 7 }, kinds: new Map() };
const cursorOf = (asked: SearchQuery): string => cursors.write(asked.identity, 1_234, place);

describe('search query', () => {
  it('has defaults for everything but the text', () => {
    assert.deepEqual(parse('query=jazz%20piano'), {
      query: 'jazz piano',
      vector: undefined,
      syntax: 'plain',
      matching: 'most',
      limit: 20,
      filters: [],
      exclude: [],
      maxPer: undefined,
      sort: undefined,
      identity: ['search', 'jazz piano', 'plain', 'most', null, 20, '', null, null, null],
      blending: undefined,
      explain: false,
      fields: undefined,
      facets: [],
      facetLimit: 10,
      highlight: [],
      snippetLength: 200,
      from: firstPosition,
      atMs: undefined,
      continued: false,
    });
    assert.equal(parse('query=').query, '');
  });

  it('takes every parameter', () => {
    const sort = [
      { by: 'field', field: 'year', isDescending: true },
      { by: 'field', field: 'score', isDescending: false },
      { by: 'score', field: '', isDescending: true },
      { by: 'entity_id', field: '', isDescending: false },
    ];
    assert.deepEqual(
      parse(
        'query=a&matching=all&syntax=plain&limit=5&filter=category:music|film&filter=year>=1990&max_per=category:2&sort=year:desc,%22score%22,score,entity_id:asc&fields=title,%22og:type%22&facets=category,year[..1990,1990..2000,2020-01-01..]&facet_limit=1000&profile=hot&profile_weight=0.5&highlight=title,tags,title&snippet_length=20&explain=true&at=1700000000017&region=eu-west&min_position=x:1',
      ),
      {
        query: 'a',
        syntax: 'plain',
        matching: 'all',
        vector: undefined,
        limit: 5,
        filters: [
          { field: 'category', operator: 'in', values: ['music', 'film'] },
          { field: 'year', operator: '>=', values: ['1990'] },
        ],
        exclude: [],
        maxPer: { field: 'category', count: 2 },
        sort,
        identity: [
          'search',
          'a',
          'plain',
          'all',
          null,
          5,
          '"category":["film", "music"] AND "year">="1990"',
          ['category', 2],
          sort,
          { profile: 'hot', weight: 0.5 },
        ],
        blending: { profile: 'hot', weight: 0.5 },
        explain: true,
        fields: ['title', 'og:type'],
        facets: [
          { field: 'category' },
          {
            field: 'year',
            ranges: [
              { text: '..1990', of: 'number', from: Number.NEGATIVE_INFINITY, to: 1_990 },
              { text: '1990..2000', of: 'number', from: 1_990, to: 2_000 },
              { text: '2020-01-01..', of: 'time', from: Date.UTC(2020, 0), to: Number.POSITIVE_INFINITY },
            ],
          },
        ],
        facetLimit: 1_000,
        highlight: ['title', 'tags'],
        snippetLength: 20,
        from: firstPosition,
        atMs: 1_700_000_000_017,
        continued: false,
      },
    );
  });

  it('continues by cursor, at the read time of the first page', () => {
    const first = parse('query=a&limit=5&filter=x:y');
    const cursor = cursorOf(first);
    assert.deepEqual(parse(`query=a&limit=5&filter=x:y&cursor=${cursor}`), {
      ...first,
      from: place,
      atMs: 1_234,
      continued: true,
    });
    assert.deepEqual(parse(`query=a&limit=5&filter=x:y&at=1970-01-01T00:00:01.234Z&cursor=${cursor}`).from, place);
    // Who wants to know why may ask on any page.
    assert.deepEqual(parse(`query=a&limit=5&filter=x:y&explain=true&cursor=${cursor}`).from, place);
  });

  const cursor = cursorOf(parse('query=a'));
  const refused: [query: string, path: string, detail: RegExp][] = [
    ['', 'query', /^query is required$/],
    ['limit=5', 'query', /required/],
    ['query=a&query=b', 'query', /more than once/],
    ['query=a&limit=0', 'limit', /integer from 1 to 200/],
    ['query=a&limit=201', 'limit', /integer from 1 to 200/],
    ['query=a&limit=-1', 'limit', /integer from 1 to 200/],
    ['query=a&limit=ten', 'limit', /integer from 1 to 200/],
    ['query=a&explain=yes', 'explain', /must be true or false/],
    ['query=a&at=yesterday', 'at', /RFC 3339/],
    ['query=a&filter=music', 'filter', /^filter "music", character 6: expected an operator/],
    [`query=a${'&filter=a:b'.repeat(33)}`, 'filter', /at most 32 times/],
    [`query=a&filter=a:${'b'.repeat(4_095)}`, 'filter', /longer than 4096/],
    ['query=a&window=1h', 'window', /^window is not a parameter of \/search$/],
    ['query=a&profile_weight=1', 'profile_weight', /needs a profile/],
    ['query=a&profile=hot&profile_weight=101', 'profile_weight', /from 0 to 100/],
    ['query=a&profile=hot&profile_weight=-1', 'profile_weight', /from 0 to 100/],
    ['query=a&sort=year:down', 'sort', /":down" after year: the directions are :asc and :desc/],
    ['query=a&sort=', 'sort', /no field at character 1/],
    ['query=a&sort=a,,b', 'sort', /no field at character 3/],
    ['query=a&sort=a,b,c,d,e', 'sort', /more than 4 fields/],
    ['query=a&sort=%22a', 'sort', /no closing double quote/],
    ['query=a&fields=title:x', 'fields', /":x" after title/],
    ['query=a&facets=a,a', 'facets', /has a more than once/],
    ['query=a&facets=a[1..2', 'facets', /no list of ranges/],
    ['query=a&facets=a[2..1]', 'facets', /"2..1", which is no range/],
    ['query=a&facets=a[..]', 'facets', /which is no range/],
    ['query=a&facets=a[1..2020-01-01]', 'facets', /which is no range/],
    ['query=a&facets=a&facet_limit=1001', 'facet_limit', /integer from 1 to 1000/],
    ['query=a&cursor=nonsense', 'cursor', /not one this service gave/],
    [`query=b&cursor=${cursor}`, 'cursor', /belongs to another query/],
    [`query=a&max_per=b:1&cursor=${cursor}`, 'cursor', /belongs to another query/],
    [`query=a&limit=7&cursor=${cursor}`, 'cursor', /belongs to another query/],
    [`query=a&at=1700000000099&cursor=${cursor}`, 'at', /differs from the moment/],
  ];
  for (const [query, path, detail] of refused) {
    it(`refuses ${query.slice(0, 50)}`, () => {
      assert.throws(
        () => parse(query),
        (error) => {
          assert.ok(error instanceof Refusal);
          assert.equal(error.code, query.endsWith('filter=music') ? 'invalid_filter' : 'invalid_request');
          assert.match(error.message, detail);
          assert.equal(error.extras.errors?.[0]?.path, path);
          return true;
        },
      );
    });
  }
});
