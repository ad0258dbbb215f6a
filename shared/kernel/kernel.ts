/**
 * What every part of the system receives from its environment: clock, randomness and timers.
 *
 * Nothing outside `shared/kernel` and `shared/config` reads `Date.now`, `Math.random`, raw timers or `process.env`
 * (`test/unit/project/rooms.test.ts` enforces it). Parts receive these interfaces through their constructors, so that a
 * simulation can run the production code on a virtual clock from one seed.
 */

/** Wall clock and monotonic clock, both in milliseconds, and the timers that run on them. */
export interface Clock {
  /** Milliseconds since the Unix epoch, an integer. May step in either direction. */
  nowMs(): number;
  /** Milliseconds since an arbitrary start, never going back. For durations and time-outs only. */
  monotonicMs(): number;
  /** Runs `action` once after `delayMs`. */
  after(delayMs: number, action: () => void): Timer;
}

export interface Timer {
  /** Idempotent; a cancelled timer never runs. */
  cancel(): void;
}

/** Runs an action in the next turn of the event loop, where there is nothing better than a timer. */
export function nextTurnOf(clock: Clock): (action: () => void) => void {
  return (action) => void clock.after(0, action);
}

export interface Random {
  /** `count` random bytes; the production source is cryptographic. */
  bytes(count: number): Uint8Array;
}

/** A broken invariant: a bug in this program. The process exits; it neither answers nor continues. */
export class BrokenInvariant extends Error {
  override readonly name = 'BrokenInvariant';
}

/** Stays on in production. `detail` is only evaluated on failure. */
export function assert(condition: unknown, message: string, detail?: () => unknown): asserts condition {
  if (condition) return;
  throw new BrokenInvariant(detail === undefined ? message : `${message}: ${JSON.stringify(detail())}`);
}

/** Resolves after `ms`; resolves early, without error, when `signal` aborts. */
export function sleep(clock: Clock, ms: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal?.aborted) return resolve();
    const done = (): void => {
      timer.cancel();
      signal?.removeEventListener('abort', done);
      resolve();
    };
    const timer = clock.after(ms, done);
    signal?.addEventListener('abort', done, { once: true });
  });
}

/** The promise's value, or `otherwise` once `ms` have passed. The promise itself is not cancelled. */
export function within<T, U>(clock: Clock, ms: number, promise: Promise<T>, otherwise: U): Promise<T | U> {
  return new Promise((resolve, reject) => {
    const timer = clock.after(ms, () => resolve(otherwise));
    promise.then(
      (value) => {
        timer.cancel();
        resolve(value);
      },
      (error: unknown) => {
        timer.cancel();
        reject(error);
      },
    );
  });
}

const base32 = 'abcdefghijklmnopqrstuvwxyz234567';

/** `length` random characters of lower-case base32: 5 bits each. */
export function randomName(random: Random, length: number): string {
  let name = '';
  for (const byte of random.bytes(length)) name += base32[byte & 31];
  return name;
}
