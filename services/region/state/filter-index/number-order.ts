/**
 * Numbers of one field in ascending order, with their sets of items: chunks of up to 256 distinct numbers, found by their first.
 * A put moves the rest of one chunk; a range is read chunk by chunk.
 */
import { boundOf, type Comparison } from '../../filter/filter.ts';
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

/** Before a number, or behind it. Stays right while numbers are added and removed. */
interface Edge {
  readonly number: number;
  readonly behind: boolean;
}

export interface NumberRange {
  readonly from: Edge;
  readonly to: Edge;
}

const FIRST: Edge = { number: Number.NEGATIVE_INFINITY, behind: false };
const END: Edge = { number: Number.POSITIVE_INFINITY, behind: true };

function isBefore(a: Edge, b: Edge): boolean {
  return a.number < b.number || (a.number === b.number && !a.behind && b.behind);
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
  /** The items with any number. */
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

  /** In ascending order. Nothing may be changed in between. */
  *entries(): Generator<readonly [number: number, set: MemberSet]> {
    for (const { numbers, sets } of this.chunks) {
      for (let at = 0; at < numbers.length; at++) yield [numbers[at]!, sets[at]!];
    }
  }

  get(number: number): MemberSet {
    const { chunk, at } = this.spot(number);
    const found = this.chunks[chunk];
    return found?.numbers[at] === number ? found.sets[at]! : NO_MEMBERS;
  }

  /** Idempotent. */
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
    if (chunk.numbers[at] === number) {
      const size = this.pool.sizeOf(chunk.sets[at]!);
      chunk.sets[at] = this.pool.with(chunk.sets[at]!, ordinal);
      chunk.items += this.pool.sizeOf(chunk.sets[at]!) - size;
      return;
    }
    chunk.items++;
    chunk.numbers.splice(at, 0, number);
    chunk.sets.splice(at, 0, ordinal);
    if (chunk.numbers.length > CHUNK) this.split(index);
  }

  /** Removes the item from this number. Idempotent. */
  remove(number: number, ordinal: number): void {
    this.everyone = this.pool.without(this.everyone, ordinal);
    const { chunk: index, at } = this.spot(number);
    const chunk = this.chunks[index];
    if (chunk?.numbers[at] !== number) return;
    const size = this.pool.sizeOf(chunk.sets[at]!);
    const left = this.pool.without(chunk.sets[at]!, ordinal);
    chunk.items += this.pool.sizeOf(left) - size;
    if (left !== NO_MEMBERS) {
      chunk.sets[at] = left;
      return;
    }
    chunk.numbers.splice(at, 1);
    chunk.sets.splice(at, 1);
    if (chunk.numbers.length === 0) this.chunks.splice(index, 1);
  }

  /** Number of items in the range; one with several numbers may count for each. */
  countIn({ from, to }: NumberRange): number {
    const [first, end] = [this.spotOf(from), this.spotOf(to)];
    let count = 0;
    for (let index = first.chunk; index <= end.chunk && index < this.chunks.length; index++) {
      const { sets, items } = this.chunks[index]!;
      const firstAt = index === first.chunk ? first.at : 0;
      const endAt = index === end.chunk ? end.at : sets.length;
      if (endAt - firstAt === sets.length) count += items;
      else for (let at = firstAt; at < endAt; at++) count += this.pool.sizeOf(sets[at]!);
    }
    return count;
  }

  /** Visits the sets of some numbers, in ascending order; returns the range that is left, undefined if there is none. */
  visit({ from, to }: NumberRange, visit: (set: MemberSet) => void): NumberRange | undefined {
    const [first, end] = [this.spotOf(from), this.spotOf(to)];
    const chunk = this.chunks[first.chunk];
    if (chunk === undefined || first.chunk > end.chunk) return undefined;
    const isLast = first.chunk === end.chunk;
    const endAt = isLast ? end.at : chunk.sets.length;
    for (let at = first.at; at < endAt; at++) visit(chunk.sets[at]!);
    return isLast ? undefined : { from: { number: chunk.numbers[endAt - 1]!, behind: true }, to };
  }

  private spotOf({ number, behind }: Edge): Spot {
    const spot = this.spot(number);
    if (!behind || this.chunks[spot.chunk]?.numbers[spot.at] !== number) return spot;
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

/** The range that all of these leave, each of which bounds the numbers of one field. */
export function rangeOf(comparisons: readonly Comparison[]): NumberRange {
  let [from, to] = [FIRST, END];
  for (const { operator, values } of comparisons) {
    const [number, last = number] = values.map((text) => boundOf(text)!.at) as [number, number | undefined];
    if (operator === '>' || operator === '>=' || operator === 'between') {
      const edge = { number, behind: operator === '>' };
      if (isBefore(from, edge)) from = edge;
    }
    if (operator === '<' || operator === '<=' || operator === 'between') {
      const edge = { number: last, behind: operator !== '<' };
      if (isBefore(edge, to)) to = edge;
    }
  }
  return isBefore(from, to) ? { from, to } : { from, to: from };
}

/** The ranges before it and after it. */
export function outside({ from, to }: NumberRange): readonly NumberRange[] {
  return [
    { from: FIRST, to: from },
    { from: to, to: END },
  ];
}
