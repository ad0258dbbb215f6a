/** The faults of a failing run that it takes: delta debugging over the list, the seed the same otherwise. */
import type { FaultEvent } from './faults.ts';

/** Runs the seed with these faults; true when it fails as before. */
export type Fails = (faults: readonly FaultEvent[]) => Promise<boolean>;

export async function shrink(faults: readonly FaultEvent[], fails: Fails, limit = 120): Promise<readonly FaultEvent[]> {
  let tries = 0;
  const tried = async (candidate: readonly FaultEvent[]): Promise<boolean> => ++tries <= limit && fails(candidate);
  if (await tried([])) return [];
  let left = faults;
  let parts = 2;
  while (left.length >= 2) {
    const size = Math.ceil(left.length / parts);
    let smaller: readonly FaultEvent[] | undefined;
    for (let from = 0; from < left.length && smaller === undefined; from += size) {
      const without = left.filter((_, index) => index < from || index >= from + size);
      if (await tried(without)) smaller = without;
    }
    if (smaller !== undefined) {
      left = smaller;
      parts = Math.max(2, parts - 1);
    } else if (parts >= left.length || tries >= limit) break;
    else parts = Math.min(left.length, parts * 2);
  }
  return left;
}
