/**
 * The inverted index: which live documents have which terms, and the integers BM25 is made of.
 *
 * Documents are the ordinals of {@link Entities}. Each term has its postings, each document the list of its words, by which it is
 * removed again: a change costs in proportion to its document, and leaves nothing to clean up later.
 *
 * Invariants, true after every `put` and `remove`: document count, field lengths, sums of lengths and document frequencies are
 * exactly those of the live documents; no posting names a deleted document; a word or term without documents is in no dictionary.
 */
import { isDeepStrictEqual } from 'node:util';
import { assert } from '../../../../shared/kernel/kernel.ts';
import { finish, type Steps } from '../../../../shared/kernel/steps.ts';
import type { Metadata, MetadataValue } from '../../../../shared/protocol/events.ts';
import type { MetadataScan } from '../../metadata/metadata.ts';
import { grown } from '../memory/memory.ts';
import { defaultAnalysis, type FieldAnalysis, removingMarkup } from './analysis/analysis.ts';
import { BlockPool, type BlockPoolImage, classFor, LARGEST_BLOCK, PAGE_BITS, PAGE_MASK } from './block-pool.ts';
import { Frequencies, type FrequenciesImage, SEVERAL } from './frequencies.ts';
import { Gathering } from './gathering/gathering.ts';
import { Lexicon, type LexiconImage } from './lexicon/lexicon.ts';
import { Postings, type PostingsImage } from './postings.ts';

/** In `lengths`: that many or more; the number is in `longLengths`. */
export const LONG = 255;
const FIRST_DOCUMENTS = 1_024;
const FIRST_TERMS = 1_024;
/** Words, or pieces of text between separators, that one step reads, adds or removes. */
const WORDS_A_STEP = 32;

/** An index as plain data: built in one thread, adopted in another. */
export interface InvertedIndexImage {
  readonly fieldNames: readonly string[];
  readonly lexicon: LexiconImage;
  readonly postings: PostingsImage;
  readonly frequencies: FrequenciesImage;
  readonly words: BlockPoolImage;
  readonly longWords: Map<number, Uint32Array>;
  readonly longLengths: Map<number, number>;
  readonly lengths: Uint8Array<ArrayBuffer>;
  readonly lengthSums: number[];
  readonly fieldDocuments: number[];
  readonly live: Uint32Array<ArrayBuffer>;
  readonly count: number;
  readonly wordAddresses: Uint32Array<ArrayBuffer>;
  readonly wordCounts: Uint32Array<ArrayBuffer>;
  readonly severals: Uint32Array<ArrayBuffer>;
}

export interface InvertedIndexOptions {
  readonly fieldNames: readonly string[];
  /** Of each field; absent: {@link defaultAnalysis}. */
  readonly analyses?: readonly FieldAnalysis[] | undefined;
  /** In postings, before the gathering has to grow. */
  readonly capacity?: number | undefined;
}

export class InvertedIndex {
  readonly fieldNames: readonly string[];
  readonly lexicon: Lexicon;
  readonly postings = new Postings();
  readonly frequencies: Frequencies;
  /** By document × fields + field: number of words that count ({@link WordsRead}), {@link LONG} for more than fit. */
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
  private words = new BlockPool({ withCodes: false });
  private readonly longWords = new Map<number, Uint32Array>();
  // By document.
  private wordAddresses = new Uint32Array(FIRST_DOCUMENTS);
  private wordCounts = new Uint32Array(FIRST_DOCUMENTS);

  // The terms of the document being put or removed.
  /** By term: its index in `ownTerms` + 1; 0: not part of this change. */
  private places = new Uint32Array(FIRST_TERMS);
  /** By term: documents that have it in several fields. */
  private severals = new Uint32Array(FIRST_TERMS);
  private ownWords = new Uint32Array(64);
  private ownWordCount = 0;
  private ownTerms = new Uint32Array(64);
  private ownTermCount = 0;
  /** By index in `ownTerms` × fields + field. */
  private ownFrequencies: Uint32Array<ArrayBuffer>;

  private readonly room: number | undefined;
  private gathering: Gathering | undefined;

  constructor({ fieldNames, analyses, capacity: room }: InvertedIndexOptions) {
    this.room = room;
    this.fieldNames = fieldNames;
    this.lexicon = new Lexicon(analyses ?? fieldNames.map(() => defaultAnalysis));
    this.frequencies = new Frequencies(fieldNames.length);
    this.lengths = new Uint8Array(FIRST_DOCUMENTS * fieldNames.length);
    this.lengthSums = fieldNames.map(() => 0);
    this.fieldDocuments = fieldNames.map(() => 0);
    this.ownFrequencies = new Uint32Array(this.ownTerms.length * fieldNames.length);
  }

  image(): InvertedIndexImage {
    const { fieldNames, longWords, longLengths, lengths, lengthSums, fieldDocuments, live, count } = this;
    const { wordAddresses, wordCounts, severals } = this;
    return {
      ...{ fieldNames, longWords, longLengths, lengths, lengthSums, fieldDocuments, live, count },
      ...{ wordAddresses, wordCounts, severals },
      lexicon: this.lexicon.image(),
      postings: this.postings.image(),
      frequencies: this.frequencies.image(),
      words: this.words.image(),
    };
  }

  /** Adopts the contents of another index of the same fields; nothing was put here before. */
  adopt({ lexicon, postings, frequencies, words, fieldNames, ...image }: InvertedIndexImage): void {
    assert(this.changes === 0, 'only an index without documents adopts others');
    assert(isDeepStrictEqual(fieldNames, this.fieldNames), 'an index has its fields', () => fieldNames);
    Object.assign(this, image);
    this.lexicon.adopt(lexicon);
    this.postings.adopt(postings);
    this.frequencies.adopt(frequencies);
    this.words = new BlockPool(words);
    this.places = new Uint32Array(this.severals.length);
    this.changes++;
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

  /** The words of a live document, each once. Valid until the next change. */
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
    finish(this.putting(document, metadata));
  }

  /** Idempotent. */
  remove(document: number): void {
    finish(this.removing(document));
  }

  /** A step is {@link WORDS_A_STEP} words; until the last one the index is neither read nor changed otherwise. */
  *putting(document: number, metadata: Metadata): Steps {
    yield* this.removing(document);
    yield* this.read(document, metadata);
    const { postings } = this;
    postings.reserve(this.lexicon.terms.limit);
    for (let place = 0; place < this.ownTermCount; place++) {
      postings.add(this.ownTerms[place]!, document, this.takeCode(place));
      if ((place + 1) % WORDS_A_STEP === 0) yield;
    }
  }

  /**
   * The same as {@link put} of a new document, except for its postings, which {@link finish} adds: for very many documents, in
   * any order, in a fraction of the time. Until then neither `remove` nor searches are allowed.
   */
  gather(document: number, { text, count, names, nameIds, starts, ends, hashes }: MetadataScan): void {
    assert(!this.isLive(document), 'a document is gathered once', () => document);
    const { fieldNames } = this;
    const { kindOf } = this.lexicon.analysis;
    this.gathering ??= new Gathering(this.lexicon, fieldNames, this.room);
    const gathered = this.gathering;
    this.begin();
    if (document >= this.wordCounts.length) this.growDocuments(document + 1);
    gathered.lengths.fill(0, 0, fieldNames.length);
    for (let value = 0; value < count; value++) {
      const field = gathered.fieldOf(nameIds[value]!, names[value]!);
      if (field < 0) continue;
      const kind = kindOf[field]!;
      const words = gathered.read({ text, start: starts[value]!, end: ends[value]!, hash: hashes[value]!, kind });
      gathered.lengths[field]! += gathered.counted;
      this.note(words, gathered.found, field);
    }
    for (let field = 0; field < fieldNames.length; field++) this.setLength(document, field, gathered.lengths[field]!);
    this.finishReading(document);
    gathered.begin(document, this.ownTermCount, this.lexicon.terms.limit);
    for (let place = 0; place < this.ownTermCount; place++) gathered.add(this.ownTerms[place]!, this.takeCode(place));
  }

  /**
   * Maps the provisional number of every gathered document to its final one, and adds all postings to an index that has none.
   * Everything is read in the order of gathering and written in the new one, because the documents far exceed the processor's
   * cache.
   */
  finish(numbers: Int32Array): void {
    const { postings, lexicon, fieldNames } = this;
    const gathered = this.gathering ?? new Gathering(lexicon, fieldNames);
    assert(postings.size === 0, 'an index without postings settles');
    // No word stays marked: the adopting index does not know the document that was read last.
    this.begin();
    const { terms, codes, starts } = gathered.inOrder(numbers, this.frequencies.limit);
    this.renumber(numbers);
    const limit = lexicon.terms.limit;
    postings.reserve(limit);
    const nexts = gathered.postingStarts(limit);
    const documents = new Uint32Array(terms.length);
    const ofPostings = codes.slice();
    for (let document = 0; document + 1 < starts.length; document++) {
      for (let at = starts[document]!; at < starts[document + 1]!; at++) {
        const to = nexts[terms[at]!]!++;
        documents[to] = document;
        ofPostings[to] = codes[at]!;
      }
    }
    for (let term = 0, from = 0; term < limit; term++) {
      const end = nexts[term]!;
      if (end > from) postings.fill(term, documents.subarray(from, end), ofPostings.subarray(from, end));
      from = end;
    }
    this.gathering = undefined;
  }

  private renumber(numbers: Int32Array): void {
    const { wordAddresses, wordCounts, live, lengths, fieldNames } = this;
    const [longLengths, longWords] = [new Map(this.longLengths), new Map(this.longWords)];
    let limit = 0;
    for (let former = 0; former < numbers.length; former++) limit = Math.max(limit, numbers[former]! + 1);
    this.wordAddresses = new Uint32Array(FIRST_DOCUMENTS);
    this.wordCounts = new Uint32Array(FIRST_DOCUMENTS);
    this.live = new Uint32Array(FIRST_DOCUMENTS / 32);
    this.lengths = new Uint8Array(FIRST_DOCUMENTS * fieldNames.length);
    this.longLengths.clear();
    this.longWords.clear();
    this.growDocuments(limit);
    for (let former = 0; former < numbers.length; former++) {
      if (((live[former >>> 5]! >>> (former & 31)) & 1) === 0) continue;
      const document = numbers[former]!;
      assert(!this.isLive(document), 'every document has a number of its own', () => document);
      this.live[document >>> 5]! |= 1 << (document & 31);
      this.wordAddresses[document] = wordAddresses[former]!;
      this.wordCounts[document] = wordCounts[former]!;
      const [to, from] = [document * fieldNames.length, former * fieldNames.length];
      for (let field = 0; field < fieldNames.length; field++) this.lengths[to + field] = lengths[from + field]!;
    }
    for (const [at, length] of longLengths) {
      const former = Math.floor(at / fieldNames.length);
      this.longLengths.set(numbers[former]! * fieldNames.length + (at % fieldNames.length), length);
    }
    for (const [former, words] of longWords) this.longWords.set(numbers[former]!, words);
  }

  /** Adds everything of a document except its postings. */
  private *read(document: number, metadata: Metadata): Steps {
    this.begin();
    if (document >= this.wordCounts.length) this.growDocuments(document + 1);
    const { fieldNames } = this;
    for (let field = 0; field < fieldNames.length; field++) {
      const name = fieldNames[field]!;
      const value = metadata[name];
      const isThere = value !== undefined && Object.hasOwn(metadata, name);
      this.setLength(document, field, isThere ? yield* this.readField(value, field) : 0);
    }
    this.finishReading(document);
  }

  private finishReading(document: number): void {
    this.storeWords(document);
    this.live[document >>> 5]! |= 1 << (document & 31);
    this.count++;
  }

  /** The code of a term in the document being put. */
  private takeCode(place: number): number {
    const { frequencies } = this;
    const code = frequencies.take(this.ownFrequencies, place * this.fieldNames.length);
    if (frequencies.fieldOf[code] === SEVERAL) this.severals[this.ownTerms[place]!]!++;
    return code;
  }

  /** In steps as {@link putting}. */
  *removing(document: number): Steps {
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
      if ((i + 1) % WORDS_A_STEP === 0) yield;
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

  /** Returns the field's length. */
  private *readField(value: MetadataValue, field: number): Steps<number> {
    if (typeof value !== 'object')
      return yield* this.readText(typeof value === 'string' ? value : String(value), field);
    let length = 0;
    for (const text of value) length += yield* this.readText(text, field);
    return length;
  }

  private *readText(written: string, field: number): Steps<number> {
    const { lexicon } = this;
    const kind = lexicon.analysis.kindOf[field]!;
    const text = yield* removingMarkup(written);
    let length = 0;
    for (let from = 0; from < text.length; ) {
      const { next, found, counted } = lexicon.readPart(text, from, WORDS_A_STEP, kind);
      this.note(found, lexicon.found, field);
      length += counted;
      from = next;
      yield;
    }
    return length;
  }

  /** Adds the first `length` words of `found` to the document being put. */
  private note(length: number, found: Uint32Array, field: number): void {
    const { lexicon } = this;
    const kind = lexicon.analysis.kindOf[field]!;
    if (lexicon.terms.limit > this.places.length) {
      this.places = grown(this.places, lexicon.terms.limit);
      this.severals = grown(this.severals, lexicon.terms.limit);
    }
    for (let i = 0; i < length; i++) {
      const word = found[i]!;
      if (lexicon.mark(word)) this.addWord(word);
      const term = lexicon.termOf(word);
      const known = this.places[term]!;
      const place = known === 0 ? this.addTerm(term) : known - 1;
      const at = place * this.fieldNames.length + field;
      // How often a text has a stop word says nothing about it.
      if (this.ownFrequencies[at] === 0 || !lexicon.isStopWord(word, kind)) this.ownFrequencies[at]!++;
    }
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
