/**
 * Memory for very many short lists of numbers: blocks of a few sizes, allocated from pages that never move.
 *
 * A block is named by its address, page × PAGE_NUMBERS + offset. All blocks of a page have one size; a page without blocks is
 * released and may be divided into another size. So nothing is ever copied to grow, and freed blocks are reused.
 */
import { assert } from '../../../../shared/kernel/kernel.ts';

/** Numbers a block can hold, ascending: about a sixth of a block is empty on average. */
export const CAPACITIES = [1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128, 192, 256] as const;
export const LARGEST_BLOCK = 256;
export const PAGE_BITS = 14;
export const PAGE_NUMBERS = 1 << PAGE_BITS;
export const PAGE_MASK = PAGE_NUMBERS - 1;

/** By number of values, up to {@link LARGEST_BLOCK}: index of the smallest capacity that holds them. */
const classes = Uint8Array.from({ length: LARGEST_BLOCK + 1 }, (_, count) => CAPACITIES.findIndex((c) => c >= count));

export function classFor(count: number): number {
  return classes[count]!;
}

export type Codes = Uint8Array | Uint16Array | Uint32Array;

export interface Page {
  readonly values: Uint32Array;
  /** A small number for each value, as wide as the largest in this page needs; empty in a pool without codes. */
  codes: Codes;
  sizeClass: number;
  /** Blocks in use. */
  used: number;
  /** Offset of the first freed block, whose first value is the next one's; `NONE` ends the list. */
  free: number;
  /** Blocks from this offset on were never used. */
  fresh: number;
}

const NONE = PAGE_NUMBERS;

/** A pool as plain data, for the transfer between threads. */
export interface BlockPoolImage {
  readonly pages: Page[];
  readonly withCodes: boolean;
  readonly emptyPages: number[];
  readonly roomy: number[][];
}

export class BlockPool {
  readonly pages: Page[];
  private readonly withCodes: boolean;
  private readonly emptyPages: number[];
  /** By size class: pages with a free block; the last one is used next. */
  private readonly roomy: number[][];

  constructor({ withCodes, pages, emptyPages, roomy }: Partial<BlockPoolImage> & { withCodes: boolean }) {
    this.withCodes = withCodes;
    this.pages = pages ?? [];
    this.emptyPages = emptyPages ?? [];
    this.roomy = roomy ?? CAPACITIES.map(() => []);
  }

  image(): BlockPoolImage {
    const { withCodes, pages, emptyPages, roomy } = this;
    return { withCodes, pages, emptyPages, roomy };
  }

  allocate(sizeClass: number): number {
    const roomy = this.roomy[sizeClass]!;
    const index = roomy.length > 0 ? roomy[roomy.length - 1]! : this.addPage(sizeClass);
    const page = this.pages[index]!;
    let offset = page.free;
    const capacity = CAPACITIES[sizeClass]!;
    if (offset === NONE) {
      offset = page.fresh;
      page.fresh += capacity;
    } else {
      page.free = page.values[offset]!;
    }
    page.used++;
    if (page.free === NONE && page.fresh + capacity > PAGE_NUMBERS) roomy.pop();
    return index * PAGE_NUMBERS + offset;
  }

  release(address: number, sizeClass: number): void {
    const index = address >>> PAGE_BITS;
    const page = this.pages[index]!;
    assert(page.sizeClass === sizeClass && page.used > 0, 'a block is given back as what it was', () => address);
    const roomy = this.roomy[sizeClass]!;
    const wasFull = page.free === NONE && page.fresh + CAPACITIES[sizeClass]! > PAGE_NUMBERS;
    page.values[address & PAGE_MASK] = page.free;
    page.free = address & PAGE_MASK;
    page.used--;
    if (wasFull) roomy.push(index);
    // The only page with a free block is kept: a list that grows and shrinks would allocate and release it repeatedly.
    if (page.used > 0 || roomy.length === 1) return;
    roomy.splice(roomy.indexOf(index), 1);
    this.emptyPages.push(index);
  }

  setCode(page: Page, offset: number, code: number): void {
    if (code > 0xff && page.codes.BYTES_PER_ELEMENT < (code > 0xffff ? 4 : 2)) {
      page.codes = code > 0xffff ? Uint32Array.from(page.codes) : Uint16Array.from(page.codes);
    }
    page.codes[offset] = code;
  }

  get sizeBytes(): number {
    return this.pages.reduce((sum, { values, codes }) => sum + values.byteLength + codes.byteLength, 0);
  }

  private addPage(sizeClass: number): number {
    const index = this.emptyPages.pop() ?? this.pages.length;
    const old = this.pages[index];
    this.pages[index] = {
      values: old?.values ?? new Uint32Array(PAGE_NUMBERS),
      codes: new Uint8Array(this.withCodes ? PAGE_NUMBERS : 0),
      sizeClass,
      used: 0,
      free: NONE,
      fresh: 0,
    };
    this.roomy[sizeClass]!.push(index);
    return index;
  }
}
