/**
 * Virtual time. What is due at the same time runs in an order the seed decides, one at a time, and everything that each one
 * started has finished before the next one runs: a run is deterministic, however busy the machine is.
 */
import type { Timer } from '../../shared/kernel/kernel.ts';
import type { Chance } from './chance.ts';

class Waiting implements Timer {
  readonly dueMs: number;
  readonly rank: number;
  readonly order: number;
  action: (() => void) | undefined;

  constructor(dueMs: number, rank: number, order: number, action: () => void) {
    this.dueMs = dueMs;
    this.rank = rank;
    this.order = order;
    this.action = action;
  }

  cancel(): void {
    this.action = undefined;
  }

  before(other: Waiting): boolean {
    if (this.dueMs !== other.dueMs) return this.dueMs < other.dueMs;
    return this.rank === other.rank ? this.order < other.order : this.rank < other.rank;
  }
}

export class Scheduler {
  /** Virtual ms since the run began. */
  nowMs = 0;
  /** Actions that ran. */
  steps = 0;
  /** Real time that the longest action took, with all it set in motion at once; says nothing about the run, and is in no hash. */
  longestTurnMs = 0;
  private readonly heap: Waiting[] = [];
  private readonly chance: Chance;
  private order = 0;

  constructor(chance: Chance) {
    this.chance = chance;
  }

  /** Set and neither run nor, as far as anyone looked, cancelled. */
  get pending(): number {
    return this.heap.length;
  }

  after(delayMs: number, action: () => void): Timer {
    return this.at(this.nowMs + Math.max(0, delayMs), action);
  }

  at(dueMs: number, action: () => void): Timer {
    const waiting = new Waiting(Math.max(dueMs, this.nowMs), this.chance.fraction(), this.order++, action);
    this.push(waiting);
    return waiting;
  }

  /** Runs until `over`, which is looked at after every action, or until `endMs`. Answers whether it was over in time. */
  async run(endMs: number, over: () => boolean = () => false): Promise<boolean> {
    await settled();
    while (!over()) {
      const next = this.pop(endMs);
      if (next === undefined) {
        this.nowMs = Math.max(this.nowMs, endMs);
        return false;
      }
      this.nowMs = next.dueMs;
      this.steps++;
      const { action } = next;
      next.action = undefined;
      const startMs = performance.now();
      action?.();
      await settled();
      this.longestTurnMs = Math.max(this.longestTurnMs, performance.now() - startMs);
    }
    return true;
  }

  private push(waiting: Waiting): void {
    const { heap } = this;
    let at = heap.push(waiting) - 1;
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if (!waiting.before(heap[parent]!)) break;
      heap[at] = heap[parent]!;
      at = parent;
    }
    heap[at] = waiting;
  }

  /** The next that is due by then and was not cancelled. */
  private pop(endMs: number): Waiting | undefined {
    const { heap } = this;
    for (;;) {
      const first = heap[0];
      if (first === undefined || (first.dueMs > endMs && first.action !== undefined)) return undefined;
      const last = heap.pop()!;
      if (heap.length > 0) this.sink(last);
      if (first.action !== undefined) return first;
    }
  }

  private sink(waiting: Waiting): void {
    const { heap } = this;
    let at = 0;
    for (;;) {
      let child = 2 * at + 1;
      if (child >= heap.length) break;
      if (child + 1 < heap.length && heap[child + 1]!.before(heap[child]!)) child++;
      if (!heap[child]!.before(waiting)) break;
      heap[at] = heap[child]!;
      at = child;
    }
    heap[at] = waiting;
  }
}

/** A turn of the event loop follows every promise continuation and every next tick. */
function settled(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
