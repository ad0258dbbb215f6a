/**
 * The internal API between router and regions, and between regions: HTTP/1.1, JSON, on each region's own port. Never
 * published outside the cluster's network.
 *
 * | route | body → answer | |---|---| | `POST /internal/writes` | {@link WritesRequest} → {@link WritesReply}; a bulk of signals
 * is packed (`packed-signals.ts`) | | `GET /internal/status` | → {@link RegionStatus} | | `POST /internal/leadership` | `{}` →
 * {@link RegionStatus}: reads the record now instead of within the second | | `POST /internal/handover` | {@link HandoverRequest}
 * → {@link HandoverReply} | | `POST /internal/await` | {@link AwaitRequest} → {@link AwaitReply} | | `POST /internal/drain` |
 * {@link DrainRequest} → {@link DrainReply}: waits until the stream's present contents are handled | | `POST /internal/partition`
 * | {@link PartitionRequest} → {@link RegionStatus} | | `POST /internal/retire-disk` | {@link RetireDiskRequest} → {@link
 * RegionStatus}: the disk will not return | | `GET /internal/log/<origin>?from=n` | → whole durable batches from the one that
 * holds n, back to back; 410 `log_trimmed` if they were trimmed; 503 while partitioned | | `POST /internal/snapshot` | {@link
 * SnapshotRequest} → {@link SnapshotInfo}: makes a copy of the store, or returns the one being served, unless only a new one
 * would cover the position; 503 `not_ready` while it is being made: ask again; 503 while partitioned | | `GET
 * /internal/snapshot?covering=<position>` | the same, for regions of older versions; a long position does not fit | | `GET
 * /internal/snapshot/<id>?offset=n` | → bytes of the copy from n on; 410 `snapshot_gone` if it is no longer served | | `POST
 * /internal/quarantine` | `{origin, first, last}` → `{region, quarantined}`: events no region can apply are set aside | | `GET
 * /internal/digest` | → {@link DigestReply}: the state at the present position is counted, in slices | | `POST
 * /internal/digest-counts` | {@link CountDigestRequest} → {@link CountDigestReply}: at the first position that covers another one;
 * repeated until it is counted | | `POST /internal/key-runs` | {@link KeyRunsRequest} → {@link KeyRunsReply}: where the log has
 * the writes under a key | | `GET /feed`, `/search`, `/items/:id` |
 * the public reads, same query, same answers | | `GET /metrics`, `/health/live`, `/health/ready` | for Prometheus and
 * orchestrators |
 *
 * Refusals are problem+json with their public codes. Every request of a router has the router's clock ({@link
 * ROUTER_CLOCK_HEADER}), with which a region compares its own. Every request, and every status, states the version of its sender
 * (`version.ts`).
 */

import type { Problem } from '../errors/errors.ts';
import type { Leadership } from '../leadership/leadership.ts';
import type { KnownDisk } from './known-disks.ts';
import type { Version } from './version.ts';
import type { WireWrite } from './writes.ts';

/**
 * The promise of an acknowledgement: `local`, flushed on the leader's disk; `stream`, acknowledged by the stream too. In a
 * request, the durability that its client requires (`Prefer: durability=stream`): `stream` is refused or fails rather than
 * answered with less.
 */
export type Durability = 'stream' | 'local';

/** Limit of single writes in one internal request; bulks, and writes with durability `stream`, are sent separately. */
export const WRITES_LIMIT = 1_000;
export const WRITES_LIMIT_BYTES = 256 * 1024;
/** Limit of writes of one bulk. */
export const BULK_LIMIT = 20_000;
/** Limit of a cursor, which names the kinds of items that a diverse feed has skipped. */
export const CURSOR_LIMIT_CHARACTERS = 8_000;
/** Limit of the ids that a read excludes, and of their text: 16 digits each, and a comma. */
export const EXCLUDE_LIMIT = 1_000;
export const EXCLUDE_LIMIT_CHARACTERS = 17 * EXCLUDE_LIMIT;

/** Limit of the name of a client, characters: a key's name is shorter. */
export const CLIENT_LIMIT_CHARACTERS = 128;

export interface WritesRequest {
  /** The epoch known to the sender; a lower one than the region's is refused with `stale_epoch`. */
  readonly epoch: number;
  /** All or nothing: one refusal refuses the whole request (bulks). Otherwise each write is refused or accepted alone. */
  readonly atomic: boolean;
  /** Absent: `local`. */
  readonly durability?: 'stream';
  readonly writes: readonly WireWrite[];
  /**
   * Whose idempotency keys they are: one name a write, or one of an atomic request. Absent without keys; a region of an earlier version
   * ignores it.
   */
  readonly clients?: readonly string[];
  /** Instead of `writes`: a bulk of signals without keys (`packed-signals.ts`), all or nothing. */
  readonly signals?: string;
}

export interface WriteAccepted {
  /** `origin:sequence` of the event (of the last one, for an atomic request). */
  readonly position: string;
  readonly durability: Durability;
  /** The write was accepted before, under the same idempotency key: nothing was added now. */
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
  /** Whether it may serve reads and take part in promotions. */
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
  /** The largest message that the broker accepts, if it is less than a batch; absent: every batch can be shipped. */
  readonly streamLimitBytes?: number;
  /** Changed settings of the stream or of the control bucket, one sentence each; absent: none. */
  readonly streamSettings?: readonly string[];
  /**
   * Events this region accepted that the stream has not acknowledged; null after a start, until the stream was queried for
   * everything that was in the log then.
   */
  readonly unshipped: number | null;
  /** Live items. */
  readonly items: number;
  /** Its own clock at the answer, epoch ms. */
  readonly clockMs: number;
  /** Its own clock when it was started, or switched to another store, epoch ms; absent: an earlier version. */
  readonly startedMs?: number;
  /** Acceptance time of the newest applied event, epoch ms; 0 before the first. */
  readonly newestMs: number;
  /**
   * How far the latest acceptance time of its log is ahead of its clock, ms; absent if within the allowed difference of clocks.
   */
  readonly logAheadMs?: number;
  /** Present if its state was mended, or is a copy of a mended one (`mended.ts`). */
  readonly mended?: { readonly count: number; readonly id: string };
  /** A snapshot that it is fetching: the peer, bytes received, and bytes in all. */
  readonly snapshot?: { readonly peer: string; readonly bytes: number; readonly of: number };
  /** Why no peer can serve a snapshot that it needs: each peer's reason. */
  readonly snapshotObstacle?: string;
  /**
   * Why it accepts no further batches of some origins: `schema_behind`, `damaged_log`, `invalid_event`, `implausible` or
   * `keys_forgotten`, with the first 16 of these origins; all others continue.
   */
  readonly stopped?: { readonly code: string; readonly detail: string; readonly origins?: readonly string[] };
  /** Messages of the stream, or peers' answers, that were refused in the last 30 s; the newest of them. */
  readonly refused?: {
    readonly count: number;
    readonly reason: string;
    readonly origin: string;
    readonly detail: string;
  };
  /** True if it is about to stop: a leader has to be relieved first, a follower must not be promoted. */
  readonly draining?: true;
  /** Why this region would refuse writes if it led; absent if it would not. */
  readonly writeBlocker?: { readonly code: string; readonly detail: string };
  /** Why its vector search has no graph and compares every vector: exact, and slower. Absent: it has one if one is needed. */
  readonly scanOnly?: string;
  /** Why its indexes cannot be read until a restart, one sentence each; absent if they can. Everything else continues. */
  readonly failedIndexes?: readonly string[];
  /** Why this region refuses writes now although it leads; absent if it accepts them, or does not lead as far as it knows. */
  readonly refuses?: { readonly code: string; readonly detail: string };
  /** Values of the control bucket, of peers' reports and of its own disk that it refuses, one sentence each; absent: none. */
  readonly refusedValues?: readonly string[];
  /** The highest plausible epoch of the origins in its log, and its durable events of that epoch; absent: the log is empty. */
  readonly newestEpoch?: { readonly epoch: number; readonly events: number };
  /** Absent: a version before it was stated. */
  readonly version?: Version;
  /** The id of its disk; absent if it is not stored yet, or the region runs an older version. */
  readonly disk?: string;
  /** The other disks from which events may still arrive, as far as it knows. */
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

/** Undefined for an invalid text. */
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

/** At most {@link KEY_RUNS_LIMIT} ids: a key on each route. */
export interface KeyRunsRequest {
  readonly ids: readonly string[];
}

export const KEY_RUNS_LIMIT = 8;

export interface KeyRunsReply {
  readonly region: string;
  /** Of each id. */
  readonly runs: readonly (readonly KeyRunReport[])[];
}

/** Durable events `first` to `last` of an origin, under one key. */
export interface KeyRunReport {
  readonly origin: string;
  readonly first: number;
  readonly last: number;
  /** When the first of them was accepted, epoch ms. */
  readonly acceptedMs: number;
  readonly isRetraction: boolean;
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
  /** Whether everything that the stream had at the request was handled here. */
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
  /** What the requesting region has trimmed itself, as a position token: an entry for every term of leadership. */
  readonly covering: string;
}

/** A copy of a region's store, being served. */
export interface SnapshotInfo {
  readonly id: string;
  readonly region: string;
  readonly bytes: number;
  /** Hexadecimal, of all bytes. */
  readonly sha256: string;
  /** Position token that the copy covers. */
  readonly position: string;
  /**
   * Idempotency records that it lacks were accepted before this time, epoch ms (`Wal.keysForgottenMs`); absent: an older version.
   */
  readonly keysForgottenMs?: number;
  readonly schemaHash: string;
  /** `STORE_FORMAT`; absent: 1. */
  readonly format?: number;
}

export interface CountDigestRequest {
  /** 16 characters of base32, chosen at random: the same for all requests of one comparison. */
  readonly id: string;
  /** As a position token. Another one than in the former request begins the count anew. */
  readonly covering: string;
}

export interface CountDigestReply {
  readonly region: string;
  readonly schemaHash: string;
  /** The text of its quarantine, without which a digest is meaningless; absent: nothing is set aside. */
  readonly quarantined?: string;
  /** The present applied position. */
  readonly applied: string;
  /** The position at which the count began; absent: `covering` is not reached. */
  readonly position?: string;
  /** Absent: it is still counting. */
  readonly digest?: string;
}
