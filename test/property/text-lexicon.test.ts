/** Words and strings: the quick way through a text against the definition of a word, the table of strings against a map. */
import assert from 'node:assert/strict';
import fc from 'fast-check';
import { keyOf, tokensOf, withoutMarkup } from '../../services/region/state/text/analysis/analysis.ts';
import { Lexicon } from '../../services/region/state/text/lexicon/lexicon.ts';
import { homeOf, StringTable } from '../../services/region/state/text/lexicon/string-table.ts';

describe('lexicon', () => {
  const piece = fc.oneof(
    {
      weight: 4,
      arbitrary: fc.constantFrom(
        'run',
        'Running',
        'JAZZ',
        'the',
        "don't",
        "Ocean's",
        'rock/pop',
        'spider-man',
        'c++',
        'U.S.A.',
        '1,299.00',
        '&eacute;',
        '<b>',
        'a1',
        '_x_',
        'internationalisation',
      ),
    },
    { weight: 3, arbitrary: fc.constantFrom(' ', ' ', '-', '\t', '\n', '\u00a0', '\u2003', '\ufeff') },
    {
      weight: 2,
      arbitrary: fc.constantFrom(
        '.',
        '!',
        '"',
        "'",
        '(',
        '~',
        '^',
        '|',
        '`',
        '\0',
        '…',
        '-',
        '/',
        '&',
        '_',
        ',',
        '+',
        '#',
        '<',
        ':',
        '\u00ad',
        '\u200b',
        '’',
        '–',
      ),
    },
    {
      weight: 2,
      arbitrary: fc.constantFrom(
        'é',
        'e\u0301',
        '\u0301',
        'Σ',
        'ΟΔΟΣ',
        'İ',
        'ß',
        '語',
        '東京',
        'カナ',
        '책을',
        '😀',
        '👩\u200d🚀',
        'K',
        'ﬁ',
        '\ud800',
        '\ufdd0',
      ),
    },
    { weight: 1, arbitrary: fc.string({ maxLength: 4 }) },
    { weight: 1, arbitrary: fc.integer({ min: 120, max: 140 }).map((length) => 'x'.repeat(length)) },
  );
  const text = fc.array(piece, { maxLength: 14 }).map((pieces) => pieces.join(''));

  it('reads from any text the words and terms that analysis defines', () => {
    const lexicon = new Lexicon();
    fc.assert(
      fc.property(text, (written) => {
        const { found, counted } = lexicon.read(written);
        const words = Array.from(lexicon.found.subarray(0, found));
        const expected = [...tokensOf(written)].filter((word) => keyOf(word.text) !== '');
        assert.deepEqual(
          words.map((word) => lexicon.spelling(word)),
          expected.map((word) => word.text),
        );
        assert.deepEqual(
          words.map((word) => lexicon.wordText(word)),
          expected.map((word) => keyOf(word.text)),
        );
        assert.deepEqual(
          words.map((word) => lexicon.terms.texts[lexicon.termOf(word)]),
          expected.map((word) => lexicon.termFor(keyOf(word.text), 0)),
        );
        const stopWords = lexicon.analysis;
        const counting = expected.filter(({ text, counts }) => counts && stopWords.stopWordOf(keyOf(text), 0) === 0);
        assert.equal(counted, counting.length);
      }),
      { numRuns: 3_000 },
    );
  });

  it('reads the same of a text in slices as at once', () => {
    const lexicon = new Lexicon();
    fc.assert(
      fc.property(text, fc.integer({ min: 1, max: 3 }), (written, step) => {
        const clean = withoutMarkup(written);
        const { found, counted } = lexicon.read(written);
        const words = Array.from(lexicon.found.subarray(0, found));
        const inSlices: number[] = [];
        let sum = 0;
        for (let at = 0; at < clean.length; ) {
          const part = lexicon.readPart(clean, at, step);
          inSlices.push(...lexicon.found.subarray(0, part.found));
          sum += part.counted;
          assert.ok(part.next > at, 'a slice goes on');
          at = part.next;
        }
        assert.deepEqual(inSlices, words);
        assert.equal(sum, counted);
      }),
      { numRuns: 1_000 },
    );
  });
});

describe('table of strings', () => {
  const ofUsual = fc.array(fc.constantFrom('a', 'b', "'", '.', '0'), { minLength: 1, maxLength: 12 });
  const string = fc.oneof(
    ofUsual.map((units) => units.join('')),
    fc.array(fc.constantFrom('a', '~', 'é', '語'), { minLength: 1, maxLength: 11 }).map((units) => units.join('')),
  );

  const check = (steps: readonly (readonly [add: boolean, text: string])[]): void => {
    const table = new StringTable();
    const model = new Map<string, number>();
    for (const [add, text] of steps) {
      const id = model.get(text);
      assert.equal(table.find(text), id ?? -1);
      if (add && id === undefined) model.set(text, table.add(text));
      else if (!add && id !== undefined) {
        table.remove(id);
        model.delete(text);
      }
    }
    assert.equal(table.size, model.size);
    assert.equal(new Set(model.values()).size, model.size, 'a number is one string’s');
    for (const [text, id] of model) {
      assert.equal(table.find(text), id);
      assert.equal(table.texts[id], text);
    }
  };

  it('is a map', () => {
    fc.assert(fc.property(fc.array(fc.tuple(fc.boolean(), string), { maxLength: 300 }), check));
  });

  it('is a map when strings are in each other’s way', () => {
    // Home in one of the table's first slots, also after the table has grown.
    const crowded = Array.from({ length: 400_000 }, (_, i) => `w${i.toString(36)}`).filter(
      (text) => (homeOf(text) & 0xfff0) === 0,
    );
    assert.ok(crowded.length > 60, `${crowded.length} strings`);
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.boolean(), fc.constantFrom(...crowded)), { maxLength: 600 }), (steps) => {
        check([...crowded.map((text) => [true, text] as const), ...steps]);
      }),
      { numRuns: 30 },
    );
  });
});
