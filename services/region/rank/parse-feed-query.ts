/**
 * The query of `GET /feed`, from its URL parameters. Everything a client can get wrong is refused here, by name, with what
 * would have been accepted; nothing is guessed or silently dropped.
 */
import { Refusal } from '../../../shared/errors/errors.ts';
import type { Window } from '../../../shared/schema/schema.ts';
import { windows } from '../../../shared/schema/schema.ts';
import type { Cursors } from '../pages/pages.ts';
import {
  checkParameters,
  clip,
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
import { defaultWindows } from './profiles.ts';
import type { FeedQuery } from './rank.ts';
import { profiles } from './rank.ts';

export interface ParsedFeedQuery extends PageStart {
  readonly query: FeedQuery;
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

/** `profiles`: those there are. Throws `Refusal` `unknown_profile` or `invalid_request`. */
export function parseFeedQuery(
  search: URLSearchParams,
  { profiles: known = profiles, cursors }: { readonly profiles?: readonly string[]; readonly cursors: Cursors },
): ParsedFeedQuery {
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
    window: (Object.hasOwn(defaultWindows, profile) ? window : undefined) ?? defaultWindows[profile] ?? 'all',
    filters: parseFilters(search),
    maxPer: parseMaxPer(search),
    entity: profile === 'related' ? entity : undefined,
    seed: profile === 'shuffle' ? (text('seed') ?? '') : '',
    explain: parseExplain(search),
  };
  return { query, ...parsePage(search, cursors, feedIdentity(query)), notes };
}

/** What cursors of this query are bound to: everything that decides the ranking and the size of its pages. */
export function feedIdentity({ profile, limit, window, filters, maxPer, entity, seed }: FeedQuery): readonly unknown[] {
  return ['feed', profile, limit, window, filterIdentity(filters), maxPerIdentity(maxPer), entity ?? null, seed];
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
  const entity = /^\d{1,16}$/.test(text) ? Number(text) : Number.NaN;
  if (!Number.isSafeInteger(entity)) throw invalid('entity_id', 'must be an integer from 0 to 9007199254740991');
  return entity;
}
