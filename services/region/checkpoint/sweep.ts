/** Removing what is no longer needed, repeatedly: a full disk delays it, and any other failure of the store is fatal. */
import { messageOf } from '../../../shared/errors/errors.ts';
import { type Clock, sleep } from '../../../shared/kernel/kernel.ts';
import type { Turns } from '../../../shared/kernel/turns.ts';
import type { Log } from '../../../shared/observe/log.ts';
import { isStorageFull } from '../storage-fault/storage-fault.ts';
import type { Sweep } from './checkpoint.ts';

export interface SweepOptions {
  /** Absent: turns are not watched. */
  readonly turns?: Turns | undefined;
  readonly clock: Clock;
  readonly log: Log;
  /** The store failed: the process must end. */
  readonly onFatal: (error: unknown) => void;
}

export interface SweepWork {
  /** Between the end of one run and the start of the next. */
  readonly pauseMs: number;
  /** The log message when the disk is full. */
  readonly delayed: string;
  /** Ends early once the signal is aborted. */
  readonly run: (stopped: AbortSignal) => Promise<void>;
}

export function createSweep({ clock, log, onFatal, turns }: SweepOptions, { pauseMs, delayed, run }: SweepWork): Sweep {
  const stopped = new AbortController();
  const loop = async (): Promise<void> => {
    while (!stopped.signal.aborted) {
      try {
        turns?.mark('trim');
        await run(stopped.signal);
      } catch (error) {
        if (!isStorageFull(error)) return onFatal(error);
        log.warn(delayed, { error: messageOf(error) });
      }
      await sleep(clock, pauseMs, stopped.signal);
    }
  };
  let running: Promise<void> | undefined;
  return {
    start() {
      running ??= loop();
    },
    async stop() {
      stopped.abort();
      await running;
    },
  };
}
