/**
 * Fills filter index and text index with every live item after a start. Both are functions of the items alone, and indexing one
 * item after another takes longer than the rest of the start. So many items are indexed by threads in the background
 * (`rebuild/rebuild.ts`), whose results are adopted here; few are indexed at once. Until `complete`, reads of these indexes are
 * refused (`not_ready`): an answer is complete or refused.
 *
 * Changes by `apply` before the adoption are recorded: the entity, and the values of the item when the registers were read. After
 * it these items are indexed, in slices of the event loop, and so are those that change meanwhile, until none is left.
 *
 * If a thread has died, or none was started, the items are indexed one after another, in slices, while `apply` indexes changes as
 * usual. An item may then be indexed twice, which has no further effect: each time the present item of the catalog is used.
 *
 * If an index fails on an item, neither the process nor the other parts stop: its register is stored, and ledger and log do not
 * depend on words and filters. The indexes then count as failed, with a reason that names the item; they are neither updated nor
 * read until the next start, which rebuilds them from the items of that time.
 *
 * What a crash leaves: nothing; the next start begins anew.
 */
import { messageOf } from '../../../shared/errors/errors.ts';
import type { Clock, Timer } from '../../../shared/kernel/kernel.ts';
import type { Turns } from '../../../shared/kernel/turns.ts';
import type { Log } from '../../../shared/observe/log.ts';
import type { Metadata } from '../../../shared/protocol/events.ts';
import type { Rebuild, Rebuilt } from '../rebuild/rebuild.ts';
import type { CatalogWriter, Item } from '../state/catalog/catalog.ts';
import type { AdoptsFilterIndex, FilterIndex } from '../state/filter-index/filter-index.ts';
import type { AdoptsText, TextIndex } from '../state/text/text.ts';

/** Number of items that are indexed before the region serves, if no thread builds. */
const FIRST_ITEMS = 5_000;
/** Duration of a slice, and of the pause after it. */
const SLICE_MS = 5;
const PAUSE_MS = 1;
/** Items between two checks of the clock. */
const LOOK_EVERY = 32;

export type UpdatesFilterIndex = Pick<FilterIndex, 'put' | 'remove'>;
export type UpdatesText = Pick<TextIndex, 'put' | 'remove'>;

export interface ItemIndexingOptions {
  /** Absent: turns are not watched. */
  readonly turns?: Turns | undefined;
  readonly clock: Clock;
  readonly log: Log;
  readonly catalog: Pick<CatalogWriter, 'items' | 'item' | 'size' | 'takeBack'>;
  readonly filterIndex: UpdatesFilterIndex & AdoptsFilterIndex;
  readonly text: UpdatesText & AdoptsText;
  /** Has received all live items, with their ordinals. */
  readonly building?: { readonly rebuild: Rebuild; readonly ordinals: Int32Array } | undefined;
  /** Items that were indexed at once. */
  readonly firstItems?: number;
}

export class ItemIndexing {
  private readonly options: ItemIndexingOptions;
  private readonly startMs: number;
  private left: Iterator<Item> | undefined;
  private walked = 0;
  /** Items that were indexed one by one: all, or those that changed while threads built. */
  private singly = 0;
  private timer: Timer | undefined;
  private stopped = false;
  private rebuild: Rebuild | undefined;
  /**
   * Items that changed since the registers were read and are not indexed: their values then, undefined if the item was not live.
   */
  private readonly noted = new Map<number, Metadata | undefined>();
  /** True once every live item is indexed. */
  complete = false;
  /** Why the indexes cannot be read until the next start; undefined if they can, once they are complete. */
  failed: string | undefined;

  /** Receives the changes from `apply` instead of filter index and text index. */
  readonly filterIndex: UpdatesFilterIndex = {
    put: (entity, metadata, former) => {
      if (this.rebuild !== undefined) this.note(entity, former);
      else this.tell(entity, () => this.options.filterIndex.put(entity, metadata, former));
    },
    remove: (entity, former) => {
      if (this.rebuild !== undefined) this.note(entity, former);
      else this.tell(entity, () => this.options.filterIndex.remove(entity, former));
    },
  };
  readonly text: UpdatesText = {
    put: (entity, metadata) => {
      if (this.rebuild === undefined) this.tell(entity, () => this.options.text.put(entity, metadata));
    },
    remove: (entity) => {
      if (this.rebuild === undefined) this.tell(entity, () => this.options.text.remove(entity));
    },
  };

  /** Indexes the first items if no thread builds. */
  constructor(options: ItemIndexingOptions) {
    this.options = options;
    this.startMs = options.clock.monotonicMs();
    const { building, firstItems = FIRST_ITEMS } = options;
    if (building === undefined) {
      this.walk();
      while (!this.over && this.walked < firstItems) this.tellNext();
      return;
    }
    const { rebuild, ordinals } = building;
    this.rebuild = rebuild;
    rebuild.finish(ordinals).then(
      (rebuilt) => this.adopt(rebuilt),
      (error: unknown) => this.goOnAlone(error),
    );
  }

  /** Number of items indexed so far. */
  get indexed(): number {
    return this.rebuild?.indexed ?? this.walked;
  }

  /** Starts to index the other items. */
  start(): void {
    if (this.left !== undefined && !this.over) this.slice(() => this.tellNext());
  }

  async stop(): Promise<void> {
    this.stopped = true;
    this.timer?.cancel();
    await this.rebuild?.end();
  }

  private get over(): boolean {
    return this.complete || this.failed !== undefined;
  }

  /** Indexes an item. If one of the indexes throws, the item is indexed in part, and the indexes can no longer be used. */
  private tell(entity: number | undefined, work: () => void): void {
    if (this.failed !== undefined) return;
    try {
      work();
    } catch (error) {
      const what = entity === undefined ? 'what was built of the items' : `the item ${entity}`;
      this.failed = `filters and search are not available: the indexes cannot take ${what}: ${messageOf(error)}`;
      this.options.log.error('index failed, filters and search refused until the next start', {
        ...{ entity, error },
      });
      this.noted.clear();
      if (this.rebuild !== undefined) this.endRebuild();
    }
  }

  private note(entity: number, former: Metadata | undefined): void {
    if (!this.noted.has(entity)) this.noted.set(entity, former);
  }

  private adopt({ text, filterIndex }: Rebuilt): void {
    if (this.stopped) return;
    const { turns } = this.options;
    turns?.mark('indexing');
    this.tell(undefined, () => this.options.text.adopt(text));
    // Either takes some milliseconds.
    this.timer = this.options.clock.after(PAUSE_MS, () => {
      turns?.mark('indexing');
      this.tell(undefined, () => this.options.filterIndex.adopt(filterIndex, (entity) => this.noted.get(entity)));
      if (!this.over) this.slice(() => this.tellNoted());
    });
  }

  private goOnAlone(error: unknown): void {
    if (this.stopped) return;
    this.options.log.error('index rebuild failed, indexing items one by one', {
      error: messageOf(error),
    });
    this.endRebuild();
    this.noted.clear();
    this.walk();
    this.start();
  }

  private endRebuild(): void {
    const { catalog } = this.options;
    void this.rebuild?.end().then(() => catalog.takeBack());
    this.rebuild = undefined;
  }

  private walk(): void {
    this.left = this.options.catalog.items()[Symbol.iterator]();
  }

  private slice(tellOne: () => void): void {
    const { clock, log, catalog, turns } = this.options;
    turns?.mark('indexing');
    const endMs = clock.monotonicMs() + SLICE_MS;
    do {
      for (let count = 0; count < LOOK_EVERY && !this.over; count++) tellOne();
    } while (!this.over && clock.monotonicMs() < endMs);
    if (this.complete) {
      const took_ms = Math.round(clock.monotonicMs() - this.startMs);
      log.info('filters and search ready', { items: catalog.size, one_by_one: this.singly, took_ms });
    } else if (this.failed === undefined) {
      this.timer = clock.after(PAUSE_MS, () => this.slice(tellOne));
    }
  }

  private tellNext(): void {
    const next = this.left!.next();
    if (next.done === true) {
      this.complete = true;
      return;
    }
    const { filterIndex, text } = this.options;
    const { entity, metadata } = next.value;
    this.tell(entity, () => {
      filterIndex.put(entity, metadata, undefined);
      text.put(entity, metadata);
    });
    this.walked++;
    this.singly++;
  }

  /** Indexes the next changed item, as the catalog has it now. */
  private tellNoted(): void {
    const { catalog, filterIndex, text } = this.options;
    for (const [entity, former] of this.noted) {
      const item = catalog.item(entity);
      this.tell(entity, () => {
        if (item === undefined) {
          filterIndex.remove(entity, former);
          text.remove(entity);
        } else {
          filterIndex.put(entity, item.metadata, former);
          text.put(entity, item.metadata);
        }
      });
      this.noted.delete(entity);
      this.singly++;
      return;
    }
    this.endRebuild();
    this.complete = true;
  }
}
