/**
 * The words that few edits may make of a word, without looking at all: ranges of the vocabulary, and of the vocabulary read
 * backwards, that have all of them. (Two dictionaries for this: Mihov and Schulz: Fast Approximate Search in Large Dictionaries,
 * 2004.)
 *
 * An edit is a letter more, less or another, or two neighbours swapped; no letter is edited twice.
 *
 * - One edit is in the first half of the word, in the second, or swaps the letters where they meet: the word made begins with the
 *   first half, ends with the second, or is that one word.
 * - Of two edits, none is at the first letter, none at the last, or one at each. In the last case what is between is as it was: the
 *   first letter is left out or swapped with the second, or any letter stands in its place or before it.
 */
import { beforeSpelling, type Vocabulary } from './vocabulary.ts';

/** A word, and how many edits from it others are: 1 or 2. */
export interface Near {
  readonly word: string;
  readonly distance: number;
}

export interface Range {
  readonly isBackwards: boolean;
  /** What the words in it begin with; backwards, their last letter first. */
  readonly prefix: string;
}

const everything: readonly Range[] = [{ isBackwards: false, prefix: '' }];
/** Letters of a word from which on two edits at its ends leave enough between them. */
const TWO_EDITS_LETTERS = 6;
/** If words begin with more different letters, looking at all words is cheaper. */
const FIRST_UNITS_LIMIT = 256;

/** Looking a range up takes as long as passing so many words. */
export const RANGE_WORDS = 20;

/** The ranges that have all words within 1 or 2 edits; a word may be in several. */
export function rangesAlike({ word, distance }: Near, vocabulary: Pick<Vocabulary, 'firstUnits'>): readonly Range[] {
  const letters = word.length;
  if (distance === 1 && letters >= 2) {
    const half = letters >>> 1;
    const swapped = word.slice(0, half - 1) + word[half]! + word[half - 1]! + word.slice(half + 1);
    return [forwards(word.slice(0, half)), backwards(word.slice(half)), forwards(swapped)];
  }
  if (distance !== 2 || letters < TWO_EDITS_LETTERS) return everything;
  const units = vocabulary.firstUnits(FIRST_UNITS_LIMIT);
  if (units === undefined) return everything;
  // Without the last two, which may be swapped.
  const [own, rest, begun] = [word[0]!, word.slice(1, -2), word.slice(0, -2)];
  const ranges = [forwards(own), backwards(word.at(-1)!), forwards(rest), forwards(word[1]! + own + word.slice(2, -2))];
  for (const unit of units) if (unit !== own) ranges.push(forwards(unit + rest), forwards(unit + begun));
  return ranges;
}

function forwards(prefix: string): Range {
  return { isBackwards: false, prefix };
}

function backwards(ending: string): Range {
  return { isBackwards: true, prefix: reversed(ending) };
}

/** By what a word is ordered, its key backwards. */
export function backwardsOrder(order: string): string {
  const key = beforeSpelling(order);
  return reversed(key) + order.slice(key.length);
}

/** By UTF-16 unit. */
function reversed(text: string): string {
  let backwards = '';
  for (let at = text.length - 1; at >= 0; at--) backwards += text[at]!;
  return backwards;
}
