/** The smallest catalog that keeps its contract, for tests of what reads them. */

import type { Schema } from '../../../../services/region/schema/schema.ts';
import { decayedSignals } from '../../../../services/region/schema/schema.ts';
import type { Catalog, Item } from '../../../../services/region/state/catalog/catalog.ts';
import { Changes } from '../../../../services/region/state/changes/changes.ts';
import { Entities } from '../../../../services/region/state/entities/entities.ts';
import { createFilterIndex } from '../../../../services/region/state/filter-index/bitmap-filter-index.ts';
import type { Selection } from '../../../../services/region/state/filter-index/filter-index.ts';
import type { Ledger } from '../../../../services/region/state/ledger/ledger.ts';
import { createLedger } from '../../../../services/region/state/ledger/signal-ledger.ts';
import type { UpperBounds } from '../../../../services/region/state/upper-bounds/upper-bounds.ts';
import type { Metadata } from '../../../../shared/protocol/events.ts';

export class TinyCatalog implements Catalog {
  private upperBounds: Pick<UpperBounds, 'put' | 'remove'> | undefined;
  readonly entities = new Entities();
  readonly filterIndex = createFilterIndex({
    entities: this.entities,
    metadataOf: (ordinal) => this.metadata(ordinal),
  });
  readonly changes = new Changes();
  private readonly live = new Map<number, Item>();
  private readonly embeddings = new Map<number, Float32Array>();

  /** A ledger that knows what is live here. */
  ledgerOf(schema: Schema): Ledger {
    const { entities } = this;
    const decayed = decayedSignals(schema.profiles.values());
    const ledger = createLedger({ schema, entities, createdMs: (ordinal) => this.createdMs(ordinal), decayed });
    this.upperBounds = ledger.upperBounds;
    return ledger;
  }

  put(entity: number, metadata: Metadata = {}, createdMs = 0): void {
    const former = this.live.get(entity)?.metadata;
    this.live.set(entity, { entity, metadata, createdMs, updatedMs: createdMs });
    this.filterIndex.put(entity, metadata, former);
    this.upperBounds?.put(entity);
    this.changes.note(entity);
  }

  embed(entity: number, values: readonly number[]): void {
    this.embeddings.set(entity, Float32Array.from(values));
  }

  remove(entity: number): void {
    const former = this.live.get(entity)?.metadata;
    this.live.delete(entity);
    this.filterIndex.remove(entity, former);
    this.upperBounds?.remove(entity);
    this.changes.note(entity);
  }

  item(entity: number): Item | undefined {
    return this.live.get(entity);
  }

  metadata(ordinal: number): Metadata | undefined {
    return ordinal < this.entities.size ? this.live.get(this.entities.entity(ordinal))?.metadata : undefined;
  }

  indexedMetadata(ordinal: number): Metadata | undefined {
    return this.metadata(ordinal);
  }

  indexedOf(entity: number): Metadata | undefined {
    return this.live.get(entity)?.metadata;
  }

  metadataBytes(entity: number): number {
    return JSON.stringify(this.live.get(entity)?.metadata ?? '').length;
  }

  createdMs(ordinal: number): number {
    return ordinal < this.entities.size ? (this.live.get(this.entities.entity(ordinal))?.createdMs ?? -1) : -1;
  }

  embeddedAmong(selection?: Selection): number {
    const visible = [...this.embeddings.keys()].filter((entity) => this.live.has(entity));
    return visible.filter((entity) => selection?.has(this.entities.find(entity)) !== false).length;
  }

  embedding(entity: number): Float32Array | undefined {
    return this.live.has(entity) ? this.embeddings.get(entity) : undefined;
  }

  items(): Iterable<Item> {
    return this.live.values();
  }

  *embedded(): Generator<readonly [number, Float32Array]> {
    for (const [entity, values] of this.embeddings) if (this.live.has(entity)) yield [entity, values];
  }

  get size(): number {
    return this.live.size;
  }
}
