/** Recovery: the state a restart builds is the state that was there, bit for bit. */
import assert from 'node:assert/strict';
import { isDeepStrictEqual } from 'node:util';
import { recover } from '../../services/region/recover/recover.ts';
import { createRegisters } from '../../services/region/state/catalog/registers.ts';
import { createLedger } from '../../services/region/state/ledger/signal-ledger.ts';
import { openLog } from '../../services/region/wal/log.ts';
import { silentLog } from '../../shared/observe/log.ts';
import type { Batch } from '../../shared/protocol/batch.ts';
import type { Event } from '../../shared/protocol/events.ts';
import { chainOf, startMs, viewChain } from '../harness/batches.ts';
import { CoreRegion, testSchema } from '../harness/core-region.ts';
import { ManualClock } from '../harness/manual-clock.ts';
import { MemoryStore } from '../harness/memory-store.ts';
import { MemoryBroker } from '../harness/memory-stream.ts';
import { seededRandom } from '../harness/seeded-random.ts';

const origins = ['us-east@aaaaaaaaaa', 'eu-west@bbbbbbbbbb', 'us-east@cccccccccc'];

/** Batches of three origins in three epochs, about the same few entities. */
function histories(seed: number): Batch[][] {
  const random = seededRandom(seed);
  const below = (limit: number): number => random.bytes(1)[0]! % limit;
  return origins.map((origin, index) => {
    let hlc = (startMs + below(50)) * 2048;
    const groups = Array.from({ length: 4 + below(4) }, () =>
      Array.from({ length: 1 + below(9) }, (): Event => {
        hlc += 1 + below(4) * 2048;
        const entity = below(6);
        const kind = below(8);
        // A few ids and bodies that depend on them alone: the origins hold copies of one another's requests.
        const id = below(5);
        if (below(3) === 0) {
          const timeMs = Math.floor(hlc / 2048) - below(3) * 60_000;
          const key = { id: `${'k'.repeat(20)}${id}A`, bodyHash: `aaaaaaaaa${id}A` };
          if (id === 4) return { kind: 'item', hlc, entity: id, metadata: { title: 'keyed' }, key };
          return { kind: 'signal', hlc, entity: id, signal: 'view', weight: 1_000 + id, timeMs, key };
        }
        if (kind === 0) return { kind: 'delete', hlc, entity };
        if (kind < 3) return { kind: 'item', hlc, entity, metadata: { title: `t${below(9)}`, b: 1, a: ['x'] } };
        if (kind < 5) return { kind: 'embedding', hlc, entity, values: Float32Array.of(below(9) / 7, 1) };
        const timeMs = Math.floor(hlc / 2048) - below(200) * 60_000;
        return { kind: 'signal', hlc, entity, signal: below(2) ? 'view' : 'skip', weight: below(250) * 37, timeMs };
      }),
    );
    return chainOf({ origin, epoch: 1 + (index % 3) }, groups);
  });
}

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

  it('tells the indexes every live item once, and its embedding', async () => {
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
    const texts: unknown[] = [];
    const vectors: unknown[] = [];
    recover({
      clock: new ManualClock(),
      log: silentLog,
      wal,
      catalog: createRegisters(),
      ledger: createLedger({ schema: testSchema }),
      text: { size: 0, put: (...put) => texts.push(put), remove() {}, search: () => ({ hits: [], total: 0 }) },
      vectors: { size: 0, put: (...put) => vectors.push(put), remove() {}, nearest: () => [] },
    });
    assert.deepEqual(texts, [[1, { title: 'kept' }]]);
    assert.deepEqual(vectors, [[1, Float32Array.of(1)]]);
  });

  it('a batch on disk that is not what it was stops the start with the place', async () => {
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
          text: { size: 0, put() {}, remove() {}, search: () => ({ hits: [], total: 0 }) },
          vectors: { size: 0, put() {}, remove() {}, nearest: () => [] },
        });
      assert.throws(restart, { code: 'damaged_log', message: /us-east@aaaaaaaaaa:6/ }, harm);
    }
  });
});
