/** A peer over its internal HTTP API. */
import { Fault, messageOf } from '../../../shared/errors/errors.ts';
import type { Clock } from '../../../shared/kernel/kernel.ts';
import { type OpenHttpPool, openHttpPool } from '../../../shared/observe/http-pool.ts';
import type { RegionStatus } from '../../../shared/protocol/internal.ts';
import type { PeerLink } from './repair.ts';

const STATUS_TIMEOUT_MS = 1_000;
const LOG_TIMEOUT_MS = 10_000;

export interface HttpPeerLinkOptions {
  readonly region: string;
  /** Base URL of the peer's internal API. */
  readonly url: string;
  readonly clock: Clock;
  /** The production pool when absent. */
  readonly openPool?: OpenHttpPool;
}

export function createHttpPeerLink({
  region,
  url,
  clock,
  openPool = openHttpPool,
}: HttpPeerLinkOptions): PeerLink & { close(): Promise<void> } {
  const pool = openPool({ url, connections: 2, connectMs: STATUS_TIMEOUT_MS });
  const get = async (path: string, timeoutMs: number): Promise<Buffer> => {
    const ended = new AbortController();
    const timer = clock.after(timeoutMs, () => ended.abort());
    try {
      const { statusCode, body } = await pool.request({ path, method: 'GET', signal: ended.signal });
      const bytes = Buffer.from(await body.arrayBuffer());
      if (statusCode !== 200) throw new Fault('peer_refused', `${region} answered ${statusCode} to ${path}`);
      return bytes;
    } catch (error) {
      if (error instanceof Fault) throw error;
      throw new Fault('peer_unreachable', `${region}: ${messageOf(error)}`, { cause: error });
    } finally {
      timer.cancel();
    }
  };
  return {
    region,
    async status() {
      return JSON.parse((await get('/internal/status', STATUS_TIMEOUT_MS)).toString('utf8')) as RegionStatus;
    },
    log: (origin, from) => get(`/internal/log/${encodeURIComponent(origin)}?from=${from}`, LOG_TIMEOUT_MS),
    close: () => pool.destroy(),
  };
}
