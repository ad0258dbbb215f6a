/**
 * The internal API between router and regions, and between regions: HTTP/1.1, JSON, on each region's own port. Never
 * published outside the cluster's network.
 *
 * | route | body → answer |
 * |---|---|
 * | `POST /internal/writes` | {@link WritesRequest} → {@link WritesReply}; a bulk of signals is packed (`packed-signals.ts`) |
 * | `GET /internal/status` | → {@link RegionStatus} |
 * | `POST /internal/leadership` | `{}` → {@link RegionStatus}: reads the record now instead of within the second |
 * | `POST /internal/handover` | {@link HandoverRequest} → {@link HandoverReply} |
 * | `POST /internal/await` | {@link AwaitRequest} → {@link AwaitReply} |
 * | `POST /internal/drain` | {@link DrainRequest} → {@link DrainReply}: waits for what the stream holds now |
 * | `POST /internal/partition` | {@link PartitionRequest} → {@link RegionStatus} |
 * | `POST /internal/retire-disk` | {@link RetireDiskRequest} → {@link RegionStatus}: the disk will not come back |
 * | `GET /internal/log/<origin>?from=n` | → whole durable batches from the one that holds n, back to back; 410 `log_trimmed` when they were trimmed; 503 while cut |
 * | `POST /internal/snapshot` | {@link SnapshotRequest} → {@link SnapshotInfo}: makes a copy of the store, or answers the one being served, unless a new one would cover the position and it does not; 503 `not_ready` while it is being made: ask again; 503 while cut |
 * | `GET /internal/snapshot?covering=<position>` | the same, as regions of older versions ask; a long position does not fit |
 * | `GET /internal/snapshot/<id>?offset=n` | → bytes of the copy from n on; 410 `snapshot_gone` when it is not served any more |
 * | `POST /internal/quarantine` | `{origin, first, last}` → `{region, quarantined}`: events no region can apply are set aside |
 * | `GET /internal/digest` | → {@link DigestReply}: counted anew at once, which stalls a large region |
 * | `GET /internal/digests` | → {@link DigestsReply}: counted in the background, then kept with every batch for 15 s |
 * | `GET /feed`, `/search`, `/items/:id` | the public reads, same query, same answers |
 * | `GET /metrics`, `/health/live`, `/health/ready` | for Prometheus and orchestrators |
 *
 * Refusals travel as problem+json with their public codes. Every request of a router says what time it is there
 * ({@link ROUTER_CLOCK_HEADER}): a region judges its own clock by it.
 */

import type { Problem } from '../errors/errors.ts';
import type { Leadership } from '../leadership/leadership.ts';
import type { KnownDisk } from './known-disks.ts';
import type { WireWrite } from './writes.ts';

/**
 * What an acknowledgement promises: `local`, flushed on the leader's disk; `stream`, acknowledged by the stream too. In a request, the
 * least that its client accepts (`Prefer: durability=stream`): `stream` is refused or fails rather than answered with less.
 */
export type Durability = 'stream' | 'local';

/** At most this much waits together in one internal request; bulks, and writes with durability `stream`, travel apart. */
export const WRITES_LIMIT = 1_000;
export const WRITES_LIMIT_BYTES = 256 * 1024;
/** Writes of one bulk. */
export const BULK_LIMIT = 20_000;
/** A cursor is no longer: it names the kinds of items that a diverse feed passed over. */
export const CURSOR_LIMIT_CHARACTERS = 8_000;

export interface WritesRequest {
  /** The epoch the sender believes in; a lower one than the region's is refused with `stale_epoch`. */
  readonly epoch: number;
  /** All or nothing: one refusal refuses the whole request (bulks). Otherwise each write stands alone. */
  readonly atomic: boolean;
  /** Absent: `local`. */
  readonly durability?: 'stream';
  readonly writes: readonly WireWrite[];
  /** Beside no writes: a bulk of signals without keys (`packed-signals.ts`), all or nothing. */
  readonly signals?: string;
}

export interface WriteAccepted {
  /** `origin:sequence` of the event (of the last one, for an atomic request). */
  readonly position: string;
  readonly durability: Durability;
  /** The write was taken before, under the same idempotency key: nothing was added now. */
  readonly replayed?: true;
}

export interface WriteRefused {
  readonly problem: Problem;
  /** Index of the offending write of an atomic request. */
  readonly index?: number;
}

export interface WritesReply {
  /** One result a write, in order; a single one for an atomic request. */
  readonly results: readonly (WriteAccepted | WriteRefused)[];
}

export function isRefused(result: WriteAccepted | WriteRefused): result is WriteRefused {
  return 'problem' in result;
}

export type RegionRole = 'leader' | 'follower';

export interface RegionStatus {
  readonly region: string;
  readonly role: RegionRole;
  /** Serves reads truthfully and may take part in promotions. */
  readonly ready: boolean;
  /** The highest leadership record on this region's disk, from any source; absent: none ever. */
  readonly leadership?: Leadership;
  readonly partitioned: boolean;
  /** When the partition ends by itself, epoch ms on the region's clock; absent: when it is healed. */
  readonly healAtMs?: number;
  /** Position tokens. `applied` is never ahead of `durable`. */
  readonly durable: string;
  readonly applied: string;
  /** Stream sequence up to which everything is applied. */
  readonly offset: number;
  readonly streamConnected: boolean;
  /** The largest message the broker takes, where that is less than a batch may have; absent: every batch can be shipped. */
  readonly streamLimitBytes?: number;
  /** Settings of the stream or of the control bucket that somebody changed, one sentence each; absent: none. */
  readonly streamSettings?: readonly string[];
  /**
   * Events this region accepted that the stream has not acknowledged; null after a start, until the stream was asked how far it
   * holds what was in the log then.
   */
  readonly unshipped: number | null;
  /** Live items. */
  readonly items: number;
  /** Its own clock when it answered, epoch ms. */
  readonly clockMs: number;
  /** Acceptance time of the newest applied event, epoch ms; 0 before the first. */
  readonly newestMs: number;
  /** How far the latest acceptance time of its log is ahead of its clock, ms; absent: by no more than clocks may differ. */
  readonly logAheadMs?: number;
  /** Its state was mended, or is of a region that was (`mended.ts`). */
  readonly mended?: { readonly count: number; readonly id: string };
  /** A snapshot it is fetching: from whom, bytes that are here, and bytes in all. */
  readonly snapshot?: { readonly peer: string; readonly bytes: number; readonly of: number };
  /** Why it cannot have a snapshot although it needs one: each peer's reason. */
  readonly snapshotObstacle?: string;
  /**
   * Why something a peer holds cannot be taken here: `schema_behind`, `damaged_log`, `invalid_event`, `implausible` or
   * `keys_forgotten`. Of the origins named nothing more is taken (the first 16); all others go on.
   */
  readonly stopped?: { readonly code: string; readonly detail: string; readonly origins?: readonly string[] };
  /** Messages of the stream, or peers' answers, that were refused in the last 30 s; the newest of them. */
  readonly refused?: {
    readonly count: number;
    readonly reason: string;
    readonly origin: string;
    readonly detail: string;
  };
  /** It is about to stop: a leader is to be relieved first, a follower is nobody's next leader. */
  readonly draining?: true;
  /** Why this region would refuse writes if it led; absent: it would not. */
  readonly writeBlocker?: { readonly code: string; readonly detail: string };
  /** Why its vector search has no graph and compares every vector: exact, and slower. Absent: it has one where one is due. */
  readonly scanOnly?: string;
  /** Why its indexes cannot be read until it is started again, one sentence each; absent: they can. Everything else goes on. */
  readonly failedIndexes?: readonly string[];
  /** Why this region refuses writes now although it leads; absent: it takes them, or does not lead as far as it knows. */
  readonly refuses?: { readonly code: string; readonly detail: string };
  /** Values of the control bucket, reports of peers and its own memory that it refuses, one sentence each; absent: none. */
  readonly refusedValues?: readonly string[];
  /** The highest epoch it believes among the origins in its log, and its durable events of that epoch; absent: the log is empty. */
  readonly newestEpoch?: { readonly epoch: number; readonly events: number };
  /** The id of the disk its log lies on; absent: it is not on the disk yet, or the region is of an older version. */
  readonly disk?: string;
  /** The other disks events may come from, as far as it knows. */
  readonly disks?: readonly KnownDisk[];
  /** The text of its quarantine; absent: nothing is set aside. */
  readonly quarantined?: string;
  readonly schemaHash: string;
  /** Signals of its schema: a region that lacks one of the leader's cannot lead. */
  readonly signals: readonly string[];
}

/** `<router> <epoch ms>`, each router with a name of its own. */
export const ROUTER_CLOCK_HEADER = 'x-tidal-router-clock';

export interface RouterClock {
  readonly router: string;
  readonly clockMs: number;
}

export function formatRouterClock({ router, clockMs }: RouterClock): string {
  return `${router} ${clockMs}`;
}

/** Undefined for a text that is none. */
export function parseRouterClock(text: string): RouterClock | undefined {
  const match = /^([a-z0-9-]{1,32}) (\d{1,15})$/.exec(text);
  return match === null ? undefined : { router: match[1]!, clockMs: Number(match[2]) };
}

export interface HandoverRequest {
  readonly id: string;
}

/** The leader has stopped accepting and everything it accepted is flushed. */
export interface HandoverReply {
  readonly durable: string;
}

export interface AwaitRequest {
  readonly position: string;
  readonly limitMs: number;
}

export interface AwaitReply {
  readonly reached: boolean;
  readonly applied: string;
}

export interface DrainRequest {
  readonly limitMs: number;
}

export interface DrainReply {
  /** Everything the stream held when it was asked has been handled here. */
  readonly drained: boolean;
  readonly durable: string;
}

/** The longest partition that ends by itself: 24 h. */
export const HEAL_AFTER_LIMIT_MS = 86_400_000;

export interface PartitionRequest {
  readonly partitioned: boolean;
  /** With `partitioned: true`: the region heals itself after this long, at most {@link HEAL_AFTER_LIMIT_MS}. */
  readonly healAfterMs?: number;
}

export interface RetireDiskRequest {
  readonly disk: string;
}

export interface DigestReply {
  readonly region: string;
  /** The applied position the digest belongs to. */
  readonly position: string;
  /** 32 hexadecimal digits: the sum of entity hashes modulo 2^128. */
  readonly digest: string;
}

export interface SnapshotRequest {
  /** What the asker has trimmed itself, as a position token: an entry for every term there ever was. */
  readonly covering: string;
}

/** A copy of a region's store, being served. */
export interface SnapshotInfo {
  readonly id: string;
  readonly region: string;
  readonly bytes: number;
  /** Hexadecimal, of all bytes. */
  readonly sha256: string;
  /** Position token of what the copy holds at least. */
  readonly position: string;
  /** Idempotency keys it lacks were accepted before this moment, epoch ms (`Wal.keysForgottenMs`); absent: an older version. */
  readonly keysForgottenMs?: number;
  readonly schemaHash: string;
}

/** Positions of one {@link DigestsReply}, at most. */
export const DIGESTS_LIMIT = 256;
/** Characters of those that are written out, at most, but for one. */
export const DIGESTS_LIMIT_TEXT = 256 * 1024;

export interface DigestsReply {
  readonly region: string;
  readonly schemaHash: string;
  /** The text of its quarantine, without which a digest says nothing; absent: nothing is set aside. */
  readonly quarantined?: string;
  /** The state is still being counted; `kept` is empty. */
  readonly counting: boolean;
  /** The digest at the positions passed since it was counted, the newest first. */
  readonly kept: readonly { readonly position: string; readonly digest: string }[];
  /**
   * Those before them that would not fit written out, the newest first: each position is the one that comes before it in this
   * reply, but for one origin, which stood at this sequence. Absent: there are none.
   */
  readonly former?: readonly { readonly origin: string; readonly sequence: number; readonly digest: string }[];
}
