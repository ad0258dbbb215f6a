/** What other regions and routers read of this one's log and state: batches and digests. */
import type Router from '@koa/router';
import { Refusal } from '../../../shared/errors/errors.ts';
import { MESSAGE_LIMIT_BYTES } from '../../../shared/protocol/events.ts';
import type { DigestReply, DigestsReply } from '../../../shared/protocol/internal.ts';
import { originPattern } from '../../../shared/protocol/position.ts';
import type { Wal } from '../wal/wal.ts';
import { invalid } from './internal-body.ts';

export interface LogParts {
  readonly region: string;
  readonly wal: Pick<Wal, 'origin' | 'read'>;
  readonly partitioned: () => boolean;
  /** Recounts everything at once. */
  readonly digest: () => DigestReply;
  /** Keeps the digest at every position from now on, for a while. */
  readonly digests: () => DigestsReply;
}

export function addLogRoutes(router: Router, { region, wal, partitioned, digest, digests }: LogParts): void {
  router.get('/internal/digest', (ctx) => {
    ctx.body = digest();
  });

  router.get('/internal/kept-digests', (ctx) => {
    ctx.body = digests();
  });

  router.get('/internal/log/:origin', (ctx) => {
    const origin = String(ctx.params.origin);
    const from = Number(ctx.query.from);
    if (!originPattern.test(origin)) throw invalid('no such origin');
    if (!Number.isSafeInteger(from) || from < 1) throw invalid('from must be a sequence');
    if (partitioned()) throw new Refusal('region_unreachable', `${region} is partitioned`);
    const kept = wal.origin(origin)?.first ?? 1;
    if (from < kept) throw new Refusal('log_trimmed', `${region} keeps ${origin} from ${kept} on`);
    ctx.type = 'application/octet-stream';
    ctx.body = Buffer.concat(wal.read(origin, from, MESSAGE_LIMIT_BYTES));
  });
}
