/** Filter index by looking at every live item: the plain definition of what a selection is, for the index to be held against. */

import type { Filter } from '../../../../services/region/filter/filter.ts';
import { comparable, compileFilters, textsOf } from '../../../../services/region/filter/filter.ts';
import type { Entities } from '../../../../services/region/state/entities/entities.ts';
import type { FilterIndex, Selecting, Selection } from '../../../../services/region/state/filter-index/filter-index.ts';
import type { Steps } from '../../../../shared/kernel/steps.ts';
import type { Metadata } from '../../../../shared/protocol/events.ts';

export function createScanFilterIndex({ entities }: { entities: Entities }): FilterIndex {
  return new ScanFilterIndex(entities);
}

class ScanFilterIndex implements FilterIndex {
  private readonly entities: Entities;
  private readonly live = new Map<number, Metadata>();

  constructor(entities: Entities) {
    this.entities = entities;
  }

  *putting(entity: number, metadata: Metadata): Steps {
    yield;
    this.put(entity, metadata);
  }

  *removing(entity: number): Steps {
    yield;
    this.remove(entity);
  }

  put(entity: number, metadata: Metadata): void {
    this.live.set(this.entities.ordinal(entity), metadata);
  }

  remove(entity: number): void {
    this.live.delete(this.entities.find(entity));
  }

  get fieldCount(): number {
    return new Set([...this.live.values()].flatMap((metadata) => Object.keys(metadata))).size;
  }

  hasField(name: string): boolean {
    return [...this.live.values()].some((metadata) => Object.hasOwn(metadata, name));
  }

  selectPresent(filters: readonly Filter[]): Selection {
    return this.select(filters);
  }

  select(filters: readonly Filter[]): Selection {
    return this.passing(compileFilters(filters));
  }

  selecting(filters: readonly Filter[]): Selecting {
    return { step: () => true, now: () => this.select(filters) };
  }

  excluding(selection: Selection | undefined, exclude: readonly number[]): Selection | undefined {
    if (exclude.length === 0) return selection;
    const left = exclude.map((entity) => this.entities.find(entity));
    return this.passing((_, ordinal) => selection?.has(ordinal) !== false && !left.includes(ordinal));
  }

  without(selection: Selection, field: string, texts: readonly string[]): Selection {
    return this.passing(
      (metadata, ordinal) =>
        selection.has(ordinal) &&
        !(Object.hasOwn(metadata, field) && textsOf(metadata[field]).some((text) => texts.includes(comparable(text)))),
    );
  }

  private passing(test: (metadata: Metadata, ordinal: number) => boolean): Selection {
    const passing = [...this.live].filter(([ordinal, metadata]) => test(metadata, ordinal)).map(([ordinal]) => ordinal);
    const ordinals = Uint32Array.from(passing).sort();
    const members = new Set(ordinals);
    return {
      kept() {
        return this;
      },
      count: ordinals.length,
      has: (ordinal) => members.has(ordinal),
      any: (first, end) => ordinals.some((ordinal) => ordinal >= first && ordinal < end),
      forEach(visit) {
        for (const ordinal of ordinals) visit(ordinal);
      },
    };
  }
}
