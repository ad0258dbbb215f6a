/** Selections as a bitmap or an ascending list. */
import { anyBit, Bitmap, countBits, forEachBit } from './bitmap.ts';
import type { Selection } from './facets.ts';
import { lowerBound, type Members } from './members.ts';

export function selectionOf(members: Members | undefined): Selection {
  if (members === undefined) return new ListSelection([]);
  if (members instanceof Bitmap) return new BitSelection(members.words, members.count);
  return new ListSelection(typeof members === 'number' ? [members] : members);
}

export class BitSelection implements Selection {
  readonly count: number;
  private readonly words: Int32Array;

  constructor(words: Int32Array, count = countBits(words)) {
    this.words = words;
    this.count = count;
  }

  has(ordinal: number): boolean {
    return (this.words[ordinal >> 5]! & (1 << (ordinal & 31))) !== 0;
  }

  any(first: number, end: number): boolean {
    return anyBit(this.words, first, end);
  }

  forEach(visit: (ordinal: number) => void): void {
    forEachBit(this.words, visit);
  }
}

export class ListSelection implements Selection {
  private readonly ordinals: ArrayLike<number>;

  /** Ascending, each once. */
  constructor(ordinals: ArrayLike<number>) {
    this.ordinals = ordinals;
  }

  get count(): number {
    return this.ordinals.length;
  }

  has(ordinal: number): boolean {
    return this.ordinals[lowerBound(this.ordinals, ordinal)] === ordinal;
  }

  any(first: number, end: number): boolean {
    // Beyond the last there is nothing, and nothing is below any bound.
    return this.ordinals[lowerBound(this.ordinals, first)]! < end;
  }

  forEach(visit: (ordinal: number) => void): void {
    const { ordinals } = this;
    for (let at = 0; at < ordinals.length; at++) visit(ordinals[at]!);
  }
}
