/**
 * The query language: lunr's syntax, with our semantics.
 *
 * `term`, `field:term`, `term^3`, `+must`, `-not`, `wild*`, `fuzzy~1`; a backslash escapes the character after it. Words get the
 * same analysis as documents. Stop words are left out, required or not, if there is another word that is not prohibited. Words
 * with a `*` or an edit distance are matched with the keys of words in documents, and replaced by their terms. `"a phrase"`,
 * `+title:"a phrase"^2` is a word to lunr's parser, which does not know phrases: a placeholder stands for it.
 */
import lunr from 'lunr';
import { Refusal } from '../../../../../shared/errors/errors.ts';
import { asksOf, patternOf } from '../analysis/analysis.ts';
import type { AskedWord, Lexicon } from '../lexicon/lexicon.ts';
import {
  type Clause,
  EDIT_DISTANCE_LIMIT,
  type Match,
  QUERY_LIMIT_CHARACTERS,
  QUERY_LIMIT_CLAUSES,
  QUERY_LIMIT_EXPANSIONS,
} from './text-query.ts';

const BOOST_LIMIT = 1_000;

/** lunr's result for one clause; its types lack `presence`, and the options that the text does not give. */
interface LunrClause {
  readonly term: string;
  readonly fields: readonly string[];
  readonly boost: number;
  readonly presence: number;
  readonly usePipeline: boolean;
  readonly editDistance?: number;
}

// The parser is not in lunr's types.
const { QueryParser, QueryLexer } = lunr as unknown as {
  QueryParser: new (text: string, query: lunr.Query) => { parse(): lunr.Query };
  QueryLexer: { termSeparator: RegExp };
};
// A hyphen within a word is the analysis's.
QueryLexer.termSeparator = /\s+/;

const presences = ['optional', 'required', 'prohibited'] as const;

/**
 * The clauses in query order; none when nothing in the query can be searched for. `fieldNames` in schema order.
 * Throws `Refusal('invalid_query')`.
 */
export function parseLunr(query: string, fieldNames: readonly string[], lexicon: Lexicon): Clause[] {
  if (query.length > QUERY_LIMIT_CHARACTERS) {
    throw refusal(
      `the query has ${query.length} characters`,
      `at most ${QUERY_LIMIT_CHARACTERS} characters are accepted`,
      fieldNames,
    );
  }
  const { text, phrases } = withoutPhrases(query, fieldNames);
  const parsed = parse(text, fieldNames);
  if (parsed.length > QUERY_LIMIT_CLAUSES) {
    throw refusal(`the query has ${parsed.length} words`, `at most ${QUERY_LIMIT_CLAUSES} are accepted`, fieldNames);
  }
  const all = [...fieldNames.keys()];
  const clauses: (Clause & { readonly isStopWord: boolean })[] = [];
  for (const clause of parsed) {
    if (!(clause.boost <= BOOST_LIMIT)) {
      throw refusal(`the boost of "${clause.term}" is too large`, `boosts are 0 to ${BOOST_LIMIT}`, fieldNames);
    }
    const fields = clause.fields.length === all.length ? all : indexesOf(clause.fields, fieldNames);
    // lunr counts presences from 1.
    const asked = { presence: presences[clause.presence - 1]!, boost: clause.boost };
    const phrase = phrases.get(clause.term);
    if (phrase !== undefined) {
      if (clause.editDistance !== undefined)
        throw refusal(`the phrase "${phrase}" has an edit distance`, 'leave it out', fieldNames);
      clauses.push({ ...asked, match: { kind: 'phrase', text: phrase }, fields, isStopWord: false });
      continue;
    }
    for (const { match, searched } of matchesOf(clause, fields, lexicon, fieldNames)) {
      const isStopWord = searched.length === 0;
      clauses.push({ ...asked, match, fields: isStopWord ? fields : searched, isStopWord });
    }
  }
  if (clauses.length > QUERY_LIMIT_CLAUSES) {
    throw refusal(`the query has ${clauses.length} words`, `at most ${QUERY_LIMIT_CLAUSES} are accepted`, fieldNames);
  }
  const expansions = clauses.filter(({ match }) => match.kind === 'wildcard' || match.kind === 'fuzzy').length;
  if (expansions > QUERY_LIMIT_EXPANSIONS) {
    throw refusal(
      `the query has ${expansions} words with a wildcard or an edit distance`,
      `at most ${QUERY_LIMIT_EXPANSIONS} are accepted`,
      fieldNames,
    );
  }
  const hasOther = clauses.some(({ presence, isStopWord }) => presence !== 'prohibited' && !isStopWord);
  return clauses.filter(({ presence, isStopWord }) => !hasOther || !isStopWord || presence === 'prohibited');
}

function indexesOf(names: readonly string[], fieldNames: readonly string[]): number[] {
  return [...fieldNames.keys()].filter((index) => names.includes(fieldNames[index]!));
}

interface WithoutPhrases {
  readonly text: string;
  /** By the word that stands for it in the text. */
  readonly phrases: ReadonlyMap<string, string>;
}

/** Throws `Refusal('invalid_query')` for a quotation mark that neither begins nor ends a phrase. */
function withoutPhrases(query: string, fieldNames: readonly string[]): WithoutPhrases {
  const phrases = new Map<string, string>();
  // Private use, and not in the query.
  let mark = 0xe000;
  while (query.includes(String.fromCharCode(mark))) mark++;
  const text = query.replace(/\\.|(?<=^|[\s+\-:])"((?:[^"\\]|\\.)*)"(?=$|[\s^~])|"/gsu, (found, phrase?: string) => {
    if (found.startsWith('\\')) return found;
    if (phrase === undefined || lengthOf(phrase) === 0) {
      throw refusal(
        'a quotation mark does not belong to a phrase',
        'a phrase is "two words", alone or after +, - or field:, and a backslash stands before a quotation mark that is meant literally',
        fieldNames,
      );
    }
    const name = `${String.fromCharCode(mark)}${phrases.size}`;
    phrases.set(name, phrase.replace(/\\(.)/gsu, '$1'));
    return name;
  });
  return { text, phrases };
}

/** Number of words. */
function lengthOf(phrase: string): number {
  return asksOf(phrase).length;
}

/** Throws `Refusal('invalid_query')`. */
function parse(text: string, fieldNames: readonly string[]): readonly LunrClause[] {
  // lunr would use the digits, and treat the rest as another word.
  const [, sign, value] = /(?<!\\)([\^~])(?!\d+(?=[\s^~]|$))([^\s^~]*)/.exec(text) ?? [];
  if (sign !== undefined) {
    throw refusal(
      `"${sign}${value?.slice(0, 32)}" is not a number`,
      `${sign} takes a whole number: term^3, fuzzy~1`,
      fieldNames,
    );
  }
  const query = new lunr.Query([...fieldNames]);
  try {
    new QueryParser(text, query).parse();
  } catch (error) {
    if (!(error instanceof lunr.QueryParseError)) throw error;
    throw refusal(error.message, 'put a backslash before a character that is meant literally', fieldNames);
  }
  return query.clauses as unknown as readonly LunrClause[];
}

/** What a clause asks for, and the fields where it is no stop word. */
interface Searched {
  readonly match: Match;
  readonly searched: readonly number[];
}

function matchesOf(
  clause: LunrClause,
  fields: readonly number[],
  lexicon: Lexicon,
  fieldNames: readonly string[],
): Searched[] {
  const distance = clause.editDistance ?? 0;
  if (distance > EDIT_DISTANCE_LIMIT) {
    throw refusal(
      `the edit distance of "${clause.term}" is ${distance}`,
      `at most ${EDIT_DISTANCE_LIMIT} is accepted`,
      fieldNames,
    );
  }
  if (!clause.usePipeline) {
    if (distance === 0) return [{ match: { kind: 'wildcard', pattern: patternOf(clause.term) }, searched: fields }];
    throw refusal(`"${clause.term}" has a wildcard and an edit distance`, 'use one of them', fieldNames);
  }
  const asks = lexicon.asksOf(clause.term, fields);
  const all = asks.flat();
  if (all.length === 0) return [];
  if (distance > 0) {
    // A compound as one word.
    const { word, terms } = longestOf(all);
    return [{ match: { kind: 'fuzzy', terms, word, distance }, searched: fields }];
  }
  if (presences[clause.presence - 1] === 'prohibited') {
    // What is together in a text, or in one word: an item that has the parts apart from each other stays.
    const compounds = asks.filter((words) => words.length > 1);
    const excluded = (compounds.length > 0 ? compounds : asks).map(longestOf).flatMap(({ terms }) => terms);
    return [{ match: { kind: 'term', word: longestOf(all).word, terms: [...new Set(excluded)] }, searched: fields }];
  }
  return asks.map((words) => ({
    match: { kind: 'term', word: words[0]!.word, terms: [...new Set(words.flatMap(({ terms }) => terms))] },
    searched: words[0]!.fields,
  }));
}

/** A compound rather than its parts. */
export function longestOf(words: readonly AskedWord[]): AskedWord {
  return words.reduce((best, each) => (each.word.length > best.word.length ? each : best));
}

function refusal(detail: string, hint: string, fieldNames: readonly string[]): Refusal {
  const syntax = `syntax: word, field:word, word^3, +must, -not, wild*, fuzzy~1, "a phrase"; fields: ${fieldNames.join(', ')}`;
  return new Refusal('invalid_query', detail, { hint: `${hint}; ${syntax}` });
}
