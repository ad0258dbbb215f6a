/**
 * Numbers of one field in ascending order, with their sets of items: chunks of up to 256 distinct numbers, found by their first.
 * A put moves the rest of one chunk; a range is read chunk by chunk.
 */
import type { Filter } from '../../filter/filter.ts';
import { type MemberPool, type MemberSet, NO_MEMBERS } from './member-pool.ts';

const CHUNK = 256;

interface Chunk {
  /** Ascending, distinct. */
  readonly numbers: number[];
  /** In the order of `numbers`. */
  readonly sets: MemberSet[];
  /** Items in all of them. */
  items: number;
}

/** The position of a number, or where it would be inserted: before the number at `at` of the chunk at `chunk`. */
interface Spot {
  readonly chunk: number;
  readonly at: number;
}

/** From a number on to before another one. */
export interface NumberRange {
  readonly from: Spot;
  readonly to: Spot;
}

function isBefore(a: Spot, b: Spot): boolean {
  return a.chunk < b.chunk || (a.chunk === b.chunk && a.at < b.at);
}

/** An order as plain data: its chunks one after another; `sets` are those of the pool that is transferred with it. */
export interface NumberOrderImage {
  readonly numbers: Float64Array;
  readonly sets: Int32Array;
  /** For each chunk: its end in `numbers`, and its items. */
  readonly ends: readonly number[];
  readonly items: readonly number[];
  readonly everyone: MemberSet;
}

/** The pool of the sets; with a gathering the order is only added to. */
export type NumberSets = Pick<MemberPool, 'sizeOf' | 'with' | 'without'>;

export class NumberOrder {
  private readonly chunks: Chunk[] = [];
  /** Number of items with any number. */
  everyone = NO_MEMBERS;
  private readonly pool: NumberSets;

  constructor(pool: NumberSets, image?: NumberOrderImage) {
    this.pool = pool;
    if (image === undefined) return;
    const { numbers, sets, ends, items } = image;
    this.everyone = image.everyone;
    for (const [index, end] of ends.entries()) {
      const from = index === 0 ? 0 : ends[index - 1]!;
      this.chunks.push({
        numbers: Array.from(numbers.subarray(from, end)),
        sets: Array.from(sets.subarray(from, end)),
        items: items[index]!,
      });
    }
  }

  /** Replaces each set by `become` of it. */
  image(become: (set: MemberSet) => MemberSet): NumberOrderImage {
    const { chunks } = this;
    const ends: number[] = [];
    for (const { numbers } of chunks) ends.push((ends.at(-1) ?? 0) + numbers.length);
    return {
      numbers: Float64Array.from(chunks.flatMap(({ numbers }) => numbers)),
      sets: Int32Array.from(chunks.flatMap(({ sets }) => sets.map(become))),
      ends,
      items: chunks.map(({ items }) => items),
      everyone: become(this.everyone),
    };
  }

  get(number: number): MemberSet {
    const { chunk, at } = this.spot(number);
    const found = this.chunks[chunk];
    return found?.numbers[at] === number ? found.sets[at]! : NO_MEMBERS;
  }

  add(number: number, ordinal: number): void {
    this.everyone = this.pool.with(this.everyone, ordinal);
    if (this.chunks.length === 0) this.chunks.push({ numbers: [], sets: [], items: 0 });
    let { chunk: index, at } = this.spot(number);
    if (index === this.chunks.length) {
      // Adds a number above all others.
      index--;
      at = this.chunks[index]!.numbers.length;
    }
    const chunk = this.chunks[index]!;
    chunk.items++;
    if (chunk.numbers[at] === number) {
      chunk.sets[at] = this.pool.with(chunk.sets[at]!, ordinal);
      return;
    }
    chunk.numbers.splice(at, 0, number);
    chunk.sets.splice(at, 0, ordinal);
    if (chunk.numbers.length > CHUNK) this.split(index);
  }

  /** Adds the item to this number. */
  remove(number: number, ordinal: number): void {
    this.everyone = this.pool.without(this.everyone, ordinal);
    const { chunk: index, at } = this.spot(number);
    const chunk = this.chunks[index]!;
    const left = this.pool.without(chunk.sets[at]!, ordinal);
    chunk.items--;
    if (left !== NO_MEMBERS) {
      chunk.sets[at] = left;
      return;
    }
    chunk.numbers.splice(at, 1);
    chunk.sets.splice(at, 1);
    if (chunk.numbers.length === 0) this.chunks.splice(index, 1);
  }

  /** The range that all of the filters, each of which bounds a number, leave. */
  range(filters: readonly Filter[]): NumberRange {
    let from: Spot = { chunk: 0, at: 0 };
    let to: Spot = { chunk: this.chunks.length, at: 0 };
    for (const { operator, values } of filters) {
      const spot = this.spotOf(Number(values[0]), operator === '>' || operator === '<=');
      if (operator === '>' || operator === '>=') from = isBefore(from, spot) ? spot : from;
      else to = isBefore(spot, to) ? spot : to;
    }
    return isBefore(from, to) ? { from, to } : { from, to: from };
  }

  /** Number of items in the range. */
  countIn({ from, to }: NumberRange): number {
    let count = 0;
    for (let index = from.chunk; index <= to.chunk && index < this.chunks.length; index++) {
      const { sets, items } = this.chunks[index]!;
      const first = index === from.chunk ? from.at : 0;
      const end = index === to.chunk ? to.at : sets.length;
      if (end - first === sets.length) count += items;
      else for (let at = first; at < end; at++) count += this.pool.sizeOf(sets[at]!);
    }
    return count;
  }

  forEachIn({ from, to }: NumberRange, visit: (set: MemberSet) => void): void {
    for (let index = from.chunk; index <= to.chunk && index < this.chunks.length; index++) {
      const { sets } = this.chunks[index]!;
      const end = index === to.chunk ? to.at : sets.length;
      for (let at = index === from.chunk ? from.at : 0; at < end; at++) visit(sets[at]!);
    }
  }

  forEachOutside({ from, to }: NumberRange, visit: (set: MemberSet) => void): void {
    this.forEachIn({ from: { chunk: 0, at: 0 }, to: from }, visit);
    this.forEachIn({ from: to, to: { chunk: this.chunks.length, at: 0 } }, visit);
  }

  /** The first number that is not below `bound`, or above it. */
  private spotOf(bound: number, above: boolean): Spot {
    const spot = this.spot(bound);
    if (!above || this.chunks[spot.chunk]?.numbers[spot.at] !== bound) return spot;
    const next = { chunk: spot.chunk, at: spot.at + 1 };
    return next.at < this.chunks[spot.chunk]!.numbers.length ? next : { chunk: spot.chunk + 1, at: 0 };
  }

  /** The position of the number; if it is absent, of the first above it; beyond the last chunk if it is above all. */
  private spot(number: number): Spot {
    const { chunks } = this;
    let low = 0;
    let high = chunks.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      const { numbers } = chunks[middle]!;
      if (numbers[numbers.length - 1]! < number) low = middle + 1;
      else high = middle;
    }
    const numbers = chunks[low]?.numbers;
    if (numbers === undefined) return { chunk: low, at: 0 };
    let from = 0;
    let to = numbers.length;
    while (from < to) {
      const middle = (from + to) >> 1;
      if (numbers[middle]! < number) from = middle + 1;
      else to = middle;
    }
    return { chunk: low, at: from };
  }

  private split(index: number): void {
    const chunk = this.chunks[index]!;
    // Numbers added in ascending order leave full chunks.
    const keep = index === this.chunks.length - 1 ? CHUNK : CHUNK / 2;
    const numbers = chunk.numbers.splice(keep);
    const sets = chunk.sets.splice(keep);
    const items = sets.reduce((sum, each) => sum + this.pool.sizeOf(each), 0);
    chunk.items -= items;
    this.chunks.splice(index + 1, 0, { numbers, sets, items });
  }
}
