/** The answer of a search, however it was asked. */
import type { Context } from 'koa';
import type { Cursors } from '../../pages/pages.ts';
import { invalid, type SearchQuery } from '../../query/query.ts';
import type { ReadQueue } from '../../read-queue/read-queue.ts';
import type { Scored } from '../../scored/scored.ts';
import { CANDIDATES, type Found, type Marking, type Search } from '../../search/search.ts';
import type { Entities } from '../../state/entities/entities.ts';
import { type Highlights, highlightsOf } from './highlights.ts';
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
  /** The fields that are searched. */
  readonly textFields: readonly string[];
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
  checkHighlight(parts, asked);
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
    const highlights = asked.highlight.length === 0 ? undefined : highlighted(found, page.items, metadataOf, asked);
    return reading.at(asked, (readTime) => ({
      ...reading.context(readTime.atMs, found.position),
      ...(query === undefined ? {} : { query }),
      items: presentItems(parts, page.items, {
        from,
        readTime,
        metadataOf,
        fields: asked.fields,
        highlights,
        ...explain,
      }),
      next_cursor: page.next === undefined ? null : cursors.write(asked.identity, readTime.atMs, page.next),
      total_matched: found.total,
      ...(byVector ? { candidates: found.candidates } : {}),
      ...counted,
      relaxed: relaxedOf(maxPer, page.relaxed),
    }));
  });
}

function checkHighlight({ textFields }: SearchParts, { highlight }: SearchQuery): void {
  const unknown = highlight.find((name) => !textFields.includes(name));
  if (unknown === undefined) return;
  throw invalid(
    'highlight',
    `has ${unknown.slice(0, 64)}, which is no text field of the schema`,
    `text fields: ${textFields.join(', ')}`,
  );
}

/** Of each item of a page, by its id. */
function highlighted(
  { marking }: Found,
  items: readonly Scored[],
  metadataOf: MetadataOf,
  { highlight, snippetLength }: SearchQuery,
): ReadonlyMap<number, Highlights> {
  if (marking === undefined) return new Map();
  const marks: Marking['marks'] = (field, text) => marking.marks(field, text);
  return marking.run('highlights', function* () {
    const all = new Map<number, Highlights>();
    for (const { entity } of items) {
      all.set(entity, highlightsOf(metadataOf(entity) ?? {}, { fields: highlight, snippetLength, marks }));
      yield;
    }
    return all;
  });
}
