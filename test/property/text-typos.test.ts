/** Words are corrected to those that comparing all words of the index gives, whatever was put and removed, in slices or at once. */
import assert from 'node:assert/strict';
import fc from 'fast-check';
import { Entities } from '../../services/region/state/entities/entities.ts';
import type { Lexicon } from '../../services/region/state/text/lexicon/lexicon.ts';
import { EXPANSION_LIMIT_WORDS, fuzzyPattern, matchWords } from '../../services/region/state/text/query/match-words.ts';
import { QueryCost } from '../../services/region/state/text/query/query.ts';
import { MemoryTextIndex } from '../../services/region/state/text/text-index.ts';
import { finish } from '../../shared/kernel/steps.ts';
import { drawFraction, seededRandom } from '../harness/kernel/seeded-random.ts';

const schema = {
  textFields: [
    { name: 'title', boost: 1 },
    { name: 'titre', boost: 1, language: 'fr' as const },
  ],
  bm25: { k1: 1.2, b: 0.75 },
};

function newIndex(): MemoryTextIndex {
  return new MemoryTextIndex({ schema, entities: new Entities() });
}

/** Optimal string alignment, by its definition. */
function distanceOf(a: string, b: string): number {
  const rows: number[][] = [];
  for (let i = 0; i <= a.length; i++) {
    rows.push([]);
    for (let j = 0; j <= b.length; j++) {
      let least = i === 0 ? j : j === 0 ? i : Number.POSITIVE_INFINITY;
      if (i > 0 && j > 0) {
        least = Math.min(
          rows[i - 1]![j]! + 1,
          rows[i]![j - 1]! + 1,
          rows[i - 1]![j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1),
        );
        const isSwap = i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1];
        if (isSwap) least = Math.min(least, rows[i - 2]![j - 2]! + 1);
      }
      rows[i]!.push(least);
    }
  }
  return rows[a.length]![b.length]!;
}

/** Of all words, those of the most documents first, then in the order of the vocabulary. */
function byComparingAll(lexicon: Lexicon, word: string, distance: number): number[] {
  const all: number[] = [];
  finish(lexicon.visiting('', (each) => all.push(each) > 0));
  return all
    .filter((each) => distanceOf(lexicon.wordText(each), word) <= distance)
    .sort((a, b) => lexicon.documentsOf(b) - lexicon.documentsOf(a))
    .slice(0, EXPANSION_LIMIT_WORDS);
}

function corrected(lexicon: Lexicon, word: string, distance: number): { words: readonly number[]; spent: number } {
  const cost = new QueryCost();
  const { words } = finish(matchWords(fuzzyPattern(word, distance, lexicon), lexicon, cost));
  return { words, spent: cost.spent };
}

describe('correction of words', function () {
  this.timeout(60_000);

  it('gives the words that comparing all gives', () => {
    const letters = fc.constantFrom('a', 'b', 'c', 'd', 'é', 'я', '語', '😀', 'ß', '7', "'", '-');
    const word = fc.oneof(
      fc.array(fc.constantFrom('a', 'b', 'c'), { minLength: 1, maxLength: 10 }),
      fc.array(letters, { minLength: 1, maxLength: 10 }),
    );
    const text = word.map((units) => units.join(''));
    const put = fc.record({
      entity: fc.integer({ min: 0, max: 30 }),
      title: fc.array(text, { maxLength: 12 }),
      titre: fc.array(text, { maxLength: 3 }),
      isRemoved: fc.boolean(),
    });
    const near = fc.tuple(text, fc.constantFrom(1, 2));
    fc.assert(
      fc.property(fc.array(put, { maxLength: 60 }), fc.array(near, { minLength: 1, maxLength: 12 }), (puts, asked) => {
        const { index } = withPuts(puts);
        for (const [word, distance] of asked) {
          assert.deepEqual(
            corrected(index.lexicon, word, distance).words,
            byComparingAll(index.lexicon, word, distance),
            word,
          );
        }
      }),
      { numRuns: 300 },
    );
  });

  function withPuts(
    puts: readonly { entity: number; title: readonly string[]; titre: readonly string[]; isRemoved: boolean }[],
  ): MemoryTextIndex {
    const text = newIndex();
    for (const { entity, title, titre } of puts) text.put(entity, { title: title.join(' '), titre: titre.join(' ') });
    for (const { entity, isRemoved } of puts) if (isRemoved) text.remove(entity);
    return text;
  }

  it('gives them of many words with every two edits, and passes few others', () => {
    const random = seededRandom(20_261_130);
    const draw = (count: number): number => Math.floor(drawFraction(random) * count);
    const letter = (): string => String.fromCharCode(97 + draw(26));
    const text = newIndex();
    const edited = (word: string): string => {
      const at = draw(word.length);
      const [before, after] = [word.slice(0, at), word.slice(at + 1)];
      return [
        before + after,
        before + letter() + after,
        before + letter() + word[at]! + after,
        before + (after[0] ?? '') + word[at]! + after.slice(1),
      ][draw(4)]!;
    };
    const words: string[] = [];
    for (let i = 0; i < 12_000; i++) words.push(Array.from({ length: 5 + draw(6) }, letter).join(''));
    for (let i = 0; i < 3_000; i++) words.push(edited(edited(words[draw(2_000)]!)));
    for (const [entity, word] of words.entries()) text.put(entity, { title: word });
    const { lexicon } = text.index;
    let found = 0;
    for (let i = 0; i < 60; i++) {
      const word = edited(edited(words[draw(2_000)]!));
      for (const distance of [1, 2]) {
        const { words: own, spent } = corrected(lexicon, word, distance);
        found += own.length;
        assert.deepEqual(own, byComparingAll(lexicon, word, distance), word);
        if (word.length >= 8)
          assert.ok(spent < lexicon.size, `${word}~${distance}: ${spent} steps of ${lexicon.size} words`);
      }
    }
    assert.ok(found > 120, `${found} words`);
  });

  it('charges the same whatever was indexed before', () => {
    const words = Array.from({ length: 3_000 }, (_, i) =>
      `${'abcdefghij'[i % 10]!}${i.toString(26)}xyz`.replace(/\d/g, 'q'),
    );
    const [first, second] = [newIndex(), newIndex()];
    for (const [entity, word] of words.entries()) first.put(entity, { title: word });
    for (const [entity, word] of [...words.entries()].reverse()) second.put(entity, { title: `${word} gone${entity}` });
    for (const [entity, word] of words.entries()) second.put(entity, { title: word });
    for (const word of words.slice(0, 40)) {
      for (const distance of [1, 2]) {
        const [a, b] = [first, second].map(({ index }) => corrected(index.lexicon, `${word}q`, distance));
        assert.equal(a!.spent, b!.spent);
      }
    }
  });
});
