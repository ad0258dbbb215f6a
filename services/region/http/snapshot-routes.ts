/** The routes that serve a snapshot (`shared/protocol/internal.ts`). */
import type Router from '@koa/router';
import { Refusal } from '../../../shared/errors/errors.ts';
import { decodeText, readBody, requireType } from '../../../shared/http/http-body.ts';
import { parseJson } from '../../../shared/http/json-text.ts';
import type { SnapshotInfo } from '../../../shared/protocol/internal.ts';
import { parsePosition } from '../../../shared/protocol/position.ts';
import type { SnapshotServer } from '../snapshot/snapshot.ts';

export function addSnapshotRoutes(
  router: Router,
  { snapshots, maxBodyBytes }: { readonly snapshots: SnapshotServer; readonly maxBodyBytes: number },
): void {
  const offer = (covering: unknown): Promise<SnapshotInfo> => {
    const position = typeof covering === 'string' ? parsePosition(covering) : undefined;
    if (position === undefined) throw new Refusal('invalid_request', 'covering must be a position token');
    return snapshots.offer(position);
  };

  router.post('/internal/snapshot', async (ctx) => {
    requireType(ctx, ['application/json']);
    const body = parseJson(decodeText(await readBody(ctx, maxBodyBytes)));
    ctx.body = await offer(typeof body === 'object' && body !== null && 'covering' in body ? body.covering : undefined);
  });

  router.get('/internal/snapshot', async (ctx) => {
    ctx.body = await offer(ctx.query.covering ?? '');
  });

  router.get('/internal/snapshot/:id', async (ctx) => {
    const offset = Number(ctx.query.offset ?? 0);
    if (!Number.isSafeInteger(offset) || offset < 0)
      throw new Refusal('invalid_request', 'offset must be a number of bytes');
    ctx.type = 'application/octet-stream';
    ctx.body = Buffer.from(await snapshots.read(String(ctx.params.id), offset));
  });
}
