/**
 * Whether the disk accepts writes, by the result of the last commit. A full disk only shows at a commit, and a leader without
 * writes would never notice free space; so while it is full a row is rewritten now and then.
 */
import { Refusal } from '../../../shared/errors/errors.ts';
import type { Clock } from '../../../shared/kernel/kernel.ts';
import { type Repetition, repeat } from '../../../shared/kernel/repeat.ts';
import { isStorageFull } from '../storage-fault/storage-fault.ts';
import type { Store } from './store.ts';

const PROBE_MS = 5_000;

export interface DiskSpaceWatchOptions {
  readonly clock: Clock;
  /** Named in the refusal. */
  readonly region: string;
  readonly store: Store;
  /** The store failed: the process must end. */
  readonly onFatal: (error: unknown) => void;
}

export class DiskSpaceWatch {
  /** The store it was given, watched. */
  readonly store: Store;
  private readonly options: DiskSpaceWatchOptions;
  private isFull = false;
  private loop: Repetition | undefined;

  constructor(options: DiskSpaceWatchOptions) {
    const { store } = options;
    this.options = options;
    this.store = {
      get: (table, key) => store.get(table, key),
      range: (table, range) => store.range(table, range),
      commit: (work) => this.noting(store.commit(work)),
      sizes: () => store.sizes(),
      count: (table) => store.count(table),
      bytes: (table) => store.bytes(table),
      close: () => store.close(),
    };
  }

  /** Why a write would be refused: the last commit found the disk full. Writes are still tried, because small ones may fit. */
  get refusal(): Refusal | undefined {
    if (!this.isFull) return undefined;
    return new Refusal('storage_full', `the disk of ${this.options.region} is full`);
  }

  start(): void {
    this.loop ??= repeat({ clock: this.options.clock, pauseMs: PROBE_MS, action: () => this.probe() });
  }

  async stop(): Promise<void> {
    await this.loop?.stop();
  }

  private async noting(commit: Promise<void>): Promise<void> {
    try {
      await commit;
      this.isFull = false;
    } catch (error) {
      if (isStorageFull(error)) this.isFull = true;
      throw error;
    }
  }

  /** The row of the region's name, unchanged: nothing changes, but the store has to allocate pages for it. */
  private async probe(): Promise<void> {
    if (!this.isFull) return;
    try {
      await this.store.commit((transaction) => {
        const row = transaction.get('marks', 'region');
        if (row !== undefined) transaction.put('marks', 'region', row);
      });
    } catch (error) {
      if (!isStorageFull(error)) this.options.onFatal(error);
    }
  }
}
