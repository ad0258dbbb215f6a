/** Damaged batches are never given out, and are replaced by the very bytes that were there; registers come from the whole log. */
import assert from 'node:assert/strict';
import { decodeHeader, splitMessage } from '../../../../services/region/batch/batch.ts';
import { BatchRestorer, restoreBatches } from '../../../../services/region/repair/restore-batches.ts';
import { openLog } from '../../../../services/region/wal/log.ts';
import { type BatchRange, DamagedRow, type Wal } from '../../../../services/region/wal/wal.ts';
import { createMetrics } from '../../../../shared/observe/metrics.ts';
import { type Event, HLC_PER_MS } from '../../../../shared/protocol/events.ts';
import { ManualClock } from '../../../harness/kernel/manual-clock.ts';
import { drawBetween, seededRandom } from '../../../harness/kernel/seeded-random.ts';
import { RecordingLog } from '../../../harness/observe/recording-log.ts';
import { silentLog } from '../../../harness/observe/silent-log.ts';
import { bytesOf, chainOf, startMs, viewChain } from '../../../harness/region/batches.ts';
import { MemoryStore } from '../../../harness/region/store/memory-store.ts';

const x = 'us-east@aaaaaaaaaa';
const y = 'eu-west@bbbbbbbbbb';
const seed = Number(process.env.TIDAL_DAMAGE_SEED ?? Math.floor(Math.random() * 2 ** 31));

const order = (n: number) => ({ hlc: startMs * HLC_PER_MS + n });
const item = (n: number, entity: number, metadata = {}): Event => ({ kind: 'item', ...order(n), entity, metadata });
const documents = chainOf({ origin: y, epoch: 2 }, [
  [item(1, 1, { title: 'one' }), { kind: 'embedding', ...order(2), entity: 1, values: Float32Array.of(1, 2) }],
  [item(3, 2, { title: 'two' }), item(4, 1, { title: 'one, again' })],
  [{ kind: 'delete', ...order(5), entity: 2 }],
]);

async function filled(): Promise<MemoryStore> {
  const store = new MemoryStore();
  const wal = openLog({ store });
  await wal.append({ batches: viewChain(x, 8) });
  await wal.append({ batches: documents });
  return store;
}

describe(`a damaged batch (seed ${seed})`, () => {
  const random = seededRandom(seed);
  const flip = async (store: MemoryStore, ...firsts: readonly (readonly [string, number])[]): Promise<void> => {
    await store.commit((transaction) => {
      for (const key of firsts) {
        const bytes = Buffer.from(transaction.get('batches', key)!);
        const bit = drawBetween(random, 0, bytes.length * 8 - 1);
        bytes[bit >> 3]! ^= 1 << (bit & 7);
        transaction.put('batches', key, bytes);
      }
    });
  };
  const peer = (store: MemoryStore, region = 'eu-west') => {
    const wal = openLog({ store });
    return { region, log: async (origin: string, from: number) => Buffer.concat(wal.read(origin, from, 1 << 20)) };
  };
  const rest = {
    log: silentLog,
    restored: { inc() {} },
    partitioned: () => false,
    signal: new AbortController().signal,
  };
  const damagedIn = (wal: Wal): Promise<readonly BatchRange[]> =>
    wal.damagedBatches({ clock: new ManualClock(), log: silentLog });

  it('is not read: a read ends before it, and says where it is if that is the first; nor is it trimmed', async () => {
    const store = await filled();
    await flip(store, [x, 16]);
    const wal = openLog({ store });
    const met: unknown[] = [];
    wal.onDamaged(({ key }) => met.push(key));
    const lasts = wal.read(x, 3, 1 << 20).map((bytes) => decodeHeader(bytes).last);
    assert.deepEqual(lasts, [5, 10, 15]);
    for (const from of [16, 18, 20]) {
      assert.throws(
        () => wal.read(x, from, 1 << 20),
        (error) => error instanceof DamagedRow && /^the log is damaged at us-east@aaaaaaaaaa:16: /.test(error.message),
      );
    }
    assert.equal(wal.read(x, 21, 1 << 20).length, 4);
    assert.equal((await wal.trim(x, 30, 1 << 20)).batches, 3);
    assert.deepEqual(new Set(met), new Set([`${x}:16`]));
    assert.deepEqual(await damagedIn(wal), [{ origin: x, first: 16, last: 20 }]);
  });

  it('is not looked for behind what a read or a trim may take', async () => {
    const store = await filled();
    await flip(store, [x, 16]);
    const wal = openLog({ store });
    const met: unknown[] = [];
    wal.onDamaged(({ key }) => met.push(key));
    const bytes = [6, 11]
      .map((first) => store.get('batches', [x, first])!.length)
      .reduce((sum, length) => sum + length);
    assert.equal(wal.read(x, 6, bytes).length, 2);
    assert.equal((await wal.trim(x, 5, 1 << 20)).batches, 1);
    assert.equal((await wal.trim(x, 30, bytes)).batches, 2);
    assert.deepEqual(met, []);
    assert.equal((await wal.trim(x, 30, bytes)).batches, 0);
    assert.deepEqual(met, [`${x}:16`]);
  });

  it('is found whichever bit is flipped', async () => {
    const whole = await filled();
    for (const key of [
      [x, 16],
      [x, 36],
      [y, 1],
    ] as const) {
      const bytes = whole.get('batches', key)!;
      for (let bit = 0; bit < bytes.length * 8; bit++) {
        const flipped = Buffer.from(bytes);
        flipped[bit >> 3]! ^= 1 << (bit & 7);
        const store = whole.crash();
        await store.commit((transaction) => transaction.put('batches', key, flipped));
        const wal = openLog({ store });
        assert.throws(() => wal.read(key[0], key[1], 1), DamagedRow, `bit ${bit}`);
      }
    }
  });

  it('is found in the bytes before the checksum too, although its successor cannot vouch for it', async () => {
    const whole = await filled();
    for (let bit = 0; bit < 32; bit++) {
      const store = whole.crash();
      await store.commit((transaction) => {
        for (const first of [16, 21]) {
          const bytes = Buffer.from(transaction.get('batches', [x, first])!);
          bytes[bit >> 3]! ^= 1 << (bit & 7);
          transaction.put('batches', [x, first], bytes);
        }
      });
      const wal = openLog({ store });
      assert.throws(() => wal.read(x, 16, 1), DamagedRow, `bit ${bit}`);
      const damaged = await damagedIn(wal);
      assert.deepEqual(await restoreBatches({ ...rest, wal, links: [peer(whole)] }, damaged), []);
      assert.deepEqual(store.crash().image(), whole.image(), `bit ${bit}`);
    }
  });

  it('is restored from a peer, bit for bit: the first, the last, several in a row, of several origins', async () => {
    const whole = await filled();
    for (const firsts of [
      [[x, 1]],
      [[x, 36]],
      [
        [x, 11],
        [x, 16],
        [x, 21],
      ],
      [
        [x, 31],
        [x, 36],
        [y, 1],
        [y, 5],
      ],
    ] as const) {
      const store = whole.crash();
      await flip(store, ...firsts);
      const wal = openLog({ store });
      const damaged = await damagedIn(wal);
      assert.deepEqual(damaged.map(({ origin, first }) => [origin, first]).sort(), [...firsts].sort());
      assert.deepEqual(await restoreBatches({ ...rest, wal, links: [peer(whole)] }, damaged), []);
      assert.deepEqual(store.crash().image(), whole.image());
    }
  });

  it('is replaced by nothing else: other bytes are refused, and the next peer is asked', async () => {
    const whole = await filled();
    const other = new MemoryStore();
    const otherChain = viewChain(x, 8, 5, 3);
    await openLog({ store: other }).append({ batches: otherChain });
    const store = whole.crash();
    await flip(store, [x, 16]);
    const before = store.image();
    const wal = openLog({ store });
    const at = await damagedIn(wal);
    const answers = [
      () => Buffer.from(store.get('batches', [x, 16])!),
      () => Buffer.from(otherChain[3]!.bytes),
      () => bytesOf(viewChain(x, 8)),
      () => bytesOf(documents),
      () => Buffer.alloc(0),
      () => Buffer.from('no batch'),
      () => {
        throw new Error('unreachable');
      },
    ];
    const links = answers.map((answer, index) => ({ region: `peer-${index}`, log: async () => answer() }));
    assert.deepEqual(await restoreBatches({ ...rest, wal, links }, at), at);
    assert.deepEqual(store.image(), before, 'nothing changed');
    assert.deepEqual(await restoreBatches({ ...rest, wal, links: [...links, peer(whole)] }, at), []);
    assert.deepEqual(store.crash().image(), whole.image());
  });

  it('whose successor is damaged too waits for it: what is left is in log order, and the next attempt restores all of it', async () => {
    const whole = await filled();
    const store = whole.crash();
    await flip(store, [x, 11], [x, 16], [x, 21], [y, 5]);
    const wal = openLog({ store });
    const { region, log } = peer(whole);
    const has = (...firsts: number[]) => [
      {
        region,
        log: (origin: string, from: number) =>
          firsts.includes(from) ? log(origin, from) : Promise.reject(new Error('away')),
      },
    ];
    const lines = new RecordingLog();
    let left = await restoreBatches({ ...rest, log: lines, wal, links: has(11, 16) }, await damagedIn(wal));
    assert.equal(left.length, 4);
    assert.deepEqual(left, await damagedIn(wal));
    assert.deepEqual(
      lines.lines.map(({ fields }) => [fields.batch, fields.error]),
      [
        [`${x}:21`, 'away'],
        [`${x}:16`, 'its successor is damaged'],
        [`${x}:11`, 'its successor is damaged'],
        [`${y}:5`, 'away'],
      ],
    );
    left = await restoreBatches({ ...rest, wal, links: has(5, 21) }, left);
    assert.deepEqual(
      left.map(({ first }) => first),
      [11, 16],
    );
    left = await restoreBatches({ ...rest, wal, links: has(11, 16) }, left);
    assert.deepEqual(left, []);
    assert.deepEqual(store.crash().image(), whole.image());
  });

  describe('that a reader meets in a region that runs', () => {
    const run = async (ask: (answer: () => Promise<Buffer>) => Promise<Buffer>) => {
      const whole = await filled();
      const store = whole.crash();
      await flip(store, [x, 16], [x, 21]);
      const wal = openLog({ store });
      const clock = new ManualClock();
      const metrics = createMetrics({ process: 'region', name: 'eu-west', nodeMetrics: false });
      const { region, log } = peer(whole);
      const links = [{ region, log: (origin: string, from: number) => ask(() => log(origin, from)) }];
      const onFatal = (error: unknown): never => {
        throw error;
      };
      const it = { partitioned: false };
      const partitioned = (): boolean => it.partitioned;
      const restorer = new BatchRestorer({ clock, metrics, wal, links, log: silentLog, partitioned, onFatal });
      restorer.start();
      assert.throws(() => wal.read(x, 16, 1), DamagedRow);
      /** `tidal_damaged_batches` and `tidal_restored_batches_total`. */
      const counted = async (): Promise<number[]> => {
        const { text } = await metrics.render();
        return ['damaged_batches', 'restored_batches_total'].map((name) =>
          Number(new RegExp(`^tidal_${name}\\{[^}]*\\} (\\d+)$`, 'm').exec(text)![1]),
        );
      };
      return Object.assign(it, { whole, store, wal, clock, restorer, counted });
    };

    it('is restored in the background, once a peer has it', async () => {
      let isThere = false;
      const { whole, store, wal, clock, restorer, counted } = await run((answer) =>
        isThere ? answer() : Promise.reject(new Error('away')),
      );
      await clock.advance(15_000);
      assert.throws(() => wal.read(x, 16, 1), DamagedRow);
      assert.deepEqual(await counted(), [2, 0]);
      isThere = true;
      await clock.advance(10_000);
      assert.deepEqual(await counted(), [0, 2]);
      assert.equal(splitMessage(Buffer.concat(wal.read(x, 1, 1 << 20))).length, 8);
      await clock.run(restorer.stop());
      assert.deepEqual(store.crash().image(), whole.image());
    });

    it('is not waited for by a stop', async () => {
      let asked = 0;
      const { store, clock, restorer } = await run(() => {
        asked++;
        return new Promise(() => {});
      });
      await clock.settle();
      assert.equal(asked, 1);
      const before = store.image();
      let isStopped = false;
      void restorer.stop().then(() => {
        isStopped = true;
      });
      await clock.settle();
      assert.deepEqual([isStopped, asked, clock.pending], [true, 1, 0]);
      assert.deepEqual(store.image(), before);
    });

    it('stays as it is from a partition on, until it is healed', async () => {
      let asked = 0;
      let cuts = true;
      const region = await run(async (answer) => {
        asked++;
        if (cuts) region.partitioned = true;
        return answer();
      });
      const { whole, store, clock, restorer, counted } = region;
      const before = store.image();
      await clock.advance(60_000);
      assert.deepEqual([asked, await counted()], [1, [2, 0]]);
      assert.deepEqual(store.image(), before, 'the answer came after the partition');
      cuts = false;
      region.partitioned = false;
      await clock.advance(10_000);
      assert.deepEqual([asked, await counted()], [3, [0, 2]]);
      await clock.run(restorer.stop());
      assert.deepEqual(store.crash().image(), whole.image());
    });
  });

  it('registers are computed from the log again, bit for bit; from a trimmed log none is, and nothing changes', async () => {
    const whole = await filled();
    const rows = (['items', 'embeddings'] as const).flatMap((table) =>
      [...whole.range(table, {})].map(({ key }) => [table, key] as const),
    );
    assert.equal(rows.length, 4);
    for (const trimmed of [false, true]) {
      const store = whole.crash();
      if (trimmed) await openLog({ store }).trim(y, 2, 1);
      const before = store.image();
      await store.commit((transaction) => {
        for (const [table, key] of rows) transaction.put(table, key, Buffer.from('damaged'));
      });
      const wal = openLog({ store });
      const options = { clock: new ManualClock(), log: silentLog };
      if (!trimmed) {
        assert.equal(await wal.restoreRegisters(options), rows.length);
        assert.deepEqual(store.crash().image(), before);
        assert.equal(await wal.restoreRegisters(options), 0);
      } else {
        const damaged = store.image();
        await assert.rejects(wal.restoreRegisters(options), DamagedRow);
        assert.deepEqual(store.image(), damaged);
      }
    }
  });
});
