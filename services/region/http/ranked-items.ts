/** Ranked items as every list of them answers: feeds, text hits, fused results. */
import type { Ranking, ScorePart } from '../../../shared/kernel/ranking.ts';
import type { Scored } from '../../../shared/kernel/top-scores.ts';
import type { Metadata } from '../../../shared/protocol/events.ts';
import type { Diversity, MaxPer, Place } from '../pages/pages.ts';
import type { Moment, SignalSummary } from '../rank/rank.ts';
import { type Filter, type Selection, textsOf } from '../state/facets/facets.ts';
import type { RegionSurface } from './http.ts';

export interface RankedItem {
  readonly entity_id: number;
  /** From 1, over all pages. */
  readonly rank: number;
  readonly score: number;
  readonly metadata: Metadata;
  readonly signals: SignalSummary;
  /** Where the query asks for it. */
  readonly explain?: readonly ScorePart[];
}

export interface Presented {
  readonly from: Place;
  readonly moment: Moment;
  /** What a score is made of; absent: nobody asks. */
  readonly explain?: (scored: Scored) => readonly ScorePart[];
}

/** The items of the page that begins at `from`. */
export function presentItems(
  { catalog, rank }: Pick<RegionSurface, 'catalog' | 'rank'>,
  items: readonly Scored[],
  { from, moment, explain }: Presented,
): RankedItem[] {
  return items.map(({ entity, score }, index) => ({
    entity_id: entity,
    rank: from.shown + index + 1,
    score,
    metadata: catalog.item(entity)?.metadata ?? {},
    signals: rank.summary(entity, moment),
    ...(explain === undefined ? {} : { explain: explain({ entity, score }) }),
  }));
}

/** `max_per` over the catalog's metadata. `rankingOf`: what is ranked, of any selection; absent where that costs too much. */
export function diversityOf(
  { catalog, facets }: Pick<RegionSurface, 'catalog' | 'facets'>,
  maxPer: MaxPer | undefined,
  filters: readonly Filter[],
  rankingOf?: (selection: Selection) => Ranking,
): Diversity | undefined {
  if (maxPer === undefined) return undefined;
  const { field, count } = maxPer;
  return {
    count,
    valuesOf(entity) {
      const metadata = catalog.item(entity)?.metadata ?? {};
      return Object.hasOwn(metadata, field) ? textsOf(metadata[field]) : [];
    },
    ...(rankingOf === undefined
      ? {}
      : { without: (values) => rankingOf(facets.select([...filters, { field, operator: 'not_in', values }])) }),
  };
}

/** What `relaxed` says. */
export function relaxedOf(maxPer: MaxPer | undefined, relaxed: boolean): readonly string[] {
  return relaxed && maxPer !== undefined ? [`max_per=${maxPer.field}:${maxPer.count}`] : [];
}
