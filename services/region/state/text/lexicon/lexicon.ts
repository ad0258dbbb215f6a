/**
 * The words of the live documents as they were written, in lower case, and the term of each.
 *
 * Completions and wildcards search the words by their keys; documents are found by terms. A word exists as long as a live document
 * has it, a term as long as one of its words. Each language has words and terms of its own: a search in several fields asks for the
 * term of each of their languages. Stop words are words like others that nothing completes and no wildcard matches.
 *
 * Texts are read once, unit by unit: a known word of plain ASCII is found without creating a string, all others use
 * `analysis/analysis.ts`, which defines words. The property test compares the two.
 */
import { assert } from '../../../../../shared/kernel/kernel.ts';
import type { Steps } from '../../../../../shared/kernel/steps.ts';
import { grown } from '../../memory/memory.ts';
import {
  Analysis,
  asksOf,
  defaultAnalysis,
  type FieldAnalysis,
  Groups,
  hasMarkup,
  isHidden,
  keyOf,
  readingOf,
  TERM_LIMIT_CHARACTERS,
  type Word,
  withoutMarkup,
} from '../analysis/analysis.ts';
import { backwardsOrder, type Near, RANGE_WORDS, rangesAlike } from './alike.ts';
import { endOfWord, INNER, kindOf } from './plain-words.ts';
import { Key, StringTable, type StringTableImage } from './string-table.ts';
import { suggest } from './suggest.ts';
import { beforeSpelling, type Likeness, lettersOf, SPELLED, Vocabulary, type VocabularyImage } from './vocabulary.ts';

export type { Likeness, Near };

export interface Suggestion {
  /** The prefix as it was written, with its last word completed to a word of a live document. */
  readonly completion: string;
  /** Number of documents that have the word in this spelling. */
  readonly documents: number;
}

/** What was read of a text. */
export interface WordsRead {
  /** Where to continue. */
  readonly next: number;
  /** How many words of `found` belong to it. */
  readonly found: number;
  /** How many of them the length of a field counts: no stop words, and no compounds beside their parts. */
  readonly counted: number;
}

/** A word of a query, in the languages of some fields. */
export interface AskedWord {
  /** Its key. */
  readonly word: string;
  /** Of each language once, by which documents are found. */
  readonly terms: readonly string[];
  /** Those where it is no stop word. */
  readonly fields: readonly number[];
}

/** Marks a word without a term: nothing was left of it. */
const NO_TERM = -1;
/** The fields of a word in `records`, side by side for one memory access. */
const STRIDE = 3;
const TERM = 0;
const DOCUMENTS = 1;
/** Bits: {@link MARKED}, {@link SHOWN}, and for each kind of field whether it is a stop word there. */
const STATE = 2;
const MARKED = 1;
const SHOWN = 2;
const KIND_SHIFT = 2;
/**
 * Words of this many documents are also kept in a separate list, so that a search for the most frequent ones does not visit all
 * others.
 */
const FREQUENT_DOCUMENTS = 8;
const FIRST_WORDS = 1_024;
/** Number of groups other than single words of ASCII whose words are cached, because their analysis is expensive. */
const UNUSUAL_LIMIT = 16_384;
/** Separates a term from its language, which all but the first one have. */
const LANGUAGE = '\u0002';

/** A lexicon as plain data, for the transfer between threads. */
export interface LexiconImage {
  readonly vocabulary: VocabularyImage;
  readonly frequent: VocabularyImage;
  readonly backwards: VocabularyImage;
  readonly terms: StringTableImage;
  readonly words: readonly StringTableImage[];
  readonly ordered: Map<number, string>;
  readonly records: Int32Array<ArrayBuffer>;
  readonly wordsOf: Uint32Array<ArrayBuffer>;
}

export class Lexicon {
  readonly analysis: Analysis;
  readonly terms = new StringTable();
  /** Words of the text read last: the first `read` are valid. */
  found = new Uint32Array(64);

  private readonly vocabulary: Vocabulary;
  private readonly frequent: Vocabulary;
  /** The same words as in the vocabulary, by their endings. */
  private readonly backwards: Vocabulary;
  private records = new Int32Array(FIRST_WORDS * STRIDE);
  /** By language; a word's number is its number there · languages + its language. */
  private readonly words: readonly StringTable[];
  /** Of words that are not their own keys, what the vocabulary has of them. */
  private ordered = new Map<number, string>();
  /** By term: words that have it. */
  private wordsOf = new Uint32Array(FIRST_WORDS);
  private readonly unusual = new Map<string, readonly Word[]>();
  private readonly groups = new Groups();
  private readonly key = new Key();
  private foundCount = 0;
  private countedCount = 0;

  /** The analyses of the fields. */
  constructor(fields: readonly FieldAnalysis[] = [defaultAnalysis]) {
    this.analysis = new Analysis(fields);
    this.words = this.analysis.languages.map(() => new StringTable());
    this.vocabulary = new Vocabulary((word) => this.orderOf(word));
    this.frequent = new Vocabulary((word) => this.orderOf(word));
    this.backwards = new Vocabulary((word) => backwardsOrder(this.orderOf(word)));
  }

  image(): LexiconImage {
    const { records, wordsOf, ordered } = this;
    return {
      ...{ records, wordsOf, ordered },
      vocabulary: this.vocabulary.image(),
      frequent: this.frequent.image(),
      backwards: this.backwards.image(),
      terms: this.terms.image(),
      words: this.words.map((table) => table.image()),
    };
  }

  adopt({ vocabulary, frequent, backwards, terms, words, ...image }: LexiconImage): void {
    assert(words.length === this.words.length, 'a lexicon has its languages', () => words.length);
    Object.assign(this, image);
    this.vocabulary.adopt(vocabulary);
    this.frequent.adopt(frequent);
    this.backwards.adopt(backwards);
    this.terms.adopt(terms);
    for (const [language, table] of words.entries()) this.words[language]!.adopt(table);
  }

  get sizeBytes(): number {
    const words = this.words.reduce((sum, table) => sum + table.sizeBytes, 0);
    let ordered = 0;
    for (const text of this.ordered.values()) ordered += 64 + text.length;
    const orders = this.vocabulary.sizeBytes + this.frequent.sizeBytes + this.backwards.sizeBytes;
    return words + ordered + orders + this.terms.sizeBytes + this.records.byteLength + this.wordsOf.byteLength;
  }

  /** See the contract of the text index. */
  suggesting(prefix: string, limit: number): Steps<readonly Suggestion[]> {
    return suggest(this, prefix, limit);
  }

  /** Number of words that can be completed. */
  get size(): number {
    return this.vocabulary.size;
  }

  /** Visits the words whose key begins with `prefix`, in alphabetical order, until `visit` returns false. */
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

  /** Visits the words that few edits may make of one, in no order, some more than once, until `visit` returns false. */
  *alike(near: Near, likeness: Likeness, onPass: (words: number) => void, visit: (word: number) => boolean): Steps {
    let goesOn = true;
    const visitNext = (word: number): boolean => {
      goesOn = visit(word);
      return goesOn;
    };
    for (const { isBackwards, prefix } of rangesAlike(near, this.vocabulary)) {
      onPass(RANGE_WORDS);
      yield* (isBackwards ? this.backwards : this.vocabulary).like(prefix, likeness, onPass, visitNext);
      if (!goesOn) return;
      yield;
    }
  }

  /** By what words are ordered: their keys, then their spellings. */
  orderOf(word: number): string {
    return this.ordered.get(word) ?? this.spelling(word);
  }

  /** The same, of the words that {@link visitingFrequent} visits. */
  likeFrequent(
    prefix: string,
    likeness: Likeness,
    onPass: (words: number) => void,
    visit: (word: number) => boolean,
  ): Steps {
    return this.frequent.like(prefix, likeness, onPass, visit);
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

  /** Whether it can be completed, and patterns match it: neither a stop word nor hidden. */
  isShown(word: number): boolean {
    return (this.records[word * STRIDE + STATE]! & SHOWN) !== 0;
  }

  /** Whether it is a stop word of a kind of field. */
  isStopWord(word: number, kind: number): boolean {
    return ((this.records[word * STRIDE + STATE]! >>> (kind + KIND_SHIFT)) & 1) === 1;
  }

  /** Counts one more document for the word, unless it is marked already; returns whether it did. */
  mark(word: number): boolean {
    const at = word * STRIDE;
    const state = this.records[at + STATE]!;
    if ((state & MARKED) !== 0) return false;
    this.records[at + STATE] = state | MARKED;
    if (++this.records[at + DOCUMENTS]! === FREQUENT_DOCUMENTS && (state & SHOWN) !== 0) this.frequent.add(word);
    return true;
  }

  unmark(word: number): void {
    this.records[word * STRIDE + STATE]! &= ~MARKED;
  }

  /** Counts one document less; without any the word is removed. */
  discount(word: number): void {
    const at = word * STRIDE;
    assert(this.records[at + DOCUMENTS]! > 0, 'a word that is taken from a document was in it');
    const documents = --this.records[at + DOCUMENTS]!;
    const isShown = this.isShown(word);
    if (documents === FREQUENT_DOCUMENTS - 1 && isShown) this.frequent.remove(word);
    if (documents > 0) return;
    const term = this.records[at + TERM]!;
    if (isShown) {
      this.vocabulary.remove(word);
      this.backwards.remove(word);
    }
    this.ordered.delete(word);
    const languages = this.words.length;
    this.words[word % languages]!.remove(Math.floor(word / languages));
    if (--this.wordsOf[term]! === 0) this.terms.remove(term);
  }

  /** The key of a word. */
  wordText(word: number): string {
    const ordered = this.ordered.get(word);
    return ordered === undefined ? this.spelling(word) : beforeSpelling(ordered);
  }

  /** A word as it was written. */
  spelling(word: number): string {
    const languages = this.words.length;
    return this.words[word % languages]!.texts[languages === 1 ? word : Math.floor(word / languages)]!;
  }

  /** A term without its language. */
  termText(term: number): string {
    const text = this.terms.texts[term]!;
    const end = text.indexOf(LANGUAGE);
    return end < 0 ? text : text.slice(0, end);
  }

  /** The term of a word with that key, in the language of a field. */
  termFor(key: string, field: number): string {
    return this.termIn(key, this.analysis.languageOf[field]!);
  }

  /** The number of that term; −1 if no live document has it. */
  findTerm(key: string, field: number): number {
    return this.terms.find(this.termFor(key, field));
  }

  private termIn(key: string, language: number): string {
    const stem = this.analysis.languages[language]!.stem(key);
    return language === 0 ? stem : `${stem}${LANGUAGE}${language}`;
  }

  /**
   * What a text asks for in these fields: of each list one of the words, the first one being the best.
   */
  asksOf(text: string, fields: readonly number[]): (readonly AskedWord[])[] {
    return asksOf(text).map((words) => words.map((word) => this.asked(keyOf(word.text), fields)));
  }

  private asked(word: string, fields: readonly number[]): AskedWord {
    const { analysis } = this;
    const languages = [...new Set(fields.map((field) => analysis.languageOf[field]!))];
    const terms = languages.map((language) => this.termIn(word, language));
    const searched = fields.filter((field) => {
      const stops = analysis.stopWordOf(word, analysis.languageOf[field]!);
      return ((stops >>> analysis.kindOf[field]!) & 1) === 0;
    });
    return { word, terms, fields: searched };
  }

  /**
   * Fills `found` with the words of `text.slice(from, end)`, read as a field of that kind, and adds new ones to the lexicon. The
   * caller counts them.
   */
  read(text: string, from = 0, end = text.length, kind = 0): WordsRead {
    if (hasMarkup(text, from, end)) return this.readAll(withoutMarkup(text.slice(from, end)), 0, end - from, kind);
    return this.readAll(text, from, end, kind);
  }

  /** The same of a text without markup, at most so many words, or few more. */
  readPart(text: string, from: number, words: number, kind = 0): WordsRead {
    this.foundCount = 0;
    this.countedCount = 0;
    const next = this.readSome(text, from, text.length, words, kind);
    return { next, found: this.foundCount, counted: this.countedCount };
  }

  private readAll(text: string, from: number, end: number, kind: number): WordsRead {
    this.foundCount = 0;
    this.countedCount = 0;
    const next = this.readSome(text, from, end, Number.POSITIVE_INFINITY, kind);
    return { next, found: this.foundCount, counted: this.countedCount };
  }

  private readSome(text: string, from: number, end: number, limit: number, kind: number): number {
    const { key, groups } = this;
    const language = this.analysis.languageOfKind(kind);
    const table = this.words[language]!;
    let at = from;
    while (at < end && this.foundCount < limit) {
      const unit = text.charCodeAt(at);
      if (unit < 128 && kindOf[unit] !== INNER) {
        at++;
        continue;
      }
      if (unit < 128) {
        key.begin();
        key.add(unit);
        let next = at + 1;
        for (; next < end; next++) {
          const following = text.charCodeAt(next);
          if (following >= 128 || kindOf[following] !== INNER) break;
          key.add(following);
        }
        if (next - at <= TERM_LIMIT_CHARACTERS && endOfWord(text, next, end)) {
          const known = table.findSlice(text, at, next, key.low, key.high);
          if (known < 0) this.push(this.add(text.slice(at, next).toLowerCase(), language), kind, true);
          else this.push(known * this.words.length + language, kind, true);
          at = next;
          continue;
        }
      }
      if (!groups.next(text, at, end)) return end;
      this.readUnusual(text, language, kind);
      at = groups.end;
    }
    return at;
  }

  /** The group that was found last. */
  private readUnusual(text: string, language: number, kind: number): void {
    const { groups, unusual } = this;
    const isShort = groups.end - groups.start <= TERM_LIMIT_CHARACTERS;
    const written = isShort ? text.slice(groups.start, groups.end) : '';
    let words = isShort ? unusual.get(written) : undefined;
    if (words === undefined) {
      words = readingOf(groups, text).words;
      if (isShort) {
        if (unusual.size >= UNUSUAL_LIMIT) unusual.clear();
        // A copy: a slice would keep the whole text in memory.
        unusual.set([...written].join(''), words);
      }
    }
    const table = this.words[language]!;
    for (const { text: spelling, counts } of words) {
      const known = table.find(spelling);
      const word = known < 0 ? this.add(spelling, language) : known * this.words.length + language;
      if (word !== NO_TERM) this.push(word, kind, counts);
    }
  }

  private push(word: number, kind: number, counts: boolean): void {
    if (this.foundCount === this.found.length) this.found = grown(this.found, this.foundCount + 1);
    this.found[this.foundCount++] = word;
    if (counts && !this.isStopWord(word, kind)) this.countedCount++;
  }

  /** The number of a new word; {@link NO_TERM} if nothing of it is left. */
  private add(spelling: string, language: number): number {
    const own = keyOf(spelling);
    if (own === '') return NO_TERM;
    const word = this.words[language]!.add(spelling) * this.words.length + language;
    const at = word * STRIDE;
    if (at >= this.records.length) this.records = grown(this.records, at + STRIDE);
    const { analysis } = this;
    const stops = analysis.stopWordOf(own, language);
    const isShown = !isHidden(spelling) && stops !== analysis.kindsOf(language);
    this.records[at + DOCUMENTS] = 0;
    this.records[at + STATE] = (stops << KIND_SHIFT) | (isShown ? SHOWN : 0);
    const stem = this.termIn(own, language);
    const known = this.terms.find(stem);
    const term = known < 0 ? this.terms.add(stem) : known;
    if (term >= this.wordsOf.length) this.wordsOf = grown(this.wordsOf, term + 1);
    if (known < 0) this.wordsOf[term] = 0;
    this.wordsOf[term]!++;
    this.records[at + TERM] = term;
    if (language > 0) this.ordered.set(word, `${own}${SPELLED}${spelling}${SPELLED}${language}`);
    else if (own !== spelling) this.ordered.set(word, `${own}${SPELLED}${spelling}`);
    if (isShown) {
      this.vocabulary.add(word);
      this.backwards.add(word);
    }
    return word;
  }
}
