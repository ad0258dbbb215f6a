/**
 * Automatic failover: replaces a leader that has stopped answering. Contract of this room.
 *
 *     watching ──alive key unchanged AND no answer for `afterMs`──► silent ──this router holds the lease──►
 *     choosing a candidate ──► it drains the stream ──► one last question to the leader ──► compare-and-set
 *
 * - Judged by this process's monotonic clock alone; no two clocks are compared. Every router watches, one acts: the holder
 *   of the lease key. The lease only spares the others the work: that no epoch has two leaders is the compare-and-set's doing.
 * - A leader that answers nobody here but rewrites its key is not unresponsive (this router's network is broken, not the leader),
 *   and neither is one that is partitioned. A leader that never wrote a key is not judged, unless others did.
 * - Without the control bucket nothing is judged, and what was judged before is forgotten.
 * - Candidates answer, are ready, neither partitioned nor stopped nor hindered. Of those whose schema has all the leader's signals (of
 *   all, if none has) the one with most of the current epoch durable, then with most of everything, then the topology's first.
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
