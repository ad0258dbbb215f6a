/** Diverse pages the plain way, from everything ranked: what `takePage` has to answer while nothing is written. */
import type { Scored } from '../../../../services/region/scored/scored.ts';

export interface PlainPage {
  readonly page: readonly Scored[];
  readonly left: readonly Scored[];
  readonly relaxed: boolean;
}

/** One greedy scan down `ranked`, the items that earlier pages left, best first. */
export function plainPage(
  ranked: readonly Scored[],
  limit: number,
  { count, valuesOf }: { count: number; valuesOf: (entity: number) => readonly string[] },
): PlainPage {
  const taken = new Map<string, number>();
  const page: Scored[] = [];
  const passedOver: Scored[] = [];
  let index = 0;
  for (; index < ranked.length && page.length < limit; index++) {
    const item = ranked[index]!;
    const values = new Set(valuesOf(item.entity));
    if ([...values].some((value) => (taken.get(value) ?? 0) >= count)) {
      passedOver.push(item);
      continue;
    }
    for (const value of values) taken.set(value, (taken.get(value) ?? 0) + 1);
    page.push(item);
  }
  const filled = passedOver.splice(0, limit - page.length);
  return { page: [...page, ...filled], left: [...passedOver, ...ranked.slice(index)], relaxed: filled.length > 0 };
}
