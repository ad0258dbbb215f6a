/** Selections as a bitmap or an ascending list. */

import { grown } from '../memory/memory.ts';
import { anyBit, Bitmap, countBits, forEachBit } from './bitmap.ts';
import type { LiveItems, Selection } from './filter-index.ts';
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

/** A selection without some ordinals: costs in proportion to these alone, until its words are asked for. */
export class ExceptSelection implements Selection {
  private readonly base: Selection;
  private readonly left: ReadonlySet<number>;
  private made: Int32Array | undefined;

  constructor(base: Selection, left: ReadonlySet<number>) {
    this.base = base;
    this.left = left;
  }

  get count(): number {
    let { count } = this.base;
    for (const ordinal of this.left) if (this.base.has(ordinal)) count--;
    return count;
  }

  get words(): Int32Array | undefined {
    if (this.made !== undefined || this.base.words === undefined) return this.made;
    this.made = this.base.words.slice();
    for (const ordinal of this.left) {
      if (ordinal >> 5 < this.made.length) this.made[ordinal >> 5]! &= ~(1 << (ordinal & 31));
    }
    return this.made;
  }

  has(ordinal: number): boolean {
    return this.base.has(ordinal) && !this.left.has(ordinal);
  }

  /** True also of ordinals that are all left out. */
  any(first: number, end: number): boolean {
    return this.base.any(first, end);
  }

  kept(): Selection {
    return new ExceptSelection(this.base.kept(), this.left);
  }

  forEach(visit: (ordinal: number) => void): void {
    this.base.forEach((ordinal) => {
      if (!this.left.has(ordinal)) visit(ordinal);
    });
  }
}

/** Every live item, also those that are not indexed yet. */
export class EveryItem implements Selection {
  private readonly items: LiveItems;
  private readonly entities: { readonly size: number };

  constructor(items: LiveItems, entities: { readonly size: number }) {
    this.items = items;
    this.entities = entities;
  }

  get count(): number {
    return this.items.size;
  }

  has(ordinal: number): boolean {
    return this.items.createdMs(ordinal) >= 0;
  }

  any(): boolean {
    return true;
  }

  kept(): Selection {
    return this;
  }

  forEach(visit: (ordinal: number) => void): void {
    for (let ordinal = 0; ordinal < this.entities.size; ordinal++) if (this.has(ordinal)) visit(ordinal);
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
