/** A set of ordinals as bits, so that its intersection with a selection is counted 32 at a time. */

import type { Selection } from '../filter-index/filter-index.ts';
import { grown } from '../memory/memory.ts';

const FIRST_WORDS = 32;

export class OrdinalSet {
  count = 0;
  private words = new Int32Array(FIRST_WORDS);

  has(ordinal: number): boolean {
    return ordinal >> 5 < this.words.length && (this.words[ordinal >> 5]! & (1 << (ordinal & 31))) !== 0;
  }

  set(ordinal: number, isIn: boolean): void {
    if (this.has(ordinal) === isIn) return;
    const at = ordinal >> 5;
    if (at >= this.words.length) this.words = grown(this.words, at + 1);
    this.words[at]! ^= 1 << (ordinal & 31);
    this.count += isIn ? 1 : -1;
  }

  /** How many are in both. */
  countAmong(selection: Pick<Selection, 'words' | 'forEach'>): number {
    const { words } = selection;
    let count = 0;
    if (words === undefined) {
      selection.forEach((ordinal) => {
        if (this.has(ordinal)) count++;
      });
      return count;
    }
    const end = Math.min(words.length, this.words.length);
    for (let at = 0; at < end; at++) {
      for (let both = words[at]! & this.words[at]!; both !== 0; both &= both - 1) count++;
    }
    return count;
  }
}
