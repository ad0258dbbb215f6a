import assert from 'node:assert/strict';
import fc from 'fast-check';
import { compareScored } from '../../services/region/scored/scored.ts';
import { Entities } from '../../services/region/state/entities/entities.ts';
import type { Selection } from '../../services/region/state/filter-index/filter-index.ts';
import { Vocabulary } from '../../services/region/state/text/lexicon/vocabulary.ts';
import { matchesWildcard, withinDistance } from '../../services/region/state/text/query/match-words.ts';
import type { TextIndex } from '../../services/region/state/text/text.ts';
import { createTextIndex } from '../../services/region/state/text/text-index.ts';
import { Refusal } from '../../shared/errors/errors.ts';
import type { Metadata } from '../../shared/protocol/events.ts';
import { selectionOf } from '../harness/region/state/selections.ts';
import { lunrQuery } from '../harness/region/state/text-queries.ts';

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

function indexAfter(changes: readonly Change[], entities = new Entities()): TextIndex {
  const index = createTextIndex({ schema, entities });
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

const clauseOf = (text: string) => {
  const [, sign, field, stem, suffix] = /^([+-]?)(?:(\w+):)?([a-z]+)(.*)$/.exec(text)!;
  return { sign, inFields: field === undefined ? fields : [field], stem: stem!, suffix };
};

/** The formula of `text-index.ts` read over whole documents, clause by clause. */
function model(live: ReadonlyMap<number, Metadata>, asked: string): { entity: number; score: number }[] {
  const wordsOf = (document: Metadata, field: string): string[] =>
    String(document[field] ?? '')
      .split(' ')
      .filter((word) => word !== '');
  const average = (field: string): number => {
    const lengths = [...live.values()]
      .map((document) => wordsOf(document, field).length)
      .filter((length) => length > 0);
    return lengths.reduce((sum, length) => sum + length, 0) / lengths.length;
  };
  const share = (document: Metadata, term: string, inFields: readonly string[], boost: number): number | undefined => {
    const having = [...live.values()].filter((other) => fields.some((field) => wordsOf(other, field).includes(term)));
    let tf = 0;
    for (const field of inFields) {
      const all = wordsOf(document, field);
      const frequency = all.filter((word) => word === term).length;
      if (frequency > 0) tf += (boosts[field]! * frequency) / (0.25 + (0.75 * all.length) / average(field));
    }
    if (tf === 0) return undefined;
    return (boost * Math.log(1 + (live.size - having.length + 0.5) / (having.length + 0.5)) * tf * 2.2) / (1.2 + tf);
  };
  const oneEdit = (a: string, b: string): boolean => withinDistance(a, 1)(b);
  const written = new Set(
    [...live.values()].flatMap((document) => fields.flatMap((field) => wordsOf(document, field))),
  );
  const clauses = asked.split(' ').map(clauseOf);
  return [...live].flatMap(([entity, document]) => {
    let score = 0;
    let matches = clauses.every(({ sign }) => sign === '-');
    for (const { sign, inFields, stem, suffix } of clauses) {
      const terms = [...written].filter((word) => {
        if (suffix === '*') return word.startsWith(stem);
        return word === stem || (suffix === '~1' && oneEdit(stem, word));
      });
      const shares = terms.map((term) => share(document, term, inFields, suffix === '^2' ? 2 : 1));
      const found = shares.some((part) => part !== undefined);
      if (sign === '-' ? found : sign === '+' && !found) return [];
      if (sign === '-') continue;
      matches ||= found;
      for (const part of shares) score += part ?? 0;
    }
    return matches ? [{ entity, score }] : [];
  });
}

const all = (index: TextIndex, asked: string, selection?: Selection) =>
  index.rank(lunrQuery(asked), selection).after(undefined, 1_000);

describe('text index, after any history', () => {
  it('answers as a fresh index of the live documents in any order does, bit for bit', () => {
    fc.assert(
      fc.property(
        fc.array(change, { maxLength: 60 }),
        fc.array(query, { minLength: 1, maxLength: 4 }),
        fc.infiniteStream(fc.nat()),
        (changes, queries, order) => {
          const grown = indexAfter(changes);
          const live = liveAfter(changes);
          const keyed = [...live].map(([entity, metadata]) => ({ entity, metadata, key: order.next().value }));
          const fresh = indexAfter(keyed.sort((a, b) => a.key - b.key));
          assert.equal(grown.size, fresh.size);
          for (const asked of queries) {
            const [a, b] = [grown.rank(lunrQuery(asked)), fresh.rank(lunrQuery(asked))];
            assert.deepEqual(a.after(undefined, 3), b.after(undefined, 3), asked);
            assert.deepEqual(a.after(undefined, 100), b.after(undefined, 100), asked);
            assert.equal(a.total, b.total);
            for (const entity of live.keys()) assert.deepEqual(a.explain(entity), b.explain(entity));
          }
          for (const prefix of ['a', 'p', 'ja', 'fox']) {
            assert.deepEqual(grown.suggest(prefix, 3), fresh.suggest(prefix, 3));
          }
          for (const entity of live.keys()) {
            assert.deepEqual(grown.significantTerms(entity, 4), fresh.significantTerms(entity, 4));
          }
        },
      ),
      { numRuns: 300 },
    );
  });

  it('matches and scores by the formula, explains what it scored, and keeps to the selection', () => {
    fc.assert(
      fc.property(fc.array(change, { maxLength: 40 }), query, fc.nat(1 << 13), (changes, asked, selected) => {
        const entities = new Entities();
        const index = indexAfter(changes, entities);
        const expected = new Map(model(liveAfter(changes), asked).map(({ entity, score }) => [entity, score]));
        const hits = all(index, asked);
        assert.deepEqual(new Set(hits.map(({ entity }) => entity)), new Set(expected.keys()), asked);
        const ranking = index.rank(lunrQuery(asked));
        assert.equal(ranking.total, expected.size);
        for (const { entity, score } of hits) {
          assert.ok(Math.abs(expected.get(entity)! - score) < 1e-9, `${entity}: ${score}, not ${expected.get(entity)}`);
          const parts = ranking.explain(entity).reduce((sum, { part }) => sum + part, 0);
          assert.ok(Math.abs(parts - score) < 1e-9);
        }
        for (let i = 1; i < hits.length; i++) assert.ok(compareScored(hits[i - 1]!, hits[i]!) < 0);
        const isSelected = (entity: number): boolean => ((selected >>> entity) & 1) === 1;
        const members = Array.from({ length: entities.size }, (_, ordinal) => ordinal).filter((ordinal) =>
          isSelected(entities.entity(ordinal)),
        );
        assert.deepEqual(
          all(index, asked, selectionOf(members)),
          hits.filter(({ entity }) => isSelected(entity)),
        );
      }),
      { numRuns: 500 },
    );
  });

  it('completes words by how many documents have them', () => {
    fc.assert(
      fc.property(
        fc.array(change, { maxLength: 60 }),
        fc.constantFrom('', 'a', 'ab', 'p', 'd', 'ja'),
        (changes, prefix) => {
          const counts = new Map<string, number>();
          for (const document of liveAfter(changes).values()) {
            const written = fields.flatMap((field) => String(document[field] ?? '').split(' '));
            for (const word of new Set(written)) counts.set(word, (counts.get(word) ?? 0) + 1);
          }
          const expected = [...counts]
            .filter(([word]) => prefix !== '' && word.startsWith(prefix))
            .map(([word, documents]) => ({ completion: `Now ${word}`, documents }))
            .sort((a, b) => b.documents - a.documents || (a.completion < b.completion ? -1 : 1));
          assert.deepEqual(indexAfter(changes).suggest(`Now ${prefix.toUpperCase()}`, 2), expected.slice(0, 2));
        },
      ),
    );
  });

  it('answers or refuses any text as a query, and is unharmed', () => {
    const index = indexAfter(words.map((word, entity) => ({ entity, metadata: { title: word, body: 'jazz' } })));
    const before = all(index, 'jazz piano');
    const piece = fc.constantFrom(
      'jazz',
      'title',
      ':',
      '"',
      '+',
      '-',
      '~',
      '^',
      '*',
      '\\',
      ' ',
      '1',
      '2',
      '\u0301',
      '😀',
    );
    const wild = fc.oneof(
      fc.array(piece, { maxLength: 12 }).map((pieces) => pieces.join('')),
      fc.string(),
    );
    fc.assert(
      fc.property(wild, (asked) => {
        try {
          const hits = all(index, asked);
          assert.equal(hits.length, index.rank(lunrQuery(asked)).total);
          for (const { score } of hits) assert.ok(Number.isFinite(score) && score >= 0);
        } catch (error) {
          assert.ok(error instanceof Refusal && error.code === 'invalid_query', String(error));
        }
      }),
      { numRuns: 1_000 },
    );
    assert.deepEqual(all(index, 'jazz piano'), before);
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
          assert.equal(index.rank(lunrQuery('*')).total, 0);
        },
      ),
    );
  });
});

describe('vocabulary', () => {
  /** A vocabulary whose words are the indexes of texts in a list. */
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
