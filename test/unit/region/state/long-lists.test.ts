/** An item with a list of tens of thousands of texts: filters know each of them, and no change takes the square of the list. */
import assert from 'node:assert/strict';
import { MetadataScan } from '../../../../services/region/metadata/metadata.ts';
import { Entities } from '../../../../services/region/state/entities/entities.ts';
import { createFilterIndex } from '../../../../services/region/state/filter-index/bitmap-filter-index.ts';
import { FilterIndexGathering } from '../../../../services/region/state/filter-index/filter-index-gathering.ts';
import type { Metadata } from '../../../../shared/protocol/events.ts';

const LENGTH = 37_000;

/** Counts how often its texts are looked through. */
class Counted extends Array<string> {
  static searches = 0;
  override includes(text: string): boolean {
    Counted.searches++;
    return super.includes(text);
  }
}

const tags = (from: number): readonly string[] =>
  Counted.from({ length: LENGTH }, (_, index) => `t${from + index}`) as readonly string[];
const tagged = (value: string) => [{ field: 'tags', operator: 'in' as const, values: [value] }];

function rig() {
  const entities = new Entities();
  const catalog = new Map<number, Metadata>();
  const filterIndex = createFilterIndex({ entities, metadataOf: (ordinal) => catalog.get(entities.entity(ordinal)) });
  const put = (entity: number, metadata: Metadata): void => {
    const former = catalog.get(entity);
    entities.ordinal(entity);
    catalog.set(entity, metadata);
    filterIndex.put(entity, metadata, former);
  };
  const remove = (entity: number): void => {
    const former = catalog.get(entity);
    catalog.delete(entity);
    filterIndex.remove(entity, former);
  };
  const having = (value: string): number => filterIndex.select(tagged(value)).count;
  return { entities, catalog, filterIndex, put, remove, having };
}

describe('lists of 37,000 texts', function () {
  this.timeout(20_000);
  beforeEach(() => {
    Counted.searches = 0;
  });

  it('are put, replaced and deleted without looking through a list for each text, also those of another item', () => {
    const { put, remove, having } = rig();
    put(1, { tags: tags(0) });
    put(2, { tags: tags(20_000) });
    assert.deepEqual([having('t5'), having('t30000'), having('t56999'), having('x')], [1, 2, 1, 0]);
    put(1, { tags: tags(1) });
    assert.deepEqual([having('t0'), having('t1'), having('t37000')], [0, 1, 2]);
    remove(1);
    assert.deepEqual([having('t1'), having('t30000'), having('t56999')], [0, 1, 1]);
    remove(2);
    assert.deepEqual([having('t30000'), having('t56999')], [0, 0]);
    assert.equal(Counted.searches, 0);
  });

  it('that a start has gathered are deleted as cheaply', () => {
    const { entities, catalog, filterIndex, remove, having } = rig();
    const items: readonly [number, Metadata][] = [
      [1, { title: 'one', tags: tags(0) }],
      [2, { title: 'two', tags: [...tags(30_000)] }],
      [3, { tags: ['t5', 'few'] }],
    ];
    const gathering = new FilterIndexGathering({ metadataOf: (number) => items[number]![1] });
    const scan = new MetadataScan();
    for (const [number, [entity, metadata]] of items.entries()) {
      entities.ordinal(entity);
      catalog.set(entity, metadata);
      const json = JSON.stringify(metadata);
      scan.read(json, 0, json.length, () => json);
      gathering.gather(number, scan);
    }
    filterIndex.adopt(gathering.image(Int32Array.of(0, 1, 2)));
    assert.deepEqual([having('t5'), having('t36000'), having('few'), having('two')], [2, 2, 1, 0]);
    remove(1);
    assert.deepEqual([having('t5'), having('t36000'), having('t0')], [1, 1, 0]);
    assert.equal(Counted.searches, 0);
  });
});
