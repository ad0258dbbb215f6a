/** A bitmap as plain data. */
export interface BitmapImage {
  readonly words: Int32Array;
  readonly count: number;
}

/** A set of ordinals as bits: an eighth of a byte an ordinal up to the highest one, whatever the number of members. */
export class Bitmap {
  /** Ordinal o is bit o & 31 of word o >> 5. */
  words: Int32Array;
  count = 0;
  /** No word before this one has a bit. */
  private lowestAt = 0;

  constructor(highest: number) {
    this.words = new Int32Array((highest >> 5) + 1);
  }

  static of({ words, count }: BitmapImage): Bitmap {
    const bitmap = new Bitmap(0);
    bitmap.words = words;
    bitmap.count = count;
    return bitmap;
  }

  image(): BitmapImage {
    const { words, count } = this;
    return { words, count };
  }

  has(ordinal: number): boolean {
    return (this.words[ordinal >> 5]! & (1 << (ordinal & 31))) !== 0;
  }

  add(ordinal: number): void {
    const at = ordinal >> 5;
    if (at >= this.words.length) this.grow(at + 1);
    const word = this.words[at]!;
    const bit = 1 << (ordinal & 31);
    if ((word & bit) !== 0) return;
    this.words[at] = word | bit;
    this.count++;
    if (at < this.lowestAt) this.lowestAt = at;
  }

  delete(ordinal: number): void {
    if (!this.has(ordinal)) return;
    this.words[ordinal >> 5]! &= ~(1 << (ordinal & 31));
    this.count--;
  }

  /** The lowest. There is one. */
  lowest(): number {
    while (this.words[this.lowestAt] === 0) this.lowestAt++;
    const word = this.words[this.lowestAt]!;
    return this.lowestAt * 32 + 31 - Math.clz32(word & -word);
  }

  private grow(least: number): void {
    const words = new Int32Array(Math.max(least, this.words.length + (this.words.length >> 1)));
    words.set(this.words);
    this.words = words;
  }
}

export function countBits(words: Int32Array): number {
  let count = 0;
  for (let at = 0; at < words.length; at++) {
    const word = words[at]!;
    if (word !== 0) count += bitsOf(word);
  }
  return count;
}

/** Each bit set, ascending. */
export function forEachBit(words: Int32Array, visit: (ordinal: number) => void): void {
  for (let at = 0; at < words.length; at++) {
    for (let word = words[at]!; word !== 0; word &= word - 1) visit(at * 32 + 31 - Math.clz32(word & -word));
  }
}

/** Whether any bit from `first` to below `end` is set. */
export function anyBit(words: Int32Array, first: number, end: number): boolean {
  if (first >= end) return false;
  const lastAt = Math.min((end - 1) >> 5, words.length - 1);
  const firstMask = -1 << (first & 31);
  const lastMask = -1 >>> (31 - ((end - 1) & 31));
  for (let at = first >> 5; at <= lastAt; at++) {
    const mask = (at === first >> 5 ? firstMask : -1) & (at === (end - 1) >> 5 ? lastMask : -1);
    if ((words[at]! & mask) !== 0) return true;
  }
  return false;
}

/** Bits of a 32-bit word, counted side by side (Warren, Hacker's Delight, 5-1). */
function bitsOf(word: number): number {
  let bits = word - ((word >>> 1) & 0x55555555);
  bits = (bits & 0x33333333) + ((bits >>> 2) & 0x33333333);
  bits = (bits + (bits >>> 4)) & 0x0f0f0f0f;
  return Math.imul(bits, 0x01010101) >>> 24;
}
