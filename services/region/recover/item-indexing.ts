/**
 * Telling facets and text index of every live item after a start. Both are made of the items alone and take longer to make than
 * everything else together, so only the first items are told before the region serves; the others follow in slices of the
 * event loop. Until `complete` what reads these indexes is refused (`not_ready`): an answer is whole or there is none.
 *
 * Meanwhile `apply` tells the indexes of what changes, as ever, so the walk may miss what is new. An item may be told twice,
 * which is the same as once: each time it is the live item as the catalog has it at that moment.
 *
 * What a crash leaves: nothing; the next start begins anew.
 */
import type { Clock, Timer } from '../../../shared/kernel/kernel.ts';
import type { Log } from '../../../shared/observe/log.ts';
import type { Catalog, Item } from '../state/catalog/catalog.ts';
import type { Facets } from '../state/facets/facets.ts';
import type { TextIndex } from '../state/text/text.ts';

/** Told before the region serves. */
const FIRST_ITEMS = 5_000;
/** How long a slice may hold up everything else, and how long it then leaves to it. */
const SLICE_MS = 5;
const PAUSE_MS = 1;
/** Items between two looks at the clock. */
const LOOK_EVERY = 32;

export interface ItemIndexingOptions {
  readonly clock: Clock;
  readonly log: Log;
  readonly catalog: Pick<Catalog, 'items'>;
  readonly facets: Pick<Facets, 'put'>;
  readonly text: Pick<TextIndex, 'put'>;
  /** Of the items, those told at once. */
  readonly firstItems?: number;
}

export class ItemIndexing {
  private readonly options: ItemIndexingOptions;
  private readonly left: Iterator<Item>;
  private readonly startMs: number;
  private timer: Timer | undefined;
  /** Every live item was told. */
  complete = false;
  /** Items told so far. */
  told = 0;

  /** Tells the first ones. */
  constructor(options: ItemIndexingOptions) {
    this.options = options;
    this.startMs = options.clock.monotonicMs();
    this.left = options.catalog.items()[Symbol.iterator]();
    const { firstItems = FIRST_ITEMS } = options;
    while (!this.complete && this.told < firstItems) this.tellNext();
  }

  /** The others, from now on. */
  start(): void {
    if (!this.complete) this.slice();
  }

  async stop(): Promise<void> {
    this.timer?.cancel();
  }

  private slice(): void {
    const { clock, log } = this.options;
    const endMs = clock.monotonicMs() + SLICE_MS;
    do {
      for (let count = 0; count < LOOK_EVERY && !this.complete; count++) this.tellNext();
    } while (!this.complete && clock.monotonicMs() < endMs);
    if (this.complete) {
      const took_ms = Math.round(clock.monotonicMs() - this.startMs);
      log.info('filters and search are complete', { items: this.told, took_ms });
    } else {
      this.timer = clock.after(PAUSE_MS, () => this.slice());
    }
  }

  private tellNext(): void {
    const next = this.left.next();
    if (next.done === true) {
      this.complete = true;
      return;
    }
    const { facets, text } = this.options;
    const { entity, metadata } = next.value;
    facets.put(entity, metadata, undefined);
    text.put(entity, metadata);
    this.told++;
  }
}
