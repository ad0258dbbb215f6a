/** Every door by which a batch enters a log, fed real bytes and real values that were changed: nothing is appended that a start could not apply. */
import assert from 'node:assert/strict';
import type { Batch } from '../../services/region/batch/batch.ts';
import { BatchBuilder } from '../../services/region/intake/batch-builder.ts';
import { checkLog } from '../../services/region/snapshot/check-log.ts';
import { openLog } from '../../services/region/wal/log.ts';
import { type Event, HLC_PER_MS } from '../../shared/protocol/events.ts';
import { fromWire, toWire } from '../../shared/protocol/writes.ts';
import { drawGarbage, mutated } from '../harness/hostile/garbage.ts';
import { ManualClock } from '../harness/kernel/manual-clock.ts';
import { drawBetween, drawOne, seededRandom } from '../harness/kernel/seeded-random.ts';
import { bytesOf, chainOf, startMs } from '../harness/region/batches.ts';
import { CoreRegion } from '../harness/region/core-region.ts';
import { appendUnchecked } from '../harness/region/poisoned-log.ts';
import { MemoryStore } from '../harness/region/store/memory-store.ts';
import { MemoryBroker } from '../harness/stream/memory-stream.ts';

const origin = 'us-east@aaaaaaaaaa';
const ROUNDS = 400;

function chain(): Batch[] {
  const hlc = startMs * HLC_PER_MS;
  const view = (n: number, entity: number): Event => ({
    ...{ kind: 'signal', hlc: hlc + n, entity, signal: 'view', weight: 1_000 },
    timeMs: startMs - n,
  });
  return chainOf({ origin }, [
    [view(1, 1), view(2, 2)],
    [{ kind: 'item', hlc: hlc + 3, entity: 1, metadata: { title: 'a', tags: ['x', 'y'], n: 1 } }, view(4, 1)],
    [{ kind: 'embedding', hlc: hlc + 5, entity: 1, values: Float32Array.of(1, 2) }],
    [{ kind: 'delete', hlc: hlc + 6, entity: 2 }],
    [{ kind: 'item', hlc: hlc + 7, entity: 3, metadata: { title: 'b' }, createdMs: 86_400_000 }],
  ]);
}

/** What is in the region's log is applied by a start from it. */
async function assertApplicable(region: CoreRegion, where: string): Promise<void> {
  assert.deepEqual(region.fatal, [], where);
  const again = region.crash();
  assert.equal(again.applied, region.durable, where);
  await checkLog(again.clock, openLog({ store: again.store }));
  assert.equal(again.digest(), region.digest(), where);
}

describe('the doors of a log', () => {
  const seed = Math.floor(Math.random() * 2 ** 31);
  const random = seededRandom(seed);
  const where = `seed ${seed}`;

  it('the stream: changed messages, with and without a right checksum, between real ones', async () => {
    const clock = new ManualClock();
    const broker = new MemoryBroker({ clock });
    const sender = broker.connect('sender');
    await clock.settle();
    await sender.stream.ensure();
    const region = new CoreRegion({ region: 'eu-west', clock, broker });
    region.receiver.start();
    const real = chain();
    const publish = async (name: string, bytes: Uint8Array): Promise<void> => {
      const expected = (await sender.stream.lastOf(name))?.sequence ?? 0;
      await sender.stream.publish(name, bytes, expected);
    };
    for (let round = 0; round < ROUNDS; round++) {
      const one = drawOne(random, real);
      if (round % 4 === 0) await publish(origin, mutated(random, one.bytes, true));
      else {
        const garbage = drawGarbage(random, { origin, first: drawBetween(random, 1, 8) }, bytesOf([one]));
        if (/^[a-z0-9@-]+$/.test(garbage.origin)) await publish(garbage.origin, garbage.bytes);
      }
    }
    await clock.advance(5_000);
    await assertApplicable(region, where);
  });

  it('repair: changed answers of a peer', async () => {
    for (let round = 0; round < 20; round++) {
      const clock = new ManualClock();
      const broker = new MemoryBroker({ clock });
      const region = new CoreRegion({ region: 'eu-west', clock, broker }, ['us-east']);
      const peer = new CoreRegion({ region: 'us-east', clock, broker }, ['eu-west']);
      region.meet(peer);
      await peer.ingest.take(chain());
      let answers = 0;
      peer.serve = (name, from) => {
        const bytes = Buffer.concat(peer.wal.read(name, from, 1_000_000));
        return bytes.length === 0 || ++answers > 3 ? bytes : mutated(random, bytes, round % 2 === 0);
      };
      region.start();
      await clock.advance(60_000);
      await assertApplicable(region, where);
      if (round % 2 === 1)
        assert.equal(region.applied, `${origin}:7`, 'what was only damaged on the way comes in the end');
      await clock.run(region.stop());
    }
  });

  it('a snapshot: changed batches are found before it is installed', async () => {
    const real = chain();
    for (let round = 0; round < 40; round++) {
      const store = new MemoryStore();
      await appendUnchecked(store, real);
      const place = drawOne(random, real);
      const changed = mutated(random, place.bytes, true);
      if (Buffer.compare(changed, place.bytes) === 0) continue;
      await store.commit((transaction) => transaction.put('batches', [origin, place.first], changed));
      await assert.rejects(checkLog(new ManualClock(), openLog({ store })), { code: 'damaged_log' }, where);
    }
  });

  it('a request: changed writes are refused, or can be logged and read back', () => {
    const odd = [
      null,
      -1,
      0.5,
      2 ** 53,
      1e308,
      -0,
      '',
      'x',
      true,
      [],
      {},
      [null],
      { a: { b: 1 } },
      { '': 1 },
      'AAAA',
      ['a', 'b'],
    ];
    const writes = chain()
      .flatMap(({ events }) => events)
      .map((event) => toWire(event as never));
    let taken = 0;
    for (let round = 0; round < 5_000; round++) {
      const write: Record<string, unknown> = { ...drawOne(random, writes) };
      for (let n = drawBetween(random, 0, 2); n > 0; n--) {
        write[drawOne(random, [...Object.keys(write), 'key'])] = drawOne(random, odd);
      }
      let body: ReturnType<typeof fromWire>;
      try {
        body = fromWire(write);
      } catch (error) {
        assert.equal((error as { code?: string }).code, 'invalid_request', where);
        continue;
      }
      const hlc = startMs * HLC_PER_MS;
      const event =
        body.kind === 'signal' ? { ...body, hlc, timeMs: Math.min(body.timeMs ?? startMs, startMs) } : { ...body, hlc };
      const builder = new BatchBuilder();
      builder.add(event as Event);
      builder.build({ origin, epoch: 1, first: 1, schemaHash: '0123456789abcdef', chain: new Uint8Array(16) });
      taken++;
    }
    assert.ok(taken > 0);
  });
});
