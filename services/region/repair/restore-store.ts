/**
 * Restores the store of a region that does not start because of it: damaged batches from peers, then damaged registers from the log.
 *
 * The search and the registers take as long as the log is; peers are asked for {@link RESTORE_MS} only. A stop ends all of it at
 * once. A region that a drill partitions asks no peer: it waits for the drill's end, if that is due in time.
 *
 * What a crash leaves: some batches restored. The next start continues.
 */
import { type Clock, sleep } from '../../../shared/kernel/kernel.ts';
import { partitionedUntilMs } from '../partition/partition.ts';
import type { BatchRange, Wal } from '../wal/wal.ts';
import { type RestoreOptions, restoreBatches } from './restore-batches.ts';

/** Peers are asked for this long: they may be starting too. */
export const RESTORE_MS = 30_000;
const AGAIN_MS = 1_000;

export interface RestoreStoreOptions extends Pick<RestoreOptions, 'log' | 'links' | 'restored'> {
  readonly clock: Clock;
  readonly wal: Pick<Wal, 'mark' | 'damagedBatches' | 'restoreBatch' | 'restoreRegisters'>;
  /** The region stops. */
  readonly signal: AbortSignal;
}

/** Whether all of it is restored. Throws `Fault` if a row cannot be, or cannot be stored. */
export async function restoreStore(options: RestoreStoreOptions): Promise<boolean> {
  const { log, wal, signal } = options;
  const damaged = await wal.damagedBatches(options);
  if (signal.aborted || (await askPeers(options, damaged)) > 0) return false;
  const registers = await wal.restoreRegisters(options);
  if (registers === undefined) return false;
  if (registers > 0) log.warn('damaged registers restored from the log', { registers });
  return true;
}

/** Returns how many are left. */
async function askPeers(options: RestoreStoreOptions, damaged: readonly BatchRange[]): Promise<number> {
  const { log, clock, wal, links, signal: stopping } = options;
  const healMs = partitionedUntilMs(wal.mark('cut'));
  const partitioned = (): boolean => clock.nowMs() < healMs;
  const over = new AbortController();
  const end = (): void => over.abort();
  const { signal } = over;
  stopping.addEventListener('abort', end, { once: true });
  const timer = clock.after(RESTORE_MS, end);
  let left = damaged;
  try {
    for (;;) {
      left = await restoreBatches({ ...options, partitioned, signal }, left);
      if (left.length === 0 || links.length === 0 || healMs === Number.POSITIVE_INFINITY || signal.aborted) break;
      await sleep(clock, AGAIN_MS, signal);
    }
  } finally {
    timer.cancel();
    stopping.removeEventListener('abort', end);
  }
  if (damaged.length > 0) {
    const restored = damaged.length - left.length;
    log.warn('damaged batches restored from peers', { restored, left: left.length, partitioned: partitioned() });
  }
  return left.length;
}
