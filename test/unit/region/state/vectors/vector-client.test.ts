/** The region's side of an index that answers later: correct when it answers, bounded, and never blocking. */
import assert from 'node:assert/strict';
import { createVectors } from '../../../../../services/region/state/vectors/vector-client.ts';
import type { VectorHit, Vectors } from '../../../../../services/region/state/vectors/vectors.ts';
import { Refusal } from '../../../../../shared/errors/errors.ts';
import type { Log } from '../../../../../shared/observe/log.ts';
import { createMetrics, type Metrics } from '../../../../../shared/observe/metrics.ts';
import { ManualClock } from '../../../../harness/kernel/manual-clock.ts';
import { TinyCatalog } from '../../../../harness/region/state/tiny-state.ts';
import { HeldVectors } from '../../../../harness/region/state/vectors/held-vectors.ts';
import { cosine } from '../../../../harness/region/state/vectors/vectors.ts';

const east = Float32Array.of(1, 0);
const turned = (degrees: number): number[] => [
  Math.cos((degrees * Math.PI) / 180),
  Math.sin((degrees * Math.PI) / 180),
];

interface World {
  readonly clock: ManualClock;
  readonly held: HeldVectors;
  readonly catalog: TinyCatalog;
  readonly vectors: Vectors;
  readonly metrics: Metrics;
  readonly logged: string[];
  put(entity: number, values: readonly number[], kind?: string): void;
  remove(entity: number): void;
  /** The entities answered, or the code of the refusal. */
  nearest(limit: number, kind?: string): Promise<readonly number[] | string>;
}

function world(): World {
  const clock = new ManualClock();
  const held = new HeldVectors();
  const catalog = new TinyCatalog();
  const logged: string[] = [];
  const note = (message: string): void => void logged.push(message);
  const log: Log = { debug: note, info: note, warn: note, error: note };
  const metrics = createMetrics({ process: 'region', name: 'us-east', nodeMetrics: false });
  const { entities } = catalog;
  const vectors = createVectors({ clock, log, metrics, dimensions: 2, entities, catalog, open: held.open });
  return {
    clock,
    held,
    catalog,
    vectors,
    metrics,
    logged,
    put(entity, values, kind = 'a') {
      catalog.put(entity, { kind });
      catalog.embed(entity, values);
      vectors.changed(entity);
    },
    remove(entity) {
      catalog.remove(entity);
      vectors.changed(entity);
    },
    async nearest(limit, kind) {
      const select =
        kind === undefined
          ? undefined
          : () => catalog.filterIndex.select([{ field: 'kind', operator: 'in', values: [kind] }]);
      const answer = (hits: readonly VectorHit[]): readonly number[] => {
        for (const { entity, similarity } of hits) {
          const values = catalog.embedding(entity);
          assert.ok(values !== undefined, `${entity} has no embedding`);
          assert.ok(Math.abs(similarity - cosine(values, east)) < 1e-6, `${entity}: ${similarity}`);
        }
        return hits.map(({ entity }) => entity);
      };
      try {
        return await vectors.nearest({ values: east, limit, ...(select === undefined ? {} : { select }) }, answer);
      } catch (error) {
        if (!(error instanceof Refusal)) throw error;
        return error.code;
      }
    },
  };
}

describe('vectors, seen from the region’s thread', () => {
  it('fills the index with what the catalog has, and asks when all of it is there', async () => {
    const { held, catalog, vectors, nearest } = world();
    for (let entity = 0; entity < 3_000; entity++) {
      catalog.put(entity);
      if (entity % 3 === 0) catalog.embed(entity, turned(entity / 20));
    }
    const asked = nearest(2);
    vectors.start();
    assert.deepEqual(held.arrive(), {});
    await held.settle();
    assert.deepEqual(await asked, [0, 3]);
    assert.equal(vectors.stats.live, 1_000);
  });

  it('answers for the time of the answer: what was removed, added or replaced meanwhile', async () => {
    const { held, vectors, put, remove, nearest } = world();
    vectors.start();
    for (let entity = 1; entity <= 40; entity++) put(entity, turned(entity));
    await held.settle();
    const asked = nearest(5);
    await new Promise((resolve) => setImmediate(resolve));
    assert.deepEqual(held.arrive(), { nearest: 1 });
    remove(1);
    put(2, turned(90));
    put(50, turned(2.5));
    put(51, turned(80));
    remove(4);
    put(4, turned(4.25));
    held.return();
    assert.deepEqual(await asked, [50, 3, 4, 5, 6]);
  });

  it('a change of metadata selects and deselects at once', async () => {
    const { held, catalog, vectors, put, nearest } = world();
    vectors.start();
    for (let entity = 1; entity <= 10; entity++) put(entity, turned(entity), entity % 2 === 0 ? 'even' : 'odd');
    await held.settle();
    const asked = nearest(3, 'even');
    await new Promise((resolve) => setImmediate(resolve));
    held.arrive();
    for (const [entity, kind] of [
      [1, 'even'],
      [2, 'odd'],
    ] as const) {
      catalog.put(entity, { kind });
      vectors.touched(entity);
    }
    held.return();
    assert.deepEqual(await asked, [1, 4, 6]);
  });

  it('asks again when more has changed than it asked for, and then answers the truth', async () => {
    const { held, vectors, put, remove, nearest } = world();
    vectors.start();
    for (let entity = 1; entity <= 60; entity++) put(entity, turned(entity));
    await held.settle();
    const asked = nearest(3);
    await new Promise((resolve) => setImmediate(resolve));
    held.arrive();
    for (let entity = 1; entity <= 30; entity++) remove(entity);
    held.return();
    await held.settle();
    assert.deepEqual(await asked, [31, 32, 33]);
  });

  it('sends an entity that keeps changing once, as it is when it is sent, a few batches at a time', async () => {
    const { held, vectors, put, nearest } = world();
    vectors.start();
    await held.settle();
    for (let round = 0; round < 50; round++) for (let entity = 0; entity < 100; entity++) put(entity, turned(round));
    await new Promise((resolve) => setImmediate(resolve));
    assert.equal(held.there.length, 1);
    const [sent] = held.there;
    assert.ok(sent?.kind === 'changes');
    assert.equal(sent.ordinals.length, 100);
    assert.ok(Math.abs(sent.values[0]! - turned(49)[0]!) < 1e-6);
    for (let entity = 100; entity < 10_000; entity++) put(entity, turned(entity % 90));
    await new Promise((resolve) => setImmediate(resolve));
    assert.equal(held.there.length, 4);
    const asked = nearest(1);
    await held.settle();
    assert.deepEqual(await asked, [180]);
    assert.equal(vectors.stats.live, 10_000);
  });

  it('refuses when too many wait, and when no answer comes in time; what waits continues', async () => {
    const { clock, held, vectors, put, nearest } = world();
    vectors.start();
    put(1, turned(1));
    await held.settle();
    const asked = Array.from({ length: 256 }, () => nearest(1));
    assert.equal(vectors.stats.waiting, 256);
    assert.equal(await nearest(1), 'overloaded');
    await held.settle();
    assert.deepEqual(await Promise.all(asked), new Array(256).fill([1]));
    const late = nearest(1);
    await clock.advance(5_000);
    assert.equal(await late, 'overloaded');
    assert.equal(vectors.stats.waiting, 0);
    await held.settle();
    const next = nearest(1);
    await held.settle();
    assert.deepEqual(await next, [1]);
  });

  it('opens another index when one dies: its searches are refused, the others wait for the new one', async () => {
    const { clock, held, vectors, metrics, logged, put, nearest } = world();
    vectors.start();
    for (let entity = 1; entity <= 10; entity++) put(entity, turned(entity));
    await held.settle();
    const poison = nearest(1);
    await new Promise((resolve) => setImmediate(resolve));
    held.arrive();
    held.die(new Error('out of memory'));
    assert.equal(await poison, 'overloaded');
    const patient = nearest(2);
    assert.equal(held.opened, 1);
    put(11, turned(0.5));
    await clock.advance(1_000);
    await held.settle();
    assert.equal(held.opened, 2);
    assert.deepEqual(await patient, [11, 1]);
    assert.equal(vectors.stats.live, 11);
    assert.ok(logged.some((line) => line.includes('vector index failed')));
    assert.match((await metrics.render()).text, /tidal_vector_index_reopened_total\{.*\} 1/);
  });

  it('pauses longer and longer while indexes die repeatedly, and begins anew after one that ran', async () => {
    const { clock, held, vectors } = world();
    vectors.start();
    const pauses: number[] = [];
    for (let deaths = 0; deaths < 9; deaths++) {
      const before = clock.monotonicMs();
      const { opened } = held;
      held.die(new Error('again'));
      while (held.opened === opened) await clock.advance(500);
      pauses.push(clock.monotonicMs() - before);
    }
    assert.deepEqual(
      pauses,
      [1, 2, 4, 8, 16, 32, 60, 60, 60].map((seconds) => seconds * 1_000),
    );
    await clock.advance(60_000);
    held.die(new Error('once more'));
    await clock.advance(0);
    assert.equal(held.opened, 11);
  });

  it('refuses what waits when it stops, ends the index, and leaves no timer behind', async () => {
    const { clock, held, vectors, put, nearest } = world();
    vectors.start();
    put(1, turned(1));
    await held.settle();
    const asked = nearest(1);
    await vectors.stop();
    assert.equal(await asked, 'shutting_down');
    assert.equal(await nearest(1), 'shutting_down');
    assert.deepEqual([held.ended, clock.pending], [1, 0]);
    held.die(new Error('after its end'));
    assert.deepEqual([held.opened, clock.pending], [1, 0]);
  });

  it('hands on what the answering part throws', async () => {
    const { held, vectors, put } = world();
    vectors.start();
    put(1, turned(1));
    await held.settle();
    const asked = vectors.nearest({ values: east, limit: 1 }, () => {
      throw new Error('from the route');
    });
    const failed = assert.rejects(asked, /^Error: from the route$/);
    await held.settle();
    await failed;
    assert.equal(vectors.stats.waiting, 0);
  });
});
