/**
 * The words of the live documents in alphabetical order (by UTF-16 code unit, the same on every machine).
 *
 * A list of sorted blocks of at most `BLOCK_LIMIT` words: adding and removing cost one search and a move within one
 * block, however many words there are, and are seen by the next reader. Beside each word stand its first letters as a
 * number, which decides nearly every comparison.
 */
import { assert } from '../../../../../shared/kernel/kernel.ts';

const BLOCK_LIMIT = 512;
const KEY_CHARACTERS = 6;

class Block {
  count = 0;
  readonly keys = new Float64Array(BLOCK_LIMIT);
  readonly words = new Uint32Array(BLOCK_LIMIT);
}

export class Vocabulary {
  private readonly textOf: (word: number) => string;
  private total = 0;
  // Never empty blocks, except the only one.
  private readonly blocks = [new Block()];

  constructor(textOf: (word: number) => string) {
    this.textOf = textOf;
  }

  get size(): number {
    return this.total;
  }

  /** The word's text must be new. */
  add(word: number): void {
    const text = this.textOf(word);
    const key = keyOf(text);
    let index = this.blockOf(text, key);
    let block = this.blocks[index]!;
    if (block.count === BLOCK_LIMIT) {
      this.split(index);
      index = this.blockOf(text, key);
      block = this.blocks[index]!;
    }
    const at = this.lowerBound(block, text, key);
    assert(at === block.count || this.textOf(block.words[at]!) !== text, 'a word is added once', () => text);
    block.keys.copyWithin(at + 1, at, block.count);
    block.words.copyWithin(at + 1, at, block.count);
    block.keys[at] = key;
    block.words[at] = word;
    block.count++;
    this.total++;
  }

  /** The word must be there. */
  remove(word: number): void {
    const text = this.textOf(word);
    const key = keyOf(text);
    const index = this.blockOf(text, key);
    const block = this.blocks[index]!;
    const at = this.lowerBound(block, text, key);
    assert(at < block.count && block.words[at] === word, 'only a known word is removed', () => text);
    block.keys.copyWithin(at, at + 1, block.count);
    block.words.copyWithin(at, at + 1, block.count);
    block.count--;
    this.total--;
    if (block.count === 0 && this.blocks.length > 1) this.blocks.splice(index, 1);
  }

  /**
   * Visits the words that begin with `prefix`, ascending, until `visit` answers false. The vocabulary must not change
   * meanwhile.
   */
  startingWith(prefix: string, visit: (word: number) => boolean): void {
    const key = keyOf(prefix);
    let index = this.blockOf(prefix, key);
    let at = this.lowerBound(this.blocks[index]!, prefix, key);
    for (; index < this.blocks.length; index++, at = 0) {
      const { words, count } = this.blocks[index]!;
      // Only the block in which the prefix ends holds words to be told apart.
      const isWhole = count > 0 && this.textOf(words[count - 1]!).startsWith(prefix);
      for (; at < count; at++) {
        const word = words[at]!;
        if (!isWhole && !this.textOf(word).startsWith(prefix)) return;
        if (!visit(word)) return;
      }
    }
  }

  private split(index: number): void {
    const block = this.blocks[index]!;
    const right = new Block();
    const half = BLOCK_LIMIT / 2;
    right.keys.set(block.keys.subarray(half));
    right.words.set(block.words.subarray(half));
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
