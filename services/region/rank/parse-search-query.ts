/**
 * The query of `GET /search`, from its URL parameters, and the cursor of its pages. The text itself is the text index's to
 * judge; everything else a client can get wrong is refused here, by name, with what would have been accepted.
 */
import type { Filter } from '../../../shared/protocol/filter.ts';
import {
  checkParameters,
  encodeCursor,
  filterIdentity,
  invalid,
  parseFilters,
  parseLimit,
  parsePage,
} from './page-parameters.ts';

export interface SearchQuery {
  /** In lunr's syntax; may hold nothing to search for. */
  readonly query: string;
  /** 1 … 200. */
  readonly limit: number;
  /** How many hits precede the page. */
  readonly skip: number;
  /** All must hold. */
  readonly filters: readonly Filter[];
  /** The moment the client pinned by `at` or a cursor; undefined: the region's own. */
  readonly atMs: number | undefined;
}

/** In the order refusals list them. `region` and `min_position` are the router's and the http room's to judge. */
const parameters = ['query', 'limit', 'cursor', 'filter', 'at', 'region', 'min_position'] as const;

/** Throws `Refusal` `invalid_request`. */
export function parseSearchQuery(search: URLSearchParams): SearchQuery {
  // The text index knows how long a text may be, and how to say so.
  checkParameters(search, { route: '/search', names: parameters, unbounded: ['query'] });
  const query = search.get('query');
  if (query === null) throw invalid('query', 'is required', 'query=jazz%20piano');
  const asked = { query, limit: parseLimit(search), filters: parseFilters(search) };
  return { ...asked, ...parsePage(search, identity(asked)) };
}

/** The cursor of the page after the one asked for, answered at the same `atMs`. */
export function nextSearchCursor(asked: SearchQuery, atMs: number): string {
  return encodeCursor(identity(asked), atMs, asked.skip + asked.limit);
}

/** Everything that decides the order of the hits and the size of the pages; apart from those of feeds. */
function identity({ query, limit, filters }: Pick<SearchQuery, 'query' | 'limit' | 'filters'>): readonly unknown[] {
  return ['search', query, limit, filterIdentity(filters)];
}
