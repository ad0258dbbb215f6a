/** Reciprocal rank fusion and what is searched by it, from numbers worked out by hand. */

import assert from 'node:assert/strict';
import type { Filter } from '../../../../services/region/filter/filter.ts';
import { rankingOf } from '../../../../services/region/scored/scored.ts';
import { createSearch } from '../../../../services/region/search/fused-search.ts';
import { fuse } from '../../../../services/region/search/fusion.ts';
import { CANDIDATES, type Found } from '../../../../services/region/search/search.ts';
import type { TextIndex } from '../../../../services/region/state/text/text.ts';
import type { VectorHit, VectorQuestion } from '../../../../services/region/state/vectors/vectors.ts';
import { Refusal } from '../../../../shared/errors/errors.ts';
import { plainQuery } from '../../../harness/region/state/text-queries.ts';
import { TinyCatalog } from '../../../harness/region/state/tiny-state.ts';
import { atOnce } from '../../../harness/region/text-at-once.ts';

const close = (a: number, b: number): void => assert.ok(Math.abs(a - b) < 1e-12, `${a} is not ${b}`);

describe('fusion', () => {
  it('adds 1 / (60 + rank) of every list, ranks from 1, and breaks ties by entity', () => {
    const { best, explain } = fuse([
      { name: 'text', entities: [7, 3, 9] },
      { name: 'vector', entities: [3, 5, 8] },
    ]);
    assert.deepEqual(
      best.map(({ entity }) => entity),
      [3, 7, 5, 8, 9],
    );
    const expected = [1 / 62 + 1 / 61, 1 / 61, 1 / 62, 1 / 63, 1 / 63];
    for (const [i, { score }] of best.entries()) close(score, expected[i]!);
    assert.deepEqual(explain(3), [
      { term: 'rank 2 by text', value: 1 / 62, weight: 1, part: 1 / 62 },
      { term: 'rank 1 by vector', value: 1 / 61, weight: 1, part: 1 / 61 },
    ]);
    assert.deepEqual(explain(8), [{ term: 'rank 3 by vector', value: 1 / 63, weight: 1, part: 1 / 63 }]);
    assert.deepEqual(explain(1), []);
  });

  it('keeps the order of a single list, and is empty over empty ones', () => {
    assert.deepEqual(
      fuse([{ name: 'text', entities: [4, 2] }]).best.map(({ entity }) => entity),
      [4, 2],
    );
    assert.deepEqual(fuse([]).best, []);
    assert.deepEqual(fuse([{ name: 'text', entities: [] }]).best, []);
  });
});

/** Texts rank by how often they are asked: `hits` = entities by descending score. */
function world({
  texts,
  neighbours,
}: {
  texts: readonly number[];
  neighbours: readonly (readonly [number, number])[];
}) {
  const catalog = new TinyCatalog();
  const asked: { readonly limit: number; readonly values: readonly number[] }[] = [];
  /** Called between question and answer. */
  const between: (() => void)[] = [];
  const text: Pick<TextIndex, 'rank' | 'significantTerms'> = {
    rank(query, selection) {
      if ('text' in query && query.text === 'wrong~query') throw new Refusal('invalid_query', 'no');
      const hits = texts
        .filter((entity) => catalog.item(entity) !== undefined)
        .filter((entity) => selection?.has(catalog.entities.find(entity)) !== false)
        .map((entity, index) => ({ entity, score: 10 - index / 1_000 }));
      const how = { asked: 'word', match: 'exact', word: 'word' } as const;
      return {
        ...rankingOf(hits),
        relaxed: [],
        explain: () => [{ term: 'word', value: 1, weight: 2, part: 2, ...how }],
        statistics: () => new Uint8Array(),
        matches: () => ({ ordinals: new Int32Array() }),
        marks: () => [],
      };
    },
    significantTerms: (entity) =>
      catalog.item(entity)?.metadata.title === undefined ? [] : [{ term: 'title', weight: 1 }],
  };
  const vectors = {
    async nearest<T>(question: VectorQuestion, answer: (hits: readonly VectorHit[]) => T): Promise<T> {
      asked.push({ limit: question.limit, values: [...question.values] });
      for (const change of between.splice(0)) change();
      await Promise.resolve();
      const selection = question.select?.();
      return answer(
        neighbours
          .filter(([entity]) => catalog.embedding(entity) !== undefined)
          .filter(([entity]) => selection?.has(catalog.entities.find(entity)) !== false)
          .slice(0, question.limit)
          .map(([entity, similarity]) => ({ entity, similarity })),
      );
    },
  };
  const { filterIndex } = catalog;
  const search = createSearch({ dimensions: 2, catalog, filterIndex, text, vectors, changes: catalog.changes });
  const ranked = (found: Found): [number, number][] =>
    found.after(undefined, 10_000).map(({ entity, score }) => [entity, score]);
  return { catalog, search, asked, between, ranked };
}

const kindA: readonly Filter[] = [{ field: 'kind', operator: 'in', values: ['a'] }];
const vector = Float32Array.of(1, 0);

describe('search', () => {
  function four() {
    const one = world({
      texts: [1, 2, 3],
      neighbours: [
        [3, 0.9],
        [4, 0.8],
        [1, 0.1],
      ],
    });
    for (const entity of [1, 2, 3, 4]) {
      one.catalog.put(entity, { title: `t${entity}`, kind: entity % 2 === 0 ? 'a' : 'b' });
      one.catalog.embed(entity, [entity, 1]);
    }
    return one;
  }

  it('by text alone ranks as the text index does, without asking for vectors', async () => {
    const { search, asked, ranked } = four();
    const found = await search.find({ text: plainQuery('word'), filters: [] }, atOnce, (answer) => answer);
    assert.deepEqual(ranked(found), [
      [1, 10],
      [2, 9.999],
      [3, 9.998],
    ]);
    assert.deepEqual([found.total, found.candidates, asked], [3, { text: 3 }, []]);
    assert.equal(found.explain(1)[0]?.term, 'word');
  });

  it('by vector alone ranks by similarity', async () => {
    const { search, asked, ranked } = four();
    const found = await search.find({ vector, filters: [] }, atOnce, (answer) => answer);
    assert.deepEqual(ranked(found), [
      [3, 0.9],
      [4, 0.8],
      [1, 0.1],
    ]);
    assert.deepEqual([found.total, found.candidates], [3, { vector: 3 }]);
    assert.deepEqual(found.explain(4), [{ term: 'cosine similarity', value: 0.8, weight: 1, part: 0.8 }]);
    assert.deepEqual(found.explain(2), []);
    assert.deepEqual(asked, [{ limit: CANDIDATES, values: [1, 0] }]);
  });

  describe('by vector alone', () => {
    /** Items 1 … `count`, the lower the nearer; every third is of kind a. */
    function many(count: number) {
      const entities = Array.from({ length: count }, (_, index) => index + 1);
      const one = world({ texts: [], neighbours: entities.map((entity) => [entity, 1 - entity / 10_000]) });
      for (const entity of entities) {
        one.catalog.put(entity, { kind: entity % 3 === 0 ? 'a' : 'b' });
        one.catalog.embed(entity, [entity, 1]);
      }
      return one;
    }
    const limits = ({ asked }: ReturnType<typeof many>): number[] => asked.map(({ limit }) => limit);

    it('looks for what is needed, and says how many there are', async () => {
      const here = many(1_500);
      for (const [reach, limit] of [
        [2, 128],
        [64, 128],
        [65, 256],
        [256, 512],
        [257, CANDIDATES],
        [5_000, CANDIDATES],
      ] as const) {
        here.asked.length = 0;
        const found = await here.search.find({ vector, filters: [], reach }, atOnce, (answer) => {
          assert.equal(answer.after(undefined, Math.min(reach, CANDIDATES)).length, Math.min(reach, CANDIDATES));
          return answer;
        });
        assert.deepEqual([limits(here), found.total, found.candidates], [[limit], CANDIDATES, { vector: CANDIDATES }]);
      }
      const filtered = await here.search.find({ vector, filters: kindA, reach: 21 }, atOnce, (answer) => answer);
      assert.deepEqual([filtered.total, here.asked.at(-1)?.limit], [500, 128]);
      const few = await many(130).search.find({ vector, filters: [], reach: 21 }, atOnce, (answer) => answer);
      assert.equal(few.total, 130);
    });

    it('looks further when more is asked for, and answers once with all of it', async () => {
      const here = many(1_500);
      const seen: number[] = [];
      const answered = await here.search.find({ vector, filters: [], reach: 21 }, atOnce, (found) => {
        const first = found.after(undefined, 100);
        const more = found.after(first.at(-1), 250);
        seen.push(more.length);
        return more.map(({ entity }) => entity);
      });
      assert.deepEqual(
        [limits(here), seen],
        [
          [128, 256, 512],
          [28, 156, 250],
        ],
      );
      assert.deepEqual(
        answered,
        Array.from({ length: 250 }, (_, index) => 101 + index),
      );
    });

    it('does not search further if there are no more', async () => {
      const here = many(140);
      for (const entity of [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12]) here.catalog.remove(entity);
      const last = await here.search.find({ vector, filters: [], reach: 21 }, atOnce, (found) =>
        found.after(undefined, 1_000).at(-1),
      );
      assert.deepEqual([last?.entity, limits(here)], [140, [128]]);
    });

    it('looks further where the index had less than it should, and is content with what there is in the end', async () => {
      const entities = Array.from({ length: 90 }, (_, index) => index);
      const here = world({ texts: [], neighbours: entities.map((entity) => [entity, 1]) });
      for (let entity = 0; entity < 300; entity++) {
        here.catalog.put(entity, {});
        here.catalog.embed(entity, [1, 1]);
      }
      const totals: number[] = [];
      await here.search.find({ vector, filters: [], reach: 21 }, atOnce, (found) => totals.push(found.total));
      assert.deepEqual(
        [here.asked.map(({ limit }) => limit), totals],
        [
          [128, 256, 512, CANDIDATES],
          [300, 300, 300, 90],
        ],
      );
    });
  });

  it('by both fuses them; a filter holds for both', async () => {
    const { search, ranked } = four();
    const both = await search.find({ text: plainQuery('word'), vector, filters: [] }, atOnce, (answer) => answer);
    const expected: [number, number][] = [
      [1, 1 / 61 + 1 / 63],
      [3, 1 / 63 + 1 / 61],
      [2, 1 / 62],
      [4, 1 / 62],
    ];
    assert.deepEqual(
      ranked(both).map(([entity]) => entity),
      expected.map(([entity]) => entity),
    );
    for (const [i, [, score]] of ranked(both).entries()) close(score, expected[i]![1]);
    assert.deepEqual([both.total, both.candidates], [4, { text: 3, vector: 3 }]);
    const filtered = await search.find(
      { text: plainQuery('word'), vector, filters: kindA },
      atOnce,
      (answer) => answer,
    );
    assert.deepEqual(ranked(filtered), [
      [2, 1 / 61],
      [4, 1 / 61],
    ]);
  });

  it('only so many of each list take part', async () => {
    const texts = Array.from({ length: CANDIDATES + 200 }, (_, index) => index);
    const { catalog, search } = world({ texts, neighbours: [[1_150, 1]] });
    for (const entity of texts) catalog.put(entity, { title: 'x' });
    catalog.embed(1_150, [1, 1]);
    const fused = await search.find({ text: plainQuery('word'), vector, filters: [] }, atOnce, (found) => found);
    assert.deepEqual([fused.total, fused.candidates], [CANDIDATES + 1, { text: CANDIDATES, vector: 1 }]);
    assert.equal(fused.explain(1_150).length, 1);
    const alone = await search.find({ text: plainQuery('word'), filters: [] }, atOnce, (found) => found.total);
    assert.equal(alone, CANDIDATES + 200);
  });

  it('ranks by the text at the time of the vector index’s answer', async () => {
    const { catalog, search, between, ranked } = four();
    between.push(() => catalog.remove(1));
    const found = await search.find({ text: plainQuery('word'), vector, filters: [] }, atOnce, (answer) => answer);
    assert.deepEqual(
      ranked(found).map(([entity]) => entity),
      [3, 2, 4],
    );
  });

  it('refuses a vector of other dimensions and a wrong query before it asks', async () => {
    const { search, asked } = four();
    const never = (): never => assert.fail('answered');
    await assert.rejects(search.find({ vector: Float32Array.of(1, 2, 3), filters: [] }, atOnce, never), {
      code: 'wrong_dimensions',
      message: /3 values.*says 2/,
    });
    await assert.rejects(search.find({ text: plainQuery('wrong~query'), vector, filters: [] }, atOnce, never), {
      code: 'invalid_query',
    });
    await assert.rejects(search.find({ text: plainQuery('wrong~query'), filters: [] }, atOnce, never), {
      code: 'invalid_query',
    });
    assert.deepEqual(asked, []);
  });
});

describe('what is related', () => {
  function related() {
    const one = world({
      texts: [1, 2, 3],
      neighbours: [
        [1, 1],
        [3, 0.9],
        [4, 0.8],
      ],
    });
    for (const entity of [1, 2, 3, 4]) one.catalog.put(entity, { title: `t${entity}`, kind: entity < 3 ? 'a' : 'b' });
    for (const entity of [1, 3, 4]) one.catalog.embed(entity, [entity, 1]);
    return one;
  }

  it('fuses the neighbours of its embedding and what its words find, itself left out', async () => {
    const { search, asked, ranked } = related();
    const found = await search.related(1, { filters: [] }, atOnce, (answer) => answer);
    const expected: [number, number][] = [
      [3, 1 / 62 + 1 / 61],
      [2, 1 / 61],
      [4, 1 / 62],
    ];
    assert.deepEqual(
      ranked(found).map(([entity]) => entity),
      expected.map(([entity]) => entity),
    );
    for (const [i, [, score]] of ranked(found).entries()) close(score, expected[i]![1]);
    assert.deepEqual(found.candidates, { text: 2, vector: 2 });
    assert.deepEqual(asked, [{ limit: CANDIDATES, values: [1, 1] }]);
    const filtered = await search.related(1, { filters: kindA }, atOnce, (answer) => answer);
    assert.deepEqual(ranked(filtered), [[2, 1 / 61]]);
  });

  it('uses only its words without an embedding, only its embedding without words', async () => {
    const { catalog, search, asked, ranked } = related();
    const byWords = await search.related(2, { filters: [] }, atOnce, (answer) => answer);
    assert.deepEqual(ranked(byWords), [
      [1, 1 / 61],
      [3, 1 / 62],
    ]);
    assert.deepEqual([byWords.candidates, asked], [{ text: 2 }, []]);
    catalog.put(4, {});
    const byVector = await search.related(4, { filters: [] }, atOnce, (answer) => answer);
    assert.deepEqual(ranked(byVector), [
      [1, 1 / 61],
      [3, 1 / 62],
    ]);
    assert.deepEqual(byVector.candidates, { vector: 2 });
  });

  it('refuses what has neither, and what is not there', async () => {
    const { catalog, search } = related();
    catalog.put(9, {});
    catalog.embed(10, [1, 1]);
    const never = (): never => assert.fail('answered');
    await assert.rejects(search.related(9, { filters: [] }, atOnce, never), {
      code: 'no_embedding',
      message: /neither.*nor/,
    });
    await assert.rejects(search.related(10, { filters: [] }, atOnce, never), { code: 'unknown_item' });
    await assert.rejects(search.related(11, { filters: [] }, atOnce, never), { code: 'unknown_item' });
  });

  it('refuses an item that was deleted while its neighbours were searched', async () => {
    const { catalog, search, between } = related();
    between.push(() => catalog.remove(1));
    const never = (): never => assert.fail('answered');
    await assert.rejects(search.related(1, { filters: [] }, atOnce, never), { code: 'unknown_item' });
  });
});
