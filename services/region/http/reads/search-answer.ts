/** The answer of a search, however it was asked. */
import type { Context } from 'koa';
import type { Cursors } from '../../pages/pages.ts';
import type { SearchQuery } from '../../query/query.ts';
import type { ReadQueue } from '../../read-queue/read-queue.ts';
import type { Scored } from '../../scored/scored.ts';
import { CANDIDATES, type Found, type Search } from '../../search/search.ts';
import type { Entities } from '../../state/entities/entities.ts';
import {
  diversityOf,
  type ListParts,
  type MetadataOf,
  presentItems,
  relaxedOf,
  takeBoundedPage,
} from './ranked-items.ts';
import type { Reading } from './reading.ts';
import { facetsOf, sortedFound } from './whole-result.ts';

export interface SearchParts extends ListParts {
  readonly entities: Entities;
  readonly search: Pick<Search, 'find'>;
  readonly cursors: Cursors;
  readonly reads: ReadQueue;
}

/** `byVector`: it may be; then the answer says how many candidates there are. */
export async function answerSearch(
  parts: SearchParts,
  reading: Reading,
  { ctx, asked, byVector }: { readonly ctx: Context; readonly asked: SearchQuery; readonly byVector: boolean },
): Promise<unknown> {
  const { search, filterIndex, cursors, reads, catalog } = parts;
  const metadataOf: MetadataOf = (entity) => catalog.indexedOf(entity);
  const { query, vector, limit, filters, exclude, maxPer, from, sort, facets } = asked;
  // Combined in slices here, so that the search finds the selection.
  const selecting = filters.length === 0 ? undefined : filterIndex.selecting(filters);
  await reads.run(() => void selecting?.now(reads.over), {
    activity: 'search',
    isWanted: () => !ctx.req.socket.destroyed,
  });
  const isWhole = sort !== undefined || facets.length > 0;
  const reach = isWhole ? CANDIDATES : from.shown + limit + 1;
  const question = { text: query, vector, filters, exclude, reach, statistics: from.statistics };
  return search.find(question, reading.ofIndexes(ctx, 'search'), (found: Found) => {
    reading.mark('search');
    reading.requireClient(ctx);
    const ranking = sortedFound(parts, found, sort);
    const diversity = diversityOf(parts, maxPer, undefined, metadataOf);
    const page = takeBoundedPage(parts, ranking, { limit, from, diversity });
    const explain = asked.explain ? { explain: ({ entity }: Scored) => found.explain(entity) } : {};
    const counted = facets.length === 0 ? {} : facetsOf(parts, found, facets, asked.facetLimit);
    return reading.at(asked, (readTime) => ({
      ...reading.context(readTime.atMs, found.position),
      ...(query === undefined ? {} : { query }),
      items: presentItems(parts, page.items, { from, readTime, metadataOf, fields: asked.fields, ...explain }),
      next_cursor: page.next === undefined ? null : cursors.write(asked.identity, readTime.atMs, page.next),
      total_matched: found.total,
      ...(byVector ? { candidates: found.candidates } : {}),
      ...counted,
      relaxed: relaxedOf(maxPer, page.relaxed),
    }));
  });
}
