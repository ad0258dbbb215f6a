/**
 * The query of `GET /feed`, from its URL parameters. Everything a client can get wrong is refused here, by name, with what
 * would have been accepted; nothing is guessed or silently dropped.
 */
import { Refusal } from '../../../shared/errors/errors.ts';
import type { Window } from '../../../shared/schema/schema.ts';
import { windows } from '../../../shared/schema/schema.ts';
import {
  checkParameters,
  clip,
  encodeCursor,
  filterIdentity,
  invalid,
  LIMIT_MOST,
  parseFilters,
  parseLimit,
  parsePage,
} from './page-parameters.ts';
import { defaultWindows } from './profiles.ts';
import type { FeedQuery } from './rank.ts';
import { profiles } from './rank.ts';

export interface ParsedFeedQuery {
  readonly query: FeedQuery;
  /** The moment the client pinned by `at` or a cursor; undefined: the region's own. */
  readonly atMs: number | undefined;
  /** What the answer should say about parameters that change nothing. */
  readonly notes: readonly string[];
}

/** In the order refusals list them. `region` and `min_position` are the router's and the http room's to judge. */
const parameters = [
  'profile',
  'limit',
  'cursor',
  'filter',
  'max_per',
  'window',
  'entity_id',
  'seed',
  'explain',
  'at',
  'user_id',
  'region',
  'min_position',
] as const;
type Parameter = (typeof parameters)[number];

/** `known`: the profiles there are. Throws `Refusal` `unknown_profile` or `invalid_request`. */
export function parseFeedQuery(search: URLSearchParams, known: readonly string[] = profiles): ParsedFeedQuery {
  checkParameters(search, { route: '/feed', names: parameters });
  const text = (name: Parameter): string | undefined => search.get(name) ?? undefined;
  const notes: string[] = [];
  const profile = parseProfile(text('profile'), known);
  const withoutEffect = (name: Parameter): void => {
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
    skip: 0,
    window: (Object.hasOwn(defaultWindows, profile) ? window : undefined) ?? defaultWindows[profile] ?? 'all',
    filters: parseFilters(search),
    maxPer: parseMaxPer(text('max_per')),
    entity: profile === 'related' ? entity : undefined,
    seed: profile === 'shuffle' ? (text('seed') ?? '') : '',
    explain: parseExplain(text('explain')),
  };
  const { skip, atMs } = parsePage(search, identity(query));
  return { query: { ...query, skip }, atMs, notes };
}

/** The cursor of the page after the one `query` asks for, ranked at the same `atMs`. */
export function nextFeedCursor(query: FeedQuery, atMs: number): string {
  return encodeCursor(identity(query), atMs, query.skip + query.limit);
}

/** Everything that decides the ranking and the size of its pages. */
function identity({ profile, limit, window, filters, maxPer, entity, seed }: FeedQuery): readonly unknown[] {
  const diversity = maxPer === undefined ? null : [maxPer.field, maxPer.count];
  return ['feed', profile, limit, window, filterIdentity(filters), diversity, entity ?? null, seed];
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

function parseExplain(text: string | undefined): boolean {
  if (text !== undefined && text !== 'true' && text !== 'false') throw invalid('explain', 'must be true or false');
  return text === 'true';
}

function parseWindow(text: string | undefined): Window | undefined {
  if (text === undefined) return undefined;
  const window = windows.find((known) => known === text);
  if (window === undefined) throw invalid('window', `must be one of ${windows.join(', ')}`);
  return window;
}

function parseMaxPer(text: string | undefined): FeedQuery['maxPer'] {
  if (text === undefined) return undefined;
  const match = /^(.+):(\d{1,3})$/s.exec(text);
  const count = Number(match?.[2] ?? 0);
  if (match === null || count < 1 || count > LIMIT_MOST) {
    throw invalid('max_per', `must be field:count with a count from 1 to ${LIMIT_MOST}`, 'max_per=category:2');
  }
  return { field: match[1]!, count };
}

function parseEntity(text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  const entity = /^\d{1,16}$/.test(text) ? Number(text) : Number.NaN;
  if (!Number.isSafeInteger(entity)) throw invalid('entity_id', 'must be an integer from 0 to 9007199254740991');
  return entity;
}
