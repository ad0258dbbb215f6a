/**
 * Which documents have a term, and how often in which fields: for each term a list of (document, code), ascending by
 * document; the code stands for the frequencies (`frequencies.ts`).
 *
 * The end of a list is a block that grows with it up to 256 postings, its tail: documents added in order are appended there at
 * the cost of one access to the term. Further postings are before it in blocks listed in a directory, each sorted and never
 * empty. Adding or removing anywhere costs one search and a move within one block, whatever the number of documents with the
 * term.
 */

import { assert } from '../../../../shared/kernel/kernel.ts';
import { grown } from '../memory/memory.ts';
import {
  BlockPool,
  type BlockPoolImage,
  CAPACITIES,
  type Codes,
  classFor,
  LARGEST_BLOCK,
  PAGE_BITS,
  PAGE_MASK,
  type Page,
} from './block-pool.ts';

/** The blocks before the tail, in order. All have the largest size. */
interface Directory {
  readonly addresses: number[];
  readonly counts: number[];
  /** The first document of each. */
  readonly firsts: number[];
}

const LARGEST_CLASS = classFor(LARGEST_BLOCK);
const FIRST_TERMS = 1_024;

/** The fields of a term in `records`, side by side for one memory access. */
const STRIDE = 4;
const COUNT = 0;
const TAIL = 1;
/** The tail's number of postings, and its size class × 65,536. */
const SHAPE = 2;
/** The last document, so that an append does not read the block it writes to. */
const LAST = 3;
const CLASS_BITS = 16;
const COUNT_MASK = 0xffff;

/** Postings as plain data, for the transfer between threads. */
export interface PostingsImage {
  readonly pool: BlockPoolImage;
  readonly records: Uint32Array;
  readonly directories: readonly (Directory | undefined)[];
  readonly total: number;
}

export class Postings {
  private pool = new BlockPool({ withCodes: true });
  private records = new Uint32Array(FIRST_TERMS * STRIDE);
  /** By term. */
  private readonly directories: (Directory | undefined)[] = [];
  private total = 0;

  /** Number of documents that have the term. */
  documents(term: number): number {
    return this.records[term * STRIDE + COUNT]!;
  }

  /** Adds the documents of the term, ascending. */
  listDocuments(term: number, documents: number[]): void {
    for (let block = 0; block < this.blocks(term); block++) this.listBlock(term, block, documents);
  }

  /** The same of one block, at most {@link LARGEST_BLOCK}. */
  listBlock(term: number, block: number, documents: number[]): void {
    const address = this.blockAddress(term, block);
    const start = address & PAGE_MASK;
    const { values } = this.pageOf(address);
    for (let at = start, end = start + this.blockCount(term, block); at < end; at++) documents.push(values[at]!);
  }

  /** Number of postings of all terms. */
  get size(): number {
    return this.total;
  }

  get sizeBytes(): number {
    const directories = this.directories.reduce((sum, directory) => sum + (directory?.counts.length ?? 0) * 24 + 8, 0);
    return this.pool.sizeBytes + this.records.byteLength + directories;
  }

  image(): PostingsImage {
    const { records, directories, total } = this;
    return { pool: this.pool.image(), records, directories, total };
  }

  adopt({ pool, ...image }: PostingsImage): void {
    Object.assign(this, image);
    this.pool = new BlockPool(pool);
  }

  /** Grows to hold terms below `limit`. */
  reserve(limit: number): void {
    while (this.directories.length < limit) this.directories.push(undefined);
    if (limit * STRIDE > this.records.length) this.records = grown(this.records, limit * STRIDE);
  }

  /** The document must not be in the list. */
  add(term: number, document: number, code: number): void {
    const { records } = this;
    const at = term * STRIDE;
    const shape = records[at + SHAPE]!;
    const count = shape & COUNT_MASK;
    this.total++;
    if (records[at + COUNT]!++ === 0) {
      this.begin(term, document, code);
      return;
    }
    const address = records[at + TAIL]!;
    if (document > records[at + LAST]! && count < CAPACITIES[shape >>> CLASS_BITS]! && code < 256) {
      const { values, codes } = this.pageOf(address);
      const end = (address & PAGE_MASK) + count;
      values[end] = document;
      codes[end] = code;
      records[at + SHAPE] = shape + 1;
      records[at + LAST] = document;
      return;
    }
    const directory = this.directories[term];
    if (directory !== undefined && document < this.firstOf(address)) this.addBeforeTail(directory, document, code);
    else this.addToTail(term, document, code);
  }

  /** Adds all postings of a term that has none: documents ascending, with a code each. */
  fill(term: number, documents: Uint32Array, codes: Uint8Array | Uint32Array): void {
    const count = documents.length;
    const write = (from: number, sizeClass: number): number => {
      const end = Math.min(count, from + CAPACITIES[sizeClass]!);
      const address = this.pool.allocate(sizeClass);
      const page = this.pageOf(address);
      const offset = address & PAGE_MASK;
      page.values.set(documents.subarray(from, end), offset);
      for (let at = from; at < end; at++) this.pool.setCode(page, offset + at - from, codes[at]!);
      return address;
    };
    assert(this.documents(term) === 0, 'a term without postings is filled', () => term);
    const inTail = ((count - 1) % LARGEST_BLOCK) + 1;
    if (count > inTail) {
      const directory: Directory = { addresses: [], counts: [], firsts: [] };
      for (let from = 0; from < count - inTail; from += LARGEST_BLOCK) {
        directory.addresses.push(write(from, LARGEST_CLASS));
        directory.counts.push(LARGEST_BLOCK);
        directory.firsts.push(documents[from]!);
      }
      this.directories[term] = directory;
    }
    const sizeClass = classFor(inTail);
    this.setTail(term, write(count - inTail, sizeClass), inTail, sizeClass);
    this.records[term * STRIDE + COUNT] = count;
    this.total += count;
  }

  /** The document must be in the list. Returns its code. */
  remove(term: number, document: number): number {
    const { records } = this;
    const at = term * STRIDE;
    const address = records[at + TAIL]!;
    const directory = this.directories[term];
    records[at + COUNT]!--;
    this.total--;
    if (directory !== undefined && document < this.firstOf(address)) {
      const code = this.removeBeforeTail(directory, document);
      if (directory.counts.length === 0) this.directories[term] = undefined;
      return code;
    }
    const count = this.tailCount(term) - 1;
    const sizeClass = this.tailClass(term);
    const code = this.cut(address, count + 1, document);
    this.setTail(term, address, count, sizeClass);
    if (count === 0) {
      this.pool.release(address, sizeClass);
      if (directory === undefined) return code;
      this.setTail(term, directory.addresses.pop()!, directory.counts.pop()!, LARGEST_CLASS);
      directory.firsts.pop();
      if (directory.counts.length === 0) this.directories[term] = undefined;
    } else if (directory === undefined && sizeClass >= 2 && count <= CAPACITIES[sizeClass - 2]!) {
      // Two sizes down, not one: a list that grows and shrinks by one must not be copied each time.
      this.moveTail(term, sizeClass - 2);
    }
    return code;
  }

  /** The document's code, −1 if it does not have the term. */
  find(term: number, document: number): number {
    if (this.documents(term) === 0) return -1;
    let count = this.tailCount(term);
    let address = this.records[term * STRIDE + TAIL]!;
    const directory = this.directories[term];
    if (directory !== undefined && document < this.firstOf(address)) {
      const block = lastAtMost(directory.firsts, document);
      address = directory.addresses[block]!;
      count = directory.counts[block]!;
    }
    const { values, codes } = this.pageOf(address);
    const start = address & PAGE_MASK;
    const at = lowerBound(values, start, start + count, document);
    return at < start + count && values[at] === document ? codes[at]! : -1;
  }

  /** Number of blocks of the term's list. */
  blocks(term: number): number {
    if (this.documents(term) === 0) return 0;
    return (this.directories[term]?.counts.length ?? 0) + 1;
  }

  blockAddress(term: number, block: number): number {
    return this.directories[term]?.addresses[block] ?? this.records[term * STRIDE + TAIL]!;
  }

  blockCount(term: number, block: number): number {
    return this.directories[term]?.counts[block] ?? this.tailCount(term);
  }

  pageOf(address: number): Page {
    return this.pool.pages[address >>> PAGE_BITS]!;
  }

  private firstOf(address: number): number {
    return this.pageOf(address).values[address & PAGE_MASK]!;
  }

  private tailCount(term: number): number {
    return this.records[term * STRIDE + SHAPE]! & COUNT_MASK;
  }

  private tailClass(term: number): number {
    return this.records[term * STRIDE + SHAPE]! >>> CLASS_BITS;
  }

  private setTail(term: number, address: number, count: number, sizeClass: number): void {
    const at = term * STRIDE;
    this.records[at + TAIL] = address;
    this.records[at + SHAPE] = (sizeClass << CLASS_BITS) | count;
    this.records[at + LAST] = count === 0 ? 0 : this.pageOf(address).values[(address & PAGE_MASK) + count - 1]!;
  }

  /** The first posting of a term. */
  private begin(term: number, document: number, code: number): void {
    const address = this.pool.allocate(0);
    this.insert(address, 0, document, code);
    this.setTail(term, address, 1, 0);
  }

  private addToTail(term: number, document: number, code: number): void {
    if (this.tailCount(term) === CAPACITIES[this.tailClass(term)]!) {
      if (this.tailClass(term) === LARGEST_CLASS) this.splitTail(term, document);
      else this.moveTail(term, this.tailClass(term) + 1);
    }
    const address = this.records[term * STRIDE + TAIL]!;
    const count = this.tailCount(term);
    const directory = this.directories[term];
    if (directory !== undefined && count > 0 && document < this.firstOf(address)) {
      this.addBeforeTail(directory, document, code);
      return;
    }
    this.insert(address, count, document, code);
    this.setTail(term, address, count + 1, this.tailClass(term));
  }

  /** Splits a full tail: documents added in order leave full blocks, others half full ones. */
  private splitTail(term: number, document: number): void {
    const address = this.records[term * STRIDE + TAIL]!;
    const isNewest = document > this.records[term * STRIDE + LAST]!;
    const stay = isNewest ? LARGEST_BLOCK : LARGEST_BLOCK / 2;
    const tail = this.pool.allocate(LARGEST_CLASS);
    this.copy(address + stay, tail, LARGEST_BLOCK - stay);
    let directory = this.directories[term];
    if (directory === undefined) {
      directory = { addresses: [], counts: [], firsts: [] };
      this.directories[term] = directory;
    }
    directory.addresses.push(address);
    directory.counts.push(stay);
    directory.firsts.push(this.firstOf(address));
    this.setTail(term, tail, LARGEST_BLOCK - stay, LARGEST_CLASS);
  }

  private moveTail(term: number, toClass: number): void {
    const from = this.records[term * STRIDE + TAIL]!;
    const count = this.tailCount(term);
    const to = this.pool.allocate(toClass);
    this.copy(from, to, count);
    this.pool.release(from, this.tailClass(term));
    this.setTail(term, to, count, toClass);
  }

  private copy(from: number, to: number, count: number): void {
    const source = this.pageOf(from);
    const target = this.pageOf(to);
    const start = from & PAGE_MASK;
    const offset = to & PAGE_MASK;
    for (let i = 0; i < count; i++) {
      target.values[offset + i] = source.values[start + i]!;
      this.pool.setCode(target, offset + i, source.codes[start + i]!);
    }
  }

  /** Inserts into a block that is not full. */
  private insert(address: number, count: number, document: number, code: number): void {
    const page = this.pageOf(address);
    const start = address & PAGE_MASK;
    let at = start + count;
    const { values, codes } = page;
    for (; at > start && values[at - 1]! > document; at--) {
      values[at] = values[at - 1]!;
      codes[at] = codes[at - 1]!;
    }
    assert(at === start || values[at - 1] !== document, 'a document is added once');
    values[at] = document;
    this.pool.setCode(page, at, code);
  }

  private cut(address: number, count: number, document: number): number {
    const { values, codes } = this.pageOf(address);
    const start = address & PAGE_MASK;
    const end = start + count;
    const at = lowerBound(values, start, end, document);
    assert(at < end && values[at] === document, 'a posting to remove is there');
    const code = codes[at]!;
    values.copyWithin(at, at + 1, end);
    codes.copyWithin(at, at + 1, end);
    return code;
  }

  private addBeforeTail({ addresses, counts, firsts }: Directory, document: number, code: number): void {
    let block = lastAtMost(firsts, document);
    if (counts[block] === LARGEST_BLOCK) {
      const half = LARGEST_BLOCK / 2;
      const address = this.pool.allocate(LARGEST_CLASS);
      this.copy(addresses[block]! + half, address, half);
      addresses.splice(block + 1, 0, address);
      counts.splice(block, 1, half, half);
      firsts.splice(block + 1, 0, this.firstOf(address));
      if (document >= firsts[block + 1]!) block++;
    }
    this.insert(addresses[block]!, counts[block]!, document, code);
    counts[block]!++;
    firsts[block] = Math.min(firsts[block]!, document);
  }

  private removeBeforeTail(directory: Directory, document: number): number {
    const { addresses, counts, firsts } = directory;
    const block = lastAtMost(firsts, document);
    const code = this.cut(addresses[block]!, counts[block]!, document);
    counts[block]!--;
    if (counts[block] === 0) {
      this.dropBlock(directory, block);
      return code;
    }
    firsts[block] = this.firstOf(addresses[block]!);
    // Two neighbours that fit into half a block become one.
    const left = block > 0 && counts[block - 1]! + counts[block]! <= LARGEST_BLOCK / 2 ? block - 1 : block;
    if (left + 1 < counts.length && counts[left]! + counts[left + 1]! <= LARGEST_BLOCK / 2) {
      this.copy(addresses[left + 1]!, addresses[left]! + counts[left]!, counts[left + 1]!);
      counts[left]! += counts[left + 1]!;
      this.dropBlock(directory, left + 1);
    }
    return code;
  }

  private dropBlock({ addresses, counts, firsts }: Directory, block: number): void {
    this.pool.release(addresses[block]!, LARGEST_CLASS);
    addresses.splice(block, 1);
    counts.splice(block, 1);
    firsts.splice(block, 1);
  }
}

/** Index of the last that is at most `value`; 0 if there is none. */
function lastAtMost(sorted: readonly number[], value: number): number {
  let low = 0;
  let high = sorted.length;
  while (high - low > 1) {
    const middle = (low + high) >>> 1;
    if (sorted[middle]! <= value) low = middle;
    else high = middle;
  }
  return low;
}

/** Index of the first in `start` … `end` that is not below `value`. */
function lowerBound(sorted: Uint32Array, start: number, end: number, value: number): number {
  let low = start;
  let high = end;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (sorted[middle]! < value) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** Above all documents, and still a small integer to the engine. */
export const NO_MORE = 0x7fff_ffff;
const NO_VALUES = new Uint32Array(0);
const NO_CODES = new Uint8Array(0);

/** Iterates over a term's postings, block by block. */
export class Cursor {
  values: Uint32Array = NO_VALUES;
  codes: Codes = NO_CODES;
  at = 0;
  blockEnd = 0;
  /** The document at `at`; `NO_MORE` at the end. */
  next = NO_MORE;

  private readonly postings: Postings;
  private readonly term: number;
  private readonly blocks: number;
  private block = 0;

  constructor(postings: Postings, term: number) {
    this.postings = postings;
    this.term = term;
    this.blocks = postings.blocks(term);
    this.finish();
  }

  /** Must be called after `at` has changed. */
  finish(): void {
    if (this.at === this.blockEnd) {
      if (this.block === this.blocks) {
        this.next = NO_MORE;
        return;
      }
      const address = this.postings.blockAddress(this.term, this.block);
      const page = this.postings.pageOf(address);
      this.values = page.values;
      this.codes = page.codes;
      this.at = address & PAGE_MASK;
      this.blockEnd = this.at + this.postings.blockCount(this.term, this.block);
      this.block++;
    }
    this.next = this.values[this.at]! | 0;
  }
}
