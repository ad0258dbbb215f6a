/** The topology: which regions exist, where they answer, and who leads first. Parsed by `parse-topology.ts`. */

/** Region names become NATS subjects and metric labels. */
export const regionPattern = /^[a-z0-9-]{1,32}$/;

export interface RegionEntry {
  readonly name: string;
  /** Base URL of the region's internal API, without a trailing slash: `http://us-east:9510`. */
  readonly url: string;
}

export interface Topology {
  /** In the order of the file: the order of `/cluster/status`. */
  readonly regions: readonly RegionEntry[];
  /** Regions that were removed: what they accepted is still in the logs. */
  readonly formerRegions?: readonly string[];
  /** Leads epoch 1, and is never asked again. */
  readonly firstLeader: string;
  /** Automatic failover: a leader silent for this long is replaced. Absent: failover is manual. */
  readonly failover?: { readonly afterMs: number };
}
