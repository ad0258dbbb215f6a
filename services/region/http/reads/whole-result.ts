/** What needs a result as a whole: another order, and facets. */
import { comparable, textsOf, timeOf } from '../../filter/filter.ts';
import {
  type Facet,
  NEWEST_FIRST,
  orderLimitBytes,
  orderOf,
  type Sortable,
  SortedRanking,
  type SortKey,
  topCounts,
} from '../../result/result.ts';
import { compareScored, type Ranking, rankingOf, type Scored } from '../../scored/scored.ts';
import { CANDIDATES, type Found, type WholeResult } from '../../search/search.ts';
import type { Catalog } from '../../state/catalog/catalog.ts';
import type { Entities } from '../../state/entities/entities.ts';
import type { FilterIndex, ValueCounts } from '../../state/filter-index/filter-index.ts';

export interface WholeParts {
  readonly catalog: Catalog;
  readonly entities: Entities;
  readonly filterIndex: FilterIndex;
}

/** A ranking as pages are taken from it. */
export interface Pageable extends Ranking, Partial<Pick<Found, 'fused' | 'statistics'>> {
  /** Bytes of the longest order of its items; absent: they have none. */
  readonly orderBytes?: number;
}

/** Of so many items the numbers of a field are read from the filter index, not from each. */
const COLUMNS_FROM = 1_000;

/** A list that is sorted by fields. */
export function sortedMatches(
  { catalog, entities, filterIndex }: WholeParts,
  { matches: all, run }: Pick<WholeResult, 'matches' | 'run'>,
  keys: readonly SortKey[],
): Pageable {
  // Before the steps: it has steps of its own.
  const matches = all();
  const columns = new Map<string, Float64Array>();
  for (const { by, field } of matches.ordinals.length < COLUMNS_FROM ? [] : keys) {
    if (by !== 'field' || columns.has(field)) continue;
    const column = run(JSON.stringify(['column', field]), () => filterIndex.numbersOf(field));
    if (column !== undefined) columns.set(field, column);
  }
  const sortableOf = (ordinal: number, score: number): Sortable => {
    const entity = entities.entity(ordinal);
    return {
      ...{ entity, score, createdMs: catalog.createdMs(ordinal) },
      updatedMs: () => catalog.item(entity)?.updatedMs ?? 0,
      metadata: () => catalog.indexedMetadata(ordinal) ?? {},
      number: (field) => columns.get(field)?.[ordinal],
    };
  };
  const ranking = new SortedRanking({ matches, keys, sortableOf, run });
  return {
    total: ranking.total,
    after: (key, limit) => ranking.after(key, limit),
    orderBytes: orderLimitBytes(keys),
  };
}

/** What was found, in the order that is asked for; undefined: by score, and without scores the newest first. */
export function sortedFound(parts: WholeParts, found: Found, sort: readonly SortKey[] | undefined): Pageable {
  const { whole } = found;
  const keys = sort ?? (whole?.isRanked === false ? NEWEST_FIRST : undefined);
  if (keys === undefined) return found;
  if (whole === undefined) return sortedFew(parts, found, keys);
  const sorted = sortedMatches(parts, whole, keys);
  return found.statistics === undefined ? sorted : { ...sorted, statistics: () => found.statistics!() };
}

/** A list that is there already. */
function sortedFew({ catalog }: WholeParts, found: Found, keys: readonly SortKey[]): Pageable {
  const sorted = listOf(found)
    .map(({ entity, score }): Scored => {
      const item = catalog.item(entity);
      const order = orderOf(keys, {
        ...{ entity, score, createdMs: item?.createdMs ?? 0 },
        updatedMs: () => item?.updatedMs ?? 0,
        metadata: () => catalog.indexedOf(entity) ?? {},
      });
      return { entity, score, order };
    })
    .sort(compareScored);
  return {
    ...rankingOf(sorted, found.total),
    ...(found.fused === undefined ? {} : { fused: sorted }),
    orderBytes: orderLimitBytes(keys),
  };
}

/** Of a result that is no {@link WholeResult}. */
export function listOf(found: Found): readonly Scored[] {
  return found.fused ?? found.after(undefined, CANDIDATES);
}

interface FacetAnswer {
  readonly facets: Readonly<Record<string, readonly { readonly value: string | number; readonly count: number }[]>>;
  /** Of the fields that have numbers in the result. */
  readonly facet_stats: Readonly<Record<string, { readonly min: number; readonly max: number }>>;
}

/** Everything that is on a list: in slices, or there already. */
export type WholeList = Pick<WholeResult, 'matches' | 'run'> | readonly Scored[];

export function wholeOf(found: Found): WholeList {
  return found.whole ?? listOf(found);
}

/** The facets of everything on the list, and of the pinned items beside it. */
export function facetsOf(
  parts: WholeParts,
  all: WholeList,
  pinned: readonly number[],
  { facets, limit }: { readonly facets: readonly Facet[]; readonly limit: number },
): FacetAnswer {
  const beside = pinned.map((entity): Scored => ({ entity, score: 0 }));
  const answers = facets.map((facet) => {
    const counts =
      'matches' in all
        ? countWhole(parts, { whole: all, pinned }, facet, limit)
        : countFew(parts.catalog, [...all, ...beside], facet);
    const values =
      facet.ranges === undefined
        ? topCounts(counts, limit)
        : facet.ranges.map(({ text }, at) => ({ value: text, count: counts.ranges[at]! }));
    return { field: facet.field, values, counts };
  });
  const withNumbers = answers.filter(({ counts }) => counts.min !== undefined);
  return {
    facets: Object.fromEntries(answers.map(({ field, values }) => [field, values])),
    facet_stats: Object.fromEntries(
      withNumbers.map(({ field, counts: { min, max } }) => [field, { min: min!, max: max! }]),
    ),
  };
}

/** So many are marked in a few milliseconds. */
const BITS_A_STEP = 65_536;

function countWhole(
  { filterIndex, entities }: WholeParts,
  { whole, pinned }: { readonly whole: Pick<WholeResult, 'matches' | 'run'>; readonly pinned: readonly number[] },
  facet: Facet,
  limit: number,
): ValueCounts {
  // Before the steps: it has steps of its own.
  const { ordinals } = whole.matches();
  const words = whole.run('matched bits', function* () {
    const beside = pinned.map((entity) => entities.find(entity));
    let highest = Math.max(-1, ...beside);
    for (const ordinal of ordinals) highest = Math.max(highest, ordinal);
    if (ordinals.length > BITS_A_STEP) yield;
    const bits = new Int32Array((highest >> 5) + 1);
    for (const ordinal of ordinals) bits[ordinal >> 5]! |= 1 << (ordinal & 31);
    for (const ordinal of beside) bits[ordinal >> 5]! |= 1 << (ordinal & 31);
    return bits;
  });
  const id = JSON.stringify(['facet', facet.field]);
  return whole.run(id, () => filterIndex.counting(facet.field, words, limit, facet.ranges));
}

function countFew(catalog: Catalog, list: readonly Scored[], { field, ranges = [] }: Facet): ValueCounts {
  const numbers = new Map<number, number>();
  const texts = new Map<string, number>();
  const inRanges = ranges.map(() => 0);
  const add = <V>(counts: Map<V, number>, value: V): void => void counts.set(value, (counts.get(value) ?? 0) + 1);
  for (const { entity } of list) {
    const metadata = catalog.indexedOf(entity) ?? {};
    const value = Object.hasOwn(metadata, field) ? metadata[field] : undefined;
    if (typeof value === 'number') add(numbers, value);
    else for (const text of new Set(textsOf(value).map(comparable))) add(texts, text);
    for (const [at, { of, from, to }] of ranges.entries()) {
      const isIn = (bound: number | undefined): boolean => bound !== undefined && bound >= from && bound < to;
      const holds =
        typeof value === 'number'
          ? of === 'number' && isIn(value)
          : of === 'time' && textsOf(value).some((text) => isIn(timeOf(comparable(text))));
      if (holds) inRanges[at]!++;
    }
  }
  const all = [...numbers.keys()];
  return {
    ...{ numbers: [...numbers], texts: [...texts], ranges: inRanges },
    ...(all.length === 0 ? {} : { min: Math.min(...all), max: Math.max(...all) }),
  };
}
