/**
 * Brings filter index and text index up to date with the catalog, beside the writes: `apply` changes registers and ledger, and the
 * items that changed wait in the catalog (`Unindexed`) until they are indexed here, in slices of the event loop, also within one
 * item. So no batch, however large its items, holds up a turn.
 *
 * A read that needs these indexes waits until everything that was applied is indexed ({@link IndexQueue.require}), and indexes it
 * itself in its own slices, besides those that run without any read. So a search sees every write that was applied before it. What
 * needs only registers and ledger does not wait. A text search that takes several turns holds the indexes as they are
 * ({@link IndexRead}); reads that begin later wait for it if items wait.
 *
 * If more than {@link FULL_BYTES} wait, no further batch is applied until it is less.
 *
 * If an index fails on an item, neither the process nor the other parts stop: its register is stored, and ledger and log do not
 * depend on words and filters. The indexes then count as failed, with a reason that names the item; they are neither updated nor
 * read until the next start, which rebuilds them from the items of that time.
 *
 * What a crash leaves: nothing; the next start builds the indexes of all live items.
 */
import { messageOf } from '../../../shared/errors/errors.ts';
import type { Clock } from '../../../shared/kernel/kernel.ts';
import type { Steps } from '../../../shared/kernel/steps.ts';
import type { Turns } from '../../../shared/kernel/turns.ts';
import type { Log } from '../../../shared/observe/log.ts';
import type { Metrics } from '../../../shared/observe/metrics.ts';
import { Unfinished, type Work } from '../read-queue/read-queue.ts';
import type { ItemChange, Unindexed } from '../state/catalog/catalog.ts';
import type { FilterIndex } from '../state/filter-index/filter-index.ts';
import type { RunSteps, TextIndex } from '../state/text/text.ts';

/** A part of a read, computed in slices. */
class Part implements Work {
  private readonly queue: IndexQueue;
  private readonly steps: Steps<unknown>;
  private isDone = false;
  value: unknown;

  constructor(queue: IndexQueue, steps: Steps<unknown>) {
    this.queue = queue;
    this.steps = steps;
  }

  step(over: () => boolean): boolean {
    while (!this.isDone) {
      const { value, done } = this.steps.next();
      if (done === true) {
        this.isDone = true;
        this.value = value;
      } else if (over()) return false;
    }
    return true;
  }

  isUrgent(): boolean {
    return !this.queue.isCurrent;
  }
}

/**
 * A read of filter index and text index that may take several turns: from its first slice to its end they do not change, and what is
 * applied meanwhile waits.
 */
export class IndexRead {
  private readonly options: {
    readonly queue: IndexQueue;
    readonly over: () => boolean;
    /** What is applied now. */
    readonly position: () => string;
  };
  private readonly parts = new Map<string, Part>();
  /** What was applied when the indexes were last changed; undefined: they are those of this turn. */
  position: string | undefined;

  constructor(options: IndexRead['options']) {
    this.options = options;
  }

  /** Throws `Unfinished` before the first slice while items that were applied are not indexed. */
  begin(): void {
    if (this.position === undefined) this.options.queue.require();
  }

  readonly run: RunSteps = <T>(id: string, begin: () => Steps<T>): T => {
    const { queue, over, position } = this.options;
    let part = this.parts.get(id);
    if (part === undefined) {
      part = new Part(queue, begin());
      this.parts.set(id, part);
    }
    if (part.step(over)) return part.value as T;
    if (this.position === undefined) {
      this.position = position();
      queue.hold();
    }
    throw new Unfinished(part);
  };

  end(): void {
    if (this.position !== undefined) this.options.queue.release();
    this.position = undefined;
  }
}

/** Limit of a turn, ms. */
const SLICE_MS = 2;
/** Bytes of metadata, present and former, of the items that wait. */
export const FULL_BYTES = 4 * 1024 * 1024;

export interface IndexQueueOptions {
  /** Absent: turns are not watched. */
  readonly turns?: Turns | undefined;
  readonly clock: Clock;
  readonly log: Log;
  /** Absent: nothing is shown of it. */
  readonly metrics?: Metrics | undefined;
  readonly unindexed: Unindexed;
  readonly filterIndex: Pick<FilterIndex, 'putting' | 'removing'>;
  readonly text: Pick<TextIndex, 'putting' | 'removing'>;
  /** Runs the action in the next turn of the event loop. */
  readonly nextTurn: (action: () => void) => void;
}

export class IndexQueue implements Work {
  private readonly options: IndexQueueOptions;
  /** The item that is being indexed. */
  private current: { readonly entity: number; readonly steps: Steps } | undefined;
  /** Items that were not indexed yet because the indexes are empty; undefined: there are none. */
  private filling: Iterator<ItemChange> | undefined;
  private paused = false;
  /** Reads during which nothing may be indexed. */
  private holds = 0;
  private turning = false;
  private stopped = false;
  /** When the first of the waiting items began to wait; undefined: none waits. */
  private sinceMs: number | undefined;
  private waiters: (() => void)[] = [];
  private onCurrent: (() => void)[] = [];
  /** Items indexed since the start. */
  indexed = 0;
  /** Why the indexes cannot be read until the next start. */
  failed: string | undefined;

  constructor(options: IndexQueueOptions) {
    this.options = options;
    const { metrics, clock, unindexed } = options;
    metrics?.gauge({
      name: 'tidal_index_queue_items',
      help: 'Applied changes of items that filters and search do not have yet.',
      read: () => unindexed.size + Number(this.current !== undefined),
    });
    metrics?.gauge({
      name: 'tidal_index_queue_bytes',
      help: 'Metadata of the items that wait to be indexed, in bytes.',
      read: () => unindexed.bytes,
    });
    metrics?.gauge({
      name: 'tidal_index_queue_age_seconds',
      help: 'Time since filters and search had everything that was applied, in seconds.',
      read: () => (this.sinceMs === undefined ? 0 : (clock.monotonicMs() - this.sinceMs) / 1_000),
    });
  }

  /** Whether everything that was applied is indexed. */
  get isCurrent(): boolean {
    return this.current === undefined && this.filling === undefined && this.options.unindexed.size === 0;
  }

  /** Returns if everything that was applied is indexed; otherwise throws `Unfinished`, for a read of the read queue. */
  require(): void {
    if (!this.isCurrent) throw new Unfinished(this);
  }

  /** Runs the action once everything that was applied is indexed, now if it is. */
  whenCurrent(action: () => void): void {
    if (this.isCurrent) action();
    else this.onCurrent.push(action);
  }

  /** Called when items may have changed. */
  wake(): void {
    if (this.failed !== undefined) this.drop();
    if (this.isCurrent || this.stopped) return;
    this.sinceMs ??= this.options.clock.monotonicMs();
    if (this.turning || this.paused || this.holds > 0) return;
    this.turning = true;
    this.options.nextTurn(() => this.turn());
  }

  /** Resolves once another batch may be applied. */
  room(): Promise<void> {
    if (!this.isFull) return Promise.resolve();
    return new Promise((resolve) => this.waiters.push(resolve));
  }

  /** Indexes nothing until {@link resume}; batches are applied meanwhile, whatever waits. */
  pause(): void {
    this.paused = true;
  }

  resume(): void {
    this.paused = false;
    this.wake();
  }

  /** Indexes nothing until the same number of {@link release}. Reads that come later wait if anything waits to be indexed. */
  hold(): void {
    this.holds++;
  }

  release(): void {
    this.holds--;
    this.wake();
  }

  isBlocked(): boolean {
    return this.holds > 0;
  }

  /** Indexes these items, that the indexes do not have, after the changed ones. */
  fill(items: Iterable<ItemChange>): void {
    this.filling = items[Symbol.iterator]();
  }

  stop(): void {
    this.stopped = true;
    this.admit();
  }

  /** Indexes until nothing waits (true) or `over`. */
  step(over: () => boolean): boolean {
    if (this.paused || this.holds > 0) return this.isCurrent;
    for (;;) {
      if (this.current === undefined) {
        const change = this.next();
        if (change === undefined) break;
        this.current = { entity: change.entity, steps: this.stepsOf(change) };
      }
      this.go(this.current);
      if (over()) break;
    }
    if (!this.isFull) this.admit();
    if (!this.isCurrent) return false;
    this.sinceMs = undefined;
    for (const action of this.onCurrent.splice(0)) action();
    return true;
  }

  /** Nothing is indexed from now on, and nothing of it may be read. */
  fail(what: string, error: unknown, entity?: number): void {
    this.failed = `filters and search are not available: the indexes cannot take ${what}: ${messageOf(error)}`;
    this.options.log.error('index failed, filters and search refused until the next start', { entity, error });
    this.current = undefined;
    this.filling = undefined;
    this.paused = false;
    this.drop();
    this.sinceMs = undefined;
    this.admit();
  }

  private go({ entity, steps }: { readonly entity: number; readonly steps: Steps }): void {
    try {
      if (steps.next().done !== true) return;
    } catch (error) {
      this.fail(`the item ${entity}`, error, entity);
      return;
    }
    this.current = undefined;
    this.indexed++;
  }

  private next(): ItemChange | undefined {
    const changed = this.options.unindexed.take();
    if (changed !== undefined || this.filling === undefined) return changed;
    const { value, done } = this.filling.next();
    if (done === true) {
      this.filling = undefined;
      return undefined;
    }
    return value;
  }

  private *stepsOf({ entity, former, present }: ItemChange): Steps {
    const { filterIndex, text } = this.options;
    if (present === undefined) {
      yield* filterIndex.removing(entity, former);
      yield* text.removing(entity);
    } else {
      yield* filterIndex.putting(entity, present, former);
      yield* text.putting(entity, present);
    }
  }

  private turn(): void {
    this.turning = false;
    if (this.stopped) return;
    const { clock, turns } = this.options;
    turns?.mark('indexing');
    const endMs = clock.monotonicMs() + SLICE_MS;
    this.step(() => clock.monotonicMs() >= endMs);
    this.wake();
  }

  private get isFull(): boolean {
    return !this.paused && !this.stopped && this.options.unindexed.bytes > FULL_BYTES;
  }

  private drop(): void {
    const { unindexed } = this.options;
    while (unindexed.take() !== undefined);
  }

  private admit(): void {
    if (this.waiters.length === 0) return;
    const { waiters } = this;
    this.waiters = [];
    for (const resume of waiters) resume();
  }
}
