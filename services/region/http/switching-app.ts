/** The application of a region that changes from one store to another: alive, not ready, and refusing everything else. */
import Router from '@koa/router';
import type Koa from 'koa';
import { Refusal } from '../../../shared/errors/errors.ts';
import { createHttpApp } from '../../../shared/http/http-server.ts';
import type { RegionAppOptions } from './app.ts';

export function createSwitchingApp({
  region,
  metrics,
  ...ground
}: Pick<RegionAppOptions, 'log' | 'metrics' | 'clock' | 'random' | 'limits' | 'region' | 'admit'>): Koa {
  const app = createHttpApp({ metrics, ...ground });
  const router = new Router();
  router.get('/health/live', (ctx) => {
    ctx.body = { status: 'live' };
  });
  router.get('/health/ready', (ctx) => {
    ctx.status = 503;
    ctx.body = { status: 'starting', region };
  });
  router.get('/metrics', async (ctx) => {
    const { contentType, text } = await metrics.render();
    ctx.set('content-type', contentType);
    ctx.body = text;
  });
  app.use(router.routes());
  app.use(() => {
    throw new Refusal('not_ready', `${region} is switching to a store it fetched from a peer`);
  });
  return app;
}
