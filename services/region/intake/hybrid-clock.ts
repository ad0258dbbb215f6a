/**
 * The hybrid logical clock of a leader. It keeps the order: one value an event, above every value of the same epoch in the log.
 * It does not keep the time: an event was accepted when the wall clock said so (`acceptedMs`), so that the time is right again
 * as soon as the wall clock is, whatever the order has come to.
 *
 * Values of older epochs do not count: last-writer-wins compares epochs first. What was logged under a wrong clock is left
 * behind with the next leadership.
 */
import { Refusal } from '../../../shared/errors/errors.ts';
import type { Clock } from '../../../shared/kernel/kernel.ts';
import { HLC_LIMIT, HLC_PER_MS, type Hlc, hlcMs } from '../../../shared/protocol/events.ts';

/**
 * By how much the HLC may be ahead of the wall clock before a batch says so, ms: two regions' clocks differ by tens of
 * milliseconds, and NTP sets them back by as much. Acceptance times are exact to this.
 */
export const AHEAD_IGNORED_MS = 1_000;

/** What events accepted now are stamped with: one reading of the wall clock for all of them. */
export interface Stamp {
  /** The first value; the others follow one by one. */
  readonly hlc: Hlc;
  /** By how much it is ahead of the wall clock, ms; 0: by nothing worth mentioning. */
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
   * The stamp of events accepted at this moment, after everything up to `above`. Nothing is taken: reading twice without
   * {@link take} answers the same values while the wall clock stands still.
   */
  read(above: Hlc): Stamp {
    const nowMs = this.clock.nowMs();
    const hlc = Math.max(nowMs * HLC_PER_MS, this.highest + 1, above + 1);
    const aheadMs = hlcMs(hlc) - nowMs;
    if (aheadMs <= AHEAD_IGNORED_MS) return { hlc, aheadMs: 0, atMs: hlcMs(hlc) };
    return { hlc, aheadMs, atMs: nowMs };
  }

  /** Takes `count` values from the stamp's on. Refuses, taking none, where they could not be read from the log again. */
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
