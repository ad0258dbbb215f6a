/** Parameters that decide how a result is sorted and what of it is shown, whatever list it is. */
import {
  FACET_SYNTAX,
  type Facet,
  readFacets,
  readNames,
  readSort,
  SORT_SYNTAX,
  type SortKey,
} from '../result/result.ts';
import { invalid } from './invalid.ts';

const FIELDS_LIMIT = 100;
const HIGHLIGHT_LIMIT = 16;
const SNIPPET_DEFAULT = 200;
const SNIPPET_LEAST = 20;
const SNIPPET_MOST = 2_000;
const FACET_LIMIT_DEFAULT = 10;
const FACET_LIMIT_MOST = 1_000;

/** Undefined: in the order of the scores, highest first. */
export function parseSort(search: URLSearchParams): readonly SortKey[] | undefined {
  const text = search.get('sort');
  if (text === null) return undefined;
  const keys = readSort(text);
  if (typeof keys === 'string') throw invalid('sort', keys, SORT_SYNTAX);
  return keys;
}

/** The metadata fields to show of each item; undefined: all. */
export function parseFields(search: URLSearchParams): readonly string[] | undefined {
  const text = search.get('fields');
  if (text === null) return undefined;
  return parseNames('fields', text, FIELDS_LIMIT);
}

export function parseFacets(search: URLSearchParams): readonly Facet[] {
  const text = search.get('facets');
  if (text === null) return [];
  const facets = readFacets(text);
  if (typeof facets === 'string') throw invalid('facets', facets, FACET_SYNTAX);
  return facets;
}

/** Number of values of a facet. */
export function parseFacetLimit(search: URLSearchParams): number {
  const text = search.get('facet_limit');
  if (text === null) return FACET_LIMIT_DEFAULT;
  const limit = /^\d{1,4}$/.test(text) ? Number(text) : 0;
  if (limit < 1 || limit > FACET_LIMIT_MOST) {
    throw invalid('facet_limit', `must be an integer from 1 to ${FACET_LIMIT_MOST}`);
  }
  return limit;
}

/** The text fields to highlight. */
export function parseHighlight(search: URLSearchParams): readonly string[] {
  const text = search.get('highlight');
  return text === null ? [] : [...new Set(parseNames('highlight', text, HIGHLIGHT_LIMIT))];
}

/** Characters of a highlight. */
export function parseSnippetLength(search: URLSearchParams): number {
  const text = search.get('snippet_length');
  if (text === null) return SNIPPET_DEFAULT;
  const length = /^\d{1,4}$/.test(text) ? Number(text) : 0;
  if (length < SNIPPET_LEAST || length > SNIPPET_MOST) {
    throw invalid('snippet_length', `must be an integer from ${SNIPPET_LEAST} to ${SNIPPET_MOST}`);
  }
  return length;
}

function parseNames(parameter: string, text: string, limit: number): readonly string[] {
  const names = readNames(text, limit);
  if (typeof names === 'string') throw invalid(parameter, names, `${parameter}=title,"og:type"`);
  return names.map(({ name, suffix }) => {
    if (suffix === '') return name;
    throw invalid(
      parameter,
      `has ${JSON.stringify(suffix.slice(0, 32))} after ${name.slice(0, 64)}`,
      `${parameter}=title,"og:type"`,
    );
  });
}
