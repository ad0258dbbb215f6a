/** The region's Koa application: internal API, reads, health, metrics. */
import Router from '@koa/router';
import type Koa from 'koa';
import { createHttpApp, type HttpLimits } from '../../../shared/http/http-server.ts';
import type { Clock, Random } from '../../../shared/kernel/kernel.ts';
import type { Log } from '../../../shared/observe/log.ts';
import type { Metrics } from '../../../shared/observe/metrics.ts';
import type { RegionSurface } from './http.ts';
import { addInternalRoutes } from './internal-routes.ts';
import { addReadRoutes } from './read-routes.ts';
import { addSnapshotRoutes } from './snapshot-routes.ts';

export interface RegionAppOptions {
  readonly log: Log;
  readonly metrics: Metrics;
  readonly clock: Clock;
  readonly random: Random;
  readonly limits: HttpLimits;
  readonly surface: RegionSurface;
}

export function createRegionApp({ log, metrics, clock, random, limits, surface }: RegionAppOptions): Koa {
  const app = createHttpApp({ log, metrics, clock, random, limits });
  const router = new Router();
  addInternalRoutes(router, surface);
  addSnapshotRoutes(router, surface);
  addReadRoutes(router, surface);
  router.get('/health/live', (ctx) => {
    ctx.body = { status: 'live' };
  });
  router.get('/health/ready', (ctx) => {
    const status = surface.draining() ? 'draining' : surface.ready() ? 'ready' : 'starting';
    ctx.status = status === 'ready' ? 200 : 503;
    ctx.body = { status, region: surface.region };
  });
  router.get('/metrics', async (ctx) => {
    const { contentType, text } = await metrics.render();
    ctx.set('content-type', contentType);
    ctx.body = text;
  });
  app.use(router.routes());
  return app;
}
