/** Repeats an action, one run at a time, with a pause after each. */
import { type Clock, sleep } from './kernel.ts';

export interface Repetition {
  /** Resolves when the run in progress, if any, has ended. Idempotent. */
  stop(): Promise<void>;
}

export interface RepeatOptions {
  readonly clock: Clock;
  /** Pause between the end of one run and the start of the next; the first runs at once. */
  readonly pauseMs: number;
  /** Must handle its own failures: exceptions are not caught here. */
  readonly action: () => Promise<void>;
}

export function repeat({ clock, pauseMs, action }: RepeatOptions): Repetition {
  const stopped = new AbortController();
  const run = async (): Promise<void> => {
    while (!stopped.signal.aborted) {
      await action();
      await sleep(clock, pauseMs, stopped.signal);
    }
  };
  const running = run();
  return {
    stop() {
      stopped.abort();
      return running;
    },
  };
}
