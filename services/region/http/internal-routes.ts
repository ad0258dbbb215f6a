/** The internal API, as `shared/protocol/internal.ts` words it. */
import type Router from '@koa/router';
import { Refusal } from '../../../shared/errors/errors.ts';
import { decodeText, parseJson, readBody, requireType } from '../../../shared/observe/http-body.ts';
import { MESSAGE_LIMIT_BYTES } from '../../../shared/protocol/events.ts';
import {
  type AwaitReply,
  type AwaitRequest,
  type CutRequest,
  type DrainReply,
  type DrainRequest,
  type HandoverRequest,
  HEAL_AFTER_LIMIT_MS,
  type WritesRequest,
} from '../../../shared/protocol/internal.ts';
import { unpackSignals } from '../../../shared/protocol/packed-signals.ts';
import { formatPosition, originPattern, parsePosition } from '../../../shared/protocol/position.ts';
import { fromWire } from '../../../shared/protocol/writes.ts';
import type { IntakeRequest } from '../intake/intake.ts';
import type { RegionSurface } from './http.ts';

/** Longest an `await` may hold its connection. */
const AWAIT_LIMIT_MS = 30_000;

function bulkOf({ writes, signals }: WritesRequest): IntakeRequest['bodies'] {
  if (typeof signals === 'string') return unpackSignals(signals);
  if (Array.isArray(writes) && writes.length > 0) return writes.map(fromWire);
  throw new Refusal('invalid_request', 'writes must be a non-empty array');
}

export function addInternalRoutes(router: Router, surface: RegionSurface): void {
  const { role, intake, apply, wal, maxBodyBytes, bodies } = surface;

  const body = async <T>(ctx: Parameters<typeof readBody>[0], reserve?: (bytes: number) => void): Promise<T> => {
    requireType(ctx, ['application/json']);
    return parseJson(decodeText(await readBody(ctx, maxBodyBytes, reserve))) as T;
  };

  router.post('/internal/writes', async (ctx) => {
    const share = bodies.share();
    try {
      const request = await body<WritesRequest>(ctx, share.take);
      ctx.body = await intake.submit({
        epoch: request.epoch,
        atomic: request.atomic,
        strict: request.durability === 'stream',
        bodies: bulkOf(request),
      });
    } finally {
      share.giveBack();
    }
  });

  router.get('/internal/status', (ctx) => {
    ctx.body = surface.status();
  });

  router.post('/internal/leadership', async (ctx) => {
    await role.refresh();
    ctx.body = surface.status();
  });

  router.post('/internal/handover', async (ctx) => {
    const { id } = await body<HandoverRequest>(ctx);
    if (typeof id !== 'string') throw new Refusal('invalid_request', 'id must be a text');
    ctx.body = await role.handOver(id);
  });

  router.post('/internal/await', async (ctx) => {
    const { position, limitMs } = await body<AwaitRequest>(ctx);
    const wanted = typeof position === 'string' ? parsePosition(position) : undefined;
    if (wanted === undefined) throw new Refusal('invalid_request', 'position must be a position token');
    if (typeof limitMs !== 'number' || !(limitMs >= 0 && limitMs <= AWAIT_LIMIT_MS)) {
      throw new Refusal('invalid_request', `limitMs must be a number from 0 to ${AWAIT_LIMIT_MS}`);
    }
    const reached = await apply.reached(wanted, limitMs);
    const reply: AwaitReply = { reached, applied: formatPosition(apply.applied) };
    ctx.body = reply;
  });

  router.post('/internal/drain', async (ctx) => {
    const { limitMs } = await body<DrainRequest>(ctx);
    if (typeof limitMs !== 'number' || !(limitMs >= 0 && limitMs <= AWAIT_LIMIT_MS)) {
      throw new Refusal('invalid_request', `limitMs must be a number from 0 to ${AWAIT_LIMIT_MS}`);
    }
    const drained = await surface.drain(limitMs);
    const reply: DrainReply = { drained, durable: formatPosition(wal.durable) };
    ctx.body = reply;
  });

  router.post('/internal/cut', async (ctx) => {
    const { cut, healAfterMs } = await body<CutRequest>(ctx);
    if (typeof cut !== 'boolean') throw new Refusal('invalid_request', 'cut must be true or false');
    const bounded = typeof healAfterMs === 'number' && healAfterMs > 0 && healAfterMs <= HEAL_AFTER_LIMIT_MS;
    if (healAfterMs !== undefined && !(cut && bounded)) {
      throw new Refusal('invalid_request', `healAfterMs goes with a cut, above 0 to ${HEAL_AFTER_LIMIT_MS}`);
    }
    await surface.setCut(cut, healAfterMs);
    ctx.body = surface.status();
  });

  router.get('/internal/digest', (ctx) => {
    ctx.body = surface.digest();
  });

  router.get('/internal/digests', (ctx) => {
    ctx.body = surface.digests();
  });

  router.get('/internal/log/:origin', (ctx) => {
    const origin = String(ctx.params.origin);
    const from = Number(ctx.query.from);
    if (!originPattern.test(origin)) throw new Refusal('invalid_request', 'no such origin');
    if (!Number.isSafeInteger(from) || from < 1) throw new Refusal('invalid_request', 'from must be a sequence');
    if (surface.cut()) throw new Refusal('region_unreachable', `${surface.region} is cut off by a drill`);
    const kept = wal.origin(origin)?.first ?? 1;
    if (from < kept) throw new Refusal('log_trimmed', `${surface.region} keeps ${origin} from ${kept} on`);
    ctx.type = 'application/octet-stream';
    ctx.body = Buffer.concat(wal.read(origin, from, MESSAGE_LIMIT_BYTES));
  });
}
