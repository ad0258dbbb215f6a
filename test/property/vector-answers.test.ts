/** Whatever changes while a question is on its way there and back, its answer is what a look at everything gives now. */
import assert from 'node:assert/strict';
import fc from 'fast-check';
import { unit } from '../../services/region/state/vectors/cosine.ts';
import { createVectors } from '../../services/region/state/vectors/vector-client.ts';
import { createMetrics } from '../../shared/observe/metrics.ts';
import { ManualClock } from '../harness/kernel/manual-clock.ts';
import { silentLog } from '../harness/observe/silent-log.ts';
import { TinyCatalog } from '../harness/region/state/tiny-state.ts';
import { HeldVectors } from '../harness/region/state/vectors/held-vectors.ts';

const entity = fc.integer({ min: 0, max: 25 });
const component = fc.constantFrom(-2, -1, 0, 1, 3);
const vector = fc.tuple(component, component);
const kind = fc.constantFrom('a', 'b');
const step = fc.oneof(
  { weight: 6, arbitrary: fc.record({ do: fc.constant('put' as const), entity, vector, kind }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('label' as const), entity, kind }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('remove' as const), entity }) },
  {
    weight: 3,
    arbitrary: fc.record({
      do: fc.constant('ask' as const),
      vector,
      limit: fc.integer({ min: 1, max: 5 }),
      kind: fc.option(kind),
    }),
  },
  { weight: 3, arbitrary: fc.record({ do: fc.constantFrom('turn' as const, 'arrive' as const, 'return' as const) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('die' as const) }) },
);

describe('answers of the vector index', () => {
  it('are correct when they are returned', async () => {
    let answers = 0;
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 5, maxLength: 80 }), async (steps) => {
        const clock = new ManualClock();
        const held = new HeldVectors({ exactLimit: 8 });
        const catalog = new TinyCatalog();
        const { entities } = catalog;
        const metrics = createMetrics({ process: 'region', name: 'x', nodeMetrics: false });
        const vectors = createVectors({
          clock,
          log: silentLog,
          metrics,
          dimensions: 2,
          entities,
          catalog,
          open: held.open,
        });
        vectors.start();
        const questions: Promise<unknown>[] = [];
        const ask = (query: Float32Array, limit: number, wanted: string | null): void => {
          const select = () =>
            wanted === null
              ? undefined
              : catalog.filterIndex.select([{ field: 'kind', operator: 'in', values: [wanted] }]);
          const asked = vectors.nearest({ values: query, limit, select }, (hits) => {
            const direction = unit(query);
            const expected = [...catalog.items()]
              .filter(({ metadata }) => wanted === null || metadata.kind === wanted)
              .flatMap((item) => {
                const values = catalog.embedding(item.entity);
                if (values === undefined) return [];
                const stored = Float32Array.from(unit(values));
                const product = direction[0]! * stored[0]! + direction[1]! * stored[1]!;
                return [{ entity: item.entity, similarity: Math.max(-1, Math.min(1, product)) }];
              })
              .sort((a, b) => b.similarity - a.similarity || a.entity - b.entity)
              .slice(0, limit);
            assert.equal(hits.length, expected.length);
            for (const [i, hit] of hits.entries()) {
              assert.equal(hit.entity, expected[i]!.entity);
              assert.ok(Math.abs(hit.similarity - expected[i]!.similarity) < 1e-9);
            }
            answers++;
          });
          questions.push(asked.catch((error: unknown) => assert.match(String(error), /is reopening/)));
        };
        for (const each of steps) {
          if (each.do === 'put') {
            catalog.put(each.entity, { kind: each.kind });
            catalog.embed(each.entity, each.vector);
            vectors.changed(each.entity);
          } else if (each.do === 'label') {
            if (catalog.item(each.entity) === undefined) continue;
            catalog.put(each.entity, { kind: each.kind });
            vectors.touched(each.entity);
          } else if (each.do === 'remove') {
            catalog.remove(each.entity);
            vectors.changed(each.entity);
          } else if (each.do === 'ask') ask(Float32Array.from(each.vector), each.limit, each.kind);
          else if (each.do === 'turn') await clock.settle();
          else if (each.do === 'arrive') held.arrive();
          else if (each.do === 'return') held.return();
          else held.die(new Error('gone'));
        }
        await clock.advance(2_000);
        await held.settle();
        await Promise.all(questions);
        await vectors.stop();
        assert.equal(clock.pending, 0);
      }),
      { numRuns: 300 },
    );
    assert.ok(answers > 300, `${answers} answers`);
  });
});
