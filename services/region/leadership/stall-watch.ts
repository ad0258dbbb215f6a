/**
 * Detects that this process was paused: stopped, swapping, or busy with one long computation. It may have been replaced
 * meanwhile, and the data in its sockets is from before.
 *
 * A timer alone would notice too late, since a process that resumes may handle received data before it runs its timers. So code
 * that is about to act checks as well.
 */
import type { Clock } from '../../../shared/kernel/kernel.ts';
import { type Repetition, repeat } from '../../../shared/kernel/repeat.ts';

/** Every pause longer than this is noticed, and some that are half as long. */
const STALL_MS = 1_000;
const TICK_MS = STALL_MS / 2;

export interface StallWatchOptions {
  readonly clock: Clock;
  readonly onStall: (stoodMs: number) => void;
}

export class StallWatch {
  private readonly options: StallWatchOptions;
  private seenMs: number | undefined;
  private ticks: Repetition | undefined;

  constructor(options: StallWatchOptions) {
    this.options = options;
  }

  start(): void {
    this.ticks ??= repeat({ clock: this.options.clock, pauseMs: TICK_MS, action: async () => this.check() });
  }

  /** Runs `onStall` if the process was paused since the last check. */
  check(): void {
    const nowMs = this.options.clock.monotonicMs();
    const stoodMs = nowMs - (this.seenMs ?? nowMs);
    // Before `start` there are no ticks to compare with.
    if (this.ticks !== undefined) this.seenMs = nowMs;
    if (stoodMs > STALL_MS) this.options.onStall(stoodMs);
  }

  async stop(): Promise<void> {
    await this.ticks?.stop();
  }
}
