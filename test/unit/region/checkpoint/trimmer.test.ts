/** What may be trimmed from the log, and what never. */
import assert from 'node:assert/strict';
import { createTrimmer, type TrimmerOptions } from '../../../../services/region/checkpoint/trimmer.ts';
import { openLog } from '../../../../services/region/wal/log.ts';
import type { Wal } from '../../../../services/region/wal/wal.ts';
import type { Position } from '../../../../shared/protocol/position.ts';
import type { RegionView } from '../../../../shared/region-client/status-poller.ts';
import { ManualClock } from '../../../harness/kernel/manual-clock.ts';
import { CountedMetrics } from '../../../harness/observe/counted-metrics.ts';
import { silentLog } from '../../../harness/observe/silent-log.ts';
import { viewChain } from '../../../harness/region/batches.ts';
import { MemoryStore } from '../../../harness/region/store/memory-store.ts';

const old = 'eu-west@aaaaaaaaaa';
const young = 'us-east@bbbbbbbbbb';

const at = (oldest: number, youngest: number): Position =>
  new Map([
    [old, oldest],
    [young, youngest],
  ]);

/** Peers as the newest poll left them. */
class Polled {
  readonly views = new Map<string, RegionView>();
  readonly expected: number;
  private readonly listeners: (() => void)[] = [];

  constructor(expected: number) {
    this.expected = expected;
  }

  report(region: string, durable: Position, { reachable = true } = {}): void {
    const status = { durable } as RegionView['status'];
    this.views.set(region, { status, atMs: 0, clockOffsetMs: 0, reachable });
    for (const listener of this.listeners) listener();
  }

  onPolled(listener: () => void): void {
    this.listeners.push(listener);
  }
}

/** A log of 40 batches of five events in two origins, the second one of a later epoch. */
async function filled(): Promise<{ store: MemoryStore; wal: Wal }> {
  const store = new MemoryStore();
  const wal = openLog({ store });
  await wal.append({ batches: viewChain(young, 20, 5, 2) });
  await wal.append({ batches: viewChain(old, 20) });
  return { store, wal };
}

const firsts = (wal: Wal): (number | undefined)[] => [wal.origin(old)?.first, wal.origin(young)?.first];

describe('trimmer', () => {
  const clock = new ManualClock();

  async function trimmed(wal: Wal, options: Partial<TrimmerOptions>): Promise<number> {
    const fatal: unknown[] = [];
    const metrics = new CountedMetrics();
    const trimmer = createTrimmer({
      clock,
      log: silentLog,
      metrics,
      wal,
      peers: new Polled(0),
      checkpointPosition: () => at(100, 100),
      needed: () => undefined,
      retentionBytes: 0,
      onFatal: (error) => fatal.push(error),
      ...options,
    });
    trimmer.start();
    await clock.advance(10_000);
    await trimmer.stop();
    assert.deepEqual(fatal, []);
    assert.equal(clock.pending, 0);
    return metrics.total('tidal_trimmed_events_total');
  }

  it('nothing is trimmed while the batches are within their bytes, whichever regions have them', async () => {
    const { wal } = await filled();
    const peers = new Polled(1);
    peers.report('eu-west', at(100, 100));
    assert.equal(await trimmed(wal, { peers, retentionBytes: wal.batchBytes }), 0);
    assert.deepEqual(firsts(wal), [1, 1]);
  });

  it('the oldest origin is trimmed first, and no more than the excess', async () => {
    const { wal } = await filled();
    const { length } = viewChain(old, 1)[0]!.bytes;
    const retentionBytes = wal.batchBytes - 3 * length;
    await trimmed(wal, { retentionBytes });
    assert.deepEqual(firsts(wal), [16, 1], 'three batches of five');
    await trimmed(wal, { retentionBytes: 10 * length });
    assert.deepEqual(firsts(wal)[0], 101, 'all of the oldest');
    assert.ok(wal.batchBytes <= 10 * length && wal.batchBytes > 8 * length, `${wal.batchBytes} bytes are left`);
    await trimmed(wal, { retentionBytes: 0 });
    assert.deepEqual(firsts(wal), [101, 101]);
  });

  it('nothing beyond the checkpoint position is trimmed', async () => {
    const { wal } = await filled();
    assert.equal(await trimmed(wal, { checkpointPosition: () => at(12, 0) }), 10);
    assert.deepEqual(firsts(wal), [11, 1], 'whole batches');
    assert.equal(await trimmed(wal, { checkpointPosition: () => new Map() }), 0);
  });

  it('nothing is trimmed that no other region reports now; one that is behind or down is not waited for', async () => {
    const { wal } = await filled();
    const peers = new Polled(2);
    assert.equal(await trimmed(wal, { peers }), 0, 'nobody has reported');
    peers.report('eu-west', at(100, 100), { reachable: false });
    assert.equal(await trimmed(wal, { peers }), 0, 'a report of a poll before');
    peers.report('eu-west', at(0, 30));
    peers.report('ap-south', at(20, 0));
    assert.equal(await trimmed(wal, { peers }), 50, 'the one that lacks it is not waited for');
    assert.deepEqual(firsts(wal), [21, 31]);
  });

  it('nothing is trimmed that a region fetching a snapshot will ask for', async () => {
    const { wal } = await filled();
    assert.equal(await trimmed(wal, { needed: () => at(0, 0) }), 0);
    assert.equal(await trimmed(wal, { needed: () => at(50, 10) }), 60);
    assert.deepEqual(firsts(wal), [51, 11]);
  });

  it('a full disk is tried again, another failure ends the process', async () => {
    const { wal, store } = await filled();
    store.failNext('storage_full');
    assert.equal(await trimmed(wal, {}), 200);
    const other = await filled();
    other.store.failNext('storage_failed');
    const fatal: unknown[] = [];
    await trimmed(other.wal, { onFatal: (error) => fatal.push(error) });
    assert.equal((fatal[0] as { code?: string }).code, 'storage_failed');
  });
});
