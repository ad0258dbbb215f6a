/**
 * Apply: from durable batches to the state in memory, in log order, one in a turn of the event loop: every read sees whole batches.
 * The only writer of the ledger and the catalog. Filter index and text index follow (`index-queue/index-queue.ts`).
 *
 * Promise: `applied` is never ahead of the log's durable position, and state is a function of it (invariant 4).
 */

import type { Hlc } from '../../../shared/protocol/events.ts';
import type { Position } from '../../../shared/protocol/position.ts';
import type { Batch } from '../batch/batch.ts';

/** The last of some events in the order of epochs and clocks. */
export interface Newest {
  readonly epoch: number;
  readonly hlc: Hlc;
  /** When it was accepted, epoch ms. */
  readonly acceptedMs: number;
}

export const NOTHING_YET: Newest = { epoch: 0, hlc: 0, acceptedMs: 0 };

/**
 * The later of two in the order, not the one with the later acceptance time: an event accepted under a wrong clock would stay the
 * newest until the calendar has caught up.
 */
export function laterOf(a: Newest, b: Newest): Newest {
  return (a.epoch - b.epoch || a.hlc - b.hlc || a.acceptedMs - b.acceptedMs) >= 0 ? a : b;
}

export interface Apply {
  /** What the state contains. */
  readonly applied: Position;
  /** Acceptance time of the {@link Newest} applied event, epoch ms; 0 before the first. */
  readonly newestMs: number;
  /** Runs before each batch: nothing changes between it and the batch. */
  onApplying(listener: (batch: Batch) => void): void;
  /** Runs after each batch, and before the next. */
  onApplied(listener: (batch: Batch) => void): void;
  /**
   * Applies flushed batches, each the next of its origin: the first at once, each other one in a turn of its own. Until it resolves
   * no others of these origins may be applied.
   */
  apply(batches: readonly Batch[]): Promise<void>;
  /** Resolves once the indexes are near enough to what was applied for more. Called before more is appended to the log. */
  room(): Promise<void>;
  /** Number of calls that wait for a position now; the caller limits it. */
  readonly waiting: number;
  /** True once `applied` covers `position`, false after `limitMs`. */
  reached(position: Position, limitMs: number): Promise<boolean>;
}
