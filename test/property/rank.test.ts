import assert from 'node:assert/strict';
import fc from 'fast-check';
import { compareScored, type Scored, TopScores } from '../../services/region/scored/scored.ts';

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
});
