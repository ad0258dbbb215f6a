/**
 * The query of `GET /search`, from its URL parameters, and the cursor of its pages. The text itself is the text index's to
 * judge; everything else a client can get wrong is refused here, by name, with what would have been accepted.
 */
import type { Filter } from '../../../shared/protocol/filter.ts';
import type { Cursors, MaxPer } from '../pages/pages.ts';
import {
  checkParameters,
  filterIdentity,
  invalid,
  maxPerIdentity,
  type PageStart,
  parseExplain,
  parseFilters,
  parseLimit,
  parseMaxPer,
  parsePage,
} from './page-parameters.ts';

export interface SearchQuery extends PageStart {
  /** In lunr's syntax; may hold nothing to search for. */
  readonly query: string;
  /** 1 … 200. */
  readonly limit: number;
  /** All must hold. */
  readonly filters: readonly Filter[];
  readonly maxPer: MaxPer | undefined;
  /** Whether each hit says what its score is made of. */
  readonly explain: boolean;
}

/** In the order refusals list them. `region` and `min_position` are the router's and the http room's to judge. */
const parameters = [
  'query',
  'limit',
  'cursor',
  'filter',
  'max_per',
  'explain',
  'at',
  'region',
  'min_position',
] as const;

/** Throws `Refusal` `invalid_request`. */
export function parseSearchQuery(search: URLSearchParams, cursors: Cursors): SearchQuery {
  // The text index knows how long a text may be, and how to say so.
  checkParameters(search, { route: '/search', names: parameters, unbounded: ['query'] });
  const query = search.get('query');
  if (query === null) throw invalid('query', 'is required', 'query=jazz%20piano');
  const asked = {
    query,
    limit: parseLimit(search),
    filters: parseFilters(search),
    maxPer: parseMaxPer(search),
    explain: parseExplain(search),
  };
  return { ...asked, ...parsePage(search, cursors, searchIdentity(asked)) };
}

/** What cursors of this query are bound to: what decides the order of the hits and the size of the pages. */
export function searchIdentity({
  query,
  limit,
  filters,
  maxPer,
}: Pick<SearchQuery, 'query' | 'limit' | 'filters' | 'maxPer'>): readonly unknown[] {
  return ['search', query, limit, filterIdentity(filters), maxPerIdentity(maxPer)];
}
