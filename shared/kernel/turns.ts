/**
 * What a turn of the event loop is spent on. While one turn runs nothing else does: no request is answered, no heartbeat sent. So
 * where work begins that may take long it says which activity it is, and a watch attributes the turn to it.
 */
import type { Timer } from './kernel.ts';

export const activities = [
  // Reads of a region.
  'feed',
  'search',
  'suggest',
  'item',
  /** Parsing, checking and committing writes. */
  'write',
  /** Batches of other regions, until they are in the log. */
  'receive',
  /** Writes and received batches enter the state. */
  'apply',
  'checkpoint',
  /** Removing what is no longer needed from the log. */
  'trim',
  'snapshot',
  /** Digests, and their comparison. */
  'digest',
  /** Opening the log and building the state at a start. */
  'recovery',
  'indexing',
  /** Reads passed on by a router. */
  'forward',
  /** Collecting garbage, within a turn of any activity. */
  'gc',
  'other',
] as const;
export type Activity = (typeof activities)[number];

export interface Turns {
  /**
   * From now until the next mark or the end of the turn, time is spent on this. After an `await` that took more than the turn,
   * it is to be said again.
   */
  mark(activity: Activity): void;
}

/** What a watch needs of the event loop; `system.ts` has the real one. */
export interface EventLoop {
  /** Runs the action when everything that was ready in this turn has run. */
  nextTurn(action: () => void): void;
  /** Runs the action every `periodMs`, or later if a turn takes longer. Does not keep the process alive. */
  every(periodMs: number, action: () => void): Timer;
  /** Reports the duration of every garbage collection, ms, some time after it. */
  onCollection(listener: (durationMs: number) => void): Timer;
}
