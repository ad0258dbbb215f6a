/** The hybrid logical clock of a leader: one value an event, never below the highest in the log. */
import type { Clock } from '../../../shared/kernel/kernel.ts';
import { HLC_PER_MS, type Hlc, hlcMs } from '../../../shared/protocol/events.ts';

export class HybridClock {
  private readonly clock: Clock;
  private highest: Hlc;

  constructor(clock: Clock, highest: Hlc) {
    this.clock = clock;
    this.highest = highest;
  }

  /** The next value. A clock that stepped back only makes the counter run; a full counter carries into the millisecond. */
  next(): Hlc {
    this.highest = Math.max(this.clock.nowMs() * HLC_PER_MS, this.highest + 1);
    return this.highest;
  }

  /** The first of `count` values that follow one another, ≥ 1. */
  take(count: number): Hlc {
    const first = this.next();
    this.highest = first + count - 1;
    return first;
  }

  /** The present moment, epoch ms: every value given from now on is at least as late. */
  nowMs(): number {
    this.highest = Math.max(this.clock.nowMs() * HLC_PER_MS, this.highest);
    return hlcMs(this.highest);
  }

  /** Takes note of a value met in the log. */
  observe(hlc: Hlc): void {
    this.highest = Math.max(this.highest, hlc);
  }
}
