/** `GET /search`. */
import type Router from '@koa/router';
import { nextSearchCursor, parseSearchQuery } from '../rank/parse-search-query.ts';
import type { RegionSurface } from './http.ts';
import type { Reading } from './reading.ts';

export function addSearchRoutes(router: Router, surface: RegionSurface, reading: Reading): void {
  const { entities, catalog, facets, text, rank } = surface;

  router.get('/search', async (ctx) => {
    await reading.admit(ctx);
    const asked = parseSearchQuery(new URLSearchParams(ctx.querystring));
    reading.requireIndexes();
    const { query, limit, skip, filters, atMs = surface.nowMs() } = asked;
    const selection = filters.length === 0 ? undefined : facets.select(filters);
    const accept =
      selection === undefined ? undefined : (entity: number): boolean => selection.has(entities.find(entity));
    const { hits, total } = text.search(query, skip + limit, accept);
    ctx.body = {
      ...reading.context(atMs),
      query,
      items: hits.slice(skip).map(({ entity, score }, index) => ({
        entity_id: entity,
        rank: skip + index + 1,
        score,
        metadata: catalog.item(entity)?.metadata ?? {},
        signals: rank.summary(entity, atMs),
      })),
      next_cursor: total > skip + limit ? nextSearchCursor(asked, atMs) : null,
      total_matched: total,
    };
  });
}
