/**
 * The query language of `/feed`, `/search` and `/suggest`: URL parameters, given once, of bounded length and known names. Every
 * mistake of a client is refused by name, with what would have been accepted; nothing is guessed or silently dropped. The text
 * index checks the text of a search.
 *
 * A cursor says where the page begins and the time it is ranked at; it is bound to the query it was returned for.
 */
import { clip, Refusal } from '../../../shared/errors/errors.ts';
import { entityIdOfText } from '../../../shared/protocol/entity-id.ts';
import { CURSOR_LIMIT_CHARACTERS, EXCLUDE_LIMIT, EXCLUDE_LIMIT_CHARACTERS } from '../../../shared/protocol/internal.ts';
import { feedParameters, searchParameters } from '../../../shared/protocol/read-parameters.ts';
import { timestampOfParameter } from '../../../shared/protocol/timestamp.ts';
import type { Filter } from '../filter/filter.ts';
import {
  COMPARISONS_LIMIT,
  canonicalText,
  FILTER_LIMIT_CHARACTERS,
  filterSyntax,
  readFilter,
  sizeOf,
} from '../filter/grammar/grammar.ts';
import { type Cursors, firstPosition, type MaxPer, type PagePosition } from '../pages/pages.ts';
import { defaultWindows, type FeedQuery, profiles } from '../rank/rank.ts';
import type { Facet, SortKey } from '../result/result.ts';
import { type Window, windows } from '../schema/schema.ts';
import { type Matching, matchings, type Syntax, syntaxes } from '../state/text/query/query.ts';
import { parseIdArray, parseIds } from './ids.ts';
import { invalid } from './invalid.ts';
import {
  parseFacetLimit,
  parseFacets,
  parseFields,
  parseHighlight,
  parseSnippetLength,
  parseSort,
} from './presentation.ts';

export { invalid, parseFields, parseIdArray, parseIds };

const VALUE_LIMIT = 1_000;
const FILTERS_LIMIT = 32;
const FILTERS_LIMIT_CHARACTERS = 32_768;
const LIMIT_DEFAULT = 20;
const LIMIT_MOST = 200;
const HOUR_MS = 3_600_000;

const limits: Readonly<Record<string, number | undefined>> = {
  ids: 4_096,
  exclude: EXCLUDE_LIMIT_CHARACTERS,
  cursor: CURSOR_LIMIT_CHARACTERS,
  filter: FILTER_LIMIT_CHARACTERS,
};

export interface KnownParameters {
  readonly route: '/feed' | '/search' | '/suggest' | '/items' | '/items/:id';
  /** In the order refusals list them. */
  readonly names: readonly string[];
  /** Parameters whose length is checked elsewhere. */
  readonly unbounded?: readonly string[];
}

/** Refuses unknown, repeated and overlong parameters by name. */
export function checkParameters(search: URLSearchParams, { route, names, unbounded = [] }: KnownParameters): void {
  const seen = new Set<string>();
  for (const [name, value] of search) {
    if (!names.includes(name)) {
      throw invalid(clip(name), `is not a parameter of ${route}`, `accepted parameters: ${names.join(', ')}`);
    }
    // A position has an entry for every origin; the router bounds it.
    const limit = limits[name] ?? VALUE_LIMIT;
    if (value.length > limit && name !== 'min_position' && !unbounded.includes(name)) {
      throw invalid(name, `is longer than ${limit} characters`);
    }
    if (seen.has(name) && name !== 'filter') {
      throw invalid(name, 'is given more than once', 'only filter may be repeated');
    }
    seen.add(name);
  }
}

/** 1 … 200, 20 when absent. */
export function parseLimit(search: URLSearchParams): number {
  const text = search.get('limit');
  if (text === null) return LIMIT_DEFAULT;
  const limit = /^\d{1,3}$/.test(text) ? Number(text) : 0;
  if (limit < 1 || limit > LIMIT_MOST) throw invalid('limit', `must be an integer from 1 to ${LIMIT_MOST}`);
  return limit;
}

export function parseFilters(search: URLSearchParams): readonly Filter[] {
  const texts = search.getAll('filter');
  if (texts.length > FILTERS_LIMIT) throw invalid('filter', `may be given at most ${FILTERS_LIMIT} times`);
  if (texts.reduce((sum, text) => sum + text.length, 0) > FILTERS_LIMIT_CHARACTERS) {
    throw invalid('filter', `may have at most ${FILTERS_LIMIT_CHARACTERS} characters together`);
  }
  const filters = texts.map(parseFilter);
  if (filters.reduce((sum, filter) => sum + sizeOf(filter), 0) > COMPARISONS_LIMIT) {
    throw invalid('filter', `may have at most ${COMPARISONS_LIMIT} comparisons together`);
  }
  return filters;
}

/** The page start, and the read time (undefined: the region's own). */
export interface PageStart {
  readonly from: PagePosition;
  readonly atMs: number | undefined;
  /** Whether the read time is a cursor's: that of the first page, whatever has been written since. */
  readonly continued: boolean;
}

/** The read time given by `at`, epoch ms; undefined without it. */
export function parseAt(search: URLSearchParams): number | undefined {
  const at = search.get('at');
  if (at === null) return undefined;
  const readTime = timestampOfParameter(at);
  if (typeof readTime === 'string') throw invalid('at', readTime);
  return readTime;
}

/** The page given by `at` and `cursor`. `identity`: everything that decides the ranking and the size of its pages. */
export function parsePage(search: URLSearchParams, cursors: Cursors, identity: readonly unknown[]): PageStart {
  const atMs = parseAt(search);
  const cursor = search.get('cursor');
  if (cursor === null) return { from: firstPosition, atMs, continued: false };
  const read = cursors.read(cursor, identity);
  if (read === 'not_ours') {
    throw invalid(
      'cursor',
      'is not one this service gave, or not with its present schema',
      'take it unchanged from next_cursor, or leave it out',
    );
  }
  if (read === 'other_query') {
    throw invalid(
      'cursor',
      'belongs to another query',
      'repeat the parameters of the request that gave the cursor, or leave it out',
    );
  }
  // The first page may have been answered for the end of the last whole hour before the requested time.
  if (atMs !== undefined && (atMs < read.atMs || atMs > read.atMs + HOUR_MS)) {
    throw invalid('at', 'differs from the moment the cursor is pinned to', 'leave at out when you pass a cursor');
  }
  return { from: read.place, atMs: read.atMs, continued: true };
}

export function parseMaxPer(search: URLSearchParams): MaxPer | undefined {
  const text = search.get('max_per');
  if (text === null) return undefined;
  const match = /^(.+):(\d{1,3})$/s.exec(text);
  const count = Number(match?.[2] ?? 0);
  if (match === null || count < 1 || count > LIMIT_MOST) {
    throw invalid('max_per', `must be field:count with a count from 1 to ${LIMIT_MOST}`, 'max_per=category:2');
  }
  return { field: match[1]!, count };
}

/** The ids given by `exclude`, ascending; none if absent or empty. */
export function parseExclude(search: URLSearchParams): readonly number[] {
  const text = search.get('exclude') ?? '';
  return text === '' ? [] : parseIds('exclude', text, EXCLUDE_LIMIT).toSorted((a, b) => a - b);
}

/** For `identity`: nothing if none are excluded, so that earlier cursors stay valid. */
export function excludeIdentity(exclude: readonly number[]): readonly unknown[] {
  return exclude.length === 0 ? [] : [['exclude', ...exclude]];
}

/** Whether items have the parts of their scores; false if absent. */
export function parseExplain(search: URLSearchParams): boolean {
  const text = search.get('explain');
  if (text !== null && text !== 'true' && text !== 'false') throw invalid('explain', 'must be true or false');
  return text === 'true';
}

/** For `identity`. */
export function maxPerIdentity(maxPer: MaxPer | undefined): unknown {
  return maxPer === undefined ? null : [maxPer.field, maxPer.count];
}

/** One `filter=` parameter. Throws `Refusal` `invalid_filter`. */
export function parseFilter(text: string): Filter {
  const filter = readFilter(text);
  if (!('problem' in filter)) return filter;
  const { position, problem } = filter;
  throw new Refusal('invalid_filter', `filter "${clip(text)}", character ${position}: ${problem}`, {
    hint: filterSyntax,
    errors: [{ path: 'filter', message: problem, position }],
  });
}

/** The query of `GET /feed`. */
export interface ParsedFeedQuery extends PageStart {
  readonly query: FeedQuery;
  /** Metadata fields to show; undefined: all. */
  readonly fields: readonly string[] | undefined;
  readonly facets: readonly Facet[];
  readonly facetLimit: number;
  /** Notes for the answer about parameters without effect. */
  readonly notes: readonly string[];
}

/** The router and the HTTP surface check `region` and `min_position`. */
type FeedParameter = (typeof feedParameters)[number];

/** `profiles`: the existing ones. Throws `Refusal` `unknown_profile` or `invalid_request`. */
export function parseFeedQuery(
  search: URLSearchParams,
  { profiles: known = profiles, cursors }: { readonly profiles?: readonly string[]; readonly cursors: Cursors },
): ParsedFeedQuery {
  checkParameters(search, { route: '/feed', names: feedParameters });
  const text = (name: FeedParameter): string | undefined => search.get(name) ?? undefined;
  const notes: string[] = [];
  const profile = parseProfile(text('profile'), known);
  const withoutEffect = (name: FeedParameter): void => {
    if (search.has(name)) notes.push(`${name} has no effect on profile ${profile}`);
  };
  if (search.has('user_id')) notes.push('user_id has no effect: personal contexts are not replicated');

  const window = parseWindow(text('window'));
  if (!Object.hasOwn(defaultWindows, profile)) withoutEffect('window');
  const entity = parseEntity(text('entity_id'));
  if (profile !== 'related') withoutEffect('entity_id');
  else if (entity === undefined) throw invalid('entity_id', 'is required by profile related', 'entity_id=1');
  if (profile !== 'shuffle') withoutEffect('seed');

  const query: FeedQuery = {
    profile,
    limit: parseLimit(search),
    window: (Object.hasOwn(defaultWindows, profile) ? window : undefined) ?? defaultWindows[profile] ?? 'all',
    filters: parseFilters(search),
    exclude: parseExclude(search),
    maxPer: parseMaxPer(search),
    entity: profile === 'related' ? entity : undefined,
    seed: profile === 'shuffle' ? (text('seed') ?? '') : '',
    explain: parseExplain(search),
    sort: parseSort(search),
  };
  return {
    ...{ query, notes, fields: parseFields(search) },
    ...{ facets: parseFacets(search), facetLimit: parseFacetLimit(search) },
    ...parsePage(search, cursors, feedIdentity(query)),
  };
}

/** The identity that cursors of this query are bound to: everything that decides the ranking and the size of its pages. */
export function feedIdentity(query: FeedQuery): readonly unknown[] {
  const { profile, limit, window, filters, exclude, maxPer, entity, seed, sort } = query;
  const ranked = [profile, limit, window, canonicalText(filters), maxPerIdentity(maxPer), entity ?? null, seed];
  return ['feed', ...ranked, sort ?? null, ...excludeIdentity(exclude)];
}

function parseProfile(text: string | undefined, known: readonly string[]): string {
  if (text === undefined) return 'trending';
  if (!known.includes(text)) {
    throw new Refusal('unknown_profile', `profile "${clip(text)}" does not exist`, {
      hint: `profiles: ${known.join(', ')}`,
      errors: [{ path: 'profile', message: 'unknown profile' }],
    });
  }
  return text;
}

function parseWindow(text: string | undefined): Window | undefined {
  if (text === undefined) return undefined;
  const window = windows.find((known) => known === text);
  if (window === undefined) throw invalid('window', `must be one of ${windows.join(', ')}`);
  return window;
}

function parseEntity(text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  const entity = entityIdOfText(text);
  if (typeof entity === 'string') throw invalid('entity_id', entity);
  return entity;
}

/** The query of `GET /search` and `POST /search`. */
export interface SearchQuery extends PageStart {
  /** May have no words to search for. Undefined: by the vector alone. */
  readonly query: string | undefined;
  readonly syntax: Syntax;
  readonly matching: Matching;
  readonly vector: Float32Array | undefined;
  /** 1 … 200. */
  readonly limit: number;
  /** All must hold. */
  readonly filters: readonly Filter[];
  /** Ids of items that are left out. */
  readonly exclude: readonly number[];
  readonly maxPer: MaxPer | undefined;
  /** Undefined: by score. */
  readonly sort: readonly SortKey[] | undefined;
  /** Whether each result has the parts of its score. */
  readonly explain: boolean;
  /** Metadata fields to show; undefined: all. */
  readonly fields: readonly string[] | undefined;
  readonly facets: readonly Facet[];
  readonly facetLimit: number;
  /** Undefined: by the search alone. */
  readonly blending: Blending | undefined;
  /** Text fields to highlight, and the characters of a highlight. */
  readonly highlight: readonly string[];
  readonly snippetLength: number;
  /** What its cursors are bound to: everything that decides the order of the results and the size of the pages. */
  readonly identity: readonly unknown[];
}

/** A profile that a search weighs. */
export interface Blending {
  readonly profile: string;
  /** ≥ 0. */
  readonly weight: number;
}

const PROFILE_WEIGHT_MOST = 100;

function parseBlending(search: URLSearchParams, known: readonly string[]): Blending | undefined {
  const [name, text] = [search.get('profile'), search.get('profile_weight')];
  if (name === null) {
    if (text !== null) throw invalid('profile_weight', 'needs a profile', 'profile=hot&profile_weight=0.5');
    return undefined;
  }
  const accepted = known.filter((each) => each !== 'related');
  const weight = text === null ? 1 : /^\d{1,3}(\.\d{1,6})?$/.test(text) ? Number(text) : -1;
  if (weight < 0 || weight > PROFILE_WEIGHT_MOST) {
    throw invalid('profile_weight', `must be a number from 0 to ${PROFILE_WEIGHT_MOST}`);
  }
  return { profile: parseProfile(name, accepted), weight };
}

/** How the text of a search is read: `syntax` and `matching`. */
export function parseReading(search: URLSearchParams): Required<Pick<SearchQuery, 'syntax' | 'matching'>> {
  const syntax = oneOf(search, 'syntax', syntaxes) ?? 'plain';
  const matching = oneOf(search, 'matching', matchings);
  if (syntax === 'lunr' && matching !== undefined && matching !== 'any') {
    throw invalid(
      'matching',
      'has no meaning with syntax=lunr',
      'in which +word is required; leave it out, or use syntax=plain',
    );
  }
  return { syntax, matching: matching ?? 'most' };
}

function oneOf<T extends string>(search: URLSearchParams, name: string, accepted: readonly T[]): T | undefined {
  const text = search.get(name);
  if (text === null) return undefined;
  const value = accepted.find((known) => known === text);
  if (value === undefined) throw invalid(name, `must be one of ${accepted.join(', ')}`);
  return value;
}

/** Throws `Refusal` `invalid_request`. */
export function parseSearchQuery(
  search: URLSearchParams,
  { profiles: known = profiles, cursors }: { readonly profiles?: readonly string[]; readonly cursors: Cursors },
  vector?: Float32Array,
): SearchQuery {
  // The text index checks the length of a text.
  checkParameters(search, { route: '/search', names: searchParameters, unbounded: ['query'] });
  const query = search.get('query') ?? undefined;
  if (query === undefined && vector === undefined) throw invalid('query', 'is required', 'query=jazz%20piano');
  const { syntax, matching } = parseReading(search);
  const limit = parseLimit(search);
  const filters = parseFilters(search);
  const exclude = parseExclude(search);
  const maxPer = parseMaxPer(search);
  const sort = parseSort(search);
  const blending = parseBlending(search, known);
  const identity = [
    ...['search', query ?? null, syntax, matching, vector === undefined ? null : [...vector], limit],
    ...[canonicalText(filters), maxPerIdentity(maxPer), sort ?? null, blending ?? null, ...excludeIdentity(exclude)],
  ];
  return {
    ...{ query, syntax, matching, vector, limit, filters, exclude, maxPer, sort, blending, identity },
    explain: parseExplain(search),
    fields: parseFields(search),
    facets: parseFacets(search),
    facetLimit: parseFacetLimit(search),
    highlight: parseHighlight(search),
    snippetLength: parseSnippetLength(search),
    ...parsePage(search, cursors, identity),
  };
}
