/**
 * Facets: how many items of a result have each value of a field, or lie in ranges of it. Counted from the filter index, so the
 * cost is in proportion to the values of the field, and to the items that have them.
 */
import { boundOf, comparable } from '../filter/filter.ts';
import type { ValueCounts } from '../state/filter-index/filter-index.ts';
import { readNames } from './names.ts';

export const FACETS_LIMIT = 10;
export const RANGES_LIMIT = 32;

export interface Facet {
  readonly field: string;
  /** Absent: its values. */
  readonly ranges?: readonly FacetRange[];
}

/** From the lower bound, included, to the upper one, excluded. */
export interface FacetRange {
  /** As written. */
  readonly text: string;
  readonly of: 'number' | 'time';
  /** Numbers, or epoch ms. */
  readonly from: number;
  readonly to: number;
}

export interface FacetCount {
  readonly value: string | number;
  readonly count: number;
}

export const FACET_SYNTAX = `facets=category,year[..1990,1990..2000,2000..] takes 1 to ${FACETS_LIMIT} fields, each with up to ${RANGES_LIMIT} ranges of numbers or times, the upper bound excluded`;

/** A text that is returned says what is wrong. */
export function readFacets(text: string): readonly Facet[] | string {
  const names = readNames(text, FACETS_LIMIT);
  if (typeof names === 'string') return names;
  const facets: Facet[] = [];
  for (const { name: field, suffix } of names) {
    if (facets.some((each) => each.field === field)) return `has ${field.slice(0, 64)} more than once`;
    if (suffix === '') {
      facets.push({ field });
      continue;
    }
    const ranges = readRanges(suffix);
    if (typeof ranges === 'string') return `${ranges} after ${field.slice(0, 64)}`;
    facets.push({ field, ranges });
  }
  return facets;
}

function readRanges(suffix: string): readonly FacetRange[] | string {
  const shown = JSON.stringify(suffix.slice(0, 64));
  if (!suffix.startsWith('[') || !suffix.endsWith(']')) return `has ${shown}, which is no list of ranges in brackets,`;
  const texts = suffix.slice(1, -1).split(',');
  if (texts.length > RANGES_LIMIT) return `has more than ${RANGES_LIMIT} ranges`;
  const ranges: FacetRange[] = [];
  for (const text of texts.map((each) => each.trim())) {
    const [first, last, ...more] = text.split('..');
    const [from, to] = [boundOf(first!.trim()), boundOf((last ?? '').trim())];
    const isOpen = (part: string | undefined): boolean => part?.trim() === '';
    const isRange =
      last !== undefined &&
      more.length === 0 &&
      (from !== undefined || isOpen(first)) &&
      (to !== undefined || isOpen(last)) &&
      (from !== undefined || to !== undefined) &&
      (from === undefined || to === undefined || (from.of === to.of && from.at < to.at));
    if (!isRange) return `has ${JSON.stringify(text.slice(0, 64))}, which is no range from..to, from.. or ..to,`;
    ranges.push({
      text,
      of: (from ?? to)!.of,
      from: from?.at ?? Number.NEGATIVE_INFINITY,
      to: to?.at ?? Number.POSITIVE_INFINITY,
    });
  }
  return ranges;
}

/** The values with the highest counts, then by value, numbers before texts. */
export function topCounts({ numbers, texts }: Pick<ValueCounts, 'numbers' | 'texts'>, limit: number): FacetCount[] {
  const all: FacetCount[] = [
    ...numbers.map(([value, count]) => ({ value, count })),
    ...texts.map(([value, count]) => ({ value: comparable(value), count })),
  ];
  return all.sort(byCount).slice(0, limit);
}

function byCount(a: FacetCount, b: FacetCount): number {
  if (a.count !== b.count) return b.count - a.count;
  if (typeof a.value !== typeof b.value) return typeof a.value === 'number' ? -1 : 1;
  return a.value < b.value ? -1 : 1;
}
