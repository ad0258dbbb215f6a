import assert from 'node:assert/strict';
import { VectorGraph } from '../../services/region/state/vectors/vector-graph.ts';
import { createVectorIndex } from '../../services/region/state/vectors/vector-index.ts';

/** mulberry32: the same numbers in every run. */
function randomFrom(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}

function vectorsFrom(seed: number, count: number, dimensions: number): Float32Array[] {
  const random = randomFrom(seed);
  return Array.from({ length: count }, () => Float32Array.from({ length: dimensions }, () => random() * 2 - 1));
}

function cosine(a: Float32Array, b: Float32Array): number {
  const dot = (x: Float32Array, y: Float32Array): number => x.reduce((sum, value, i) => sum + value * y[i]!, 0);
  return dot(a, b) / Math.sqrt(dot(a, a) * dot(b, b));
}

function bruteForce(vectors: ReadonlyMap<number, Float32Array>, query: Float32Array, limit: number): number[] {
  return [...vectors]
    .map(([entity, vector]) => ({ entity, similarity: cosine(vector, query) }))
    .sort((a, b) => b.similarity - a.similarity || a.entity - b.entity)
    .slice(0, limit)
    .map(({ entity }) => entity);
}

function recall(
  index: ReturnType<typeof createVectorIndex>,
  vectors: ReadonlyMap<number, Float32Array>,
  queries: readonly Float32Array[],
): number {
  let found = 0;
  for (const query of queries) {
    const hits = new Set(index.nearest(query, 10).map(({ entity }) => entity));
    found += bruteForce(vectors, query, 10).filter((entity) => hits.has(entity)).length;
  }
  return found / (10 * queries.length);
}

const entitiesOf = (hits: readonly { entity: number }[]): number[] => hits.map(({ entity }) => entity);

describe('vector index', () => {
  it('is exact while it is small', () => {
    const index = createVectorIndex({ dimensions: 16 });
    const vectors = new Map(vectorsFrom(1, 2_000, 16).map((vector, i) => [i * 3, vector]));
    for (const [entity, vector] of vectors) index.put(entity, vector);
    for (const query of vectorsFrom(2, 20, 16)) {
      const hits = index.nearest(query, 10);
      assert.deepEqual(entitiesOf(hits), bruteForce(vectors, query, 10));
      for (const { entity, similarity } of hits) {
        assert.ok(Math.abs(similarity - cosine(vectors.get(entity)!, query)) < 1e-6);
      }
    }
  });

  it('finds at least 9 of the 10 nearest among 3,000, whatever their lengths', () => {
    const index = createVectorIndex({ dimensions: 16 });
    const vectors = new Map(
      vectorsFrom(3, 3_000, 16).map((vector, i) => [i, vector.map((value) => value * (1 + (i % 100)))]),
    );
    for (const [entity, vector] of vectors) index.put(entity, vector);
    const found = recall(index, vectors, vectorsFrom(4, 100, 16));
    assert.ok(found >= 0.9, `recall ${found}`);
    for (const entity of [0, 1_500, 2_999]) {
      const [first] = index.nearest(vectors.get(entity)!, 1);
      assert.equal(first?.entity, entity);
      assert.ok(Math.abs(first.similarity - 1) < 1e-6);
    }
  });

  it('grows far beyond its first capacity, keeps its recall over replacements, and never answers with what was', () => {
    const index = createVectorIndex({ dimensions: 8, exactLimit: 100 });
    const vectors = new Map<number, Float32Array>();
    for (const [round, seed] of [5, 6, 7, 8].entries()) {
      for (const [i, vector] of vectorsFrom(seed, 1_000, 8).entries()) {
        vectors.set(i, vector);
        index.put(i, vector);
        if (i % 50 !== 0) continue;
        const gone = round * 10 + i / 50;
        vectors.delete(gone);
        index.remove(gone);
        assert.equal(index.size, vectors.size);
      }
      for (const { entity, similarity } of vectorsFrom(9, 20, 8).flatMap((query) => index.nearest(query, 10))) {
        assert.ok(vectors.has(entity), `${entity} was removed`);
        assert.ok(similarity <= 1);
      }
      for (const [entity, vector] of vectors) {
        const [first] = index.nearest(vector, 1);
        assert.ok(first !== undefined && first.similarity > 0.999, `${entity}: ${first?.entity} ${first?.similarity}`);
      }
      const found = recall(index, vectors, vectorsFrom(10 + round, 50, 8));
      assert.ok(found >= 0.9, `recall ${found} in round ${round}`);
    }
  });

  it('breaks ties by entity id', () => {
    const index = createVectorIndex({ dimensions: 2 });
    for (const entity of [7, 3, 5, 9]) index.put(entity, Float32Array.of(entity, 0));
    index.put(1, Float32Array.of(0, 1));
    assert.deepEqual(entitiesOf(index.nearest(Float32Array.of(1, 0), 3)), [3, 5, 7]);
    assert.deepEqual(entitiesOf(index.nearest(Float32Array.of(1, 0), 10)), [3, 5, 7, 9, 1]);
  });

  for (const [name, exactLimit] of [
    ['by scan', 1_000],
    ['by graph', 10],
  ] as const) {
    describe(name, () => {
      const dimensions = 4;
      function filled(): ReturnType<typeof createVectorIndex> {
        const index = createVectorIndex({ dimensions, exactLimit });
        for (const [i, vector] of vectorsFrom(20, 300, dimensions).entries()) index.put(i, vector);
        return index;
      }
      const query = Float32Array.of(0.3, -0.2, 0.5, 0.1);

      it('answers what is accepted only', () => {
        const index = filled();
        const even = index.nearest(query, 10, (entity) => entity % 2 === 0);
        const all = index.nearest(query, 40).filter(({ entity }) => entity % 2 === 0);
        assert.deepEqual(even, all.slice(0, 10));
        assert.deepEqual(entitiesOf(index.nearest(query, 10, (entity) => entity === 123)), [123]);
        assert.deepEqual(
          index.nearest(query, 10, () => false),
          [],
        );
      });

      it('passes on what a filter throws, and is unharmed', () => {
        const index = filled();
        const before = index.nearest(query, 10);
        const filter = (): boolean => {
          throw new Error('from the filter');
        };
        assert.throws(() => index.nearest(query, 10, filter), /^Error: from the filter$/);
        assert.deepEqual(index.nearest(query, 10), before);
      });

      it('knows vectors of length 0: similar by 0 to everything', () => {
        const index = filled();
        for (const entity of [1_002, 1_001, 1_003]) index.put(entity, new Float32Array(dimensions));
        const hits = index.nearest(query, 303);
        assert.equal(hits.length, 303);
        assert.deepEqual(
          hits.filter(({ similarity }) => similarity === 0),
          [1_001, 1_002, 1_003].map((entity) => ({ entity, similarity: 0 })),
        );
        assert.deepEqual(
          index.nearest(new Float32Array(dimensions), 3),
          [0, 1, 2].map((entity) => ({ entity, similarity: 0 })),
        );
        index.put(1_001, query);
        assert.equal(index.nearest(query, 1)[0]?.entity, 1_001);
        index.put(1_001, new Float32Array(dimensions));
        assert.notEqual(index.nearest(query, 1)[0]?.entity, 1_001);
      });

      it('forgets that a vector was of length 0 once it is replaced or removed', () => {
        const index = createVectorIndex({ dimensions: 2, exactLimit });
        for (let i = 1; i <= 20; i++) index.put(i, Float32Array.of(-1, i));
        for (let i = 101; i <= 104; i++) index.put(i, new Float32Array(2));
        const away = Float32Array.of(1, 0);
        assert.deepEqual(entitiesOf(index.nearest(away, 5)), [101, 102, 103, 104, 20]);
        index.put(101, Float32Array.of(-1, 0));
        index.remove(102);
        assert.deepEqual(entitiesOf(index.nearest(away, 5)), [103, 104, 20, 19, 18]);
      });

      it('takes the largest and smallest numbers there are', () => {
        const index = filled();
        index.put(500, Float32Array.of(3.4e38, -3.4e38, 0, 3.4e38));
        index.put(501, Float32Array.of(1e-45, 0, 0, 0));
        assert.equal(index.nearest(Float32Array.of(1, -1, 0, 1), 1)[0]?.entity, 500);
        assert.equal(index.nearest(Float32Array.of(1e-45, 0, 0, 0), 1)[0]?.entity, 501);
      });

      it('is empty once all are removed, and fills again', () => {
        const index = filled();
        for (let i = 0; i < 300; i++) index.remove(i);
        index.remove(5);
        assert.deepEqual([index.nearest(query, 10), index.size], [[], 0]);
        index.put(5, query);
        assert.deepEqual(entitiesOf(index.nearest(query, 10)), [5]);
      });
    });
  }
});

describe('vector graph', () => {
  it('resizes before it is full and counts what it holds', () => {
    const graph = new VectorGraph({ dimensions: 2, capacity: 2 });
    for (let slot = 0; slot < 50; slot++) graph.add(slot, Float32Array.of(Math.cos(slot / 50), Math.sin(slot / 50)));
    for (let slot = 0; slot < 30; slot++) graph.remove(slot);
    graph.remove(0);
    graph.add(0, Float32Array.of(0, 1));
    assert.deepEqual([graph.live, graph.deleted], [21, 30]);
    assert.deepEqual(graph.nearest(Float64Array.of(0, 1), 1), [0]);
    assert.deepEqual(graph.nearest(Float64Array.of(1, 0), 1), [30]);
    assert.equal(graph.nearest(Float64Array.of(1, 0), 100).length, 21);
  });
});
