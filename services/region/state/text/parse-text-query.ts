/**
 * The query language: lunr's syntax, with our semantics.
 *
 * `term`, `field:term`, `term^3`, `+must`, `-not`, `wild*`, `fuzzy~1`; a backslash escapes the character after it. Words get the
 * same analysis as documents, so stop words are dropped from a query, required or not. Words with a `*` or an edit distance are
 * matched with words as they were written in documents, and replaced by their terms. Phrases are refused: the index does not
 * store positions within a text.
 */
import lunr from 'lunr';
import { Refusal } from '../../../../shared/errors/errors.ts';
import type { Lexicon } from './lexicon/lexicon.ts';

export const QUERY_LIMIT_CHARACTERS = 1_000;
export const QUERY_LIMIT_CLAUSES = 32;
/** Wildcards and fuzzy words scan the vocabulary, which is expensive. */
export const QUERY_LIMIT_EXPANSIONS = 8;
export const EDIT_DISTANCE_LIMIT = 2;
const BOOST_LIMIT = 1_000;

export type Match =
  | { readonly kind: 'term'; readonly term: string }
  /** `*` stands for any number of characters. */
  | { readonly kind: 'wildcard'; readonly pattern: string }
  /** The term itself, and words that insertions, deletions, substitutions and swaps of neighbours make of `word`. */
  | { readonly kind: 'fuzzy'; readonly term: string; readonly word: string; readonly distance: number };

export interface Clause {
  readonly match: Match;
  readonly presence: 'optional' | 'required' | 'prohibited';
  /** Factor of the clause's share in the score, ≥ 0. */
  readonly boost: number;
  /** Indexes of the fields it looks into, ascending. */
  readonly fields: readonly number[];
}

/** lunr's result for one clause; its types lack `presence`, and the options that the text does not give. */
interface LunrClause {
  readonly term: string;
  readonly fields: readonly string[];
  readonly boost: number;
  readonly presence: number;
  readonly usePipeline: boolean;
  readonly editDistance?: number;
}

const presences = ['optional', 'required', 'prohibited'] as const;

/**
 * The clauses in query order; none when nothing in the query can be searched for. `fieldNames` in schema order.
 * Throws `Refusal('invalid_query')`.
 */
export function parseTextQuery(query: string, fieldNames: readonly string[], lexicon: Lexicon): Clause[] {
  if (query.length > QUERY_LIMIT_CHARACTERS) {
    throw refusal(
      `the query has ${query.length} characters`,
      `at most ${QUERY_LIMIT_CHARACTERS} characters are accepted`,
      fieldNames,
    );
  }
  const parsed = parse(query, fieldNames, lexicon);
  if (parsed.length > QUERY_LIMIT_CLAUSES) {
    throw refusal(`the query has ${parsed.length} words`, `at most ${QUERY_LIMIT_CLAUSES} are accepted`, fieldNames);
  }
  const all = [...fieldNames.keys()];
  const clauses: Clause[] = [];
  for (const clause of parsed) {
    const match = matchOf(clause, lexicon, fieldNames);
    if (match === undefined) continue;
    if (!(clause.boost <= BOOST_LIMIT)) {
      throw refusal(`the boost of "${clause.term}" is too large`, `boosts are 0 to ${BOOST_LIMIT}`, fieldNames);
    }
    clauses.push({
      match,
      // lunr counts presences from 1.
      presence: presences[clause.presence - 1]!,
      boost: clause.boost,
      fields: clause.fields.length === all.length ? all : indexesOf(clause.fields, fieldNames),
    });
  }
  const expansions = clauses.filter(({ match }) => match.kind !== 'term').length;
  if (expansions > QUERY_LIMIT_EXPANSIONS) {
    throw refusal(
      `the query has ${expansions} words with a wildcard or an edit distance`,
      `at most ${QUERY_LIMIT_EXPANSIONS} are accepted`,
      fieldNames,
    );
  }
  return clauses;
}

function indexesOf(names: readonly string[], fieldNames: readonly string[]): number[] {
  return [...fieldNames.keys()].filter((index) => names.includes(fieldNames[index]!));
}

/** Throws `Refusal('invalid_query')`. */
function parse(text: string, fieldNames: readonly string[], lexicon: Lexicon): readonly LunrClause[] {
  // lunr would use the digits, and treat the rest as another word.
  const [, sign, value] = /(?<!\\)([\^~])(?!\d+(?=[\s^~]|$))([^\s^~]*)/.exec(text) ?? [];
  if (sign !== undefined) {
    throw refusal(
      `"${sign}${value?.slice(0, 32)}" is not a number`,
      `${sign} takes a whole number: term^3, fuzzy~1`,
      fieldNames,
    );
  }
  if (/(?<!\\)"/.test(text)) {
    throw refusal(
      'phrases in quotation marks are not supported',
      'ask for all of the words, as in +new +york, and put a backslash before a quotation mark that is meant literally',
      fieldNames,
    );
  }
  const query = new lunr.Query([...fieldNames]);
  // The parser is not in lunr's types.
  const { QueryParser } = lunr as unknown as {
    QueryParser: new (text: string, query: lunr.Query) => { parse(): lunr.Query };
  };
  try {
    new QueryParser(lexicon.normalise(text), query).parse();
  } catch (error) {
    if (!(error instanceof lunr.QueryParseError)) throw error;
    throw refusal(error.message, 'put a backslash before a character that is meant literally', fieldNames);
  }
  return query.clauses as unknown as readonly LunrClause[];
}

function matchOf(clause: LunrClause, lexicon: Lexicon, fieldNames: readonly string[]): Match | undefined {
  const distance = clause.editDistance ?? 0;
  if (distance > EDIT_DISTANCE_LIMIT) {
    throw refusal(
      `the edit distance of "${clause.term}" is ${distance}`,
      `at most ${EDIT_DISTANCE_LIMIT} is accepted`,
      fieldNames,
    );
  }
  if (!clause.usePipeline) {
    if (distance === 0) return { kind: 'wildcard', pattern: clause.term };
    throw refusal(`"${clause.term}" has a wildcard and an edit distance`, 'use one of them', fieldNames);
  }
  const { word, term } = lexicon.analyse(clause.term);
  if (term === '') return undefined;
  return distance === 0 ? { kind: 'term', term } : { kind: 'fuzzy', term, word, distance };
}

function refusal(detail: string, hint: string, fieldNames: readonly string[]): Refusal {
  const syntax = `syntax: word, field:word, word^3, +must, -not, wild*, fuzzy~1; fields: ${fieldNames.join(', ')}`;
  return new Refusal('invalid_query', detail, { hint: `${hint}; ${syntax}` });
}
