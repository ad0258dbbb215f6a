/** Facets and sorted lists of a whole result, computed one step at a time. */
import assert from 'node:assert/strict';
import { facetsOf, sortedFound, wholeOf } from '../../../../services/region/http/reads/whole-result.ts';
import { type IndexQueue, IndexRead } from '../../../../services/region/index-queue/index-queue.ts';
import { Unfinished } from '../../../../services/region/read-queue/read-queue.ts';
import { readSort } from '../../../../services/region/result/result.ts';
import type { Found } from '../../../../services/region/search/search.ts';
import { MemoryTextIndex } from '../../../../services/region/state/text/text-index.ts';
import { plainQuery } from '../../../harness/region/state/text-queries.ts';
import { TinyCatalog } from '../../../harness/region/state/tiny-state.ts';

const ITEMS = 3_000;

describe('a whole result in slices', () => {
  const catalog = new TinyCatalog();
  const { entities, filterIndex } = catalog;
  const text = new MemoryTextIndex({
    schema: { textFields: [{ name: 'title', boost: 1 }], bm25: { k1: 1.2, b: 0.75 } },
    entities,
  });
  before(() => {
    for (let entity = 1; entity <= ITEMS; entity++) {
      const metadata = { title: `jazz word${entity % 7}`, year: entity % 50, kind: `k${entity % 3}` };
      catalog.put(entity, metadata, entity);
      text.put(entity, metadata);
    }
    Object.assign(text.scoring.step, { windows: 1, lookups: 1, postings: 1 });
  });

  /** Repeated until it is done, and how often. */
  function inSlices<T>(attempt: (found: Found) => T): { readonly value: T; readonly attempts: number } {
    const queue: Pick<IndexQueue, 'hold' | 'release' | 'require' | 'isCurrent'> = {
      ...{ hold: () => {}, release: () => {}, require: () => {}, isCurrent: true },
    };
    const read = new IndexRead({ queue: queue as IndexQueue, over: () => true, position: () => '' });
    for (let attempts = 1; ; attempts++) {
      try {
        const ranking = text.rank(plainQuery('jazz'), undefined, read.run);
        const whole = { matches: () => ranking.matches(), run: read.run, isRanked: true };
        return {
          value: attempt({ total: 0, after: () => [], explain: () => [], candidates: {}, relaxed: [], whole }),
          attempts,
        };
      } catch (error) {
        if (!(error instanceof Unfinished)) throw error;
        while (!error.work.step(() => true));
      }
    }
  }

  it('has the facets of all of it', () => {
    const facets = [{ field: 'year' }, { field: 'kind' }];
    const { value, attempts } = inSlices((found) =>
      facetsOf({ catalog, entities, filterIndex }, wholeOf(found), [], { facets, limit: 3 }),
    );
    assert.ok(attempts > 1, `${attempts} attempts`);
    const count = ITEMS / 3;
    assert.deepEqual(value.facets.kind, [
      { value: 'k0', count },
      { value: 'k1', count },
      { value: 'k2', count },
    ]);
    assert.deepEqual(value.facets.year?.[0], { value: 0, count: ITEMS / 50 });
    assert.deepEqual(value.facet_stats, { year: { min: 0, max: 49 } });
  });

  it('is sorted as a whole', () => {
    const keys = readSort('year:desc,kind:desc,entity_id:desc');
    assert.ok(typeof keys !== 'string');
    const { value, attempts } = inSlices((found) =>
      sortedFound({ catalog, entities, filterIndex }, found, keys).after(undefined, 200),
    );
    assert.ok(attempts > 1, `${attempts} attempts`);
    const expected = Array.from({ length: ITEMS }, (_, at) => at + 1)
      .sort((a, b) => (b % 50) - (a % 50) || (b % 3) - (a % 3) || b - a)
      .slice(0, 200);
    assert.deepEqual(
      value.map(({ entity }) => entity),
      expected,
    );
  });
});
