/** Promises of analysis for any text: one reading, bounds in the text, idempotent keys, and time in proportion to its length. */
import assert from 'node:assert/strict';
import fc from 'fast-check';
import { Entities } from '../../services/region/state/entities/entities.ts';
import { asksOf, keyOf, tokensOf, withoutMarkup } from '../../services/region/state/text/analysis/analysis.ts';
import { createTextIndex } from '../../services/region/state/text/text-index.ts';

const unit = fc.integer({ min: 0, max: 0xffff }).map((code) => String.fromCharCode(code));
const piece = fc.oneof(
  unit,
  fc.string({ unit: 'grapheme', maxLength: 6 }),
  fc.constantFrom(
    'spider',
    '-',
    '–',
    "'",
    '’',
    '.',
    '/',
    '&',
    '&amp;',
    '<b>',
    '<!--',
    '-->',
    '>',
    '_',
    ',',
    '1',
    '299',
    ' ',
  ),
  fc.constantFrom(
    '\u00ad',
    '\u200b',
    '\u200d',
    '\ufe0f',
    '\u0301',
    'İ',
    'ß',
    'ﬁ',
    '東京',
    'タワー',
    'ｶﾞ',
    '책을',
    'ไทย',
    '👍🏽',
    '🇫🇷',
    '+',
    '#',
  ),
);
const text = fc.array(piece, { maxLength: 24 }).map((pieces) => pieces.join(''));

describe('analysis of any text', () => {
  it('has words with bounds in the text, in order of their groups, whose keys are their own keys', () => {
    fc.assert(
      fc.property(text, (written) => {
        for (const { text: spelling, start, end } of tokensOf(written)) {
          assert.ok(0 <= start && start < end && end <= written.length, `${start} … ${end} of ${written.length}`);
          assert.ok(spelling.length > 0 && spelling.length <= 129);
          const key = keyOf(spelling);
          assert.equal(keyOf(key), key, JSON.stringify(spelling));
        }
      }),
      { numRuns: 3_000 },
    );
  });

  it('asks for words of the same text: every text finds itself', () => {
    fc.assert(
      fc.property(text, (written) => {
        const keys = new Set(Array.from(tokensOf(written), (word) => keyOf(word.text)));
        for (const ask of asksOf(written)) for (const word of ask) assert.ok(keys.has(keyOf(word.text)));
        assert.equal(asksOf(written).length > 0, keys.size > (keys.has('') ? 1 : 0));
      }),
      { numRuns: 2_000 },
    );
  });

  it('replaces markup by as many characters', () => {
    fc.assert(
      fc.property(text, (written) => {
        const clean = withoutMarkup(written);
        assert.equal(clean.length, written.length);
        for (const [at, unit] of clean.split('').entries()) {
          const isReplaced = unit !== written[at];
          if (isReplaced && unit === ' ') assert.ok(/[<&]/.test(written.slice(0, at + 1)), 'a blank is within markup');
        }
      }),
      { numRuns: 2_000 },
    );
  });

  it('of two texts with a space between them is that of both', () => {
    fc.assert(
      fc.property(text, text, (first, second) => {
        // A tag or a comment that is not closed in the one may be closed in the other.
        const [a, b] = [first.replaceAll('<', ''), second.replaceAll('<', '')];
        const both = [...tokensOf(`${withoutMarkup(a)} ${withoutMarkup(b)}`)].map(({ text }) => text);
        assert.deepEqual(both, [
          ...[...tokensOf(withoutMarkup(a)), ...tokensOf(withoutMarkup(b))].map(({ text }) => text),
        ]);
      }),
      { numRuns: 2_000 },
    );
  });

  it('indexes and removes 250 KiB of anything in steps, each short, and in proportion to the length', function () {
    this.timeout(60_000);
    const repeated = [
      'a',
      'a-',
      'a.',
      "a'",
      '-',
      '<',
      '<b',
      '<b "',
      '<!--',
      '&',
      '&amp',
      '&amp;',
      '東',
      'ไ',
      '한',
      '\u0301',
      '\u200b',
      '👍\u200d',
      '🇫',
      'a,1',
      '1,299.',
      'é',
      '\ud800',
      'C++',
      'a/b_',
      ' ',
      '\ufdd0',
      'ｶﾞ',
    ];
    for (const each of repeated) {
      const index = createTextIndex({
        schema: { textFields: [{ name: 'title', boost: 1 }], bm25: { k1: 1.2, b: 0.75 } },
        entities: new Entities(),
      });
      const title = each.repeat(Math.ceil(250_000 / each.length));
      const begun = performance.now();
      let longest = 0;
      let last = begun;
      for (const _ of index.putting(1, { title })) {
        const now = performance.now();
        longest = Math.max(longest, now - last);
        last = now;
      }
      const took = performance.now() - begun;
      index.remove(1);
      // Generous: other processes want the processor too. What grows with the square takes minutes.
      assert.ok(took < 5_000, `${JSON.stringify(each)}: ${took.toFixed(0)} ms`);
      assert.ok(longest < 500, `${JSON.stringify(each)}: a step of ${longest.toFixed(0)} ms`);
    }
  });
});
