/** What the operations on the cluster, and health, are answered. Generated from the OpenAPI document by `npm run docs:openapi`. */
import type { Position } from './api-types.ts';

export interface RegionReport {
  /** The name of a region. */
  readonly name: string;
  /** Null, here and below: never known to this router. */
  readonly applied_events: number | null;
  /** Events of the leader that it lacks. */
  readonly lag_events: number | null;
  readonly partitioned: boolean | null;
  readonly role: 'leader' | 'follower';
  readonly reachable: boolean;
  readonly ready: boolean;
  readonly position: Position | null;
  /** Of the stream. */
  readonly offset: number | null;
  readonly lag_seconds: number | null;
  /** Events that the leader lacks. */
  readonly ahead_events: number | null;
  /** Events that it has accepted and no other region may have; null: not known yet. */
  readonly unshipped_events: number | null;
  /** The id of the disk that its log lies on. */
  readonly disk: string | null;
  /** Of its program. */
  readonly version: string | null;
  /** When the partition ends by itself, by the clock of the region. */
  readonly heal_at?: string;
  /** Why it accepts no further batches of some origins. */
  readonly stopped?: {
    readonly code: string;
    readonly detail: string;
    readonly origins?: readonly string[];
  };
  /** Messages of the stream that it refused in the last 30 s. */
  readonly refused?: {
    readonly count: number;
    readonly reason: string;
    readonly origin: string;
    readonly detail: string;
  };
}

export interface AbsentDisk {
  readonly disk: string;
  /** The region that ran on it last. */
  readonly region: string;
  /** Everything accepted on it until then is known; null: unknown. */
  readonly known_until: string | null;
}

export interface StatusAnswer {
  readonly leader: string | null;
  /** Messages of the stream. */
  readonly relay_log_len: number;
  /** In the order of the topology. */
  readonly regions: readonly RegionReport[];
  readonly epoch: number | null;
  readonly stream: {
    readonly connected: boolean;
    readonly offset: number;
  };
  readonly failover: 'manual' | 'automatic';
  /** Disks that no region runs on and that were not retired. */
  readonly absent_disks: readonly AbsentDisk[];
  /** Of the program of this router. */
  readonly version: string;
  /** The leader does not answer: its numbers are the last known ones. */
  readonly stale?: true;
  /** A planned promotion is in progress. */
  readonly handover?: {
    /** The name of a region. */
    readonly to: string;
  };
  /** The drill that has the lease. */
  readonly drill?: DrillInProgress;
}

export interface DrillInProgress {
  readonly id: string;
  readonly title: string;
  readonly started_at: string;
  /** Unless it is extended before. */
  readonly expires_at: string;
}

export interface EndDrillAnswer {
  readonly id: string;
}

export interface StopDrillAnswer {
  /** Null: no drill was in progress. */
  readonly ended: {
    readonly id: string;
    readonly title: string;
  } | null;
  /** Regions that were partitioned. */
  readonly healed: readonly string[];
  /** Regions that do not answer: a partition of theirs ends at its deadline. */
  readonly not_reached: readonly string[];
}

export interface PromoteAnswer {
  /** The name of a region. */
  readonly leader: string;
  /** The name of a region. */
  readonly previous: string;
  readonly epoch: number;
  /** Events that the new leader lacked when the handover began. */
  readonly handed_over_events: number;
  /** Milliseconds. */
  readonly took_ms: number;
  /** Forced only: events that the new leader lacks, as last known. */
  readonly left_behind?: number | null;
}

export interface PartitionAnswer {
  /** The name of a region. */
  readonly region: string;
  readonly partitioned: true;
  /** When the region heals by itself, by its own clock. */
  readonly heal_at?: string;
}

export interface HealAnswer {
  /** The name of a region. */
  readonly region: string;
  readonly partitioned: false;
  /** On both sides together. */
  readonly missed_events: number;
  /** With `wait`: regions that have what the healed one had, and the other way round. */
  readonly caught_up_with?: readonly string[];
  /** With `wait`: regions that are partitioned themselves or do not answer. */
  readonly not_waited_for?: readonly string[];
  /** Milliseconds. */
  readonly took_ms?: number;
}

export interface RetireDiskAnswer {
  readonly disk: string;
  /** The region that ran on it last. */
  readonly region: string | null;
  readonly retired_by: readonly string[];
  /** Regions that learn of it from the others. */
  readonly not_reached: readonly string[];
}

export interface VerifyAnswer {
  /** True: all regions have the same state. False: two differ. Null: unknown. */
  readonly converged: boolean | null;
  /** Of the comparison. */
  readonly position: Position | null;
  /** By region. */
  readonly digests: Readonly<Record<string, string>>;
  /** Milliseconds. */
  readonly took_ms: number;
  /** Why it is unknown, or which regions differ. */
  readonly reason?: string;
}

export interface TraceAnswer {
  /** The last events of the write. */
  readonly position: Position;
  /** In the order of the topology. */
  readonly regions: readonly TracedRegion[];
  /** Of a key: where it was used. A duplicate in the log of another origin does not count. */
  readonly writes?: readonly TracedWrite[];
}

export interface TracedWrite {
  readonly route: 'items' | 'patch' | 'delete' | 'embeddings' | 'signals';
  readonly origin: string;
  /** Its events are these of the origin. */
  readonly first: number;
  readonly last: number;
  /** Of the first of them. */
  readonly accepted_at: string;
  /** They take back what was given under the key. */
  readonly retraction?: true;
}

export interface TracedRegion {
  readonly name: string;
  /** Whether it answers. */
  readonly reachable: boolean;
  /** On its disk; null: unknown. */
  readonly durable: boolean | null;
  /** In its answers; null: unknown. */
  readonly applied: boolean | null;
  /** Events up to the position that it has not applied. */
  readonly lacking_events: number | null;
}

export interface QuarantineAnswer {
  readonly origin: string;
  readonly sequence: number;
  readonly last: number;
  /** Where it is set aside now. */
  readonly regions: readonly string[];
  /** By region in which it is not: why. */
  readonly not_reached: Readonly<Record<string, string>>;
}

export interface ClusterLive {
  readonly past: LivePast;
  readonly now: LiveNow;
}

/** Columns of equal length, a sample every 2 s, the oldest first. */
export interface LivePast {
  readonly at: readonly string[];
  readonly writes_per_second: readonly number[];
  readonly reads_per_second: readonly number[];
  /** By region. */
  readonly lag_events: Readonly<Record<string, readonly (number | null)[]>>;
  /** By region. */
  readonly lag_seconds: Readonly<Record<string, readonly (number | null)[]>>;
}

export interface LiveNow {
  /** By the clock of this router. */
  readonly at: string;
  readonly status: StatusAnswer;
  readonly health: HealthAnswer;
  /** Acknowledged by this router. */
  readonly writes_per_second: number;
  /** Answered by this router. */
  readonly reads_per_second: number;
  /** The id of the newest entry of the journal. */
  readonly newest_event: number;
}

export interface JournalEntry {
  /** Grows by one with each entry. */
  readonly id: number;
  /** When a router recorded it. */
  readonly at: string;
  /** `leader_changed`, `partitioned`, `healed`, `region_started`, `merge_ended`, `disk_retired` or `event_set_aside`; later versions may have more. */
  readonly kind: string;
  /** The name of a region. */
  readonly region?: string;
  /** The former leader. */
  readonly previous?: string;
  readonly epoch?: number;
  /** `automatic`: the former leader was unresponsive; `succession`: it was about to stop. */
  readonly how?: 'planned' | 'forced' | 'automatic' | 'succession';
  /** Events of the former leader that the new one lacked; null: unknown. */
  readonly left_behind?: number | null;
  /** When the partition ends by itself. */
  readonly heal_at?: string;
  /** Of the program that was started. */
  readonly version?: string;
  /** The disk, or the range of events. */
  readonly what?: string;
  /** The name of the key of the operator who asked for it. */
  readonly key?: string | null;
  readonly request_id?: string;
}

export interface JournalAnswer {
  /** The newest first. */
  readonly events: readonly JournalEntry[];
  /** The control bucket does not answer: as it was read last. */
  readonly stale?: true;
}

export interface QuarantineList {
  /** By region: `origin:first-last`. */
  readonly regions: Readonly<Record<string, readonly string[]>>;
  /** Whether all regions have set aside the same; null: not all have answered. */
  readonly same: boolean | null;
  readonly not_reached: readonly string[];
}

export interface HealthAnswer {
  /** `unavailable`: no region accepts writes. */
  readonly status: 'ok' | 'degraded' | 'unavailable';
  readonly leader: string | null;
  /** Live items of the leader. */
  readonly items: number | null;
  readonly epoch: number | null;
  readonly regions: {
    readonly total: number;
    readonly reachable: number;
    readonly ready: number;
  };
  /** What is wrong. */
  readonly notes: readonly string[];
}

export interface LiveAnswer {
  readonly status: 'live';
}

export interface ReadyAnswer {
  readonly status: 'ready' | 'starting' | 'draining';
  readonly leader: string | null;
}
