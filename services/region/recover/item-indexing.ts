/**
 * Filter index and text index of every live item after a start. Both are made of the items alone, and to tell them one item after another
 * takes longer than everything else together. So where there are many a thread builds them beside the rest of the start
 * (`rebuild/rebuild.ts`), and here they are adopted; few are told at once. Until `complete` what reads these indexes is refused
 * (`not_ready`): an answer is whole or there is none.
 *
 * What `apply` changes until they are adopted is noted: the entity, and what the item had when the registers were read. Then the indexes
 * are told of it, in slices of the event loop, and of what was applied in between, until nothing is left.
 *
 * Where the thread is gone, or there never was one, the items are told in slices one after another, while `apply` tells of changes
 * as ever. An item may then be told twice, which is the same as once: each time it is the live item as the catalog has it.
 *
 * An item that an index cannot take ends neither the process nor what the indexes are beside: its register is stored, the ledger and
 * the log know nothing of words and filters. The indexes count as failed then, with a reason that names the item; nothing is told to
 * them or read of them any more until the next start, which builds them of the items as they are by then.
 *
 * What a crash leaves: nothing; the next start begins anew.
 */
import { messageOf } from '../../../shared/errors/errors.ts';
import type { Clock, Timer } from '../../../shared/kernel/kernel.ts';
import type { Log } from '../../../shared/observe/log.ts';
import type { Metadata } from '../../../shared/protocol/events.ts';
import type { Rebuild, Rebuilt } from '../rebuild/rebuild.ts';
import type { CatalogWriter, Item } from '../state/catalog/catalog.ts';
import type { AdoptsFilterIndex, FilterIndex } from '../state/filter-index/filter-index.ts';
import type { AdoptsText, TextIndex } from '../state/text/text.ts';

/** Told before the region serves, where no thread builds. */
const FIRST_ITEMS = 5_000;
/** How long a slice may hold up everything else, and how long it then leaves to it. */
const SLICE_MS = 5;
const PAUSE_MS = 1;
/** Items between two looks at the clock. */
const LOOK_EVERY = 32;

export type UpdatesFilterIndex = Pick<FilterIndex, 'put' | 'remove'>;
export type UpdatesText = Pick<TextIndex, 'put' | 'remove'>;

export interface ItemIndexingOptions {
  readonly clock: Clock;
  readonly log: Log;
  readonly catalog: Pick<CatalogWriter, 'items' | 'item' | 'size' | 'takeBack'>;
  readonly filterIndex: UpdatesFilterIndex & AdoptsFilterIndex;
  readonly text: UpdatesText & AdoptsText;
  /** Was told all live items, and their ordinals are here. */
  readonly building?: { readonly rebuild: Rebuild; readonly ordinals: Int32Array } | undefined;
  /** Of the items, those told at once. */
  readonly firstItems?: number;
}

export class ItemIndexing {
  private readonly options: ItemIndexingOptions;
  private readonly startMs: number;
  private left: Iterator<Item> | undefined;
  private walked = 0;
  /** Items that were told one by one, all or those that changed while threads built. */
  private singly = 0;
  private timer: Timer | undefined;
  private stopped = false;
  private rebuild: Rebuild | undefined;
  /** Changed since the registers were read, and not told: what the item had then, undefined where it was not live. */
  private readonly noted = new Map<number, Metadata | undefined>();
  /** Every live item was told. */
  complete = false;
  /** Why the indexes cannot be read until the next start; undefined: they can, once they are complete. */
  failed: string | undefined;

  /** What `apply` tells instead of filter index and text index. */
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

  /** Tells the first ones where no thread builds. */
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

  /** Items told so far. */
  get indexed(): number {
    return this.rebuild?.indexed ?? this.walked;
  }

  /** The others, from now on. */
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

  /** Tells the indexes of an item. What is half told when one of them throws is of no use, whatever comes after it. */
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
    this.tell(undefined, () => this.options.text.adopt(text));
    // Either takes some milliseconds.
    this.timer = this.options.clock.after(PAUSE_MS, () => {
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
    const { clock, log, catalog } = this.options;
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

  /** The next of what has changed meanwhile, as the catalog has it now. */
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
