/**
 * How many items of a set have each value of a field: the sets of the values, one after another. Nothing may be indexed between
 * the steps.
 */
import type { Steps } from '../../../../shared/kernel/steps.ts';
import type { MetadataValue } from '../../../../shared/protocol/events.ts';
import { comparable, textsOf } from '../../filter/filter.ts';
import { textHash } from '../../metadata/metadata.ts';
import { Bitmap, countBits } from './bitmap.ts';
import type { Field } from './combining.ts';
import type { CountedRange, ValueCounts } from './filter-index.ts';
import { forEachMember, type MemberPool, type MemberSet } from './member-pool.ts';
import type { NumberOrder } from './number-order.ts';

/** Work of one step, in items and values. */
const STEP = 8_192;

export interface CountValuesOptions {
  readonly pool: MemberPool;
  readonly field: Field;
  /** The value of the field of an item. */
  readonly valueIn: (ordinal: number) => MetadataValue | undefined;
  /** The set: one bit an ordinal; any length. */
  readonly words: Int32Array;
  /** How many of the values with the highest counts are wanted. */
  readonly limit: number;
  readonly ranges: readonly CountedRange[];
}

export function* countValues(options: CountValuesOptions): Steps<ValueCounts> {
  const { pool, field, valueIn, words, limit, ranges } = options;
  const has = (ordinal: number): boolean => ((words[ordinal >> 5] ?? 0) & (1 << (ordinal & 31))) !== 0;
  let work = 0;
  const count = (set: MemberSet): number => {
    work++;
    if (set >= 0) return has(set) ? 1 : 0;
    const members = pool.read(set);
    if (members instanceof Bitmap) {
      work += members.words.length;
      return countBits(common(members.words, words));
    }
    work += members.length;
    let found = 0;
    for (let at = 0; at < members.length; at++) if (has(members[at]!)) found++;
    return found;
  };
  const numbers = new Top<number>(limit);
  const texts = new Top<string>(limit);
  let min: number | undefined;
  let max: number | undefined;
  const inRange = ranges.map(() => 0);
  const union = ranges.map(() => undefined as Int32Array | undefined);
  for (const [indexed, set] of field.numbers.entries()) {
    // −0 is 0.
    const number = indexed + 0;
    const items = count(set);
    if (items > 0) {
      numbers.add(number, items);
      min ??= number;
      max = number;
      for (const [at, { of, from, to }] of ranges.entries()) {
        if (of === 'number' && number >= from && number < to) inRange[at]! += items;
      }
    }
    if (work < STEP) continue;
    work = 0;
    yield;
  }
  // An item may have several times.
  if (ranges.some(({ of }) => of === 'time')) {
    for (const [time, set] of field.texts.times.entries()) {
      for (const [at, { of, from, to }] of ranges.entries()) {
        if (of !== 'time' || time < from || time >= to) continue;
        union[at] ??= new Int32Array(words.length);
        work += addCommon(union[at]!, pool, set, words);
      }
      if (work++ < STEP) continue;
      work = 0;
      yield;
    }
  }
  if (ranges.length === 0) {
    const single: { readonly ordinal: number; readonly hash: number }[] = [];
    for (const { text, hash, set } of field.texts.entries()) {
      const items = count(set);
      if (items > 0 && text !== undefined) texts.add(text, items);
      else if (items > 0) single.push({ ordinal: set, hash });
      if (work < STEP) continue;
      work = 0;
      yield;
    }
    // Values of one item are read from it, unless there are enough others.
    if (!texts.isFullAbove(1)) {
      for (const { ordinal, hash } of single) {
        const forms = textsOf(valueIn(ordinal)).map(comparable);
        const text = forms.find((form) => textHash(form) === hash);
        if (text !== undefined) texts.add(text, 1);
        work += 64;
        if (work < STEP) continue;
        work = 0;
        yield;
      }
    }
  }
  return {
    numbers: numbers.best(),
    texts: texts.best(),
    ranges: inRange.map((items, at) => items + (union[at] === undefined ? 0 : countBits(union[at]!))),
    ...(min === undefined ? {} : { min, max: max! }),
  };
}

/** By ordinal: the number of the item, NaN: none. */
export function* numberColumn(pool: MemberPool, numbers: NumberOrder, size: number): Steps<Float64Array> {
  const column = new Float64Array(size).fill(Number.NaN);
  let work = 0;
  for (const [number, set] of numbers.entries()) {
    const members = set >= 0 ? undefined : pool.read(set);
    if (members === undefined) column[set] = number;
    else
      forEachMember(members, (ordinal) => {
        column[ordinal] = number;
      });
    work += pool.sizeOf(set);
    if (work < STEP) continue;
    work = 0;
    yield;
  }
  return column;
}

function common(a: Int32Array, b: Int32Array): Int32Array {
  return a.slice(0, b.length).map((word, at) => word & b[at]!);
}

/** Returns the work. */
function addCommon(to: Int32Array, pool: MemberPool, set: MemberSet, words: Int32Array): number {
  const members = pool.read(set);
  if (members instanceof Bitmap) {
    const both = common(members.words, words);
    for (let at = 0; at < both.length; at++) to[at]! |= both[at]!;
    return both.length;
  }
  for (const ordinal of members) {
    if (ordinal >> 5 < words.length) to[ordinal >> 5]! |= words[ordinal >> 5]! & (1 << (ordinal & 31));
  }
  return members.length;
}

/** The values with the highest counts; of equal ones the lower values. */
class Top<V extends string | number> {
  private readonly limit: number;
  private counts: (readonly [value: V, count: number])[] = [];

  constructor(limit: number) {
    this.limit = limit;
  }

  add(value: V, count: number): void {
    if (this.counts.push([value, count]) >= 2 * this.limit + 256) this.counts = this.best();
  }

  /** Whether as many as are wanted have a higher count. */
  isFullAbove(count: number): boolean {
    this.counts = this.best();
    return this.counts.length === this.limit && this.counts.at(-1)![1] > count;
  }

  best(): (readonly [value: V, count: number])[] {
    return this.counts.sort(([a, m], [b, n]) => n - m || (a < b ? -1 : 1)).slice(0, this.limit);
  }
}
