/** Before all routes of a region but health and metrics: requests of a version that it does not understand are refused. */
import type Koa from 'koa';
import { requireUnderstood, VERSION_HEADER } from '../../../shared/protocol/version.ts';

export const understoodVersions: Koa.Middleware = async (ctx, next) => {
  requireUnderstood(ctx.get(VERSION_HEADER));
  await next();
};
