/** A region's internal API as a router calls it: with the router's own clock in every request. */
import type { InternalKeys } from '../../../shared/credentials/internal-keys.ts';
import type { OpenHttpPool } from '../../../shared/http/http-pool.ts';
import type { Clock } from '../../../shared/kernel/kernel.ts';
import { STATUS_LIMIT_MS } from '../../../shared/protocol/deadlines.ts';
import { formatRouterClock, ROUTER_CLOCK_HEADER } from '../../../shared/protocol/internal.ts';
import { createHttpRegionClient } from '../../../shared/region-client/http-region-client.ts';
import type { RegionEntry } from '../../../shared/topology/topology.ts';
import type { RegionLink } from './links.ts';

export interface HttpRegionLinkOptions {
  readonly entry: RegionEntry;
  readonly clock: Clock;
  /** This router's unique name. */
  readonly router: string;
  /** Absent: requests carry no credential. */
  readonly internalKeys?: InternalKeys | undefined;
  /** The production pool when absent. */
  readonly openPool?: OpenHttpPool;
}

export function createHttpRegionLink(options: HttpRegionLinkOptions): RegionLink {
  const { entry, clock, router, internalKeys, openPool } = options;
  return createHttpRegionClient({
    region: entry.name,
    url: entry.url,
    clock,
    connections: { control: 16, reads: 64 },
    statusLimitMs: STATUS_LIMIT_MS,
    headers: () => ({
      ...internalKeys?.headers,
      [ROUTER_CLOCK_HEADER]: formatRouterClock({ router, clockMs: clock.nowMs() }),
    }),
    openPool,
  });
}
