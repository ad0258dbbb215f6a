/**
 * Text as people type it. Nothing in it is refused: what does not have one of the forms below is words, or the punctuation between
 * them.
 *
 * | form | at the beginning of a word |
 * |---|---|
 * | `"new york"` | a phrase; a quotation mark without a second one is punctuation |
 * | `title:word`, `title:"new york"` | in that field, if the schema has it as a text field |
 * | `-word`, `-"new york"`, `-title:word` | excluded |
 * | `word*` | words that begin so |
 */
import { patternOf } from '../analysis/analysis.ts';
import type { AskedWord, Lexicon } from '../lexicon/lexicon.ts';
import { longestOf } from './lunr-syntax.ts';
import type { Synonyms } from './synonyms.ts';
import { type Matching, PHRASE_VARIANTS_LIMIT, QUERY_LIMIT_CHARACTERS, QUERY_LIMIT_CLAUSES } from './text-query.ts';

/** A word or a phrase of the query. */
export interface PlainPart {
  readonly kind: 'word' | 'prefix' | 'phrase';
  /** Of a word, what it is compared by; a phrase as typed. */
  readonly text: string;
  /** Of a word, its terms: in the languages of the fields, and as a part of the compound that it is typed in. */
  readonly terms: readonly string[];
  /** The same as words: what a word is the beginning of. */
  readonly beginnings: readonly string[];
  /** Whether it is a stop word in each field it is looked for in. */
  readonly isStopWord: boolean;
  readonly isExcluded: boolean;
  /** Indexes of the fields it is looked for in, ascending. */
  readonly fields: readonly number[];
  /** What it, or words of the query that it is one of, stands for as well: words and phrases, phrases for a phrase. */
  readonly synonyms: readonly string[];
  /** False: it would stand for more. */
  readonly hasAllSynonyms: boolean;
}

export interface PlainQuery {
  readonly parts: readonly PlainPart[];
  /** Whether the last part is a word that may not be complete yet. */
  readonly isTyping: boolean;
  /** Whether nothing or `*` is asked for: everything. */
  readonly isEmpty: boolean;
  /** What was left out. */
  readonly relaxed: readonly string[];
}

const space = /\s/u;
/** What a word begins with. */
const beginning = /[\p{L}\p{M}\p{N}_\p{Extended_Pictographic}]/u;
const quotes: Readonly<Record<string, string>> = { '"': '"', '“': '”', '„': '“', '«': '»' };

/** What stands between white space, or a phrase. */
interface Piece {
  readonly text: string;
  readonly isPhrase: boolean;
  readonly isExcluded: boolean;
  readonly field: number | undefined;
}

/** Of the index: fields in schema order. */
export interface PlainParts {
  readonly fieldNames: readonly string[];
  readonly lexicon: Lexicon;
  readonly synonyms: Synonyms;
}

export function parsePlain(query: string, { fieldNames, lexicon, synonyms }: PlainParts): PlainQuery {
  const text = query.slice(0, QUERY_LIMIT_CHARACTERS);
  const relaxed: string[] = [];
  if (query.length > text.length) relaxed.push(`query:first ${text.length} of ${query.length} characters`);
  const all: PlainPart[] = [];
  const pieces = [...piecesOf(text, fieldNames)];
  const inFields: (number | undefined)[] = [];
  for (const piece of pieces) {
    for (const part of partsOf(piece, { fieldNames, lexicon, synonyms })) {
      all.push(part);
      inFields.push(piece.field);
    }
  }
  const parts = distinct(withSynonyms(all, inFields, synonyms));
  if (parts.length > QUERY_LIMIT_CLAUSES) {
    relaxed.push(`query:first ${QUERY_LIMIT_CLAUSES} of ${parts.length} words`);
  }
  const last = pieces.at(-1);
  return {
    parts: parts.slice(0, QUERY_LIMIT_CLAUSES),
    isTyping: last !== undefined && !last.isPhrase && !last.isExcluded && parts.length <= QUERY_LIMIT_CLAUSES,
    isEmpty: /^[\s*]*$/u.test(query),
    relaxed,
  };
}

/** How many of so many words and phrases an item must have. */
export function minimumOf(matching: Matching, words: number): number {
  if (matching === 'all') return words;
  if (matching === 'any' || words <= 2) return 1;
  return Math.floor(words / 2) + 1;
}

function* piecesOf(text: string, fieldNames: readonly string[]): Generator<Piece> {
  const names = text.includes(':') ? fieldNames.map((name) => `${name}:`) : [];
  let at = 0;
  while (at < text.length) {
    if (space.test(text[at]!)) {
      at++;
      continue;
    }
    const isExcluded = text[at] === '-' && beginsAt(text, at + 1);
    if (isExcluded) at++;
    const field = names.findIndex((name) => text.startsWith(name, at) && beginsAt(text, at + name.length));
    if (field >= 0) at += names[field]!.length;
    const end = endOfPhrase(text, at);
    const isPhrase = end !== undefined;
    let next = end ?? at;
    while (!isPhrase && next < text.length && !space.test(text[next]!)) next++;
    const from = isPhrase ? at + 1 : at;
    yield { text: text.slice(from, next), isPhrase, isExcluded, field: field < 0 ? undefined : field };
    at = isPhrase ? next + 1 : next;
  }
}

/** Whether a word or a phrase begins there. */
function beginsAt(text: string, at: number): boolean {
  const unit = text.codePointAt(at);
  return (unit !== undefined && beginning.test(String.fromCodePoint(unit))) || endOfPhrase(text, at) !== undefined;
}

/** Where the phrase that begins with a quotation mark there ends, before the second one; undefined if none begins. */
function endOfPhrase(text: string, at: number): number | undefined {
  const closing = quotes[text[at] ?? ''];
  const end = closing === undefined ? -1 : text.indexOf(closing, at + 1);
  return end < 0 || !beginning.test(text.slice(at + 1, end)) ? undefined : end;
}

function* partsOf(
  { text, isPhrase, isExcluded, field }: Piece,
  { fieldNames, lexicon, synonyms }: PlainParts,
): Generator<PlainPart> {
  const fields = field === undefined ? [...fieldNames.keys()] : [field];
  const asks = lexicon.asksOf(text, fields);
  const partOf = (words: readonly AskedWord[], kind: PlainPart['kind'] = 'word'): PlainPart => {
    const { word, terms: own, fields: searched } = words[0]!;
    const isStopWord = searched.length === 0;
    return {
      kind,
      text: word,
      terms: words.length === 1 ? own : [...new Set(words.flatMap((each) => each.terms))],
      beginnings: words.map((each) => each.word),
      isStopWord,
      isExcluded,
      fields: isStopWord ? fields : searched,
      synonyms: [],
      hasAllSynonyms: true,
    };
  };
  if (isPhrase || (isExcluded && asks.length > 1)) {
    // What is one word of a text, as `-spider-man` may be, or together in it.
    const compound = isPhrase ? [] : [...new Set(asks.filter((words) => words.length > 1).map(longestOf))];
    for (const word of distinctWords(compound)) yield partOf([word]);
    const phrase = { kind: 'phrase', text: text.trim(), terms: [], beginnings: [], isStopWord: false } as const;
    const variants = isExcluded ? [] : synonyms.variantsOf(text, fields[0]!, PHRASE_VARIANTS_LIMIT + 1);
    const used = {
      synonyms: variants.slice(0, PHRASE_VARIANTS_LIMIT),
      hasAllSynonyms: variants.length <= PHRASE_VARIANTS_LIMIT,
    };
    if (asks.length > 0) yield { ...phrase, isExcluded, fields, ...used };
    return;
  }
  const pattern = /[^\s*]\*$/u.test(text) ? patternOf(text.slice(0, -1)) : undefined;
  for (const [index, words] of asks.entries()) {
    const isPrefix = index === asks.length - 1 && words.some(({ word }) => word !== '' && pattern?.endsWith(word));
    yield partOf(words, isPrefix ? 'prefix' : 'word');
  }
}

/** Words in a row, which are looked for in the same fields, with their synonyms. `inFields`: the field that each names. */
function withSynonyms(
  parts: readonly PlainPart[],
  inFields: readonly (number | undefined)[],
  synonyms: Synonyms,
): readonly PlainPart[] {
  if (synonyms.isEmpty) return parts;
  const own = parts.map(() => new Set<string>());
  const isWord = ({ kind, isExcluded }: PlainPart): boolean => kind === 'word' && !isExcluded;
  for (let start = 0, end = 0; start < parts.length; start = Math.max(end, start + 1)) {
    end = start;
    while (end < parts.length && isWord(parts[end]!) && inFields[end] === inFields[start]) end++;
    const words = parts.slice(start, end).map(({ terms }) => terms[0]!);
    for (const { from, to, texts } of synonyms.among(words, inFields[start] ?? 0)) {
      for (const set of own.slice(start + from, start + to)) for (const text of texts) set.add(text);
    }
  }
  return parts.map((part, at) => (own[at]!.size === 0 ? part : { ...part, synonyms: [...own[at]!] }));
}

function distinctWords(words: readonly AskedWord[]): readonly AskedWord[] {
  return [...new Map(words.map((word) => [word.word, word])).values()];
}

/** Each once, in the order of the query. */
function distinct(parts: readonly PlainPart[]): readonly PlainPart[] {
  const byKey = new Map<string, PlainPart>();
  for (const part of parts) {
    const { kind, text, terms, isExcluded, fields } = part;
    const key = JSON.stringify([kind, kind === 'word' ? terms : text, isExcluded, fields]);
    const known = byKey.get(key);
    if (known === undefined) byKey.set(key, part);
    else if (part.synonyms.length > 0) {
      byKey.set(key, { ...known, synonyms: [...new Set([...known.synonyms, ...part.synonyms])] });
    }
  }
  return [...byKey.values()];
}
