/**
 * Apply: from durable batches to the state in memory, in log order. The only writer of the ledger, the catalog and the
 * indexes; synchronous, so that every read sees whole batches.
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
  /** Applies flushed batches, each the next of its origin. */
  apply(batches: readonly Batch[]): void;
  /** Number of calls that wait for a position now; the caller limits it. */
  readonly waiting: number;
  /** True once `applied` covers `position`, false after `limitMs`. */
  reached(position: Position, limitMs: number): Promise<boolean>;
}
