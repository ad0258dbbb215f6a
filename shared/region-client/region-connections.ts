/**
 * Kept-alive connections to one region's internal API; all are replaced after a request without an answer.
 *
 * When the network loses a region no connection is closed: idle connections stay open, and each later blocks one request for its
 * whole time limit, long after the region is back, perhaps under another address. So when one request got no answer all
 * connections are abandoned: requests in flight on them end by themselves, and later ones resolve the region's address and
 * connect again. If the region was only slow, this costs a few handshakes.
 */
import { type HttpPool, type OpenHttpPool, openHttpPool } from '../http/http-pool.ts';

export interface RegionConnectionsOptions<Name extends string> {
  /** Base URL of the region's internal API. */
  readonly url: string;
  /** Maximum connections of each pool: requests of one pool never wait for those of another. */
  readonly limits: Readonly<Record<Name, number>>;
  readonly connectMs: number;
  readonly answerLimitBytes?: number;
  /** The production pool when absent. */
  readonly openPool?: OpenHttpPool | undefined;
}

export type RegionPools<Name extends string> = Readonly<Record<Name, HttpPool>>;

export class RegionConnections<Name extends string> {
  private readonly options: RegionConnectionsOptions<Name>;
  private readonly left = new Set<HttpPool>();
  private pools: RegionPools<Name>;

  constructor(options: RegionConnectionsOptions<Name>) {
    this.options = options;
    this.pools = this.open();
  }

  get current(): RegionPools<Name> {
    return this.pools;
  }

  /** A request on one of these pools got no answer. The first such report abandons them all. */
  leave(pools: RegionPools<Name>): void {
    if (pools !== this.pools) return;
    this.pools = this.open();
    for (const pool of Object.values<HttpPool>(pools)) {
      this.left.add(pool);
      void pool.close().finally(() => this.left.delete(pool));
    }
  }

  /** Ends requests in flight. */
  async close(): Promise<void> {
    await Promise.all([...Object.values<HttpPool>(this.pools), ...this.left].map((pool) => pool.destroy()));
  }

  private open(): RegionPools<Name> {
    const { url, limits, connectMs, answerLimitBytes, openPool = openHttpPool } = this.options;
    const pools = Object.entries<number>(limits).map(([name, connections]) => [
      name,
      openPool({ url, connections, connectMs, ...(answerLimitBytes === undefined ? {} : { answerLimitBytes }) }),
    ]);
    return Object.fromEntries(pools) as RegionPools<Name>;
  }
}
