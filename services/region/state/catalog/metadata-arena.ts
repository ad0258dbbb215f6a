/**
 * Metadata by ordinal, as the JSON it is stored and logged in, outside the reach of the garbage collector.
 *
 * Records are written one after another into pages of 1 MiB: ordinal, length, bytes. A replaced or removed record stays in its
 * page as waste. The live records of a page that is more than half waste are moved to the page being written, and the page is
 * reused. So the arena takes at most about twice the size of its live records, a record is moved at most about once for each
 * removed one, and no change takes longer than reading one page.
 */
import { assert } from '../../../../shared/kernel/kernel.ts';
import type { Metadata } from '../../../../shared/protocol/events.ts';
import type { MetadataPage } from './catalog.ts';

/** Offsets count words of 4 bytes. */
const PAGE_WORD_BITS = 18;
const PAGE_WORDS = 1 << PAGE_WORD_BITS;
const PAGES_LIMIT = 2 ** (32 - PAGE_WORD_BITS);
const WORD_MASK = PAGE_WORDS - 1;
const HEAD_WORDS = 2;
const FIRST_ORDINALS = 1_024;
/** Number of cached decoded metadata: those of the most requested items. A power of two. */
const KEPT = 4_096;

class Page {
  /** Shared: other threads may read it. */
  readonly bytes = Buffer.from(new SharedArrayBuffer(PAGE_WORDS * 4));
  readonly words = new Uint32Array(this.bytes.buffer, 0, PAGE_WORDS);
  /** Words written, and the wasted ones among them. */
  used = 0;
  wasted = 0;
}

export class MetadataArena {
  private readonly pages: Page[] = [];
  private readonly free: number[] = [];
  /** Index of the page being written. */
  private current = -1;
  /** By ordinal: page and word of the record + 1; 0: none. */
  private places = new Uint32Array(FIRST_ORDINALS);
  /** The same of former records that are still needed. */
  private readonly aside = new Map<number, number>();
  /** True while other threads read the pages: none is emptied, so none is overwritten. */
  private isLent = false;
  /** Pages that were lent so far are below it. */
  private lentPages = 0;
  private readonly kept: (Metadata | undefined)[] = new Array<Metadata | undefined>(KEPT).fill(undefined);
  private readonly keptOrdinals = new Int32Array(KEPT).fill(-1);

  has(ordinal: number): boolean {
    return ordinal < this.places.length && this.places[ordinal] !== 0;
  }

  /** Bytes of all pages. */
  get bytes(): number {
    return this.pages.length * PAGE_WORDS * 4;
  }

  /** Replaces the former metadata. */
  put(ordinal: number, json: Uint8Array): void {
    this.remove(ordinal);
    const place = this.write(ordinal, json, 0, json.length);
    while (ordinal >= this.places.length) this.grow();
    this.places[ordinal] = place + 1;
  }

  /** Idempotent. */
  remove(ordinal: number): void {
    if (this.has(ordinal)) this.waste(this.cut(ordinal));
  }

  /** Keeps the record aside as the former one, apart from what is put for the ordinal from now on. It has one. */
  setAside(ordinal: number): void {
    assert(!this.aside.has(ordinal), 'one former record is set aside', () => ordinal);
    this.aside.set(ordinal, this.cut(ordinal) + 1);
  }

  /** Bytes of the JSON that was set aside; 0 if there is none. */
  sizeAside(ordinal: number): number {
    const place = this.aside.get(ordinal);
    return place === undefined ? 0 : this.sizeAt(place - 1);
  }

  /** The metadata that were set aside, decoded. */
  decodeAside(ordinal: number): Metadata | undefined {
    const place = this.aside.get(ordinal);
    return place === undefined ? undefined : this.decodeAt(place - 1);
  }

  /** Idempotent. */
  removeAside(ordinal: number): void {
    const place = this.aside.get(ordinal);
    if (place === undefined) return;
    this.aside.delete(ordinal);
    this.waste(place - 1);
  }

  private cut(ordinal: number): number {
    if (this.keptOrdinals[ordinal % KEPT] === ordinal) this.keptOrdinals[ordinal % KEPT] = -1;
    const place = this.places[ordinal]! - 1;
    this.places[ordinal] = 0;
    return place;
  }

  private waste(place: number): void {
    const index = place >>> PAGE_WORD_BITS;
    const page = this.pages[index]!;
    page.wasted += wordsOf(page.words[(place & WORD_MASK) + 1]!);
    if (index !== this.current && page.wasted * 2 > page.used && !this.isLent) this.empty(index);
  }

  /** The pages that were written and not lent; with `all` also the page being written. */
  lend(lend: (page: MetadataPage) => void, all: boolean): void {
    this.isLent = true;
    const end = all ? this.pages.length : this.pages.length - 1;
    for (; this.lentPages < end; this.lentPages++) {
      const { words, used } = this.pages[this.lentPages]!;
      lend({ words: words.subarray(0, used) });
    }
  }

  /**
   * Called when other threads no longer read them. Pages that became waste meanwhile are released at once, because a page without
   * live records would not be checked again.
   */
  takeBack(): void {
    if (!this.isLent) return;
    this.isLent = false;
    for (const [index, { used, wasted }] of this.pages.entries()) {
      if (index !== this.current && wasted * 2 > used) this.empty(index);
    }
  }

  /** Renumbers the metadata: `ordinals` has the ordinal for each number. None was read before. */
  renumber(ordinals: Int32Array): void {
    const former = this.places;
    this.places = new Uint32Array(FIRST_ORDINALS);
    for (let from = 0; from < ordinals.length && from < former.length; from++) {
      const place = former[from]! - 1;
      if (place < 0) continue;
      const ordinal = ordinals[from]!;
      while (ordinal >= this.places.length) this.grow();
      this.places[ordinal] = place + 1;
      this.pages[place >>> PAGE_WORD_BITS]!.words[place & WORD_MASK] = ordinal;
    }
  }

  /** Bytes of the JSON; 0 if there is none. */
  size(ordinal: number): number {
    return this.has(ordinal) ? this.sizeAt(this.places[ordinal]! - 1) : 0;
  }

  private sizeAt(place: number): number {
    return this.pages[place >>> PAGE_WORD_BITS]!.words[(place & WORD_MASK) + 1]!;
  }

  /** The bytes in the arena itself, valid until the next change. */
  json(ordinal: number): Uint8Array | undefined {
    if (!this.has(ordinal)) return undefined;
    const place = this.places[ordinal]! - 1;
    const { bytes, words } = this.pages[place >>> PAGE_WORD_BITS]!;
    const word = place & WORD_MASK;
    const start = (word + HEAD_WORDS) * 4;
    return bytes.subarray(start, start + words[word + 1]!);
  }

  /** Decoded metadata; frequently requested ones are cached. */
  get(ordinal: number): Metadata | undefined {
    const slot = ordinal % KEPT;
    if (this.keptOrdinals[slot] === ordinal) return this.kept[slot];
    const metadata = this.decode(ordinal);
    if (metadata !== undefined) {
      this.kept[slot] = metadata;
      this.keptOrdinals[slot] = ordinal;
    }
    return metadata;
  }

  /** Decoded without the cache, for iterations over everything. */
  decode(ordinal: number): Metadata | undefined {
    return this.has(ordinal) ? this.decodeAt(this.places[ordinal]! - 1) : undefined;
  }

  private decodeAt(place: number): Metadata {
    const { bytes, words } = this.pages[place >>> PAGE_WORD_BITS]!;
    const word = place & WORD_MASK;
    const start = (word + HEAD_WORDS) * 4;
    return JSON.parse(bytes.toString('utf8', start, start + words[word + 1]!)) as Metadata;
  }

  /** Returns its place. */
  private write(ordinal: number, from: Uint8Array, start: number, end: number): number {
    const words = wordsOf(end - start);
    let page = this.pages[this.current];
    if (page === undefined || page.used + words > PAGE_WORDS) page = this.turn();
    assert(words <= PAGE_WORDS, 'metadata fit a page', () => end - start);
    page.words[page.used] = ordinal;
    page.words[page.used + 1] = end - start;
    const at = (page.used + HEAD_WORDS) * 4;
    if (start === 0 && end === from.length) page.bytes.set(from, at);
    else page.bytes.set(from.subarray(start, end), at);
    const place = this.current * PAGE_WORDS + page.used;
    page.used += words;
    return place;
  }

  /** Begins another page. The former one may be half waste by now, and is checked with its next waste. */
  private turn(): Page {
    const reused = this.free.pop();
    if (reused === undefined) {
      assert(this.pages.length < PAGES_LIMIT - 1, 'all metadata fit the arena', () => this.bytes);
      this.current = this.pages.push(new Page()) - 1;
    } else {
      this.current = reused;
    }
    return this.pages[this.current]!;
  }

  /** Moves the live records of the page to the one being written. */
  private empty(index: number): void {
    const page = this.pages[index]!;
    for (let word = 0; word < page.used; ) {
      const ordinal = page.words[word]!;
      const length = page.words[word + 1]!;
      const place = index * PAGE_WORDS + word + 1;
      const start = (word + HEAD_WORDS) * 4;
      if (this.places[ordinal] === place) {
        this.places[ordinal] = this.write(ordinal, page.bytes, start, start + length) + 1;
      } else if (this.aside.get(ordinal) === place) {
        this.aside.set(ordinal, this.write(ordinal, page.bytes, start, start + length) + 1);
      }
      word += wordsOf(length);
    }
    page.used = 0;
    page.wasted = 0;
    this.free.push(index);
  }

  private grow(): void {
    const places = new Uint32Array(this.places.length * 2);
    places.set(this.places);
    this.places = places;
  }
}

/** Of a record with so many bytes. */
function wordsOf(bytes: number): number {
  return HEAD_WORDS + ((bytes + 3) >>> 2);
}
