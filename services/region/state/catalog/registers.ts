/** The catalog in memory: both registers of every entity, and what of them is live. */
import type { Metadata, PlacedEvent } from '../../../../shared/protocol/events.ts';
import { compareOrder, hlcMs } from '../../../../shared/protocol/events.ts';
import { Entities } from '../entities/entities.ts';
import type { CatalogChange, CatalogWriter, EmbeddingRegister, Item, ItemRegister, RegisterSink } from './catalog.ts';
import { mergeEmbedding, mergeItem } from './catalog.ts';

const FIRST_ORDINALS = 1_024;

/** An empty catalog; with a numbering of its own where it shares none. */
export function createRegisters({ entities }: { entities?: Entities } = {}): CatalogWriter {
  return new InMemoryRegisters(entities ?? new Entities());
}

class InMemoryRegisters implements CatalogWriter {
  private readonly itemRegisters = new Map<number, ItemRegister>();
  private readonly embeddingRegisters = new Map<number, EmbeddingRegister>();
  private readonly live = new Map<number, Item>();
  private readonly entities: Entities;
  /** By ordinal; −1 where no item is live. */
  private created = new Float64Array(FIRST_ORDINALS).fill(-1);

  constructor(entities: Entities) {
    this.entities = entities;
  }

  get size(): number {
    return this.live.size;
  }

  item(entity: number): Item | undefined {
    return this.live.get(entity);
  }

  items(): Iterable<Item> {
    return this.live.values();
  }

  createdMs(ordinal: number): number {
    return ordinal < this.created.length ? this.created[ordinal]! : -1;
  }

  embedding(entity: number): Float32Array | undefined {
    return this.live.has(entity) ? this.embeddingRegisters.get(entity)?.values : undefined;
  }

  apply(placed: PlacedEvent): CatalogChange {
    const { event } = placed;
    const { entity } = event;
    const wasLive = this.live.has(entity);
    const formerMetadata = this.live.get(entity)?.metadata;
    const formerVisible = this.embedding(entity);
    if (event.kind !== 'embedding') {
      this.itemRegisters.set(entity, mergeItem(this.itemRegisters.get(entity), placed, compareOrder, hlcMs(event.hlc)));
      this.refresh(entity);
    }
    if (event.kind !== 'item') {
      this.embeddingRegisters.set(entity, mergeEmbedding(this.embeddingRegisters.get(entity), placed, compareOrder));
    }
    const item = this.live.get(entity);
    const visible = this.embedding(entity);
    return {
      ...(item?.metadata === formerMetadata && wasLive === (item !== undefined)
        ? {}
        : { item: item === undefined ? ('gone' as const) : { metadata: item.metadata } }),
      ...(visible === formerVisible ? {} : { embedding: visible ?? ('gone' as const) }),
    };
  }

  load(
    items: Iterable<readonly [number, ItemRegister]>,
    embeddings: Iterable<readonly [number, EmbeddingRegister]>,
  ): void {
    for (const [entity, register] of items) {
      this.itemRegisters.set(entity, register);
      this.refresh(entity);
    }
    for (const [entity, register] of embeddings) this.embeddingRegisters.set(entity, register);
  }

  private refresh(entity: number): void {
    const register = this.itemRegisters.get(entity);
    if (register?.metadata === undefined || register.createdMs === undefined) {
      if (this.live.delete(entity)) this.created[this.entities.find(entity)] = -1;
      return;
    }
    const { metadata, createdMs, order } = register;
    this.live.set(entity, { entity, metadata, createdMs, updatedMs: hlcMs(order.hlc) });
    const ordinal = this.entities.ordinal(entity);
    while (ordinal >= this.created.length) this.grow();
    this.created[ordinal] = createdMs;
  }

  private grow(): void {
    const created = new Float64Array(this.created.length * 2).fill(-1);
    created.set(this.created);
    this.created = created;
  }

  describe(sink: RegisterSink): void {
    for (const [entity, register] of this.itemRegisters) describeItem(entity, register, sink);
    for (const [entity, register] of this.embeddingRegisters) describeEmbedding(entity, register, sink);
  }

  describeEntity(entity: number, sink: RegisterSink): void {
    const item = this.itemRegisters.get(entity);
    if (item !== undefined) describeItem(entity, item, sink);
    const embedding = this.embeddingRegisters.get(entity);
    if (embedding !== undefined) describeEmbedding(entity, embedding, sink);
  }

  *described(): Generator<number> {
    yield* this.itemRegisters.keys();
    yield* this.embeddingRegisters.keys();
  }
}

function describeItem(entity: number, { order, metadata, createdMs }: ItemRegister, sink: RegisterSink): void {
  const text = metadata === undefined ? 'tombstone' : canonical(metadata);
  sink(entity, ['item', order.epoch, order.hlc, order.origin, order.sequence, createdMs ?? -1, text]);
}

function describeEmbedding(entity: number, { order, values }: EmbeddingRegister, sink: RegisterSink): void {
  const bytes =
    values === undefined ? 'tombstone' : new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
  sink(entity, ['embedding', order.epoch, order.hlc, order.origin, order.sequence, bytes]);
}

/** Metadata as text that does not depend on the order its fields were built in. */
function canonical(metadata: Metadata): string {
  return JSON.stringify(Object.entries(metadata).sort(([a], [b]) => (a < b ? -1 : 1)));
}
