/** Items are indexed in short steps, whatever their size, and reads that need the indexes see everything that was applied. */
import assert from 'node:assert/strict';
import { FULL_BYTES, IndexQueue } from '../../../../services/region/index-queue/index-queue.ts';
import { Unfinished } from '../../../../services/region/read-queue/read-queue.ts';
import { createRegisters } from '../../../../services/region/state/catalog/registers.ts';
import { Entities } from '../../../../services/region/state/entities/entities.ts';
import { createFilterIndex } from '../../../../services/region/state/filter-index/bitmap-filter-index.ts';
import { TextTable } from '../../../../services/region/state/filter-index/text-table.ts';
import { MemoryTextIndex } from '../../../../services/region/state/text/text-index.ts';
import { nextTurnOf } from '../../../../shared/kernel/kernel.ts';
import { type Event, HLC_PER_MS, type Metadata } from '../../../../shared/protocol/events.ts';
import { ManualClock } from '../../../harness/kernel/manual-clock.ts';
import { silentLog } from '../../../harness/observe/silent-log.ts';
import { lunrQuery } from '../../../harness/region/state/text-queries.ts';

const KIB = 1_024;
const schema = { textFields: [{ name: 'title', boost: 1 }], bm25: { k1: 1.2, b: 0.75 } };

class Rig {
  readonly clock = new ManualClock();
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
  readonly text = new MemoryTextIndex({ schema, entities: this.entities });
  readonly queue: IndexQueue;
  private sequence = 0;

  constructor() {
    const { clock, catalog, filterIndex, text } = this;
    const { unindexed } = catalog;
    this.queue = new IndexQueue({ clock, log: silentLog, unindexed, filterIndex, text, nextTurn: nextTurnOf(clock) });
  }

  write(entity: number, metadata?: Metadata): void {
    this.sequence++;
    const hlc = (1_000 + this.sequence) * HLC_PER_MS;
    const event: Event =
      metadata === undefined ? { kind: 'delete', hlc, entity } : { kind: 'item', hlc, entity, metadata };
    this.catalog.apply({ event, order: { epoch: 1, hlc, origin: 'us-east@aaaaaaaaaa', sequence: this.sequence } });
    this.queue.wake();
  }

  /** Indexes step by step: how many there were, and the most words and values that one of them handled. */
  steps(): { readonly steps: number; readonly most: number } {
    let handled = 0;
    const count = <K extends string>(of: Record<K, (...values: never[]) => unknown>, name: K): (() => void) => {
      const counted = of[name];
      of[name] = function (this: unknown, ...values: never[]) {
        handled++;
        return counted.apply(this, values);
      };
      return () => {
        of[name] = counted;
      };
    };
    const { lexicon, postings } = this.text.index;
    const restore = [
      ...[count(lexicon, 'mark'), count(lexicon, 'discount'), count(postings, 'add'), count(postings, 'remove')],
      ...[count(TextTable.prototype, 'add'), count(TextTable.prototype, 'remove')],
    ];
    let steps = 0;
    let most = 0;
    try {
      for (let done = false; !done; steps++) {
        handled = 0;
        done = this.queue.step(() => true);
        most = Math.max(most, handled);
      }
    } finally {
      for (const each of restore) each();
    }
    return { steps, most };
  }

  total(query: string): number {
    return this.text.rank(lunrQuery(query)).total;
  }

  having(field: string, value: string): number {
    return this.filterIndex.select([{ field, operator: 'in', values: [value] }]).count;
  }
}

/** So many distinct words, in all kinds of white space. */
function words(bytes: number, prefix: string, space = ' '): string {
  const all: string[] = [];
  for (let size = 0; size < bytes; size += all.at(-1)!.length + 1) all.push(`${prefix}${all.length.toString(36)}`);
  return all.join(space);
}

const lists = (prefix: string): Metadata =>
  Object.fromEntries(
    Array.from({ length: 36 }, (_, list) => [
      `list${list}`,
      Array.from({ length: 1_000 }, (_, index) => `${prefix}${(list * 1_000 + index).toString(36)}`),
    ]),
  );

describe('index queue', function () {
  this.timeout(60_000);

  for (const [what, metadata] of [
    ['250 KiB of distinct words', { title: words(250 * KIB, 'w') }],
    ['the same, with other white space', { title: words(250 * KIB, 'ü', '\u00a0') }],
    ['the same, with a space that is invisible', { title: words(250 * KIB, 'ü', '\ufeff') }],
    ['250 KiB without any space', { title: 'ü'.repeat(125 * KIB) }],
    ['36 lists of 1,000 texts', lists('t')],
  ] as const satisfies readonly (readonly [string, Metadata])[]) {
    it(`puts, replaces and removes ${what} in steps of at most 64 words or values`, () => {
      const rig = new Rig();
      rig.write(1, metadata);
      const put = rig.steps();
      rig.write(1, { title: 'one', list0: ['one'] });
      const replaced = rig.steps();
      assert.deepEqual([rig.total('one'), rig.having('list0', 'one')], [1, 1]);
      rig.write(1, metadata);
      rig.steps();
      rig.write(1);
      const removed = rig.steps();
      for (const { most } of [put, replaced, removed]) {
        assert.ok(most <= (what.includes('invisible') ? 32 * 64 : 64), `${most} in one step`);
      }
      assert.deepEqual([rig.total('w1'), rig.text.size, rig.filterIndex.select([]).count], [0, 0, 0]);
      assert.equal(rig.text.index.postings.size, 0);
    });
  }

  it('a read indexes what was applied before it, in its own slices', () => {
    const rig = new Rig();
    rig.queue.require();
    rig.write(1, { title: words(20 * KIB, 'w') });
    let slices = 0;
    for (;;) {
      try {
        rig.queue.require();
        break;
      } catch (error) {
        assert.ok(error instanceof Unfinished);
        error.work.step(() => ++slices % 4 === 0);
      }
    }
    assert.ok(slices > 100, `${slices}`);
    assert.equal(rig.total('w5'), 1);
  });

  it('without a read it is done in later turns', async () => {
    const rig = new Rig();
    for (let entity = 1; entity <= 10; entity++) rig.write(entity, { title: 'word' });
    rig.write(3);
    assert.equal(rig.queue.isCurrent, false);
    await rig.clock.advance(1);
    assert.deepEqual([rig.queue.isCurrent, rig.total('word'), rig.catalog.unindexed.bytes], [true, 9, 0]);
    assert.equal(rig.clock.pending, 0);
  });

  it('an item that changes while it is indexed, and after, is indexed as it is in the end', () => {
    const rig = new Rig();
    const one = { title: words(2 * KIB, 'a'), list0: ['a', 'same'] };
    const two = { title: words(2 * KIB, 'b'), list0: ['b', 'same'] };
    for (const last of [one, two, undefined]) {
      rig.write(1, one);
      for (let step = 0; step < 5; step++) rig.queue.step(() => true);
      rig.write(1, two);
      rig.write(1);
      rig.write(1, two);
      if (last !== two) rig.write(1, last);
      rig.steps();
      assert.deepEqual(
        [rig.total('a1'), rig.total('b1'), rig.having('list0', 'a'), rig.having('list0', 'same')],
        [Number(last === one), Number(last === two), Number(last === one), Number(last !== undefined)],
      );
    }
    assert.deepEqual([rig.text.index.postings.size, rig.catalog.unindexed.size], [0, 0]);
  });

  it('a selection for a vector search knows the items that are not indexed yet', () => {
    const rig = new Rig();
    const red = [{ field: 'colour', operator: 'in' as const, values: ['red'] }];
    const selected = (): number[] => {
      const entities: number[] = [];
      rig.filterIndex.selectPresent(red).forEach((ordinal) => void entities.push(rig.entities.entity(ordinal)));
      return entities.sort();
    };
    for (const entity of [1, 2, 3]) rig.write(entity, { colour: entity === 2 ? 'blue' : 'red' });
    assert.deepEqual(selected(), [1, 3]);
    rig.steps();
    rig.write(1, { colour: 'blue' });
    rig.write(2, { colour: 'red', list0: ['a', 'b', 'c'] });
    rig.write(3);
    rig.write(4, { colour: 'red' });
    for (;;) {
      assert.deepEqual(selected(), [2, 4]);
      if (rig.queue.step(() => true)) break;
    }
    assert.deepEqual(selected(), [2, 4]);
  });

  it('takes no further batch while much waits, and says when it does again', async () => {
    const rig = new Rig();
    await rig.queue.room();
    const title = 'x'.repeat(250 * KIB);
    for (let entity = 0; entity * 250 * KIB <= FULL_BYTES; entity++) rig.write(entity, { title });
    let isOpen = false;
    const opened = rig.queue.room().then(() => {
      isOpen = true;
    });
    await Promise.resolve();
    assert.equal(isOpen, false);
    while (rig.catalog.unindexed.bytes > FULL_BYTES) rig.queue.step(() => true);
    await opened;
    assert.equal(rig.queue.isCurrent, false);
    // Former metadata count as well: they have to be taken out.
    rig.steps();
    for (let entity = 0; entity * 250 * KIB <= FULL_BYTES; entity++) rig.write(entity);
    assert.ok(rig.catalog.unindexed.bytes > FULL_BYTES);
    const stopped = rig.queue.room();
    rig.queue.stop();
    await stopped;
  });
});
