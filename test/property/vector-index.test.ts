import assert from 'node:assert/strict';
import fc from 'fast-check';
import { itWithGraphs } from '../harness/region/state/vectors/graphs.ts';
import { LoneIndex } from '../harness/region/state/vectors/vectors.ts';

const component = fc.constantFrom(-2, -1, 0, 1, 3);
const vector = fc.tuple(component, component, component);
const change = fc.oneof(
  { weight: 3, arbitrary: fc.record({ entity: fc.integer({ min: 0, max: 40 }), vector }) },
  { weight: 1, arbitrary: fc.record({ entity: fc.integer({ min: 0, max: 40 }) }) },
);

type Vector = readonly [number, number, number];

function cosine(a: Vector, b: Vector): number {
  const lengths = Math.hypot(...a) * Math.hypot(...b);
  return lengths === 0 ? 0 : (a[0] * b[0] + a[1] * b[1] + a[2] * b[2]) / lengths;
}

describe('vector index, after any history', () => {
  itWithGraphs('answers with the similarities of the live vectors only, by scan and by graph', () => {
    fc.assert(
      fc.property(
        fc.array(change, { maxLength: 200 }),
        vector,
        fc.integer({ min: 1, max: 12 }),
        fc.constantFrom(2, 10, 1_000),
        (changes, query, limit, exactLimit) => {
          const index = new LoneIndex({ dimensions: 3, exactLimit });
          const live = new Map<number, Vector>();
          for (const step of changes as readonly { entity: number; vector?: Vector }[]) {
            if (step.vector === undefined) {
              index.remove(step.entity);
              live.delete(step.entity);
            } else {
              index.put(step.entity, Float32Array.from(step.vector));
              live.set(step.entity, step.vector);
            }
          }
          assert.equal(index.size, live.size);
          const hits = index.nearest(Float32Array.from(query), limit);
          const expected = [...live.values()].map((values) => cosine(values, query)).sort((a, b) => b - a);
          assert.equal(hits.length, Math.min(limit, live.size));
          assert.equal(new Set(hits.map(({ entity }) => entity)).size, hits.length);
          for (const [i, { entity, similarity }] of hits.entries()) {
            assert.ok(Math.abs(similarity - cosine(live.get(entity)!, query)) < 1e-6, `${entity}`);
            // Fewer vectors than the graph looks at: even approximately it must find the best.
            assert.ok(Math.abs(similarity - expected[i]!) < 1e-6, `rank ${i}: ${similarity}, best is ${expected[i]}`);
          }
        },
      ),
      { numRuns: 200 },
    );
  });
});
