/**
 * Time limits that routers and regions, or two regions, rely on, each with the relation it must keep. A process that violates one
 * does not start.
 *
 * A caller waits longer than the limit of the other side: so it gets that side's answer, which says what happened, instead of a
 * time-out, which does not.
 */
import { assert } from '../kernel/kernel.ts';

/** Statuses are polled, the leadership key is read and heartbeats are rewritten with this pause in between. */
export const POLL_MS = 1_000;
/** A region waits this long for a peer's status. */
export const PEER_STATUS_LIMIT_MS = 1_000;
/** A router waits longer: a busy region is not an unreachable one. */
export const STATUS_LIMIT_MS = 2_000;
/** A peer's status received this long after a point in time answers a question that was asked after it. */
export const PEER_STATUS_FRESH_MS = 2_000;
assert(PEER_STATUS_FRESH_MS > PEER_STATUS_LIMIT_MS, 'no older question of a peer is still open then');

/** The shortest `failover_after` of a topology. */
export const FAILOVER_AFTER_LEAST_MS = 2_000;
assert(FAILOVER_AFTER_LEAST_MS > POLL_MS, 'a heartbeat that is on time is seen before the leader is replaced');

/** A router gives the two leaders this long for a handover. */
export const HANDOVER_LIMIT_MS = 8_000;
/** An old leader whose handover was neither committed nor rolled back resumes by itself after this long. */
export const HANDOVER_RESUMED_MS = 10_000;
/** A router may take over a handover that has not changed for this long. */
export const HANDOVER_ABANDONED_MS = 15_000;
assert(HANDOVER_LIMIT_MS < HANDOVER_RESUMED_MS, 'a handover that is under way is not taken back by the old leader');
assert(
  HANDOVER_RESUMED_MS < HANDOVER_ABANDONED_MS,
  'a handover is taken over only where the old leader does not resume',
);
/** A router holds writes this long during a change of leader, unless it is configured otherwise. */
export const HELD_WRITES_MS = 10_000;
assert(HELD_WRITES_MS >= HANDOVER_RESUMED_MS, 'writes are held until an old leader resumes');

/** A leader that received SIGTERM waits this long for a router to begin a handover. */
export const STEP_DOWN_NOTICED_MS = 4_000;
assert(STEP_DOWN_NOTICED_MS > POLL_MS + STATUS_LIMIT_MS, 'a router has seen by then that the leader is draining');
/** A relieved leader serves for this long before it stops. */
export const STEP_DOWN_LINGER_MS = 1_500;
assert(STEP_DOWN_LINGER_MS > POLL_MS, 'every router has read the new leadership record by then');

/** A region waits this long for the stream to acknowledge a write with durability `stream`. */
export const STREAM_DURABILITY_WAIT_MS = 5_000;
/** A router waits this long for the answer to writes. */
export const WRITES_ANSWER_LIMIT_MS = 10_000;
assert(
  STREAM_DURABILITY_WAIT_MS < WRITES_ANSWER_LIMIT_MS,
  'a region says stream_unconfirmed before its router gives up',
);

/** A read waits this long in a region for its `min_position`. */
export const MIN_POSITION_WAIT_MS = 2_000;
/** A router waits this long for the answer to a read. */
export const READ_ANSWER_LIMIT_MS = 10_000;
assert(MIN_POSITION_WAIT_MS < READ_ANSWER_LIMIT_MS, 'a region says position_not_reached before its router gives up');

/** A region lets a caller of `/internal/await` or `/internal/drain` wait this long at most. */
export const AWAIT_LIMIT_MS = 30_000;
/** `POST /cluster/heal` with `wait` waits this long. */
export const HEAL_WAIT_LIMIT_MS = 30_000;
/** Before a failover the candidate reads the stream for at most this long. */
export const FAILOVER_DRAIN_LIMIT_MS = 2_000;
assert(
  Math.max(HANDOVER_LIMIT_MS, HEAL_WAIT_LIMIT_MS, FAILOVER_DRAIN_LIMIT_MS) <= AWAIT_LIMIT_MS,
  'a region accepts every limit that a router asks for',
);

/** `POST /cluster/verify` polls again after this pause. */
export const VERIFY_PAUSE_MS = 200;
/** A region keeps a count of its state for this long after the last request for it. */
export const DIGEST_KEPT_MS = 15_000;
assert(DIGEST_KEPT_MS > VERIFY_PAUSE_MS + STATUS_LIMIT_MS, 'a count is continued until its digest is read');

/** A region holds a request for a snapshot this long while the copy is being made; then it answers `not_ready`. */
export const SNAPSHOT_MADE_WAIT_MS = 2_000;
/** A region waits this long for a peer's batches, for a snapshot and for a part of one. */
export const PEER_ANSWER_LIMIT_MS = 10_000;
assert(SNAPSHOT_MADE_WAIT_MS < PEER_ANSWER_LIMIT_MS, 'a peer says that the copy is not ready before it is given up');
/** A snapshot is removed this long after it was read last. */
export const SNAPSHOT_KEPT_MS = 60_000;
/** A peer that serves a snapshot may be unreachable for this long. */
export const SNAPSHOT_AWAY_MS = 10_000;
/** A backup waits longer: it has no other region to ask. */
export const BACKUP_AWAY_MS = 30_000;
assert(
  Math.max(SNAPSHOT_AWAY_MS, BACKUP_AWAY_MS) + PEER_ANSWER_LIMIT_MS < SNAPSHOT_KEPT_MS,
  'a transfer that goes on after an interruption finds its snapshot',
);
