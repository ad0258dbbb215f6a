/** The synonyms of the schema's file: how they are read, and what is refused, with its place. */
import assert from 'node:assert/strict';
import { parseSchema } from '../../../../services/region/schema/parse-schema.ts';

const withSynonyms = (rules: string): string => `
signals: { view: { sentiment: positive, half_life: 24h } }
text:
  fields: { title: {} }
  synonyms: ${rules}
embedding: { dimensions: 8 }
`;
const numbered = (letter: string): string => Array.from({ length: 20 }, (_, at) => `${letter}${at}`).join(', ');

describe('synonyms in the schema', () => {
  it('are read as they are written, two-way and one-way', () => {
    const rules = '[{ words: [red bull, redbull] }, { words: [tv], find: [television, tele vision] }]';
    assert.deepEqual(parseSchema(withSynonyms(rules), 'x').synonyms, [
      { words: ['red bull', 'redbull'] },
      { words: ['tv'], find: ['television', 'tele vision'] },
    ]);
    assert.deepEqual(parseSchema(withSynonyms('[{ words: [a, b] }]').replace(/ {2}synonyms.*/, ''), 'x').synonyms, []);
  });

  it('are counted by what they look for, in the language of each field', () => {
    const rules = `[{ words: [car, ${numbered('x')}] }, { words: [cars, ${numbered('X')}] }]`;
    assert.equal(parseSchema(withSynonyms(rules), 'x').synonyms?.length, 2);
    const two = withSynonyms(`[{ words: [car, ${numbered('x')}] }, { words: [cars, ${numbered('y')}] }]`);
    const unstemmed = two.replace('title: {}', 'title: { language: none }');
    assert.equal(parseSchema(unstemmed, 'x').synonyms?.length, 2);
    const both = two.replace('title: {}', 'title: { language: none }, body: {}');
    assert.throws(() => parseSchema(both, 'x'), /gives "cars" 40 synonyms/);
  });

  const refused: [name: string, rules: string, message: RegExp][] = [
    ['a mapping', '{ film: movie }', /text\.synonyms \(line 5\): must be a list of 1 to 1000 elements, not a mapping/],
    ['no rule', '[]', /text\.synonyms \(line 5\): must be a list of 1 to 1000 elements, not 0 of them/],
    [
      'a single word',
      '[{ words: [film] }]',
      /text\.synonyms\[0\]\.words \(line 5\): must be a list of 2 to 32 elements, not 1 of them/,
    ],
    [
      'another key',
      '[{ words: [film, movie], to: [a] }]',
      /text\.synonyms\[0\]\.to \(line 5\): is not a known key; accepted keys: words, find/,
    ],
    ['no words', '[{ find: [a] }]', /text\.synonyms\[0\] \(line 5\): lacks the key words/],
    [
      'a list of lists',
      '[[film, movie]]',
      /text\.synonyms\[0\] \(line 5\): must be a mapping with the keys words, find/,
    ],
    [
      'punctuation',
      '[{ words: [film, "!?"] }]',
      /text\.synonyms\[0\]\.words\[1\] \(line 5\): has no words to search for/,
    ],
    [
      'a number',
      '[{ words: [film, 7] }]',
      /words\[1\] \(line 5\): must be a word or a phrase of 1 to 100 char.*, not 7/,
    ],
    [
      'a long text',
      `[{ words: [film, ${'a'.repeat(101)}] }]`,
      /words\[1\] \(line 5\): must be a word or a phrase of 1 to/,
    ],
    [
      'nine words',
      '[{ words: [film, a b c d e f g h i] }]',
      /words\[1\] \(line 5\): has 9 words; at most 8 are accepted/,
    ],
    [
      'the same words twice',
      '[{ words: [red bull, "Red, BULL"] }]',
      /words\[1\] \(line 5\): has the words of an earlier one of the list/,
    ],
    [
      'a word that finds itself',
      '[{ words: [tv], find: [television, TV] }]',
      /text\.synonyms\[0\]\.find \(line 5\): has "TV", which is one of the words/,
    ],
    [
      'forty synonyms',
      `[{ words: [a, ${numbered('x')}] }, { words: [a, ${numbered('y')}] }]`,
      /text\.synonyms\[1\] \(line 5\): gives "a" 40 synonyms; at most 32 are accepted/,
    ],
    [
      'forty synonyms of one word in two spellings',
      `[{ words: [car, ${numbered('x')}] }, { words: [Cars, ${numbered('y')}] }]`,
      /text\.synonyms\[1\] \(line 5\): gives "Cars" 40 synonyms; at most 32 are accepted/,
    ],
  ];
  for (const [name, rules, message] of refused) {
    it(`refuses ${name}`, () => {
      assert.throws(() => parseSchema(withSynonyms(rules), 'bad.yaml'), message);
    });
  }
});
