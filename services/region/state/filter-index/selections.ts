/** Selections as a bitmap or an ascending list. */

import { grown } from '../memory/memory.ts';
import { anyBit, Bitmap, countBits, forEachBit } from './bitmap.ts';
import type { Selection } from './filter-index.ts';
import { lowerBound, type Members } from './member-pool.ts';

export function selectionOf(members: Members): Selection {
  return members instanceof Bitmap ? new BitSelection(members.words, members.count) : new ListSelection(members);
}

/** The selection with the item, or without it; the one that is given may be the same afterwards. */
export function changed(selection: Selection, ordinal: number, isIn: boolean): Selection {
  if (selection.has(ordinal) === isIn) return selection;
  if (selection.words === undefined) {
    const ordinals: number[] = [];
    selection.forEach((each) => {
      if (each !== ordinal) ordinals.push(each);
    });
    if (isIn) ordinals.push(ordinal);
    return new ListSelection(Int32Array.from(ordinals).sort());
  }
  const at = ordinal >> 5;
  const words = at < selection.words.length ? selection.words : grown(selection.words, at + 1);
  words[at]! ^= 1 << (ordinal & 31);
  return new BitSelection(words, selection.count + (isIn ? 1 : -1));
}

export class BitSelection implements Selection {
  readonly count: number;
  readonly words: Int32Array;

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

  kept(): Selection {
    return new BitSelection(this.words.slice(), this.count);
  }

  forEach(visit: (ordinal: number) => void): void {
    forEachBit(this.words, visit);
  }
}

export class ListSelection implements Selection {
  private readonly ordinals: Int32Array;

  /** Ascending, each once. */
  constructor(ordinals: Int32Array) {
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

  kept(): Selection {
    return new ListSelection(this.ordinals.slice());
  }

  forEach(visit: (ordinal: number) => void): void {
    const { ordinals } = this;
    for (let at = 0; at < ordinals.length; at++) visit(ordinals[at]!);
  }
}
