import assert from 'node:assert/strict';
import fc from 'fast-check';
import { Entities } from '../../services/region/state/entities/entities.ts';
import { Vocabulary } from '../../services/region/state/text/lexicon/vocabulary.ts';
import { matchesWildcard, withinDistance } from '../../services/region/state/text/match-terms.ts';
import type { TextResult } from '../../services/region/state/text/text.ts';
import { createTextIndex } from '../../services/region/state/text/text-index.ts';
import { Refusal } from '../../shared/errors/errors.ts';
import type { Metadata } from '../../shared/protocol/events.ts';

const boosts: Readonly<Record<string, number>> = { title: 3, body: 1, tags: 1.5 };
const fields = Object.keys(boosts);
const schema = {
  textFields: Object.entries(boosts).map(([name, boost]) => ({ name, boost })),
  bm25: { k1: 1.2, b: 0.75 },
};

// Their own stems, so that the model below needs no stemmer.
const words = ['jazz', 'piano', 'rock', 'drum', 'fox', 'dog', 'ab', 'abc', 'abd'];
const text = fc.array(fc.constantFrom(...words), { maxLength: 8 }).map((chosen) => chosen.join(' '));
const metadata: fc.Arbitrary<Metadata> = fc.record({ title: text, body: text, tags: text }, { requiredKeys: [] });
const entity = fc.integer({ min: 0, max: 12 });
const change = fc.oneof(
  { weight: 3, arbitrary: fc.record({ entity, metadata }) },
  { weight: 1, arbitrary: fc.record({ entity }) },
);
const clause = fc
  .record({
    sign: fc.constantFrom('', '', '', '+', '-'),
    field: fc.constantFrom('', '', 'title:', 'body:', 'tags:'),
    word: fc.constantFrom(...words),
    suffix: fc.constantFrom('', '', '^2', '~1', '*'),
  })
  .map(({ sign, field, word, suffix }) => `${sign}${field}${suffix === '*' ? `${word.slice(0, 2)}*` : word + suffix}`);
const query = fc.array(clause, { minLength: 1, maxLength: 5 }).map((clauses) => clauses.join(' '));

type Change = { entity: number; metadata?: Metadata };

function indexAfter(changes: readonly Change[]) {
  const index = createTextIndex({ schema, entities: new Entities() });
  for (const { entity, metadata } of changes) {
    if (metadata === undefined) index.remove(entity);
    else index.put(entity, metadata);
  }
  return index;
}

function liveAfter(changes: readonly Change[]): Map<number, Metadata> {
  const live = new Map<number, Metadata>();
  for (const { entity, metadata } of changes) {
    if (metadata === undefined) live.delete(entity);
    else live.set(entity, metadata);
  }
  return live;
}

/** The formula of `text-index.ts` read over whole documents, for optional words without fields. */
function model(live: ReadonlyMap<number, Metadata>, terms: readonly string[]): TextResult {
  const wordsOf = (document: Metadata, field: string): string[] =>
    String(document[field] ?? '')
      .split(' ')
      .filter((word) => word !== '');
  const average = (field: string): number =>
    [...live.values()].reduce((sum, document) => sum + wordsOf(document, field).length, 0) / live.size;
  const hits = [...live].flatMap(([entity, document]) => {
    let score = 0;
    let matches = false;
    for (const term of terms) {
      const having = [...live.values()].filter((other) => fields.some((field) => wordsOf(other, field).includes(term)));
      let tf = 0;
      for (const field of fields) {
        const all = wordsOf(document, field);
        const frequency = all.filter((word) => word === term).length;
        if (frequency > 0) tf += (boosts[field]! * frequency) / (0.25 + (0.75 * all.length) / average(field));
      }
      if (tf === 0) continue;
      matches = true;
      score += (Math.log(1 + (live.size - having.length + 0.5) / (having.length + 0.5)) * tf * 2.2) / (1.2 + tf);
    }
    return matches ? [{ entity, score }] : [];
  });
  return { hits, total: hits.length };
}

describe('text index, whatever came before', () => {
  it('answers with the ids and the exact scores of a fresh index of the live documents in any order', () => {
    fc.assert(
      fc.property(
        fc.array(change, { maxLength: 60 }),
        fc.array(query, { minLength: 1, maxLength: 4 }),
        fc.infiniteStream(fc.nat()),
        (changes, queries, order) => {
          const grown = indexAfter(changes);
          const keyed = [...liveAfter(changes)].map(([entity, metadata]) => ({
            entity,
            metadata,
            key: order.next().value,
          }));
          const fresh = indexAfter(keyed.sort((a, b) => a.key - b.key));
          assert.equal(grown.size, fresh.size);
          for (const asked of queries) {
            assert.deepEqual(grown.search(asked, 5), fresh.search(asked, 5), asked);
            assert.deepEqual(grown.search(asked, 100), fresh.search(asked, 100), asked);
          }
        },
      ),
      { numRuns: 300 },
    );
  });

  it('scores by the formula', () => {
    fc.assert(
      fc.property(
        fc.array(change, { maxLength: 40 }),
        fc.array(fc.constantFrom(...words), { minLength: 1, maxLength: 4 }),
        (changes, terms) => {
          const expected = model(liveAfter(changes), terms);
          const { hits, total } = indexAfter(changes).search(terms.join(' '), 100);
          assert.equal(total, expected.total);
          const scores = new Map(hits.map(({ entity, score }) => [entity, score]));
          for (const { entity, score } of expected.hits) {
            const found = scores.get(entity);
            assert.ok(found !== undefined && Math.abs(found - score) < 1e-9, `${entity}: ${found}, expected ${score}`);
          }
          for (let i = 1; i < hits.length; i++) {
            const [a, b] = [hits[i - 1]!, hits[i]!];
            assert.ok(a.score > b.score || (a.score === b.score && a.entity < b.entity));
          }
        },
      ),
    );
  });

  it('answers or refuses any text as a query, and is unharmed', () => {
    const index = indexAfter(words.map((word, entity) => ({ entity, metadata: { title: word, body: 'jazz' } })));
    const before = index.search('jazz piano', 100);
    const piece = fc.constantFrom('jazz', 'title', ':', '+', '-', '~', '^', '*', '\\', ' ', '1', '2', '\u0301', '😀');
    const wild = fc.oneof(
      fc.array(piece, { maxLength: 12 }).map((pieces) => pieces.join('')),
      fc.string(),
    );
    fc.assert(
      fc.property(wild, (asked) => {
        try {
          const { hits, total } = index.search(asked, 100);
          assert.equal(hits.length, total);
          for (const { score } of hits) assert.ok(Number.isFinite(score) && score >= 0);
        } catch (error) {
          assert.ok(error instanceof Refusal && error.code === 'invalid_query', String(error));
        }
      }),
      { numRuns: 1_000 },
    );
    assert.deepEqual(index.search('jazz piano', 100), before);
  });

  it('takes any text as a document and gives all of it back', () => {
    fc.assert(
      fc.property(
        fc.array(fc.tuple(entity, fc.string({ unit: 'grapheme', maxLength: 40 })), { maxLength: 20 }),
        (puts) => {
          const index = createTextIndex({ schema, entities: new Entities() });
          for (const [entity, title] of puts) index.put(entity, { title });
          for (const [entity] of puts) index.remove(entity);
          assert.equal(index.size, 0);
          assert.deepEqual(index.search('*', 100), { hits: [], total: 0 });
        },
      ),
    );
  });
});

describe('vocabulary', () => {
  /** A vocabulary whose words are the places of texts in a list. */
  const vocabularyOf = () => {
    const texts: string[] = [];
    const vocabulary = new Vocabulary((word) => texts[word]!);
    return {
      vocabulary,
      add: (text: string) => vocabulary.add(texts.push(text) - 1),
      remove: (text: string) => vocabulary.remove(texts.lastIndexOf(text)),
      startingWith(prefix: string): string[] {
        const found: string[] = [];
        vocabulary.startingWith(prefix, (word) => found.push(texts[word]!) > 0);
        return found;
      },
    };
  };
  const byUnit = (a: string, b: string): number => (a < b ? -1 : 1);

  it('is the sorted set of its words', () => {
    const word = fc.oneof(
      fc.string({ maxLength: 3 }),
      fc.array(fc.constantFrom('a', 'b', 'þ', 'ÿ', 'Ā', '語', '\0'), { maxLength: 9 }).map((units) => units.join('')),
    );
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.boolean(), word), { maxLength: 200 }), word, (changes, prefix) => {
        const { vocabulary, ...words } = vocabularyOf();
        const set = new Set<string>();
        for (const [add, text] of changes) {
          if (add && !set.has(text)) words.add(text);
          if (!add && set.has(text)) words.remove(text);
          if (add) set.add(text);
          else set.delete(text);
        }
        const expected = [...set].filter((text) => text.startsWith(prefix)).sort(byUnit);
        assert.deepEqual(words.startingWith(prefix), expected);
        assert.equal(vocabulary.size, set.size);
      }),
    );
  });

  it('stays sorted over many blocks', () => {
    const words = vocabularyOf();
    const texts = Array.from({ length: 5_000 }, (_, i) => `t${String((i * 7_919) % 5_000).padStart(4, '0')}`);
    for (const text of texts) words.add(text);
    assert.deepEqual(words.startingWith(''), [...texts].sort(byUnit));
    assert.equal(words.startingWith('t12').length, 100);
    for (const text of texts.slice(0, 4_990)) words.remove(text);
    assert.deepEqual(words.startingWith(''), texts.slice(4_990).sort(byUnit));
  });
});

describe('matching terms', () => {
  const letters = (maxLength: number, extra = '') =>
    fc.array(fc.constantFrom(...`ab${extra}`), { maxLength }).map((chosen) => chosen.join(''));

  it('by wildcard is what the regular expression says', () => {
    fc.assert(
      fc.property(letters(8), letters(6, '*'), (term, pattern) => {
        assert.equal(matchesWildcard(term, pattern), new RegExp(`^${pattern.replaceAll('*', '.*')}$`).test(term));
      }),
      { numRuns: 1_000 },
    );
  });

  it('by edit distance is what the recurrence says', () => {
    const distance = (a: string, b: string): number => {
      if (a === '' || b === '') return a.length + b.length;
      const best = Math.min(
        distance(a.slice(1), b) + 1,
        distance(a, b.slice(1)) + 1,
        distance(a.slice(1), b.slice(1)) + (a[0] === b[0] ? 0 : 1),
      );
      const swapped = a.length > 1 && b.length > 1 && a[0] === b[1] && a[1] === b[0];
      return swapped ? Math.min(best, distance(a.slice(2), b.slice(2)) + 1) : best;
    };
    fc.assert(
      fc.property(
        letters(6, 'c'),
        fc.array(letters(6, 'c')),
        fc.constantFrom(1, 2),
        fc.boolean(),
        (word, terms, limit, sorted) => {
          const isWithin = withinDistance(word, limit);
          for (const term of sorted ? [...terms].sort() : terms) {
            assert.equal(isWithin(term), distance(term, word) <= limit, term);
          }
        },
      ),
      { numRuns: 500 },
    );
  });
});
