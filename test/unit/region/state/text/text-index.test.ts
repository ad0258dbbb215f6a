import assert from 'node:assert/strict';
import { Entities } from '../../../../../services/region/state/entities/entities.ts';
import { EXPANSION_LIMIT_WORDS } from '../../../../../services/region/state/text/query/match-words.ts';
import {
  COMPARISON_STEPS,
  POSTING_STEPS,
  QUERY_LIMIT_STEPS,
  QueryCost,
  SEVERAL_FIELDS_STEPS,
  VISIT_STEPS,
  WORD_STEPS,
} from '../../../../../services/region/state/text/query/query-cost.ts';
import type { TextIndex } from '../../../../../services/region/state/text/text.ts';
import { createTextIndex, MemoryTextIndex } from '../../../../../services/region/state/text/text-index.ts';
import { Refusal } from '../../../../../shared/errors/errors.ts';
import type { Metadata } from '../../../../../shared/protocol/events.ts';
import { lunrQuery } from '../../../../harness/region/state/text-queries.ts';

const schema = {
  textFields: [
    { name: 'title', boost: 2 },
    { name: 'body', boost: 1 },
  ],
  bm25: { k1: 1.2, b: 0.75 },
};

function indexOf(documents: Readonly<Record<number, Metadata>>): TextIndex {
  const entities = new Entities();
  const index = createTextIndex({ schema, entities, metadataOf: (ordinal) => documents[entities.entity(ordinal)] });
  for (const [entity, metadata] of Object.entries(documents)) index.put(Number(entity), metadata);
  return index;
}

const entities = (index: TextIndex, query: string): number[] =>
  index
    .rank(lunrQuery(query))
    .after(undefined, 100)
    .map(({ entity }) => entity);

function search(index: TextIndex, query: string, limit: number) {
  const ranking = index.rank(lunrQuery(query));
  return { hits: ranking.after(undefined, limit), total: ranking.total };
}

function refusalOf(index: TextIndex, query: string): Refusal {
  try {
    index.rank(lunrQuery(query));
  } catch (error) {
    assert.ok(error instanceof Refusal, String(error));
    assert.equal(error.code, 'invalid_query');
    return error;
  }
  assert.fail(`"${query}" was not refused`);
}

const music = {
  1: { title: 'Jazz Piano', body: 'piano, piano & the blues' },
  2: { title: 'rock', body: 'Loud guitars!' },
  3: { title: ['Blues', 'Guitar'], year: 1990 },
};

describe('text index: scores', () => {
  // By hand from the formula in text-index.ts: N = 3, lengths title 2, 1, 2 and body 3, 2, 0, averages 5/3 and,
  // since two documents have a body, 5/2.
  const expected: [query: string, scores: Record<number, number>][] = [
    // ln(8/3) · tf · 2.2 / (1.2 + tf), tf = 2/(0.25 + 0.75·2·3/5) + 2/(0.25 + 0.75·3·2/5)
    ['piano', { 1: 1.6043303766734556 }],
    ['title:piano', { 1: 1.276819145932425 }],
    // ln(1.6), because two of three have it; tf = 1/1.15 and 2/1.15
    ['blues', { 1: 0.4344571362775708, 3: 0.6118390439885317 }],
    ['blues guitar^3', { 1: 0.4344571362775708, 2: 1.5356554222880472, 3: 2.447356175954127 }],
  ];
  for (const [query, scores] of expected) {
    it(query, () => {
      const { hits, total } = search(indexOf(music), query, 10);
      assert.equal(total, Object.keys(scores).length);
      assert.equal(hits.length, total);
      for (const { entity, score } of hits) {
        assert.ok(Math.abs(score - scores[entity]!) < 1e-9, `${entity}: ${score}`);
      }
    });
  }

  it('is plain BM25 for one field of boost 1', () => {
    const index = createTextIndex({
      schema: { textFields: [{ name: 'a', boost: 1 }], bm25: { k1: 2, b: 0 } },
      entities: new Entities(),
    });
    index.put(1, { a: 'fox fox fox' });
    index.put(2, { a: 'dog' });
    // ln(1 + 1.5/1.5) · 3 · 3 / (2 + 3)
    assert.ok(Math.abs(search(index, 'fox', 1).hits[0]!.score - (Math.LN2 * 9) / 5) < 1e-12);
  });

  it('does not take a field for long because few documents have it', () => {
    const index = indexOf({ 1: { title: 'fox' }, 2: { body: 'fox' } });
    for (let i = 10; i < 100; i++) index.put(i, { body: 'dog' });
    assert.deepEqual(entities(index, 'fox'), [1, 2]);
  });

  it('orders by score, ties by entity id, and counts what the limit leaves out', () => {
    const index = indexOf({
      9: { title: 'fox' },
      2: { title: 'fox' },
      5: { title: 'fox fox' },
      7: { title: 'dog' },
    });
    assert.deepEqual(entities(index, 'fox'), [5, 2, 9]);
    const { hits, total } = search(index, 'fox', 2);
    assert.deepEqual([hits.map(({ entity }) => entity), total], [[5, 2], 3]);
  });

  it('prefers the field with the higher boost', () => {
    const index = indexOf({ 1: { title: 'a1', body: 'fox' }, 2: { title: 'fox', body: 'a1' } });
    assert.deepEqual(entities(index, 'fox'), [2, 1]);
    assert.deepEqual(entities(index, 'a1'), [1, 2]);
  });
});

describe('text index: query language', () => {
  const index = indexOf({
    1: { title: 'Running with foxes', body: 'jazz piano', tags: 'ignored' },
    2: { title: 'He runs', body: 'jazz guitar' },
    3: { title: 'Café Müller', body: 'война и мир' },
    4: { title: "rock/pop don't", body: ['drum', 'piano roll'] },
    5: { title: 10, body: true },
  });
  const cases: [query: string, found: number[]][] = [
    ['run', [1, 2]],
    ['RUNNING', [1, 2]],
    ['fox', [1]],
    ['jazz guitar', [2, 1]],
    ['+jazz +piano', [1]],
    ['jazz -guitar', [1]],
    ['-jazz', [3, 4, 5]],
    ['+piano roll', [4, 1]],
    ['+jazz +missing', []],
    ['+jazz +fox -runs', []],
    ['title:jazz', []],
    ['body:jazz', [1, 2]],
    ['+body:jazz +title:foxes', [1]],
    ['-title:run piano', [4]],
    ['jaz*', [1, 2]],
    ['*azz', [1, 2]],
    ['g*r', [2]],
    ['title:g*', []],
    ['+j*z -gu*', [1]],
    ['guitsr~1', [2]],
    ['gtuiar~1', []],
    ['gtuiar~2', [2]],
    ['giutar~1', [2]],
    ['piano~0', [1, 4]],
    ['guitar^0 piano', [1, 4, 2]],
    ['café', [3]],
    ['cafe\u0301', [3]],
    ['ВОЙНА', [3]],
    ['müller', [3]],
    ['rock\\/pop', [4]],
    ["don't", [4]],
    ['10', [5]],
    ['true', [5]],
    ['piano-roll', [4, 1]],
    ['"jazz piano"', [1]],
    ['"piano jazz"', []],
    ['+body:"piano roll"', [4]],
    ['title:"jazz piano"', []],
    ['jazz -"jazz PIANOS"', [2]],
    ['"running with fox"^2 guitar', [1, 2]],
    ['"drum piano"', []],
    ['"jazz \\"piano\\""', [1]],
    ['"jazz"', [1, 2]],
    ['ignored', []],
    // By the words as they were written, which stand for all that have their term.
    ['runn*', [1, 2]],
    ['+runnin* -guitar', [1]],
    ['foxxes~1', [1]],
    ['foxes~1', [1]],
    ['rins~1', [1, 2]],
    ['\\"jazz', [1, 2]],
    ['the', []],
    ['+the jazz', [1, 2]],
    ['...', []],
    ['', []],
    ['   ', []],
    ['constructor __proto__ toString', []],
  ];
  for (const [query, found] of cases) {
    it(JSON.stringify(query), () => {
      const { hits, total } = search(index, query, 100);
      assert.equal(total, found.length);
      assert.deepEqual(new Set(hits.map(({ entity }) => entity)), new Set(found));
      if (query.includes(' ')) assert.equal(hits[0]?.entity, found[0]);
    });
  }

  const refused: [query: string, detail: RegExp][] = [
    ['artist:miles', /unrecognised field 'artist', possible fields: 'title', 'body'/],
    ['10:30', /unrecognised field '10'/],
    ['title:', /expecting term/],
    ['jazz +', /expecting term or field, found nothing/],
    ['~1', /expected either a field or a term/],
    ['jazz~', /"~" is not a number/],
    ['jazz^x', /"\^x" is not a number/],
    ['jazz^1.5', /"\^1\.5" is not a number/],
    ['jazz~1x piano', /"~1x" is not a number/],
    ['jazz~3', /edit distance of "jazz" is 3/],
    ['jaz*~1', /wildcard and an edit distance/],
    ['jazz^1001', /boost of "jazz" is too large/],
    [`jazz^${'9'.repeat(400)}`, /boost of "jazz" is too large/],
    ['a'.repeat(1_001), /1001 characters/],
    ['jazz '.repeat(33), /33 words/],
    ['j* '.repeat(9), /9 words with a wildcard/],
    ['title:"jazz', /a quotation mark does not belong to a phrase/],
    ['jazz" piano"', /a quotation mark does not belong to a phrase/],
    ['"jazz"piano', /a quotation mark does not belong to a phrase/],
    ['""', /a quotation mark does not belong to a phrase/],
    ['"jazz piano"~2', /the phrase "jazz piano" has an edit distance/],
  ];
  for (const [query, detail] of refused) {
    it(`refuses ${JSON.stringify(query.slice(0, 30))}`, () => {
      const refusal = refusalOf(index, query);
      assert.match(refusal.message, detail);
      assert.match(refusal.extras.hint!, /fields: title, body$/);
    });
  }

  it('takes the longest query there may be', () => {
    assert.deepEqual(entities(index, `${'jazz '.repeat(31)}jazz`), [1, 2]);
    assert.deepEqual(entities(index, 'a'.repeat(1_000)), []);
  });

  it('expands a wildcard to all words, and says so if there are too many: those of the most documents, then alphabetically', () => {
    const wide = createTextIndex({ schema, entities: new Entities() });
    for (let i = EXPANSION_LIMIT_WORDS - 1; i >= 0; i--) wide.put(i, { title: `term${String(i).padStart(3, '0')}` });
    assert.equal(wide.rank(lunrQuery('term*')).total, EXPANSION_LIMIT_WORDS);
    assert.deepEqual(wide.rank(lunrQuery('term*')).relaxed, []);
    for (let i = 0; i < 9; i++) wide.put(1_000 + i, { title: 'terminus' });
    const ranking = wide.rank(lunrQuery('term*'));
    assert.equal(ranking.total, EXPANSION_LIMIT_WORDS + 8);
    assert.deepEqual(ranking.relaxed, ['expansions:term*']);
    assert.equal(entities(wide, 'ter*us').length, 9);
    const found = ranking.after(undefined, 1_000).map(({ entity }) => entity);
    assert.ok(found.includes(0) && found.includes(1_008) && !found.includes(EXPANSION_LIMIT_WORDS - 1));
    wide.remove(0);
    assert.deepEqual(wide.rank(lunrQuery('term*')).relaxed, []);
  });
});

describe('text index: completions and significant terms of a document', () => {
  const index = indexOf({
    1: { title: 'Running', body: 'the runner runs' },
    2: { title: 'runs', body: 'runway' },
    3: { title: 'He runs', body: 'Russia' },
    4: { title: 'New York', body: 'Yorkshire pudding' },
  });

  it('completes the last word, one spelling of a term, most documents first', () => {
    assert.deepEqual(index.suggest('ru', 10), [
      { completion: 'runs', documents: 3 },
      { completion: 'runner', documents: 1 },
      { completion: 'runway', documents: 1 },
      { completion: 'russia', documents: 1 },
    ]);
    assert.deepEqual(index.suggest('RUN', 1), [{ completion: 'runs', documents: 3 }]);
    assert.deepEqual(index.suggest('runn', 2)[1], { completion: 'running', documents: 1 });
  });

  it('keeps the text before the last word', () => {
    assert.deepEqual(
      index.suggest('New "yo', 5).map(({ completion }) => completion),
      ['New "york', 'New "yorkshire'],
    );
  });

  it('has nothing for what is no beginning of a word', () => {
    for (const prefix of ['', ' ', 'jazz ', 'the', 'xyz', '...', 'a'.repeat(300)]) {
      assert.deepEqual(index.suggest(prefix, 5), [], JSON.stringify(prefix));
    }
  });

  it('follows frequent words as they are added and removed', () => {
    const many = indexOf({});
    for (let i = 0; i < 40; i++) many.put(i, { title: i < 20 ? 'berlin' : 'bern' });
    for (let i = 0; i < 30; i++) many.put(100 + i, { title: `be${String.fromCharCode(97 + (i % 26))}${i}` });
    many.put(7, { title: 'bern' });
    assert.deepEqual(many.suggest('be', 2), [
      { completion: 'bern', documents: 21 },
      { completion: 'berlin', documents: 19 },
    ]);
    for (let i = 0; i < 17; i++) many.remove(i);
    assert.deepEqual(many.suggest('be', 2)[1], { completion: 'berlin', documents: 3 });
    assert.equal(many.suggest('be', 50).length, 32);
  });

  it('finds the significant terms of a document, as a query for similar ones', () => {
    const films = indexOf({
      1: { title: 'jazz trumpet', body: 'a film about a trumpet in Paris' },
      2: { title: 'trumpet', body: 'a film' },
      3: { title: 'Paris', body: 'a film' },
      4: { title: 'war', body: 'a film' },
    });
    // No other document has `jazz`; `film`, which all have, is the least significant.
    assert.deepEqual(
      films.significantTerms(1, 5).map(({ term }) => term),
      ['trumpet', 'pari', 'film'],
    );
    assert.deepEqual(films.significantTerms(1, 1).length, 1);
    assert.deepEqual(films.significantTerms(99, 5), []);
    const alike = films.rank(films.significantTerms(1, 2)).after(undefined, 10);
    assert.deepEqual(
      alike.map(({ entity }) => entity),
      [1, 2, 3],
    );
  });

  it('explains a score term by term', () => {
    const parts = indexOf(music).rank(lunrQuery('title:piano blues^2 -rock')).explain(1);
    assert.deepEqual(
      parts.map(({ term }) => term),
      ['title:piano', 'blue'],
    );
    // By hand as above: ln(8/3) · …, and twice ln(1.6) · …
    assert.ok(Math.abs(parts[0]!.part - 1.276819145932425) < 1e-9);
    assert.ok(Math.abs(parts[1]!.part - 2 * 0.4344571362775708) < 1e-9);
    for (const { value, weight, part } of parts) assert.equal(part, weight * value);
    assert.deepEqual(indexOf(music).rank(lunrQuery('piano')).explain(2), []);
    assert.deepEqual(indexOf(music).rank(lunrQuery('piano')).explain(77), []);
  });
});

describe('text index: what a query may cost', () => {
  const DOCUMENTS = 2_000;
  const text = new MemoryTextIndex({ schema, entities: new Entities() });
  for (let i = 0; i < DOCUMENTS; i++) text.put(i, { title: `common w${i.toString(36)}a`, body: 'common' });

  const costOf = (query: string): number => {
    text.rank(lunrQuery(query));
    return text.lastCost.spent;
  };

  it('a term costs its documents, more where it is in several fields or a field is asked for', () => {
    assert.equal(costOf('common'), DOCUMENTS * (POSTING_STEPS + SEVERAL_FIELDS_STEPS));
    assert.equal(costOf('title:common'), DOCUMENTS * (POSTING_STEPS + SEVERAL_FIELDS_STEPS));
    assert.equal(costOf('w5a'), POSTING_STEPS);
    assert.equal(costOf('missing'), 0);
    assert.equal(costOf('-missing'), DOCUMENTS * POSTING_STEPS);
  });

  it('a wildcard or fuzzy word costs the words it skips, and those it compares', () => {
    // No word has all of these letters.
    // Once among all words, and once among those of eight documents and more.
    assert.equal(costOf('*kzqv'), (DOCUMENTS + 2) * WORD_STEPS);
    assert.equal(costOf('w*'), DOCUMENTS * VISIT_STEPS + EXPANSION_LIMIT_WORDS);
    assert.ok(costOf('w*a') >= DOCUMENTS * COMPARISON_STEPS);
    assert.ok(
      costOf('common~2') < DOCUMENTS * (WORD_STEPS + 1) + DOCUMENTS * (POSTING_STEPS + SEVERAL_FIELDS_STEPS) + 100,
    );
  });

  it('is refused beyond the limit, in words or in documents', () => {
    const cost = new QueryCost();
    cost.spend(QUERY_LIMIT_STEPS);
    assert.throws(
      () => cost.spend(1),
      (error) => error instanceof Refusal && error.code === 'invalid_query',
    );
    const refused = Array.from({ length: 32 }, () => 'common').join(' ');
    const large = new MemoryTextIndex({ schema, entities: new Entities() });
    const limit = QUERY_LIMIT_STEPS / 32 / (POSTING_STEPS + SEVERAL_FIELDS_STEPS);
    for (let i = 0; i < limit; i++) large.put(i, { title: 'common', body: 'common' });
    assert.equal(large.rank(lunrQuery(refused)).total, Math.ceil(limit));
    large.put(1_000_000, { title: 'common', body: 'common' });
    assert.throws(() => large.rank(lunrQuery(refused)), /matches too many words or documents/);
    assert.equal(large.rank(lunrQuery('common')).total, Math.ceil(limit) + 1);
  });
});

describe('text index: changes', () => {
  it('are seen by the next search', () => {
    const index = createTextIndex({ schema, entities: new Entities() });
    assert.deepEqual(search(index, 'jazz', 10), { hits: [], total: 0 });
    index.put(1, { title: 'jazz' });
    assert.deepEqual(entities(index, 'jazz'), [1]);
    index.put(1, { title: 'rock' });
    assert.deepEqual([entities(index, 'jazz'), entities(index, 'rock'), entities(index, 'ja*')], [[], [1], []]);
    assert.equal(index.size, 1);
    index.remove(1);
    index.remove(1);
    assert.deepEqual([entities(index, 'rock'), entities(index, '-jazz'), index.size], [[], [], 0]);
  });

  it('keeps entities beyond 32 bits apart', () => {
    const index = indexOf({
      1: { title: 'fox' },
      [Number.MAX_SAFE_INTEGER]: { title: 'fox' },
      4294967297: { title: 'fox' },
    });
    assert.deepEqual(entities(index, 'fox'), [1, 4294967297, Number.MAX_SAFE_INTEGER]);
  });

  it('grows beyond its first slots and uses them again', () => {
    const index = createTextIndex({ schema, entities: new Entities() });
    for (let round = 0; round < 3; round++) {
      for (let i = 0; i < 3_000; i++) index.put(i, { title: `word${i % 7} round${round}`, body: `only${i}` });
      assert.equal(index.rank(lunrQuery('word3')).total, 429);
      assert.deepEqual(entities(index, 'only2999'), [2999]);
      for (let i = 0; i < 3_000; i += 2) index.remove(i);
      assert.equal(index.rank(lunrQuery(`round${round}`)).total, 1_500);
    }
  });

  it('takes a document of one long run of punctuation', () => {
    const index = indexOf({ 1: { title: `a${'!'.repeat(200_000)}b jazz` } });
    assert.deepEqual(entities(index, 'jazz'), [1]);
  });
});
