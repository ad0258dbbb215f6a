/**
 * The words of the live documents as they were written, in lower case, and the term of each.
 *
 * Completions and wildcards search the words; documents are found by terms. A word exists as long as a live document has it, a
 * term as long as one of its words. Stop words have no term; being few, they are never removed.
 *
 * Texts are read once, unit by unit: a known word of plain ASCII is found without creating a string, all others use
 * `analysis.ts`, which defines words. The property test compares the two.
 */

import { assert } from '../../../../../shared/kernel/kernel.ts';
import type { Steps } from '../../../../../shared/kernel/steps.ts';
import { grown } from '../../memory/memory.ts';
import { Analysis, normalise, TERM_LIMIT_CHARACTERS } from './analysis.ts';
import { Key, StringTable, type StringTableImage } from './string-table.ts';
import { suggest } from './suggest.ts';
import { type Likeness, lettersOf, Vocabulary, type VocabularyImage } from './vocabulary.ts';

export interface Suggestion {
  /** The prefix as it was written, with its last word completed to a word of a live document. */
  readonly completion: string;
  /** Number of documents that have the word in this spelling. */
  readonly documents: number;
}

/** Marks a word without a term. */
const NO_TERM = -1;
/** The fields of a word in `records`, side by side for one memory access. */
const STRIDE = 3;
const TERM = 0;
const DOCUMENTS = 1;
const MARK = 2;
/**
 * Words of this many documents are also kept in a separate list, so that a search for the most frequent ones does not visit all
 * others.
 */
const FREQUENT_DOCUMENTS = 8;
const FIRST_WORDS = 1_024;
/** Number of texts beyond ASCII whose words are cached, because their analysis is expensive. */
const UNUSUAL_LIMIT = 16_384;

const SPACE = 32;
const SEPARATOR = 1;
const EDGE = 2;
const INNER = 3;
/** By ASCII unit: its class within a word. Separators as in lunr's tokenizer. */
const kinds = Uint8Array.from({ length: 128 }, (_, unit) => {
  const character = String.fromCharCode(unit);
  if (/[\s-]/.test(character)) return SEPARATOR;
  return /[a-z0-9_]/i.test(character) ? INNER : EDGE;
});

/** White space beyond ASCII, as in lunr's tokenizer. */
function isSpace(unit: number): boolean {
  if (unit < 0x1680) return unit === 0xa0;
  if (unit >= 0x2000 && unit <= 0x200a) return true;
  return [0x1680, 0x2028, 0x2029, 0x202f, 0x205f, 0x3000, 0xfeff].includes(unit);
}

/** A lexicon as plain data, for the transfer between threads. */
export interface LexiconImage {
  readonly vocabulary: VocabularyImage;
  readonly frequent: VocabularyImage;
  readonly terms: StringTableImage;
  readonly words: StringTableImage;
  readonly records: Int32Array<ArrayBuffer>;
  readonly wordsOf: Uint32Array<ArrayBuffer>;
}

export class Lexicon {
  private readonly vocabulary: Vocabulary;
  private readonly frequent: Vocabulary;
  readonly terms = new StringTable();
  /** Words of the text read last: the first `read` are valid. Stop words are omitted. */
  found = new Uint32Array(64);

  private records = new Int32Array(FIRST_WORDS * STRIDE);
  private readonly words = new StringTable();
  private readonly analysis = new Analysis();
  /** By term: words that have it. */
  private wordsOf = new Uint32Array(FIRST_WORDS);
  private unusual = new Map<string, readonly string[]>();
  private readonly key = new Key();
  private foundCount = 0;

  constructor() {
    this.vocabulary = new Vocabulary((word) => this.words.texts[word]!);
    this.frequent = new Vocabulary((word) => this.words.texts[word]!);
  }

  image(): LexiconImage {
    const { records, wordsOf } = this;
    return {
      ...{ records, wordsOf },
      vocabulary: this.vocabulary.image(),
      frequent: this.frequent.image(),
      terms: this.terms.image(),
      words: this.words.image(),
    };
  }

  adopt({ vocabulary, frequent, terms, words, ...image }: LexiconImage): void {
    Object.assign(this, image);
    this.vocabulary.adopt(vocabulary);
    this.frequent.adopt(frequent);
    this.terms.adopt(terms);
    this.words.adopt(words);
  }

  get sizeBytes(): number {
    return this.words.sizeBytes + this.terms.sizeBytes + this.records.byteLength + this.wordsOf.byteLength;
  }

  /** See the contract of the text index. */
  suggesting(prefix: string, limit: number): Steps<readonly Suggestion[]> {
    return suggest(this, prefix, limit);
  }

  /** Number of words that have a term. */
  get size(): number {
    return this.vocabulary.size;
  }

  /** Visits the words that begin with `prefix`, in alphabetical order, until `visit` returns false. */
  startingWith(prefix: string, visit: (word: number) => boolean): void {
    this.vocabulary.startingWith(prefix, visit);
  }

  /** The same in steps. */
  visiting(prefix: string, visit: (word: number) => boolean): Steps {
    return this.vocabulary.visiting(prefix, visit);
  }

  /** The same as {@link visiting}, but skips words with fewer documents than any visited word. */
  visitingFrequent(prefix: string, visit: (word: number) => boolean): Steps {
    return this.frequent.visiting(prefix, visit);
  }

  /** The same as {@link visiting}, but only similar words; `onPass` receives the number of words skipped each time. */
  like(prefix: string, likeness: Likeness, onPass: (words: number) => void, visit: (word: number) => boolean): Steps {
    return this.vocabulary.like(prefix, likeness, onPass, visit);
  }

  lettersOf(text: string): number {
    return lettersOf(text);
  }

  termOf(word: number): number {
    return this.records[word * STRIDE + TERM]!;
  }

  /** Live documents that have the word. */
  documentsOf(word: number): number {
    return this.records[word * STRIDE + DOCUMENTS]!;
  }

  /** Counts one more document for the word, unless it is marked already; returns whether it did. */
  mark(word: number): boolean {
    const at = word * STRIDE;
    if (this.records[at + MARK] === 1) return false;
    this.records[at + MARK] = 1;
    if (++this.records[at + DOCUMENTS]! === FREQUENT_DOCUMENTS) this.frequent.add(word);
    return true;
  }

  unmark(word: number): void {
    this.records[word * STRIDE + MARK] = 0;
  }

  /** Counts one document less; without any the word is removed. */
  discount(word: number): void {
    const at = word * STRIDE;
    assert(this.records[at + DOCUMENTS]! > 0, 'a word that is taken from a document was in it');
    const documents = --this.records[at + DOCUMENTS]!;
    if (documents === FREQUENT_DOCUMENTS - 1) this.frequent.remove(word);
    if (documents > 0) return;
    const term = this.records[at + TERM]!;
    this.vocabulary.remove(word);
    this.words.remove(word);
    if (--this.wordsOf[term]! === 0) this.terms.remove(term);
  }

  wordText(word: number): string {
    return this.words.texts[word]!;
  }

  /** Normalises characters with several encodings, as in words. */
  normalise(text: string): string {
    return normalise(text);
  }

  /** A normalised lower-case word in the form of the lexicon, and its term; empty if it has none. */
  analyse(word: string): { readonly word: string; readonly term: string } {
    const trimmed = this.analysis.trim(word);
    const known = this.words.find(trimmed);
    if (known < 0) return { word: trimmed, term: this.analysis.term(trimmed) };
    const term = this.termOf(known);
    return { word: trimmed, term: term === NO_TERM ? '' : this.terms.texts[term]! };
  }

  /** The number of a word; −1 if no live document has it. */
  find(word: string): number {
    return this.words.find(word);
  }

  /**
   * The term of each word that has one, −1 where no live document has it. Of words of ASCII letters, digits and `_` with
   * spaces between them alone; undefined for any other text, and for one of more than `limitWords` words.
   */
  plainTerms(text: string, limitWords: number): readonly number[] | undefined {
    const { key } = this;
    const terms: number[] = [];
    let words = 0;
    for (let at = 0; at < text.length; at++) {
      const start = at;
      key.begin();
      for (; at < text.length; at++) {
        const unit = text.charCodeAt(at);
        if (unit === SPACE) break;
        if (unit >= 128 || kinds[unit] !== INNER) return undefined;
        key.add(unit);
      }
      if (at === start) continue;
      if (++words > limitWords) return undefined;
      const known = at - start > TERM_LIMIT_CHARACTERS ? -1 : this.words.findSlice(text, start, at, key.low, key.high);
      if (known >= 0) {
        const term = this.records[known * STRIDE + TERM]!;
        if (term !== NO_TERM) terms.push(term);
        continue;
      }
      const stem = this.analysis.term(text.slice(start, at).toLowerCase());
      if (stem !== '') terms.push(this.terms.find(stem));
    }
    return terms;
  }

  /** Fills `found` with the words of `text.slice(from, end)`, and adds new ones to the lexicon. The caller counts them. */
  read(text: string, from = 0, end = text.length): number {
    this.foundCount = 0;
    this.readSome(text, from, end, Number.POSITIVE_INFINITY);
    return this.foundCount;
  }

  /** The same, of at most so many pieces between separators. Returns where to continue, and how many words were found. */
  readPart(text: string, from: number, pieces: number): { readonly next: number; readonly found: number } {
    this.foundCount = 0;
    const next = this.readSome(text, from, text.length, pieces);
    return { next, found: this.foundCount };
  }

  private readSome(text: string, from: number, end: number, pieces: number): number {
    let at = from;
    const { key } = this;
    for (let left = pieces; at < end && left > 0; left--) {
      let first = -1;
      let last = -1;
      // The key up to the last unit that is not punctuation.
      let low = 0;
      let high = 0;
      let isAscii = true;
      const start = at;
      key.begin();
      for (; at < end; at++) {
        const unit = text.charCodeAt(at);
        if (unit >= 128) {
          if (isSpace(unit)) break;
          isAscii = false;
          continue;
        }
        const kind = kinds[unit];
        if (kind === SEPARATOR) break;
        if (kind === INNER) {
          if (first < 0) first = at;
          last = at;
          key.add(unit);
          low = key.low;
          high = key.high;
        } else if (first >= 0) {
          key.add(unit);
        }
      }
      if (!isAscii || at - start > TERM_LIMIT_CHARACTERS) this.readUnusual(text.slice(start, at));
      else if (first >= 0) this.readWord(text, first, last + 1, low, high);
      at++;
    }
    return at;
  }

  private readWord(text: string, start: number, end: number, low: number, high: number): void {
    let word = this.words.findSlice(text, start, end, low, high);
    if (word < 0) word = this.add(text.slice(start, end).toLowerCase());
    this.push(word);
  }

  private readUnusual(text: string): void {
    let words = this.unusual.get(text);
    if (words === undefined) {
      words = this.analysis
        .words(text)
        .map((word) => this.analysis.trim(word))
        .filter((word) => word !== '');
      if (this.unusual.size >= UNUSUAL_LIMIT) this.unusual.clear();
      if (text.length <= TERM_LIMIT_CHARACTERS) this.unusual.set(text, words);
    }
    for (const text of words) {
      const word = this.words.find(text);
      this.push(word < 0 ? this.add(text) : word);
    }
  }

  private push(word: number): void {
    if (this.records[word * STRIDE + TERM] === NO_TERM) return;
    if (this.foundCount === this.found.length) this.found = grown(this.found, this.foundCount + 1);
    this.found[this.foundCount++] = word;
  }

  private add(text: string): number {
    const word = this.words.add(text);
    const at = word * STRIDE;
    if (at >= this.records.length) this.records = grown(this.records, at + STRIDE);
    this.records[at + DOCUMENTS] = 0;
    this.records[at + MARK] = 0;
    const stem = this.analysis.term(text);
    if (stem === '') {
      this.records[at + TERM] = NO_TERM;
      return word;
    }
    const known = this.terms.find(stem);
    const term = known < 0 ? this.terms.add(stem) : known;
    if (term >= this.wordsOf.length) this.wordsOf = grown(this.wordsOf, term + 1);
    if (known < 0) this.wordsOf[term] = 0;
    this.wordsOf[term]!++;
    this.records[at + TERM] = term;
    this.vocabulary.add(word);
    return word;
  }
}
