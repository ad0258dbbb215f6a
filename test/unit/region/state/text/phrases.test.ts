/** Phrases and synonyms: what they may cost, how much of it in one turn, and what they add to a score. */
import assert from 'node:assert/strict';
import { Entities } from '../../../../../services/region/state/entities/entities.ts';
import { Synonyms, type TextQuery } from '../../../../../services/region/state/text/query/query.ts';
import { QUERY_LIMIT_STEPS } from '../../../../../services/region/state/text/query/query-cost.ts';
import type { RunSteps } from '../../../../../services/region/state/text/text.ts';
import { MemoryTextIndex } from '../../../../../services/region/state/text/text-index.ts';
import type { Metadata } from '../../../../../shared/protocol/events.ts';
import { lunrQuery, plainQuery } from '../../../../harness/region/state/text-queries.ts';

type Rules = readonly { readonly words: readonly string[]; readonly find?: readonly string[] }[];

class Catalog {
  readonly text: MemoryTextIndex;
  reads = 0;
  private readonly documents = new Map<number, Metadata>();

  constructor(documents: Readonly<Record<number, Metadata>>, synonyms: Rules = []) {
    const entities = new Entities();
    const metadataOf = (ordinal: number): Metadata | undefined => {
      this.reads++;
      return this.documents.get(entities.entity(ordinal));
    };
    const textFields = ['title', 'body'].map((name) => ({ name, boost: 1 }));
    const schema = { textFields, bm25: { k1: 1.2, b: 0.75 }, synonyms };
    this.text = new MemoryTextIndex({ schema, entities, metadataOf });
    for (const [entity, metadata] of Object.entries(documents)) {
      this.documents.set(Number(entity), metadata);
      this.text.put(Number(entity), metadata);
    }
  }

  find(query: string, matching?: 'all'): { ids: number[]; scores: number[]; relaxed: readonly string[] } {
    const ranking = this.text.rank(plainQuery(query, matching));
    const hits = ranking.after(undefined, 100);
    return {
      ids: hits.map(({ entity }) => entity),
      scores: hits.map(({ score }) => score),
      relaxed: ranking.relaxed,
    };
  }

  /** Postings listed and looked up in each step of reading a query. */
  lookupsOf(query: TextQuery): number[] {
    const { postings } = this.text.index;
    let count = 0;
    const [find, listBlock] = [postings.find, postings.listBlock];
    postings.find = (...of) => {
      count++;
      return find.apply(postings, of);
    };
    postings.listBlock = (term, block, documents) => {
      const before = documents.length;
      listBlock.call(postings, term, block, documents);
      count += documents.length - before;
    };
    const turns: number[] = [];
    const run: RunSteps = (_, begin) => {
      const steps = begin();
      for (;;) {
        count = 0;
        const { done, value } = steps.next();
        turns.push(count);
        if (done === true) return value;
      }
    };
    this.text.rank(query, undefined, run);
    Object.assign(postings, { find, listBlock });
    return turns;
  }
}

function numbered(count: number, of: (at: number) => Metadata): Record<number, Metadata> {
  return Object.fromEntries(Array.from({ length: count }, (_, at) => [at, of(at)]));
}

const letters = ['alpha', 'beta', 'gamma', 'delta', 'epsilon', 'zeta', 'eta', 'theta', 'iota'];
/** Pairs of words that no text has in that order. */
const reversed = letters.flatMap((second, at) => letters.slice(at + 1).map((first) => `${first} ${second}`));
const sum = (counts: readonly number[]): number => counts.reduce((all, count) => all + count, 0);

describe('phrases: what a turn does, and a query', () => {
  const DOCUMENTS = 3_000;
  // No text has the words of a phrase in one row, most documents have them.
  const many = new Catalog(numbered(DOCUMENTS, (at) => ({ title: letters.join(' '), body: `body of${at}` })));

  it('a turn lists one block, and looks up few documents', () => {
    const apart = new Catalog(numbered(DOCUMENTS, (at) => ({ title: at % 2 === 0 ? 'even even' : 'odd', body: 'x' })));
    for (const query of [plainQuery('"even odd"'), lunrQuery('"even odd"')]) {
      const turns = apart.lookupsOf(query);
      // Each document of one word is listed once, and looked up in the other.
      assert.equal(sum(turns), DOCUMENTS);
      assert.ok(Math.max(...turns) <= 1_024, `${Math.max(...turns)}`);
    }
    for (const query of [plainQuery('"alpha"'), plainQuery('"zeta eta"'), lunrQuery('"eta zeta"')]) {
      const turns = many.lookupsOf(query);
      assert.ok(Math.max(...turns) <= 1_024, `${query.text}: ${Math.max(...turns)}`);
    }
  });

  it('all phrases of a query together keep to its limit', () => {
    const phrases = reversed.slice(0, 31).map((pair) => `"${pair}"`);
    for (const query of [plainQuery(phrases.join(' ')), plainQuery(phrases.join(' '), 'any')]) {
      const turns = many.lookupsOf(query);
      assert.ok(Math.max(...turns) <= 1_024, `${Math.max(...turns)}`);
      assert.ok(many.text.lastCost.spent <= 1.1 * QUERY_LIMIT_STEPS, `${many.text.lastCost.spent}`);
      assert.ok(sum(turns) <= QUERY_LIMIT_STEPS / 10, `${sum(turns)}`);
      const { relaxed } = many.text.rank(query);
      assert.ok(relaxed.includes(`phrase:${phrases.at(-1)}`), relaxed.join());
    }
  });

  it('a long text is read in many turns, and comparing it is limited', () => {
    const WORDS = 20_000;
    const long = new Catalog({
      1: { title: `${'echo '.repeat(WORDS)}`, body: 'last' },
      2: { title: 'echo echo last' },
    });
    const turns = (query: string): number => long.lookupsOf(plainQuery(query)).length;
    assert.ok(turns('"echo last"') >= (2 * WORDS) / 512);
    assert.deepEqual(long.find('"echo last"').ids, [2]);
    assert.deepEqual(long.find('"echo echo last"').relaxed, []);
    // Each place of the text may begin each word of the phrase: 150 · 20,000 comparisons.
    const { ids, relaxed } = long.find(`"${'echo '.repeat(150)}last"`);
    assert.deepEqual([ids, relaxed], [[], [`phrase:"${'echo '.repeat(150)}last"`]]);
    assert.ok(long.text.lastCost.spent <= QUERY_LIMIT_STEPS, `${long.text.lastCost.spent}`);
  });

  it('a phrase that is a synonym of a word too is looked for once', () => {
    const rules = [{ words: ['redbull', 'red bull'] }];
    const drinks = { 1: { title: 'Red Bull' }, 2: { title: 'bull red' }, 3: { title: 'Redbull' } };
    const catalog = new Catalog(drinks, rules);
    for (const query of ['"red bull"', 'redbull', 'redbull "red bull" title:x', '"red bull" redbull -"red bull"']) {
      catalog.reads = 0;
      catalog.find(query);
      assert.equal(catalog.reads, 2, query);
    }
  });
});

describe('synonyms: what they may cost, and add', () => {
  it('of a query have a share of its limit, and leave the rest to what was typed', () => {
    const tv = { words: ['tv'], find: reversed.slice(0, 30) };
    const documents = {
      ...numbered(3_000, () => ({ title: letters.join(' ') })),
      5000: { title: 'tv' },
      5001: { title: 'tv guitars loud' },
      5002: { title: 'tv piano' },
      5003: { title: 'zeta eta' },
    };
    const catalog = new Catalog(documents, [tv]);
    const plain = catalog.find('tv');
    assert.deepEqual([plain.ids.slice(0, 3), plain.relaxed], [[5_000, 5_002, 5_001], ['synonyms:tv']]);
    // Completion, correction, and a phrase: all are affordable after the synonyms.
    assert.equal(catalog.find('tv gui').ids[0], 5_001);
    assert.equal(catalog.find('tv piaon').ids[0], 5_002);
    const { ids, relaxed } = catalog.find('tv "guitars loud"');
    assert.deepEqual([ids, relaxed], [[5_001], ['synonyms:tv']]);
  });

  it('of single words have that share, too', () => {
    const words = Array.from({ length: 32 }, (_, at) => `word${at}x`);
    const documents = {
      ...numbered(12_000, () => ({ title: words.join(' '), body: words.join(' ') })),
      20000: { title: 'tv' },
      20001: { title: 'of tv' },
    };
    const { text } = new Catalog(documents, [{ words: ['tv'], find: words }]);
    const ranking = text.rank(plainQuery('tv'));
    const first = ranking.after(undefined, 3).map(({ entity }) => entity);
    assert.deepEqual(first.slice(0, 2).toSorted(), [20_000, 20_001]);
    assert.deepEqual(ranking.relaxed, ['synonyms:tv']);
    assert.ok(text.lastCost.spent <= QUERY_LIMIT_STEPS / 4 + 100, `${text.lastCost.spent}`);
  });

  it('are read once at the start, however many rules share them', () => {
    const { lexicon } = new Catalog({}).text.index;
    const words = Array.from({ length: 32 }, (_, at) => `word${at}x`);
    let calls = 0;
    const counting = {
      analysis: lexicon.analysis,
      asksOf: (...of: Parameters<typeof lexicon.asksOf>) => {
        calls++;
        return lexicon.asksOf(...of);
      },
    };
    const synonyms = new Synonyms([{ words }, { words: [...words].reverse() }, { words: words.slice(1) }], counting);
    assert.equal(calls, 32);
    assert.equal(synonyms.among(['word0x'], 0)[0]!.texts.length, 31);
  });

  it('score where the query has them in another field', () => {
    const films = { 1: { title: 'x', body: 'film' }, 2: { title: 'film' } };
    const catalog = new Catalog(films, [{ words: ['film', 'movie'] }]);
    const { ids, scores } = catalog.find('title:film movie');
    assert.deepEqual(ids.toSorted(), [1, 2]);
    assert.ok(scores.every((score) => score > 0));
    // Excluded, it is not asked for.
    assert.ok(catalog.find('movie -title:film').scores.every((score) => score > 0));
  });

  it('do not change the score of a phrase that was typed, nor of what it is found by', () => {
    const drinks = {
      1: { title: 'red bull' },
      2: { title: 'redbull' },
      3: { title: 'red bull and red bull', body: 'redbull' },
      4: { title: 'red cow' },
    };
    const plain = new Catalog(drinks).find('"red bull"');
    const { ids, scores } = new Catalog(drinks, [{ words: ['redbull', 'red bull'] }]).find('"red bull"');
    assert.deepEqual(plain.ids.toSorted(), [1, 3]);
    assert.deepEqual(ids.slice(0, 2), plain.ids);
    assert.deepEqual(scores.slice(0, 2), plain.scores);
    assert.equal(ids[2], 2);
    assert.ok(scores[2]! < Math.min(...plain.scores));
  });

  it('beyond those that are used are reported, of a phrase', () => {
    const list = (letter: string): string[] => Array.from({ length: 20 }, (_, at) => `${letter}${at}x`);
    const rules = [{ words: ['one', ...list('m')] }, { words: ['two', ...list('n')] }];
    const catalog = new Catalog({ 1: { title: 'one two' }, 2: { title: 'm3x two' } }, rules);
    assert.deepEqual(catalog.find('"one two"').relaxed, ['synonyms:"one two"']);
    assert.deepEqual(catalog.find('"one three"').relaxed, []);
    assert.deepEqual(catalog.find('"one three two"').ids, []);
    // Spellings of one text are one.
    const spelt = { words: ['tv'], find: ['Televisions', 'television', 'TELEVISION', 'tele vision', 'Tele-Vision'] };
    const { text } = new Catalog({ 1: { title: 'a television' } }, [spelt]);
    const { synonyms } = text as unknown as { synonyms: Synonyms };
    assert.deepEqual(synonyms.among(['tv'], 0)[0]!.texts, ['Televisions', 'tele vision', 'Tele-Vision']);
  });

  it('of several words share their documents', () => {
    const documents = numbered(100, (at) => ({ title: at % 3 === 0 ? 'big red bull' : 'redbull' }));
    const { text } = new Catalog(documents, [{ words: ['redbull', 'big red bull'] }]);
    const { terms } = text.expand(plainQuery('redbull')).clauses[0]!;
    const sets = terms.flatMap(({ only }) => (only === undefined ? [] : [only]));
    assert.deepEqual([terms.length, sets.length, new Set(sets).size], [4, 3, 1]);
  });

  it('that a later page cannot find any more are reported there, and no others', () => {
    const drinks = numbered(8, (at) => ({ title: ['red bull', 'redbull', 'tv', 'television'][at % 4]! }));
    const first = new Catalog(drinks, [{ words: ['redbull', 'red bull'] }, { words: ['tv', 'television'] }]);
    const later = new Catalog(drinks);
    const relaxed = (query: string): readonly string[] => {
      const page = first.text.rank(plainQuery(query));
      assert.deepEqual(page.relaxed, []);
      return later.text.rank(plainQuery(query), undefined, undefined, page.statistics()).relaxed;
    };
    assert.deepEqual(relaxed('redbull'), ['synonyms:redbull']);
    // Their terms are known.
    assert.deepEqual(relaxed('tv'), []);
    // What the first page did not use, nothing says any more.
    const unused = new Catalog(drinks, [{ words: ['tv'], find: ['red bull'] }]);
    const page = new Catalog(drinks).text.rank(plainQuery('tv')).statistics();
    assert.deepEqual(unused.text.rank(plainQuery('tv'), undefined, undefined, page).relaxed, ['synonyms:tv']);
    assert.deepEqual(later.text.rank(plainQuery('tv'), undefined, undefined, page).relaxed, []);
  });
});
