/**
 * The router's view of the cluster: the leader, the position of each region; and changes of the leader. Contract of this folder.
 */

import type { Leadership } from '../../../shared/leadership/leadership.ts';
import type { RegionStatus } from '../../../shared/protocol/internal.ts';
import type { QuarantinedRange } from '../../../shared/protocol/quarantine.ts';
import type { RegionView } from '../../../shared/region-client/status-poller.ts';

export interface LeadershipView {
  /** The newest record known; absent before the first one was read or reported. */
  readonly current: Leadership | undefined;
  /** Highest epoch of all records known from the key and from regions; 0 before the first. */
  readonly highestEpoch: number;
  /** Invalid records in the key or in reports of regions, one sentence each. */
  readonly refused: readonly string[];
  /** The value of the leadership key as a record; undefined, and refused, if it is invalid. */
  parse(value: unknown): Leadership | undefined;
  /** Whether the last read of the control key was answered. */
  readonly controlAvailable: boolean;
  /** Reads the record now; resolves when it is read or cannot be. Never throws a fault. */
  refresh(): Promise<void>;
  /** A record this process has just written. */
  adopt(record: Leadership): void;
  /** Runs at every change of `current`. The result removes it. */
  onChange(listener: () => void): () => void;
}

export interface RegionsView {
  /** Undefined: it has never answered this process. */
  known(region: string): RegionView | undefined;
  /**
   * Why its address answers, but not with its status, as a sentence: its configuration was refused, the answer is malformed, its
   * version is not understood, or it is another region's. Undefined if it reports, or does not answer.
   */
  obstacle(region: string): string | undefined;
  /** Polls the region now. Undefined if it did not answer; the last known status stays, marked unreachable. */
  ask(region: string): Promise<RegionView | undefined>;
}

export interface PromoteRequest {
  readonly region: string;
  readonly force: boolean;
}

/** The answer of `POST /cluster/promote`, as sent. */
export interface PromoteAnswer {
  readonly leader: string;
  readonly previous: string;
  readonly epoch: number;
  /** Events of the old leader's final durable position that the target lacked when the handover began. */
  readonly handed_over_events: number;
  readonly took_ms: number;
  /** Forced only: durable events of the old leader the target lacks, as last known; null if unknown. */
  readonly left_behind?: number | null;
}

export type Promote = (request: PromoteRequest) => Promise<PromoteAnswer>;

/**
 * Replaces the leader of `judged` by `region`, for failover: only if the key still names that leader in that epoch, no handover
 * is in progress, `region` could be promoted, the leader does not answer a last request, and `stillMine` is true just before the
 * change; `withdrawn` otherwise. Throws a `Refusal` if the change itself failed.
 */
export type Replace = (
  judged: Leadership,
  region: string,
  stillMine: () => boolean,
) => Promise<PromoteAnswer | 'withdrawn'>;

/** The answer of `POST /cluster/verify`, as sent. */
export interface VerifyAnswer {
  /** True: every region has the same state at `position`. False: two differ. Null: unknown; see `reason`. */
  readonly converged: boolean | null;
  /** The position of the comparison; null if no position was found that all of them passed. */
  readonly position: string | null;
  /** By region, in topology order: those that were compared. */
  readonly digests: Readonly<Record<string, string>>;
  /** Why it is unknown, or which regions differ. */
  readonly reason?: string;
  readonly took_ms: number;
}

export type Verify = () => Promise<VerifyAnswer>;

/** The answer of `POST /cluster/retire-disk`, as sent. */
export interface RetireDiskAnswer {
  readonly disk: string;
  /** The region that ran on it last; null if unknown. */
  readonly region: string | null;
  readonly retired_by: readonly string[];
  /** Regions that learn of it from the others. */
  readonly not_reached: readonly string[];
}

export type RetireDisk = (disk: string) => Promise<RetireDiskAnswer>;

/** A disk that no region runs on, as far as is known, and that was not retired: one of `GET /cluster/status`, as sent. */
export interface AbsentDisk {
  readonly disk: string;
  /** The region that ran on it last. */
  readonly region: string;
  /** Everything accepted on it until then is known to every region that answers, RFC 3339; null if unknown. */
  readonly known_until: string | null;
}

/** The answer of `POST /cluster/quarantine`, as sent. */
export interface QuarantineAnswer {
  readonly origin: string;
  readonly sequence: number;
  readonly last: number;
  /** The regions in which it is set aside now. */
  readonly regions: readonly string[];
  /** The regions in which it is not, and why: repeat the command once they answer. */
  readonly not_reached: Readonly<Record<string, string>>;
}

/** The answer of `GET /cluster/quarantine`, as sent. */
export interface QuarantineList {
  /** By region that answers: its quarantine, as `origin:first-last`. */
  readonly regions: Readonly<Record<string, readonly string[]>>;
  /** Whether all regions of the topology answered and have set aside the same; null: not all answered. */
  readonly same: boolean | null;
  readonly not_reached: readonly string[];
}

export interface ClusterQuarantine {
  add(range: QuarantinedRange): Promise<QuarantineAnswer>;
  list(): Promise<QuarantineList>;
}

/** One region of `GET /cluster/status`, as sent. Null: never known to this router. */
export interface RegionReport {
  readonly name: string;
  readonly applied_events: number | null;
  readonly lag_events: number | null;
  readonly partitioned: boolean | null;
  /** When the partition ends by itself, RFC 3339 on the region's clock; absent: when it is healed. */
  readonly heal_at?: string;
  readonly role: 'leader' | 'follower';
  readonly reachable: boolean;
  readonly ready: boolean;
  readonly position: string | null;
  readonly offset: number | null;
  readonly lag_seconds: number | null;
  readonly ahead_events: number | null;
  readonly unshipped_events: number | null;
  /** The id of the disk its log lies on; null: not known, or not stored yet. */
  readonly disk: string | null;
  /** Why it accepts no further batches, and of which origins. */
  readonly stopped?: NonNullable<RegionStatus['stopped']>;
  /** Messages it refused in the last 30 s. */
  readonly refused?: NonNullable<RegionStatus['refused']>;
  /** Of its program; null: not known, or it states none. */
  readonly version: string | null;
}

/** A drill that has the lease, as sent. */
export interface DrillInProgress {
  readonly id: string;
  readonly title: string;
  /** RFC 3339. */
  readonly started_at: string;
  /** Unless the program that runs it extends it before. */
  readonly expires_at: string;
}

/** `GET /cluster/status`, as sent. */
export interface ClusterStatus {
  readonly leader: string | null;
  readonly relay_log_len: number;
  readonly regions: readonly RegionReport[];
  readonly epoch: number | null;
  readonly stream: { readonly connected: boolean; readonly offset: number };
  readonly failover: 'manual' | 'automatic';
  /** Idempotency records are kept until they return or are retired. */
  readonly absent_disks: readonly AbsentDisk[];
  /** Of this router's program. */
  readonly version: string;
  /** The leader does not answer: its numbers are the last known ones. */
  readonly stale?: true;
  /** True while a planned promotion is in progress. */
  readonly handover?: { readonly to: string };
  /** Absent: none, as far as is known. The route adds it. */
  readonly drill?: DrillInProgress;
}

/** `GET /health`, as sent. */
export interface ClusterHealth {
  readonly status: 'ok' | 'degraded' | 'unavailable';
  readonly leader: string | null;
  /** Live items on the leader; null without a reachable one. */
  readonly items: number | null;
  readonly epoch: number | null;
  readonly regions: { readonly total: number; readonly reachable: number; readonly ready: number };
  /** Why it is not `ok`. */
  readonly notes: readonly string[];
}

export interface ClusterReports {
  status(): Promise<ClusterStatus>;
  health(): Promise<ClusterHealth>;
  /** Both, of one round of requests. */
  both(): Promise<{ readonly status: ClusterStatus; readonly health: ClusterHealth }>;
}
