/** The routes of the internal API (`shared/protocol/internal.ts`). */
import type Router from '@koa/router';
import { Refusal } from '../../../shared/errors/errors.ts';
import { decodeText, readBody, requireType } from '../../../shared/http/http-body.ts';
import { parseJson } from '../../../shared/http/json-text.ts';
import { AWAIT_LIMIT_MS } from '../../../shared/protocol/deadlines.ts';
import { isCount, MESSAGE_LIMIT_BYTES } from '../../../shared/protocol/events.ts';
import {
  type AwaitReply,
  type AwaitRequest,
  type DrainReply,
  type DrainRequest,
  type HandoverRequest,
  HEAL_AFTER_LIMIT_MS,
  type PartitionRequest,
  parseRouterClock,
  type RetireDiskRequest,
  ROUTER_CLOCK_HEADER,
  type WritesRequest,
} from '../../../shared/protocol/internal.ts';
import { isDiskId } from '../../../shared/protocol/known-disks.ts';
import { unpackSignals } from '../../../shared/protocol/packed-signals.ts';
import { formatPosition, originPattern, parsePosition } from '../../../shared/protocol/position.ts';
import { type QuarantinedRange, rangeOf } from '../../../shared/protocol/quarantine.ts';
import { fromWire } from '../../../shared/protocol/writes.ts';
import type { IntakeRequest } from '../intake/intake.ts';
import type { RegionSurface } from './http.ts';

/** A body before validation: no field has its declared type for certain. */
type Fields<T> = { readonly [K in keyof T]?: unknown };

function bulkOf({ writes, signals }: Fields<WritesRequest>): IntakeRequest['bodies'] {
  if (signals !== undefined) {
    if (typeof signals !== 'string') throw invalid('signals must be what a router packs, in base64');
    if (writes !== undefined && !(Array.isArray(writes) && writes.length === 0)) {
      throw invalid('writes must be empty beside signals');
    }
    return unpackSignals(signals);
  }
  if (Array.isArray(writes) && writes.length > 0) return writes.map(fromWire);
  throw invalid('writes must be a non-empty array');
}

function intakeRequestOf(request: Fields<WritesRequest>): IntakeRequest {
  const { epoch, atomic, durability } = request;
  // Compared with the region's own epoch: a value that is not a number would be neither lower nor higher, and pass.
  if (!isCount(epoch) || epoch < 1) throw invalid('epoch must be an integer from 1 to 9007199254740991');
  if (typeof atomic !== 'boolean') throw invalid('atomic must be true or false');
  if (durability !== undefined && durability !== 'stream') throw invalid('durability must be stream, or be left out');
  return { epoch, atomic, durability: durability ?? 'local', bodies: bulkOf(request) };
}

function limitOf(limitMs: unknown): number {
  if (typeof limitMs === 'number' && limitMs >= 0 && limitMs <= AWAIT_LIMIT_MS) return limitMs;
  throw invalid(`limitMs must be a number from 0 to ${AWAIT_LIMIT_MS}`);
}

function invalid(detail: string): Refusal {
  return new Refusal('invalid_request', detail);
}

export function addInternalRoutes(router: Router, surface: RegionSurface): void {
  const { role, intake, apply, wal, maxBodyBytes, bodies } = surface;

  const body = async <T>(
    ctx: Parameters<typeof readBody>[0],
    reserve?: (bytes: number) => void,
  ): Promise<Fields<T>> => {
    requireType(ctx, ['application/json']);
    const value = parseJson(decodeText(await readBody(ctx, maxBodyBytes, reserve)), '', { inexact: 'allowed' });
    if (typeof value !== 'object' || value === null || Array.isArray(value))
      throw invalid('the body must be a JSON object');
    return value;
  };

  router.use(async (ctx, next) => {
    const heard = parseRouterClock(ctx.get(ROUTER_CLOCK_HEADER));
    if (heard !== undefined) surface.onRouterClock(heard);
    await next();
  });

  router.post('/internal/writes', async (ctx) => {
    const share = bodies.share();
    try {
      ctx.body = await intake.submit(intakeRequestOf(await body<WritesRequest>(ctx, share.take)));
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
    if (typeof id !== 'string') throw invalid('id must be a text');
    ctx.body = await role.handOver(id);
  });

  router.post('/internal/await', async (ctx) => {
    const { position, limitMs } = await body<AwaitRequest>(ctx);
    const wanted = typeof position === 'string' ? parsePosition(position) : undefined;
    if (wanted === undefined) throw invalid('position must be a position token');
    const reached = await apply.reached(wanted, limitOf(limitMs));
    const reply: AwaitReply = { reached, applied: formatPosition(apply.applied) };
    ctx.body = reply;
  });

  router.post('/internal/drain', async (ctx) => {
    const { limitMs } = await body<DrainRequest>(ctx);
    const drained = await surface.drain(limitOf(limitMs));
    const reply: DrainReply = { drained, durable: formatPosition(wal.durable) };
    ctx.body = reply;
  });

  router.post('/internal/partition', async (ctx) => {
    const { partitioned, healAfterMs } = await body<PartitionRequest>(ctx);
    if (typeof partitioned !== 'boolean') throw invalid('partitioned must be true or false');
    if (
      healAfterMs !== undefined &&
      !(partitioned && typeof healAfterMs === 'number' && healAfterMs > 0 && healAfterMs <= HEAL_AFTER_LIMIT_MS)
    ) {
      throw invalid(`healAfterMs goes with partitioned: true, above 0 to ${HEAL_AFTER_LIMIT_MS}`);
    }
    await surface.setPartitioned(partitioned, healAfterMs);
    ctx.body = surface.status();
  });

  router.post('/internal/retire-disk', async (ctx) => {
    const { disk } = await body<RetireDiskRequest>(ctx);
    if (!isDiskId(disk)) throw invalid('disk must be the id of a disk');
    await surface.retireDisk(disk);
    ctx.body = surface.status();
  });

  router.post('/internal/quarantine', async (ctx) => {
    const range = rangeOf(await body<QuarantinedRange>(ctx));
    await surface.setAside(range);
    ctx.body = { region: surface.region, quarantined: range };
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
    if (!originPattern.test(origin)) throw invalid('no such origin');
    if (!Number.isSafeInteger(from) || from < 1) throw invalid('from must be a sequence');
    if (surface.partitioned()) throw new Refusal('region_unreachable', `${surface.region} is partitioned`);
    const kept = wal.origin(origin)?.first ?? 1;
    if (from < kept) throw new Refusal('log_trimmed', `${surface.region} keeps ${origin} from ${kept} on`);
    ctx.type = 'application/octet-stream';
    ctx.body = Buffer.concat(wal.read(origin, from, MESSAGE_LIMIT_BYTES));
  });
}
