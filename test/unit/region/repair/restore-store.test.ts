/** A store that a start finds damaged: how long peers are asked, what a stop and a partition do, and what is reported. */
import assert from 'node:assert/strict';
import { RESTORE_MS, restoreStore } from '../../../../services/region/repair/restore-store.ts';
import { SLICE_ROWS } from '../../../../services/region/slices/slices.ts';
import { openLog } from '../../../../services/region/wal/log.ts';
import { DamagedRow } from '../../../../services/region/wal/wal.ts';
import { type Event, HLC_PER_MS } from '../../../../shared/protocol/events.ts';
import { ManualClock } from '../../../harness/kernel/manual-clock.ts';
import { RecordingLog } from '../../../harness/observe/recording-log.ts';
import { chainOf, startMs, viewChain } from '../../../harness/region/batches.ts';
import { countedTurns } from '../../../harness/region/store/counted-turns.ts';
import { MemoryStore } from '../../../harness/region/store/memory-store.ts';

const x = 'us-east@aaaaaaaaaa';
const y = 'eu-west@bbbbbbbbbb';

const item = (entity: number): Event => ({
  ...{ kind: 'item', hlc: startMs * HLC_PER_MS + entity, entity },
  metadata: { title: `item ${entity}` },
});

async function flip(store: MemoryStore, table: 'batches' | 'items', ...keys: readonly unknown[]): Promise<void> {
  await store.commit((transaction) => {
    for (const key of keys) {
      const bytes = Buffer.from(transaction.get(table, key as never)!);
      bytes[bytes.length >> 1]! ^= 16;
      transaction.put(table, key as never, bytes);
    }
  });
}

async function damagedStore(...firsts: readonly number[]): Promise<{ whole: MemoryStore; store: MemoryStore }> {
  const whole = new MemoryStore();
  await openLog({ store: whole }).append({ batches: viewChain(x, 4) });
  await openLog({ store: whole }).append({ batches: chainOf({ origin: y }, [[item(1), item(2)]]) });
  const store = whole.crash();
  await flip(store, 'batches', ...firsts.map((first) => [x, first]));
  return { whole, store };
}

/** A restoration in progress; `ask` is what its one peer does, and gets the answer of one that has everything. */
function restoring(
  { whole, store }: { readonly whole: MemoryStore; readonly store: MemoryStore },
  ask: (first: number, answer: () => Buffer) => Promise<Buffer>,
) {
  const clock = new ManualClock();
  const log = new RecordingLog();
  const wal = openLog({ store });
  const peer = openLog({ store: whole });
  const stopping = new AbortController();
  const asked: number[] = [];
  const links = [
    {
      region: 'eu-west',
      async log(origin: string, first: number) {
        asked.push(first);
        return ask(first, () => Buffer.concat(peer.read(origin, first, 1 << 20)));
      },
    },
  ];
  const it = { isDone: undefined as boolean | undefined, clock, log, wal, asked, stopping };
  const run = restoreStore({ log, clock, wal, links, restored: { inc() {} }, signal: stopping.signal });
  return Object.assign(it, {
    run: run.then((isDone) => {
      it.isDone = isDone;
    }),
    reported: () => log.lines.filter(({ message }) => message === 'damaged batches restored from peers'),
  });
}

const never = (): Promise<Buffer> => new Promise(() => {});
const away = (): Promise<Buffer> => Promise.reject(new Error('away'));

describe('restoration of a store', () => {
  it('asks peers for 30 s, also one that does not answer, and reports how many it restored and how many are left', async () => {
    for (const silent of [never, away]) {
      const stores = await damagedStore(1, 11, 16);
      const it = restoring(stores, (first, answer) => (first === 11 ? silent() : Promise.resolve(answer())));
      await it.clock.advance(RESTORE_MS - 1);
      assert.equal(it.isDone, undefined);
      await it.clock.advance(1);
      assert.equal(it.isDone, false);
      const left = silent === never ? 2 : 1;
      assert.deepEqual(
        it.reported().map(({ fields }) => fields),
        [{ restored: 3 - left, left, partitioned: false }],
      );
      const damaged = await it.wal.damagedBatches(it);
      assert.equal(damaged.length, left);
      assert.equal(it.clock.pending, 0);
      await it.run;
    }
  });

  it('restores everything once a peer that was away has it', async () => {
    const stores = await damagedStore(6, 11);
    await flip(stores.store, 'items', 2);
    let isThere = false;
    const it = restoring(stores, async (_, answer) => (isThere ? answer() : away()));
    await it.clock.advance(10_500);
    assert.equal(it.isDone, undefined);
    isThere = true;
    await it.clock.advance(1_000);
    assert.equal(it.isDone, true);
    assert.deepEqual(
      it.reported().map(({ fields }) => fields),
      [{ restored: 2, left: 0, partitioned: false }],
    );
    assert.deepEqual(
      it.log.lines.filter(({ fields }) => fields.registers !== undefined).map(({ fields }) => fields),
      [{ registers: 1 }],
    );
    assert.deepEqual(stores.store.crash().image(), stores.whole.image());
    assert.equal(it.clock.pending, 0);
  });

  it('is ended at once by a stop, while a peer is asked and between two attempts', async () => {
    for (const [ask, advanceMs] of [
      [never, 0],
      [away, 500],
    ] as const) {
      const stores = await damagedStore(6, 11);
      const before = stores.store.image();
      const it = restoring(stores, ask);
      await it.clock.advance(advanceMs);
      assert.ok(it.asked.length > 0);
      it.stopping.abort();
      await it.clock.settle();
      assert.deepEqual([it.isDone, it.clock.pending], [false, 0]);
      assert.deepEqual(stores.store.image(), before);
    }
  });

  it('asks no peer while a drill partitions the region: not at all without a deadline, otherwise after it', async () => {
    const stores = await damagedStore(6);
    await openLog({ store: stores.store }).storeMark('cut', true);
    const cut = restoring(stores, async (_, answer) => answer());
    await cut.clock.settle();
    assert.deepEqual([cut.isDone, cut.asked, cut.clock.pending], [false, [], 0]);
    assert.deepEqual(
      cut.reported().map(({ fields }) => fields),
      [{ restored: 0, left: 1, partitioned: true }],
    );
    await openLog({ store: stores.store }).storeMark('cut', { healAtMs: new ManualClock().nowMs() + 10_500 });
    const healed = restoring(stores, async (_, answer) => answer());
    await healed.clock.advance(10_000);
    assert.deepEqual([healed.isDone, healed.asked], [undefined, []]);
    await healed.clock.advance(1_000);
    assert.deepEqual([healed.isDone, healed.asked], [true, [6]]);
  });

  it('asks no further peer once a batch cannot be stored', async () => {
    const stores = await damagedStore(6);
    stores.store.full = true;
    const it = restoring(stores, async (_, answer) => answer());
    await assert.rejects(it.run, { code: 'storage_full' });
    assert.deepEqual([it.asked, it.clock.pending], [[6], 0]);
  });
});

describe('restoration of a store in slices', function () {
  this.timeout(60_000);
  const count = 2 * SLICE_ROWS + 100;
  const origins = ['a', 'b', 'c', 'd', 'e'].map((end) => `${x.slice(0, -1)}${end}`);
  let whole: MemoryStore;

  before(async () => {
    whole = new MemoryStore();
    const wal = openLog({ store: whole });
    for (const origin of origins) await wal.append({ batches: viewChain(origin, count / origins.length, 1) });
    const groups = Array.from({ length: count / 100 }, (_, group) =>
      Array.from({ length: 100 }, (_, index) => item(group * 100 + index + 1)),
    );
    await wal.append({ batches: chainOf({ origin: y }, groups) });
  });

  it('no turn reads more than one slice, of batches or of registers', async () => {
    const store = whole.crash();
    const ends = [7, count / 5];
    await flip(store, 'batches', ...ends.map((first) => [origins[1], first]), [origins[2], 1]);
    await flip(store, 'items', 3, count);
    const { counted, turns, clock, manual } = countedTurns(store);
    const wal = openLog({ store: counted });
    turns.length = 0;
    const options = { clock, log: new RecordingLog() };
    const damaged = await manual.run(wal.damagedBatches(options));
    assert.deepEqual(
      damaged.map(({ first, last }) => [first, last]),
      [...ends, 1].map((at) => [at, at]),
    );
    for (const { origin, first, last } of damaged) {
      const bytes = whole.get('batches', [origin, first])!;
      assert.equal(await wal.restoreBatch({ origin, first, last }, bytes), undefined);
    }
    assert.equal(await manual.run(wal.restoreRegisters(options)), 2);
    assert.deepEqual(store.image(), whole.image());
    assert.equal(turns.length, 6, 'two between the slices of each: all batches, registers, all batches');
    // The end of one table and the first slice of the next share a turn.
    assert.ok(Math.max(...turns) < 2 * SLICE_ROWS, `${Math.max(...turns)} rows in one turn`);
  });

  it('a stop between two slices changes nothing: in the search, and while registers are computed', async () => {
    const store = whole.crash();
    await flip(store, 'items', 3, count);
    const before = store.image();
    for (const turn of [1, 2, 4, 5, 6, 7]) {
      const { counted, turns, clock, manual } = countedTurns(store);
      const wal = openLog({ store: counted });
      turns.length = 0;
      const stopping = new AbortController();
      const { signal } = stopping;
      let isDone: boolean | undefined;
      const options = { clock, log: new RecordingLog(), wal, links: [], restored: { inc() {} }, signal };
      void restoreStore(options).then((is) => {
        isDone = is;
      });
      // The third timer limits how long peers are asked.
      await manual.until('that many slices are read', () => turns.length === turn);
      stopping.abort();
      await manual.advance(0);
      assert.equal(isDone, false, `slice ${turn}`);
      assert.deepEqual(store.image(), before);
    }
  });

  it('a register that the log does not have stays as it is, and is named', async () => {
    const store = whole.crash();
    await flip(store, 'items', 3);
    await store.commit((transaction) => transaction.put('items', count + 1, Buffer.from('damaged')));
    const before = store.image();
    const clock = new ManualClock();
    const run = openLog({ store }).restoreRegisters({ clock, log: new RecordingLog() });
    await assert.rejects(clock.run(run), DamagedRow);
    assert.deepEqual(store.image(), before);
  });
});
