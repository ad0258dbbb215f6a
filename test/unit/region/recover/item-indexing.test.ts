/** The items that a start indexes later: in slices while events are applied, and in the end equal to the catalog. */

import assert from 'node:assert/strict';
import { createReading } from '../../../../services/region/http/reads/reading.ts';
import { IndexQueue } from '../../../../services/region/index-queue/index-queue.ts';
import { ItemIndexing } from '../../../../services/region/recover/item-indexing.ts';
import { createRegisters } from '../../../../services/region/state/catalog/registers.ts';
import type { Refusal } from '../../../../shared/errors/errors.ts';
import type { Event, Metadata } from '../../../../shared/protocol/events.ts';
import { HLC_PER_MS } from '../../../../shared/protocol/events.ts';
import { ManualClock } from '../../../harness/kernel/manual-clock.ts';
import { silentLog } from '../../../harness/observe/silent-log.ts';
import { noIndex, toldIndex } from '../../../harness/region/state/told-index.ts';

const ITEMS = 200;

/** A catalog with items, an index that receives its changes, and a clock that advances a ms with every put. */
function setUp(): {
  clock: ManualClock;
  index: Map<number, Metadata>;
  write: (kind: 'item' | 'delete', entity: number, title?: string) => void;
  catalog: ReturnType<typeof createRegisters>;
  indexingOf: (firstItems?: number) => ItemIndexing;
} {
  const clock = new ManualClock();
  const catalog = createRegisters();
  const index = new Map<number, Metadata>();
  let sequence = 0;
  const put = (entity: number, metadata: Metadata): void => {
    index.set(entity, metadata);
    slow.ms += 1;
  };
  const slow = { ms: 0 };
  const monotonicMs = clock.monotonicMs.bind(clock);
  clock.monotonicMs = () => monotonicMs() + slow.ms;
  const write = (kind: 'item' | 'delete', entity: number, title = 'first'): void => {
    sequence++;
    const hlc = (1_000 + sequence) * HLC_PER_MS;
    const event: Event = kind === 'item' ? { kind, hlc, entity, metadata: { title } } : { kind, hlc, entity };
    catalog.apply({ event, order: { epoch: 1, hlc, origin: 'us-east@aaaaaaaaaa', sequence } });
  };
  const indexingOf = (firstItems?: number): ItemIndexing => {
    const filterIndex = toldIndex({ put, remove: (entity) => void index.delete(entity) });
    const parts = { clock, log: silentLog, filterIndex, text: noIndex };
    const queue = new IndexQueue({
      ...parts,
      unindexed: catalog.unindexed,
      nextTurn: (action) => clock.after(1, action),
    });
    return new ItemIndexing({ ...parts, catalog, queue, ...(firstItems === undefined ? {} : { firstItems }) });
  };
  return { clock, index, write, catalog, indexingOf };
}

describe('indexing items after a start', () => {
  it('indexes all at once if there are few', () => {
    const { index, write, indexingOf } = setUp();
    for (let entity = 1; entity <= ITEMS; entity++) write('item', entity);
    const indexing = indexingOf();
    assert.equal(indexing.complete, true);
    assert.equal(index.size, ITEMS);
  });

  it('indexes the others in slices; what is applied meanwhile wins, whether it was reached or not', async () => {
    const { clock, catalog, index, write, indexingOf } = setUp();
    for (let entity = 1; entity <= ITEMS; entity++) write('item', entity);
    while (catalog.unindexed.take() !== undefined);
    const indexing = indexingOf(10);
    assert.deepEqual([indexing.complete, indexing.indexed, index.size], [false, 10, 10]);
    indexing.start();
    await clock.advance(1);
    assert.ok(!indexing.complete && indexing.indexed > 10, `${indexing.indexed} told in the first slice`);
    for (const entity of [1, ITEMS]) write('item', entity, 'again');
    for (const entity of [2, ITEMS - 1]) write('delete', entity);
    write('item', ITEMS + 1, 'new');
    let slices = 1;
    while (!indexing.complete) {
      assert.ok(++slices < ITEMS, 'every slice tells some');
      await clock.advance(1);
    }
    assert.ok(slices > 3, `${slices} slices`);
    const live = [...catalog.items()].map(({ entity, metadata }) => [entity, metadata] as const);
    assert.deepEqual(
      [...index].sort(([a], [b]) => a - b),
      live.sort(([a], [b]) => a - b),
    );
    assert.equal(index.get(ITEMS)?.title, 'again');
    assert.equal(index.size, ITEMS - 1);
  });

  it('stops where it is', async () => {
    const { clock, write, indexingOf } = setUp();
    for (let entity = 1; entity <= ITEMS; entity++) write('item', entity);
    const indexing = indexingOf(1);
    indexing.start();
    const { indexed: told } = indexing;
    await indexing.stop();
    await clock.advance(100);
    assert.equal(indexing.indexed, told);
  });

  it('until it is complete a read that needs it is refused, and says how far it is', () => {
    const { catalog } = setUp();
    const indexing = { complete: false, indexed: 3 };
    const surface = { region: 'us-east', indexing, catalog, ready: () => true, lagEvents: () => 0 };
    const reading = createReading(surface as unknown as Parameters<typeof createReading>[0]);
    assert.throws(
      () => reading.requireIndexes(),
      (error: Refusal) => error.code === 'not_ready' && error.message.includes('3 of 0 items'),
    );
    indexing.complete = true;
    reading.requireIndexes();
  });
});
