/**
 * What a region answers while an event of its log cannot be applied: its status, which names the event, and the command that sets it
 * aside. Everything else is refused.
 */
import Router from '@koa/router';
import type Koa from 'koa';
import { Refusal } from '../../../shared/errors/errors.ts';
import { decodeText, readBody, requireType } from '../../../shared/http/http-body.ts';
import { createHttpApp } from '../../../shared/http/http-server.ts';
import { parseJson } from '../../../shared/http/json-text.ts';
import type { RegionStatus } from '../../../shared/protocol/internal.ts';
import { type QuarantinedRange, rangeOf } from '../../../shared/protocol/quarantine.ts';
import type { RegionAppOptions } from './app.ts';
import { understoodVersions } from './understood-versions.ts';

const BODY_LIMIT_BYTES = 16 * 1024;

export interface BlockedAppOptions
  extends Pick<RegionAppOptions, 'log' | 'metrics' | 'clock' | 'random' | 'limits' | 'region' | 'admit'> {
  /** The event, and why it cannot be applied. */
  readonly detail: string;
  readonly status: () => RegionStatus;
  /** Sets the range aside and restarts the region in this process. */
  readonly setAside: (range: QuarantinedRange) => Promise<void>;
}

export function createBlockedApp({ region, detail, status, setAside, ...ground }: BlockedAppOptions): Koa {
  const app = createHttpApp(ground);
  const router = new Router();
  router.get('/health/live', (ctx) => {
    ctx.body = { status: 'live' };
  });
  router.get('/health/ready', (ctx) => {
    ctx.status = 503;
    ctx.body = { status: 'blocked', region, detail };
  });
  router.get('/metrics', async (ctx) => {
    const { contentType, text } = await ground.metrics.render();
    ctx.set('content-type', contentType);
    ctx.body = text;
  });
  router.use(understoodVersions);
  router.get('/internal/status', (ctx) => {
    ctx.body = status();
  });
  router.post('/internal/leadership', (ctx) => {
    ctx.body = status();
  });
  router.post('/internal/quarantine', async (ctx) => {
    requireType(ctx, ['application/json']);
    const range = rangeOf(parseJson(decodeText(await readBody(ctx, BODY_LIMIT_BYTES))));
    await setAside(range);
    ctx.body = { region, quarantined: range };
  });
  app.use(router.routes());
  app.use(() => {
    throw new Refusal('not_ready', `${region} cannot serve: ${detail}`, {
      hint: 'see "An event cannot be applied" in docs/runbook.md',
    });
  });
  return app;
}
