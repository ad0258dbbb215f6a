/** How much metadata an item may have, at both doors for writes; logs with longer lists stay readable. */
import assert from 'node:assert/strict';
import { decodeBatch } from '../../../../services/region/batch/batch.ts';
import { type Event, HLC_PER_MS, METADATA_FIELDS_LIMIT, type Metadata } from '../../../../shared/protocol/events.ts';
import { fromWire, METADATA_LIST_LIMIT, parseWrite } from '../../../../shared/protocol/writes.ts';
import { ManualClock } from '../../../harness/kernel/manual-clock.ts';
import { chainOf, startMs } from '../../../harness/region/batches.ts';
import { CoreRegion } from '../../../harness/region/core-region.ts';
import { MemoryBroker } from '../../../harness/stream/memory-stream.ts';

const doors: readonly [string, (metadata: Metadata) => unknown][] = [
  ['a client’s request', (metadata) => parseWrite('items', { entity_id: 1, metadata })],
  ['a router’s request', (metadata) => fromWire({ k: 'i', e: 1, m: metadata })],
];

const listOf = (count: number): Metadata => ({ tags: Array.from({ length: count }, (_, n) => `tag ${n}`) });
const fieldsOf = (count: number): Metadata =>
  Object.fromEntries(Array.from({ length: count }, (_, n) => [`field ${n}`, n]));

describe('the limits of metadata', () => {
  for (const [door, write] of doors) {
    it(`${door} has lists of up to 1,000 elements`, () => {
      assert.equal(METADATA_LIST_LIMIT, 1_000);
      write(listOf(1_000));
      assert.throws(() => write(listOf(1_001)), {
        code: 'invalid_request',
        message: /tags has 1001 elements; a list may have at most 1000$/,
      });
    });

    it(`${door} has up to 256 fields`, () => {
      assert.equal(METADATA_FIELDS_LIMIT, 256);
      write(fieldsOf(256));
      assert.throws(() => write(fieldsOf(257)), { code: 'invalid_request', message: /must have at most 256 fields$/ });
    });
  }

  it('a longer list that an earlier version logged is read, received, applied and replayed', async () => {
    const origin = 'us-east@aaaaaaaaaa';
    const metadata = listOf(1_001);
    const old: Event = { kind: 'item', hlc: startMs * HLC_PER_MS, entity: 1, metadata };
    const [batch] = chainOf({ origin }, [[old]]);
    assert.deepEqual(decodeBatch(batch!.bytes).events, [old]);
    const clock = new ManualClock();
    const region = new CoreRegion({ region: 'eu-west', clock, broker: new MemoryBroker({ clock }) });
    await region.ingest.take([batch!]);
    assert.equal(region.applied, `${origin}:1`);
    const again = region.crash();
    assert.equal(again.applied, `${origin}:1`);
    assert.equal(again.digest(), region.digest());
  });
});
