/** `GET /search`. */
import type Router from '@koa/router';
import { parseSearchQuery, searchIdentity } from '../query/query.ts';
import type { Scored } from '../scored/scored.ts';
import type { RegionSurface } from './http.ts';
import { diversityOf, presentItems, relaxedOf, takeBoundedPage } from './ranked-items.ts';
import type { Reading } from './reading.ts';

export function addSearchRoutes(router: Router, surface: RegionSurface, reading: Reading): void {
  const { search, cursors } = surface;

  router.get('/search', async (ctx) => {
    await reading.admit(ctx);
    const asked = parseSearchQuery(new URLSearchParams(ctx.querystring), cursors);
    reading.requireIndexes();
    const { query, limit, filters, maxPer, from } = asked;
    await search.find({ text: query, filters }, (found) => {
      const page = takeBoundedPage(surface, found, { limit, from, diversity: diversityOf(surface, maxPer, filters) });
      const explain = asked.explain ? { explain: ({ entity }: Scored) => found.explain(entity) } : {};
      ctx.body = reading.at(asked, (readTime) => ({
        ...reading.context(readTime.atMs),
        query,
        items: presentItems(surface, page.items, { from, readTime, ...explain }),
        next_cursor: page.next === undefined ? null : cursors.write(searchIdentity(asked), readTime.atMs, page.next),
        total_matched: found.total,
        relaxed: relaxedOf(maxPer, page.relaxed),
      }));
    });
  });
}
