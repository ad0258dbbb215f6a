/** What other regions and routers read of this one's log and state: batches, digests, where the writes under a key are. */
import type Router from '@koa/router';
import { Refusal } from '../../../shared/errors/errors.ts';
import { MESSAGE_LIMIT_BYTES } from '../../../shared/protocol/events.ts';
import { isKeyId } from '../../../shared/protocol/idempotency.ts';
import {
  type CountDigestReply,
  type CountDigestRequest,
  type DigestReply,
  KEY_RUNS_LIMIT,
  type KeyRunsReply,
  type KeyRunsRequest,
} from '../../../shared/protocol/internal.ts';
import { originPattern, type Position, parsePosition } from '../../../shared/protocol/position.ts';
import type { Wal } from '../wal/wal.ts';
import { invalid, type ReadFields } from './internal-body.ts';

export interface LogParts {
  readonly region: string;
  readonly wal: Pick<Wal, 'origin' | 'read' | 'runs'>;
  readonly partitioned: () => boolean;
  /** Counts the state at the present position. */
  readonly digest: () => Promise<DigestReply>;
  readonly countDigest: (request: { readonly id: string; readonly covering: Position }) => CountDigestReply;
}

const idPattern = /^[a-z2-7]{16}$/;

export function addLogRoutes(router: Router, parts: LogParts, fields: ReadFields): void {
  const { region, wal, partitioned } = parts;
  router.get('/internal/digest', async (ctx) => {
    ctx.body = await parts.digest();
  });

  router.post('/internal/digest-counts', async (ctx) => {
    const { id, covering } = await fields<CountDigestRequest>(ctx);
    if (typeof id !== 'string' || !idPattern.test(id)) throw invalid('id must be 16 characters of base32');
    const position = typeof covering === 'string' ? parsePosition(covering) : undefined;
    if (position === undefined) throw invalid('covering must be a position');
    ctx.body = parts.countDigest({ id, covering: position });
  });

  router.post('/internal/key-runs', async (ctx) => {
    const { ids } = await fields<KeyRunsRequest>(ctx);
    if (!Array.isArray(ids) || ids.length > KEY_RUNS_LIMIT || !ids.every(isKeyId)) {
      throw invalid(`ids must be at most ${KEY_RUNS_LIMIT} ids of keys`);
    }
    const body: KeyRunsReply = { region, runs: ids.map((id) => wal.runs(id)) };
    ctx.body = body;
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
