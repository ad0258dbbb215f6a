/** A partition that ends by itself: the deadline is the region's own, on its own disk. */
import assert from 'node:assert/strict';
import { createPartitionSwitch } from '../../../../services/region/partition/partition.ts';
import { openLog } from '../../../../services/region/wal/log.ts';
import { Fault } from '../../../../shared/errors/errors.ts';
import { ManualClock } from '../../../harness/kernel/manual-clock.ts';
import { unreadMetrics } from '../../../harness/observe/counted-metrics.ts';
import { silentLog } from '../../../harness/observe/silent-log.ts';
import { MemoryStore } from '../../../harness/region/store/memory-store.ts';

interface Rig {
  readonly clock: ManualClock;
  readonly store: MemoryStore;
}

function open({ clock, store }: Rig) {
  const wal = openLog({ store });
  const switched: boolean[] = [];
  const fatal: unknown[] = [];
  /** The next marks are refused for lack of space. */
  const disk = { full: 0, broken: false };
  const drill = createPartitionSwitch({
    metrics: unreadMetrics,
    clock,
    log: silentLog,
    wal: {
      mark: (name) => wal.mark(name),
      storeMark: (name, value) => {
        if (disk.broken) return Promise.reject(new Fault('storage_failed', 'the disk is gone'));
        if (disk.full === 0) return wal.storeMark(name, value);
        disk.full -= 1;
        return Promise.reject(new Fault('storage_full', 'no room'));
      },
    },
    onFatal: (error) => void fatal.push(error),
  });
  drill.onSwitched(async (partitioned) => void switched.push(partitioned));
  drill.start();
  return { drill, switched, fatal, disk };
}

const rig = (): Rig => ({ clock: new ManualClock(), store: new MemoryStore() });

describe('a partition with a deadline', () => {
  it('ends by itself, not earlier, and leaves no timer', async () => {
    const it = rig();
    const { drill, switched } = open(it);
    await drill.set(true, 30_000);
    assert.equal(drill.healAtMs, it.clock.nowMs() + 30_000);
    await it.clock.advance(29_999);
    assert.deepEqual(switched, [true]);
    await it.clock.advance(1);
    assert.deepEqual([drill.partitioned, drill.healAtMs, switched], [false, undefined, [true, false]]);
    assert.equal(it.clock.pending, 0);
  });

  it('takes nothing as soon as it begins to be stored, and again where it cannot be stored', async () => {
    const it = rig();
    const { drill, disk } = open(it);
    assert.equal(drill.receives, true);
    const partitioning = drill.set(true);
    await Promise.resolve();
    assert.deepEqual([drill.partitioned, drill.receives], [false, false], 'what is appended now comes after the mark');
    await partitioning;
    assert.deepEqual([drill.partitioned, drill.receives], [true, false]);
    await drill.set(false);
    assert.equal(drill.receives, true);
    disk.full = 1;
    await assert.rejects(drill.set(true), { code: 'storage_full' });
    assert.deepEqual([drill.partitioned, drill.receives], [false, true]);
  });

  it('a restart keeps what is left of it', async () => {
    const it = rig();
    const before = open(it);
    await before.drill.set(true, 30_000);
    await it.clock.advance(10_000);
    await before.drill.stop();
    assert.equal(it.clock.pending, 0);
    const { drill, switched } = open({ clock: it.clock, store: it.store.crash() });
    assert.equal(drill.partitioned, true);
    await it.clock.advance(19_999);
    assert.equal(drill.partitioned, true);
    await it.clock.advance(1);
    assert.deepEqual([drill.partitioned, switched], [false, [false]]);
  });

  it('a deadline that passed while the process was down ends the partition at its start', async () => {
    const it = rig();
    const before = open(it);
    await before.drill.set(true, 1_000);
    await before.drill.stop();
    await it.clock.advance(60_000);
    const { drill } = open({ clock: it.clock, store: it.store.crash() });
    await it.clock.settle();
    await it.clock.advance(0);
    assert.equal(drill.partitioned, false);
  });

  it('a stepped wall clock neither ends it early nor keeps it', async () => {
    const it = rig();
    const { drill } = open(it);
    await drill.set(true, 30_000);
    it.clock.stepWall(3_600_000);
    await it.clock.advance(29_999);
    assert.equal(drill.partitioned, true);
    it.clock.stepWall(-7_200_000);
    await it.clock.advance(1);
    assert.equal(drill.partitioned, false);
  });

  it('after a restart with the wall clock years back it lasts 24 h at most', async () => {
    const it = rig();
    const before = open(it);
    await before.drill.set(true, 1_000);
    await before.drill.stop();
    it.clock.stepWall(-10 * 365 * 86_400_000);
    const { drill } = open({ clock: it.clock, store: it.store.crash() });
    await it.clock.advance(86_400_000);
    assert.equal(drill.partitioned, false);
  });

  it('the last request decides: another deadline, none, or a heal', async () => {
    const it = rig();
    const { drill, switched } = open(it);
    await drill.set(true, 5_000);
    await drill.set(true, 60_000);
    await it.clock.advance(59_999);
    assert.equal(drill.partitioned, true);
    await drill.set(true);
    assert.equal(drill.healAtMs, undefined);
    await it.clock.advance(3_600_000);
    assert.equal(drill.partitioned, true);
    await drill.set(true, 5_000);
    await drill.set(false);
    await drill.set(true);
    await it.clock.advance(3_600_000);
    assert.deepEqual([drill.partitioned, switched], [true, [true, false, true]]);
    assert.equal(openLog({ store: it.store.crash() }).mark('cut'), true);
  });

  it('a partition requested at exactly the deadline stays', async () => {
    const it = rig();
    const { drill } = open(it);
    await drill.set(true, 5_000);
    const again = drill.set(true, 60_000);
    await it.clock.advance(5_000);
    await again;
    assert.equal(drill.partitioned, true);
  });

  it('on a full disk a drill is refused and nothing is switched', async () => {
    const it = rig();
    const { drill, switched } = open(it);
    it.store.failNext('storage_full');
    await assert.rejects(drill.set(true), { code: 'storage_full', name: 'Refusal' });
    assert.deepEqual([drill.partitioned, switched], [false, []]);
    await drill.set(true);
    assert.deepEqual([drill.partitioned, switched], [true, [true]]);
  });

  it('a full disk delays the heal until there is free space; a broken one ends the process', async () => {
    const it = rig();
    const { drill, disk, fatal } = open(it);
    await drill.set(true, 1_000);
    disk.full = 2;
    await it.clock.advance(10_999);
    assert.equal(drill.partitioned, true);
    await it.clock.advance(1);
    assert.equal(drill.partitioned, false);
    assert.deepEqual(fatal, []);
    await drill.set(true, 1_000);
    disk.broken = true;
    await it.clock.advance(1_000);
    assert.equal(fatal.length, 1);
  });

  it('a drill asked for on a broken disk ends the process', async () => {
    const it = rig();
    const { drill, disk, fatal } = open(it);
    disk.broken = true;
    await assert.rejects(drill.set(true));
    assert.equal(fatal.length, 1);
  });
});
