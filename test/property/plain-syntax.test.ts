/** Any string is plain text: it is never refused, and its operators are where words begin and nowhere else. */
import assert from 'node:assert/strict';
import fc from 'fast-check';
import { Entities } from '../../services/region/state/entities/entities.ts';
import { type PlainQuery, parsePlain } from '../../services/region/state/text/query/plain-syntax.ts';
import { Synonyms } from '../../services/region/state/text/query/query.ts';
import { MemoryTextIndex } from '../../services/region/state/text/text-index.ts';
import type { Metadata } from '../../shared/protocol/events.ts';
import { plainQuery } from '../harness/region/state/text-queries.ts';

const schema = {
  textFields: [
    { name: 'title', boost: 2 },
    { name: 'body', boost: 1, language: 'fr' as const },
  ],
  bm25: { k1: 1.2, b: 0.75 },
  synonyms: [{ words: ['tv', 'tele vision'] }],
};
const documents: readonly Metadata[] = [
  { title: 'jazz piano', body: 'le jazz' },
  { title: 'tele vision of the jazz', body: 'piano' },
  { title: 'a-b c:d', body: 'rock "jazz"' },
];
const text = new MemoryTextIndex({ schema, entities: new Entities(), metadataOf: (ordinal) => documents[ordinal] });
for (const [entity, metadata] of documents.entries()) text.put(entity, metadata);
const { lexicon, fieldNames } = text.index;
const synonyms = new Synonyms(schema.synonyms, lexicon);
const parse = (query: string): PlainQuery => parsePlain(query, { fieldNames, lexicon, synonyms });

const piece = fc.constantFrom(
  ...[
    'jazz',
    'piano',
    'tv',
    'title',
    'body',
    'the',
    ' ',
    ' ',
    '-',
    ':',
    '"',
    '“',
    '”',
    '„',
    '«',
    '»',
    '*',
    '~',
    '^',
    '+',
    '\\',
    '/',
    '.',
  ],
  ...[
    "'",
    '\0',
    '\ufeff',
    '\ud800',
    '😀',
    '東京タワー',
    '<b>',
    '&amp;',
    '\n',
    '１２',
    'é',
    '٣',
    '\u200d',
    '5',
    '_',
    '(',
  ],
);
const wild = fc.oneof(
  fc.array(piece, { maxLength: 14 }).map((pieces) => pieces.join('')),
  fc.string({ unit: 'binary', maxLength: 60 }),
  fc.array(piece, { maxLength: 600 }).map((pieces) => pieces.join('')),
);

describe('plain text', function () {
  this.timeout(60_000);

  it('is never refused, whatever it is, and finds each document once', () => {
    fc.assert(
      fc.property(wild, fc.constantFrom('all', 'any', 'most' as const), (query, matching) => {
        const ranking = text.rank(plainQuery(query, matching as 'all'));
        const hits = ranking.after(undefined, 10);
        assert.equal(hits.length, ranking.total);
        assert.equal(new Set(hits.map(({ entity }) => entity)).size, hits.length);
        for (const { entity, score } of hits) {
          assert.ok(Number.isFinite(score) && score >= 0, String(score));
          const sum = ranking.explain(entity).reduce((all, { part }) => all + part, 0);
          assert.ok(Math.abs(sum - score) < 1e-9, `${sum} ${score}`);
        }
        text
          .rank(plainQuery(query, matching as 'all'), undefined, undefined, ranking.statistics())
          .after(undefined, 10);
      }),
      { numRuns: 1_500 },
    );
  });

  it('has at most 32 parts, of fields that are there', () => {
    fc.assert(
      fc.property(wild, (query) => {
        const { parts, relaxed } = parse(query);
        assert.ok(parts.length <= 32);
        for (const { fields, text: own, kind } of parts) {
          assert.ok(fields.length > 0 && fields.every((field) => field < fieldNames.length));
          assert.ok(kind === 'phrase' || own !== '');
        }
        assert.equal(
          relaxed.some((entry) => entry.includes('characters')),
          query.length > 1_000,
        );
      }),
      { numRuns: 1_500 },
    );
  });

  it('has an operator only where a word begins: the same signs within or after one are none', () => {
    const sign = fc.constantFrom('-', ':', '"', '*', '~', '^', '+', '-"', 'title:', '"title:', '~1', '^3');
    const word = fc.constantFrom('jazz', 'piano', 'rock', 'café', '1984');
    fc.assert(
      fc.property(fc.array(fc.tuple(word, sign, word), { minLength: 1, maxLength: 8 }), (words) => {
        const query = words.map(([a, own, b]) => `${a}${own}${b}`).join(' ');
        for (const { isExcluded, kind, fields } of parse(query).parts) {
          assert.equal(isExcluded, false, query);
          assert.equal(kind, 'word', query);
          assert.equal(fields.length, 2, query);
        }
      }),
      { numRuns: 1_000 },
    );
  });

  it('has the operators that are documented where a word begins', () => {
    const word = fc.constantFrom('jazz', 'piano', 'rock', 'blues');
    const operator = fc.constantFrom(
      ['', '', 'word', false, 2],
      ['-', '', 'word', true, 2],
      ['title:', '', 'word', false, 1],
      ['-title:', '', 'word', true, 1],
      ['', '*', 'prefix', false, 2],
      ['body:', '*', 'prefix', false, 1],
      ['"x ', '"', 'phrase', false, 2],
      ['-"x ', '"', 'phrase', true, 2],
      ['title:“x ', '”', 'phrase', false, 1],
      ['-body:«x ', '»', 'phrase', true, 1],
    ) as fc.Arbitrary<readonly [string, string, string, boolean, number]>;
    fc.assert(
      fc.property(
        fc.uniqueArray(fc.tuple(operator, word), { minLength: 1, maxLength: 6, selector: String }),
        (asked) => {
          const query = asked.map(([[before, after], own]) => before + own + after).join(' ');
          const parts = parse(query).parts.map(({ kind, isExcluded, fields }) => [kind, isExcluded, fields.length]);
          assert.deepEqual(
            parts,
            asked.map(([[, , kind, isExcluded, fields]]) => [kind, isExcluded, fields]),
            query,
          );
        },
      ),
      { numRuns: 500 },
    );
  });
});
