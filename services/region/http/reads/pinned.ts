/**
 * The items that a curation puts first: before the others of a result, on its first page alone. Which they may be depends on the
 * schema and the size of the page, not on what is live: so no later page has to know which ones were shown.
 */
import { compileFilters } from '../../filter/filter.ts';
import type { Page, PageOptions } from '../../pages/pages.ts';
import type { SearchQuery } from '../../query/query.ts';
import type { Scored, ScorePart } from '../../scored/scored.ts';
import type { Catalog } from '../../state/catalog/catalog.ts';
import { PAGE_LIMIT_BYTES, takeBoundedPage } from './ranked-items.ts';
import type { Pageable } from './whole-result.ts';

/** Of these those that are live, pass the filters and are not excluded, as many as a page has capacity for. */
export function pinnedOf(
  catalog: Catalog,
  pin: readonly number[],
  { filters, exclude }: Pick<SearchQuery, 'filters' | 'exclude'>,
): readonly number[] {
  if (pin.length === 0) return [];
  const test = compileFilters(filters);
  let bytes = 0;
  return pin.filter((entity) => {
    bytes += catalog.metadataBytes(entity);
    if (bytes > PAGE_LIMIT_BYTES) return false;
    if (catalog.item(entity) === undefined || exclude.includes(entity)) return false;
    return test(catalog.indexedOf(entity) ?? {});
  });
}

/** The first page: the pinned items, at most as many as it may have, before the others, which do not have them. */
export function takeFirstPage(
  parts: Parameters<typeof takeBoundedPage>[0],
  ranking: Pageable,
  pinned: readonly number[],
  options: PageOptions,
): Page {
  const items = pinned.map((entity): Scored => ({ entity, score: 0 }));
  const from = { ...options.from, shown: items.length };
  if (items.length < options.limit) {
    const page = takeBoundedPage(parts, ranking, { ...options, limit: options.limit - items.length, from });
    return { ...page, items: [...items, ...page.items] };
  }
  if (ranking.after(undefined, 1).length === 0) return { items, next: undefined, relaxed: false };
  const statistics = ranking.statistics?.();
  return { items, next: { ...from, ...(statistics === undefined ? {} : { statistics }) }, relaxed: false };
}

/** Why a pinned item is where it is. */
export function explainPinned(pinned: readonly number[], entity: number): readonly ScorePart[] {
  return [{ term: 'pinned', value: pinned.indexOf(entity) + 1, weight: 0, part: 0 }];
}
