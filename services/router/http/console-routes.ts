/**
 * The files of the console. They hold no data, so they need no key; everything that the page shows is asked for with one.
 *
 * The page may load nothing from elsewhere and run nothing that is written into it: whatever it shows of items is a text to a browser.
 */
import type { Router } from '@koa/router';
import type { Context } from 'koa';
import { clip, Refusal } from '../../../shared/errors/errors.ts';
import type { ConsoleFile, ConsoleFiles } from '../console/console.ts';

const POLICY = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "connect-src 'self'",
  "img-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join('; ');

export function addConsoleRoutes(router: Router, files: ConsoleFiles): void {
  router.get('/', (ctx) => send(ctx, files.get('index.html')));
  router.get('/console/:file', (ctx) => send(ctx, files.get(String(ctx.params.file))));
}

function send(ctx: Context, file: ConsoleFile | undefined): void {
  if (file === undefined) throw new Refusal('unknown_route', `there is no route ${clip(ctx.path, 100)}`);
  ctx.set('Content-Security-Policy', POLICY);
  ctx.set('X-Content-Type-Options', 'nosniff');
  ctx.set('Referrer-Policy', 'no-referrer');
  // Asked again each time: a page never runs with scripts of another version.
  ctx.set('Cache-Control', 'no-cache');
  ctx.set('ETag', file.etag);
  ctx.status = 200;
  if (ctx.fresh) {
    ctx.status = 304;
    return;
  }
  ctx.set('Content-Type', file.type);
  ctx.body = file.text;
}
