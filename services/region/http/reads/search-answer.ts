/** The answer of a search, however it was asked. */
import type { Context } from 'koa';
import type { Curations } from '../../curation/curation.ts';
import type { Cursors } from '../../pages/pages.ts';
import { invalid, type SearchQuery } from '../../query/query.ts';
import type { ReadQueue } from '../../read-queue/read-queue.ts';
import { BY_SCORE } from '../../result/result.ts';
import type { Scored } from '../../scored/scored.ts';
import { CANDIDATES, type Found, type Marking, type Search } from '../../search/search.ts';
import type { Entities } from '../../state/entities/entities.ts';
import { blend } from './blend.ts';
import { type Highlights, highlightsOf } from './highlights/highlights.ts';
import { explainPinned, pinnedOf, takeFirstPage } from './pinned.ts';
import {
  diversityOf,
  type ListParts,
  type MetadataOf,
  presentItems,
  relaxedOf,
  takeBoundedPage,
} from './ranked-items.ts';
import type { Reading } from './reading.ts';
import { facetsOf, sortedFound, wholeOf } from './whole-result.ts';

export interface SearchParts extends ListParts {
  readonly entities: Entities;
  readonly search: Pick<Search, 'find'>;
  readonly cursors: Cursors;
  readonly reads: ReadQueue;
  /** The time reads are answered for, epoch ms. */
  readonly nowMs: () => number;
  /** The fields that are searched. */
  readonly textFields: readonly string[];
  readonly curations: Curations;
}

/** `byVector`: it may be; then the answer says how many candidates there are. */
export async function answerSearch(
  parts: SearchParts,
  reading: Reading,
  { ctx, asked, byVector }: { readonly ctx: Context; readonly asked: SearchQuery; readonly byVector: boolean },
): Promise<unknown> {
  const { search, filterIndex, cursors, reads, catalog } = parts;
  const metadataOf: MetadataOf = (entity) => catalog.indexedOf(entity);
  const { query, syntax, matching, vector, limit, filters, exclude, maxPer, from, sort, facets, blending, highlight } =
    asked;
  // Of all slices of the read.
  const nowMs = parts.nowMs();
  checkHighlight(parts, asked);
  // Combined in slices here, so that the search finds the selection.
  const selecting = filters.length === 0 ? undefined : filterIndex.selecting(filters);
  await reads.run(() => void selecting?.now(reads.over), {
    activity: 'search',
    isWanted: () => !ctx.req.socket.destroyed,
  });
  const isWhole = sort !== undefined || blending !== undefined || facets.length > 0;
  const reach = isWhole ? CANDIDATES : from.shown + limit + 1;
  const curation = query === undefined ? undefined : parts.curations.of(query);
  const pin = curation?.pin.slice(0, limit) ?? [];
  const apart = [...exclude, ...(curation?.hide ?? []), ...pin];
  const text = query === undefined ? undefined : { text: query, syntax, matching };
  const tieOf = parts.rank.popularity({ atMs: asked.atMs ?? nowMs, past: asked.atMs !== undefined });
  const question = { text, vector, filters, exclude: apart, reach, statistics: from.statistics, tieOf };
  return search.find(question, reading.ofIndexes(ctx, 'search'), (found: Found) => {
    reading.mark('search');
    reading.requireClient(ctx);
    return reading.at(
      asked,
      (readTime) => {
        const blended = blending && blend(parts, found, blending, { readTime, range: from.range });
        const result = blended?.found ?? found;
        const ranking = sortedFound(parts, result, sort ?? (blended && BY_SCORE));
        const diversity = diversityOf(parts, maxPer, undefined, metadataOf);
        const pinned = pinnedOf(catalog, pin, asked);
        const options = { limit, from, diversity };
        const page = asked.continued
          ? takeBoundedPage(parts, ranking, options)
          : takeFirstPage(parts, ranking, pinned, options);
        const next = page.next && { ...page.next, ...(blended && { range: blended.range }) };
        const shown = {
          ...{ from, readTime, metadataOf, fields: asked.fields },
          ...(asked.explain
            ? {
                explain: ({ entity }: Scored) =>
                  pinned.includes(entity) ? explainPinned(pinned, entity) : result.explain(entity),
              }
            : {}),
          ...(pinned.length === 0 ? {} : { pinned: new Set(pinned) }),
          ...(highlight.length === 0 ? {} : { highlights: highlighted(result, page.items, metadataOf, asked) }),
        };
        return {
          ...reading.context(readTime.atMs, found.position),
          ...(query === undefined ? {} : { query }),
          items: presentItems(parts, page.items, shown),
          next_cursor: next === undefined ? null : cursors.write(asked.identity, readTime.atMs, next),
          total_matched: found.total + pinned.length,
          ...(byVector ? { candidates: found.candidates } : {}),
          ...(facets.length === 0 ? {} : facetsOf(parts, wholeOf(result), pinned, { facets, limit: asked.facetLimit })),
          relaxed: [...found.relaxed, ...relaxedOf(maxPer, page.relaxed)],
        };
      },
      nowMs,
    );
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
