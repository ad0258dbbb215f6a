/** Queries as people type them, as a whole region answers them over HTTP. */
import assert from 'node:assert/strict';
import type { Problem } from '../../../../shared/errors/errors.ts';
import type { Answer } from '../../../harness/clients/request-json.ts';
import { type LeadingRegion, leadingRegion } from '../../../harness/region/leading-region.ts';

const schema = `
signals:
  view: { sentiment: positive, half_life: 24h }
text: { fields: { title: { boost: 2 }, body: {} } }
embedding: { dimensions: 2 }
`;

interface Part {
  readonly term: string;
  readonly value: number;
  readonly weight: number;
  readonly part: number;
  readonly asked: string;
  readonly match: string;
  readonly word: string;
  readonly distance?: number;
}

interface Page {
  readonly items: readonly { readonly entity_id: number; readonly score: number; readonly explain?: readonly Part[] }[];
  readonly total_matched: number;
  readonly relaxed: readonly string[];
}

const ids = (page: Page): number[] => page.items.map(({ entity_id }) => entity_id);

describe('plain queries over HTTP', () => {
  let region: LeadingRegion;
  const films: Record<number, [title: string, body?: string]> = {
    1: ['Batman: Year One'],
    2: ['Samba Night', 'new york at dawn'],
    3: ['Samba Day', 'york new'],
    4: ['Casablanca'],
    5: ['Star'],
    6: ['Starlight starlight starlight'],
    7: ['A very long name with many words before the one that is meant, which is star'],
    8: ['Jazz Piano', 'Running through the city'],
    9: ['The Jazz Guitar'],
    10: ['Piano Piano Piano'],
    11: ['New York, New York'],
    12: ['Meet me at 10:30'],
  };

  before(async () => {
    region = await leadingRegion({ schema });
    for (const [entity, [title, body]] of Object.entries(films)) {
      await region.put(Number(entity), body === undefined ? { title } : { title, body });
    }
  });
  after(() => region?.stop());

  const search = async (query: string, more: Record<string, string> = {}): Promise<Page> => {
    const { status, body } = await region.get<Page>(`/search?${new URLSearchParams({ query, ...more })}`);
    assert.equal(status, 200, `${query}: ${JSON.stringify(body)}`);
    const fields = { ...more, ...('explain' in more ? { explain: true } : {}) };
    const posted = await region.post<Page>('/search', { query, ...fields });
    assert.deepEqual(ids(posted.body), ids(body), query);
    assert.deepEqual(posted.body.relaxed, body.relaxed, query);
    return body;
  };

  const cases: [query: string, found: number[]][] = [
    ['batman: year one', [1]],
    ['Batman; Year/One', [1]],
    ['10:30', [12]],
    ['samba - night', [2, 3]],
    ['samba -night', [3]],
    ['samba --night', [2, 3]],
    ['NOT casablanca', [4]],
    ['casablanca -', [4]],
    ['casablanca +', [4]],
    ['casablanca ~ ^ \\ ( ) [ ] { } | & ! ? : ; , .', [4]],
    ['"casablanca', [4]],
    ['casablanca"', [4]],
    ['title: casablanca', [4]],
    ['casablanca title:', [4]],
    ['casablanca \u{1f3b7}', [4]],
    ['casablanka', [4]],
    ['casabalnca', [4]],
    ['kasablanka', [4]],
    ['casabl', [4]],
    ['CASAB', [4]],
    ['samba nig', [2, 3]],
    ['title:casablanca', [4]],
    ['body:casablanca', []],
    ['body:york', [3, 2]],
    ['title:york', [11]],
    ['"new york"', [11, 2]],
    ['“new york”', [11, 2]],
    ['body:"new york"', [2]],
    ['"york new"', [11, 3]],
    ['york -"new york"', [3]],
    ['"running through the city"', [8]],
    ['"run through the city"', [8]],
    ['"through running"', []],
    ['"samba"', [2, 3]],
    ['samba -title:night', [3]],
    ['casab*', [4]],
    ['star*', [5, 7, 6]],
    ['star', [5, 7, 6]],
    ['stra', [5, 7]],
    ['jazz piano', [8, 10, 9]],
    ['piano jazz', [8, 10, 9]],
    ['constructor __proto__ toString', []],
    ['?!', []],
    ['--', []],
    ['-', []],
  ];
  for (const [query, found] of cases) {
    it(JSON.stringify(query), async () => {
      const page = await search(query);
      const got = ids(page);
      assert.deepEqual([...got].sort(), [...found].sort());
      assert.equal(page.total_matched, found.length);
      if (found.length > 0) assert.equal(got[0], found[0], `${got}`);
    });
  }

  it('a query of excluded words alone finds all others, like an empty one without them', async () => {
    const all = Object.keys(films).map(Number);
    const without = (...excluded: number[]): number[] => all.filter((entity) => !excluded.includes(entity));
    for (const query of ['', '   ', '*']) assert.equal((await search(query)).total_matched, all.length, query);
    for (const query of ['-samba', '-samba ?', '-"samba"']) {
      const page = await search(query);
      assert.deepEqual(ids(page), without(2, 3), query);
      assert.ok(page.items.every(({ score }) => score === 0));
    }
    assert.deepEqual(ids(await search('-samba -title:star')), without(2, 3, 5, 7));
    assert.deepEqual(ids(await search('missing -samba')), []);
  });

  it('matching: all, any, or most of the words', async () => {
    const sorted = async (query: string, matching: string): Promise<number[]> =>
      ids(await search(query, { matching })).sort((a, b) => a - b);
    assert.deepEqual(await sorted('jazz piano guitar', 'all'), []);
    assert.deepEqual(await sorted('jazz piano guitar', 'any'), [8, 9, 10]);
    assert.deepEqual(await sorted('jazz piano guitar', 'most'), [8, 9]);
    assert.deepEqual(await sorted('jazz piano', 'all'), [8]);
    assert.deepEqual(await sorted('"jazz piano" casablanca', 'any'), [4, 8]);
    assert.deepEqual(await sorted('"jazz piano" casablanca', 'most'), [8]);
    const few = await search('casablanca samba piano');
    assert.deepEqual([few.relaxed, few.total_matched], [['matching=most'], 5]);
    assert.deepEqual((await search('jazz piano guitar')).relaxed, []);
    const wrong = await region.get<Problem>('/search?query=a&matching=none');
    assert.match(wrong.body.detail, /matching must be one of all, any, most/);
    const syntax = await region.get<Problem>('/search?query=a&syntax=lucene');
    assert.match(syntax.body.detail, /syntax must be one of plain, lunr/);
  });

  it('explain says what matched and how', async () => {
    const how = async (query: string): Promise<unknown[][]> => {
      const { items } = await search(query, { explain: 'true' });
      return items.map(({ entity_id, score, explain }) => {
        const sum = explain!.reduce((all, { part }) => all + part, 0);
        assert.ok(Math.abs(sum - score) < 1e-9, `${query}: ${sum}, ${score}`);
        for (const { value, weight, part } of explain!) assert.ok(Math.abs(value * weight - part) < 1e-9);
        return [
          entity_id,
          ...explain!.map(({ asked, match, word, distance }) => [asked, match, word, distance ?? 0].join(' ')),
        ];
      });
    };
    assert.deepEqual(await how('star'), [
      [5, 'star exact star 0'],
      [7, 'star exact star 0'],
      [6, 'star prefix starlight 0'],
    ]);
    assert.deepEqual(await how('casablanka'), [[4, 'casablanka typo casablanca 1']]);
    assert.deepEqual(await how('kasablanka'), [[4, 'kasablanka typo casablanca 2']]);
    assert.deepEqual(await how('-day samba nig'), [[2, 'samba exact samba 0', 'nig prefix night 0']]);
    assert.deepEqual(await how('"year one" batmen'), [
      [1, 'year one phrase year 0', 'year one phrase one 0', 'batmen typo batman 1'],
    ]);
  });

  it('what is too long is used in part, and the answer says so', async () => {
    const words = await search(`casablanca ${Array.from({ length: 99 }, (_, i) => `w${i}`).join(' ')}`);
    assert.deepEqual([ids(words), words.relaxed], [[4], ['matching=most', 'query:first 32 of 100 words']]);
    const long = await search('casablanca '.repeat(1_000));
    assert.deepEqual([ids(long), long.relaxed], [[4], ['query:first 1000 of 11000 characters']]);
    assert.deepEqual((await search('x'.repeat(10_000))).total_matched, 0);
  });

  it('lunr’s operators, with syntax=lunr', async () => {
    const lunr = (query: string): Promise<Page> => search(query, { syntax: 'lunr' });
    assert.deepEqual(ids(await lunr('+jazz +piano')), [8]);
    assert.deepEqual(ids(await lunr('casablanka~1')), [4]);
    assert.deepEqual(ids(await lunr('c*bl*ca')), [4]);
    const refused: Answer<Problem> = await region.get('/search?syntax=lunr&query=Batman:%20Year');
    assert.deepEqual([refused.status, refused.body.code], [400, 'invalid_query']);
  });
});

describe('words that more than a limit of words match, over HTTP', () => {
  let region: LeadingRegion;
  before(async () => {
    region = await leadingRegion({ schema });
    for (let i = 200; i < 280; i++) await region.put(i, { title: `sa${i}` });
    await region.put(1, { title: 'star wars' });
  });
  after(() => region?.stop());

  it('are all found, or the answer says which were left out', async () => {
    for (const more of ['', '&syntax=lunr']) {
      const { body } = await region.get<Page>(`/search?query=s*&limit=200${more}`);
      assert.deepEqual([body.total_matched, body.relaxed, ids(body).includes(1)], [81, [], true]);
    }
    for (let i = 1_000; i < 1_300; i++) await region.put(i, { title: `sb${i}` });
    for (let i = 2_000; i < 2_010; i++) await region.put(i, { title: 'star' });
    for (const more of ['', '&syntax=lunr']) {
      const { body } = await region.get<Page>(`/search?query=s*&limit=200${more}`);
      assert.deepEqual([body.total_matched, body.relaxed], [255 + 11, ['expansions:s*']]);
      // The words of the most documents are among them.
      const stars = await region.get<Page>(`/search?query=s*&filter=title:star${more}`);
      assert.equal(stars.body.total_matched, 10);
    }
  });
});
