/**
 * Facets by an inverted index: for each field and value who has it, for numbers in order as well.
 *
 * A selection starts from the filter that can leave the fewest. When those are few they are listed, and each is tested
 * against the other filters by its metadata; when they are many, bitmaps are combined, 32 items a step. One value alone is
 * answered as it is kept. So a filter costs in proportion to what it leaves, an eighth of a byte an item at most, plus what
 * the union of its values costs.
 *
 * Metadata is kept by reference - the catalog has the same object - to know what a put replaces.
 */
import type { Metadata, MetadataValue } from '../../../../shared/protocol/events.ts';
import { compileFilters } from '../../../../shared/protocol/filter.ts';
import type { Entities } from '../entities/entities.ts';
import { Bitmap } from './bitmap.ts';
import type { Facets, Filter, Selection } from './facets.ts';
import { forEachMember, type Members, sizeOf, withMember, withoutMember } from './members.ts';
import { NumberOrder } from './number-order.ts';
import { BitSelection, ListSelection, selectionOf } from './selections.ts';
import { ValueTable } from './value-table.ts';

const PAGE_BITS = 12;
const PAGE_MASK = (1 << PAGE_BITS) - 1;
/** A filter that leaves at most one in so many items is listed, not combined as bits. */
const LISTED_ONE_IN = 128;

export function createFacets({ entities }: { entities: Entities }): Facets {
  return new FacetIndex(entities);
}

interface Field {
  readonly texts: ValueTable;
  readonly numbers: NumberOrder;
}

/** What one filter selects, before it is looked at item by item. */
interface Part {
  /** No more items than this. */
  readonly atMost: number;
  /** Live items outside `sets` instead of those inside. */
  readonly outside: boolean;
  readonly sets: readonly Members[];
  /** What `outside` is outside of; undefined: every live item. */
  readonly within?: Members | undefined;
}

class FacetIndex implements Facets {
  private readonly entities: Entities;
  private readonly fields = new Map<string, Field>();
  private readonly live = new Bitmap(0);
  /** By ordinal. */
  private readonly pages: (Metadata | undefined)[][] = [];

  constructor(entities: Entities) {
    this.entities = entities;
  }

  put(entity: number, metadata: Metadata): void {
    const ordinal = this.entities.ordinal(entity);
    const former = this.metadataOf(ordinal);
    if (former !== undefined) this.drop(ordinal, former, metadata);
    for (const field of Object.keys(metadata)) {
      const value = metadata[field]!;
      if (former !== undefined && isSame(ownValue(former, field), value)) continue;
      this.add(field, value, ordinal);
    }
    const page = ordinal >> PAGE_BITS;
    while (this.pages.length <= page) this.pages.push(new Array<Metadata | undefined>(1 << PAGE_BITS).fill(undefined));
    this.pages[page]![ordinal & PAGE_MASK] = metadata;
    this.live.add(ordinal);
  }

  remove(entity: number): void {
    const ordinal = this.entities.find(entity);
    const former = ordinal < 0 ? undefined : this.metadataOf(ordinal);
    if (former === undefined) return;
    this.drop(ordinal, former, {});
    this.pages[ordinal >> PAGE_BITS]![ordinal & PAGE_MASK] = undefined;
    this.live.delete(ordinal);
  }

  select(filters: readonly Filter[]): Selection {
    if (filters.length === 0) return selectionOf(this.live);
    const parts = filters.map((filter) => ({ filter, ...this.part(filter) })).sort((a, b) => a.atMost - b.atMost);
    const [fewest, ...others] = parts as [(typeof parts)[0], ...typeof parts];
    if (parts.length === 1 && !fewest.outside && fewest.sets.length <= 1) return selectionOf(fewest.sets[0]);
    if (!fewest.outside && this.isFew(fewest.atMost)) {
      return this.list(
        fewest.sets,
        others.map(({ filter }) => filter),
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

  private list(sets: readonly Members[], filters: readonly Filter[]): Selection {
    const ordinals: number[] = [];
    const test = compileFilters(filters);
    for (const members of sets) {
      forEachMember(members, (ordinal) => {
        if (test(this.metadataOf(ordinal)!)) ordinals.push(ordinal);
      });
    }
    if (sets.length === 1) return new ListSelection(ordinals);
    // An item with several values may be in several sets.
    const sorted = Uint32Array.from(ordinals).sort();
    return new ListSelection(sorted.filter((ordinal, at) => at === 0 || sorted[at - 1] !== ordinal));
  }

  private part({ field: name, operator, values }: Filter): Part {
    const field = this.fields.get(name);
    const all = this.live.count;
    if (operator === 'in' || operator === 'not_in') {
      const sets = field === undefined ? [] : [...new Set(values)].flatMap((text) => membersOfText(field, text));
      if (operator === 'not_in') return { atMost: all, outside: true, sets };
      return { atMost: total(sets), outside: false, sets };
    }
    const numbers = field?.numbers;
    if (numbers?.everyone === undefined) return { atMost: 0, outside: false, sets: [] };
    const bound = Number(values[0]);
    const spot = numbers.spotOf(bound, operator === '>' || operator === '<=');
    const below = operator === '<' || operator === '<=';
    const atMost = below ? numbers.countBetween(undefined, spot) : numbers.countBetween(spot, undefined);
    const within = numbers.everyone;
    // Whichever is less to go through.
    const outside = !this.isFew(atMost) && atMost * 2 > sizeOf(within);
    const sets: Members[] = [];
    const upTo = below !== outside;
    numbers.forEachBetween(upTo ? undefined : spot, upTo ? spot : undefined, (members) => sets.push(members));
    return { atMost, outside, sets, within };
  }

  /** The items of a part as words that may be read only; of any length. */
  private bits({ outside, sets, within }: Part): Int32Array {
    const [first] = sets;
    if (!outside && sets.length === 1 && first instanceof Bitmap) return first.words;
    if (outside && sets.length === 0 && within instanceof Bitmap) return within.words;
    const words = new Int32Array(this.live.words.length);
    if (outside) addTo(words, within ?? this.live);
    for (const members of sets) {
      if (outside) takeFrom(words, members);
      else addTo(words, members);
    }
    return words;
  }

  private add(name: string, value: MetadataValue, ordinal: number): void {
    let field = this.fields.get(name);
    if (field === undefined) {
      field = { texts: new ValueTable(), numbers: new NumberOrder() };
      this.fields.set(name, field);
    }
    if (typeof value === 'number') field.numbers.add(value, ordinal);
    else if (typeof value === 'object') for (const text of value) addText(field, text, ordinal);
    else addText(field, String(value), ordinal);
  }

  /** Takes the item out of what it had and `next` has not. */
  private drop(ordinal: number, former: Metadata, next: Metadata): void {
    for (const name of Object.keys(former)) {
      const value = former[name]!;
      const field = this.fields.get(name);
      if (field === undefined || isSame(ownValue(next, name), value)) continue;
      if (typeof value === 'number') field.numbers.remove(value, ordinal);
      else if (typeof value === 'object') for (const text of value) removeText(field, text, ordinal);
      else removeText(field, String(value), ordinal);
      if (field.texts.size === 0 && field.numbers.everyone === undefined) this.fields.delete(name);
    }
  }

  private isFew(items: number): boolean {
    return items * LISTED_ONE_IN <= this.live.count;
  }

  private metadataOf(ordinal: number): Metadata | undefined {
    return this.pages[ordinal >> PAGE_BITS]?.[ordinal & PAGE_MASK];
  }
}

/** A filter compares texts, and a number counts as the text it is written as. */
function membersOfText({ texts, numbers }: Field, text: string): Members[] {
  const number = Number(text);
  const found = [texts.get(text), String(number) === text ? numbers.get(number) : undefined];
  return found.filter((members) => members !== undefined);
}

function addText({ texts }: Field, text: string, ordinal: number): void {
  const members = texts.get(text);
  const changed = withMember(members, ordinal);
  if (changed !== members) texts.set(text, changed);
}

function removeText({ texts }: Field, text: string, ordinal: number): void {
  const members = texts.get(text);
  // Twice in one list of values it goes once.
  if (members === undefined) return;
  const changed = withoutMember(members, ordinal);
  if (changed === undefined) texts.delete(text);
  else if (changed !== members) texts.set(text, changed);
}

function addTo(words: Int32Array, members: Members): void {
  if (members instanceof Bitmap) {
    const bits = members.words;
    for (let at = 0; at < bits.length && at < words.length; at++) words[at]! |= bits[at]!;
  } else forEachMember(members, (ordinal) => (words[ordinal >> 5]! |= 1 << (ordinal & 31)));
}

function takeFrom(words: Int32Array, members: Members): void {
  if (members instanceof Bitmap) {
    const bits = members.words;
    for (let at = 0; at < bits.length && at < words.length; at++) words[at]! &= ~bits[at]!;
  } else forEachMember(members, (ordinal) => (words[ordinal >> 5]! &= ~(1 << (ordinal & 31))));
}

function total(sets: readonly Members[]): number {
  return sets.reduce<number>((sum, members) => sum + sizeOf(members), 0);
}

function ownValue(metadata: Metadata, field: string): MetadataValue | undefined {
  return Object.hasOwn(metadata, field) ? metadata[field] : undefined;
}

function isSame(a: MetadataValue | undefined, b: MetadataValue): boolean {
  if (typeof a !== 'object' || typeof b !== 'object') return a === b;
  return a.length === b.length && a.every((text, at) => text === b[at]);
}
