/** The topology: the regions, their addresses, and the first leader. Parsed by `parse-topology.ts`. */

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
  /** Removed regions, whose events are still in the logs. */
  readonly formerRegions?: readonly string[];
  /** The leader of epoch 1; not used afterwards. */
  readonly firstLeader: string;
  /** Automatic failover: a leader that is unresponsive for this long is replaced. Absent: failover is manual. */
  readonly failover?: { readonly afterMs: number };
}
