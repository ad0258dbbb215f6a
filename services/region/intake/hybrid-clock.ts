/**
 * The hybrid logical clock of a leader. It keeps the order: one value an event, above every value of the same epoch in the log.
 * It does not keep the time: the acceptance time of an event is the wall clock's (`acceptedMs`), so times are right again as soon
 * as the wall clock is, whatever the HLC.
 *
 * Values of older epochs do not count: last-writer-wins compares epochs first. So the next leadership is not affected by values
 * that were stamped under a wrong clock.
 */
import { Refusal } from '../../../shared/errors/errors.ts';
import type { Clock } from '../../../shared/kernel/kernel.ts';
import { HLC_LIMIT, HLC_PER_MS, type Hlc, hlcMs } from '../../../shared/protocol/events.ts';

/**
 * By how much the HLC may be ahead of the wall clock before a batch records it, ms: two regions' clocks differ by tens of
 * milliseconds, and NTP sets them back by as much. Acceptance times are exact to this.
 */
export const AHEAD_IGNORED_MS = 1_000;

/** The stamp of events accepted now, from one read of the wall clock. */
export interface Stamp {
  /** The first value; the others follow one by one. */
  readonly hlc: Hlc;
  /** By how much it is ahead of the wall clock, ms; 0 if negligible. */
  readonly aheadMs: number;
  /** The acceptance time, epoch ms. */
  readonly atMs: number;
}

export class HybridClock {
  private readonly clock: Clock;
  private highest: Hlc = 0;

  constructor(clock: Clock) {
    this.clock = clock;
  }

  /**
   * The stamp of events accepted now, after everything up to `above`. It reserves nothing: two calls without {@link take} return
   * the same values while the wall clock does not advance.
   */
  read(above: Hlc): Stamp {
    const nowMs = this.clock.nowMs();
    const hlc = Math.max(nowMs * HLC_PER_MS, this.highest + 1, above + 1);
    const aheadMs = hlcMs(hlc) - nowMs;
    if (aheadMs <= AHEAD_IGNORED_MS) return { hlc, aheadMs: 0, atMs: hlcMs(hlc) };
    return { hlc, aheadMs, atMs: nowMs };
  }

  /** Reserves `count` values from the stamp's on. Refuses, reserving none, if they could not be read from the log again. */
  take({ hlc }: Stamp, count: number): void {
    const last = hlc + count - 1;
    if (!(last <= HLC_LIMIT)) {
      const what =
        this.clock.nowMs() * HLC_PER_MS >= HLC_LIMIT ? 'the clock of this region is' : 'the log of this epoch is';
      throw new Refusal('clock_unsafe', `${what} beyond the year 2100`, {
        hint: 'synchronise the clock; then promote a region, so that a new epoch begins',
      });
    }
    this.highest = last;
  }
}
