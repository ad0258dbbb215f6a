/** `GET /feed` without HTTP: a query through filter index, ranking and pages. */

import { textsOf } from '../../../../services/region/filter/filter.ts';
import { firstPosition, type PagePosition, takePage } from '../../../../services/region/pages/pages.ts';
import type { FeedQuery, Rank } from '../../../../services/region/rank/rank.ts';
import type { Scored } from '../../../../services/region/scored/scored.ts';
import type { TinyCatalog } from '../state/tiny-state.ts';

export interface FeedAnswer {
  readonly items: readonly Scored[];
  readonly totalScored: number;
  readonly relaxed: boolean;
  readonly next: PagePosition | undefined;
}

export function feedOf(
  { rank, catalog }: { rank: Rank; catalog: TinyCatalog },
  query: FeedQuery,
  atMs: number,
  from: PagePosition = firstPosition,
): FeedAnswer {
  const { limit, filters, maxPer } = query;
  const ranking = rank.ranking(query, catalog.filterIndex.select(filters), { atMs, past: false });
  const diversity =
    maxPer === undefined
      ? undefined
      : {
          count: maxPer.count,
          valuesOf: (entity: number) => textsOf(catalog.item(entity)?.metadata[maxPer.field]),
        };
  return { ...takePage(ranking, { limit, from, diversity }), totalScored: ranking.total };
}
