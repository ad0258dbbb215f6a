/**
 * What the queries of `/feed` and `/search` have in common: parameters given once, of bounded length and known names;
 * `limit`, `filter`, `at` and `cursor`. A cursor says where the page begins and the moment it is ranked at; it goes with
 * the query it was given for.
 */
import { Refusal } from '../../../shared/errors/errors.ts';
import type { Filter } from '../../../shared/protocol/filter.ts';
import { timestampOfParameter } from '../../../shared/protocol/timestamp.ts';
import { type Cursors, firstPosition, type MaxPer, type PagePosition } from '../pages/pages.ts';
import { parseFilter } from './parse-filter.ts';

const VALUE_LIMIT = 1_000;
/** A cursor names the kinds of items that a diverse feed passed over. */
const CURSOR_LIMIT = 8_000;
const FILTERS_LIMIT = 32;
const LIMIT_DEFAULT = 20;
const LIMIT_MOST = 200;
const HOUR_MS = 3_600_000;

export interface KnownParameters {
  readonly route: '/feed' | '/search' | '/suggest';
  /** In the order refusals list them. */
  readonly names: readonly string[];
  /** Parameters whose length somebody else judges. */
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
    const limit = name === 'cursor' ? CURSOR_LIMIT : VALUE_LIMIT;
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
  return texts.map(parseFilter);
}

/** Where a page begins, and the moment it is answered for (undefined: the region's own). */
export interface PageStart {
  readonly from: PagePosition;
  readonly atMs: number | undefined;
  /** Whether the moment is a cursor's: that of the first page, whatever has been written since. */
  readonly continued: boolean;
}

/** The moment asked for by `at`, epoch ms; undefined without it. */
export function parseAt(search: URLSearchParams): number | undefined {
  const at = search.get('at');
  if (at === null) return undefined;
  const readTime = timestampOfParameter(at);
  if (typeof readTime === 'string') throw invalid('at', readTime);
  return readTime;
}

/** The page asked for by `at` and `cursor`. `identity`: everything that decides the ranking and the size of its pages. */
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
  // The first page may have been answered for the end of the last whole hour before the moment it asked for.
  if (atMs !== undefined && (atMs < read.atMs || atMs > read.atMs + HOUR_MS)) {
    throw invalid('at', 'differs from the moment the cursor is pinned to', 'leave at out when you pass a cursor');
  }
  return { from: read.place, atMs: read.atMs, continued: true };
}

/** A canonical form of filters, for `identity`. */
export function filterIdentity(filters: readonly Filter[]): readonly unknown[] {
  return filters.map(({ field, operator, values }) => [field, operator, values]);
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

/** Whether items are to say what their scores are made of; false when absent. */
export function parseExplain(search: URLSearchParams): boolean {
  const text = search.get('explain');
  if (text !== null && text !== 'true' && text !== 'false') throw invalid('explain', 'must be true or false');
  return text === 'true';
}

/** For `identity`. */
export function maxPerIdentity(maxPer: MaxPer | undefined): unknown {
  return maxPer === undefined ? null : [maxPer.field, maxPer.count];
}

export function invalid(parameter: string, message: string, hint?: string): Refusal {
  return new Refusal('invalid_request', `${parameter} ${message}`, {
    ...(hint === undefined ? {} : { hint }),
    errors: [{ path: parameter, message }],
  });
}

export function clip(text: string): string {
  return text.length > 64 ? `${text.slice(0, 64)}…` : text;
}
