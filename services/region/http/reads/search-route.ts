/** `GET /search`. */
import type Router from '@koa/router';
import type { Cursors } from '../../pages/pages.ts';
import { parseSearchQuery, searchIdentity } from '../../query/query.ts';
import type { ReadQueue } from '../../read-queue/read-queue.ts';
import type { Scored } from '../../scored/scored.ts';
import type { Search } from '../../search/search.ts';
import {
  diversityOf,
  type ListParts,
  type MetadataOf,
  presentItems,
  relaxedOf,
  takeBoundedPage,
} from './ranked-items.ts';
import type { Reading } from './reading.ts';

export interface SearchParts extends ListParts {
  readonly search: Pick<Search, 'find'>;
  readonly cursors: Cursors;
  readonly reads: ReadQueue;
}

export function addSearchRoute(router: Router, parts: SearchParts, reading: Reading): void {
  const { search, filterIndex, cursors, reads } = parts;
  const metadataOf: MetadataOf = (entity) => parts.catalog.indexedOf(entity);

  router.get('/search', async (ctx) => {
    await reading.admit(ctx);
    const asked = parseSearchQuery(new URLSearchParams(ctx.querystring), cursors);
    reading.requireIndexes();
    const { query, limit, filters, exclude, maxPer, from } = asked;
    // Combined in slices here, so that the search finds the selection.
    const selecting = filters.length === 0 ? undefined : filterIndex.selecting(filters);
    await reads.run(() => void selecting?.now(reads.over), {
      activity: 'search',
      isWanted: () => !ctx.req.socket.destroyed,
    });
    ctx.body = await search.find(
      { text: query, filters, exclude, statistics: from.statistics },
      reading.ofIndexes(ctx, 'search'),
      (found) => {
        const page = takeBoundedPage(parts, found, {
          limit,
          from,
          diversity: diversityOf(parts, maxPer, undefined, metadataOf),
        });
        const explain = asked.explain ? { explain: ({ entity }: Scored) => found.explain(entity) } : {};
        return reading.at(asked, (readTime) => ({
          ...reading.context(readTime.atMs, found.position),
          query,
          items: presentItems(parts, page.items, { from, readTime, metadataOf, ...explain }),
          next_cursor: page.next === undefined ? null : cursors.write(searchIdentity(asked), readTime.atMs, page.next),
          total_matched: found.total,
          relaxed: relaxedOf(maxPer, page.relaxed),
        }));
      },
    );
  });
}
