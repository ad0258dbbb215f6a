/**
 * The life cycle of a service process: start, wait for a signal, stop in order, exit.
 *
 * Exit codes: 0 after an orderly stop; 2 for an invalid configuration (`ConfigError`, printed as text; see `refused.ts` for
 * supervisors that restart everything); 1 for everything else, at once: after a broken invariant the process must neither
 * continue nor answer.
 */
import { type EndCause, onEndAsked } from './ending.ts';
import type { Clock } from './kernel.ts';
import { leaveRefused } from './refused.ts';
import { systemClock } from './system.ts';

export interface Service {
  /**
   * Stops accepting, finishes accepted requests, closes. `together` is aborted, at once or later, if the parent of this process
   * ends too, or sends a second signal: then nothing is handed over, and nothing is waited for.
   */
  stop(together: AbortSignal): Promise<void>;
}

/** How long an orderly stop may take, in addition to configured waits. */
export const STOP_LIMIT_MS = 15_000;

export interface RunOptions {
  readonly log: {
    info(message: string, fields?: Readonly<Record<string, unknown>>): void;
    error(message: string, fields?: Readonly<Record<string, unknown>>): void;
  };
  readonly start: () => Promise<Service>;
  /** An orderly stop that takes longer ends with exit code 1. */
  readonly stopLimitMs?: number;
  readonly clock?: Clock;
}

/** Never resolves: the process exits inside. */
export async function runService({
  log,
  start,
  stopLimitMs = STOP_LIMIT_MS,
  clock = systemClock,
}: RunOptions): Promise<void> {
  const crash = (kind: string) => (error: unknown) => {
    log.error(kind, { error });
    process.exit(1);
  };
  process.on('uncaughtException', crash('uncaught exception'));
  process.on('unhandledRejection', crash('unhandled rejection'));

  let service: Service | undefined;
  let asked = false;
  const together = new AbortController();
  const stopped = (): never => {
    log.info('stopped');
    process.exit(0);
  };
  const limit = (): void => {
    clock.after(stopLimitMs, () => {
      log.error('graceful shutdown timed out', { limitMs: stopLimitMs });
      process.exit(1);
    });
  };
  onEndAsked((cause: EndCause) => {
    // A second signal stops without waiting.
    if (asked || cause === 'parent ended') together.abort();
    if (asked) return;
    asked = true;
    log.info('shutdown signal received', { cause });
    // An interrupted start is equivalent to a crash at that point: nothing was acknowledged.
    if (service === undefined) stopped();
    limit();
    service?.stop(together.signal).then(stopped, crash('the orderly stop failed'));
  });

  try {
    service = await start();
  } catch (error) {
    if (error instanceof Error && error.name === 'ConfigError') await leaveRefused(error.message);
    crash('start failed')(error);
  }
}
