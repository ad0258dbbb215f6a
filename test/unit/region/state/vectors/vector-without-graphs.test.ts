/** A machine on which hnswlib-node could not be compiled: vector search compares every vector, exactly, and says so. */
import assert from 'node:assert/strict';
import { createVectors } from '../../../../../services/region/state/vectors/vector-client.ts';
import { VectorServer } from '../../../../../services/region/state/vectors/vector-server.ts';
import type { FromVectors } from '../../../../../services/region/state/vectors/vector-worker.ts';
import type { Log } from '../../../../../shared/observe/log.ts';
import { createMetrics } from '../../../../../shared/observe/metrics.ts';
import { ManualClock } from '../../../../harness/kernel/manual-clock.ts';
import { TinyCatalog } from '../../../../harness/region/state/tiny-state.ts';
import { inProcessVectors } from '../../../../harness/region/state/vectors/vector-in-process.ts';
import { bruteForce, vectorsFrom } from '../../../../harness/region/state/vectors/vectors.ts';

const dimensions = 8;
const missing = "Cannot find module 'hnswlib-node'";

describe('vector search without graphs', () => {
  it('is exact beyond the number from which a graph would be used, with and without a selection', async () => {
    const all = new Map(vectorsFrom(70, 500, dimensions).entries());
    const catalog = new TinyCatalog();
    for (const [entity, values] of all) {
      catalog.put(entity, { half: entity % 2 === 0 ? 'even' : 'odd' });
      catalog.embed(entity, [...values]);
    }
    const warned: string[] = [];
    const quiet = (): void => {};
    const log: Log = { debug: quiet, info: quiet, warn: (message) => void warned.push(message), error: quiet };
    const vectors = createVectors({
      clock: new ManualClock(),
      log,
      metrics: createMetrics({ process: 'region', name: 'us-east', nodeMetrics: false }),
      dimensions,
      entities: catalog.entities,
      catalog,
      open: inProcessVectors({ exactLimit: 10, missing }),
    });
    vectors.start();
    const even = new Map([...all].filter(([entity]) => entity % 2 === 0));
    const select = () => catalog.filterIndex.select([{ field: 'half', operator: 'in', values: ['even'] }]);
    for (const values of vectorsFrom(71, 10, dimensions)) {
      const found = await vectors.nearest({ values, limit: 20 }, (hits) => hits.map(({ entity }) => entity));
      assert.deepEqual(found, bruteForce(all, values, 20));
      const selected = await vectors.nearest({ values, limit: 20, select }, (hits) => hits.map(({ entity }) => entity));
      assert.deepEqual(selected, bruteForce(even, values, 20));
    }
    const { live, graphed, scanOnly } = vectors.stats;
    assert.deepEqual({ live, graphed, scanOnly }, { live: 500, graphed: 0, scanOnly: missing });
    assert.deepEqual(warned, ['vector search runs without a graph, comparing every vector (exact, slower)']);
    await vectors.stop();
  });

  it('leaves the file of a graph that an earlier process wrote alone', async () => {
    const replies: FromVectors[] = [];
    const file = {
      read: () => Promise.reject(new Error('read')),
      save: () => Promise.reject(new Error('saved')),
      remove: () => Promise.reject(new Error('removed')),
    };
    const server = new VectorServer({
      dimensions,
      missing,
      file: file as never,
      reply: (message) => void replies.push(message),
    });
    server.take({ kind: 'filled' });
    server.take({ kind: 'save', atMs: 1 });
    await server.quiet();
    assert.deepEqual(replies, [
      { kind: 'scan_only', why: missing },
      { kind: 'saved', atMs: 0 },
    ]);
  });
});
