/**
 * The inverted index: which live documents have which terms, and the integers BM25 is made of.
 *
 * Documents are the ordinals of {@link Entities}. Each term has its postings, each document the list of its words, by which
 * it is taken out again: a change costs in proportion to its document, and leaves nothing behind to be tidied up later.
 *
 * Invariants, true after every `put` and `remove`: document count, field lengths, sums of lengths and document
 * frequencies are those of the live documents and of nothing else; no posting names a document that is gone; a word or
 * term without documents is in no dictionary.
 */
import { grown } from '../../../../shared/kernel/grown.ts';
import { assert } from '../../../../shared/kernel/kernel.ts';
import type { Metadata, MetadataValue } from '../../../../shared/protocol/events.ts';
import { BlockPool, classFor, LARGEST_BLOCK, PAGE_BITS, PAGE_MASK } from './block-pool.ts';
import { Frequencies, SEVERAL } from './frequencies.ts';
import { Lexicon } from './lexicon/lexicon.ts';
import { Postings } from './postings.ts';

/** In `lengths`: that many or more; the number is in `longLengths`. */
export const LONG = 255;
const FIRST_DOCUMENTS = 1_024;
const FIRST_TERMS = 1_024;

export class InvertedIndex {
  readonly fieldNames: readonly string[];
  readonly lexicon = new Lexicon();
  readonly postings = new Postings();
  readonly frequencies: Frequencies;
  /** By document × fields + field: number of terms, {@link LONG} for more than fit. */
  lengths: Uint8Array<ArrayBuffer>;
  /** By field: sum of lengths over the live documents. */
  readonly lengthSums: number[];
  /** By field: live documents with at least one term in it. */
  readonly fieldDocuments: number[];
  /** One bit a document: whether it is live. */
  live = new Uint32Array(FIRST_DOCUMENTS / 32);

  private readonly longLengths = new Map<number, number>();
  private count = 0;
  private changes = 0;
  /** The words of each document, in blocks; longer lists than the largest block apart. */
  private readonly words = new BlockPool({ withCodes: false });
  private readonly longWords = new Map<number, Uint32Array>();
  // By document.
  private wordAddresses = new Uint32Array(FIRST_DOCUMENTS);
  private wordCounts = new Uint32Array(FIRST_DOCUMENTS);

  // What is collected of the document being put or removed.
  /** By term: its place in `ownTerms` + 1; 0: not met in this change. */
  private places = new Uint32Array(FIRST_TERMS);
  /** By term: documents that have it in several fields. */
  private severals = new Uint32Array(FIRST_TERMS);
  private ownWords = new Uint32Array(64);
  private ownWordCount = 0;
  private ownTerms = new Uint32Array(64);
  private ownTermCount = 0;
  /** By place × fields + field. */
  private ownFrequencies: Uint32Array<ArrayBuffer>;

  constructor({ fieldNames }: { fieldNames: readonly string[] }) {
    this.fieldNames = fieldNames;
    this.frequencies = new Frequencies(fieldNames.length);
    this.lengths = new Uint8Array(FIRST_DOCUMENTS * fieldNames.length);
    this.lengthSums = fieldNames.map(() => 0);
    this.fieldDocuments = fieldNames.map(() => 0);
    this.ownFrequencies = new Uint32Array(this.ownTerms.length * fieldNames.length);
  }

  /** Number of live documents. */
  get size(): number {
    return this.count;
  }

  /** Grows with every change. */
  get version(): number {
    return this.changes;
  }

  get sizeBytes(): number {
    const documents = this.wordAddresses.length * 8 + this.live.byteLength + this.lengths.byteLength;
    return documents + this.words.sizeBytes + this.postings.sizeBytes + this.lexicon.sizeBytes;
  }

  /** How many documents have the term in several fields. */
  several(term: number): number {
    return this.severals[term]!;
  }

  isLive(document: number): boolean {
    return (
      document >= 0 && document < this.wordCounts.length && ((this.live[document >>> 5]! >>> (document & 31)) & 1) === 1
    );
  }

  lengthOf(document: number, field: number): number {
    const at = document * this.fieldNames.length + field;
    const length = this.lengths[at]!;
    return length < LONG ? length : this.longLengths.get(at)!;
  }

  /** The words of a live document, each once. For use before the next change. */
  wordsOf(document: number): Uint32Array {
    const count = this.wordCounts[document]!;
    if (count > LARGEST_BLOCK) return this.longWords.get(document)!;
    const address = this.wordAddresses[document]!;
    const offset = address & PAGE_MASK;
    return count === 0
      ? new Uint32Array(0)
      : this.words.pages[address >>> PAGE_BITS]!.values.subarray(offset, offset + count);
  }

  put(document: number, metadata: Metadata): void {
    this.remove(document);
    this.begin();
    if (document >= this.wordCounts.length) this.growDocuments(document + 1);
    const { fieldNames } = this;
    for (let field = 0; field < fieldNames.length; field++) {
      const name = fieldNames[field]!;
      const value = metadata[name];
      const isThere = value !== undefined && Object.hasOwn(metadata, name);
      this.setLength(document, field, isThere ? this.readField(value, field) : 0);
    }
    this.storeWords(document);
    const { postings, frequencies } = this;
    postings.reserve(this.lexicon.terms.limit);
    for (let place = 0; place < this.ownTermCount; place++) {
      const code = frequencies.take(this.ownFrequencies, place * fieldNames.length);
      const term = this.ownTerms[place]!;
      if (frequencies.fieldOf[code] === SEVERAL) this.severals[term]!++;
      postings.add(term, document, code);
    }
    this.live[document >>> 5]! |= 1 << (document & 31);
    this.count++;
  }

  /** Idempotent. */
  remove(document: number): void {
    if (!this.isLive(document)) return;
    this.begin();
    const { lexicon, fieldNames } = this;
    const words = this.wordsOf(document);
    for (let i = 0; i < words.length; i++) {
      const word = words[i]!;
      const term = lexicon.termOf(word);
      if (this.places[term] === 0) {
        this.addTerm(term);
        const code = this.postings.remove(term, document);
        if (this.frequencies.fieldOf[code] === SEVERAL) this.severals[term]!--;
        this.frequencies.release(code);
      }
      lexicon.discount(word);
    }
    if (words.length > LARGEST_BLOCK) this.longWords.delete(document);
    else if (words.length > 0) this.words.release(this.wordAddresses[document]!, classFor(words.length));
    for (let field = 0; field < fieldNames.length; field++) {
      const length = this.lengthOf(document, field);
      this.lengthSums[field]! -= length;
      if (length > 0) this.fieldDocuments[field]!--;
      this.longLengths.delete(document * fieldNames.length + field);
    }
    this.live[document >>> 5]! &= ~(1 << (document & 31));
    this.count--;
  }

  private begin(): void {
    this.changes++;
    for (let i = 0; i < this.ownWordCount; i++) this.lexicon.unmark(this.ownWords[i]!);
    for (let place = 0; place < this.ownTermCount; place++) this.places[this.ownTerms[place]!] = 0;
    this.ownWordCount = 0;
    this.ownTermCount = 0;
  }

  /** Answers the number of terms. */
  private readField(value: MetadataValue, field: number): number {
    if (typeof value !== 'object') return this.readText(typeof value === 'string' ? value : String(value), field);
    let length = 0;
    for (const text of value) length += this.readText(text, field);
    return length;
  }

  private readText(text: string, field: number): number {
    const { lexicon } = this;
    const length = lexicon.read(text);
    if (lexicon.terms.limit > this.places.length) {
      this.places = grown(this.places, lexicon.terms.limit);
      this.severals = grown(this.severals, lexicon.terms.limit);
    }
    const { found } = lexicon;
    for (let i = 0; i < length; i++) {
      const word = found[i]!;
      if (lexicon.mark(word)) this.addWord(word);
      const term = lexicon.termOf(word);
      const known = this.places[term]!;
      const place = known === 0 ? this.addTerm(term) : known - 1;
      this.ownFrequencies[place * this.fieldNames.length + field]!++;
    }
    return length;
  }

  private addWord(word: number): void {
    if (this.ownWordCount === this.ownWords.length) this.ownWords = grown(this.ownWords, this.ownWordCount + 1);
    this.ownWords[this.ownWordCount++] = word;
  }

  private addTerm(term: number): number {
    const place = this.ownTermCount++;
    if (place === this.ownTerms.length) {
      this.ownTerms = grown(this.ownTerms, place + 1);
      this.ownFrequencies = grown(this.ownFrequencies, this.ownTerms.length * this.fieldNames.length);
    }
    this.places[term] = place + 1;
    this.ownTerms[place] = term;
    const start = place * this.fieldNames.length;
    for (let field = 0; field < this.fieldNames.length; field++) this.ownFrequencies[start + field] = 0;
    return place;
  }

  private setLength(document: number, field: number, length: number): void {
    const at = document * this.fieldNames.length + field;
    this.lengths[at] = Math.min(length, LONG);
    if (length >= LONG) this.longLengths.set(at, length);
    this.lengthSums[field]! += length;
    if (length > 0) this.fieldDocuments[field]!++;
  }

  private storeWords(document: number): void {
    const count = this.ownWordCount;
    this.wordCounts[document] = count;
    if (count > LARGEST_BLOCK) {
      this.longWords.set(document, this.ownWords.slice(0, count));
    } else if (count > 0) {
      const address = this.words.allocate(classFor(count));
      const { values } = this.words.pages[address >>> PAGE_BITS]!;
      const offset = address & PAGE_MASK;
      for (let i = 0; i < count; i++) values[offset + i] = this.ownWords[i]!;
      this.wordAddresses[document] = address;
    }
  }

  private growDocuments(limit: number): void {
    assert(limit < 2 ** 31, 'documents are small numbers', () => limit);
    this.wordAddresses = grown(this.wordAddresses, limit);
    this.wordCounts = grown(this.wordCounts, limit);
    this.live = grown(this.live, this.wordCounts.length >>> 5);
    this.lengths = grown(this.lengths, this.wordCounts.length * this.fieldNames.length);
  }
}
