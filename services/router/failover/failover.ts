/**
 * Automatic failover: replaces a leader that no longer answers. Contract of this folder.
 *
 *     observing ──heartbeat unchanged AND no answer for `afterMs`──► unresponsive ──this router holds the lease──►
 *     choosing a candidate ──► it drains the stream ──► one last request to the leader ──► compare-and-set
 *
 * - Judged by this process's monotonic clock alone; no two clocks are compared. Every router observes, one acts: the holder of
 *   the lease key. The lease only avoids duplicate work; the compare-and-set is what prevents two leaders in one epoch.
 * - A leader that does not answer this router but rewrites its key is not unresponsive (the network of this router is broken, not
 *   the leader), and neither is one that is partitioned. A leader that never wrote a key is not judged, unless other regions did.
 * - Without the control bucket nothing is judged, and earlier judgements are discarded.
 * - Candidates answer, are ready, are neither partitioned nor stopped, and have no write blocker. Of those whose schema has all
 *   the leader's signals (of all, if none has) the one with the most durable events of the current epoch, then with the most in
 *   all, then the topology's first.
 *
 * What a crash leaves: before the compare-and-set nothing but a lease that expires; after it the new leader.
 */
import type { ControlKeys } from '../../../shared/stream/stream.ts';

export interface FailoverSettings {
  /** How long a leader must be unresponsive. */
  readonly afterMs: number;
  readonly keys: ControlKeys;
}

export interface Failover {
  start(): void;
  stop(): Promise<void>;
}
