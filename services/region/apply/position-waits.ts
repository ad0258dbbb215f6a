/**
 * Reads that wait for a position to be applied. Each waits at one origin at a time, the first one that lags. The waits of an
 * origin are sorted with the highest sequence first, so a batch only checks the end of its own origin's list, whatever the number
 * of waits and origins.
 */
import type { Clock, Timer } from '../../../shared/kernel/kernel.ts';
import { type Position, sequenceOf } from '../../../shared/protocol/position.ts';

interface Waiter {
  /** The part of the wanted position that was not checked yet. */
  readonly left: Iterator<readonly [string, number]>;
  readonly resolve: (reached: boolean) => void;
  /** Index in its origin's list. */
  origin: string;
  sequence: number;
  timer: Timer | undefined;
}

export class PositionWaits {
  private readonly clock: Clock;
  private readonly applied: Position;
  private readonly lines = new Map<string, Waiter[]>();
  /** Number of waits. */
  size = 0;

  constructor(clock: Clock, applied: Position) {
    this.clock = clock;
    this.applied = applied;
  }

  /** True once all of `wanted` is applied; false when `limitMs` passed first. */
  until(wanted: Position, limitMs: number): Promise<boolean> {
    return new Promise((resolve) => {
      const waiter: Waiter = { left: wanted.entries(), resolve, origin: '', sequence: 0, timer: undefined };
      if (!this.lacks(waiter)) return resolve(true);
      this.queue(waiter);
      this.size++;
      waiter.timer = this.clock.after(limitMs, () => {
        this.leave(waiter);
        this.end(waiter, false);
      });
    });
  }

  /** More of this origin is applied. */
  advanced(origin: string): void {
    const line = this.lines.get(origin);
    if (line === undefined) return;
    const sequence = sequenceOf(this.applied, origin);
    for (let last = line.at(-1); last !== undefined && last.sequence <= sequence; last = line.at(-1)) {
      line.pop();
      if (this.lacks(last)) this.queue(last);
      else this.end(last, true);
    }
    if (line.length === 0) this.lines.delete(origin);
  }

  /** Moves it to the next origin that lags behind its position; false: none does. */
  private lacks(waiter: Waiter): boolean {
    for (let next = waiter.left.next(); next.done !== true; next = waiter.left.next()) {
      const [origin, sequence] = next.value;
      if (sequenceOf(this.applied, origin) >= sequence) continue;
      waiter.origin = origin;
      waiter.sequence = sequence;
      return true;
    }
    return false;
  }

  private queue(waiter: Waiter): void {
    const line = this.lines.get(waiter.origin);
    if (line === undefined) {
      this.lines.set(waiter.origin, [waiter]);
      return;
    }
    let low = 0;
    for (let high = line.length; low < high; ) {
      const middle = (low + high) >> 1;
      if (line[middle]!.sequence > waiter.sequence) low = middle + 1;
      else high = middle;
    }
    line.splice(low, 0, waiter);
  }

  private leave(waiter: Waiter): void {
    const line = this.lines.get(waiter.origin)!;
    line.splice(line.indexOf(waiter), 1);
    if (line.length === 0) this.lines.delete(waiter.origin);
  }

  private end(waiter: Waiter, reached: boolean): void {
    waiter.timer?.cancel();
    this.size--;
    waiter.resolve(reached);
  }
}
