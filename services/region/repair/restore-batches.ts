/**
 * Restores damaged batches of the log from peers, in a region that runs.
 *
 * A read or a trim that meets a damaged batch reports it, and stops before it: it is neither served nor shipped nor removed. It is
 * then fetched from each peer in turn, and written back if it is the very batch that was there (`wal/damaged-rows.ts`). While no
 * peer has it, it is asked for again every {@link AGAIN_MS}.
 *
 * What a crash leaves: the damaged batch, or the restored one.
 */
import { messageOf } from '../../../shared/errors/errors.ts';
import type { Clock } from '../../../shared/kernel/kernel.ts';
import type { Log } from '../../../shared/observe/log.ts';
import type { Metrics } from '../../../shared/observe/metrics.ts';
import { splitMessage } from '../batch/batch.ts';
import { Condition } from '../condition/condition.ts';
import type { PeerLink } from '../peers/peers.ts';
import { isStorageFull } from '../storage-fault/storage-fault.ts';
import type { BatchRange, Wal } from '../wal/wal.ts';

const AGAIN_MS = 10_000;

/** The counter of restored batches. */
export interface Restored {
  inc(): void;
}

export interface RestoreOptions {
  readonly log: Log;
  readonly wal: Pick<Wal, 'restoreBatch'>;
  readonly links: readonly Pick<PeerLink, 'region' | 'log'>[];
  readonly restored: Restored;
}

export function restoredCounter(metrics: Metrics): Restored {
  return metrics.counter({
    name: 'tidal_restored_batches_total',
    help: 'Damaged batches of the log that were written back from a peer.',
  });
}

/** Returns those that no peer could give. Throws `Fault('storage_failed')` if the store failed: the process must end. */
export async function restoreBatches(options: RestoreOptions, damaged: readonly BatchRange[]): Promise<BatchRange[]> {
  const left: BatchRange[] = [];
  // The proof of a batch is in its successor.
  for (const range of [...damaged].reverse()) if (!(await restore(options, range))) left.push(range);
  return left;
}

async function restore({ log, wal, links, restored }: RestoreOptions, range: BatchRange): Promise<boolean> {
  for (const link of links) {
    let flaw: string | undefined;
    try {
      const [bytes] = splitMessage(await link.log(range.origin, range.first));
      flaw = bytes === undefined ? 'it does not have it' : await wal.restoreBatch(range, bytes);
    } catch (error) {
      if ((error as { code?: unknown }).code === 'storage_failed') throw error;
      flaw = messageOf(error);
    }
    if (flaw === undefined) {
      restored.inc();
      log.warn('damaged batch restored from peer', { ...range, peer: link.region });
      return true;
    }
    log.warn('damaged batch not restored from peer', { ...range, peer: link.region, error: flaw });
  }
  return false;
}

export interface BatchRestorerOptions extends Omit<RestoreOptions, 'wal' | 'restored'> {
  readonly clock: Clock;
  readonly metrics: Metrics;
  readonly wal: Pick<Wal, 'restoreBatch' | 'damagedBatches' | 'onDamaged'>;
  readonly partitioned: () => boolean;
  /** The store failed: the process must end. */
  readonly onFatal: (error: unknown) => void;
}

export class BatchRestorer {
  private readonly options: BatchRestorerOptions;
  private readonly restored: Restored;
  private readonly wake: Condition;
  /** Reported and not restored yet, by origin and first sequence. */
  private readonly damaged = new Map<string, { readonly origin: string; readonly first: number }>();
  private changed = false;
  private stopping = false;
  private loop: Promise<void> = Promise.resolve();

  constructor(options: BatchRestorerOptions) {
    this.options = options;
    this.wake = new Condition(options.clock);
    this.restored = restoredCounter(options.metrics);
    options.metrics.gauge({
      name: 'tidal_damaged_batches',
      help: 'Batches of the log that were found damaged and are not restored.',
      read: () => this.damaged.size,
    });
    options.wal.onDamaged(({ key, message }) => {
      const name = String(key);
      if (this.damaged.has(name)) return;
      const colon = name.lastIndexOf(':');
      this.damaged.set(name, { origin: name.slice(0, colon), first: Number(name.slice(colon + 1)) });
      options.log.error('damaged batch found', { error: message });
      this.changed = true;
      this.wake.notify();
    });
  }

  start(): void {
    this.loop = this.run();
  }

  async stop(): Promise<void> {
    this.stopping = true;
    this.wake.notify();
    await this.loop;
  }

  private async run(): Promise<void> {
    while (!this.stopping) {
      const limitMs = this.damaged.size === 0 ? 60_000 : AGAIN_MS;
      await this.wake.until(() => this.stopping || this.changed, limitMs);
      this.changed = false;
      if (this.stopping || this.options.partitioned()) continue;
      for (const [name, from] of this.damaged) await this.restore(name, from);
    }
  }

  private async restore(name: string, from: { readonly origin: string; readonly first: number }): Promise<void> {
    const { wal, onFatal } = this.options;
    try {
      const left = await restoreBatches({ ...this.options, restored: this.restored }, wal.damagedBatches(from));
      if (left.length === 0) this.damaged.delete(name);
    } catch (error) {
      if (!isStorageFull(error)) onFatal(error);
    }
  }
}
