/**
 * Combines the sets of the filter index into the items that pass a filter.
 *
 * It starts from the most selective part. If that leaves few items, they are listed, and each is tested by its metadata; if it
 * leaves many, bitmaps are combined, 32 items a step. So a filter costs in proportion to its result, an eighth of a byte an item
 * for each part at most, plus the union of its values.
 *
 * It is done in steps, between which items may be indexed: what it reads is looked up in the step that uses it. The result is then
 * right for every item that was not indexed in between.
 */
import type { Metadata } from '../../../../shared/protocol/events.ts';
import { boundOf, type Comparison, compileFilters, type Filter } from '../../filter/filter.ts';
import { Bitmap } from './bitmap.ts';
import type { FieldTexts } from './field-texts.ts';
import type { Selection } from './filter-index.ts';
import { forEachMember, type MemberPool, type MemberSet, NO_MEMBERS } from './member-pool.ts';
import { type NumberOrder, type NumberRange, outside, rangeOf } from './number-order.ts';
import { BitSelection, ListSelection, selectionOf } from './selections.ts';

/**
 * A filter that leaves at most one in this many items is listed, not combined as bits, because testing an item decodes its
 * metadata.
 */
const LISTED_ONE_IN = 1_024;
/** Items tested in one step. */
const TESTED_AT_ONCE = 32;

/** Between two of them the caller may stop, and continue in a later turn. */
export type Steps<T> = Generator<undefined, T, undefined>;

/** The sets of one field. */
export interface Field {
  readonly texts: FieldTexts;
  readonly numbers: NumberOrder;
}

/** What is indexed. */
export interface IndexedSets {
  readonly live: Bitmap;
  readonly pool: MemberPool;
  readonly fields: ReadonlyMap<string, Field>;
  metadataOf(ordinal: number): Metadata | undefined;
}

/** A part of a combination: a comparison, the bounds of one field's numbers, or an expression. */
interface Part {
  /** All of them hold. */
  readonly filters: readonly Filter[];
  /** No more items than this. */
  readonly atMost: number;
  /** The items, in any order, and maybe others; only if they are few. */
  candidates(): readonly number[];
  /** Whether no candidate has to be tested. */
  readonly exact: boolean;
  /** The items as words of any length; read-only, and valid until the next step. */
  bits(): Steps<Int32Array>;
}

/** The selection as it is stored, if there is one for these filters: it costs nothing. */
export function storedSelection(
  { live, pool, fields }: IndexedSets,
  filters: readonly Filter[],
): Selection | undefined {
  if (filters.length === 0) return selectionOf(live);
  const filter = filters[0]!;
  if (filters.length > 1 || filter.operator !== 'in' || filter.values.length > 1) return undefined;
  const sets = setsOf(fields.get(filter.field), 'in', filter.values[0]!);
  return sets.length > 1 ? undefined : selectionOf(pool.read(sets[0] ?? NO_MEMBERS));
}

/** The items that pass all filters; at least one is given. */
export function combine(index: IndexedSets, filters: readonly Filter[]): Steps<Selection> {
  return new Combining(index).selection(filters);
}

/** The items of the selection that have none of these texts, each of which was read from an item. */
export function without(index: IndexedSets, selection: Selection, field: string, texts: readonly string[]): Selection {
  const ofField = index.fields.get(field);
  const words = selection.words?.slice() ?? new Int32Array(index.live.words.length);
  if (selection.words === undefined) selection.forEach((ordinal) => void addSet(words, index.pool, ordinal));
  for (const text of texts) {
    for (const set of setsOf(ofField, 'text', text)) clearSet(words, index.pool, set);
  }
  return new BitSelection(words);
}

class Combining {
  private readonly index: IndexedSets;

  constructor(index: IndexedSets) {
    this.index = index;
  }

  *selection(filters: readonly Filter[]): Steps<Selection> {
    const parts = yield* this.parts(filters);
    const [fewest, ...others] = parts as [Part, ...Part[]];
    if (!this.isFew(fewest.atMost)) return new BitSelection(yield* this.intersection(parts));
    const candidates = Int32Array.from(fewest.candidates()).sort();
    const test = compileFilters((fewest.exact ? others : parts).flatMap((part) => part.filters));
    const passing: number[] = [];
    for (const [at, ordinal] of candidates.entries()) {
      if (at % TESTED_AT_ONCE === TESTED_AT_ONCE - 1) yield;
      // An item with several values may be in several sets.
      if (at > 0 && candidates[at - 1] === ordinal) continue;
      const metadata = this.index.metadataOf(ordinal);
      if (metadata !== undefined && test(metadata)) passing.push(ordinal);
    }
    return new ListSelection(Int32Array.from(passing));
  }

  /**
   * The most selective first. One for each filter, but one for all bounds of one field's numbers: a range is smaller than its two
   * half-ranges.
   */
  private *parts(filters: readonly Filter[]): Steps<Part[]> {
    const parts: Part[] = [];
    const bounds = new Map<string, Comparison[]>();
    for (const filter of filters) {
      if (boundKind(filter) === 'number') {
        const { field } = filter as Comparison;
        bounds.set(field, [...(bounds.get(field) ?? []), filter as Comparison]);
      } else parts.push(yield* this.part(filter));
      yield;
    }
    for (const [field, comparisons] of bounds) {
      parts.push(this.range(field, comparisons));
      yield;
    }
    return parts.sort((a, b) => a.atMost - b.atMost);
  }

  private *part(filter: Filter): Steps<Part> {
    if ('filters' in filter) {
      return filter.operator === 'and' ? yield* this.all(filter.filters) : yield* this.any(filter.filters);
    }
    if ('filter' in filter) return this.not(yield* this.part(filter.filter), filter);
    if (filter.operator === 'not_in') return this.not(this.equal({ ...filter, operator: 'in' }), filter);
    return boundKind(filter) === undefined ? this.equal(filter) : this.range(filter.field, [filter]);
  }

  private *all(filters: readonly Filter[]): Steps<Part> {
    const parts = yield* this.parts(filters);
    const fewest = parts[0]!;
    return {
      filters,
      atMost: fewest.atMost,
      candidates: () => fewest.candidates(),
      exact: false,
      bits: () => this.intersection(parts),
    };
  }

  private *any(filters: readonly Filter[]): Steps<Part> {
    const { live } = this.index;
    const parts: Part[] = [];
    for (const filter of filters) {
      parts.push(yield* this.part(filter));
      yield;
    }
    const bits = function* (): Steps<Int32Array> {
      const words = new Int32Array(live.words.length);
      for (const part of parts) {
        addWords(words, yield* part.bits());
        yield;
      }
      return words;
    };
    return {
      filters: [{ operator: 'or', filters }],
      atMost: Math.min(
        live.count,
        parts.reduce((sum, { atMost }) => sum + atMost, 0),
      ),
      candidates: () => parts.flatMap((part) => part.candidates()),
      exact: parts.every(({ exact }) => exact),
      bits,
    };
  }

  private not(part: Part, filter: Filter): Part {
    const { live } = this.index;
    const bits = function* (): Steps<Int32Array> {
      const others = yield* part.bits();
      const words = live.words.slice();
      for (let at = 0; at < others.length && at < words.length; at++) words[at]! &= ~others[at]!;
      return words;
    };
    // They are few only if there were hardly any items when this was planned.
    const candidates = (): readonly number[] => {
      const ordinals: number[] = [];
      forEachMember(live, (ordinal) => void ordinals.push(ordinal));
      return ordinals;
    };
    return { filters: [filter], atMost: live.count, candidates, exact: false, bits };
  }

  private equal(filter: Comparison): Part {
    const { pool, fields } = this.index;
    const { field, operator, values } = filter;
    // Looked up each time: sets change from step to step.
    const sets = (value: string): readonly MemberSet[] => setsOf(fields.get(field), operator, value);
    const keys = operator === 'exists' ? [''] : values;
    const size = (value: string): number => sets(value).reduce((sum, set) => sum + pool.sizeOf(set), 0);
    const part = this.united({
      filters: [filter],
      atMost: keys.reduce((sum, value) => sum + size(value), 0),
      *sets() {
        for (const value of keys) yield sets(value);
      },
    });
    if (keys.length > 1) return part;
    const bits = function* (): Steps<Int32Array> {
      const found = sets(keys[0]!);
      const only = found.length === 1 ? pool.read(found[0]!) : undefined;
      return only instanceof Bitmap ? only.words : yield* part.bits();
    };
    return { ...part, bits };
  }

  /** Comparisons of one field with bounds, either all with numbers, or one with times. */
  private range(name: string, comparisons: readonly Comparison[]): Part {
    const { live, pool, fields } = this.index;
    const range = rangeOf(comparisons);
    const ofTimes = boundKind(comparisons[0]!) === 'time';
    const order = (): NumberOrder | undefined => {
      const field = fields.get(name);
      return ofTimes ? field?.texts.times : field?.numbers;
    };
    const sets = function* (whole: NumberRange): SetsInSteps {
      let left: NumberRange | undefined = whole;
      while (left !== undefined) {
        const found: MemberSet[] = [];
        left = order()?.visit(left, (set) => void found.push(set));
        yield found;
      }
    };
    const atMost = order()?.countIn(range) ?? 0;
    const part = this.united({ filters: comparisons, atMost, sets: () => sets(range) });
    const everyone = (): MemberSet => order()?.everyone ?? NO_MEMBERS;
    // An item of several times may be both in the range and outside it.
    if (ofTimes || this.isFew(atMost) || atMost * 2 <= pool.sizeOf(everyone())) return part;
    // The complement is the smaller one.
    const bits = function* (): Steps<Int32Array> {
      const words = new Int32Array(live.words.length);
      addSet(words, pool, everyone());
      for (const each of outside(range)) {
        for (const found of sets(each)) {
          for (const set of found) clearSet(words, pool, set);
          yield;
        }
      }
      return words;
    };
    return { ...part, bits };
  }

  /** The union of sets. */
  private united({ filters, atMost, sets }: United): Part {
    const { live, pool } = this.index;
    const bits = function* (): Steps<Int32Array> {
      const words = new Int32Array(live.words.length);
      for (const found of sets()) {
        for (const set of found) addSet(words, pool, set);
        yield;
      }
      return words;
    };
    const candidates = (): readonly number[] => {
      const ordinals: number[] = [];
      for (const found of sets()) {
        for (const set of found) forEachMember(pool.read(set), (ordinal) => void ordinals.push(ordinal));
      }
      return ordinals;
    };
    return { filters, atMost, candidates, exact: true, bits };
  }

  private *intersection(parts: readonly Part[]): Steps<Int32Array> {
    const { live } = this.index;
    let words: Int32Array | undefined;
    for (const part of parts) {
      const bits = yield* part.bits();
      if (words === undefined) words = bits.slice(0, live.words.length);
      else {
        const both = Math.min(words.length, bits.length);
        for (let at = 0; at < both; at++) words[at]! &= bits[at]!;
        words.fill(0, both);
      }
      yield;
    }
    return words!;
  }

  private isFew(items: number): boolean {
    return items * LISTED_ONE_IN <= this.index.live.count;
  }
}

interface United extends Pick<Part, 'filters' | 'atMost'> {
  readonly sets: () => SetsInSteps;
}

/** Sets that are looked up when the ones before were used. */
type SetsInSteps = Generator<readonly MemberSet[], void, undefined>;

/** The sets of the items whose value equals this one; with `exists` those of all items that have any. */
function setsOf(
  field: Field | undefined,
  operator: Comparison['operator'] | 'text',
  value: string,
): readonly MemberSet[] {
  if (field === undefined) return [];
  const { texts, numbers } = field;
  const found: MemberSet[] = [];
  if (operator === 'exists') found.push(texts.everyone, numbers.everyone);
  else if (operator === 'text') {
    const number = Number(value);
    found.push(texts.get(value), String(number) === value ? numbers.get(number) : NO_MEMBERS);
  } else {
    if (operator === 'same_letters') found.push(...texts.sameLetters(value));
    else found.push(texts.get(value));
    const bound = boundOf(value);
    if (bound !== undefined) found.push((bound.of === 'number' ? numbers : texts.times).get(bound.at));
  }
  return found.filter((set) => set !== NO_MEMBERS);
}

/** What it bounds; undefined if it is another comparison. */
function boundKind(filter: Filter): 'number' | 'time' | undefined {
  if ('filters' in filter || 'filter' in filter || !bounding.has(filter.operator)) return undefined;
  return boundOf(filter.values[0]!)!.of;
}

const bounding: ReadonlySet<Comparison['operator']> = new Set(['between', '>=', '<=', '>', '<']);

function addWords(words: Int32Array, bits: Int32Array): void {
  for (let at = 0; at < bits.length && at < words.length; at++) words[at]! |= bits[at]!;
}

function addSet(words: Int32Array, pool: MemberPool, set: MemberSet): void {
  if (set >= 0) words[set >> 5]! |= 1 << (set & 31);
  else {
    const members = pool.read(set);
    if (members instanceof Bitmap) addWords(words, members.words);
    else for (const ordinal of members) words[ordinal >> 5]! |= 1 << (ordinal & 31);
  }
}

function clearSet(words: Int32Array, pool: MemberPool, set: MemberSet): void {
  if (set >= 0) words[set >> 5]! &= ~(1 << (set & 31));
  else {
    const members = pool.read(set);
    if (members instanceof Bitmap) {
      const bits = members.words;
      for (let at = 0; at < bits.length && at < words.length; at++) words[at]! &= ~bits[at]!;
    } else for (const ordinal of members) words[ordinal >> 5]! &= ~(1 << (ordinal & 31));
  }
}
