/** `GET /search`. */
import type Router from '@koa/router';
import { rankingOf } from '../../../shared/kernel/ranking.ts';
import { takePage } from '../pages/pages.ts';
import { parseSearchQuery, searchIdentity } from '../rank/parse-search-query.ts';
import type { RegionSurface } from './http.ts';
import { diversityOf, presentItems, relaxedOf } from './ranked-items.ts';
import type { Reading } from './reading.ts';

export function addSearchRoutes(router: Router, surface: RegionSurface, reading: Reading): void {
  const { entities, catalog, facets, text, cursors } = surface;

  router.get('/search', async (ctx) => {
    await reading.admit(ctx);
    const asked = parseSearchQuery(new URLSearchParams(ctx.querystring), cursors);
    reading.requireIndexes();
    const { query, limit, filters, maxPer, from, atMs = surface.nowMs() } = asked;
    const selection = filters.length === 0 ? undefined : facets.select(filters);
    const accept =
      selection === undefined ? undefined : (entity: number): boolean => selection.has(entities.find(entity));
    const { hits, total } = text.search(query, Math.max(1, catalog.size), accept);
    const page = takePage(rankingOf(hits, total), { limit, from, diversity: diversityOf(surface, maxPer, filters) });
    ctx.body = {
      ...reading.context(atMs),
      query,
      items: presentItems(surface, page.items, { from, atMs }),
      next_cursor: page.next === undefined ? null : cursors.write(searchIdentity(asked), atMs, page.next),
      total_matched: total,
      relaxed: relaxedOf(maxPer, page.relaxed),
    };
  });
}
