/**
 * The terms of the live documents in alphabetical order (by UTF-16 code unit, the same on every machine).
 *
 * A list of sorted blocks of at most `BLOCK_LIMIT` terms: adding and removing cost one search and a move within one
 * block, however many terms there are, and are seen by the next reader.
 */
import { assert } from '../../../../shared/kernel/kernel.ts';

const BLOCK_LIMIT = 512;

export class Vocabulary {
  private count = 0;
  // Never empty blocks, except the only one.
  private readonly blocks: string[][] = [[]];

  get size(): number {
    return this.count;
  }

  /** The term must be new. */
  add(term: string): void {
    const index = this.blockOf(term);
    const block = this.blocks[index]!;
    const at = lowerBound(block, term);
    assert(block[at] !== term, 'a term is added once', () => term);
    block.splice(at, 0, term);
    this.count++;
    if (block.length > BLOCK_LIMIT) this.blocks.splice(index + 1, 0, block.splice(BLOCK_LIMIT / 2));
  }

  /** The term must be there. */
  remove(term: string): void {
    const index = this.blockOf(term);
    const block = this.blocks[index]!;
    const at = lowerBound(block, term);
    assert(block[at] === term, 'only a known term is removed', () => term);
    block.splice(at, 1);
    this.count--;
    if (block.length === 0 && this.blocks.length > 1) this.blocks.splice(index, 1);
  }

  /** All terms that begin with `prefix`, ascending. The vocabulary must not change meanwhile. */
  *startingWith(prefix: string): IterableIterator<string> {
    let index = this.blockOf(prefix);
    let at = lowerBound(this.blocks[index]!, prefix);
    for (; index < this.blocks.length; index++, at = 0) {
      const block = this.blocks[index]!;
      for (; at < block.length; at++) {
        if (!block[at]!.startsWith(prefix)) return;
        yield block[at]!;
      }
    }
  }

  /** The last block that begins at or before the term. */
  private blockOf(term: string): number {
    let low = 0;
    let high = this.blocks.length;
    while (high - low > 1) {
      const middle = (low + high) >>> 1;
      if (this.blocks[middle]![0]! <= term) low = middle;
      else high = middle;
    }
    return low;
  }
}

/** Index of the first element that is not below the term. */
function lowerBound(sorted: readonly string[], term: string): number {
  let low = 0;
  let high = sorted.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (sorted[middle]! < term) low = middle + 1;
    else high = middle;
  }
  return low;
}
