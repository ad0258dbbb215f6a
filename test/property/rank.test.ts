import assert from 'node:assert/strict';
import fc from 'fast-check';
import { diversePage } from '../../services/region/rank/max-per.ts';
import { compareScored, type Scored, TopScores } from '../../shared/kernel/top-scores.ts';

/** Few distinct scores, so that ties are the rule. */
const candidates = fc.uniqueArray(
  fc.record<Scored>(
    {
      entity: fc.nat(1_000),
      score: fc.oneof(fc.integer({ min: -3, max: 3 }), fc.double({ noNaN: true, noDefaultInfinity: true })),
    },
    { noNullPrototype: true },
  ),
  { selector: ({ entity }) => entity, maxLength: 100 },
);

describe('ranking properties', () => {
  it('keeps exactly the k best, whatever the order they come in', () => {
    fc.assert(
      fc.property(candidates, fc.integer({ min: 1, max: 120 }), (list, k) => {
        const top = new TopScores(k);
        for (const { score, entity } of list) top.add(entity, score);
        assert.deepEqual(top.sorted(), [...list].sort(compareScored).slice(0, k));
      }),
    );
  });

  it('shows every item once over diverse pages, and relaxes only where the rest has no others', () => {
    const items = fc.array(fc.constantFrom('a', 'b', 'c', ''), { maxLength: 60 });
    fc.assert(
      fc.property(items, fc.integer({ min: 1, max: 4 }), fc.integer({ min: 1, max: 12 }), (values, count, limit) => {
        const ranked = values.map((value, index) => ({ value, index }));
        const valuesOf = ({ value }: { value: string }): string[] => (value === '' ? [] : [value]);
        const seen: number[] = [];
        for (let skip = 0; skip < ranked.length; skip += limit) {
          const { page, relaxed } = diversePage(ranked, { count, limit, skip, valuesOf });
          assert.equal(page.length, Math.min(limit, ranked.length - skip));
          const worst = Math.max(...['a', 'b', 'c'].map((value) => page.filter((item) => item.value === value).length));
          assert.equal(relaxed, worst > count);
          const left = ranked.filter((item) => !seen.includes(item.index) && !page.includes(item));
          if (relaxed) {
            // Whatever could have been taken instead had had its share as well.
            for (const { value } of left) {
              assert.ok(value !== '' && page.filter((item) => item.value === value).length >= count);
            }
          }
          seen.push(...page.map((item) => item.index));
        }
        assert.deepEqual(
          seen.sort((a, b) => a - b),
          ranked.map((item) => item.index),
        );
      }),
      { numRuns: 300 },
    );
  });
});
