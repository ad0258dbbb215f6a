/** Facets by looking at every live item: the plain definition of what a selection is. */
import type { Metadata } from '../../../../shared/protocol/events.ts';
import { compileFilters } from '../../../../shared/protocol/filter.ts';
import type { Entities } from '../entities/entities.ts';
import type { Facets, Filter, Selection } from './facets.ts';

export function createFacets({ entities }: { entities: Entities }): Facets {
  return new ScanFacets(entities);
}

class ScanFacets implements Facets {
  private readonly entities: Entities;
  private readonly live = new Map<number, Metadata>();

  constructor(entities: Entities) {
    this.entities = entities;
  }

  put(entity: number, metadata: Metadata): void {
    this.live.set(this.entities.ordinal(entity), metadata);
  }

  remove(entity: number): void {
    this.live.delete(this.entities.find(entity));
  }

  select(filters: readonly Filter[]): Selection {
    const test = compileFilters(filters);
    const passing = [...this.live].filter(([, metadata]) => test(metadata)).map(([ordinal]) => ordinal);
    const ordinals = Uint32Array.from(passing).sort();
    const members = new Set(ordinals);
    return {
      count: ordinals.length,
      has: (ordinal) => members.has(ordinal),
      any: () => true,
      forEach(visit) {
        for (const ordinal of ordinals) visit(ordinal);
      },
    };
  }
}
