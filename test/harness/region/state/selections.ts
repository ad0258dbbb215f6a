/** Selections without filter index behind them. */
import type { Selection } from '../../../../services/region/state/filter-index/filter-index.ts';

/** Of these ordinals. */
export function selectionOf(ordinals: readonly number[]): Selection {
  const sorted = [...new Set(ordinals)].sort((a, b) => a - b);
  const members = new Set(sorted);
  return {
    kept() {
      return this;
    },
    count: sorted.length,
    has: (ordinal) => members.has(ordinal),
    any: (first, end) => sorted.some((ordinal) => ordinal >= first && ordinal < end),
    forEach(visit) {
      for (const ordinal of sorted) visit(ordinal);
    },
  };
}
