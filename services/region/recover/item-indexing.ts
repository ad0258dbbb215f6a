/**
 * Fills filter index and text index with every live item after a start. Both are functions of the items alone, and indexing one
 * item after another takes longer than the rest of the start. So many items are indexed by threads in the background
 * (`rebuild/rebuild.ts`), whose results are adopted here; few are indexed at once. Until `complete`, reads of these indexes are
 * refused (`not_ready`): an answer is complete or refused.
 *
 * The changes that are applied before the adoption wait in the index queue, and are indexed after it. If a thread has died, or none
 * was started, the index queue indexes the items one after another, in slices. An item may then be indexed twice, which has no
 * further effect: each time the present item of the catalog is used.
 */
import { messageOf } from '../../../shared/errors/errors.ts';
import type { Clock, Timer } from '../../../shared/kernel/kernel.ts';
import type { Turns } from '../../../shared/kernel/turns.ts';
import type { Log } from '../../../shared/observe/log.ts';
import type { IndexQueue } from '../index-queue/index-queue.ts';
import type { Rebuild, Rebuilt } from '../rebuild/rebuild.ts';
import type { CatalogWriter, ItemChange } from '../state/catalog/catalog.ts';
import type { AdoptsFilterIndex } from '../state/filter-index/filter-index.ts';
import type { AdoptsText } from '../state/text/text.ts';

/** Number of items that are indexed before the region serves, if no thread builds. */
const FIRST_ITEMS = 5_000;
const PAUSE_MS = 1;

export interface ItemIndexingOptions {
  /** Absent: turns are not watched. */
  readonly turns?: Turns | undefined;
  readonly clock: Clock;
  readonly log: Log;
  readonly catalog: Pick<CatalogWriter, 'items' | 'size' | 'takeBack'>;
  readonly queue: IndexQueue;
  readonly filterIndex: AdoptsFilterIndex;
  readonly text: AdoptsText;
  /** Has received all live items, with their ordinals. */
  readonly building?: { readonly rebuild: Rebuild; readonly ordinals: Int32Array } | undefined;
  /** Items that were indexed at once. */
  readonly firstItems?: number;
}

export class ItemIndexing {
  private readonly options: ItemIndexingOptions;
  private readonly startMs: number;
  private timer: Timer | undefined;
  private stopped = false;
  private rebuild: Rebuild | undefined;
  /** True once every live item was indexed. Later changes may wait in the index queue. */
  complete = false;

  /** Indexes the first items if no thread builds. */
  constructor(options: ItemIndexingOptions) {
    this.options = options;
    this.startMs = options.clock.monotonicMs();
    const { building, queue, firstItems = FIRST_ITEMS } = options;
    if (building === undefined) {
      this.walk();
      queue.step(() => queue.indexed >= firstItems);
      this.completeLater();
      return;
    }
    const { rebuild, ordinals } = building;
    this.rebuild = rebuild;
    queue.pause();
    rebuild.finish(ordinals).then(
      (rebuilt) => this.adopt(rebuilt),
      (error: unknown) => this.goOnAlone(error),
    );
  }

  /** Why the indexes cannot be read until the next start; undefined if they can, once they are complete. */
  get failed(): string | undefined {
    return this.options.queue.failed;
  }

  /** Number of items indexed so far. */
  get indexed(): number {
    return this.rebuild?.indexed ?? this.options.queue.indexed;
  }

  /** Starts to index the other items. */
  start(): void {
    this.options.queue.wake();
  }

  async stop(): Promise<void> {
    this.stopped = true;
    this.timer?.cancel();
    this.options.queue.stop();
    await this.rebuild?.end();
  }

  private adopt({ text, filterIndex }: Rebuilt): void {
    if (this.stopped) return;
    this.take(() => this.options.text.adopt(text));
    // Either takes some milliseconds.
    this.timer = this.options.clock.after(PAUSE_MS, () => {
      this.take(() => this.options.filterIndex.adopt(filterIndex));
      this.endRebuild();
      this.options.queue.resume();
      this.completeLater();
    });
  }

  private take(adopt: () => void): void {
    const { turns, queue } = this.options;
    turns?.mark('indexing');
    if (queue.failed !== undefined) return;
    try {
      adopt();
    } catch (error) {
      queue.fail('what was built of the items', error);
    }
  }

  private goOnAlone(error: unknown): void {
    if (this.stopped) return;
    this.options.log.error('index rebuild failed, indexing items one by one', {
      error: messageOf(error),
    });
    this.endRebuild();
    this.walk();
    this.options.queue.resume();
    this.completeLater();
  }

  private endRebuild(): void {
    const { catalog } = this.options;
    void this.rebuild?.end().then(() => catalog.takeBack());
    this.rebuild = undefined;
  }

  private walk(): void {
    const { catalog, queue } = this.options;
    queue.fill(allOf(catalog));
  }

  private completeLater(): void {
    const { queue, log, catalog, clock } = this.options;
    queue.whenCurrent(() => {
      if (queue.failed !== undefined) return;
      this.complete = true;
      const took_ms = Math.round(clock.monotonicMs() - this.startMs);
      log.info('filters and search ready', { items: catalog.size, one_by_one: queue.indexed, took_ms });
    });
  }
}

function* allOf(catalog: Pick<CatalogWriter, 'items'>): Generator<ItemChange> {
  for (const { entity, metadata } of catalog.items()) yield { entity, former: undefined, present: metadata };
}
