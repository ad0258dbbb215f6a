/** Serving the copy of the store, as `shared/protocol/internal.ts` words it. */
import type Router from '@koa/router';
import { Refusal } from '../../../shared/errors/errors.ts';
import { parsePosition } from '../../../shared/protocol/position.ts';
import type { RegionSurface } from './http.ts';

export function addSnapshotRoutes(router: Router, { snapshots }: Pick<RegionSurface, 'snapshots'>): void {
  router.get('/internal/snapshot', async (ctx) => {
    const { covering = '' } = ctx.query;
    const position = typeof covering === 'string' ? parsePosition(covering) : undefined;
    if (position === undefined) throw new Refusal('invalid_request', 'covering must be a position token');
    ctx.body = await snapshots.offer(position);
  });

  router.get('/internal/snapshot/:id', async (ctx) => {
    const offset = Number(ctx.query.offset ?? 0);
    if (!Number.isSafeInteger(offset) || offset < 0)
      throw new Refusal('invalid_request', 'offset must be a number of bytes');
    ctx.type = 'application/octet-stream';
    ctx.body = Buffer.from(await snapshots.read(String(ctx.params.id), offset));
  });
}
