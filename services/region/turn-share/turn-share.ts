/**
 * Keeps the turns of the event loop short while many batches are decoded, appended and applied: after some work the rest
 * continues in the next turn, after what has arrived meanwhile.
 */
import type { Batch } from '../batch/batch.ts';

/** An event of a document, or under a key, takes about as long as this many plain signals. */
const EVENT_WORK = 10;

export interface WorkLimits {
  /** In plain signals: what one turn decodes, or applies. A batch is not divided. */
  readonly turn: number;
  /** What one transaction appends. More makes fewer flushes and longer turns. */
  readonly append: number;
}

/** Some milliseconds a turn, and enough for each flush that a fast disk is not what limits it. */
export const workLimits: WorkLimits = { turn: 10_000, append: 40_000 };

/** The work a batch makes, in plain signals. */
export function workOf({ signals, first, last }: Pick<Batch, 'signals' | 'first' | 'last'>): number {
  return (last - first + 1) * (signals === undefined ? EVENT_WORK : 1);
}

export class TurnShare {
  private readonly nextTurn: (action: () => void) => void;
  private readonly limit: number;
  private used = 0;

  constructor(nextTurn: (action: () => void) => void, limit: number) {
    this.nextTurn = nextTurn;
    this.limit = limit;
  }

  /** Counts work that was done. Resolves when more may be done: at once, or in the next turn. */
  async use(work: number): Promise<void> {
    this.used += work;
    if (this.used < this.limit) return;
    this.used = 0;
    await this.next();
  }

  /** Resolves in the next turn. */
  next(): Promise<void> {
    return new Promise((resolve) => this.nextTurn(resolve));
  }
}
