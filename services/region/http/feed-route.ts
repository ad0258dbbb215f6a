/** `GET /feed`. */
import type Router from '@koa/router';
import type { Ranking } from '../../../shared/kernel/ranking.ts';
import { takePage } from '../pages/pages.ts';
import { feedIdentity, parseFeedQuery } from '../rank/parse-feed-query.ts';
import type { Selection } from '../state/facets/facets.ts';
import type { RegionSurface } from './http.ts';
import { diversityOf, presentItems, relaxedOf } from './ranked-items.ts';
import type { Reading } from './reading.ts';

export function addFeedRoute(router: Router, surface: RegionSurface, reading: Reading): void {
  const { rank, facets, cursors } = surface;

  router.get('/feed', async (ctx) => {
    await reading.admit(ctx);
    const { query, from, atMs: pinnedMs, notes } = parseFeedQuery(new URLSearchParams(ctx.querystring), cursors);
    const { profile, limit, filters, maxPer } = query;
    const atMs = pinnedMs ?? surface.nowMs();
    const rankingOf = (selection: Selection): Ranking => rank.ranking(query, selection, atMs);
    const ranking = rankingOf(facets.select(filters));
    const diversity = diversityOf(surface, maxPer, filters, rankingOf);
    const page = takePage(ranking, { limit, from, diversity });
    ctx.body = {
      ...reading.context(atMs),
      profile,
      items: presentItems(surface, page.items, from, atMs),
      next_cursor: page.next === undefined ? null : cursors.write(feedIdentity(query), atMs, page.next),
      total_scored: ranking.total,
      relaxed: relaxedOf(maxPer, page.relaxed),
      notes,
    };
  });
}
