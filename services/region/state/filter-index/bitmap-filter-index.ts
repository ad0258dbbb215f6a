/**
 * Filter index as an inverted index: for each field and value the items that have it; numbers also in order.
 *
 * `combining.ts` combines the sets. The values of an item are read from the catalog and not stored a second time.
 */
import { assert } from '../../../../shared/kernel/kernel.ts';
import type { Metadata, MetadataValue } from '../../../../shared/protocol/events.ts';
import type { Filter } from '../../filter/filter.ts';
import type { Entities } from '../entities/entities.ts';
import { Bitmap } from './bitmap.ts';
import { type Field, type IndexedSets, without } from './combining.ts';
import { FieldTexts } from './field-texts.ts';
import type { AdoptsFilterIndex, FilterIndex, FilterIndexImage, Selecting, Selection } from './filter-index.ts';
import { KeptSelections } from './kept-selections.ts';
import { MemberPool, NO_MEMBERS } from './member-pool.ts';
import { NumberOrder } from './number-order.ts';
import { LONG_LIST } from './text-table.ts';

export interface FilterIndexOptions {
  readonly entities: Entities;
  /** The metadata of the live item with this ordinal; during a change the new metadata. */
  readonly metadataOf: (ordinal: number) => Metadata | undefined;
}

export function createFilterIndex(options: FilterIndexOptions): FilterIndex & AdoptsFilterIndex {
  return new BitmapFilterIndex(options);
}

class BitmapFilterIndex implements FilterIndex, AdoptsFilterIndex, IndexedSets {
  private readonly entities: Entities;
  readonly fields = new Map<string, Field>();
  pool = new MemberPool();
  live = new Bitmap(0);
  private readonly catalogued: (ordinal: number) => Metadata | undefined;
  private formerOf: (entity: number) => Metadata | undefined = () => undefined;
  /** The item that is being changed, and its values that are indexed now. */
  private changing = -1;
  private changingHas: Metadata = {};
  private readonly selections = new KeptSelections(this);

  constructor({ entities, metadataOf }: FilterIndexOptions) {
    this.entities = entities;
    this.catalogued = metadataOf;
  }

  adopt({ pool, live, fields }: FilterIndexImage, formerOf: (entity: number) => Metadata | undefined): void {
    assert(this.live.count === 0 && this.fields.size === 0, 'filter index of nothing adopt others');
    this.formerOf = formerOf;
    this.pool = new MemberPool(pool);
    this.live = Bitmap.of(live);
    for (const { name, texts, numbers } of fields) {
      this.fields.set(name, {
        texts: new FieldTexts(this.pool, this.valueOf(name), texts),
        numbers: new NumberOrder(this.pool, numbers),
      });
    }
  }

  put(entity: number, metadata: Metadata, former: Metadata | undefined): void {
    const ordinal = this.entities.ordinal(entity);
    const present = this.live.has(ordinal) ? former : undefined;
    if (present === undefined && this.live.has(ordinal)) return;
    // Texts are compared with the item's values: the former ones while it is removed, the new ones before it is added.
    this.changing = ordinal;
    if (present !== undefined) {
      this.changingHas = present;
      this.drop(ordinal, present, metadata);
    }
    this.changingHas = metadata;
    for (const field of Object.keys(metadata)) {
      const value = metadata[field]!;
      if (present !== undefined && isSame(ownValue(present, field), value)) continue;
      this.add(field, value, ordinal);
    }
    this.changing = -1;
    this.live.add(ordinal);
    this.selections.changed(ordinal);
  }

  remove(entity: number, former: Metadata | undefined): void {
    const ordinal = this.entities.find(entity);
    if (former === undefined || ordinal < 0 || !this.live.has(ordinal)) return;
    this.changing = ordinal;
    this.changingHas = former;
    this.drop(ordinal, former, {});
    this.changing = -1;
    this.live.delete(ordinal);
    this.selections.changed(ordinal);
  }

  get fieldCount(): number {
    return this.fields.size;
  }

  hasField(name: string): boolean {
    return this.fields.has(name);
  }

  select(filters: readonly Filter[]): Selection {
    return this.selections.select(filters);
  }

  selecting(filters: readonly Filter[]): Selecting {
    return this.selections.selecting(filters);
  }

  without(selection: Selection, field: string, texts: readonly string[]): Selection {
    return without(this, selection, field, texts);
  }

  private add(name: string, value: MetadataValue, ordinal: number): void {
    let field = this.fields.get(name);
    if (field === undefined) {
      field = { texts: new FieldTexts(this.pool, this.valueOf(name)), numbers: new NumberOrder(this.pool) };
      this.fields.set(name, field);
    }
    if (typeof value === 'number') field.numbers.add(value, ordinal);
    else if (typeof value === 'object')
      for (const text of value) field.texts.add(text, ordinal, value.length > LONG_LIST);
    else field.texts.add(String(value), ordinal, false);
  }

  private valueOf(name: string): (ordinal: number) => MetadataValue | undefined {
    return (ordinal) => this.metadataOf(ordinal)![name];
  }

  /** Removes the item from the sets of former values that `next` does not have. */
  private drop(ordinal: number, former: Metadata, next: Metadata): void {
    for (const name of Object.keys(former)) {
      const value = former[name]!;
      const field = this.fields.get(name);
      if (field === undefined || isSame(ownValue(next, name), value)) continue;
      if (typeof value === 'number') field.numbers.remove(value, ordinal);
      else if (typeof value === 'object') for (const text of new Set(value)) field.texts.remove(text, ordinal);
      else field.texts.remove(String(value), ordinal);
      if (field.texts.size === 0 && field.numbers.everyone === NO_MEMBERS) this.fields.delete(name);
    }
  }

  metadataOf(ordinal: number): Metadata | undefined {
    if (ordinal === this.changing) return this.changingHas;
    return this.formerOf(this.entities.entity(ordinal)) ?? this.catalogued(ordinal);
  }
}

function ownValue(metadata: Metadata, field: string): MetadataValue | undefined {
  return Object.hasOwn(metadata, field) ? metadata[field] : undefined;
}

function isSame(a: MetadataValue | undefined, b: MetadataValue): boolean {
  if (typeof a !== 'object' || typeof b !== 'object') return a === b;
  return a.length === b.length && a.every((text, at) => text === b[at]);
}
