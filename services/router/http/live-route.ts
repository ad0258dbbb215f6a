/** `GET /cluster/live`: a stream of events for a client that asks for one, otherwise one reading as JSON. */
import type { Router } from '@koa/router';
import type { Context } from 'koa';
import type { Live, LiveClient } from '../console/console.ts';

const STREAM = 'text/event-stream';

export interface LiveRouteOptions {
  readonly live: Live;
  /** Whether the key of the request is still valid for it. */
  readonly mayRead: (ctx: Context) => boolean;
}

export function addLiveRoute(router: Router, { live, mayRead }: LiveRouteOptions): void {
  router.get('/cluster/live', async (ctx) => {
    ctx.set('Cache-Control', 'no-store');
    if (ctx.accepts('application/json', STREAM) !== STREAM) {
      ctx.body = await live.read();
      return;
    }
    if (ctx.method === 'HEAD') {
      ctx.status = 200;
      ctx.type = STREAM;
      return;
    }
    const client = clientOf(ctx, () => mayRead(ctx));
    live.open(client);
    ctx.res.once('close', () => live.close(client));
    // The disconnection may have been before.
    if (ctx.res.destroyed) live.close(client);
  });
}

/** Nothing of the answer is sent before the first event. */
function clientOf(ctx: Context, mayRead: () => boolean): LiveClient {
  const { res } = ctx;
  return {
    mayRead,
    get isBehind() {
      return res.writableLength > 0;
    },
    send(event) {
      if (res.destroyed || res.writableEnded) return;
      if (!res.headersSent) {
        ctx.respond = false;
        res.writeHead(200, { 'Content-Type': STREAM });
      }
      res.write(event);
    },
    end: () => void res.end(),
    drop: () => void res.destroy(),
  };
}
