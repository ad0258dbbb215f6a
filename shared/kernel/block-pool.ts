/**
 * Blocks of equal size carved from typed-array pages, with a free list. Pages are never moved, so growing copies nothing;
 * a block comes zeroed. Blocks are numbered from 0.
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
  private readonly pages: Page[] = [];
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
    if (reused !== undefined) {
      const start = this.start(reused);
      this.page(reused).fill(0, start, start + this.blockWords);
      return reused;
    }
    const block = this.opened++;
    if (block >> this.pageBits === this.pages.length)
      this.pages.push(this.createPage(this.blockWords << this.pageBits));
    return block;
  }

  give(block: number): void {
    this.free.push(block);
  }

  page(block: number): Page {
    return this.pages[block >> this.pageBits]!;
  }

  /** Where the block begins in its page. */
  start(block: number): number {
    return (block & this.pageMask) * this.blockWords;
  }
}
