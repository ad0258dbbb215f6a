/**
 * How the sums of a region show which write is lost and which is doubled: several writes share an item, each with a weight that is
 * a power of four, so that the digits of the item's sum to the base four say how often each of them counts. An item for each
 * write would show the same and leave eight times as many tombstones.
 */

/** Writes an item. The weights are 0.001 to 16.384. */
export const SLOTS = 8;
const BASE = 4;

/** In thousandths. */
export function milliweightOf(slot: number): number {
  return BASE ** slot;
}

/** How often each write of an item counts, by slot. A write that counts four times and more shows in the next slot too. */
export function copiesIn(sum: number): readonly number[] {
  let rest = Math.round(sum);
  const copies = Array.from({ length: SLOTS - 1 }, () => {
    const digit = rest % BASE;
    rest = Math.floor(rest / BASE);
    return digit;
  });
  return [...copies, rest];
}
