import assert from 'node:assert/strict';
import { VectorGraph } from '../../../../../services/region/state/vectors/vector-graph.ts';
import { itWithGraphs, needGraphs } from '../../../../harness/region/state/vectors/graphs.ts';
import {
  bruteForce,
  cosine,
  LoneIndex,
  recallOf,
  vectorsFrom,
} from '../../../../harness/region/state/vectors/vectors.ts';

const entitiesOf = (hits: readonly { entity: number }[]): number[] => hits.map(({ entity }) => entity);

describe('vector index', () => {
  it('is exact while it is small', () => {
    const index = new LoneIndex({ dimensions: 16 });
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

  itWithGraphs('finds at least 9 of the 10 nearest among 6,000, whatever their lengths', () => {
    const index = new LoneIndex({ dimensions: 16 });
    const vectors = new Map(
      vectorsFrom(3, 6_000, 16).map((vector, i) => [i, vector.map((value) => value * (1 + (i % 100)))]),
    );
    for (const [entity, vector] of vectors) index.put(entity, vector);
    index.finish();
    assert.equal(index.index.graphed, 6_000);
    const found = recallOf((query, limit) => index.nearest(query, limit), vectors, vectorsFrom(4, 100, 16));
    assert.ok(found >= 0.9, `recall ${found}`);
    for (const entity of [0, 1_500, 5_999]) {
      const [first] = index.nearest(vectors.get(entity)!, 1);
      assert.equal(first?.entity, entity);
      assert.ok(Math.abs(first.similarity - 1) < 1e-6);
    }
  });

  itWithGraphs(
    'grows far beyond its first capacity, keeps its recall over replacements, and never answers with what was',
    () => {
      const index = new LoneIndex({ dimensions: 8, exactLimit: 100 });
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
          assert.ok(
            first !== undefined && first.similarity > 0.999,
            `${entity}: ${first?.entity} ${first?.similarity}`,
          );
        }
        const found = recallOf((query, limit) => index.nearest(query, limit), vectors, vectorsFrom(10 + round, 50, 8));
        assert.ok(found >= 0.9, `recall ${found} in round ${round}`);
      }
    },
  );

  it('breaks ties by entity id', () => {
    const index = new LoneIndex({ dimensions: 2 });
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
      before(function () {
        if (name === 'by graph') needGraphs(this);
      });
      const dimensions = 4;
      function filled(): LoneIndex {
        const index = new LoneIndex({ dimensions, exactLimit });
        for (const [i, vector] of vectorsFrom(20, 300, dimensions).entries()) index.put(i, vector);
        return index;
      }
      const query = Float32Array.of(0.3, -0.2, 0.5, 0.1);

      it('answers the selected only, from a list or a bitmap', () => {
        const index = filled();
        const all = index.nearest(query, 300).map(({ entity }) => entity);
        for (const pick of [(entity: number) => entity % 2 === 0, (entity: number) => entity === 123, () => false]) {
          const expected = all.filter(pick).slice(0, 10);
          const selected = Array.from({ length: 300 }, (_, entity) => entity).filter(pick);
          assert.deepEqual(entitiesOf(index.nearest(query, 10, index.list(selected))), expected);
          assert.deepEqual(entitiesOf(index.nearest(query, 10, index.bitmap(selected))), expected);
        }
      });

      it('a selection may name entities without a vector, and some that were met after it', () => {
        const index = filled();
        const selected = [1, 2, 5_000, 5_001];
        const among = [index.list(selected), index.bitmap(selected)];
        index.put(6_000, query);
        for (const one of among) assert.deepEqual(entitiesOf(index.nearest(query, 10, one)).sort(), [1, 2]);
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
        const index = new LoneIndex({ dimensions: 2, exactLimit });
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

describe('vector index beside its graph', () => {
  const dimensions = 8;

  itWithGraphs('finds what the graph does not have yet, and nothing that it still has', () => {
    const index = new LoneIndex({ dimensions, exactLimit: 50 });
    const vectors = vectorsFrom(30, 400, dimensions);
    for (const [entity, vector] of vectors.entries()) index.index.put(index.ordinal(entity), entity, vector);
    for (let steps = 0; steps < 40; steps++) assert.ok(index.index.work());
    const { graphed } = index.index;
    assert.ok(graphed > 100 && graphed < 300, `${graphed} in the graph`);
    index.index.remove(index.ordinal(7));
    index.index.put(index.ordinal(8), 8, vectors[399]!);
    for (const [entity, vector] of vectors.entries()) {
      const [first, second] = index.nearest(vector, 2);
      if (entity === 7 || entity === 8) assert.notEqual(first?.entity, entity);
      else if (entity === 399) assert.deepEqual([first?.entity, second?.entity], [8, 399]);
      else assert.equal(first?.entity, entity);
    }
  });

  itWithGraphs('builds a new graph when half of one is deleted, answering all the while', () => {
    const index = new LoneIndex({ dimensions, exactLimit: 50 });
    const vectors = new Map(vectorsFrom(31, 600, dimensions).entries());
    for (const [entity, vector] of vectors) index.put(entity, vector);
    index.finish();
    assert.equal(index.index.graphed, 600);
    for (let entity = 0; entity < 350; entity++) {
      index.index.remove(index.ordinal(entity));
      vectors.delete(entity);
    }
    assert.equal(index.index.deleted, 350);
    const query = vectorsFrom(32, 1, dimensions)[0]!;
    let steps = 0;
    do {
      assert.deepEqual(entitiesOf(index.nearest(query, 5)), bruteForce(vectors, query, 5));
      steps++;
    } while (index.index.work());
    assert.ok(steps > 50, `${steps} steps`);
    assert.deepEqual([index.index.graphed, index.index.deleted], [250, 0]);
  });

  itWithGraphs('takes a bitmap through the graph where that is cheaper than the scan, and finds the same', () => {
    const index = new LoneIndex({ dimensions, exactLimit: 50 });
    const vectors = new Map(vectorsFrom(33, 7_000, dimensions).entries());
    for (const [entity, vector] of vectors) index.put(entity, vector);
    index.finish();
    const chosen = [...vectors.keys()].filter((entity) => entity % 20 !== 0);
    const selected = new Map(chosen.map((entity) => [entity, vectors.get(entity)!]));
    // 6,650² > 60 · 96 · 7,000
    const among = index.bitmap(chosen);
    const found = recallOf((query) => index.nearest(query, 10, among), selected, vectorsFrom(34, 50, dimensions));
    assert.ok(found >= 0.95, `recall ${found}`);
    for (const query of vectorsFrom(35, 20, dimensions)) {
      for (const { entity } of index.nearest(query, 10, among)) assert.ok(selected.has(entity), `${entity} is not`);
    }
  });
});

describe('vector graph', () => {
  itWithGraphs('resizes before it is full and counts what it holds', () => {
    const graph = VectorGraph.empty({ dimensions: 2, capacity: 2 });
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
