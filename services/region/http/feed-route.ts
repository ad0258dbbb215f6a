/** `GET /feed`. */
import type Router from '@koa/router';
import { nextFeedCursor, parseFeedQuery } from '../rank/parse-feed-query.ts';
import type { RegionSurface } from './http.ts';
import type { Reading } from './reading.ts';

export function addFeedRoute(router: Router, surface: Pick<RegionSurface, 'rank' | 'nowMs'>, reading: Reading): void {
  const { rank } = surface;

  router.get('/feed', async (ctx) => {
    await reading.admit(ctx);
    const { query, atMs: pinnedMs, notes } = parseFeedQuery(new URLSearchParams(ctx.querystring), rank.profiles);
    const atMs = pinnedMs ?? surface.nowMs();
    const result = rank.feed(query, atMs);
    ctx.body = {
      ...reading.context(atMs),
      profile: query.profile,
      items: result.items,
      next_cursor: result.more ? nextFeedCursor(query, atMs) : null,
      total_scored: result.totalScored,
      relaxed: result.relaxed,
      notes,
    };
  });
}
