/**
 * The words of the live documents in alphabetical order (by UTF-16 code unit, the same on every machine).
 *
 * A list of sorted blocks of at most `BLOCK_LIMIT` words: adding and removing cost one search and a move within one block,
 * however many words there are, and are seen by the next reader. The first letters of each word are stored as a number, which
 * decides nearly every comparison.
 *
 * Words are ordered, and compared with others, by their keys (`analysis/analysis.ts`); those with the same key by their spelling,
 * which stands after the key here.
 */
import { assert } from '../../../../../shared/kernel/kernel.ts';
import { finish, type Steps } from '../../../../../shared/kernel/steps.ts';

const BLOCK_LIMIT = 512;
/** Key, number, letters, length. */
const BLOCK_WORD_BYTES = 8 + 4 + 4 + 1;
const KEY_CHARACTERS = 6;

class Block {
  count = 0;
  readonly keys = new Float64Array(BLOCK_LIMIT);
  readonly words = new Uint32Array(BLOCK_LIMIT);
  readonly letters = new Int32Array(BLOCK_LIMIT);
  readonly lengths = new Uint8Array(BLOCK_LIMIT);

  /** Moves the entries at `from` … to `to` …, by one forward or back. */
  shift(from: number, to: number): void {
    for (const array of [this.keys, this.words, this.letters, this.lengths]) array.copyWithin(to, from, this.count);
  }

  /** Adds the entries of another; both together must fit. */
  append({ keys, words, letters, lengths, count }: Block): void {
    this.keys.set(keys.subarray(0, count), this.count);
    this.words.set(words.subarray(0, count), this.count);
    this.letters.set(letters.subarray(0, count), this.count);
    this.lengths.set(lengths.subarray(0, count), this.count);
    this.count += count;
  }
}

/** A cheap test before a word is compared letter by letter. */
export interface Likeness {
  /** {@link lettersOf} the word it is compared with. */
  readonly letters: number;
  /** How many of those it may lack. */
  readonly missingLimit: number;
  /** How many others it may have. */
  readonly extraLimit: number;
  readonly shortest: number;
  readonly longest: number;
}

/** A vocabulary as plain data, for the transfer between threads. */
export interface VocabularyImage {
  readonly total: number;
  readonly blocks: Pick<Block, 'count' | 'keys' | 'words' | 'letters' | 'lengths'>[];
}

/** Ends the key of a word that is spelled in another way; its spelling follows. */
export const SPELLED = '\0';

/** The key of a word that is followed by its spelling. */
export function beforeSpelling(text: string): string {
  const end = text.indexOf(SPELLED);
  return end < 0 ? text : text.slice(0, end);
}

export class Vocabulary {
  private readonly textOf: (word: number) => string;
  private total = 0;
  // Never empty blocks, except the only one.
  private blocks = [new Block()];

  constructor(textOf: (word: number) => string) {
    this.textOf = textOf;
  }

  image(): VocabularyImage {
    const { total } = this;
    const blocks = this.blocks.map(({ count, keys, words, letters, lengths }) => ({
      count,
      keys,
      words,
      letters,
      lengths,
    }));
    return { total, blocks };
  }

  adopt({ total, blocks }: VocabularyImage): void {
    this.total = total;
    this.blocks = blocks.map((block) => Object.assign(new Block(), block));
  }

  get size(): number {
    return this.total;
  }

  get sizeBytes(): number {
    return this.blocks.length * BLOCK_LIMIT * BLOCK_WORD_BYTES;
  }

  /** The word's text must be new. */
  add(word: number): void {
    const text = this.textOf(word);
    const order = keyOf(text);
    let index = this.blockOf(text, order);
    let block = this.blocks[index]!;
    if (block.count === BLOCK_LIMIT) {
      this.split(index);
      index = this.blockOf(text, order);
      block = this.blocks[index]!;
    }
    const at = this.lowerBound(block, text, order);
    assert(at === block.count || this.textOf(block.words[at]!) !== text, 'a word is added once', () => text);
    block.shift(at, at + 1);
    block.keys[at] = order;
    block.words[at] = word;
    const key = beforeSpelling(text);
    block.letters[at] = lettersOf(key);
    block.lengths[at] = Math.min(key.length, 255);
    block.count++;
    this.total++;
  }

  /** The word must exist. */
  remove(word: number): void {
    const text = this.textOf(word);
    const key = keyOf(text);
    const index = this.blockOf(text, key);
    const block = this.blocks[index]!;
    const at = this.lowerBound(block, text, key);
    assert(at < block.count && block.words[at] === word, 'only a known word is removed', () => text);
    block.shift(at + 1, at);
    block.count--;
    this.total--;
    if (block.count === 0 && this.blocks.length > 1) this.blocks.splice(index, 1);
    else this.join(index > 0 && this.areFew(index - 1) ? index - 1 : index);
  }

  /** Whether a block and the next one fit into half a block. */
  private areFew(index: number): boolean {
    const [left, right] = [this.blocks[index]!, this.blocks[index + 1]];
    return right !== undefined && left.count + right.count <= BLOCK_LIMIT / 2;
  }

  /** Two neighbours that fit into half a block become one. */
  private join(index: number): void {
    if (!this.areFew(index)) return;
    const [left, right] = [this.blocks[index]!, this.blocks[index + 1]!];
    left.append(right);
    this.blocks.splice(index + 1, 1);
  }

  /**
   * Visits the words that begin with `prefix`, ascending, until `visit` returns false. The vocabulary must not change meanwhile.
   */
  startingWith(prefix: string, visit: (word: number) => boolean): void {
    finish(this.visiting(prefix, visit));
  }

  /** The same, a block a step. */
  *visiting(prefix: string, visit: (word: number) => boolean): Steps {
    const key = keyOf(prefix);
    let index = this.blockOf(prefix, key);
    let at = this.lowerBound(this.blocks[index]!, prefix, key);
    for (; index < this.blocks.length; index++, at = 0) {
      const { words, count } = this.blocks[index]!;
      // Only in the block in which the prefix ends do words have to be compared.
      const isWhole = count > 0 && this.textOf(words[count - 1]!).startsWith(prefix);
      for (; at < count; at++) {
        const word = words[at]!;
        if (!isWhole && !this.textOf(word).startsWith(prefix)) return;
        if (!visit(word)) return;
      }
      yield;
    }
  }

  /** The first letters of the words, ascending, as strings of one unit; undefined if there are more than `limit`. */
  firstUnits(limit: number): readonly string[] | undefined {
    const units: string[] = [];
    for (let from = ''; ; from = String.fromCharCode(units.at(-1)!.charCodeAt(0) + 1)) {
      const key = keyOf(from);
      let index = this.blockOf(from, key);
      let at = this.lowerBound(this.blocks[index]!, from, key);
      if (at === this.blocks[index]!.count) {
        index++;
        at = 0;
      }
      const block = this.blocks[index];
      if (block === undefined || at >= block.count) return units;
      if (units.length === limit) return undefined;
      units.push(this.textOf(block.words[at]!)[0]!);
      if (units.at(-1) === '\uffff') return units;
    }
  }

  /** The same as {@link visiting}, but only similar words; `onPass` receives the number of words passed each time. */
  *like(prefix: string, likeness: Likeness, onPass: (words: number) => void, visit: (word: number) => boolean): Steps {
    const key = keyOf(prefix);
    let index = this.blockOf(prefix, key);
    let at = this.lowerBound(this.blocks[index]!, prefix, key);
    for (; index < this.blocks.length; index++, at = 0) {
      const block = this.blocks[index]!;
      const { words, count } = block;
      const end = this.endOf(block, at, prefix);
      onPass(end - at);
      for (at = nextLike(block, at, likeness); at < end; at = nextLike(block, at + 1, likeness)) {
        if (!visit(words[at]!)) return;
      }
      if (end < count) return;
      yield;
    }
  }

  /** Index behind the last word from `from` on that begins with the prefix; those that do are the first ones. */
  private endOf({ words, count }: Block, from: number, prefix: string): number {
    if (count === from || this.textOf(words[count - 1]!).startsWith(prefix)) return count;
    let low = from;
    let high = count - 1;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.textOf(words[middle]!).startsWith(prefix)) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  private split(index: number): void {
    const block = this.blocks[index]!;
    const right = new Block();
    const half = BLOCK_LIMIT / 2;
    right.keys.set(block.keys.subarray(half));
    right.words.set(block.words.subarray(half));
    right.letters.set(block.letters.subarray(half));
    right.lengths.set(block.lengths.subarray(half));
    right.count = BLOCK_LIMIT - half;
    block.count = half;
    this.blocks.splice(index + 1, 0, right);
  }

  /** The last block that begins at or before the text. */
  private blockOf(text: string, key: number): number {
    let low = 0;
    let high = this.blocks.length;
    while (high - low > 1) {
      const middle = (low + high) >>> 1;
      const { keys, words } = this.blocks[middle]!;
      if (keys[0]! < key || (keys[0] === key && this.textOf(words[0]!) <= text)) low = middle;
      else high = middle;
    }
    return low;
  }

  /** Index of the first word that is not below the text. */
  private lowerBound({ keys, words, count }: Block, text: string, key: number): number {
    let low = 0;
    let high = count;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (keys[middle]! < key || (keys[middle] === key && this.textOf(words[middle]!) < text)) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}

/**
 * Below another's key: below it; the same: not decided. The first characters, a byte each; one beyond Latin-1 ends the
 * key as the largest byte, so that what follows it does not count.
 */
function keyOf(text: string): number {
  let key = 0;
  for (let i = 0, ended = false; i < KEY_CHARACTERS; i++) {
    const unit: number = !ended && i < text.length ? text.charCodeAt(i) : 0;
    ended ||= unit >= 255;
    key = key * 256 + Math.min(unit, 255);
  }
  return key;
}

/**
 * Index of the first word from `at` on that letters and length do not exclude; beyond the last if there is none. A separate
 * function, so that the engine compiles this loop, which skips most words, at its first use.
 */
function nextLike({ letters, lengths, count }: Block, from: number, likeness: Likeness): number {
  const { letters: wanted, missingLimit, extraLimit, shortest, longest } = likeness;
  let at = from;
  for (; at < count; at++) {
    const has = letters[at]!;
    if (!hasAtMost(missingLimit, wanted & ~has) || !hasAtMost(extraLimit, has & ~wanted)) continue;
    if (lengths[at]! >= shortest && lengths[at]! <= longest) break;
  }
  return at;
}

/** Whether at most `limit` bits are set; 32: any number. */
function hasAtMost(limit: number, bits: number): boolean {
  if (limit === 32 || bits === 0) return true;
  let rest = bits;
  for (let i = 0; i < limit; i++) rest &= rest - 1;
  return rest === 0;
}

/** One bit for each letter a … z, one for digits, five for all else: an edit adds or removes at most one of them. */
export function lettersOf(text: string): number {
  let letters = 0;
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i);
    if (unit >= 97 && unit <= 122) letters |= 1 << (unit - 97);
    else if (unit >= 48 && unit <= 57) letters |= 1 << 26;
    else letters |= 1 << (27 + (unit % 5));
  }
  return letters;
}
