/**
 * A clock that does not advance until the test moves it. Timers run in the order they fall due, one at a time, and whatever each
 * set in motion settles before the next one runs, so that a test on it has one course of events.
 */
import type { Clock, Timer } from '../../../shared/kernel/kernel.ts';

interface Waiting {
  readonly dueMs: number;
  readonly order: number;
  readonly action: () => void;
}

export class ManualClock implements Clock {
  private readonly timers = new Set<Waiting>();
  private elapsedMs = 0;
  private wallMs: number;
  private order = 0;

  constructor(wallMs = 1_750_000_000_000) {
    this.wallMs = wallMs;
  }

  nowMs(): number {
    return Math.floor(this.wallMs + this.elapsedMs);
  }

  monotonicMs(): number {
    return this.elapsedMs;
  }

  after(delayMs: number, action: () => void): Timer {
    const timer: Waiting = { dueMs: this.elapsedMs + Math.max(0, delayMs), order: this.order++, action };
    this.timers.add(timer);
    return { cancel: () => void this.timers.delete(timer) };
  }

  /** Timers that are set and have not run: what a part leaves behind after its `stop`. */
  get pending(): number {
    return this.timers.size;
  }

  /** Steps the wall clock, as NTP or an operator would; durations do not notice. */
  stepWall(ms: number): void {
    this.wallMs += ms;
  }

  /** Time passes and nothing runs, as for a process that is paused; what fell due meanwhile runs at the next move. */
  stand(ms: number): void {
    this.elapsedMs += ms;
  }

  /** Lets everything run that needs no time. */
  settle(): Promise<void> {
    return settle();
  }

  /** Moves time by `ms`, running every timer that falls due on the way. */
  async advance(ms: number): Promise<void> {
    const endMs = this.elapsedMs + ms;
    await this.settle();
    for (let timer = this.next(endMs); timer !== undefined; timer = this.next(endMs)) {
      this.fire(timer);
      await this.settle();
    }
    this.elapsedMs = endMs;
    await this.settle();
  }

  /** Moves time from timer to timer until `holds`; fails naming `what` when that takes longer than `limitMs`. */
  async until(what: string, holds: () => boolean, limitMs = 30_000): Promise<void> {
    const endMs = this.elapsedMs + limitMs;
    await this.settle();
    while (!holds()) {
      const timer = this.next(endMs);
      if (timer === undefined) throw new Error(`not within ${limitMs} ms of the clock: ${what}`);
      this.fire(timer);
      await this.settle();
    }
  }

  /** Moves time in small steps until the promise is settled, at most `limitMs`; answers what it answers. */
  async run<T>(promise: Promise<T>, limitMs = 60_000): Promise<T> {
    let settled = false;
    const mark = (): void => {
      settled = true;
    };
    promise.then(mark, mark);
    await this.settle();
    for (let spentMs = 0; !settled; spentMs += 10) {
      if (spentMs > limitMs) throw new Error(`not settled within ${limitMs} ms of the clock`);
      await this.advance(10);
    }
    return promise;
  }

  private next(endMs: number): Waiting | undefined {
    let first: Waiting | undefined;
    for (const timer of this.timers) {
      if (timer.dueMs > endMs) continue;
      if (
        first === undefined ||
        timer.dueMs < first.dueMs ||
        (timer.dueMs === first.dueMs && timer.order < first.order)
      )
        first = timer;
    }
    return first;
  }

  private fire(timer: Waiting): void {
    this.timers.delete(timer);
    this.elapsedMs = Math.max(this.elapsedMs, timer.dueMs);
    timer.action();
  }
}

/** Resolves when everything that can run without time passing has run. */
export async function settle(): Promise<void> {
  // A turn of the event loop runs the whole queue of promise continuations; the others, what immediates left.
  for (let turn = 0; turn < 4; turn++) await new Promise<void>((resolve) => setImmediate(resolve));
}
