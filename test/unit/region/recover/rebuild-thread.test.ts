/** The thread that builds the indexes of a start: its result, and the state after its death. */
import assert from 'node:assert/strict';
import { threadRebuild } from '../../../../services/region/rebuild/rebuild-thread.ts';
import type { TextField } from '../../../../services/region/schema/schema.ts';
import type { MetadataPage } from '../../../../services/region/state/catalog/catalog.ts';
import { Entities } from '../../../../services/region/state/entities/entities.ts';
import { createFilterIndex } from '../../../../services/region/state/filter-index/bitmap-filter-index.ts';
import { analysisOf } from '../../../../services/region/state/text/analysis/analysis.ts';
import { createTextIndex } from '../../../../services/region/state/text/text-index.ts';
import type { Metadata } from '../../../../shared/protocol/events.ts';
import { lunrQuery } from '../../../harness/region/state/text-queries.ts';

const textFields: readonly TextField[] = [
  { name: 'title', boost: 1 },
  { name: 'category', boost: 1, language: 'fr', stopWords: ['film'] },
];
const schema = { textFields, bm25: { k1: 1.2, b: 0.75 } };
const fieldNames = textFields.map(({ name }) => name);
const analyses = textFields.map(analysisOf);

/** Items in pages of 40, as the catalog lends them. */
function pagesOf(jsons: readonly string[]): MetadataPage[] {
  const pages: MetadataPage[] = [];
  for (let from = 0; from < jsons.length; from += 40) {
    const words: number[] = [];
    for (const json of jsons.slice(from, from + 40)) {
      const bytes = Buffer.from(json);
      const padded = Buffer.alloc(Math.ceil(bytes.length / 4) * 4);
      bytes.copy(padded);
      words.push(0, bytes.length, ...new Uint32Array(padded.buffer, padded.byteOffset, padded.length / 4));
    }
    const page = new Uint32Array(new SharedArrayBuffer(words.length * 4));
    page.set(words);
    pages.push({ words: page });
  }
  return pages;
}

/** Titles of more than one block of words; one beyond ASCII. */
const items = Array.from({ length: 400 }, (_, index): Metadata => {
  if (index === 7) return { title: 'naïve “jazz”', category: 'music' };
  if (index === 8) return { title: Array.from({ length: 700 }, (_, word) => `long${word}`).join(' ') };
  return { title: `jazz number ${index}`, category: index % 2 === 0 ? 'music' : 'film', year: 1950 + (index % 70) };
});

describe('the thread of a rebuild', () => {
  it('transfers both indexes, equal to ones filled item by item', async () => {
    const rebuild = threadRebuild({ fieldNames, analyses });
    for (const page of pagesOf(items.map((item) => JSON.stringify(item)))) rebuild.add(page);
    assert.equal(rebuild.begun, true);
    // Ordinals unrelated to the order of the items.
    const rebuilt = await rebuild.finish(Int32Array.from(items, (_, index) => (index * 7) % items.length));
    assert.equal(rebuild.indexed, items.length);
    await rebuild.end();
    const entities = new Entities();
    const byOrdinal = Array.from(items, (_, ordinal) =>
      items.findIndex((_, index) => (index * 7) % items.length === ordinal),
    );
    for (const index of byOrdinal) entities.ordinal(1_000 + index);
    const metadataOf = (ordinal: number): Metadata => items[byOrdinal[ordinal]!]!;
    const [filterIndex, told] = [
      createFilterIndex({ entities, metadataOf }),
      createFilterIndex({ entities, metadataOf }),
    ];
    const [text, toldText] = [createTextIndex({ schema, entities }), createTextIndex({ schema, entities })];
    filterIndex.adopt(rebuilt.filterIndex);
    text.adopt(rebuilt.text);
    for (const [index, item] of items.entries()) {
      told.put(1_000 + index, item, undefined);
      toldText.put(1_000 + index, item);
    }
    for (const query of ['jazz', 'naïve', 'long699', 'num*', '-film']) {
      assert.deepEqual(
        text.rank(lunrQuery(query)).after(undefined, 500),
        toldText.rank(lunrQuery(query)).after(undefined, 500),
        query,
      );
    }
    assert.equal(text.rank(lunrQuery('jazz')).total, items.length - 1);
    for (const value of ['music', 'film', 'none']) {
      const filters = [{ field: 'category', operator: 'in' as const, values: [value] }];
      assert.equal(filterIndex.select(filters).count, told.select(filters).count, value);
    }
  });

  it('is none where there is little', async () => {
    const rebuild = threadRebuild({ fieldNames, analyses });
    for (const page of pagesOf(['{"title":"jazz"}'])) rebuild.add(page);
    assert.equal(rebuild.begun, false);
    await rebuild.end();
  });

  it('that dies is reported', async () => {
    const rebuild = threadRebuild({ fieldNames, analyses });
    for (const page of pagesOf(new Array<string>(100).fill('this is no JSON'))) rebuild.add(page);
    await assert.rejects(rebuild.finish(new Int32Array(100)), /JSON/);
    await rebuild.end();
  });
});
