/**
 * The door of a region's own port: only processes of the cluster, which know its internal secret, may make requests. Health and
 * metrics are open to orchestrators and to Prometheus; they show no contents and change nothing.
 */
import type { Context } from 'koa';
import type { InternalKeys } from '../../../shared/credentials/internal-keys.ts';
import { clip, Refusal } from '../../../shared/errors/errors.ts';
import type { Clock } from '../../../shared/kernel/kernel.ts';
import type { Log } from '../../../shared/observe/log.ts';
import type { Metrics } from '../../../shared/observe/metrics.ts';

/** They need neither the token nor, with TLS, a certificate. */
export const OPEN_PATHS: readonly string[] = ['/health/live', '/health/ready', '/metrics'];
/** Refusals are logged at most this often. */
const LOGGED_MS = 30_000;

export interface InternalGateOptions {
  /** Absent: the port is open, in a simulation or a test. */
  readonly internalKeys?: InternalKeys | undefined;
  readonly clock: Clock;
  readonly log: Log;
  readonly metrics: Metrics;
}

/** Throws `unauthenticated` for a request of anyone else. */
export function createInternalGate(options: InternalGateOptions): (ctx: Context) => void {
  const { internalKeys, clock, log, metrics } = options;
  const refused = metrics.counter({
    name: 'tidal_internal_requests_refused_total',
    help: 'Requests to the region’s own port that did not carry the cluster’s internal token.',
  });
  let loggedMs = Number.NEGATIVE_INFINITY;
  return (ctx) => {
    if (internalKeys === undefined || OPEN_PATHS.includes(ctx.path)) return;
    const { authorization } = ctx.req.headers;
    if (internalKeys.accepts(authorization)) return;
    refused.inc();
    const nowMs = clock.monotonicMs();
    if (nowMs - loggedMs >= LOGGED_MS) {
      loggedMs = nowMs;
      log.warn('internal request without the internal token refused', {
        address: ctx.req.socket.remoteAddress,
        path: clip(ctx.path),
        carries: authorization === undefined ? 'nothing' : 'another token',
      });
    }
    throw new Refusal('unauthenticated', 'this port serves the processes of its cluster only', {
      hint: 'clients use the router; processes of the cluster need its TIDAL_INTERNAL_SECRET',
    });
  };
}
