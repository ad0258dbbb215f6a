/** Arrays of numbers that grow: twice as long each time, so that growing costs a constant an element. */

type Numbers = Uint8Array | Uint16Array | Int32Array | Uint32Array | Float64Array;

/** A longer copy with capacity for `limit` elements; new ones are 0. */
export function grown<T extends Numbers>(array: T, limit: number): T {
  let length = Math.max(array.length, 1);
  while (length < limit) length *= 2;
  const copy = new (array.constructor as new (length: number) => T)(length);
  copy.set(array);
  return copy;
}

/**
 * Blocks of equal size carved from typed-array pages, with a free list. Pages are never moved, so growing copies nothing; an
 * allocated block is zeroed. Blocks are numbered from 0. A page whose blocks were all freed is released.
 */
interface Words {
  readonly length: number;
  fill(value: number, start: number, end: number): unknown;
}

export class BlockPool<Page extends Words> {
  readonly blockWords: number;
  private readonly pageBits: number;
  private readonly pageMask: number;
  private readonly createPage: (words: number) => Page;
  /** Undefined if released. */
  private readonly pages: (Page | undefined)[] = [];
  /** Allocated blocks of each page. */
  private readonly taken: number[] = [];
  private readonly free: number[] = [];
  private opened = 0;

  /** A page holds 2^`pageBits` blocks of `blockWords` words. */
  constructor(options: { blockWords: number; pageBits: number; createPage: (words: number) => Page }) {
    this.blockWords = options.blockWords;
    this.pageBits = options.pageBits;
    this.pageMask = (1 << options.pageBits) - 1;
    this.createPage = options.createPage;
  }

  take(): number {
    const reused = this.free.pop();
    const block = reused ?? this.opened++;
    const number = block >> this.pageBits;
    this.taken[number] = (this.taken[number] ?? 0) + 1;
    const page = this.pages[number];
    if (page === undefined) {
      this.pages[number] = this.createPage(this.blockWords << this.pageBits);
    } else if (reused !== undefined) {
      const start = this.start(block);
      page.fill(0, start, start + this.blockWords);
    }
    return block;
  }

  give(block: number): void {
    const number = block >> this.pageBits;
    this.free.push(block);
    this.taken[number]! -= 1;
    if (this.taken[number] === 0) this.pages[number] = undefined;
  }

  page(block: number): Page {
    return this.pages[block >> this.pageBits]!;
  }

  /** Offset of the block in its page. */
  start(block: number): number {
    return (block & this.pageMask) * this.blockWords;
  }
}
