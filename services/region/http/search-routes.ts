/** `GET /search`. */
import type Router from '@koa/router';
import type { Ranking } from '../../../shared/kernel/ranking.ts';
import { takePage } from '../pages/pages.ts';
import { parseSearchQuery, searchIdentity } from '../rank/parse-search-query.ts';
import type { Selection } from '../state/facets/facets.ts';
import type { RegionSurface } from './http.ts';
import { diversityOf, presentItems, relaxedOf } from './ranked-items.ts';
import type { Reading } from './reading.ts';

export function addSearchRoutes(router: Router, surface: RegionSurface, reading: Reading): void {
  const { facets, text, cursors } = surface;

  router.get('/search', async (ctx) => {
    await reading.admit(ctx);
    const asked = parseSearchQuery(new URLSearchParams(ctx.querystring), cursors);
    reading.requireIndexes();
    const { query, limit, filters, maxPer, from, atMs = surface.nowMs() } = asked;
    const rankingOf = (selection: Selection | undefined): Ranking => text.rank(query, selection);
    const ranking = rankingOf(filters.length === 0 ? undefined : facets.select(filters));
    const page = takePage(ranking, { limit, from, diversity: diversityOf(surface, maxPer, filters, rankingOf) });
    ctx.body = {
      ...reading.context(atMs),
      query,
      items: presentItems(surface, page.items, { from, atMs }),
      next_cursor: page.next === undefined ? null : cursors.write(searchIdentity(asked), atMs, page.next),
      total_matched: ranking.total,
      relaxed: relaxedOf(maxPer, page.relaxed),
    };
  });
}
