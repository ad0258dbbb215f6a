/** The production clock and randomness. Only `main.ts` files construct them. */
import { randomBytes } from 'node:crypto';
import { PerformanceObserver, performance } from 'node:perf_hooks';
import type { Clock, Random, Timer } from './kernel.ts';
import type { EventLoop } from './turns.ts';

export const systemClock: Clock = {
  nowMs: () => Date.now(),
  monotonicMs: () => performance.now(),
  after(delayMs: number, action: () => void): Timer {
    const handle = setTimeout(action, delayMs);
    return { cancel: () => clearTimeout(handle) };
  },
};

/** Asking the system costs more than all else that a short answer takes, so it is asked for many bytes at a time. */
const POOL_BYTES = 4_096;
let pool = Buffer.alloc(0);

export const systemRandom: Random = {
  bytes(count) {
    if (count > POOL_BYTES) return randomBytes(count);
    if (pool.length < count) pool = randomBytes(POOL_BYTES);
    const bytes = pool.subarray(0, count);
    pool = pool.subarray(count);
    return bytes;
  },
};

/** Runs the action in the next turn of the event loop, after what has arrived meanwhile. */
export function nextTurn(action: () => void): void {
  setImmediate(action);
}

export const systemEventLoop: EventLoop = {
  nextTurn,
  every(periodMs, action) {
    const handle = setInterval(action, periodMs).unref();
    return { cancel: () => clearInterval(handle) };
  },
  onCollection(listener) {
    const observer = new PerformanceObserver((list) => {
      for (const { duration } of list.getEntries()) listener(duration);
    });
    observer.observe({ entryTypes: ['gc'] });
    return { cancel: () => observer.disconnect() };
  },
};
