/**
 * Epoch numbers: which ones a process accepts as plausible, and which one a router gives next (ADR 15).
 *
 * Plausibility: an epoch far beyond every known one is a forgery or a bug. If it were accepted, it would end all leadership,
 * because no number is left above it. So one step never exceeds `EPOCH_STEP_LIMIT`.
 *
 * The next epoch: no epoch is given to two regions while any disk remembers it. A region that does not answer may know epochs
 * that no other region does. While one is unresponsive, the next epoch is a *reserved* number, a multiple of 50 from 1,000 on
 * whose last three digits name the region it is given to; while none is, it is one more, above everything on any disk. So an
 * epoch that only the unresponsive region knows is not given again: a reserved one belongs to one region, and the others are
 * given only after their predecessor and when all regions except its leader have answered.
 */
import { assert } from '../kernel/kernel.ts';

/** An epoch that is further than this above the highest known one is refused. */
export const EPOCH_STEP_LIMIT = 1_000_000;
/** No epoch is above this one, so that the next is always an exact number. */
export const EPOCH_LIMIT = Number.MAX_SAFE_INTEGER - EPOCH_STEP_LIMIT;

const RESERVED_FROM = 1_000;
const RESERVED_EVERY = 50;

/** Why an epoch is implausible if `known` is the highest known so far; undefined if it is plausible. */
export function epochRefusal(epoch: unknown, known: number): string | undefined {
  if (typeof epoch !== 'number' || !Number.isInteger(epoch) || epoch < 1) return 'the epoch is not a number from 1 on';
  const limit = Math.min(known + EPOCH_STEP_LIMIT, EPOCH_LIMIT);
  if (epoch <= limit) return undefined;
  return `epoch ${epoch} is beyond ${limit}, ${EPOCH_STEP_LIMIT} above the highest known epoch ${known}`;
}

/** The highest of `epochs` that is reached from `from` without a step beyond the limit; `from` if none is. */
export function highestCredible(from: number, epochs: Iterable<number>): number {
  let highest = from;
  for (const epoch of [...new Set(epochs)].sort((a, b) => a - b)) {
    if (epoch > highest && epochRefusal(epoch, highest) === undefined) highest = epoch;
  }
  return highest;
}

/** The highest epoch of the origins in one log that is reached from the lowest by such steps; 0 when there is none. */
export function credibleInLog(epochs: readonly number[]): number {
  const possible = epochs.filter((epoch) => epoch <= EPOCH_LIMIT);
  return possible.length === 0 ? 0 : highestCredible(Math.min(...possible), possible);
}

export interface NextEpoch {
  /** The highest epoch known to the regions that answered. */
  readonly highest: number;
  /** Whether a region that might know a higher one did not answer. */
  readonly unresponsive: boolean;
  /** The region it is for. */
  readonly leader: string;
  /** Of the topology, in its order; at most 20. */
  readonly regions: readonly string[];
}

/** The epoch of the next leadership. */
export function nextEpoch({ highest, unresponsive, leader, regions }: NextEpoch): number {
  const place = regions.indexOf(leader);
  assert(place >= 0 && place < RESERVED_FROM / RESERVED_EVERY, 'an epoch is given to a region of the topology');
  let epoch = highest + 1;
  // A number that is not reserved is only reached in steps of one, so none of these is skipped.
  if (unresponsive || (epoch >= RESERVED_FROM && epoch % RESERVED_EVERY === 0)) {
    const own = Math.floor(epoch / RESERVED_FROM) * RESERVED_FROM + place * RESERVED_EVERY;
    epoch = own >= Math.max(epoch, RESERVED_FROM) ? own : own + RESERVED_FROM;
  }
  assert(epochRefusal(epoch, highest) === undefined, 'a given epoch can be read', () => ({ epoch, highest }));
  return epoch;
}
