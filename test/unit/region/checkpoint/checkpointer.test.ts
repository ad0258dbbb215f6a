/** When a checkpoint is written, what a failing disk does to one, and what a start makes of a damaged one. */
import assert from 'node:assert/strict';
import type { Batch } from '../../../../services/region/batch/batch.ts';
import { type Checkpoint, packShard, unpackShard } from '../../../../services/region/checkpoint/checkpoint.ts';
import { createCheckpointer } from '../../../../services/region/checkpoint/checkpointer.ts';
import { withChecksum } from '../../../../services/region/wal/row-checksums.ts';
import { systemClock } from '../../../../shared/kernel/system.ts';
import { createLog } from '../../../../shared/observe/log.ts';
import { formatPosition, totalOf } from '../../../../shared/protocol/position.ts';
import { ManualClock } from '../../../harness/kernel/manual-clock.ts';
import { unreadMetrics } from '../../../harness/observe/counted-metrics.ts';
import { chainOf, viewEvent } from '../../../harness/region/batches.ts';
import { CoreRegion } from '../../../harness/region/core-region.ts';
import { MemoryBroker } from '../../../harness/stream/memory-stream.ts';

const x = 'eu-west@aaaaaaaaaa';
const y = 'eu-west@bbbbbbbbbb';

/** Batches of ten views each, of ten entities from `entity` on. */
function tens(origin: string, count: number, entity = 0): Batch[] {
  const groups = Array.from({ length: count }, (_, group) =>
    Array.from({ length: 10 }, (_, index) => viewEvent(group * 10 + index + 1, entity + index)),
  );
  return chainOf({ origin }, groups);
}

class Rig {
  readonly clock = new ManualClock();
  readonly fatal: unknown[] = [];
  passes = 0;
  region: CoreRegion;
  checkpoint: Checkpoint;

  constructor() {
    const broker = new MemoryBroker({ clock: this.clock });
    this.region = new CoreRegion({ region: 'us-east', clock: this.clock, broker });
    this.checkpoint = this.checkpointer();
  }

  private checkpointer(): Checkpoint {
    const { wal, ledger, apply, recovered } = this.region;
    return createCheckpointer({
      metrics: unreadMetrics,
      clock: this.clock,
      log: createLog({ name: 'test', level: 'error', clock: systemClock }),
      wal,
      ledger,
      applied: () => apply.applied,
      checkpointPosition: recovered.checkpointPosition,
      eventsLimit: 50,
      intervalMs: 300_000,
      onFatal: (error) => this.fatal.push(error),
      onPass: () => {
        this.passes++;
      },
    });
  }

  restart(): void {
    this.region = this.region.crash();
    this.checkpoint = this.checkpointer();
  }

  take(batches: readonly Batch[]): Promise<unknown> {
    return this.region.ingest.take(batches);
  }

  pass(): Promise<void> {
    return this.clock.run(this.checkpoint.now());
  }

  get floor(): string {
    return formatPosition(this.checkpoint.checkpointPosition);
  }
}

describe('checkpointer', () => {
  it('a run is due after so many events, or after so long if there was any; never without one', async () => {
    const rig = new Rig();
    rig.checkpoint.start();
    await rig.clock.advance(700_000);
    assert.equal(rig.passes, 0);
    const batches = tens(x, 12);
    await rig.take(batches.slice(0, 1));
    await rig.clock.advance(2_000);
    assert.deepEqual([rig.passes, rig.floor], [1, `${x}:10`], 'the interval had passed');
    await rig.take(batches.slice(1, 5));
    await rig.clock.advance(200_000);
    assert.deepEqual([rig.passes, rig.checkpoint.behind], [1, 40]);
    await rig.take(batches.slice(5, 6));
    await rig.clock.advance(2_000);
    assert.deepEqual([rig.passes, rig.floor, rig.checkpoint.behind], [2, `${x}:60`, 0], 'enough events');
    await rig.take(batches.slice(6, 7));
    await rig.clock.advance(290_000);
    assert.equal(rig.passes, 2);
    await rig.clock.advance(20_000);
    assert.deepEqual([rig.passes, rig.floor], [3, `${x}:70`], 'long enough');
    await rig.checkpoint.stop();
    assert.equal(rig.clock.pending, 0, 'no timer is left');
  });

  it('a run waits for as many events as there are pairs, up to four times the limit', async () => {
    const rig = new Rig();
    rig.checkpoint.start();
    const batches = Array.from({ length: 9 }, (_, n) =>
      Array.from({ length: 10 }, (_, i) => viewEvent(n * 10 + i + 1, n * 10 + i)),
    );
    const chain = chainOf({ origin: x }, [
      ...batches,
      ...batches.map((group, n) => group.map((_, i) => viewEvent(900 + n * 10 + i, i))),
    ]);
    await rig.take(chain.slice(0, 9));
    await rig.clock.advance(2_000);
    assert.deepEqual([rig.passes, rig.floor], [1, `${x}:90`], 'ninety pairs, ninety events');
    await rig.take(chain.slice(9, 17));
    await rig.clock.advance(2_000);
    assert.deepEqual([rig.passes, rig.checkpoint.behind], [1, 80], 'more than the limit, fewer than pairs');
    await rig.take(chain.slice(17));
    await rig.clock.advance(2_000);
    assert.deepEqual([rig.passes, rig.floor], [2, `${x}:180`]);
    await rig.checkpoint.stop();
    const many = new Rig();
    many.checkpoint.start();
    const views = chainOf({ origin: x }, [
      Array.from({ length: 600 }, (_, n) => viewEvent(n + 1, n)),
      ...batches.map((group, n) => group.map((_, i) => viewEvent(900 + n * 10 + i, i))),
      Array.from({ length: 110 }, (_, n) => viewEvent(2_000 + n, n)),
    ]);
    await many.take(views.slice(0, 1));
    await many.clock.advance(2_000);
    await many.take(views.slice(1, 10));
    await many.clock.advance(2_000);
    assert.deepEqual([many.passes, many.checkpoint.behind], [1, 90]);
    await many.take(views.slice(10));
    await many.clock.advance(2_000);
    assert.deepEqual(
      [many.passes, many.checkpoint.behind],
      [2, 0],
      'two hundred events, four times the limit, for 600 pairs',
    );
    await many.checkpoint.stop();
  });

  it('only shards that changed are written, and a start replays the tail alone', async () => {
    const rig = new Rig();
    await rig.take(tens(x, 3));
    await rig.pass();
    const shards = rig.region.store.count('shards');
    assert.ok(shards > 1 && shards <= 10, `${shards} shards of ten entities`);
    let puts = 0;
    rig.region.store.onPut = (table) => {
      if (table === 'shards') puts++;
    };
    const [more] = chainOf({ origin: y }, [[viewEvent(1, 3)]]);
    await rig.take([more!]);
    await rig.pass();
    assert.equal(puts, 1);
    const digest = rig.region.digest();
    await rig.region.wal.trim(x, 30, 1 << 20);
    rig.restart();
    assert.equal(rig.region.digest(), digest, 'without the batches of the other origin');
    assert.equal(formatPosition(rig.region.recovered.checkpointPosition.position), `${x}:30,${y}:1`);
  });

  it('a full disk abandons the run: nothing is lost, and the next one writes what this one did not', async () => {
    const rig = new Rig();
    await rig.take(tens(x, 3));
    // The first shard is stored, the second meets the full disk.
    let puts = 0;
    rig.region.store.onPut = (table) => {
      if (table === 'shards' && ++puts === 2) rig.region.store.failNext('storage_full');
    };
    await rig.pass();
    rig.region.store.onPut = undefined;
    assert.deepEqual([rig.passes, rig.floor, rig.fatal], [0, '', []]);
    assert.equal(rig.region.store.count('shards'), 1);
    const digest = rig.region.digest();
    await rig.pass();
    assert.deepEqual([rig.passes, rig.floor], [1, `${x}:30`]);
    rig.restart();
    assert.equal(rig.region.digest(), digest);
  });

  it('a full disk is tried again after a while; any other failure ends the process', async () => {
    const rig = new Rig();
    await rig.take(tens(x, 6));
    rig.region.store.failNext('storage_full');
    rig.checkpoint.start();
    await rig.clock.advance(20_000);
    assert.equal(rig.passes, 0);
    await rig.clock.advance(20_000);
    assert.equal(rig.passes, 1);
    await rig.take(tens(y, 1));
    rig.region.store.failNext('storage_failed');
    await rig.pass();
    assert.equal((rig.fatal[0] as { code?: string }).code, 'storage_failed');
    assert.equal(rig.floor, `${x}:60`);
    await rig.checkpoint.stop();
  });

  it('a damaged shard is rebuilt while the log begins at 1, and the next run replaces it', async () => {
    for (const harm of ['bit', 'cut', 'mark', 'bit of the mark'] as const) {
      const rig = new Rig();
      await rig.take(tens(x, 3));
      await rig.pass();
      await rig.take(tens(y, 2, 5));
      const digest = rig.region.digest();
      const [row] = rig.region.store.range('shards', { limit: 1 });
      const bytes = Buffer.from(row!.value);
      bytes[bytes.length - 1]! ^= 4;
      await rig.region.store.commit((transaction) => {
        if (harm === 'bit') transaction.put('shards', row!.key, bytes);
        if (harm === 'cut') transaction.put('shards', row!.key, bytes.subarray(0, 12));
        const mark = Buffer.from(transaction.get('marks', 'checkpoint')!);
        mark[mark.length - 4]! ^= 1;
        if (harm === 'bit of the mark') transaction.put('marks', 'checkpoint', mark);
        const other = withChecksum('marks', 'checkpoint', Buffer.from('{"position":7}'));
        if (harm === 'mark') transaction.put('marks', 'checkpoint', other);
      });
      rig.restart();
      assert.equal(rig.region.digest(), digest, harm);
      assert.equal(
        totalOf(rig.region.recovered.checkpointPosition.position),
        0,
        'nothing may be trimmed before the next pass',
      );
      await rig.pass();
      rig.restart();
      assert.equal(rig.region.digest(), digest, harm);
      assert.equal(formatPosition(rig.region.recovered.checkpointPosition.position), `${x}:30,${y}:20`);
    }
  });

  it('a damaged shard or a hole in a trimmed log stops the start and says what to do', async () => {
    const harmed = new Rig();
    await harmed.take(tens(x, 3));
    await harmed.pass();
    await harmed.region.wal.trim(x, 20, 1 << 20);
    const [row] = harmed.region.store.range('shards', { limit: 1 });
    await harmed.region.store.commit((transaction) => transaction.put('shards', row!.key, row!.value.subarray(1)));
    assert.throws(() => harmed.restart(), { code: 'damaged_checkpoint', message: /empty the data directory/ });

    const holed = new Rig();
    await holed.take(tens(x, 2));
    await holed.pass();
    await holed.take(tens(x, 5).slice(2));
    await holed.region.wal.trim(x, 40, 1 << 20);
    assert.throws(() => holed.restart(), { code: 'damaged_log', message: /21-40.*empty the data directory/ });

    const longer = new Rig();
    await longer.take(tens(x, 2));
    await longer.region.wal.storeMark('checkpoint', { position: `${x}:30`, atMs: 1 });
    assert.throws(() => longer.restart(), { code: 'damaged_log', message: /ends at 20/ });
  });

  it('keys that were forgotten count right when a damaged shard is rebuilt from the first batch', async () => {
    const rig = new Rig();
    const key = { id: `${'k'.repeat(21)}A`, bodyHash: `${'a'.repeat(10)}A` };
    const copy = (origin: string) => chainOf({ origin }, [[{ ...viewEvent(1, 3), key }]]);
    await rig.take(copy(x));
    await rig.take(copy(y));
    await rig.pass();
    assert.equal(rig.region.ledger.read(3, 'view', rig.clock.nowMs())?.count, 1);
    const digest = rig.region.digest();
    const upTo = rig.checkpoint.checkpointPosition;
    const beforeMs = Number.MAX_SAFE_INTEGER;
    const { forgotten } = await rig.region.wal.forgetKeys({
      from: undefined,
      limit: 10,
      limitBytes: 1e6,
      beforeMs,
      upTo,
    });
    assert.equal(forgotten, 1);
    const [row] = rig.region.store.range('shards', { limit: 1 });
    await rig.region.store.commit((transaction) => transaction.put('shards', row!.key, row!.value.subarray(1)));
    rig.restart();
    assert.equal(rig.region.digest(), digest);
  });

  it('a row names what differs from the checkpoint position, and no changed bit of it is taken for one', () => {
    const at = new Map([
      [x, 30],
      [y, 7],
    ]);
    const floor = new Map([[x, 30]]);
    const row = packShard(Buffer.from('content'), at, floor);
    assert.ok(!Buffer.from(row).includes(x));
    const later = new Map([
      [x, 40],
      [y, 5],
    ]);
    const unpacked = unpackShard(row, later);
    assert.deepEqual([formatPosition(unpacked.at), String(unpacked.shard)], [`${x}:40,${y}:7`, 'content']);
    for (let bit = 0; bit < row.length * 8; bit++) {
      const harmed = Buffer.from(row);
      harmed[bit >> 3]! ^= 1 << (bit & 7);
      assert.throws(() => unpackShard(harmed, later), { code: 'damaged_checkpoint' }, `bit ${bit}`);
    }
  });
});
