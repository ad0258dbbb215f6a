import assert from 'node:assert/strict';
import fc from 'fast-check';
import { caseless, compileFilters, type Filter } from '../../../../services/region/filter/filter.ts';
import {
  COMPARISONS_LIMIT,
  canonicalText,
  DEPTH_LIMIT,
  FILTER_LIMIT_CHARACTERS,
  readFilter,
  sizeOf,
} from '../../../../services/region/filter/grammar/grammar.ts';

function read(text: string): Filter {
  const filter = readFilter(text);
  if ('problem' in filter) return assert.fail(`${text}: ${filter.position} ${filter.problem}`);
  return filter;
}

function problemOf(text: string): string {
  const filter = readFilter(text);
  return 'problem' in filter ? `${filter.position} ${filter.problem}` : assert.fail(`${text} was read`);
}

describe('grammar of filters', () => {
  const meanings: readonly (readonly [string, string])[] = [
    // The short form.
    ['category:music', '"category":["music"]'],
    ['category:music|jazz', '"category":["jazz", "music"]'],
    ['category:!music|jazz', '"category":!["jazz", "music"]'],
    ['x:!y:z', '"x":!["y:z"]'],
    ['year>=1990', '"year">="1990"'],
    ['author:author 7', '"author":["author 7"]'],
    ['release date<2e3', '"release date"<"2000"'],
    ['url:http://x.y/?a=1&b=2', '"url":["http://x.y/?a=1&b=2"]'],
    ['time:10:30', '"time":["10:30"]'],
    ['title:Star Wars: A New Hope', '"title":["Star Wars: A New Hope"]'],
    ['title:Romeo and Juliet', '"title":["Romeo and Juliet"]'],
    ['title:Alien (1979)', '"title":["Alien (1979)"]'],
    ['title:(500) Days', '"title":["(500) Days"]'],
    ['title:M*A*S*H', '"title":["M*A*S*H"]'],
    ['title:smile :)', '"title":["smile :)"]'],
    ["title:'Til Dawn", `"title":["'Til Dawn"]`],
    ['in:x', '"in":["x"]'],
    ['NOT:x', '"NOT":["x"]'],
    // As peers write it.
    ['category :music', '"category":["music"]'],
    ['category: music', '"category":["music"]'],
    ['category = music', '"category":["music"]'],
    ['category:=music', '"category":["music"]'],
    ['category!=music', '"category":!["music"]'],
    ['category:!=music', '"category":!["music"]'],
    ['category:!=[music, jazz]', '"category":!["jazz", "music"]'],
    ['category:[music,jazz]', '"category":["jazz", "music"]'],
    ['category IN ["music", jazz]', '"category":["jazz", "music"]'],
    ['category EXISTS', '"category" exists'],
    ['year:>=1990', '"year">="1990"'],
    ['year:[1985..2000]', '"year"<="2000" AND "year">="1985"'],
    ['year in [1985..2000]', '"year"<="2000" AND "year">="1985"'],
    ['year:[1985..]', '"year">="1985"'],
    ['year:[..2000]', '"year"<="2000"'],
    ['year:![1985..2000]', 'NOT ("year"<="2000" AND "year">="1985")'],
    // Quotes.
    ['pipe:"AC|DC"', '"pipe":["AC|DC"]'],
    ['"og:type":video', '"og:type":["video"]'],
    ['a:"x \\"y\\" \\\\z"|b', '"a":["b", "x \\"y\\" \\\\z"]'],
    ['a:""', '"a":[""]'],
    ['a:"AND"', '"a":["AND"]'],
    // Case, times.
    ['category~Music|Jazz', '"category"~["Jazz", "Music"]'],
    ['category ~ !music', 'NOT "category"~["music"]'],
    ['when>="2024-01-01T00:00:00Z"', '"when">="2024-01-01T00:00:00.000Z"'],
    ['when>=2024-01-01', '"when">="2024-01-01T00:00:00.000Z"'],
    ['when<2024-01-01T00:00:00 01:00', '"when"<"2023-12-31T23:00:00.000Z"'],
    ['when:[2024-01-01..2025-01-01]', '"when":["2024-01-01T00:00:00.000Z".."2025-01-01T00:00:00.000Z"]'],
    // Expressions, in canonical order.
    [
      '(category:music OR category:news) AND year<2000',
      '("category":["music"] OR "category":["news"]) AND "year"<"2000"',
    ],
    ['a:1 OR b:2 AND c:3', '"a":["1"] OR ("b":["2"] AND "c":["3"])'],
    ['c:3 AND (b:2 AND a:1) AND b:2', '"a":["1"] AND "b":["2"] AND "c":["3"]'],
    ['NOT a:1 AND b:2', '"a":!["1"] AND "b":["2"]'],
    ['NOT (a:1 OR NOT b exists)', 'NOT ("a":["1"] OR NOT "b" exists)'],
    ['NOT NOT a:1', '"a":["1"]'],
    ['(title:Alien (1979) OR x:y)', '"title":["Alien (1979)"] OR "x":["y"]'],
    ['a exists AND(b:1)OR c:2', '("a" exists AND "b":["1"]) OR "c":["2"]'],
    ['a:ANDROID OR b:NOTE', '"a":["ANDROID"] OR "b":["NOTE"]'],
  ];
  for (const [text, meaning] of meanings) {
    it(`${text} means ${meaning}`, () => {
      assert.equal(canonicalText([read(text)]), meaning);
      assert.equal(canonicalText([read(meaning)]), meaning);
    });
  }

  const refused: readonly (readonly [string, number, RegExp])[] = [
    ['', 1, /a field, an operator and a value/],
    ['category', 9, /an operator/],
    [':music', 1, /a field, an operator and a value/],
    ['category:', 10, /a value/],
    ['category:a||b', 12, /a value/],
    ['category:!', 11, /a value/],
    ['category:a|!b', 12, /one ! only/],
    ['category:!!b', 11, /one ! only/],
    ['category:a AND', 15, /a field/],
    ['category:a AND OR b:c', 16, /a comparison/],
    ['(category:a', 12, /AND, OR or \)/],
    ['(category:a))', 13, /AND, OR or the end/],
    ['year>=', 7, /a value/],
    ['year>=abc', 7, /a number or an RFC 3339 time/],
    ['year<NaN', 6, /a number/],
    ['year<1e999', 6, /a number/],
    ['year>=0x10', 7, /a number/],
    ['when>=2024-02-30', 7, /RFC 3339/],
    ['year:[1..2024-01-01]', 10, /of the same kind/],
    ['year:[..]', 9, /a value/],
    ['year:[a..b]', 7, /a number/],
    ['a:[1..2', 8, /\]/],
    ['a:[1, 2', 8, /comma/],
    ['a:[]', 4, /a value/],
    ['a:[b|c]', 5, /a comma/],
    ['a ~ [1..2]', 6, /no case/],
    ['a:"x', 3, /closing double quote/],
    ['a:"x\\ny"', 5, /backslash/],
    ['a:"b"c', 6, /AND, OR or the end/],
    // Spellings that mean something elsewhere.
    ['category == music', 11, /not another operator/],
    ['category<>music', 10, /another operator/],
    ['year:1990..2000', 6, /ranges are/],
    ['year:1990 TO 2000', 6, /ranges are/],
    ['year:[1990 TO 2000]', 7, /ranges are/],
    ['year:{1990 TO 2000}', 6, /ranges are/],
    ['year 1990 TO 2000', 18, /an operator/],
    ['year IS NULL', 13, /an operator/],
    ['category:(music OR news)', 17, /double quotes/],
    ['category:(music news)', 10, /alternatives are/],
    ["category:'music'", 10, /double quotes/],
    ['category:`music`', 10, /double quotes/],
    ['category:mus*', 10, /no wildcards/],
    ['category:*', 10, /field exists/],
    ['-category:music', 1, /NOT negates/],
    ['category!:music', 9, /after the operator/],
    ['category:music year:1990', 16, /AND or OR/],
    ['category:music year < 1990', 16, /AND or OR/],
    ['category:music and year<2000', 20, /AND or OR/],
    ['category:music && year:1990', 16, /AND, not &&/],
    ['category:music NOT year:1990', 16, /AND or OR/],
    ['radius(a, 1)', 7, /an operator/],
    ['a=b:c', 3, /double quotes/],
    ['a~b:c', 3, /double quotes/],
  ];
  for (const [text, position, problem] of refused) {
    it(`refuses ${text || 'nothing'} at character ${position}`, () => {
      assert.match(problemOf(text), new RegExp(`^${position} .*(?:${problem.source})`));
    });
  }

  it('bounds length, depth and comparisons', () => {
    const value = 'x'.repeat(FILTER_LIMIT_CHARACTERS - 2);
    assert.equal(sizeOf(read(`a:${value}`)), 1);
    assert.match(problemOf(`a:${value}x`), /at most 4096 characters/);
    const nested = (depth: number): string => `${'('.repeat(depth)}a:1${')'.repeat(depth)}`;
    assert.equal(sizeOf(read(nested(DEPTH_LIMIT))), 1);
    assert.match(problemOf(nested(DEPTH_LIMIT + 1)), /^17 at most 16/);
    assert.match(problemOf(`${'NOT '.repeat(900)}a:1`), /at most 16/);
    assert.match(problemOf('('.repeat(FILTER_LIMIT_CHARACTERS)), /at most 16/);
    const joined = (count: number): string => Array.from({ length: count }, (_, index) => `a:${index}`).join(' OR ');
    assert.equal(sizeOf(read(joined(COMPARISONS_LIMIT))), COMPARISONS_LIMIT);
    assert.match(problemOf(joined(COMPARISONS_LIMIT + 1)), /at most 128 comparisons/);
  });

  it('refuses or reads any text, and what it has read is read again from its canonical text', () => {
    const words = fc.constantFrom(
      'a:b',
      'year>1',
      'x y=1',
      '"q"~Q',
      'a in [1..2]',
      'a:![c,"d"]',
      'b exists',
      'AND',
      'OR',
      'NOT',
      '(',
      ')',
    );
    const pieces = fc.constantFrom(
      ...[
        'a',
        'b c',
        'year',
        '"q\\"x"',
        '1',
        '2.50',
        '2024-01-01',
        '..',
        '[',
        ']',
        '(',
        ')',
        '|',
        ',',
        '!',
        ':',
        '=',
        '!=',
      ],
      ...[
        '<',
        '>=',
        '~',
        ' AND ',
        ' OR ',
        'NOT ',
        ' in ',
        ' exists',
        ' ',
        '"',
        '\\',
        '*',
        '-',
        '&&',
        'é',
        'e\u0301',
        '🎷',
        '\0',
      ],
    );
    const texts = fc.oneof(
      fc.string({ unit: 'binary', maxLength: 60 }),
      fc.array(pieces, { maxLength: 30 }).map((all) => all.join('')),
      fc.array(words, { maxLength: 8 }).map((all) => all.join(' ')),
    );
    let count = 0;
    fc.assert(
      fc.property(texts, (text) => {
        const filter = readFilter(text);
        if ('problem' in filter) {
          assert.ok(filter.position >= 1 && filter.position <= text.length + 2, `${filter.position}`);
          assert.ok(filter.problem.length > 0);
          return;
        }
        count++;
        const canonical = canonicalText([filter]);
        assert.equal(canonicalText([read(canonical)]), canonical);
      }),
      { numRuns: 5_000 },
    );
    assert.ok(count > 100, `${count} were read`);
  }).timeout(60_000);

  it('without case, every character is what it is once more', () => {
    const differing: string[] = [];
    for (let point = 0; point <= 0x10ffff; point++) {
      if (point >= 0xd800 && point <= 0xdfff) continue;
      const once = caseless(String.fromCodePoint(point));
      if (caseless(once) !== once) differing.push(point.toString(16));
    }
    assert.deepEqual(differing, []);
  }).timeout(60_000);

  it('a value that a filter finds is found however it is written', () => {
    const finds = (filter: string, value: string | number | boolean | string[]): boolean =>
      compileFilters([read(filter)])({ x: value });
    for (const spelling of ['1990', '1990.0', '+1990', '1.99e3', '"1990"'])
      assert.ok(finds(`x:${spelling}`, 1990), spelling);
    assert.ok(finds('x:-0', 0));
    assert.ok(finds('x:1e21', 1e21));
    assert.ok(finds('x:4.50', 4.5));
    assert.ok(!finds('x:4.50', '4.5'));
    assert.ok(finds('x:4.50', '4.50'));
    assert.ok(finds('x:true', true));
    assert.ok(finds('x:caf\u00e9', 'cafe\u0301') && finds('x:cafe\u0301', ['tea', 'caf\u00e9']));
    assert.ok(finds('x:2024-01-01T01:00:00+01:00', '2024-01-01T00:00:00Z'));
    for (const [letters, value] of [
      ['STRASSE', 'straße'],
      ['ΟΔΥΣΣΕΥΣ', 'Οδυσσεύς'.normalize('NFD').replace('\u0301', '')],
      ['cafe\u0301', 'CAFÉ'],
      ['ǰ', 'J\u030c'],
      ['ＡＢＣ', 'abc'],
      ['ﬁn', 'FIN'],
      ['true', 'TRUE'],
    ] as const) {
      assert.ok(finds(`x~${letters}`, value), `${letters} ${value}`);
      assert.ok(!finds(`x:${letters}`, value), `${letters} ${value}`);
    }
  });
});
