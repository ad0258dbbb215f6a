/**
 * Analysis: from text to terms, the same for documents, queries, wildcards and completions. docs/search.md, “Words”, describes it.
 *
 *     text → without markup (`markup.ts`) → groups between separators (`groups.ts`) → words (`readings.ts`)
 *          → folded (`fold.ts`) → stem (`languages.ts`): the term
 *
 * Promise: what a text is read as depends on the text and on the field's language only, and takes time in proportion to its length.
 * Any string is a text. Of a word there is its spelling, as it was written, its key, by which words are compared, and its term.
 */
import { fold } from './fold.ts';
import { Groups } from './groups.ts';
import { type Language, type LanguageName, languageOf } from './languages.ts';
import { withoutMarkup } from './markup.ts';
import { keyOf, readingOf, type Word } from './readings.ts';

export { foldCase } from './fold.ts';
export { Groups } from './groups.ts';
export { type Language, type LanguageName, languages } from './languages.ts';
export { hasMarkup, removingMarkup, withoutMarkup } from './markup.ts';
export { isHidden, keyOf, type Reading, readingOf, TERM_LIMIT_CHARACTERS, type Word } from './readings.ts';

/** Grows with every change of what a text is read as: part of the schema's hash. */
export const ANALYSIS_VERSION = 2;

/** How the words of a field are reduced and weighed. */
export interface FieldAnalysis {
  readonly language: LanguageName;
  /** Those of the language, none, or these. */
  readonly stopWords: boolean | readonly string[];
}

export const defaultAnalysis: FieldAnalysis = { language: 'en', stopWords: true };

/** Of a field of the schema. */
export function analysisOf({ language, stopWords }: Partial<FieldAnalysis>): FieldAnalysis {
  return { language: language ?? defaultAnalysis.language, stopWords: stopWords ?? defaultAnalysis.stopWords };
}

/** A word of a text, with its bounds there, in UTF-16 units. */
export type Token = Word;

/** The words of a text in order; those of one group may overlap. */
export function* tokensOf(text: string): Generator<Token> {
  const clean = withoutMarkup(text);
  const groups = new Groups();
  for (let at = 0; groups.next(clean, at, clean.length); at = groups.end) {
    const { start: from } = groups;
    for (const word of readingOf(groups, clean).words) {
      yield { ...word, start: from + word.start, end: from + word.end };
    }
  }
}

/** What a text asks for, as a query: of each list one of the words, the first one being the best. */
export function asksOf(text: string): (readonly Word[])[] {
  const clean = withoutMarkup(text);
  const groups = new Groups();
  const all: (readonly Word[])[] = [];
  for (let at = 0; groups.next(clean, at, clean.length); at = groups.end) {
    const { words, asks } = readingOf(groups, clean);
    for (const ask of asks) {
      const own = ask.map((index) => words[index]!).filter(({ text }) => keyOf(text) !== '');
      if (own.length > 0) all.push(own);
    }
  }
  return all;
}

/** Whether a text is read as one word, and nothing else. */
export function isWord(text: string): boolean {
  const asks = asksOf(text);
  return asks.length > 0 && asks.every((words) => keyOf(words.at(-1)!.text) === keyOf(asks[0]!.at(-1)!.text));
}

/** A pattern with `*`, as the keys of words are compared with it. */
export function patternOf(text: string): string {
  return text
    .split('*')
    .map((piece) => keyOf(fold(piece)))
    .join('*');
}

/** The analyses of the fields of an index. */
export class Analysis {
  /** Each once, in the order of the fields. */
  readonly languages: readonly Language[];
  /** By field: the index of its language, and of its kind. Fields of one kind are analysed alike. */
  readonly languageOf: readonly number[];
  readonly kindOf: readonly number[];
  private readonly kinds: readonly { readonly language: number; isStopWord(word: string): boolean }[];

  constructor(fields: readonly FieldAnalysis[]) {
    const names = [...new Set(fields.map(({ language }) => language))];
    const keys = fields.map(({ language, stopWords }) => JSON.stringify([language, stopWords]));
    const distinct = [...new Set(keys)];
    this.languages = names.map(languageOf);
    this.languageOf = fields.map(({ language }) => names.indexOf(language));
    this.kindOf = keys.map((key) => distinct.indexOf(key));
    this.kinds = distinct.map((key) => {
      const field = keys.indexOf(key);
      const language = this.languageOf[field]!;
      return { language, isStopWord: stopWordsOf(fields[field]!, this.languages[language]!) };
    });
  }

  languageOfKind(kind: number): number {
    return this.kinds[kind]!.language;
  }

  /** One bit a kind: whether a word with that key is a stop word of it. */
  stopWordOf(key: string, language: number): number {
    let bits = 0;
    for (const [kind, { language: own, isStopWord }] of this.kinds.entries()) {
      if (own === language && isStopWord(key)) bits |= 1 << kind;
    }
    return bits;
  }

  /** One bit for each kind of the language. */
  kindsOf(language: number): number {
    return this.kinds.reduce((bits, { language: own }, kind) => (own === language ? bits | (1 << kind) : bits), 0);
  }
}

function stopWordsOf({ stopWords }: FieldAnalysis, language: Language): (word: string) => boolean {
  if (stopWords === true) return (word) => language.isStopWord(word);
  const keys = new Set(stopWords === false ? [] : stopWords.map((word) => keyOf(word.toLowerCase())));
  return (word) => keys.has(word);
}
