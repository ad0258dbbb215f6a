/**
 * Filter index as an inverted index: for each field and value the items that have it; numbers also in order.
 *
 * A selection starts from the most selective filter. If it leaves few items, they are listed, and each is tested against the
 * other filters by its metadata; if it leaves many, bitmaps are combined, 32 items a step. The set of a single value is returned
 * as it is stored. So a filter costs in proportion to its result, an eighth of a byte an item at most, plus the union of its
 * values.
 *
 * The values of an item are read from the catalog and not stored a second time.
 */
import { assert } from '../../../../shared/kernel/kernel.ts';
import type { Metadata, MetadataValue } from '../../../../shared/protocol/events.ts';
import type { Filter } from '../../filter/filter.ts';
import { compileFilters } from '../../filter/filter.ts';
import type { Entities } from '../entities/entities.ts';
import { Bitmap } from './bitmap.ts';
import type { AdoptsFilterIndex, FilterIndex, FilterIndexImage, Selection } from './filter-index.ts';
import { forEachMember, MemberPool, type MemberSet, type Members, NO_MEMBERS } from './member-pool.ts';
import { NumberOrder } from './number-order.ts';
import { BitSelection, ListSelection, selectionOf } from './selections.ts';
import { LONG_LIST, TextTable } from './text-table.ts';

/**
 * A filter that leaves at most one in this many items is listed, not combined as bits, because testing an item decodes its
 * metadata.
 */
const LISTED_ONE_IN = 1_024;
/** Number of combined selections that are cached until an item changes. */
const KEPT = 16;

export interface FilterIndexOptions {
  readonly entities: Entities;
  /** The metadata of the live item with this ordinal; during a change the new metadata. */
  readonly metadataOf: (ordinal: number) => Metadata | undefined;
}

export function createFilterIndex(options: FilterIndexOptions): FilterIndex & AdoptsFilterIndex {
  return new BitmapFilterIndex(options);
}

/** The sets of one field. */
export interface Field {
  readonly texts: TextTable;
  readonly numbers: NumberOrder;
}

/** The selection of one filter, or of all filters that bound one field's numbers, before items are tested. */
interface Part {
  readonly filters: readonly Filter[];
  /** No more items than this. */
  readonly atMost: number;
  readonly sets: { forEach(visit: (set: MemberSet) => void): void };
  /** The only one of `sets`, if there is one; {@link NO_MEMBERS}: none. */
  readonly only?: MemberSet;
  /** Undefined: the union of `sets`; otherwise the difference of this and all of them. */
  readonly outOf?: Members;
}

class BitmapFilterIndex implements FilterIndex, AdoptsFilterIndex {
  private readonly entities: Entities;
  private readonly fields = new Map<string, Field>();
  private pool = new MemberPool();
  private live = new Bitmap(0);
  private readonly catalogued: (ordinal: number) => Metadata | undefined;
  private formerOf: (entity: number) => Metadata | undefined = () => undefined;
  /** The item that is being changed, and its values that are indexed now. */
  private changing = -1;
  private changingHas: Metadata = {};
  /** Selections combined since an item changed last, by filters; the oldest first. */
  private readonly kept = new Map<string, Selection>();

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
        texts: new TextTable(this.pool, this.hasTextIn(name), texts),
        numbers: new NumberOrder(this.pool, numbers),
      });
    }
  }

  put(entity: number, metadata: Metadata, former: Metadata | undefined): void {
    const ordinal = this.entities.ordinal(entity);
    const present = this.live.has(ordinal) ? former : undefined;
    if (present === undefined && this.live.has(ordinal)) return;
    if (this.kept.size > 0) this.kept.clear();
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
  }

  remove(entity: number, former: Metadata | undefined): void {
    const ordinal = this.entities.find(entity);
    if (former === undefined || ordinal < 0 || !this.live.has(ordinal)) return;
    if (this.kept.size > 0) this.kept.clear();
    this.changing = ordinal;
    this.changingHas = former;
    this.drop(ordinal, former, {});
    this.changing = -1;
    this.live.delete(ordinal);
  }

  select(filters: readonly Filter[]): Selection {
    if (filters.length === 0) return selectionOf(this.live);
    const key = JSON.stringify(filters.map(({ field, operator, values }) => [field, operator, values]));
    const kept = this.kept.get(key);
    if (kept !== undefined) return kept;
    const selection = this.combine(filters);
    if (this.kept.size === KEPT) this.kept.delete(this.kept.keys().next().value!);
    this.kept.set(key, selection);
    return selection;
  }

  private combine(filters: readonly Filter[]): Selection {
    const parts = this.parts(filters).sort((a, b) => a.atMost - b.atMost);
    const [fewest, ...others] = parts as [Part, ...Part[]];
    if (parts.length === 1 && fewest.only !== undefined && fewest.outOf === undefined) {
      return selectionOf(this.pool.read(fewest.only));
    }
    if (this.isFew(fewest.atMost)) {
      return this.list(
        fewest,
        others.flatMap((part) => part.filters),
      );
    }
    const words = this.bits(fewest).slice(0, this.live.words.length);
    for (const other of others) {
      const bits = this.bits(other);
      const both = Math.min(words.length, bits.length);
      for (let at = 0; at < both; at++) words[at]! &= bits[at]!;
      words.fill(0, both);
    }
    return new BitSelection(words);
  }

  private list({ sets, only }: Part, filters: readonly Filter[]): Selection {
    const passing: number[] = [];
    const test = compileFilters(filters);
    const visit = (ordinal: number): void => {
      if (filters.length === 0 || test(this.metadataOf(ordinal)!)) passing.push(ordinal);
    };
    sets.forEach((set) => {
      if (set >= 0) visit(set);
      else forEachMember(this.pool.read(set), visit);
    });
    const ordinals = Int32Array.from(passing);
    if (only !== undefined) return new ListSelection(ordinals);
    // An item with several values may be in several sets.
    ordinals.sort();
    return new ListSelection(ordinals.filter((ordinal, at) => at === 0 || ordinals[at - 1] !== ordinal));
  }

  /** One for each filter by text, one for each field with number bounds: a range is smaller than its two half-ranges. */
  private parts(filters: readonly Filter[]): Part[] {
    const parts: Part[] = [];
    const bounds = new Map<string, Filter[]>();
    for (const filter of filters) {
      const { field, operator } = filter;
      if (operator === 'in' || operator === 'not_in') parts.push(this.textPart(filter));
      else bounds.set(field, [...(bounds.get(field) ?? []), filter]);
    }
    for (const [name, ofField] of bounds) parts.push(this.numberPart(name, ofField));
    return parts;
  }

  private textPart(filter: Filter): Part {
    const field = this.fields.get(filter.field);
    const sets = field === undefined ? [] : [...new Set(filter.values)].flatMap((text) => this.setsOf(field, text));
    const only = sets.length > 1 ? {} : { only: sets[0] ?? NO_MEMBERS };
    const part = { filters: [filter], sets, ...only };
    if (filter.operator === 'not_in') return { ...part, atMost: this.live.count, outOf: this.live };
    return { ...part, atMost: sets.reduce((sum, set) => sum + this.pool.sizeOf(set), 0) };
  }

  private numberPart(name: string, filters: readonly Filter[]): Part {
    const numbers = this.fields.get(name)?.numbers;
    if (numbers === undefined) return { filters, atMost: 0, sets: [], only: NO_MEMBERS };
    const range = numbers.range(filters);
    const atMost = numbers.countIn(range);
    // The smaller of the range and its complement.
    const outside = !this.isFew(atMost) && atMost * 2 > this.pool.sizeOf(numbers.everyone);
    if (!outside) return { filters, atMost, sets: { forEach: (visit) => numbers.forEachIn(range, visit) } };
    return {
      filters,
      atMost,
      sets: { forEach: (visit) => numbers.forEachOutside(range, visit) },
      outOf: this.pool.read(numbers.everyone),
    };
  }

  /** The items of a part as read-only words, of any length. */
  private bits({ sets, only, outOf }: Part): Int32Array {
    const members = only === undefined || outOf !== undefined ? undefined : this.pool.read(only);
    if (members instanceof Bitmap) return members.words;
    const words = new Int32Array(this.live.words.length);
    if (outOf !== undefined) {
      addBits(words, outOf);
      sets.forEach((set) => {
        if (set >= 0) words[set >> 5]! &= ~(1 << (set & 31));
        else clearBits(words, this.pool.read(set));
      });
    } else {
      sets.forEach((set) => {
        if (set >= 0) words[set >> 5]! |= 1 << (set & 31);
        else addBits(words, this.pool.read(set));
      });
    }
    return words;
  }

  private add(name: string, value: MetadataValue, ordinal: number): void {
    let field = this.fields.get(name);
    if (field === undefined) {
      field = { texts: new TextTable(this.pool, this.hasTextIn(name)), numbers: new NumberOrder(this.pool) };
      this.fields.set(name, field);
    }
    if (typeof value === 'number') field.numbers.add(value, ordinal);
    else if (typeof value === 'object')
      for (const text of value) field.texts.add(text, ordinal, value.length > LONG_LIST);
    else field.texts.add(String(value), ordinal, false);
  }

  private hasTextIn(name: string): (ordinal: number, text: string) => boolean {
    return (ordinal, text) => isText(this.metadataOf(ordinal)![name], text);
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

  /** A filter compares texts; a number is compared as its text. */
  private setsOf({ texts, numbers }: Field, text: string): MemberSet[] {
    const number = Number(text);
    const sets = [texts.get(text), String(number) === text ? numbers.get(number) : NO_MEMBERS];
    return sets.filter((set) => set !== NO_MEMBERS);
  }

  private isFew(items: number): boolean {
    return items * LISTED_ONE_IN <= this.live.count;
  }

  private metadataOf(ordinal: number): Metadata | undefined {
    if (ordinal === this.changing) return this.changingHas;
    return this.formerOf(this.entities.entity(ordinal)) ?? this.catalogued(ordinal);
  }
}

/** Whether the text is the value, or one of the values; numbers are compared as texts here. */
export function isText(value: MetadataValue | undefined, text: string): boolean {
  if (typeof value === 'string') return value === text;
  return typeof value === 'object' ? value.includes(text) : String(value) === text;
}

function addBits(words: Int32Array, members: Members): void {
  if (members instanceof Bitmap) {
    const bits = members.words;
    for (let at = 0; at < bits.length && at < words.length; at++) words[at]! |= bits[at]!;
  } else for (const ordinal of members) words[ordinal >> 5]! |= 1 << (ordinal & 31);
}

function clearBits(words: Int32Array, members: Members): void {
  if (members instanceof Bitmap) {
    const bits = members.words;
    for (let at = 0; at < bits.length && at < words.length; at++) words[at]! &= ~bits[at]!;
  } else for (const ordinal of members) words[ordinal >> 5]! &= ~(1 << (ordinal & 31));
}

function ownValue(metadata: Metadata, field: string): MetadataValue | undefined {
  return Object.hasOwn(metadata, field) ? metadata[field] : undefined;
}

function isSame(a: MetadataValue | undefined, b: MetadataValue): boolean {
  if (typeof a !== 'object' || typeof b !== 'object') return a === b;
  return a.length === b.length && a.every((text, at) => text === b[at]);
}
