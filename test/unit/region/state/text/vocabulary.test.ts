/** The memory that the words of an index take after most of them were removed. */
import assert from 'node:assert/strict';
import { Vocabulary } from '../../../../../services/region/state/text/lexicon/vocabulary.ts';

describe('vocabulary after removals', () => {
  const WORDS = 20_000;
  const texts = Array.from({ length: WORDS }, (_, at) => `word${String(at).padStart(6, '0')}`);
  const orders: [name: string, isKept: (at: number) => boolean][] = [
    ['spread', (at) => at % 100 === 7],
    ['at the end', (at) => at >= WORDS - 200],
    ['none', () => false],
  ];
  for (const [name, isKept] of orders) {
    it(`has the words that are left, ${name}, in as few bytes as if the others had never been there`, () => {
      const vocabulary = new Vocabulary((word) => texts[word]!);
      for (const word of texts.keys()) vocabulary.add(word);
      const before = vocabulary.sizeBytes;
      for (const word of texts.keys()) if (!isKept(word)) vocabulary.remove(word);
      const found: number[] = [];
      vocabulary.startingWith('', (word) => {
        found.push(word);
        return true;
      });
      assert.deepEqual(
        found,
        [...texts.keys()].filter((word) => isKept(word)),
      );
      // At most two blocks for 200 words, of 78.
      assert.ok(vocabulary.sizeBytes <= before / 39, `${vocabulary.sizeBytes} of ${before}`);
      for (const word of texts.keys()) if (!isKept(word)) vocabulary.add(word);
      assert.equal(vocabulary.size, WORDS);
    });
  }
});
