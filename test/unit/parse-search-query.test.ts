import assert from 'node:assert/strict';
import { nextSearchCursor, parseSearchQuery, type SearchQuery } from '../../services/region/rank/parse-search-query.ts';
import { Refusal } from '../../shared/errors/errors.ts';

const parse = (query: string): SearchQuery => parseSearchQuery(new URLSearchParams(query));

describe('search query', () => {
  it('has defaults for everything but the text', () => {
    assert.deepEqual(parse('query=jazz%20piano'), {
      query: 'jazz piano',
      limit: 20,
      skip: 0,
      filters: [],
      atMs: undefined,
    });
    assert.equal(parse('query=').query, '');
  });

  it('takes every parameter', () => {
    assert.deepEqual(
      parse('query=a&limit=5&filter=category:music|film&filter=year>=1990&at=17&region=eu-west&min_position=x:1'),
      {
        query: 'a',
        limit: 5,
        skip: 0,
        filters: [
          { field: 'category', operator: 'in', values: ['music', 'film'] },
          { field: 'year', operator: '>=', values: ['1990'] },
        ],
        atMs: 17,
      },
    );
  });

  it('goes on by cursor, at the moment of the first page', () => {
    const first = parse('query=a&limit=5&filter=x:y');
    const second = parse(`query=a&limit=5&filter=x:y&cursor=${nextSearchCursor(first, 1_234)}`);
    assert.deepEqual(second, { ...first, skip: 5, atMs: 1_234 });
    const third = parse(`query=a&limit=5&filter=x:y&at=1234&cursor=${nextSearchCursor(second, 1_234)}`);
    assert.equal(third.skip, 10);
  });

  const cursor = nextSearchCursor(parse('query=a'), 1_234);
  const refused: [query: string, path: string, detail: RegExp][] = [
    ['', 'query', /^query is required$/],
    ['limit=5', 'query', /required/],
    ['query=a&query=b', 'query', /more than once/],
    ['query=a&limit=0', 'limit', /integer from 1 to 200/],
    ['query=a&limit=201', 'limit', /integer from 1 to 200/],
    ['query=a&limit=-1', 'limit', /integer from 1 to 200/],
    ['query=a&limit=ten', 'limit', /integer from 1 to 200/],
    ['query=a&at=yesterday', 'at', /RFC 3339/],
    ['query=a&filter=music', 'filter', /must name a field/],
    [`query=a${'&filter=a:b'.repeat(33)}`, 'filter', /at most 32 times/],
    [`query=a&filter=a:${'b'.repeat(1_000)}`, 'filter', /longer than 1000/],
    ['query=a&profile=hot', 'profile', /^profile is not a parameter of \/search$/],
    ['query=a&cursor=nonsense', 'cursor', /not one this service gave/],
    [`query=a&cursor=${Buffer.from('["x",1,-5]').toString('base64url')}`, 'cursor', /not one this service gave/],
    [`query=b&cursor=${cursor}`, 'cursor', /belongs to another query/],
    [`query=a&limit=7&cursor=${cursor}`, 'cursor', /belongs to another query/],
    [`query=a&at=99&cursor=${cursor}`, 'at', /differs from the moment/],
  ];
  for (const [query, path, detail] of refused) {
    it(`refuses ${query.slice(0, 50)}`, () => {
      assert.throws(
        () => parse(query),
        (error) => {
          assert.ok(error instanceof Refusal);
          assert.equal(error.code, 'invalid_request');
          assert.match(error.message, detail);
          assert.equal(error.extras.errors?.[0]?.path, path);
          return true;
        },
      );
    });
  }
});
