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

export const systemRandom: Random = { bytes: (count) => randomBytes(count) };

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
