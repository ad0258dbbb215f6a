/** Recovery: the state a restart builds is the state that was there, bit for bit. */

import assert from 'node:assert/strict';
import { isDeepStrictEqual } from 'node:util';
import { recover } from '../../../../services/region/recover/recover.ts';
import { createRegisters } from '../../../../services/region/state/catalog/registers.ts';
import { createLedger } from '../../../../services/region/state/ledger/signal-ledger.ts';
import { openLog } from '../../../../services/region/wal/log.ts';
import { ManualClock } from '../../../harness/kernel/manual-clock.ts';
import { seededRandom } from '../../../harness/kernel/seeded-random.ts';
import { silentLog } from '../../../harness/observe/silent-log.ts';
import { chainOf, startMs, viewChain } from '../../../harness/region/batches.ts';
import { CoreRegion, testSchema } from '../../../harness/region/core-region.ts';
import { histories, origins } from '../../../harness/region/histories.ts';
import { noIndex, toldIndex } from '../../../harness/region/state/told-index.ts';
import { MemoryStore } from '../../../harness/region/store/memory-store.ts';
import { MemoryBroker } from '../../../harness/stream/memory-stream.ts';

describe('recover', () => {
  for (let seed = 1; seed <= 12; seed++) {
    it(`catalog, ledger and digest after a restart, and in another interleaving, are those of before (seed ${seed})`, async () => {
      const clock = new ManualClock();
      const broker = new MemoryBroker({ clock });
      const live = new CoreRegion({ region: 'us-east', clock, broker });
      const other = new CoreRegion({ region: 'eu-west', clock, broker });
      const queues = histories(seed);
      const random = seededRandom(seed * 31);
      const left = queues.map((queue) => [...queue]);
      while (left.some((queue) => queue.length > 0)) {
        const batch = left[random.bytes(1)[0]! % left.length]!.shift();
        if (batch !== undefined) await live.ingest.take([batch]);
      }
      for (const queue of [...queues].reverse()) await other.ingest.take(queue);
      const restarted = live.crash();
      assert.equal(restarted.applied, live.applied);
      assert.equal(restarted.apply.newestMs, live.apply.newestMs);
      assert.equal(restarted.digest(), live.digest());
      assert.equal(other.digest(), live.digest());
      const nowMs = clock.nowMs();
      for (let entity = 0; entity < 6; entity++) {
        assert.ok(isDeepStrictEqual(restarted.catalog.item(entity), live.catalog.item(entity)));
        assert.ok(isDeepStrictEqual(restarted.catalog.embedding(entity), live.catalog.embedding(entity)));
        for (const signal of ['view', 'skip']) {
          assert.deepEqual(restarted.ledger.read(entity, signal, nowMs), live.ledger.read(entity, signal, nowMs));
        }
      }
      assert.equal(restarted.catalog.size, live.catalog.size);
    });
  }

  it('indexes every live item once', async () => {
    const store = new MemoryStore();
    const wal = openLog({ store });
    const hlc = startMs * 2048;
    await wal.append({
      batches: chainOf({ origin: origins[0]! }, [
        [
          { kind: 'item', hlc: hlc + 1, entity: 1, metadata: { title: 'kept' } },
          { kind: 'embedding', hlc: hlc + 2, entity: 1, values: Float32Array.of(1) },
          { kind: 'item', hlc: hlc + 3, entity: 2, metadata: { title: 'deleted' } },
          { kind: 'embedding', hlc: hlc + 4, entity: 2, values: Float32Array.of(2) },
          { kind: 'delete', hlc: hlc + 5, entity: 2 },
          { kind: 'embedding', hlc: hlc + 6, entity: 3, values: Float32Array.of(3) },
        ],
      ]),
    });
    const filterIndex: unknown[] = [];
    const texts: unknown[] = [];
    recover({
      clock: new ManualClock(),
      log: silentLog,
      wal,
      catalog: createRegisters(),
      ledger: createLedger({ schema: testSchema }),
      filterIndex: toldIndex({ put: (entity, metadata) => filterIndex.push([entity, metadata]), remove() {} }),
      text: toldIndex({ put: (entity, metadata) => texts.push([entity, metadata]), remove() {} }),
    });
    assert.deepEqual(filterIndex, texts);
    assert.deepEqual(texts, [[1, { title: 'kept' }]]);
  });

  it('a damaged batch on disk stops the start, naming origin and sequence', async () => {
    for (const harm of ['flipped', 'missing', 'swapped'] as const) {
      const store = new MemoryStore();
      const wal = openLog({ store });
      const batches = viewChain(origins[0]!, 3);
      await wal.append({ batches });
      const bytes = Buffer.from(batches[1]!.bytes);
      bytes[80]! ^= 1;
      const other = viewChain(origins[1]!, 2)[1]!.bytes;
      await store.commit((transaction) => {
        if (harm === 'flipped') transaction.put('batches', [origins[0]!, 6], bytes);
        if (harm === 'swapped') transaction.put('batches', [origins[0]!, 6], other);
        if (harm === 'missing') transaction.put('batches', [origins[0]!, 6], batches[2]!.bytes);
      });
      const damaged = openLog({ store: store.crash() });
      const restart = (): unknown =>
        recover({
          clock: new ManualClock(),
          log: silentLog,
          wal: damaged,
          catalog: createRegisters(),
          ledger: createLedger({ schema: testSchema }),
          filterIndex: noIndex,
          text: noIndex,
        });
      assert.throws(restart, { code: 'damaged_log', message: /us-east@aaaaaaaaaa:6/ }, harm);
    }
  });
});
