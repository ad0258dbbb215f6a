/**
 * How soon the leadership key may be corrected again: at once after a minute without a correction, otherwise after a pause that
 * doubles, because a client that overwrites it might not stop.
 */
import type { Clock } from '../../../shared/kernel/kernel.ts';

const FIRST_MS = 1_000;
const LONGEST_MS = 30_000;
/** After this long without a repair the next one does not wait. */
const QUIET_MS = 60_000;

export class RepairPause {
  private readonly clock: Clock;
  private last: { readonly atMs: number; readonly pauseMs: number } | undefined;

  constructor(clock: Clock) {
    this.clock = clock;
  }

  get due(): boolean {
    return this.last === undefined || this.clock.monotonicMs() - this.last.atMs >= this.last.pauseMs;
  }

  /** Called when the key was corrected. */
  done(): void {
    const atMs = this.clock.monotonicMs();
    const quiet = this.last === undefined || atMs - this.last.atMs >= QUIET_MS;
    this.last = { atMs, pauseMs: quiet ? FIRST_MS : Math.min(2 * (this.last?.pauseMs ?? 0), LONGEST_MS) };
  }
}
