/**
 * The catalog in memory: both registers of every entity in columns by ordinal, and the set of live items. A register takes 20
 * bytes for its order, an item 8 for its creation time and its metadata as JSON; embeddings are objects.
 */

import { assert } from '../../../../shared/kernel/kernel.ts';
import type { Metrics } from '../../../../shared/observe/metrics.ts';
import type { Metadata, Order, PlacedEvent } from '../../../../shared/protocol/events.ts';
import { acceptedMs, compareOrder, hlcMs } from '../../../../shared/protocol/events.ts';
import type { DigestedPart, ValueSink } from '../digest/digest.ts';
import { Entities, hashOf } from '../entities/entities.ts';
import type { Selection } from '../filter-index/filter-index.ts';
import { grown } from '../memory/memory.ts';
import type { CatalogChange, CatalogWriter, EmbeddingRegister, Item, ItemRegister, MetadataPage } from './catalog.ts';
import { mergeEmbedding, mergeItem, writesEmbedding, writesItem } from './catalog.ts';
import { MetadataArena } from './metadata-arena.ts';
import { OrderColumn } from './order-column.ts';
import { OrdinalSet } from './ordinal-set.ts';
import { UnindexedItems } from './unindexed-items.ts';

const FIRST_ORDINALS = 1_024;
/** As many as the ledger has shards. */
const NEIGHBOURHOODS = 256;
/** No put was applied. A tombstone over a put at t is {@link BURIED} − t. */
const NEVER = -1;
const BURIED = -2;

/** An empty catalog; with a numbering of its own unless it shares one. */
export interface RegistersOptions {
  /** Absent: a numbering of its own. */
  readonly entities?: Entities;
  /** Absent: nothing is shown of it. */
  readonly metrics?: Metrics;
}

export function createRegisters({ entities = new Entities(), metrics }: RegistersOptions = {}): CatalogWriter {
  const registers = new ColumnRegisters(entities);
  metrics?.gauge({ name: 'tidal_items', help: 'Live items.', read: () => registers.size });
  return registers;
}

class ColumnRegisters implements CatalogWriter {
  private readonly entities: Entities;
  private itemOrders = new OrderColumn();
  private readonly embeddingOrders = new OrderColumn();
  private readonly arena = new MetadataArena();
  readonly unindexed: UnindexedItems;
  /** By ordinal, without tombstones. */
  private readonly embeddings = new Map<number, Float32Array>();
  /** Ordinals whose embedding is visible. */
  private readonly embeddedOnes = new OrdinalSet();
  /** By ordinal: lowest acceptance time of any put if the item is live, otherwise negative. */
  private created = new Float64Array(FIRST_ORDINALS).fill(NEVER);
  /** By ordinal: the acceptance time of the item's winner, if it is not the millisecond of its HLC. */
  private updatedApart = new Map<number, number>();
  private live = 0;
  private readonly registers: DigestedPart;

  constructor(entities: Entities) {
    this.entities = entities;
    this.unindexed = new UnindexedItems(this.arena, entities);
    this.registers = {
      get entries() {
        return entities.size;
      },
      find: (entity) => entities.find(entity),
      describe: (ordinal, sink) => this.describe(ordinal, sink),
    };
  }

  get size(): number {
    return this.live;
  }

  item(entity: number): Item | undefined {
    const ordinal = this.entities.find(entity);
    if (!this.isLive(ordinal)) return undefined;
    return this.view(entity, ordinal, this.arena.get(ordinal)!);
  }

  *items(): Generator<Item> {
    for (let ordinal = 0; ordinal < this.entities.size; ordinal++) {
      if (this.isLive(ordinal)) yield this.view(this.entities.entity(ordinal), ordinal, this.arena.decode(ordinal)!);
    }
  }

  *embedded(): Generator<readonly [number, Float32Array]> {
    for (const [ordinal, values] of this.embeddings) {
      if (this.isLive(ordinal)) yield [this.entities.entity(ordinal), values];
    }
  }

  private view(entity: number, ordinal: number, metadata: Metadata): Item {
    return { entity, metadata, createdMs: this.created[ordinal]!, updatedMs: this.updatedMs(ordinal) };
  }

  private updatedMs(ordinal: number): number {
    return this.updatedApart.get(ordinal) ?? hlcMs(this.itemOrders.hlc(ordinal));
  }

  metadata(ordinal: number): Metadata | undefined {
    return this.isLive(ordinal) ? this.arena.get(ordinal) : undefined;
  }

  indexedMetadata(ordinal: number): Metadata | undefined {
    return this.unindexed.has(ordinal) ? this.unindexed.former(ordinal) : this.metadata(ordinal);
  }

  indexedOf(entity: number): Metadata | undefined {
    const ordinal = this.entities.find(entity);
    return ordinal < 0 ? undefined : (this.indexedMetadata(ordinal) ?? this.metadata(ordinal));
  }

  metadataBytes(entity: number): number {
    const ordinal = this.entities.find(entity);
    return this.isLive(ordinal) ? this.arena.size(ordinal) : 0;
  }

  createdMs(ordinal: number): number {
    if (ordinal >= this.created.length) return -1;
    const createdMs = this.created[ordinal]!;
    return createdMs >= 0 ? createdMs : -1;
  }

  private isLive(ordinal: number): boolean {
    return this.createdMs(ordinal) >= 0;
  }

  embedding(entity: number): Float32Array | undefined {
    return this.visible(this.entities.find(entity));
  }

  embeddedAmong(selection?: Selection): number {
    return selection === undefined ? this.embeddedOnes.count : this.embeddedOnes.countAmong(selection);
  }

  private visible(ordinal: number): Float32Array | undefined {
    return this.isLive(ordinal) ? this.embeddings.get(ordinal) : undefined;
  }

  apply(placed: PlacedEvent): CatalogChange {
    const { event } = placed;
    const ordinal = this.entities.ordinal(event.entity);
    const wasLive = this.isLive(ordinal);
    const formerVisible = this.visible(ordinal);
    const formerMs = this.createdMs(ordinal);
    let won = false;
    if (writesItem(event)) {
      const merged = mergeItem(this.itemRegister(ordinal), placed, compareOrder, acceptedMs(event));
      won = merged.order === placed.order;
      const isChanged = won && (wasLive || event.kind === 'item');
      if (isChanged) this.unindexed.changing(ordinal);
      this.storeItem(ordinal, merged, won);
      if (isChanged) this.unindexed.changed(ordinal);
    }
    if (writesEmbedding(event)) {
      const present = this.embeddingRegister(ordinal);
      const merged = mergeEmbedding(present, placed, compareOrder);
      if (merged !== present) this.storeEmbedding(ordinal, merged);
    }
    const visible = this.visible(ordinal);
    return {
      ...(won && event.kind === 'item' ? { item: { metadata: event.metadata } } : {}),
      ...(wasLive && !won && this.createdMs(ordinal) !== formerMs ? { isOlder: true as const } : {}),
      ...(wasLive && !this.isLive(ordinal) ? { item: 'gone' as const } : {}),
      ...(visible === formerVisible ? {} : { embedding: visible ?? ('gone' as const) }),
    };
  }

  load(
    items: Iterable<readonly [number, ItemRegister]>,
    embeddings: Iterable<readonly [number, EmbeddingRegister]>,
    lend?: (page: MetadataPage) => void,
  ): Int32Array {
    const isEmpty = this.itemOrders.isEmpty && this.embeddingOrders.isEmpty;
    assert(isEmpty, 'registers are loaded into an empty catalog');
    // First in the order of the rows, each under its number: columns are written one after another.
    let entities = new Float64Array(FIRST_ORDINALS);
    let rows = 0;
    const live: number[] = [];
    for (const [entity, register] of items) {
      if (rows === entities.length) entities = grown(entities, rows + 1);
      entities[rows] = entity;
      this.storeItem(rows, register, true);
      // A put has an acceptance time: metadata belong to a live item.
      assert(this.arena.has(rows) === this.created[rows]! >= 0, 'an item with metadata is live', () => entity);
      if (this.created[rows]! >= 0) live.push(rows);
      if (lend !== undefined) this.arena.lend(lend, false);
      rows++;
    }
    if (lend !== undefined) this.arena.lend(lend, true);
    const ordinals = this.number(entities.subarray(0, rows));
    this.renumber(ordinals);
    for (const [entity, register] of embeddings) this.storeEmbedding(this.entities.ordinal(entity), register);
    return Int32Array.from(live, (row) => ordinals[row]!);
  }

  takeBack(): void {
    this.arena.takeBack();
  }

  /**
   * Ordinals of these entities. Those without one get theirs in the order of the part of their hash that divides the ledger into
   * shards: entities that are loaded together are then neighbours in every table.
   */
  private number(entities: Float64Array): Int32Array {
    const ends = new Uint32Array(NEIGHBOURHOODS);
    for (let row = 0; row < entities.length; row++) ends[neighbourhoodOf(entities[row]!)]!++;
    for (let index = 1; index < NEIGHBOURHOODS; index++) ends[index]! += ends[index - 1]!;
    const inOrder = new Uint32Array(entities.length);
    for (let row = entities.length - 1; row >= 0; row--) inOrder[--ends[neighbourhoodOf(entities[row]!)]!] = row;
    const ordinals = new Int32Array(entities.length);
    this.entities.reserve(this.entities.size + entities.length);
    for (let at = 0; at < inOrder.length; at++) {
      const row = inOrder[at]!;
      ordinals[row] = this.entities.ordinal(entities[row]!);
    }
    return ordinals;
  }

  private renumber(ordinals: Int32Array): void {
    const { created } = this;
    this.created = new Float64Array(FIRST_ORDINALS).fill(NEVER);
    while (this.entities.size > this.created.length) this.grow();
    for (let row = 0; row < ordinals.length; row++) this.created[ordinals[row]!] = created[row]!;
    this.itemOrders = this.itemOrders.renumbered(ordinals);
    this.updatedApart = new Map([...this.updatedApart].map(([row, updatedMs]) => [ordinals[row]!, updatedMs]));
    this.arena.renumber(ordinals);
  }

  private itemRegister(ordinal: number): ItemRegister | undefined {
    const order = this.itemOrders.get(ordinal);
    if (order === undefined) return undefined;
    const createdMs = firstPutMs(this.created[ordinal]!);
    return { order, metadata: this.arena.json(ordinal), createdMs, updatedMs: this.updatedMs(ordinal) };
  }

  private embeddingRegister(ordinal: number): EmbeddingRegister | undefined {
    const order = this.embeddingOrders.get(ordinal);
    return order && { order, values: this.embeddings.get(ordinal) };
  }

  /** `replaced`: order and metadata differ from the present ones. */
  private storeItem(ordinal: number, register: ItemRegister, replaced: boolean): void {
    const { order, metadata, createdMs, updatedMs } = register;
    while (ordinal >= this.created.length) this.grow();
    const wasLive = this.created[ordinal]! >= 0;
    if (replaced) {
      this.itemOrders.set(ordinal, order);
      if (updatedMs === hlcMs(order.hlc)) this.updatedApart.delete(ordinal);
      else this.updatedApart.set(ordinal, updatedMs);
      if (metadata === undefined) this.arena.remove(ordinal);
      else this.arena.put(ordinal, metadata);
    }
    const isLive = metadata !== undefined && createdMs !== undefined;
    this.created[ordinal] = createdMs === undefined ? NEVER : isLive ? createdMs : BURIED - createdMs;
    this.live += Number(isLive) - Number(wasLive);
    this.noteVisible(ordinal);
  }

  private storeEmbedding(ordinal: number, { order, values }: EmbeddingRegister): void {
    this.embeddingOrders.set(ordinal, order);
    if (values === undefined) this.embeddings.delete(ordinal);
    else this.embeddings.set(ordinal, values);
    this.noteVisible(ordinal);
  }

  private noteVisible(ordinal: number): void {
    this.embeddedOnes.set(ordinal, this.visible(ordinal) !== undefined);
  }

  private grow(): void {
    const created = new Float64Array(this.created.length * 2).fill(NEVER);
    created.set(this.created);
    this.created = created;
  }

  get digested(): readonly DigestedPart[] {
    return [this.registers];
  }

  private describe(ordinal: number, sink: ValueSink): void {
    const entity = this.entities.entity(ordinal);
    const item = this.itemOrders.get(ordinal);
    if (item !== undefined) {
      beginRegister(sink, entity, 'item', item);
      sink.number(firstPutMs(this.created[ordinal]!) ?? -1);
      sink.number(this.updatedMs(ordinal));
      const json = this.arena.json(ordinal);
      if (json !== undefined) sink.bytes(json);
      sink.end();
    }
    const embedding = this.embeddingOrders.get(ordinal);
    if (embedding !== undefined) {
      beginRegister(sink, entity, 'embedding', embedding);
      const values = this.embeddings.get(ordinal);
      if (values !== undefined) sink.bytes(new Uint8Array(values.buffer, values.byteOffset, values.byteLength));
      sink.end();
    }
  }
}

/** A tombstone has no content after it. */
function beginRegister(sink: ValueSink, entity: number, kind: string, { epoch, hlc, origin, sequence }: Order): void {
  sink.begin(entity);
  sink.text(kind);
  sink.number(epoch);
  sink.number(hlc);
  sink.text(origin);
  sink.number(sequence);
}

function neighbourhoodOf(entity: number): number {
  return hashOf(entity) >>> 24;
}

function firstPutMs(created: number): number | undefined {
  if (created === NEVER) return undefined;
  return created >= 0 ? created : BURIED - created;
}
