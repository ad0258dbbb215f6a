/** The table of strings while it grows: it moves a few strings with each new one, and is the same map in between. */
import assert from 'node:assert/strict';
import fc from 'fast-check';
import { StringTable } from '../../services/region/state/text/lexicon/string-table.ts';

/** It doubles when it has more. */
const FIRST_STRINGS = 1_024;
/** Short ones are their own key, long ones have a hash. */
const textOf = (index: number): string => (index % 3 === 0 ? `long-string-number-${index}` : `s${index}`);

describe('growing table of strings', () => {
  it('is a map whatever is added, removed and used again meanwhile', () => {
    const step = fc.tuple(fc.integer({ min: 0, max: 3 }), fc.nat(2 * FIRST_STRINGS));
    fc.assert(
      fc.property(fc.integer({ min: 1_000, max: 1_030 }), fc.array(step, { maxLength: 400 }), (filled, steps) => {
        const table = new StringTable();
        const model = new Map<string, number>();
        const add = (text: string): void => void model.set(text, table.add(text));
        for (let index = 0; index < filled; index++) add(textOf(index));
        for (const [what, index] of steps) {
          const text = textOf(index);
          const id = model.get(text);
          assert.equal(table.find(text), id ?? -1, text);
          if (what > 0 && id === undefined) add(text);
          if (what === 0 && id !== undefined) {
            table.remove(id);
            model.delete(text);
          }
        }
        const adopted = new StringTable();
        adopted.adopt(structuredClone(table.image()));
        for (const one of [table, adopted]) {
          assert.equal(one.size, model.size);
          for (let index = 0; index <= 2 * FIRST_STRINGS; index++) {
            const text = textOf(index);
            assert.equal(one.find(text), model.get(text) ?? -1, text);
          }
        }
        assert.equal(new Set(model.values()).size, model.size, 'a number is one string’s');
      }),
      { numRuns: 100 },
    );
  });
});
