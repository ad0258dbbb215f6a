/** A search's text as it is asked, what it means, and the limits of both syntaxes. */

/** `plain`: words as people type them. `lunr`: lunr's operators. */
export const syntaxes = ['plain', 'lunr'] as const;
export type Syntax = (typeof syntaxes)[number];

/** How many of the words an item must have: all, one, or most of them. Of `plain` only. */
export const matchings = ['all', 'any', 'most'] as const;
export type Matching = (typeof matchings)[number];

export interface TextQuery {
  readonly text: string;
  /** Absent: `plain`. */
  readonly syntax?: Syntax | undefined;
  /** Absent: `most`. */
  readonly matching?: Matching | undefined;
}

/** Longer queries are refused in lunr's syntax; of plain text the first characters are used. */
export const QUERY_LIMIT_CHARACTERS = 1_000;
/** More words are refused in lunr's syntax; of plain text the first words are used. */
export const QUERY_LIMIT_CLAUSES = 32;
/** Phrases that a phrase of a plain text stands for besides itself. */
export const PHRASE_VARIANTS_LIMIT = 32;
/** Wildcards and fuzzy words scan the vocabulary, which is expensive. */
export const QUERY_LIMIT_EXPANSIONS = 8;
export const EDIT_DISTANCE_LIMIT = 2;

export type Match =
  /** Any of the terms: a word in the languages of the fields, and the compound that it is part of. */
  | { readonly kind: 'term'; readonly terms: readonly string[]; readonly word: string }
  /** `*` stands for any number of characters. */
  | { readonly kind: 'wildcard'; readonly pattern: string }
  /** The terms themselves, and words that insertions, deletions, substitutions and swaps of neighbours make of `word`. */
  | { readonly kind: 'fuzzy'; readonly terms: readonly string[]; readonly word: string; readonly distance: number }
  /** Words that follow each other in one text. */
  | { readonly kind: 'phrase'; readonly text: string };

export type Presence = 'optional' | 'required' | 'prohibited';

export interface Clause {
  readonly match: Match;
  readonly presence: Presence;
  /** Factor of the clause's share in the score, ≥ 0. */
  readonly boost: number;
  /** Indexes of the fields it looks into, ascending. */
  readonly fields: readonly number[];
}
