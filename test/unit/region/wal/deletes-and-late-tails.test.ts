/** Deletes and late events: signals, embeddings and puts of an origin that was isolated. */
import assert from 'node:assert/strict';
import { openLog } from '../../../../services/region/wal/log.ts';
import { type Event, HLC_PER_MS } from '../../../../shared/protocol/events.ts';
import { ManualClock } from '../../../harness/kernel/manual-clock.ts';
import { chainOf, startMs } from '../../../harness/region/batches.ts';
import { CoreRegion } from '../../../harness/region/core-region.ts';
import { MemoryStore } from '../../../harness/region/store/memory-store.ts';
import { MemoryBroker } from '../../../harness/stream/memory-stream.ts';

const at = (second: number) => ({ hlc: (startMs + second * 1_000) * HLC_PER_MS, entity: 7 });
const put = (second: number, title: string): Event => ({ kind: 'item', ...at(second), metadata: { title } });
const remove = (second: number): Event => ({ kind: 'delete', ...at(second) });
const embed = (second: number): Event => ({ kind: 'embedding', ...at(second), values: Float32Array.of(1, 2) });
const viewed = (second: number): Event => ({
  kind: 'signal',
  ...at(second),
  signal: 'view',
  weight: 1_000,
  timeMs: startMs + second * 1_000,
});

const leader = 'us-east@aaaaaaaaaa';
const away = 'eu-west@bbbbbbbbbb';

function region(store = new MemoryStore()): CoreRegion {
  const clock = new ManualClock();
  return new CoreRegion({ region: 'ap-south', clock, broker: new MemoryBroker({ clock }), store });
}

/** Takes the origins in this order, with a restart after each where asked for. */
async function taken(origins: readonly { origin: string; events: readonly Event[] }[], restarts = false) {
  let here = region();
  for (const { origin, events } of origins) {
    await here.ingest.take(
      chainOf(
        { origin },
        events.map((event) => [event]),
      ),
    );
    if (restarts) here = here.crash();
  }
  return here;
}

describe('deletes and late events', () => {
  it('a signal after the delete, or before it, counts the same; put again, the item shows its history (schedule 22)', async () => {
    const log = [
      { origin: leader, events: [put(1, 'one'), viewed(2), remove(3), put(9, 'again')] },
      { origin: away, events: [viewed(2), viewed(5)] },
    ];
    const digests = new Set<string>();
    for (const order of [log, [...log].reverse()]) {
      for (const restarts of [false, true]) {
        const here = await taken(order, restarts);
        assert.equal(here.ledger.read(7, 'view', startMs + 10_000)?.count, 3, 'a delete leaves the ledger alone');
        assert.equal(here.catalog.item(7)?.metadata.title, 'again');
        digests.add(here.digest());
      }
    }
    assert.equal(digests.size, 1);
  });

  it('an old put that arrives after a restart finds the tombstone on the disk (schedule 22)', async () => {
    const here = await taken(
      [
        { origin: leader, events: [put(1, 'one'), remove(8)] },
        { origin: away, events: [put(5, 'an old tail')] },
      ],
      true,
    );
    assert.equal(here.catalog.item(7), undefined);
    assert.equal(openLog({ store: here.store }).durable.size, 2);
  });

  it('a delete of what was never put here wins over the put that arrives later (schedule 22)', async () => {
    const here = await taken([
      { origin: leader, events: [remove(8)] },
      { origin: away, events: [put(5, 'an old tail'), embed(6)] },
    ]);
    assert.equal(here.catalog.item(7), undefined);
    assert.equal(here.catalog.embedding(7), undefined);
  });

  it('an embedding later than the delete waits unseen until the item is put again, over a restart as well (schedule 22)', async () => {
    const before = { origin: leader, events: [put(1, 'one'), remove(3)] };
    const late = { origin: away, events: [embed(5)] };
    const digests = new Set<string>();
    for (const order of [
      [before, late],
      [late, before],
    ]) {
      const here = await taken(order, true);
      assert.deepEqual([here.catalog.item(7), here.catalog.embedding(7)], [undefined, undefined]);
      await here.ingest.take(chainOf({ origin: 'us-east@cccccccccc' }, [[put(9, 'again')]]));
      assert.deepEqual([...(here.catalog.embedding(7) ?? [])], [1, 2]);
      digests.add(here.digest());
    }
    assert.equal(digests.size, 1);
  });

  it('created_at of a put, a delete and a put is the same in any order (schedule 22)', async () => {
    const log = [
      { origin: leader, events: [put(4, 'one'), remove(6)] },
      { origin: away, events: [put(2, 'earliest')] },
      { origin: 'us-east@cccccccccc', events: [put(9, 'again')] },
    ];
    for (const order of [log, [...log].reverse()]) {
      const { createdMs, updatedMs } = (await taken(order, true)).catalog.item(7)!;
      assert.deepEqual([createdMs, updatedMs], [startMs + 2_000, startMs + 9_000]);
    }
  });
});
