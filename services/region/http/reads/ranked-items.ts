/** Ranked items as every list returns them: feeds, text results, fused results. */

import type { Metadata } from '../../../../shared/protocol/events.ts';
import { comparable, textsOf } from '../../filter/filter.ts';
import {
  type Cursors,
  type Diversity,
  type MaxPer,
  type Page,
  type PageOptions,
  type PagePosition,
  takePage,
  takeUnseenPage,
} from '../../pages/pages.ts';
import type { Rank, ReadTime, SignalSummary } from '../../rank/rank.ts';
import type { Ranking, Scored, ScorePart } from '../../scored/scored.ts';
import type { Catalog } from '../../state/catalog/catalog.ts';
import type { FilterIndex, Selection } from '../../state/filter-index/filter-index.ts';

import type { Highlights } from './highlights/highlights.ts';
import type { Pageable } from './whole-result.ts';

/** What a list of ranked items is made of. */
export interface ListParts {
  readonly catalog: Catalog;
  readonly rank: Rank;
  readonly filterIndex: FilterIndex;
}

export interface RankedItem {
  readonly entity_id: number;
  /** From 1, over all pages. */
  readonly rank: number;
  readonly score: number;
  readonly metadata: Metadata;
  readonly signals: SignalSummary;
  /** Present if the query asks for it. */
  readonly explain?: readonly ScorePart[];
  readonly highlights?: Highlights;
  /** Present if it is first by a curation. */
  readonly pinned?: true;
}

export interface Presented {
  readonly from: PagePosition;
  readonly readTime: ReadTime;
  /** The parts of a score; absent if the query does not ask for them. */
  readonly explain?: (scored: Scored) => readonly ScorePart[];
  /** Absent: the present metadata. */
  readonly metadataOf?: MetadataOf | undefined;
  /** The fields of it to show; absent: all. */
  readonly fields?: readonly string[] | undefined;
  /** By entity; absent: they are not asked for. */
  readonly highlights?: ReadonlyMap<number, Highlights> | undefined;
  /** Those that a curation puts first. */
  readonly pinned?: ReadonlySet<number>;
}

/** The metadata to show of an item. */
export type MetadataOf = (entity: number) => Metadata | undefined;

/** Limit of the items of a page, as JSON. A page has at least one item, which has a limit of its own. */
export const PAGE_LIMIT_BYTES = 4 * 1024 * 1024;
/** Bytes of an item in addition to its metadata: sums of its signals, and the parts of its score. */
const FRAME_BYTES = 2 * 1024;

/** A page of at most {@link PAGE_LIMIT_BYTES}: shorter if its items are large; the next one continues after it. */
export function takeBoundedPage(
  { catalog, cursors }: Pick<ListParts, 'catalog'> & { readonly cursors: Cursors },
  found: Pageable,
  options: PageOptions,
): Page {
  const { fused } = found;
  if (fused !== undefined) return bounded(catalog, options, (limited) => takeUnseenPage(fused, limited));
  const kindsLimit = cursors.kindsLimit(found.statistics?.(), found.orderBytes);
  const page = bounded(catalog, options, (limited) => takePage(found, { ...limited, kindsLimit }));
  if (page.next === undefined) return page;
  // Read after the page: a search that finds nothing is relaxed.
  const statistics = found.statistics?.();
  return statistics === undefined ? page : { ...page, next: { ...page.next, statistics } };
}

function bounded(catalog: Catalog, options: PageOptions, take: (options: PageOptions) => Page): Page {
  const page = take(options);
  let bytes = 0;
  for (const [index, { entity }] of page.items.entries()) {
    bytes += catalog.metadataBytes(entity) + FRAME_BYTES;
    if (bytes > PAGE_LIMIT_BYTES && index > 0) return take({ ...options, limit: index });
  }
  return page;
}

/** The items of the page that begins at `from`. */
export function presentItems(
  { catalog, rank }: Pick<ListParts, 'catalog' | 'rank'>,
  items: readonly Scored[],
  {
    from,
    readTime,
    explain,
    fields,
    highlights,
    pinned,
    metadataOf = (entity) => catalog.item(entity)?.metadata,
  }: Presented,
): RankedItem[] {
  return items.map(({ entity, score }, index) => ({
    entity_id: entity,
    rank: from.shown + index + 1,
    score,
    metadata: shownOf(metadataOf(entity) ?? {}, fields),
    signals: rank.summary(entity, readTime),
    ...(highlights === undefined ? {} : { highlights: highlights.get(entity) ?? {} }),
    ...(pinned?.has(entity) === true ? { pinned: true } : {}),
    ...(explain === undefined ? {} : { explain: explain({ entity, score }) }),
  }));
}

/** The fields of the metadata that are asked for; undefined: all. */
export function shownOf(metadata: Metadata, fields: readonly string[] | undefined): Metadata {
  if (fields === undefined) return metadata;
  return Object.fromEntries(
    fields.filter((name) => Object.hasOwn(metadata, name)).map((name) => [name, metadata[name]!]),
  );
}

/** A ranking of a selection, and of any other. */
export interface RankedSelection {
  readonly selection: () => Selection;
  readonly rankingOf: (selection: Selection, name: string) => Ranking;
}

/** `max_per` over the catalog's metadata. `ranked`: absent if another ranking costs too much. */
export function diversityOf(
  { catalog, filterIndex }: Pick<ListParts, 'catalog' | 'filterIndex'>,
  maxPer: MaxPer | undefined,
  ranked?: RankedSelection,
  metadataOf: MetadataOf = (entity) => catalog.item(entity)?.metadata,
): Diversity | undefined {
  if (maxPer === undefined) return undefined;
  const { field, count } = maxPer;
  return {
    count,
    valuesOf(entity) {
      const metadata = metadataOf(entity) ?? {};
      return Object.hasOwn(metadata, field) ? textsOf(metadata[field]).map(comparable) : [];
    },
    ...(ranked === undefined
      ? {}
      : {
          without: (values) =>
            ranked.rankingOf(filterIndex.without(ranked.selection(), field, values), JSON.stringify(values)),
        }),
  };
}

/** What `relaxed` says. */
export function relaxedOf(maxPer: MaxPer | undefined, relaxed: boolean): readonly string[] {
  return relaxed && maxPer !== undefined ? [`max_per=${maxPer.field}:${maxPer.count}`] : [];
}
