/** The smallest catalog and vector index that keep their contracts, for tests of what reads them. */
import type { Catalog, Item } from '../../services/region/state/catalog/catalog.ts';
import type { Ceilings } from '../../services/region/state/ceilings/ceilings.ts';
import { Entities } from '../../services/region/state/entities/entities.ts';
import { createFacets } from '../../services/region/state/facets/facet-index.ts';
import type { Ledger } from '../../services/region/state/ledger/ledger.ts';
import { createLedger } from '../../services/region/state/ledger/signal-ledger.ts';
import type { VectorHit, VectorIndex } from '../../services/region/state/vectors/vectors.ts';
import type { Metadata } from '../../shared/protocol/events.ts';
import { decayedSignals } from '../../shared/schema/profile.ts';
import type { Schema } from '../../shared/schema/schema.ts';

export class TinyCatalog implements Catalog {
  private ceilings: Pick<Ceilings, 'put' | 'remove'> | undefined;
  readonly entities = new Entities();
  readonly facets = createFacets({ entities: this.entities, metadataOf: (ordinal) => this.metadata(ordinal) });
  private readonly live = new Map<number, Item>();
  private readonly embeddings = new Map<number, Float32Array>();

  /** A ledger that knows what is live here. */
  ledgerOf(schema: Schema): Ledger {
    const { entities } = this;
    const decayed = decayedSignals(schema.profiles.values());
    const ledger = createLedger({ schema, entities, createdMs: (ordinal) => this.createdMs(ordinal), decayed });
    this.ceilings = ledger.ceilings;
    return ledger;
  }

  put(entity: number, metadata: Metadata = {}, createdMs = 0): void {
    const former = this.live.get(entity)?.metadata;
    this.live.set(entity, { entity, metadata, createdMs, updatedMs: createdMs });
    this.facets.put(entity, metadata, former);
    this.ceilings?.put(entity);
  }

  embed(entity: number, values: readonly number[]): void {
    this.embeddings.set(entity, Float32Array.from(values));
  }

  remove(entity: number): void {
    const former = this.live.get(entity)?.metadata;
    this.live.delete(entity);
    this.facets.remove(entity, former);
    this.ceilings?.remove(entity);
  }

  item(entity: number): Item | undefined {
    return this.live.get(entity);
  }

  metadata(ordinal: number): Metadata | undefined {
    return ordinal < this.entities.size ? this.live.get(this.entities.entity(ordinal))?.metadata : undefined;
  }

  createdMs(ordinal: number): number {
    return ordinal < this.entities.size ? (this.live.get(this.entities.entity(ordinal))?.createdMs ?? -1) : -1;
  }

  embedding(entity: number): Float32Array | undefined {
    return this.live.has(entity) ? this.embeddings.get(entity) : undefined;
  }

  items(): Iterable<Item> {
    return this.live.values();
  }

  get size(): number {
    return this.live.size;
  }
}

/** Exact cosine similarity over a catalog's embeddings. */
export class TinyVectors implements Pick<VectorIndex, 'nearest'> {
  private readonly catalog: TinyCatalog;

  constructor(catalog: TinyCatalog) {
    this.catalog = catalog;
  }

  nearest(values: Float32Array, limit: number, accept?: (entity: number) => boolean): readonly VectorHit[] {
    const hits: VectorHit[] = [];
    for (const { entity } of this.catalog.items()) {
      const other = this.catalog.embedding(entity);
      if (other === undefined || accept?.(entity) === false) continue;
      hits.push({ entity, similarity: cosine(values, other) });
    }
    hits.sort((a, b) => b.similarity - a.similarity || a.entity - b.entity);
    return hits.slice(0, limit);
  }
}

function cosine(a: Float32Array, b: Float32Array): number {
  const dot = (x: Float32Array, y: Float32Array): number => x.reduce((sum, value, index) => sum + value * y[index]!, 0);
  const lengths = Math.sqrt(dot(a, a) * dot(b, b));
  return lengths === 0 ? 0 : dot(a, b) / lengths;
}
