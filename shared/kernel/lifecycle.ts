/**
 * The life of a service process: start, wait for a signal, stop in order, leave.
 *
 * Exit codes: 0 after an orderly stop; 2 when what the operator gave cannot be used (`ConfigError`, printed in plain
 * words); 1 for everything else, at once: a broken invariant must not go on and must not answer.
 */
import type { Clock } from './kernel.ts';
import { systemClock } from './system.ts';

export interface Service {
  /** Stops accepting, finishes what it took, closes. */
  stop(): Promise<void>;
}

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
export async function runService({ log, start, stopLimitMs = 15_000, clock = systemClock }: RunOptions): Promise<void> {
  const crash = (kind: string) => (error: unknown) => {
    log.error(kind, { error });
    process.exit(1);
  };
  process.on('uncaughtException', crash('uncaught exception'));
  process.on('unhandledRejection', crash('unhandled rejection'));

  let service: Service | undefined;
  let asked = false;
  const leave = async (running: Service): Promise<void> => {
    await running.stop();
    log.info('stopped');
    process.exit(0);
  };
  // A terminal sends Ctrl+C to the launcher and to every child, and the launcher sends its own: the first one counts.
  const shutDown = (cause: string): void => {
    if (asked) return;
    asked = true;
    log.info('shutdown signal received', { cause });
    clock.after(stopLimitMs, () => {
      log.error('the orderly stop took too long', { limitMs: stopLimitMs });
      process.exit(1);
    });
    if (service !== undefined) leave(service).catch(crash('the orderly stop failed'));
  };
  process.on('SIGINT', () => shutDown('SIGINT'));
  process.on('SIGTERM', () => shutDown('SIGTERM'));
  if (process.env.TIDAL_PARENT_PIPE === '1') {
    // The launcher holds the other end: however it dies, the pipe closes.
    process.stdin.on('end', () => shutDown('parent ended'));
    process.stdin.on('error', () => shutDown('parent ended'));
    process.stdin.resume();
  }

  try {
    service = await start();
  } catch (error) {
    if (error instanceof Error && error.name === 'ConfigError') {
      process.stderr.write(`${error.message}\n`);
      process.exit(2);
    }
    crash('start failed')(error);
  }
  if (asked && service !== undefined) await leave(service).catch(crash('the orderly stop failed'));
}
