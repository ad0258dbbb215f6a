/**
 * A result as a whole: everything that a list would show on all of its pages. What needs all of it and not a page alone, sorting by
 * fields and counting facets, costs in proportion to it, and is done in the slices of a read.
 */
import type { Steps } from '../../../shared/kernel/steps.ts';
import type { Matches } from '../scored/scored.ts';
import type { Selection } from '../state/filter-index/filter-index.ts';

export { FACET_SYNTAX, type Facet, readFacets, topCounts } from './facets.ts';
export { readNames } from './names.ts';
export {
  BY_SCORE,
  NEWEST_FIRST,
  orderLimitBytes,
  orderOf,
  readSort,
  SORT_SYNTAX,
  type Sortable,
  type SortKey,
} from './sort.ts';
export { SortedRanking } from './sorted.ts';

const ITEMS_A_STEP = 65_536;

/** All of a selection. */
export function* matchesOf(selection: Selection): Steps<Matches> {
  const ordinals = new Int32Array(selection.count);
  let at = 0;
  selection.forEach((ordinal) => {
    ordinals[at++] = ordinal;
  });
  if (at > ITEMS_A_STEP) yield;
  return { ordinals };
}
