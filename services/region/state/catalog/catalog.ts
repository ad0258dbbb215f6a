/**
 * The catalog: the live items, and the registers behind them.
 *
 * An item and its embedding are two last-writer-wins registers ordered by `Order` (epoch, HLC, origin, sequence). A delete writes
 * a tombstone to both; tombstones are never collected. `createdMs` is the lowest creation time of any put ever applied: its
 * client's, or else its acceptance time;
 * whichever won. Only a live item is visible; an embedding without its item is stored, invisible until the item is put.
 */
import type { Event, Metadata, Order, PlacedEvent } from '../../../../shared/protocol/events.ts';
import type { Digested } from '../digest/digest.ts';
import type { Selection } from '../filter-index/filter-index.ts';

export interface ItemRegister {
  readonly order: Order;
  /** As JSON in UTF-8 ({@link encodeMetadata}). Undefined: a tombstone. */
  readonly metadata: Uint8Array | undefined;
  /** Lowest creation time of any put, epoch ms; undefined if there were only deletes. */
  readonly createdMs: number | undefined;
  /** Acceptance time of the put or delete that won, epoch ms. */
  readonly updatedMs: number;
}

export interface EmbeddingRegister {
  readonly order: Order;
  /** Undefined: a tombstone. */
  readonly values: Float32Array | undefined;
}

/** A live item. */
export interface Item {
  readonly entity: number;
  readonly metadata: Metadata;
  /** Lowest creation time of any put, and acceptance time of the winning put; epoch ms. */
  readonly createdMs: number;
  readonly updatedMs: number;
}

export interface Catalog {
  item(entity: number): Item | undefined;
  /** The metadata of the live item with this ordinal; undefined if none is live. */
  metadata(ordinal: number): Metadata | undefined;
  /** The metadata that the indexes have of the item with this ordinal: the present ones, unless it is {@link Unindexed}. */
  indexedMetadata(ordinal: number): Metadata | undefined;
  /** The same of the item with this id, or the present ones if it was not live. */
  indexedOf(entity: number): Metadata | undefined;
  /** Bytes of a live item's metadata as JSON; 0 if none is live. */
  metadataBytes(entity: number): number;
  /** The `createdMs` of the live item with this ordinal; −1 if none is live. On the hot path of ranking. */
  createdMs(ordinal: number): number;
  /** The embedding of a live item. */
  embedding(entity: number): Float32Array | undefined;
  /** Number of live items with an embedding; of those in `selection` if it is given. */
  embeddedAmong(selection?: Selection): number;
  /**
   * All live items by ascending ordinal, each decoded when it is reached. The iteration may be paused while events are applied:
   * items that they add are returned later, or not at all.
   */
  items(): Iterable<Item>;
  /** Number of live items. */
  readonly size: number;
}

/** The change that the indexes need after an event. A part is absent if it did not change. */
export interface CatalogChange {
  /** The item that is live now, or `gone`: it is one of {@link CatalogWriter.unindexed}. */
  readonly item?: { readonly metadata: Metadata } | 'gone';
  /** The live item is older than was known, by a put that lost. */
  readonly isOlder?: true;
  /** The embedding that is visible now, or `gone`. */
  readonly embedding?: Float32Array | 'gone';
}

/** A change of an item that filter index and text index do not have yet. */
export interface ItemChange {
  readonly entity: number;
  /** The metadata that they have; undefined: the item was not live. */
  readonly former: Metadata | undefined;
  /** The metadata of now; undefined: the item is not live. */
  readonly present: Metadata | undefined;
}

/**
 * The items that changed since they were indexed. An item counts once, however often it changed; what the indexes have of it
 * stays in the catalog, as bytes.
 */
export interface Unindexed {
  /** Number of items. */
  readonly size: number;
  /** Bytes of their metadata as JSON: of now, and as the indexes have them. */
  readonly bytes: number;
  has(ordinal: number): boolean;
  ordinals(): Iterable<number>;
  /** The metadata that the indexes have of one of them; undefined: none. */
  former(ordinal: number): Metadata | undefined;
  /** Takes the one that waits longest; undefined: there is none. */
  take(): ItemChange | undefined;
}

/** A page of metadata of items, in shared memory. */
export interface MetadataPage {
  /** Records, each in words of four bytes: one that the catalog uses, the number of bytes, the JSON. */
  readonly words: Uint32Array;
}

/** Calls `visit` with the start and end of each JSON in the page's bytes. */
export function forEachMetadata({ words }: MetadataPage, visit: (start: number, end: number) => void): void {
  for (let word = 0; word < words.length; ) {
    const start = (word + 2) * 4;
    const length = words[word + 1]!;
    visit(start, start + length);
    word += 2 + ((length + 3) >>> 2);
  }
}

/** The catalog as `apply` and `recover` see it. */
export interface CatalogWriter extends Catalog, Digested {
  readonly unindexed: Unindexed;
  /** Merges an item put, a delete or an embedding put. */
  apply(placed: PlacedEvent): CatalogChange;
  /**
   * Recovery: loads the stored registers into an empty catalog. `lend` receives the metadata of the live items as they are read,
   * for other threads to read too: until {@link takeBack} the lent pages are not overwritten. Returns the ordinals of these
   * items, in the order in which they were lent.
   */
  load(
    items: Iterable<readonly [entity: number, register: ItemRegister]>,
    embeddings: Iterable<readonly [entity: number, register: EmbeddingRegister]>,
    lend?: (page: MetadataPage) => void,
  ): Int32Array;
  /** Called when the lent pages are no longer read. Idempotent. */
  takeBack(): void;
  /** The live items that have an embedding, with it. */
  embedded(): Iterable<readonly [entity: number, values: Float32Array]>;
}

/** Metadata in the encoding of registers. */
export function encodeMetadata(metadata: Metadata): Uint8Array {
  return Buffer.from(JSON.stringify(metadata), 'utf8');
}

/** Whether the event writes the item's register. */
export function writesItem(event: Event): boolean {
  return event.kind === 'item' || (event.kind === 'delete' && (event.aside ?? 'item') === 'item');
}

export function writesEmbedding(event: Event): boolean {
  return event.kind === 'embedding' || (event.kind === 'delete' && (event.aside ?? 'embedding') === 'embedding');
}

/**
 * The register after one more put or delete. Both are pure, commutative and idempotent. The merged register has
 * `placed.order` itself when the event won.
 */
export function mergeItem(
  present: ItemRegister | undefined,
  placed: PlacedEvent,
  compare: (a: Order, b: Order) => number,
  atMs: number,
): ItemRegister {
  const { event, order } = placed;
  const won = present === undefined || compare(order, present.order) > 0;
  const metadata = won && event.kind === 'item' ? encodeMetadata(event.metadata) : undefined;
  // An event that was set aside still was a put: regions may have applied it as one before.
  const isPut = event.kind === 'item' || (event.kind === 'delete' && event.aside === 'item');
  const putMs = isPut ? (event.createdMs ?? atMs) : undefined;
  if (present === undefined) return { order, metadata, createdMs: putMs, updatedMs: atMs };
  const createdMs =
    present.createdMs === undefined
      ? putMs
      : putMs === undefined
        ? present.createdMs
        : Math.min(present.createdMs, putMs);
  return won ? { order, metadata, createdMs, updatedMs: atMs } : { ...present, createdMs };
}

export function mergeEmbedding(
  present: EmbeddingRegister | undefined,
  placed: PlacedEvent,
  compare: (a: Order, b: Order) => number,
): EmbeddingRegister {
  const { event, order } = placed;
  const values = event.kind === 'embedding' ? event.values : undefined;
  return present === undefined || compare(order, present.order) > 0 ? { order, values } : present;
}
