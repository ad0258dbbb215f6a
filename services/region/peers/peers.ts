/**
 * The other regions, as this one reaches them: their internal API, and the last report of each.
 *
 * What a crash leaves: nothing.
 */
import type { RegionClient } from '../../../shared/region-client/region-client.ts';
import type { RegionView } from '../../../shared/region-client/status-poller.ts';

/** Another region, as this one reaches it: the part of its internal API that a region calls. */
export type PeerLink = Pick<RegionClient, 'region' | 'status' | 'log' | 'snapshot' | 'snapshotPart'>;

/** The peers' reports, polled every second. */
export interface Peers {
  /** By region; a peer that never answered is absent. */
  readonly views: ReadonlyMap<string, RegionView>;
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
