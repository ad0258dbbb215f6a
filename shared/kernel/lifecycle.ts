/**
 * The life of a service process: start, wait for a signal, stop in order, leave.
 *
 * Exit codes: 0 after an orderly stop; 2 when what the operator gave cannot be used (`ConfigError`, printed in plain
 * words; see `refused.ts` for supervisors that start everything again); 1 for everything else, at once: a broken invariant must not go on and must not answer.
 */
import { type EndCause, onEndAsked } from './ending.ts';
import type { Clock } from './kernel.ts';
import { leaveRefused } from './refused.ts';
import { systemClock } from './system.ts';

export interface Service {
  /**
   * Stops accepting, finishes what it took, closes. `together` is aborted, now or on the way, when whoever started this
   * process ends too, or asks for haste: nothing is handed to others then, and nobody is waited for.
   */
  stop(together: AbortSignal): Promise<void>;
}

/** How long an orderly stop may take, besides what was configured to be waited for. */
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

/** Never resolves with a value worth having: the process leaves from inside. */
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
    // Asked again, it hurries.
    if (asked || cause === 'parent ended') together.abort();
    if (asked) return;
    asked = true;
    log.info('shutdown signal received', { cause });
    // What a start has done by then is what a crash at that moment leaves: nobody was answered.
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
