/**
 * What the queries of `/feed` and `/search` have in common: parameters given once, of bounded length and known names;
 * `limit`, `filter`, `at`; and cursors. A cursor says where the next page begins and the moment it is ranked at; it is
 * bound to its query by a fingerprint, opaque to clients (base64url of a JSON array), and refused with another query.
 */
import { hash } from 'node:crypto';
import { Refusal } from '../../../shared/errors/errors.ts';
import type { Filter } from '../../../shared/protocol/filter.ts';
import { LAST_MOMENT_MS, parseMoment } from '../../../shared/protocol/moment.ts';
import { parseFilter } from './parse-filter.ts';

const VALUE_LIMIT = 1_000;
const FILTERS_LIMIT = 32;
const LIMIT_DEFAULT = 20;
export const LIMIT_MOST = 200;
const FINGERPRINT_DIGITS = 16;

export interface KnownParameters {
  readonly route: '/feed' | '/search';
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
    if (value.length > VALUE_LIMIT && name !== 'min_position' && !unbounded.includes(name)) {
      throw invalid(name, `is longer than ${VALUE_LIMIT} characters`);
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
export interface Page {
  readonly skip: number;
  readonly atMs: number | undefined;
}

/** The moment asked for by `at`, epoch ms; undefined without it. */
export function parseAt(search: URLSearchParams): number | undefined {
  const at = search.get('at');
  const atMs = at === null ? undefined : parseMoment(at);
  if (at !== null && atMs === undefined) {
    throw invalid('at', 'must be integer milliseconds since 1970 or an RFC 3339 time');
  }
  return atMs;
}

/** The page asked for by `at` and `cursor`. `identity`: everything that decides the ranking and the size of its pages. */
export function parsePage(search: URLSearchParams, identity: readonly unknown[]): Page {
  const atMs = parseAt(search);
  const cursor = search.get('cursor');
  if (cursor === null) return { skip: 0, atMs };
  const page = decodeCursor(cursor, identity);
  if (atMs !== undefined && atMs !== page.atMs) {
    throw invalid('at', 'differs from the moment the cursor is pinned to', 'leave at out when you pass a cursor');
  }
  return page;
}

/** The cursor of the page that begins after `skip` entries. */
export function encodeCursor(identity: readonly unknown[], atMs: number, skip: number): string {
  return Buffer.from(JSON.stringify([fingerprint(identity), atMs, skip])).toString('base64url');
}

function decodeCursor(cursor: string, identity: readonly unknown[]): { readonly atMs: number; readonly skip: number } {
  let value: unknown;
  try {
    value = JSON.parse(Buffer.from(cursor, 'base64url').toString('utf8'));
  } catch {
    value = undefined;
  }
  const fields: unknown[] = Array.isArray(value) ? value : [];
  const [print, atMs, skip] = fields;
  if (fields.length !== 3 || typeof print !== 'string' || !isCount(atMs) || !isCount(skip)) {
    throw invalid('cursor', 'is not one this service gave', 'take it unchanged from next_cursor');
  }
  if (print !== fingerprint(identity)) {
    throw invalid(
      'cursor',
      'belongs to another query',
      'repeat the parameters of the request that gave the cursor, or leave it out',
    );
  }
  return { atMs, skip };
}

/** A canonical form of filters, for `identity`. */
export function filterIdentity(filters: readonly Filter[]): readonly unknown[] {
  return filters.map(({ field, operator, values }) => [field, operator, values]);
}

function fingerprint(identity: readonly unknown[]): string {
  return hash('sha256', JSON.stringify(identity), 'hex').slice(0, FINGERPRINT_DIGITS);
}

function isCount(value: unknown): value is number {
  return typeof value === 'number' && Number.isInteger(value) && value >= 0 && value <= LAST_MOMENT_MS;
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
