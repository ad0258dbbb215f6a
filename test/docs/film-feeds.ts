/**
 * What the profiles make of the demo's films and votes, in one process at a fixed moment: the tables of
 * docs/ranking/films.md. The same catalogue of signals as `npm run demo`; but the films are created one after the other in
 * the order of their release, the latest just now and the oldest 30 days ago, where the demo creates all at once: `hot`,
 * `new` and recency have nothing to tell apart there.
 */
import { type Film, type FilmRecord, filmOf, readFilms } from '../../deploy/demo/films.ts';
import { playSignals } from '../../deploy/demo/play.ts';
import type { FeedQuery, Rank } from '../../services/region/rank/rank.ts';
import { createRank } from '../../services/region/rank/scan-rank.ts';
import { createLedger } from '../../services/region/state/ledger/signal-ledger.ts';
import type { Schema } from '../../shared/schema/schema.ts';
import { TinyCatalog, TinyVectors } from '../harness/tiny-state.ts';

const DAY_MS = 86_400_000;
export const FEEDS_AT_MS = Date.UTC(2026, 0, 15, 20, 0, 0);
const SPREAD_MS = 30 * DAY_MS;
export const SIGNALS = 60_000;
export const SEED = 1;

export function filmRank(schema: Schema): Rank {
  const films = readFilms().map((record, index) => ({
    film: filmOf(record, index + 1),
    releasedMs: releasedMs(record),
  }));
  const byRelease = [...films].sort((a, b) => b.releasedMs - a.releasedMs || a.film.entityId - b.film.entityId);
  const catalog = new TinyCatalog();
  const ledger = createLedger({ schema, entities: catalog.entities });
  const createdMs = new Map<number, number>();
  for (const [place, { film }] of byRelease.entries()) {
    const moment = FEEDS_AT_MS - Math.round((SPREAD_MS * place) / byRelease.length);
    createdMs.set(film.entityId, moment);
    catalog.put(film.entityId, film.metadata, moment);
    catalog.embed(film.entityId, film.values);
  }
  const played = playSignals({
    films: films.map(({ film }): Film => film),
    count: SIGNALS,
    seed: SEED,
    nowMs: FEEDS_AT_MS,
  });
  for (const { entity_id, signal, weight, timestamp } of played) {
    const atMs = Date.parse(timestamp);
    // Nobody has seen what is not there yet.
    if (atMs < createdMs.get(entity_id)!) continue;
    ledger.add(entity_id, signal, Math.round(weight * 1_000), atMs);
  }
  const vectors = new TinyVectors(catalog);
  return createRank({ schema, entities: catalog.entities, facets: catalog.facets, catalog, ledger, vectors });
}

/** Without a date, or with one in the future of the data: long ago. */
function releasedMs(record: FilmRecord): number {
  const { year } = filmOf(record, 1).metadata;
  const dayMs = Date.parse(`${record['Release Date'] ?? ''} UTC`);
  if (typeof year !== 'number' || Number.isNaN(dayMs)) return Number.NEGATIVE_INFINITY;
  return new Date(dayMs).setUTCFullYear(year);
}

export const plainQuery: FeedQuery = {
  profile: 'trending',
  limit: 10,
  skip: 0,
  window: 'all',
  filters: [],
  maxPer: undefined,
  entity: undefined,
  seed: '',
  explain: false,
};
