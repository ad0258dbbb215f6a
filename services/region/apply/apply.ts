/**
 * Apply: from durable batches to the state in memory, in log order. The only writer of the ledger, the catalog and the
 * indexes; synchronous, so that every read sees whole batches.
 *
 * Promise: `applied` is never ahead of the log's durable position, and state is a function of it (invariant 4).
 */
import type { Batch } from '../../../shared/protocol/batch.ts';
import type { Position } from '../../../shared/protocol/position.ts';

export interface Apply {
  /** What the state contains. */
  readonly applied: Position;
  /** Acceptance time of the newest applied event, epoch ms; 0 before the first. */
  readonly newestMs: number;
  /** Applies flushed batches, each the next of its origin. */
  apply(batches: readonly Batch[]): void;
  /** How many wait for a position now: the caller's to limit. */
  readonly waiting: number;
  /** True once `applied` covers `position`, false after `limitMs`. */
  reached(position: Position, limitMs: number): Promise<boolean>;
}
