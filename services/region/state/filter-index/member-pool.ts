/**
 * Sets of ordinals, one for each value: each in the form that is smallest for its number of members, and none of them an object
 * of its own while it is small. A set is identified by a number:
 *
 *     ordinal ≥ 0                 that ordinal alone
 *     negative                    ~(index · 32 + class): an ascending list in a block of 4 · 2^class words, its length first; class 31: a bitmap
 *
 * Blocks of one class are allocated from slabs, and freed to their class. A list becomes a bitmap when it has more than one in 64
 * ordinals, where inserting would take longer and the bitmap takes 8 bytes a member at most; a bitmap becomes a list again at
 * half of that.
 *
 * Every change returns the set's new number; the former one may then belong to another set.
 */
import { Bitmap, type BitmapImage, forEachBit } from './bitmap.ts';

export type MemberSet = number;
/** A set read at once: dense ones as bits, others in ascending order. */
export type Members = Bitmap | Int32Array;

export const NO_MEMBERS: MemberSet = -0x80000000;

const CLASS_BITS = 5;
const CLASS_MASK = (1 << CLASS_BITS) - 1;
const BITMAP = CLASS_MASK;
const FIRST_WORDS = 4;
const SLAB_WORDS = 1 << 14;
const BITS_A_MEMBER = 64;
const LEAST_BITMAP = 64;

/** Blocks of one size. */
interface SizeClass {
  readonly words: number;
  readonly blocksASlab: number;
  readonly slabs: Int32Array[];
  readonly free: number[];
  used: number;
}

/** A pool as plain data, for the transfer between threads. */
export interface MemberPoolImage {
  readonly classes: SizeClass[];
  readonly bitmaps: (BitmapImage | undefined)[];
  readonly freeBitmaps: number[];
}

export class MemberPool {
  private readonly classes: SizeClass[];
  private readonly bitmaps: (Bitmap | undefined)[];
  private readonly freeBitmaps: number[];

  constructor({ classes, bitmaps, freeBitmaps }: MemberPoolImage = { classes: [], bitmaps: [], freeBitmaps: [] }) {
    this.classes = classes;
    this.bitmaps = bitmaps.map((image) => image && Bitmap.of(image));
    this.freeBitmaps = freeBitmaps;
  }

  image(): MemberPoolImage {
    const { classes, freeBitmaps } = this;
    return { classes, bitmaps: this.bitmaps.map((bitmap) => bitmap?.image()), freeBitmaps };
  }

  sizeOf(set: MemberSet): number {
    if (set >= 0) return 1;
    if (set === NO_MEMBERS) return 0;
    const bitmap = this.bitmapOf(set);
    if (bitmap !== undefined) return bitmap.count;
    const { slab, start } = this.blockOf(set);
    return slab[start]!;
  }

  /** The lowest of them. Not for {@link NO_MEMBERS}. */
  lowestOf(set: MemberSet): number {
    if (set >= 0) return set;
    const bitmap = this.bitmapOf(set);
    if (bitmap !== undefined) return bitmap.lowest();
    const { slab, start } = this.blockOf(set);
    return slab[start + 1]!;
  }

  /** Valid until the next change. */
  read(set: MemberSet): Members {
    if (set >= 0) return Int32Array.of(set);
    if (set === NO_MEMBERS) return new Int32Array(0);
    const bitmap = this.bitmapOf(set);
    if (bitmap !== undefined) return bitmap;
    const { slab, start } = this.blockOf(set);
    return slab.subarray(start + 1, start + 1 + slab[start]!);
  }

  with(set: MemberSet, ordinal: number): MemberSet {
    if (set === NO_MEMBERS || set === ordinal) return ordinal;
    if (set >= 0) {
      const pair = this.takeBlock(0);
      const { slab, start } = this.blockOf(pair);
      slab[start] = 2;
      slab[start + 1] = Math.min(set, ordinal);
      slab[start + 2] = Math.max(set, ordinal);
      return pair;
    }
    const bitmap = this.bitmapOf(set);
    if (bitmap !== undefined) {
      bitmap.add(ordinal);
      return set;
    }
    const block = this.blockOf(set);
    const length = block.slab[block.start]!;
    const first = block.start + 1;
    const place = lowerBound(block.slab, ordinal, first, first + length);
    if (place < first + length && block.slab[place] === ordinal) return set;
    const highest = Math.max(ordinal, block.slab[first + length - 1]!);
    if (length >= LEAST_BITMAP && length * BITS_A_MEMBER > highest) return this.toBitmap(set, ordinal, highest);
    let { slab, start } = block;
    let grown = set;
    let at = place;
    if (length + 1 === block.words) {
      grown = this.takeBlock((~set & CLASS_MASK) + 1);
      const larger = this.blockOf(grown);
      larger.slab.set(slab.subarray(start, start + length + 1), larger.start);
      this.giveBack(set);
      at = place - start + larger.start;
      ({ slab, start } = larger);
    }
    slab.copyWithin(at + 1, at, start + 1 + length);
    slab[at] = ordinal;
    slab[start] = length + 1;
    return grown;
  }

  without(set: MemberSet, ordinal: number): MemberSet {
    if (set >= 0 || set === NO_MEMBERS) return set === ordinal ? NO_MEMBERS : set;
    const bitmap = this.bitmapOf(set);
    if (bitmap !== undefined) {
      bitmap.delete(ordinal);
      const { count } = bitmap;
      const dense = count * BITS_A_MEMBER * 2 > bitmap.words.length * 32 && count > LEAST_BITMAP / 2;
      return dense ? set : this.toList(set, bitmap);
    }
    const { slab, start } = this.blockOf(set);
    const end = start + 1 + slab[start]!;
    const place = lowerBound(slab, ordinal, start + 1, end);
    if (place === end || slab[place] !== ordinal) return set;
    slab.copyWithin(place, place + 1, end);
    slab[start]!--;
    if (slab[start]! > 1) return set;
    const last = slab[start + 1]!;
    this.giveBack(set);
    return last;
  }

  /** Creates a set of these, each once, in any order; they are sorted in place. */
  of(ordinals: Int32Array): MemberSet {
    const { length } = ordinals;
    if (length === 0) return NO_MEMBERS;
    if (length === 1) return ordinals[0]!;
    let highest = 0;
    for (let at = 0; at < length; at++) highest = Math.max(highest, ordinals[at]!);
    if (length > LEAST_BITMAP && length * BITS_A_MEMBER > highest) {
      const bitmap = new Bitmap(highest);
      for (let at = 0; at < length; at++) bitmap.add(ordinals[at]!);
      return this.keep(bitmap);
    }
    const list = this.takeBlock(classFor(length));
    const { slab, start } = this.blockOf(list);
    slab[start] = length;
    slab.set(ordinals.sort(), start + 1);
    return list;
  }

  private toBitmap(set: MemberSet, ordinal: number, highest: number): MemberSet {
    const bitmap = new Bitmap(highest);
    for (const member of this.read(set) as Int32Array) bitmap.add(member);
    bitmap.add(ordinal);
    this.giveBack(set);
    return this.keep(bitmap);
  }

  private keep(bitmap: Bitmap): MemberSet {
    const place = this.freeBitmaps.pop() ?? this.bitmaps.length;
    this.bitmaps[place] = bitmap;
    return ~((place << CLASS_BITS) | BITMAP);
  }

  /** Of a bitmap with more than one member. */
  private toList(set: MemberSet, bitmap: Bitmap): MemberSet {
    const list = this.takeBlock(classFor(bitmap.count));
    const { slab, start } = this.blockOf(list);
    let at = start;
    slab[at++] = bitmap.count;
    forEachBit(bitmap.words, (ordinal) => {
      slab[at++] = ordinal;
    });
    const place = ~set >> CLASS_BITS;
    this.bitmaps[place] = undefined;
    this.freeBitmaps.push(place);
    return list;
  }

  private bitmapOf(set: MemberSet): Bitmap | undefined {
    return (~set & CLASS_MASK) === BITMAP ? this.bitmaps[~set >> CLASS_BITS] : undefined;
  }

  private blockOf(set: MemberSet): { readonly slab: Int32Array; readonly start: number; readonly words: number } {
    const { slabs, blocksASlab, words } = this.classes[~set & CLASS_MASK]!;
    const place = ~set >> CLASS_BITS;
    return { slab: slabs[Math.floor(place / blocksASlab)]!, start: (place % blocksASlab) * words, words };
  }

  private takeBlock(sizeClass: number): MemberSet {
    while (this.classes.length <= sizeClass) {
      const words = FIRST_WORDS << this.classes.length;
      this.classes.push({ words, blocksASlab: Math.max(1, SLAB_WORDS / words), slabs: [], free: [], used: 0 });
    }
    const blocks = this.classes[sizeClass]!;
    let place = blocks.free.pop();
    if (place === undefined) {
      place = blocks.used++;
      if (place === blocks.slabs.length * blocks.blocksASlab) {
        blocks.slabs.push(new Int32Array(blocks.blocksASlab * blocks.words));
      }
    }
    return ~((place << CLASS_BITS) | sizeClass);
  }

  private giveBack(set: MemberSet): void {
    this.classes[~set & CLASS_MASK]!.free.push(~set >> CLASS_BITS);
  }
}

/** Of the smallest block that holds so many members and their number. */
function classFor(members: number): number {
  return Math.max(0, Math.ceil(Math.log2((members + 1) / FIRST_WORDS)));
}

/** Each once, ascending. */
export function forEachMember(members: Members, visit: (ordinal: number) => void): void {
  if (members instanceof Bitmap) forEachBit(members.words, visit);
  else for (let at = 0; at < members.length; at++) visit(members[at]!);
}

/** The first index from `first` to `end` whose ordinal is not below `ordinal`; `end` if there is none. */
export function lowerBound(ordinals: Int32Array, ordinal: number, first = 0, end = ordinals.length): number {
  let low = first;
  let high = end;
  if (high > low && ordinals[high - 1]! < ordinal) return high;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (ordinals[middle]! < ordinal) low = middle + 1;
    else high = middle;
  }
  return low;
}
