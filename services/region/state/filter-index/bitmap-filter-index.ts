/**
 * Filter index as an inverted index: for each field and value the items that have it; numbers also in order.
 *
 * `combining.ts` combines the sets. The values of an item are read from the catalog and not stored a second time.
 */
import { assert } from '../../../../shared/kernel/kernel.ts';
import { finish, type Steps } from '../../../../shared/kernel/steps.ts';
import type { Metadata, MetadataValue } from '../../../../shared/protocol/events.ts';
import { compileFilters, type Filter } from '../../filter/filter.ts';
import type { Entities } from '../entities/entities.ts';
import { Bitmap } from './bitmap.ts';
import { type Field, type IndexedSets, without } from './combining.ts';
import { FieldTexts } from './field-texts.ts';
import type {
  AdoptsFilterIndex,
  CountedRange,
  FilterIndex,
  FilterIndexImage,
  LiveItems,
  Selecting,
  Selection,
  ValueCounts,
} from './filter-index.ts';
import { KeptSelections } from './kept-selections.ts';
import { MemberPool, NO_MEMBERS } from './member-pool.ts';
import { NumberOrder } from './number-order.ts';
import { BitSelection, EveryItem, ExceptSelection } from './selections.ts';
import { LONG_LIST } from './text-table.ts';
import { countValues, numberColumn } from './value-counts.ts';

export interface FilterIndexOptions {
  readonly entities: Entities;
  /** The metadata with which the live item with this ordinal was indexed. */
  readonly metadataOf: (ordinal: number) => Metadata | undefined;
  /** Absent: those that are indexed. */
  readonly items?: LiveItems;
  /** The items that changed since they were indexed, and the present metadata of the live ones. Absent: there are none. */
  readonly unindexed?: { ordinals(): Iterable<number>; present(ordinal: number): Metadata | undefined };
}

export function createFilterIndex(options: FilterIndexOptions): FilterIndex & AdoptsFilterIndex {
  return new BitmapFilterIndex(options);
}

class BitmapFilterIndex implements FilterIndex, AdoptsFilterIndex, IndexedSets {
  private readonly entities: Entities;
  readonly fields = new Map<string, Field>();
  pool = new MemberPool();
  live = new Bitmap(0);
  private readonly indexed: (ordinal: number) => Metadata | undefined;
  private readonly unindexed: FilterIndexOptions['unindexed'];
  private readonly everyItem: Selection;
  /** The item that is being changed, and its values that are indexed now. */
  private changing = -1;
  private changingHas: Metadata = {};
  private readonly selections = new KeptSelections(this);

  constructor({ entities, metadataOf, unindexed, items }: FilterIndexOptions) {
    this.entities = entities;
    this.indexed = metadataOf;
    this.unindexed = unindexed;
    this.everyItem = new EveryItem(items ?? this.indexedItems(), entities);
  }

  adopt({ pool, live, fields }: FilterIndexImage): void {
    assert(this.live.count === 0 && this.fields.size === 0, 'filter index of nothing adopt others');
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
    finish(this.putting(entity, metadata, former));
  }

  remove(entity: number, former: Metadata | undefined): void {
    finish(this.removing(entity, former));
  }

  *putting(entity: number, metadata: Metadata, former: Metadata | undefined): Steps {
    const ordinal = this.entities.ordinal(entity);
    const present = this.live.has(ordinal) ? former : undefined;
    if (present === undefined && this.live.has(ordinal)) return;
    this.begin(ordinal);
    // Texts are compared with the item's values: the former ones while it is removed, the new ones before it is added.
    if (present !== undefined) {
      this.changingHas = present;
      yield* this.drop(ordinal, present, metadata);
    }
    this.changingHas = metadata;
    for (const field of Object.keys(metadata)) {
      const value = metadata[field]!;
      if (present !== undefined && isSame(ownValue(present, field), value)) continue;
      yield* this.add(field, value, ordinal);
    }
    this.changing = -1;
    this.live.add(ordinal);
    this.selections.changed(ordinal);
  }

  *removing(entity: number, former: Metadata | undefined): Steps {
    const ordinal = this.entities.find(entity);
    if (former === undefined || ordinal < 0 || !this.live.has(ordinal)) return;
    this.begin(ordinal);
    this.changingHas = former;
    yield* this.drop(ordinal, former, {});
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

  private begin(ordinal: number): void {
    assert(this.changing < 0, 'one item is changed at a time', () => [this.changing, ordinal]);
    this.changing = ordinal;
  }

  select(filters: readonly Filter[]): Selection {
    assert(this.changing < 0, 'items are selected when none is half indexed', () => this.changing);
    return this.selections.select(filters);
  }

  selectPresent(filters: readonly Filter[]): Selection {
    const { unindexed } = this;
    const ordinals = [...(unindexed?.ordinals() ?? [])];
    if (this.changing >= 0) ordinals.push(this.changing);
    if (ordinals.length === 0) return this.select(filters);
    const words = new Int32Array(Math.max(this.live.words.length, (this.entities.size >> 5) + 1));
    this.selections.select(filters).forEach((ordinal) => {
      words[ordinal >> 5]! |= 1 << (ordinal & 31);
    });
    const test = compileFilters(filters);
    for (const ordinal of ordinals) {
      const metadata = unindexed?.present(ordinal);
      if (metadata !== undefined && test(metadata)) words[ordinal >> 5]! |= 1 << (ordinal & 31);
      else words[ordinal >> 5]! &= ~(1 << (ordinal & 31));
    }
    return new BitSelection(words);
  }

  selecting(filters: readonly Filter[]): Selecting {
    return this.selections.selecting(filters);
  }

  excluding(selection: Selection | undefined, exclude: readonly number[]): Selection | undefined {
    const left = exclude.map((entity) => this.entities.find(entity)).filter((ordinal) => ordinal >= 0);
    return left.length === 0 ? selection : new ExceptSelection(selection ?? this.everyItem, new Set(left));
  }

  private indexedItems(): LiveItems {
    const has = (ordinal: number): boolean => this.live.has(ordinal);
    const size = (): number => this.live.count;
    return {
      get size() {
        return size();
      },
      createdMs: (ordinal) => (has(ordinal) ? 0 : -1),
    };
  }

  without(selection: Selection, field: string, texts: readonly string[]): Selection {
    return without(this, selection, field, texts);
  }

  *numbersOf(name: string): Steps<Float64Array | undefined> {
    const field = this.fields.get(name);
    if (field === undefined || field.texts.size > 0) return undefined;
    return yield* numberColumn(this.pool, field.numbers, this.entities.size);
  }

  *counting(name: string, words: Int32Array, limit: number, ranges: readonly CountedRange[] = []): Steps<ValueCounts> {
    const field = this.fields.get(name);
    if (field === undefined) return { numbers: [], texts: [], ranges: ranges.map(() => 0) };
    const valueIn = (ordinal: number): MetadataValue | undefined => ownValue(this.metadataOf(ordinal) ?? {}, name);
    return yield* countValues({ pool: this.pool, field, valueIn, words, limit, ranges });
  }

  private *add(name: string, value: MetadataValue, ordinal: number): Steps {
    let field = this.fields.get(name);
    if (field === undefined) {
      field = { texts: new FieldTexts(this.pool, this.valueOf(name)), numbers: new NumberOrder(this.pool) };
      this.fields.set(name, field);
    }
    if (typeof value === 'object') {
      for (const text of value) {
        field.texts.add(text, ordinal, value.length > LONG_LIST);
        yield;
      }
      return;
    }
    if (typeof value === 'number') field.numbers.add(value, ordinal);
    else field.texts.add(String(value), ordinal, false);
    yield;
  }

  private valueOf(name: string): (ordinal: number) => MetadataValue | undefined {
    return (ordinal) => this.metadataOf(ordinal)![name];
  }

  /** Removes the item from the sets of former values that `next` does not have. */
  private *drop(ordinal: number, former: Metadata, next: Metadata): Steps {
    for (const name of Object.keys(former)) {
      const value = former[name]!;
      const field = this.fields.get(name);
      if (field === undefined || isSame(ownValue(next, name), value)) continue;
      if (typeof value === 'object') {
        for (const text of new Set(value)) {
          field.texts.remove(text, ordinal);
          yield;
        }
      } else if (typeof value === 'number') field.numbers.remove(value, ordinal);
      else field.texts.remove(String(value), ordinal);
      yield;
      if (field.texts.size === 0 && field.numbers.everyone === NO_MEMBERS) this.fields.delete(name);
    }
  }

  metadataOf(ordinal: number): Metadata | undefined {
    return ordinal === this.changing ? this.changingHas : this.indexed(ordinal);
  }
}

function ownValue(metadata: Metadata, field: string): MetadataValue | undefined {
  return Object.hasOwn(metadata, field) ? metadata[field] : undefined;
}

function isSame(a: MetadataValue | undefined, b: MetadataValue): boolean {
  if (typeof a !== 'object' || typeof b !== 'object') return a === b;
  return a.length === b.length && a.every((text, at) => text === b[at]);
}
