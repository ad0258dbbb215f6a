/** A peer's internal API over HTTP, as a region calls it. */
import type { InternalKeys } from '../../../shared/credentials/internal-keys.ts';
import type { OpenHttpPool } from '../../../shared/http/http-pool.ts';
import type { Clock } from '../../../shared/kernel/kernel.ts';
import { PEER_STATUS_LIMIT_MS } from '../../../shared/protocol/deadlines.ts';
import { createHttpRegionClient } from '../../../shared/region-client/http-region-client.ts';
import type { RegionClient } from '../../../shared/region-client/region-client.ts';
import type { PeerLink } from './peers.ts';

export interface HttpPeerLinkOptions {
  readonly region: string;
  /** Base URL of the peer's internal API. */
  readonly url: string;
  readonly clock: Clock;
  /** Absent: requests carry no credential. */
  readonly internalKeys?: InternalKeys | undefined;
  /** The production pool when absent. */
  readonly openPool?: OpenHttpPool;
}

export function createHttpPeerLink(options: HttpPeerLinkOptions): PeerLink & Pick<RegionClient, 'close'> {
  return createHttpRegionClient({
    ...options,
    headers: () => options.internalKeys?.headers ?? {},
    connections: { control: 2, reads: 1 },
    statusLimitMs: PEER_STATUS_LIMIT_MS,
  });
}
