/**
 * The other regions, as this one reaches them: their internal API, and the last report of each.
 *
 * What a crash leaves: nothing.
 */
import type { RegionStatus, SnapshotInfo } from '../../../shared/protocol/internal.ts';
import type { Position } from '../../../shared/protocol/position.ts';

/** Another region, as this one reaches it. Every call throws `Fault` when it does not answer in time. */
export interface PeerLink {
  readonly region: string;
  status(): Promise<RegionStatus>;
  /**
   * Whole durable batches of an origin from the one that holds `from`, back to back as in a stream message; empty when the peer
   * has none, `peer_refused` when either side is partitioned. Throws `Fault('log_trimmed')` if the peer has trimmed it.
   */
  log(origin: string, from: number): Promise<Uint8Array>;
  /**
   * A copy of the peer's store to fetch, one that holds `covering` if the peer can make it. Throws `Fault('not_ready')` while it
   * is being made or the peer restarts: call again.
   */
  snapshot(covering?: Position): Promise<SnapshotInfo>;
  /** Its bytes from `offset` on. Throws `Fault('snapshot_gone')` if the peer no longer serves it. */
  snapshotPart(id: string, offset: number): Promise<Uint8Array>;
}

/** What is known of a peer: its last answer, and when it was received. */
export interface PeerView {
  readonly status: RegionStatus;
  /** Monotonic ms of the answer. */
  readonly atMs: number;
  /** The peer's clock minus this one's when it answered, ms; right within the time of one exchange. */
  readonly clockOffsetMs: number;
  /** Whether the newest attempt was answered. */
  readonly reachable: boolean;
}

/** The peers' reports, polled every second. */
export interface Peers {
  /** By region; a peer that never answered is absent. */
  readonly views: ReadonlyMap<string, PeerView>;
  /** Number of peers in the topology. */
  readonly expected: number;
  /** True once every peer was asked since the start, whether it answered or not. */
  readonly asked: boolean;
  start(): void;
  /** Polls all peers now; resolves when each has answered or failed. */
  poll(): Promise<void>;
  /** Runs after every poll. */
  onPolled(listener: () => void): void;
  stop(): Promise<void>;
}
