/** Indexes from a bulk build equal those that were filled item by item, also after later changes. */

import assert from 'node:assert/strict';
import fc from 'fast-check';
import type { Filter } from '../../services/region/filter/filter.ts';
import { IndexQueue } from '../../services/region/index-queue/index-queue.ts';
import { MetadataScan } from '../../services/region/metadata/metadata.ts';
import { ItemIndexing } from '../../services/region/recover/item-indexing.ts';
import { createRegisters } from '../../services/region/state/catalog/registers.ts';
import { Entities } from '../../services/region/state/entities/entities.ts';
import { createFilterIndex } from '../../services/region/state/filter-index/bitmap-filter-index.ts';
import type { Selection } from '../../services/region/state/filter-index/filter-index.ts';
import { forEachMember, MemberPool } from '../../services/region/state/filter-index/member-pool.ts';
import { analysisOf } from '../../services/region/state/text/analysis/analysis.ts';
import type { InvertedIndex } from '../../services/region/state/text/inverted-index.ts';
import { MemoryTextIndex } from '../../services/region/state/text/text-index.ts';
import type { Event, Metadata } from '../../shared/protocol/events.ts';
import { HLC_PER_MS } from '../../shared/protocol/events.ts';
import { ManualClock } from '../harness/kernel/manual-clock.ts';
import { silentLog } from '../harness/observe/silent-log.ts';
import { HeldRebuild } from '../harness/region/held-rebuild.ts';
import { inProcessRebuild } from '../harness/region/rebuild-in-process.ts';
import { createScanFilterIndex } from '../harness/region/state/scan-filter-index.ts';
import { lunrQuery } from '../harness/region/state/text-queries.ts';

const schema = {
  textFields: [
    { name: 'title', boost: 3 },
    { name: 'tags', boost: 1.5, language: 'fr' as const },
    { name: 'year', boost: 1, language: 'en' as const, stopWords: ['jazz'] },
  ],
  bm25: { k1: 1.2, b: 0.75 },
};
const fieldNames = schema.textFields.map(({ name }) => name);
const analyses = schema.textFields.map(analysisOf);

const word = fc.constantFrom(
  'jazz',
  'piano',
  'runs',
  'run',
  'the',
  'Über',
  'x"y',
  'a\\b',
  'naïve',
  'rock-drum',
  '1984',
  '東京タワー',
  '<b>R&amp;B</b>',
  'Ocean’s',
);
const title = fc.array(word, { maxLength: 6 }).map((words) => words.join(' '));
const tags = fc.array(fc.constantFrom('red', 'blue', 'running', 'jazz', 'chansons', 'les', '語', ''), { maxLength: 4 });
const year = fc.oneof(
  fc.integer({ min: 1980, max: 1990 }),
  fc.constantFrom(-1, 0, 1.5, 1e21, 5e-324, 123456789012345680),
);
const metadata: fc.Arbitrary<Metadata> = fc.record(
  { title: fc.oneof(title, fc.boolean(), year), tags, year, other: fc.oneof(word, fc.boolean()) },
  { requiredKeys: [] },
);
const anyMetadata: fc.Arbitrary<Metadata> = fc
  .array(
    fc.tuple(
      fc.oneof(fc.constantFrom('title', 'tags', '__proto__', '7', 'a"b'), fc.string()),
      fc.oneof(
        fc.string(),
        fc.string({ unit: 'binary' }),
        fc.boolean(),
        fc.array(fc.string()),
        fc.double({ noNaN: true, noDefaultInfinity: true }),
      ),
    ),
  )
  .map((entries) => Object.fromEntries(entries));
const filter: fc.Arbitrary<Filter> = fc.oneof(
  fc.record({
    field: fc.constantFrom('title', 'tags', 'year', 'other'),
    operator: fc.constantFrom('in' as const, 'not_in' as const, 'same_letters' as const, 'exists' as const),
    values: fc.array(fc.oneof(word, title, fc.constantFrom('red', 'blue', '', 'true', '1984', '1e+21', '2024-01-01')), {
      minLength: 1,
      maxLength: 3,
    }),
  }),
  fc.record({
    field: fc.constantFrom('year', 'title'),
    operator: fc.constantFrom('>=' as const, '<=' as const, '>' as const, '<' as const),
    values: year.map((bound) => [String(bound)]),
  }),
  fc.record({
    field: fc.constantFrom('tags', 'title'),
    operator: fc.constantFrom('>=' as const, '<' as const),
    values: fc.constantFrom(['2024-01-01'], ['2024-01-01T00:00:00.001Z']),
  }),
);
const queries = ['jazz', 'run', 'title:piano tags:red', '+jazz -run', 'ru*', 'über', 'year:1984', 'drum~1', '語'];
const filters = fc.array(fc.array(filter, { maxLength: 3 }), { minLength: 1, maxLength: 6 });

const jsonOf = (value: Metadata): Buffer => Buffer.from(JSON.stringify(value));

/** A region's indexes over a catalog of their own, and filter index that look at every item. */
class Indexes {
  readonly entities = new Entities();
  readonly catalog = createRegisters({ entities: this.entities });
  readonly filterIndex = createFilterIndex({
    entities: this.entities,
    metadataOf: (ordinal) => this.catalog.indexedMetadata(ordinal),
    unindexed: {
      ordinals: () => this.catalog.unindexed.ordinals(),
      present: (ordinal) => this.catalog.metadata(ordinal),
    },
  });
  readonly scan = createScanFilterIndex({ entities: this.entities });
  readonly text = new MemoryTextIndex({ schema, entities: this.entities });
  readonly queue: IndexQueue;
  private sequence = 0;

  constructor(clock = new ManualClock()) {
    const { filterIndex, text, catalog } = this;
    const nextTurn = (action: () => void) => clock.after(1, action);
    this.queue = new IndexQueue({ clock, log: silentLog, unindexed: catalog.unindexed, filterIndex, text, nextTurn });
  }

  change(entity: number, value: Metadata | undefined): void {
    this.sequence++;
    const hlc = (1_000 + this.sequence) * HLC_PER_MS;
    const event: Event =
      value === undefined ? { kind: 'delete', hlc, entity } : { kind: 'item', hlc, entity, metadata: value };
    const order = { epoch: 1, hlc, origin: 'us-east@aaaaaaaaaa', sequence: this.sequence };
    const { item } = this.catalog.apply({ event, order });
    if (item === 'gone') this.scan.remove(entity, undefined);
    else if (item !== undefined) this.scan.put(entity, item.metadata, undefined);
    this.queue.wake();
  }

  settle(): this {
    assert.ok(this.queue.step(() => false));
    return this;
  }
}

const ordinalsOf = (selection: Selection): number[] => {
  const ordinals: number[] = [];
  selection.forEach((ordinal) => void ordinals.push(ordinal));
  return ordinals;
};

/** Everything an index says, without the numbers it gives to words and terms. */
function contentsOf(index: InvertedIndex, entities: Entities): unknown {
  const { lexicon, postings, frequencies } = index;
  const documents: unknown[] = [];
  for (let document = 0; document < entities.size; document++) {
    if (!index.isLive(document)) continue;
    const words = Array.from(index.wordsOf(document), (each) => lexicon.wordText(each)).sort();
    const terms = [...new Set(Array.from(index.wordsOf(document), (each) => lexicon.termOf(each)))].map((term) => [
      lexicon.terms.texts[term],
      fieldNames.map((_, field) => frequencies.frequency(postings.find(term, document), field)),
      postings.documents(term),
      index.several(term),
    ]);
    const lengths = fieldNames.map((_, field) => index.lengthOf(document, field));
    documents.push([entities.entity(document), words, terms.map((term) => JSON.stringify(term)).sort(), lengths]);
  }
  const vocabulary: unknown[] = [];
  lexicon.startingWith('', (each) => vocabulary.push([lexicon.wordText(each), lexicon.documentsOf(each)]) > 0);
  const { size, lengthSums, fieldDocuments } = index;
  const sums = [size, lengthSums, fieldDocuments, postings.size, lexicon.size, lexicon.terms.size];
  return { documents: documents.map((each) => JSON.stringify(each)).sort(), vocabulary, sums };
}

function assertSame(built: Indexes, told: Indexes, asked: readonly (readonly Filter[])[]): void {
  assert.deepEqual(contentsOf(built.text.index, built.entities), contentsOf(told.text.index, told.entities));
  for (const query of queries) {
    const [a, b] = [built.text.rank(lunrQuery(query)), told.text.rank(lunrQuery(query))];
    assert.deepEqual(a.after(undefined, 100), b.after(undefined, 100), query);
    assert.equal(a.total, b.total);
  }
  for (const prefix of ['r', 'j', 'ü', 'naï']) {
    assert.deepEqual(built.text.suggest(prefix, 3), told.text.suggest(prefix, 3));
  }
  for (const filters of asked) {
    const selection = built.filterIndex.select(filters);
    assert.deepEqual(ordinalsOf(selection), ordinalsOf(built.scan.select(filters)));
    assert.equal(selection.count, told.filterIndex.select(filters).count);
  }
}

/** Items as at a start: in the catalog, and not indexed. */
function loaded(
  items: ReadonlyMap<number, Metadata>,
  rebuild: HeldRebuild,
  clock: ManualClock,
): { indexes: Indexes; ordinals: Int32Array } {
  const indexes = new Indexes(clock);
  const rows = [...items].map(([entity, value], index) => {
    const order = { epoch: 1, hlc: HLC_PER_MS, origin: 'us-east@aaaaaaaaaa', sequence: index + 1 - items.size };
    return [entity, { order, metadata: jsonOf(value), createdMs: 1, updatedMs: 1 }] as const;
  });
  const ordinals = indexes.catalog.load(rows, [], (page) => rebuild.add(page));
  for (const [entity, value] of items) indexes.scan.put(entity, JSON.parse(JSON.stringify(value)), undefined);
  return { indexes, ordinals };
}

const items = fc.dictionary(fc.integer({ min: 1, max: 60 }).map(String), metadata, { minKeys: 3, maxKeys: 40 });
const changes = fc.array(fc.tuple(fc.integer({ min: 1, max: 60 }), fc.option(metadata, { nil: undefined })), {
  maxLength: 30,
});

describe('indexes built at once', () => {
  it('equal those that were filled item by item, and stay equal: with changes while they are built, while they are adopted, and later', async () => {
    await fc.assert(
      fc.asyncProperty(
        items,
        changes,
        changes,
        changes,
        filters,
        fc.boolean(),
        async (entries, during, between, after, asked, dies) => {
          const clock = new ManualClock();
          const rebuild = new HeldRebuild(inProcessRebuild({ fieldNames, analyses, leastPages: 1 }));
          const live = new Map(Object.entries(entries).map(([entity, value]) => [Number(entity), value]));
          const { indexes, ordinals } = loaded(live, rebuild, clock);
          const { catalog, filterIndex, text, queue } = indexes;
          const building = rebuild.begun ? { rebuild, ordinals } : undefined;
          // Two steps a slice, so that changes occur at any point.
          let ms = 0;
          clock.monotonicMs = () => ms++;
          const indexing = new ItemIndexing({ clock, log: silentLog, catalog, queue, filterIndex, text, building });
          indexing.start();
          const told = new Indexes();
          for (const [entity, value] of live) told.change(entity, value);
          const both = ([entity, value]: readonly [number, Metadata | undefined]): void => {
            indexes.change(entity, value);
            told.change(entity, value);
          };
          for (const change of during) both(change);
          rebuild.letGo(dies ? new Error('the thread is gone') : undefined);
          for (const change of between) {
            await clock.advance(1);
            both(change);
          }
          for (let turn = 0; !indexing.complete; turn++) {
            assert.ok(turn < 2_000, 'it comes to an end');
            await clock.advance(1);
          }
          assertSame(indexes.settle(), told.settle(), asked);
          for (const change of after) both(change);
          assertSame(indexes.settle(), told.settle(), asked);
          assert.equal(rebuild.ended, rebuild.begun);
        },
      ),
      { numRuns: 120 },
    );
  }).timeout(60_000);
});

describe('metadata read without objects', () => {
  it('are what JSON.parse makes of them', () => {
    fc.assert(
      fc.property(fc.array(fc.oneof(metadata, anyMetadata), { maxLength: 4 }), (all) => {
        const scan = new MetadataScan();
        const taken = new MetadataScan();
        const valuesOf = ({ count, text, names, starts, ends, hashes, numbers }: MetadataScan): unknown[] =>
          Array.from({ length: count }, (_, at) => [
            names[at],
            text.slice(starts[at], ends[at]),
            hashes[at],
            numbers[at],
          ]);
        for (const each of all) {
          const bytes = Buffer.concat([Buffer.from('{"before":1}'), jsonOf(each), Buffer.from('{"after":1}')]);
          const [start, end] = [12, bytes.length - 11];
          scan.read(bytes.toString('latin1'), start, end, () => bytes.toString('utf8', start, end));
          taken.take(JSON.parse(JSON.stringify(each)));
          assert.deepEqual(valuesOf(scan), valuesOf(taken));
        }
      }),
      { numRuns: 1_000 },
    );
  });

  it('need no JSON.parse where they are plain', () => {
    const bytes = jsonOf({ title: 'a b', tags: ['x', 'y'], none: [], year: 1984, rate: -1.5, seen: true });
    const scan = new MetadataScan();
    scan.read(bytes.toString('latin1'), 0, bytes.length, () => assert.fail('it is plain'));
    assert.equal(scan.count, 6);
  });
});

describe('sets made at once', () => {
  it('equal grown ones, and continue in the same way', () => {
    const ordinals = fc.uniqueArray(fc.integer({ min: 0, max: 4_000 }), { maxLength: 300, size: 'max' });
    fc.assert(
      fc.property(ordinals, fc.array(fc.integer({ min: 0, max: 4_000 })), (members, more) => {
        const pool = new MemberPool();
        let set = pool.of(Int32Array.from(members));
        const expected = new Set(members);
        const check = (): void => {
          const found: number[] = [];
          forEachMember(pool.read(set), (ordinal) => void found.push(ordinal));
          assert.deepEqual(
            found,
            [...expected].sort((a, b) => a - b),
          );
          assert.equal(pool.sizeOf(set), expected.size);
        };
        check();
        for (const ordinal of more) {
          if (expected.has(ordinal)) set = pool.without(set, ordinal);
          else set = pool.with(set, ordinal);
          if (!expected.delete(ordinal)) expected.add(ordinal);
        }
        check();
      }),
    );
  });
});
