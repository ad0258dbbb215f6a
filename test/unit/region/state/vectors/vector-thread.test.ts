/** The index in a real thread: it answers like the one without, is reopened when it dies, and has ended when it is stopped. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { createVectors } from '../../../../../services/region/state/vectors/vector-client.ts';
import { threadVectors } from '../../../../../services/region/state/vectors/vector-thread.ts';
import type { OpenVectorWorker, VectorWorker } from '../../../../../services/region/state/vectors/vector-worker.ts';
import type { Vectors } from '../../../../../services/region/state/vectors/vectors.ts';
import { Refusal } from '../../../../../shared/errors/errors.ts';
import { systemClock as clock } from '../../../../../shared/kernel/system.ts';
import type { Log } from '../../../../../shared/observe/log.ts';
import { createMetrics } from '../../../../../shared/observe/metrics.ts';
import { eventually } from '../../../../harness/kernel/eventually.ts';
import { TinyCatalog } from '../../../../harness/region/state/tiny-state.ts';
import { itWithGraphs } from '../../../../harness/region/state/vectors/graphs.ts';
import { bruteForce, recallOf, vectorsFrom } from '../../../../harness/region/state/vectors/vectors.ts';

const dimensions = 16;

describe('vector index in a thread', function () {
  this.timeout(60_000);
  let directory: string;
  let running: Vectors | undefined;

  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'tidal-thread-'));
  });

  afterEach(async () => {
    await running?.stop();
    running = undefined;
    rmSync(directory, { recursive: true, force: true });
  });

  function open(vectors: ReadonlyMap<number, Float32Array>) {
    const catalog = new TinyCatalog();
    for (const [entity, values] of vectors) {
      catalog.put(entity);
      catalog.embed(entity, [...values]);
    }
    const workers: VectorWorker[] = [];
    const inThread = threadVectors({ path: join(directory, 'vectors') });
    const openWorker: OpenVectorWorker = (options) => {
      const worker = inThread(options);
      workers.push(worker);
      return worker;
    };
    const logged: string[] = [];
    const note = (message: string): void => void logged.push(message);
    const log: Log = { debug: note, info: note, warn: note, error: note };
    const metrics = createMetrics({ process: 'region', name: 'us-east', nodeMetrics: false });
    const { entities } = catalog;
    const index = createVectors({ clock, log, metrics, dimensions, entities, catalog, open: openWorker });
    running = index;
    index.start();
    const nearest = (values: Float32Array, limit: number): Promise<readonly number[]> =>
      index.nearest({ values, limit }, (hits) => hits.map(({ entity }) => entity));
    return { index, catalog, nearest, logged, workers };
  }

  itWithGraphs('answers at once, exactly, and by its graph when that is there', async () => {
    const vectors = new Map(vectorsFrom(60, 6_000, dimensions).entries());
    const { index, nearest } = open(vectors);
    const queries = vectorsFrom(61, 30, dimensions);
    assert.deepEqual(await nearest(queries[0]!, 10), bruteForce(vectors, queries[0]!, 10));
    await eventually('the graph is complete', () => index.stats.graphed === 6_000, 30_000);
    const found = new Map<Float32Array, { entity: number }[]>();
    for (const query of queries)
      found.set(
        query,
        (await nearest(query, 10)).map((entity) => ({ entity })),
      );
    const recall = recallOf((query) => found.get(query)!, vectors, queries);
    assert.ok(recall >= 0.95, `recall ${recall}`);
  });

  itWithGraphs('takes its graph from the file at the next start, though vectors changed between', async () => {
    const vectors = new Map(vectorsFrom(62, 5_000, dimensions).entries());
    const first = open(vectors);
    await eventually('the graph is complete', () => first.index.stats.graphed === 5_000, 30_000);
    await first.index.stop();
    assert.ok(existsSync(join(directory, 'vectors', 'index')));
    const other = vectorsFrom(63, 2, dimensions);
    vectors.set(17, other[0]!);
    vectors.delete(18);
    const second = open(vectors);
    await eventually('the graph is read', () => second.index.stats.savedMs > 0, 30_000);
    assert.ok(second.logged.includes('vector index read'));
    assert.equal((await second.nearest(other[0]!, 1))[0], 17);
    const found = new Map<Float32Array, { entity: number }[]>();
    const queries = vectorsFrom(64, 20, dimensions);
    for (const query of queries) {
      found.set(
        query,
        (await second.nearest(query, 10)).map((entity) => ({ entity })),
      );
    }
    const recall = recallOf((query) => found.get(query)!, vectors, queries);
    assert.ok(recall >= 0.95, `recall ${recall}`);
  });

  it('is opened and filled again after it died of a message it cannot take', async () => {
    const vectors = new Map(vectorsFrom(65, 500, dimensions).entries());
    const { index, nearest, workers, logged } = open(vectors);
    const [query] = vectorsFrom(66, 1, dimensions);
    assert.deepEqual(await nearest(query!, 5), bruteForce(vectors, query!, 5));
    workers[0]!.post({ kind: 'nearest', id: 0, values: new Float32Array(3), limit: 1 });
    await eventually('its end is noticed', () => logged.some((line) => line.includes('vector index failed')));
    assert.deepEqual(await nearest(query!, 5), bruteForce(vectors, query!, 5));
    assert.deepEqual([workers.length, index.stats.live], [2, 500]);
  });

  it('a question whose index dies is refused, not left waiting', async () => {
    const vectors = new Map(vectorsFrom(67, 500, dimensions).entries());
    const { nearest, workers } = open(vectors);
    const [query] = vectorsFrom(68, 1, dimensions);
    await nearest(query!, 1);
    workers[0]!.post({ kind: 'nearest', id: 0, values: new Float32Array(3), limit: 1 });
    const refused = (error: unknown): boolean => error instanceof Refusal && error.code === 'overloaded';
    await assert.rejects(nearest(query!, 1), refused);
  });

  itWithGraphs('is gone when it is stopped, also while it builds its graph: a process with one ends by itself', () => {
    const program = fileURLToPath(
      new URL('../../../../harness/region/state/vectors/vector-process.js', import.meta.url),
    );
    const { status, stdout } = spawnSync(process.execPath, [program], { timeout: 45_000, encoding: 'utf8' });
    assert.match(stdout, /^stopped with \d{1,5} of 20000\n$/);
    assert.equal(status, 0);
  });
});
