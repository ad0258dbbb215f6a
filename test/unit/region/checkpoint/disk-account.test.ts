/** The account of disks from which events may still arrive, and the removal of idempotency records by it. */
import assert from 'node:assert/strict';
import { createDiskAccount, unreportedDisks } from '../../../../services/region/checkpoint/disk-account.ts';
import { createKeySweep } from '../../../../services/region/checkpoint/key-sweep.ts';
import { openLog } from '../../../../services/region/wal/log.ts';
import { Refusal } from '../../../../shared/errors/errors.ts';
import { DISKS_LIMIT, joinDisks, type KnownDisk, parseDisks } from '../../../../shared/protocol/known-disks.ts';
import { formatPosition, type Position } from '../../../../shared/protocol/position.ts';
import type { RegionView } from '../../../../shared/region-client/status-poller.ts';
import { ManualClock } from '../../../harness/kernel/manual-clock.ts';
import { seededRandom } from '../../../harness/kernel/seeded-random.ts';
import { unreadMetrics } from '../../../harness/observe/counted-metrics.ts';
import { silentLog } from '../../../harness/observe/silent-log.ts';
import { chainOf, startMs as now, viewEvent } from '../../../harness/region/batches.ts';
import { MemoryStore } from '../../../harness/region/store/memory-store.ts';

const DAY_MS = 86_400_000;
const old = 'eu-west@aaaaaaaaaa';
const young = 'us-east@bbbbbbbbbb';
const id = (name: string): string => name.padEnd(13, '2');
const mine = id('mine');
const everything: Position = new Map([[old, 4]]);

interface Said {
  readonly disk?: string;
  readonly clockMs?: number;
  readonly disks?: readonly KnownDisk[];
  readonly reachable?: boolean;
}

/** The account of us-east beside eu-west and ap-south, on a disk and a clock of the test's. */
async function account(store = new MemoryStore(), others = ['eu-west', 'ap-south']) {
  const clock = new ManualClock(now);
  const wal = openLog({ store });
  if (wal.mark('disk') === undefined) await wal.storeMark('disk', mine);
  const views = new Map<string, RegionView>();
  const listeners: (() => void)[] = [];
  const state = { applied: everything as Position };
  const disks = createDiskAccount({
    metrics: unreadMetrics,
    ...{ clock, log: silentLog, wal, others },
    random: seededRandom(1),
    region: 'us-east',
    peers: { views, onPolled: (listener) => void listeners.push(listener) },
    applied: () => state.applied,
  });
  const report = (region: string, durable: Position, said: Said = {}): void => {
    const { disk = id(region.slice(0, 2)), clockMs = clock.nowMs(), disks: known = [], reachable = true } = said;
    const status = {
      region,
      durable,
      clockMs,
      disk,
      disks: known,
    } as unknown as RegionView['status'];
    views.set(region, { status, atMs: 0, clockOffsetMs: 0, reachable });
    for (const listener of listeners) listener();
  };
  return { clock, wal, store, disks, report, state };
}

type Account = Awaited<ReturnType<typeof account>>;

const ago = ({ disks, clock }: Account): number | undefined =>
  disks.knownMs === undefined ? undefined : clock.nowMs() - disks.knownMs;

const code = (expected: string) => (error: unknown) => error instanceof Refusal && error.code === expected;

describe('the account of disks', () => {
  it('everything is known up to the earliest report that is applied here, once each region has made one', async () => {
    const it = await account();
    assert.equal(ago(it), undefined, 'no region has reported');
    it.report('eu-west', everything);
    assert.equal(ago(it), undefined, 'one of two has');
    it.report('ap-south', new Map([[young, 1]]));
    assert.equal(it.disks.knownMs, 0, 'the other has something that is not here');
    it.report('ap-south', everything, { clockMs: now - DAY_MS });
    assert.equal(it.disks.knownMs, now - DAY_MS, 'less than it had: its disk went back, and this report counts');
    it.report('ap-south', everything, { clockMs: now + DAY_MS });
    assert.equal(it.disks.knownMs, now, 'a clock that is ahead makes nothing known that is yet to be accepted');
  });

  it('a busy region’s oldest report that is not applied is followed until it is', async () => {
    const it = await account();
    it.report('eu-west', everything);
    for (const last of [5, 6, 7]) it.report('ap-south', new Map([[old, last]]), { clockMs: now - 100 + last });
    it.state.applied = new Map([[old, 5]]);
    it.report('ap-south', new Map([[old, 8]]), { clockMs: now - 50 });
    assert.equal(it.disks.knownMs, now - 95, 'the report of 5');
  });

  it('a disk that was replaced holds it back from its last report on, until it is retired', async () => {
    const it = await account();
    it.report('eu-west', everything);
    it.report('ap-south', everything, { disk: id('lost') });
    await it.clock.advance(9 * DAY_MS);
    for (const region of ['eu-west', 'ap-south']) it.report(region, everything);
    assert.equal(ago(it), 9 * DAY_MS, 'the new disk says nothing about the old one');
    assert.equal(unreportedDisks(it.disks.known, it.clock.nowMs()), 1);
    await assert.rejects(it.disks.retire(id('ap')), code('disk_in_use'));
    await assert.rejects(it.disks.retire(mine), code('disk_in_use'));
    await assert.rejects(it.disks.retire(id('never')), code('unknown_disk'));
    it.store.full = true;
    await assert.rejects(it.disks.retire(id('lost')), code('storage_full'));
    assert.equal(ago(it), 9 * DAY_MS, 'refused is refused');
    it.store.full = false;
    await it.disks.retire(id('lost'));
    await it.disks.retire(id('lost'));
    assert.equal(ago(it), 0);
    assert.equal(unreportedDisks(it.disks.known, it.clock.nowMs()), 0);
    const after = await account(it.store.crash());
    for (const region of ['eu-west', 'ap-south']) after.report(region, everything);
    assert.equal(ago(after), 0, 'retired over a restart');
  });

  it('a disk blocks it across a restart, also if its region is no longer in the topology', async () => {
    const before = await account();
    for (const region of ['eu-west', 'ap-south']) before.report(region, everything, { clockMs: now - 5_000 });
    await before.disks.store();
    const it = await account(before.store.crash());
    assert.equal(it.disks.knownMs, now - 5_000, 'nobody has reported to this process');
    it.report('eu-west', everything);
    assert.equal(it.disks.knownMs, now - 5_000);
    const without = await account(before.store.crash(), ['eu-west']);
    without.report('eu-west', everything);
    assert.equal(without.disks.knownMs, now - 5_000);
  });

  it('what another region knows of a disk is known here once its report is applied; that it was retired, at once', async () => {
    const it = await account();
    const lost = { id: id('lost'), region: 'ap-south', knownMs: now - 7_000, retired: false };
    it.report('ap-south', everything);
    it.report('eu-west', new Map([[old, 5]]), { disks: [lost] });
    assert.equal(it.disks.knownMs, 0);
    it.state.applied = new Map([[old, 5]]);
    it.report('eu-west', new Map([[old, 5]]), { disks: [lost] });
    assert.equal(it.disks.knownMs, now - 7_000);
    it.report('eu-west', new Map([[old, 9]]), { disks: [{ ...lost, retired: true }] });
    assert.equal(it.disks.known.find((disk) => disk.id === lost.id)?.retired, true);
    it.report('ap-south', everything, { disks: [lost] });
    assert.equal(
      it.disks.known.find((disk) => disk.id === lost.id)?.retired,
      true,
      'one that has not heard of it changes nothing',
    );
  });

  it('a disk that was retired and is back continues under a new id', async () => {
    const it = await account();
    assert.equal(it.disks.own, mine);
    it.report('eu-west', everything, { disks: [{ id: mine, region: 'us-east', knownMs: now, retired: true }] });
    assert.equal(it.disks.own, undefined, 'not named before it is on the disk');
    await it.disks.store();
    assert.ok(it.disks.own !== undefined && it.disks.own !== mine);
    it.report('eu-west', everything, { disks: [{ id: mine, region: 'us-east', knownMs: now, retired: true }] });
    it.report('ap-south', everything);
    assert.equal(ago(it), 0, 'the old id holds nothing back');
    const { own } = it.disks;
    assert.equal((await account(it.store.crash())).disks.own, own);
  });

  it('a region that names no disk, or none that can be, has not reported', async () => {
    for (const wrong of [undefined, '', 'LOUD', 'a'.repeat(99), 7]) {
      const it = await account();
      it.report('eu-west', everything);
      const status = { region: 'ap-south', durable: formatPosition(everything), clockMs: now, disk: wrong };
      it.report('ap-south', everything, status as Said);
      if (wrong !== undefined) assert.equal(ago(it), undefined, String(wrong));
    }
    for (const wrong of [
      7,
      [7],
      [{ id: 'x' }],
      [{ id: mine, region: 'a', knownMs: -1, retired: false }],
      new Array(DISKS_LIMIT + 1).fill(0),
    ]) {
      assert.equal(parseDisks(wrong), undefined);
    }
  });

  it(`no more than ${DISKS_LIMIT} disks are kept account of: retired ones are dropped first, and nothing is removed while one does not fit`, async () => {
    const it = await account();
    const disks = (count: number, retired: boolean): KnownDisk[] =>
      Array.from({ length: count }, (_, index) => ({
        id: id(`${retired ? 'r' : 'l'}${'abcdefgh'[index >> 3]}${'abcdefgh'[index & 7]}`),
        region: 'ap-south',
        knownMs: now,
        retired,
      }));
    it.report('eu-west', everything, { disks: disks(DISKS_LIMIT, true) });
    it.report('ap-south', everything);
    assert.equal(it.disks.known.length, DISKS_LIMIT);
    assert.equal(ago(it), 0, 'those that are not retired have their place');
    it.report('eu-west', everything, { disks: disks(DISKS_LIMIT, false) });
    assert.equal(it.disks.known.length, DISKS_LIMIT);
    assert.equal(ago(it), undefined);
    const { disks: joined, left } = joinDisks(disks(DISKS_LIMIT, false), disks(3, true));
    assert.deepEqual([joined.length, left], [DISKS_LIMIT, 0]);
  });
});

describe('idempotency keys that grow old', () => {
  const keyed = (name: string, acceptedMs: number, entity = 1) => ({
    ...viewEvent(0, entity),
    hlc: acceptedMs * 2048,
    timeMs: acceptedMs,
    key: { id: name.padEnd(22, 'A'), bodyHash: 'AAAAAAAAAAA' },
  });

  async function sweeping(floor: Position, others?: string[]) {
    const it = await account(new MemoryStore(), others);
    const ages = [20, 9, 7.5, 0];
    const events = ages.map((days, index) => keyed('abcd'[index]!, now - days * DAY_MS));
    await it.wal.append({ batches: chainOf({ origin: old }, [events]) });
    const fatal: unknown[] = [];
    const onFatal = (error: unknown): void => void fatal.push(error);
    const sweep = createKeySweep({
      metrics: unreadMetrics,
      ...it,
      log: silentLog,
      checkpointPosition: () => floor,
      onFatal,
    });
    sweep.start();
    const left = async (): Promise<number> => {
      await it.clock.advance(1_000_000);
      assert.deepEqual(fatal, []);
      return it.wal.keys;
    };
    return { ...it, left, stop: () => sweep.stop() };
  }

  it('are forgotten eight days after everything that was accepted until then is known here; the log keeps up to when', async () => {
    const it = await sweeping(everything);
    assert.equal(await it.left(), 4, 'no peer has reported');
    it.report('eu-west', everything, { clockMs: now });
    it.report('ap-south', everything, { clockMs: now - 3 * DAY_MS });
    assert.equal(it.wal.keysForgottenMs, 0);
    assert.equal(await it.left(), 3, 'up to three days ago: the one of twenty days');
    assert.equal(it.wal.keysForgottenMs, now - 11 * DAY_MS);
    it.report('ap-south', everything, { clockMs: now });
    assert.equal(await it.left(), 2, 'now also the one of nine');
    assert.equal(it.wal.keysForgottenMs, now - 8 * DAY_MS);
    await it.stop();
    const after = openLog({ store: it.store.crash() });
    assert.equal(after.keysForgottenMs, now - 8 * DAY_MS);
    assert.equal(parseDisks(after.mark('disks'))?.length, 2, 'what it was decided by is stored');
  });

  it('are kept on a full disk, and removed when there is free space', async () => {
    const it = await sweeping(everything, []);
    it.store.full = true;
    assert.equal(await it.left(), 4);
    it.store.full = false;
    assert.equal(await it.left(), 2);
    await it.stop();
  });

  it('are kept while a restart would replay them', async () => {
    const it = await sweeping(new Map([[old, 3]]), []);
    // All lie in one batch; the checkpoint position says which of them a restart would not meet again.
    assert.equal(await it.left(), 2);
    await it.stop();
    const none = await sweeping(new Map(), []);
    assert.equal(await none.left(), 4);
    assert.equal(none.wal.keysForgottenMs, 0, 'nothing was');
    await none.stop();
  });
});
