/**
 * Diversity: at most `count` items per value of a metadata field on a page, where the feed has enough others.
 *
 * A page is one greedy pass down the ranking: an item whose value has had its share is passed over; when the ranking ends
 * before the page is full, the best of those passed over fill it and the constraint counts as relaxed, so the result never
 * shrinks. The next page passes over what is left in the same way: every item comes exactly once. An item without the
 * field is never passed over; one with several values (`string[]`) counts for each.
 */

export interface MaxPer {
  readonly field: string;
  readonly count: number;
}

export interface DiversePage<T> {
  readonly page: readonly T[];
  readonly relaxed: boolean;
}

/**
 * The page of `limit` items that begins after `skip` items, out of everything ranked, best first. `valuesOf` answers an
 * item's values of the field.
 */
export function diversePage<T>(
  ranked: readonly T[],
  options: { count: number; limit: number; skip: number; valuesOf: (item: T) => readonly string[] },
): DiversePage<T> {
  const { limit, skip } = options;
  let left = ranked;
  let before = skip;
  // Pages begin at multiples of `limit`; a remainder comes first, so that any `skip` is well defined.
  for (let size = skip % limit || limit; before > 0 && left.length > 0; size = limit) {
    left = takePage(left, size, options).left;
    before -= size;
  }
  const { page, relaxed } = takePage(left, limit, options);
  return { page, relaxed };
}

function takePage<T>(
  ranked: readonly T[],
  size: number,
  options: { count: number; valuesOf: (item: T) => readonly string[] },
): { page: T[]; left: readonly T[]; relaxed: boolean } {
  const taken = new Map<string, number>();
  const page: T[] = [];
  const passedOver: T[] = [];
  let index = 0;
  for (; index < ranked.length && page.length < size; index++) {
    const item = ranked[index]!;
    const values = options.valuesOf(item);
    if (values.some((value) => (taken.get(value) ?? 0) >= options.count)) {
      passedOver.push(item);
      continue;
    }
    for (const value of values) taken.set(value, (taken.get(value) ?? 0) + 1);
    page.push(item);
  }
  const filled = passedOver.splice(0, size - page.length);
  return { page: [...page, ...filled], left: [...passedOver, ...ranked.slice(index)], relaxed: filled.length > 0 };
}
