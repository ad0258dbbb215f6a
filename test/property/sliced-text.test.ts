/** A text search in slices returns what one turn returns at its beginning, whatever is written between the slices. */
import assert from 'node:assert/strict';
import fc from 'fast-check';
import { IndexQueue, IndexRead } from '../../services/region/index-queue/index-queue.ts';
import { Unfinished } from '../../services/region/read-queue/read-queue.ts';
import { createRegisters } from '../../services/region/state/catalog/registers.ts';
import { Entities } from '../../services/region/state/entities/entities.ts';
import { createFilterIndex } from '../../services/region/state/filter-index/bitmap-filter-index.ts';
import type { TextQuery } from '../../services/region/state/text/query/query.ts';
import type { RunSteps } from '../../services/region/state/text/text.ts';
import { MemoryTextIndex } from '../../services/region/state/text/text-index.ts';
import { finish } from '../../shared/kernel/steps.ts';
import { type Event, HLC_PER_MS, type Metadata } from '../../shared/protocol/events.ts';
import { ManualClock } from '../harness/kernel/manual-clock.ts';
import { silentLog } from '../harness/observe/silent-log.ts';
import { lunrQuery, plainQuery } from '../harness/region/state/text-queries.ts';

const schema = {
  textFields: ['title', 'tags'].map((name) => ({ name, boost: 1 })),
  bm25: { k1: 1.2, b: 0.75 },
  synonyms: [{ words: ['tune', 'jazz piano', 'drum'] }],
};
const word = fc.constantFrom('jazz', 'piano', 'runs', 'run', 'running', 'ruin', 'rock', 'drum', 'Über', 'ubers');
const metadata: fc.Arbitrary<Metadata> = fc.record({
  title: fc.array(word, { maxLength: 8 }).map((words) => words.join(' ')),
  tags: fc.array(word, { maxLength: 3 }),
  kind: fc.constantFrom('a', 'b'),
});
const write = fc.tuple(fc.integer({ min: 1, max: 300 }), fc.option(metadata, { nil: undefined, freq: 4 }));
const queries = [
  'jazz',
  'jazz piano run',
  '+jazz -run',
  '-rock',
  'title:ru*',
  'runs~1 ube*',
  '+drum tags:piano',
  '*u*',
  '+"jazz piano" run',
].map(lunrQuery);
const plain = [
  ...[
    'jazz',
    'jazz piano run',
    'drum title:ru*',
    'run -rock',
    '"jazz piano"',
    'runnign',
    'uber roc',
    '-jazz',
    'tune',
    '"tune run"',
  ],
].flatMap((text) => (['most', 'all', 'any'] as const).map((matching) => plainQuery(text, matching)));
const kindA = [{ field: 'kind', operator: 'in' as const, values: ['a'] }];
const atOnce: RunSteps = (_, begin) => finish(begin());

class World {
  private readonly entities = new Entities();
  readonly catalog = createRegisters({ entities: this.entities });
  private readonly filterIndex = createFilterIndex({
    entities: this.entities,
    metadataOf: (ordinal) => this.catalog.indexedMetadata(ordinal),
  });
  private readonly text = new MemoryTextIndex({
    ...{ schema, entities: this.entities },
    metadataOf: (ordinal) => this.catalog.indexedMetadata(ordinal),
  });
  readonly queue: IndexQueue;
  private sequence = 0;

  constructor() {
    const { catalog, filterIndex, text } = this;
    Object.assign(text.scoring.step, { windows: 1, lookups: 1, postings: 1 });
    const { unindexed } = catalog;
    const parts = { clock: new ManualClock(), log: silentLog, unindexed, filterIndex, text };
    this.queue = new IndexQueue({ ...parts, nextTurn: () => {} });
  }

  get position(): string {
    return String(this.sequence);
  }

  write(entity: number, value: Metadata | undefined): void {
    this.sequence++;
    const hlc = (1_000 + this.sequence) * HLC_PER_MS;
    const event: Event =
      value === undefined ? { kind: 'delete', hlc, entity } : { kind: 'item', hlc, entity, metadata: value };
    this.catalog.apply({ event, order: { epoch: 1, hlc, origin: 'us-east@aaaaaaaaaa', sequence: this.sequence } });
    this.queue.wake();
  }

  read(query: TextQuery, isFiltered: boolean, limit: number, run: RunSteps): unknown {
    const { text, catalog } = this;
    const ranking = text.rank(query, isFiltered ? this.filterIndex.select(kindA) : undefined, run);
    const first = ranking.after(undefined, limit);
    const next = first.length < limit ? [] : ranking.after(first.at(-1), limit);
    const shown = [...first, ...next];
    return {
      total: ranking.total,
      shown: shown.map((scored) => [scored, catalog.indexedOf(scored.entity), ranking.explain(scored.entity)]),
      completions: text.suggest('ru', 2, run),
      terms: shown.length === 0 ? [] : text.significantTerms(shown[0]!.entity, 2, run),
    };
  }
}

describe('text search in slices', function () {
  this.timeout(60_000);

  it('is what one turn gives, with writes between all slices, and the writes are found after it', () => {
    let suspended = 0;
    const asked = fc.tuple(fc.constantFrom(...queries, ...plain), fc.boolean(), fc.integer({ min: 1, max: 40 }));
    const writes = fc.array(write, { minLength: 40, maxLength: 400 });
    fc.assert(
      fc.property(
        writes,
        writes,
        fc.array(asked, { minLength: 1, maxLength: 4 }),
        fc.integer({ min: 1, max: 3 }),
        (list, later, reads, steps) => {
          const world = new World();
          for (const [entity, value] of list) world.write(entity, value);
          const left = [...later];
          for (const [query, isFiltered, limit] of reads) {
            let calls = 0;
            const over = (): boolean => ++calls % steps === 0;
            const read = new IndexRead({ queue: world.queue, over, position: () => world.position });
            let expected: unknown;
            let began = '';
            let answer: unknown;
            while (answer === undefined) {
              try {
                read.begin();
                if (expected === undefined) {
                  began = world.position;
                  expected = world.read(query, isFiltered, limit, atOnce);
                }
                answer = world.read(query, isFiltered, limit, read.run);
              } catch (error) {
                if (!(error instanceof Unfinished)) throw error;
                if (expected !== undefined) suspended++;
                do {
                  for (const [entity, value] of left.splice(0, 3)) world.write(entity, value);
                  if (expected !== undefined)
                    assert.equal(
                      world.queue.step(() => false),
                      world.queue.isCurrent,
                    );
                } while (error.work.isBlocked?.() !== true && !error.work.step(over));
              }
            }
            assert.deepEqual(answer, expected);
            assert.equal(read.position ?? began, began);
            read.end();
            assert.ok(world.queue.step(() => false));
            assert.equal(world.queue.isBlocked(), false);
          }
        },
      ),
      { numRuns: 100 },
    );
    assert.ok(suspended > 200, `${suspended} slices`);
  });
});
