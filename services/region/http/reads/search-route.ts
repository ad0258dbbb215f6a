/** `GET /search`. */
import type Router from '@koa/router';
import { parseSearchQuery } from '../../query/query.ts';
import type { Reading } from './reading.ts';
import { answerSearch, type SearchParts } from './search-answer.ts';

export function addSearchRoute(router: Router, parts: SearchParts, reading: Reading): void {
  router.get('/search', async (ctx) => {
    await reading.admit(ctx);
    const asked = parseSearchQuery(new URLSearchParams(ctx.querystring), {
      profiles: parts.rank.profiles,
      cursors: parts.cursors,
    });
    reading.requireIndexes();
    ctx.body = await answerSearch(parts, reading, { ctx, asked, byVector: false });
  });
}
