import assert from 'node:assert/strict';
import { firstPosition, type PagePosition } from '../../../../services/region/pages/pages.ts';
import { createCursors } from '../../../../services/region/pages/signed-cursors.ts';
import { feedIdentity, type ParsedFeedQuery, parseFeedQuery } from '../../../../services/region/query/query.ts';
import { profiles } from '../../../../services/region/rank/rank.ts';
import { Refusal } from '../../../../shared/errors/errors.ts';

const cursors = createCursors({ secrets: () => [''], schemaHash: 'x' });
const parse = (query: string): ParsedFeedQuery => parseFeedQuery(new URLSearchParams(query), { cursors });
const place: PagePosition = { shown: 5, rest: { score: 0.1, entity: 7 }, kinds: new Map() };
const cursorOf = ({ query }: ParsedFeedQuery, atMs: number): string => cursors.write(feedIdentity(query), atMs, place);

function refusal(action: () => unknown): Refusal {
  try {
    action();
  } catch (error) {
    assert.ok(error instanceof Refusal, String(error));
    return error;
  }
  return assert.fail('nothing was refused');
}

describe('feed query', () => {
  it('has defaults for everything', () => {
    assert.deepEqual(parse(''), {
      query: {
        profile: 'trending',
        limit: 20,
        window: '24h',
        filters: [],
        exclude: [],
        maxPer: undefined,
        entity: undefined,
        seed: '',
        explain: false,
        sort: undefined,
      },
      fields: undefined,
      facets: [],
      facetLimit: 10,
      from: firstPosition,
      atMs: undefined,
      continued: false,
      notes: [],
    });
  });

  it('reads every parameter', () => {
    const { query, atMs } = parse(
      'profile=top&limit=200&window=7d&filter=category:a|b&filter=year>=1990&filter=x:!y:z&max_per=a:b:2' +
        '&at=1700000000000&region=eu-west&min_position=us-east@abcdefghij:5',
    );
    assert.deepEqual(query, {
      profile: 'top',
      limit: 200,
      window: '7d',
      filters: [
        { field: 'category', operator: 'in', values: ['a', 'b'] },
        { field: 'year', operator: '>=', values: ['1990'] },
        { field: 'x', operator: 'not_in', values: ['y:z'] },
      ],
      exclude: [],
      maxPer: { field: 'a:b', count: 2 },
      entity: undefined,
      seed: '',
      explain: false,
      sort: undefined,
    });
    assert.equal(atMs, 1_700_000_000_000);
  });

  it('resolves the window each profile takes', () => {
    const resolved = profiles.map((profile) => [profile, parse(`profile=${profile}&entity_id=1`).query.window]);
    assert.deepEqual(Object.fromEntries(resolved), {
      trending: '24h',
      hot: 'all',
      new: 'all',
      top: 'all',
      best: 'all',
      rising: 'all',
      controversial: 'all',
      debated: 'all',
      hidden_gems: 'all',
      most_viewed: 'all',
      most_liked: 'all',
      shuffle: 'all',
      related: 'all',
    });
    assert.equal(parse('profile=most_liked&window=1h').query.window, '1h');
  });

  it('says what changes nothing', () => {
    assert.deepEqual(parse('user_id=42&profile=trending&limit=10').notes, [
      'user_id has no effect: personal contexts are not replicated',
    ]);
    assert.deepEqual(parse('profile=new&window=1h&entity_id=3&seed=x').notes, [
      'window has no effect on profile new',
      'entity_id has no effect on profile new',
      'seed has no effect on profile new',
    ]);
    assert.deepEqual(parse('profile=shuffle&seed=x').notes, []);
  });

  it('takes a time as milliseconds or as RFC 3339', () => {
    for (const at of [
      '1700000000000',
      '2023-11-14T22:13:20Z',
      '2023-11-14T22:13:20.000Z',
      '2023-11-15T00:13:20%2B02:00',
      '2023-11-15T00:13:20+02:00',
      '2023-11-14T17:13:20-05:00',
    ]) {
      assert.equal(parse(`at=${at}`).atMs, 1_700_000_000_000, at);
    }
  });

  it('names the profiles when one does not exist', () => {
    const error = refusal(() => parse('profile=nope'));
    assert.deepEqual([error.code, error.status], ['unknown_profile', 404]);
    for (const profile of profiles) assert.ok(error.extras.hint?.includes(profile));
  });

  const long = 'x'.repeat(10_000);
  const manyComparisons = Array.from({ length: 3 }, () => `filter=${new Array(43).fill('a:b').join('%20AND%20')}`).join(
    '&',
  );
  const manyCharacters = Array.from({ length: 9 }, () => `filter=a:${'b'.repeat(4_000)}`).join('&');
  const invalid: [string, string, RegExp][] = [
    ['limit=0', 'limit', /from 1 to 200/],
    ['limit=201', 'limit', /from 1 to 200/],
    ['limit=-1', 'limit', /from 1 to 200/],
    ['limit=1.5', 'limit', /from 1 to 200/],
    ['limit=1e1', 'limit', /from 1 to 200/],
    ['limit=', 'limit', /from 1 to 200/],
    ['limit=NaN', 'limit', /from 1 to 200/],
    ['window=2h', 'window', /1h, 24h, 7d, all/],
    ['window=', 'window', /1h, 24h, 7d, all/],
    [Array.from({ length: 33 }, () => 'filter=a:b').join('&'), 'filter', /at most 32/],
    [manyComparisons, 'filter', /at most 128 comparisons/],
    [manyCharacters, 'filter', /at most 32768 characters/],
    ['max_per=category', 'max_per', /field:count/],
    ['max_per=category:0', 'max_per', /field:count/],
    ['max_per=category:x', 'max_per', /field:count/],
    ['max_per=:2', 'max_per', /field:count/],
    ['profile=related', 'entity_id', /required/],
    ['profile=related&entity_id=', 'entity_id', /integer/],
    ['profile=related&entity_id=-1', 'entity_id', /integer/],
    ['profile=related&entity_id=1.5', 'entity_id', /integer/],
    ['profile=related&entity_id=9007199254740992', 'entity_id', /integer/],
    ['at=yesterday', 'at', /RFC 3339/],
    ['at=-1', 'at', /RFC 3339/],
    ['at=1.5', 'at', /RFC 3339/],
    ['at=1969-12-31T23:59:59Z', 'at', /RFC 3339/],
    ['at=9007199254740991', 'at', /RFC 3339/],
    ['at=2023-13-01T00:00:00Z', 'at', /RFC 3339/],
    ['at=2023-11-14', 'at', /RFC 3339/],
    ['profile=new&profile=top', 'profile', /more than once/],
    ['user_id=1&user_id=2', 'user_id', /more than once/],
    ['foo=1', 'foo', /not a parameter/],
    ['Limit=1', 'Limit', /not a parameter/],
    ['=', '', /not a parameter/],
    ['__proto__=1', '__proto__', /not a parameter/],
    ['cursor=', 'cursor', /not one this service gave/],
    ['cursor=abc', 'cursor', /not one this service gave/],
    [`cursor=${Buffer.from('null').toString('base64url')}`, 'cursor', /not one this service gave/],
    ['profile', 'profile', /longer than 1000/],
    ['limit', 'limit', /longer than 1000/],
    ['cursor', 'cursor', /longer than 8000/],
    ['filter', 'filter', /longer than 4096/],
    ['max_per', 'max_per', /longer than 1000/],
    ['window', 'window', /longer than 1000/],
    ['entity_id', 'entity_id', /longer than 1000/],
    ['seed', 'seed', /longer than 1000/],
    ['at', 'at', /longer than 1000/],
    ['user_id', 'user_id', /longer than 1000/],
    ['region', 'region', /longer than 1000/],
  ];
  for (const [query, path, message] of invalid) {
    const text = message.source.startsWith('longer') ? `${query}=${long}` : query;
    it(`refuses ${text.length > 60 ? `${text.slice(0, 60)}…` : text}`, () => {
      const error = refusal(() => parse(text));
      assert.deepEqual([error.code, error.status, error.extras.errors?.[0]?.path], ['invalid_request', 400, path]);
      assert.match(error.message, message);
      assert.ok(error.message.length < 300);
    });
  }

  it('refuses a filter by the character that does not fit', () => {
    const error = refusal(() => parse('filter=a:b&filter=category:music%20year:1990'));
    assert.deepEqual([error.code, error.status], ['invalid_filter', 400]);
    assert.match(error.message, /^filter "category:music year:1990", character 16: expected AND or OR/);
    assert.match(error.extras.hint ?? '', /field exists; AND, OR, NOT/);
    assert.deepEqual(error.extras.errors?.[0]?.position, 16);
    assert.ok(refusal(() => parse(`filter=${'x'.repeat(4_000)}`)).message.length < 300);
  });

  it('refuses a parameter with a name of 10,000 characters in a short answer', () => {
    const error = refusal(() => parse(`${long}=1`));
    assert.equal(error.code, 'invalid_request');
    assert.ok(JSON.stringify(error.toProblem()).length < 1_000);
  });
});

describe('feed cursor', () => {
  const first = 'profile=top&limit=5&window=7d&filter=a:b';

  it('leads to the next page at the same read time', () => {
    const { query, from } = parse(first);
    assert.deepEqual(from, firstPosition);
    const cursor = cursorOf(parse(first), 1_700_000_000_000);
    assert.match(cursor, /^[\w-]+$/);
    assert.deepEqual(parse(`${first}&cursor=${cursor}`), {
      ...{ query, fields: undefined, from: place, atMs: 1_700_000_000_000, continued: true },
      ...{ facets: [], facetLimit: 10, notes: [] },
    });
  });

  it('continues if the first request gave its read time itself', () => {
    const parsed = parse(`${first}&at=1700000000000`);
    const cursor = cursorOf(parsed, parsed.atMs ?? 0);
    assert.deepEqual(parse(`${first}&at=1700000000000&cursor=${cursor}`).from, place);
    // The page may have been answered for the last whole hour before it.
    assert.deepEqual(parse(`${first}&at=1700003600000&cursor=${cursor}`).atMs, 1_700_000_000_000);
    for (const at of [1_700_003_600_001, 1_699_999_999_999]) {
      assert.match(refusal(() => parse(`${first}&at=${at}&cursor=${cursor}`)).message, /differs/);
    }
  });

  it('continues with the same filters written in another way', () => {
    const written = 'filter=year>=1990&filter=a:b|c%20AND%20NOT%20x:1';
    const cursor = cursorOf(parse(written), 1);
    for (const same of [
      'filter=NOT%20x:1&filter=a:c|b&filter=year>=1990.0',
      'filter=(x!%3D"1"%20AND%20(a%20in%20[c,b]%20AND%20"year">=1990))',
    ]) {
      assert.deepEqual(parse(`${same}&cursor=${cursor}`).from, place);
    }
    assert.match(refusal(() => parse(`filter=a:b|c&filter=year>=1990&cursor=${cursor}`)).message, /another query/);
  });

  it('belongs to one query; region and user do not matter', () => {
    const cursor = cursorOf(parse(first), 1);
    const again = parse(`${first}&region=eu-west&user_id=3&cursor=${cursor}`);
    assert.deepEqual([again.from, again.atMs], [place, 1]);
    for (const other of [
      'profile=new&limit=5&window=7d&filter=a:b',
      'profile=top&limit=6&window=7d&filter=a:b',
      'profile=top&limit=5&window=24h&filter=a:b',
      'profile=top&limit=5&window=7d&filter=a:c',
      'profile=top&limit=5&window=7d',
      `${first}&max_per=a:1`,
    ]) {
      const error = refusal(() => parse(`${other}&cursor=${cursor}`));
      assert.equal(error.code, 'invalid_request', other);
      assert.match(error.message, /another query/);
    }
  });
});
