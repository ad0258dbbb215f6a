/** Whether this region's clock can be trusted to stamp events, judged by the peers' clocks. */
import { Refusal } from '../../../shared/errors/errors.ts';
import type { Peers } from '../repair/repair.ts';

/**
 * Off the median of all clocks, the own one included, by more than this: no accepting. Among three regions one wrong clock
 * is then found wrong by itself, and by nobody else.
 */
const UNSAFE_MS = 30_000;

function reachableOffsets(peers: Peers): number[] {
  return [...peers.views.values()].filter(({ reachable }) => reachable).map(({ clockOffsetMs }) => clockOffsetMs);
}

/** Largest distance of a reachable peer's clock, ms. */
export function largestOffsetMs(peers: Peers): number {
  return Math.max(0, ...reachableOffsets(peers).map(Math.abs));
}

export function clockHindrance(region: string, peers: Peers): Refusal | undefined {
  const others = reachableOffsets(peers);
  if (others.length < 2) return undefined;
  const offsets = [0, ...others].sort((a, b) => a - b);
  const middle = offsets.length / 2;
  const median =
    offsets.length % 2 === 1 ? offsets[Math.floor(middle)]! : (offsets[middle - 1]! + offsets[middle]!) / 2;
  if (Math.abs(median) <= UNSAFE_MS) return undefined;
  return new Refusal(
    'clock_unsafe',
    `the clock of ${region} is ${Math.round(Math.abs(median) / 1_000)} s off the other regions`,
    {
      hint: 'synchronise the clock, or promote another region',
    },
  );
}
