/** Filter index by looking at every live item: the plain definition of what a selection is, for the index to be held against. */

import type { Filter } from '../../../../services/region/filter/filter.ts';
import { comparable, compileFilters, textsOf, timeOf } from '../../../../services/region/filter/filter.ts';
import type { Entities } from '../../../../services/region/state/entities/entities.ts';
import type {
  CountedRange,
  FilterIndex,
  Selecting,
  Selection,
  ValueCounts,
} from '../../../../services/region/state/filter-index/filter-index.ts';
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

  *numbersOf(field: string): Steps<Float64Array | undefined> {
    yield;
    const column = new Float64Array(this.entities.size).fill(Number.NaN);
    for (const [ordinal, metadata] of this.live) {
      const value = Object.hasOwn(metadata, field) ? metadata[field]! : [];
      if (typeof value === 'number') column[ordinal] = value;
      else if (textsOf(value).length > 0) return undefined;
    }
    return this.hasField(field) ? column : undefined;
  }

  *counting(field: string, words: Int32Array, limit: number, ranges: readonly CountedRange[] = []): Steps<ValueCounts> {
    yield;
    const numbers = new Map<number, number>();
    const texts = new Map<string, number>();
    const inRanges = ranges.map(() => 0);
    for (const [ordinal, metadata] of this.live) {
      if (((words[ordinal >> 5] ?? 0) & (1 << (ordinal & 31))) === 0 || !Object.hasOwn(metadata, field)) continue;
      const value = metadata[field]!;
      const forms = typeof value === 'number' ? [] : [...new Set(textsOf(value).map(comparable))];
      if (typeof value === 'number') numbers.set(value + 0, (numbers.get(value) ?? 0) + 1);
      for (const form of ranges.length === 0 ? forms : []) texts.set(form, (texts.get(form) ?? 0) + 1);
      const times = forms.map(timeOf).filter((time) => time !== undefined);
      for (const [at, { of, from, to }] of ranges.entries()) {
        const bounds = of === 'time' ? times : typeof value === 'number' ? [value] : [];
        if (bounds.some((bound) => bound >= from && bound < to)) inRanges[at]!++;
      }
    }
    const best = <V extends string | number>(counts: Map<V, number>) =>
      [...counts].sort(([a, m], [b, n]) => n - m || (a < b ? -1 : 1)).slice(0, limit);
    const all = [...numbers.keys()];
    return {
      ...{ numbers: best(numbers), texts: best(texts), ranges: inRanges },
      ...(all.length === 0 ? {} : { min: Math.min(...all), max: Math.max(...all) }),
    };
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
