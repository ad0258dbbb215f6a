/**
 * Restores damaged batches of the log from peers, in a region that runs.
 *
 * A read or a trim that meets a damaged batch reports it, and stops before it: it is neither served nor shipped nor removed. It is
 * then fetched from each peer in turn, and written back if it is the very batch that was there (`wal/damaged-rows.ts`). While no
 * peer has it, it is asked for again every {@link AGAIN_MS}. While a drill partitions the region no peer is asked.
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
  readonly partitioned: () => boolean;
  /** Once it is aborted nothing more is restored, and the answer of a peer that was asked is not waited for. */
  readonly signal: AbortSignal;
}

export function restoredCounter(metrics: Metrics): Restored {
  return metrics.counter({
    name: 'tidal_restored_batches_total',
    help: 'Damaged batches of the log that were written back from a peer.',
  });
}

/**
 * `damaged` are in log order, and so are those that it returns: the ones that are not restored. Throws `Fault('storage_full')`, or
 * `Fault('storage_failed')` if the store failed: the process must end.
 */
export async function restoreBatches(options: RestoreOptions, damaged: readonly BatchRange[]): Promise<BatchRange[]> {
  const left: BatchRange[] = [];
  // The proof of a batch is in its successor.
  for (const range of [...damaged].reverse()) if (!(await restore(options, range))) left.unshift(range);
  return left;
}

async function restore(options: RestoreOptions, range: BatchRange): Promise<boolean> {
  const { log, wal, links, restored, partitioned, signal } = options;
  const batch = nameOf(range);
  for (const link of links) {
    if (signal.aborted || partitioned()) return false;
    const answer = await unlessAborted(signal, ask(link, range));
    if (signal.aborted || partitioned()) return false;
    const flaw = answer instanceof Uint8Array ? await wal.restoreBatch(range, answer) : answer;
    if (flaw === undefined) {
      restored.inc();
      log.warn('damaged batch restored from peer', { batch, peer: link.region });
      return true;
    }
    log.warn('damaged batch not restored from peer', { batch, peer: link.region, error: flaw });
  }
  return false;
}

/** The batch that the peer has there, or why it gives none. */
async function ask(link: Pick<PeerLink, 'log'>, { origin, first }: BatchRange): Promise<Uint8Array | string> {
  try {
    const [bytes] = splitMessage(await link.log(origin, first));
    return bytes ?? 'it does not have it';
  } catch (error) {
    return messageOf(error);
  }
}

/** The promise's value; undefined as soon as the signal is aborted. The promise never rejects. */
function unlessAborted<T>(signal: AbortSignal, promise: Promise<T>): Promise<T | undefined> {
  return new Promise((resolve) => {
    const end = (value: T | undefined): void => {
      signal.removeEventListener('abort', aborted);
      resolve(value);
    };
    const aborted = (): void => end(undefined);
    if (signal.aborted) return resolve(undefined);
    signal.addEventListener('abort', aborted, { once: true });
    void promise.then(end);
  });
}

export interface BatchRestorerOptions extends Omit<RestoreOptions, 'wal' | 'restored' | 'signal'> {
  readonly clock: Clock;
  readonly metrics: Metrics;
  readonly wal: Pick<Wal, 'restoreBatch' | 'damagedBatches' | 'onDamaged'>;
  /** The store failed: the process must end. */
  readonly onFatal: (error: unknown) => void;
}

type BatchStart = Pick<BatchRange, 'origin' | 'first'>;

export class BatchRestorer {
  private readonly options: BatchRestorerOptions;
  private readonly restored: Restored;
  private readonly wake: Condition;
  /** Found and not restored yet, by name. */
  private readonly damaged = new Map<string, BatchStart>();
  private changed = false;
  private readonly stopping = new AbortController();
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
      options.log.error('damaged batch found', { batch: name, error: message });
      this.changed = true;
      this.wake.notify();
    });
  }

  start(): void {
    this.loop = this.run();
  }

  async stop(): Promise<void> {
    this.stopping.abort();
    this.wake.notify();
    await this.loop;
  }

  private async run(): Promise<void> {
    const { signal } = this.stopping;
    while (!signal.aborted) {
      const limitMs = this.damaged.size === 0 ? 60_000 : AGAIN_MS;
      await this.wake.until(() => signal.aborted || this.changed, limitMs);
      this.changed = false;
      for (const [name, from] of [...this.damaged]) {
        if (signal.aborted || this.options.partitioned()) break;
        // It may have been restored with one before it.
        if (this.damaged.has(name)) await this.restore(from);
      }
    }
  }

  /** The batch, and the damaged ones that follow it: without these it cannot be restored. */
  private async restore(from: BatchStart): Promise<void> {
    const { log, wal, onFatal } = this.options;
    const { signal } = this.stopping;
    try {
      const found = await wal.damagedBatches({ ...this.options, from, signal });
      if (signal.aborted) return;
      for (const range of found) {
        if (!this.damaged.has(nameOf(range))) log.error('damaged batch found', { batch: nameOf(range) });
        this.damaged.set(nameOf(range), range);
      }
      const left = await restoreBatches({ ...this.options, restored: this.restored, signal }, found);
      for (const range of [from, ...found]) this.damaged.delete(nameOf(range));
      for (const range of left) this.damaged.set(nameOf(range), range);
    } catch (error) {
      if (!isStorageFull(error)) onFatal(error);
    }
  }
}

/** A text, so that the log has a line for each (`shared/observe/log.ts`). */
function nameOf({ origin, first }: BatchStart): string {
  return `${origin}:${first}`;
}
