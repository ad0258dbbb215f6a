/**
 * Numbers of one field in ascending order, and who has them: chunks of up to 256 distinct numbers, found by their first.
 * A put moves the rest of one chunk; a range is read chunk by chunk.
 */
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

/** Where a number stands, or would: before the number at `at` of the chunk at `chunk`. */
interface Spot {
  readonly chunk: number;
  readonly at: number;
}

export class NumberOrder {
  private readonly chunks: Chunk[] = [];
  /** Items that have a number here, whichever. */
  everyone = NO_MEMBERS;
  private readonly pool: MemberPool;

  constructor(pool: MemberPool) {
    this.pool = pool;
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
      // Above all others.
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

  /** The item has this number. */
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

  /** The first number that is not below `bound`, or above it. */
  spotOf(bound: number, above: boolean): Spot {
    const spot = this.spot(bound);
    if (!above || this.chunks[spot.chunk]?.numbers[spot.at] !== bound) return spot;
    const next = { chunk: spot.chunk, at: spot.at + 1 };
    return next.at < this.chunks[spot.chunk]!.numbers.length ? next : { chunk: spot.chunk + 1, at: 0 };
  }

  /** Items with numbers from `from` on (undefined: from the first) to before `to` (undefined: to the last). */
  countBetween(from: Spot | undefined, to: Spot | undefined): number {
    let count = 0;
    this.forEachPart(from, to, (chunk, first, end) => {
      if (end - first === chunk.sets.length) count += chunk.items;
      else for (let at = first; at < end; at++) count += this.pool.sizeOf(chunk.sets[at]!);
    });
    return count;
  }

  forEachBetween(from: Spot | undefined, to: Spot | undefined, visit: (set: MemberSet) => void): void {
    this.forEachPart(from, to, (chunk, first, end) => {
      for (let at = first; at < end; at++) visit(chunk.sets[at]!);
    });
  }

  private forEachPart(
    from: Spot | undefined,
    to: Spot | undefined,
    visit: (chunk: Chunk, first: number, end: number) => void,
  ): void {
    const last = Math.min(to?.chunk ?? this.chunks.length, this.chunks.length - 1);
    for (let index = from?.chunk ?? 0; index <= last; index++) {
      const chunk = this.chunks[index]!;
      visit(chunk, index === from?.chunk ? from.at : 0, index === to?.chunk ? to.at : chunk.numbers.length);
    }
  }

  /** Where the number is; where it is not, the first above it; beyond the last chunk: it is above all. */
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
    // Numbers that come in order leave full chunks behind.
    const keep = index === this.chunks.length - 1 ? CHUNK : CHUNK / 2;
    const numbers = chunk.numbers.splice(keep);
    const sets = chunk.sets.splice(keep);
    const items = sets.reduce((sum, each) => sum + this.pool.sizeOf(each), 0);
    chunk.items -= items;
    this.chunks.splice(index + 1, 0, { numbers, sets, items });
  }
}
