/**
 * Whether this region's clock can be trusted to say when events are accepted.
 *
 * A clock alone cannot be judged. Its witnesses are the peers' clocks, reported with their status, and the routers' clocks, sent
 * with every request: a region that receives writes always knows one. Accepting is safe if there is a witness, and a strict
 * majority of all known clocks, this region's included, is within {@link UNSAFE_MS} of its own. Two clocks that differ are both
 * unsafe, because neither is known to be right.
 *
 * A witness that no longer answers counts for a while: its clock is advanced by this process's monotonic time. So the death of a
 * leader does not leave its possible successors without a judgement, and a wall clock that is changed is noticed at once, before
 * the next poll. Nothing is accepted after a start before every peer was asked once.
 */

import { Refusal } from '../../../shared/errors/errors.ts';
import type { Clock } from '../../../shared/kernel/kernel.ts';
import type { Metrics } from '../../../shared/observe/metrics.ts';
import { CLOCKS_AGREE_MS } from '../../../shared/protocol/events.ts';
import type { RouterClock } from '../../../shared/protocol/internal.ts';
import { mendedOf } from '../mended/mended.ts';
import type { Peers } from '../peers/peers.ts';
import type { Wal } from '../wal/wal.ts';

/** Clocks that differ by no more than this agree. */
export const UNSAFE_MS = CLOCKS_AGREE_MS;

/**
 * How far the latest acceptance time of the log is ahead of a clock, ms, ≥ 0: if it is large, one of the two is wrong. Mended
 * events do not count.
 */
export function logAheadMs(wal: Pick<Wal, 'origins' | 'mark'>, nowMs: number): number {
  const future = mendedOf(wal.mark('mended'))?.future ?? {};
  let aheadMs = 0;
  for (const { origin, newestMs } of wal.origins()) {
    if (newestMs > (future[origin] ?? 0)) aheadMs = Math.max(aheadMs, newestMs - nowMs);
  }
  return aheadMs;
}

/** How long a clock that no longer answers counts as a witness. */
export const WITNESS_KEPT_MS = 600_000;
/** Number of routers whose clocks are kept, the latest ones. */
const ROUTERS_LIMIT = 16;

export interface ClockCheckOptions {
  readonly clock: Clock;
  readonly region: string;
  readonly peers: Pick<Peers, 'views' | 'asked'>;
  readonly metrics: Metrics;
}

/** A clock as it was reported. */
interface Heard {
  readonly clockMs: number;
  /** Monotonic ms. */
  readonly atMs: number;
}

interface Witness {
  readonly name: string;
  /** Its clock minus this region's, now, ms. */
  readonly offsetMs: number;
}

export class ClockCheck {
  private readonly options: ClockCheckOptions;
  private readonly routers = new Map<string, Heard>();

  constructor(options: ClockCheckOptions) {
    this.options = options;
    options.metrics.gauge({
      name: 'tidal_clock_offset_seconds',
      help: 'Largest distance of a reachable peer’s clock from this one.',
      read: () => this.largestOffsetMs / 1_000,
    });
  }

  /** Records the clock that a router's request has sent. */
  heard({ router, clockMs }: RouterClock): void {
    this.routers.delete(router);
    this.routers.set(router, { clockMs, atMs: this.options.clock.monotonicMs() });
    for (const name of this.routers.keys()) {
      if (this.routers.size <= ROUTERS_LIMIT) break;
      this.routers.delete(name);
    }
  }

  /** Largest distance of a reachable peer's clock, ms. */
  get largestOffsetMs(): number {
    let largest = 0;
    for (const { reachable, clockOffsetMs } of this.options.peers.views.values()) {
      if (reachable) largest = Math.max(largest, Math.abs(clockOffsetMs));
    }
    return largest;
  }

  /** Why this clock is not safe for accepting now; undefined if it is. */
  get writeBlocker(): Refusal | undefined {
    const { region, peers } = this.options;
    if (!peers.asked) {
      return new Refusal('not_ready', `${region} has not compared its clock with every other region since its start`);
    }
    const witnesses = this.witnesses();
    if (witnesses.length === 0) {
      return new Refusal('clock_unsafe', `the clock of ${region} cannot be verified: no other clock is known`, {
        hint: 'send writes through a router, which carries its clock, or start another region',
      });
    }
    const far = witnesses.filter(({ offsetMs }) => Math.abs(offsetMs) > UNSAFE_MS);
    const known = witnesses.length + 1;
    if ((known - far.length) * 2 > known) return undefined;
    const seconds = Math.round(Math.abs(median(far.map(({ offsetMs }) => offsetMs))) / 1_000);
    const names = far.map(({ name }) => name).join(', ');
    return new Refusal(
      'clock_unsafe',
      `the clock of ${region} is ${seconds} s off ${far.length} of ${known - 1} other clocks: ${names}`,
      {
        hint: 'synchronise the clocks, or promote a region whose clock is right, with force if this one does not answer',
      },
    );
  }

  private witnesses(): Witness[] {
    const { clock, peers } = this.options;
    const nowMs = clock.nowMs();
    const monotonicMs = clock.monotonicMs();
    const witnesses: Witness[] = [];
    const add = (name: string, { clockMs, atMs }: Heard): void => {
      const agoMs = monotonicMs - atMs;
      if (agoMs <= WITNESS_KEPT_MS && Number.isFinite(clockMs))
        witnesses.push({ name, offsetMs: clockMs + agoMs - nowMs });
    };
    for (const [name, { status, atMs }] of peers.views) add(name, { clockMs: status.clockMs, atMs });
    for (const [name, heard] of this.routers) add(`router ${name}`, heard);
    return witnesses;
  }
}

/** Median of at least one number; the higher one of two in the middle. */
function median(numbers: readonly number[]): number {
  return [...numbers].sort((a, b) => a - b)[numbers.length >> 1]!;
}
