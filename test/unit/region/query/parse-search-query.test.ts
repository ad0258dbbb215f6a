import assert from 'node:assert/strict';
import { firstPosition, type PagePosition } from '../../../../services/region/pages/pages.ts';
import { createCursors } from '../../../../services/region/pages/signed-cursors.ts';
import { parseSearchQuery, type SearchQuery, searchIdentity } from '../../../../services/region/query/query.ts';
import { Refusal } from '../../../../shared/errors/errors.ts';

const cursors = createCursors({ secrets: () => [''], schemaHash: 'x' });
const parse = (query: string): SearchQuery => parseSearchQuery(new URLSearchParams(query), cursors);
const place: PagePosition = { shown: 5, rest: { score: 0.1, entity: 7 }, kinds: new Map() };
const cursorOf = (asked: SearchQuery): string => cursors.write(searchIdentity(asked), 1_234, place);

describe('search query', () => {
  it('has defaults for everything but the text', () => {
    assert.deepEqual(parse('query=jazz%20piano'), {
      query: 'jazz piano',
      limit: 20,
      filters: [],
      maxPer: undefined,
      explain: false,
      from: firstPosition,
      atMs: undefined,
      continued: false,
    });
    assert.equal(parse('query=').query, '');
  });

  it('takes every parameter', () => {
    assert.deepEqual(
      parse(
        'query=a&limit=5&filter=category:music|film&filter=year>=1990&max_per=category:2&explain=true&at=1700000000017&region=eu-west&min_position=x:1',
      ),
      {
        query: 'a',
        limit: 5,
        filters: [
          { field: 'category', operator: 'in', values: ['music', 'film'] },
          { field: 'year', operator: '>=', values: ['1990'] },
        ],
        maxPer: { field: 'category', count: 2 },
        explain: true,
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
    ['query=a&profile=hot', 'profile', /^profile is not a parameter of \/search$/],
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
