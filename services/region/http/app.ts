/**
 * The region's HTTP surface: the internal API of `shared/protocol/internal.ts`, the public reads, health and metrics. A route parses,
 * asks one part, and words the answer; it decides nothing.
 */
import Router from '@koa/router';
import type Koa from 'koa';
import type { Context } from 'koa';
import { createHttpApp, type HttpLimits } from '../../../shared/http/http-server.ts';
import type { Clock, Random } from '../../../shared/kernel/kernel.ts';
import type { Log } from '../../../shared/observe/log.ts';
import type { Metrics } from '../../../shared/observe/metrics.ts';
import { understoodVersions } from './understood-versions.ts';

export interface RegionAppOptions {
  readonly log: Log;
  readonly metrics: Metrics;
  readonly clock: Clock;
  readonly random: Random;
  readonly limits: HttpLimits;
  readonly region: string;
  /** Throws the refusal of a request from outside the cluster. */
  readonly admit: (ctx: Context) => void;
  readonly ready: () => boolean;
  /** About to stop. */
  readonly draining: () => boolean;
  /** Everything besides health and metrics. */
  readonly addRoutes: (router: Router) => void;
}

export function createRegionApp(options: RegionAppOptions): Koa {
  const { metrics, region, ready, draining, addRoutes, ...parts } = options;
  const app = createHttpApp({ metrics, ...parts });
  const router = new Router();
  router.get('/health/live', (ctx) => {
    ctx.body = { status: 'live' };
  });
  router.get('/health/ready', (ctx) => {
    const status = draining() ? 'draining' : ready() ? 'ready' : 'starting';
    ctx.status = status === 'ready' ? 200 : 503;
    ctx.body = { status, region };
  });
  router.get('/metrics', async (ctx) => {
    const { contentType, text } = await metrics.render();
    ctx.set('content-type', contentType);
    ctx.body = text;
  });
  router.use(understoodVersions);
  addRoutes(router);
  app.use(router.routes());
  return app;
}
