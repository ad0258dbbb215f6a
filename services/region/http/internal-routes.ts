/** The routes of the internal API (`shared/protocol/internal.ts`). */
import type Router from '@koa/router';
import type { BodyBudget } from '../../../shared/http/body-budget.ts';
import { AWAIT_LIMIT_MS } from '../../../shared/protocol/deadlines.ts';
import { isCount, type RequestedBody } from '../../../shared/protocol/events.ts';
import { bodyHashOf } from '../../../shared/protocol/idempotency.ts';
import {
  type AwaitReply,
  type AwaitRequest,
  CLIENT_LIMIT_CHARACTERS,
  type DrainReply,
  type DrainRequest,
  type HandoverRequest,
  parseRouterClock,
  type RegionStatus,
  ROUTER_CLOCK_HEADER,
  type RouterClock,
  type WritesRequest,
} from '../../../shared/protocol/internal.ts';
import { unpackSignals } from '../../../shared/protocol/packed-signals.ts';
import { formatPosition, parsePosition } from '../../../shared/protocol/position.ts';
import { fromWire, type WireWrite } from '../../../shared/protocol/writes.ts';
import type { Apply } from '../apply/apply.ts';
import type { Intake, IntakeRequest } from '../intake/intake.ts';
import type { Role } from '../leadership/leadership.ts';
import type { Wal } from '../wal/wal.ts';
import { type Fields, invalid, type ReadFields } from './internal-body.ts';

function bulkOf({ writes, signals, atomic }: Fields<WritesRequest>): IntakeRequest['bodies'] {
  if (signals !== undefined) {
    if (typeof signals !== 'string') throw invalid('signals must be what a router packs, in base64');
    if (writes !== undefined && !(Array.isArray(writes) && writes.length === 0)) {
      throw invalid('writes must be empty beside signals');
    }
    return unpackSignals(signals);
  }
  if (Array.isArray(writes) && writes.length > 0) {
    const count = atomic === true ? writes.length : 0;
    return writes.map((write) => requireOwnKey(fromWire(write), write as WireWrite, count));
  }
  throw invalid('writes must be a non-empty array');
}

/** What a retraction takes back has its values: their hash is that of its key. */
function requireOwnKey(body: RequestedBody, write: WireWrite, count: number): RequestedBody {
  if (body.kind === 'retraction' && body.key?.bodyHash !== bodyHashOf(write, count)) {
    throw invalid('the key of a retraction is not one of its values');
  }
  return body;
}

function intakeRequestOf(request: Fields<WritesRequest>): IntakeRequest {
  const { epoch, atomic, durability, clients } = request;
  // Compared with the region's own epoch: a value that is not a number would be neither lower nor higher, and pass.
  if (!isCount(epoch) || epoch < 1) throw invalid('epoch must be an integer from 1 to 9007199254740991');
  if (typeof atomic !== 'boolean') throw invalid('atomic must be true or false');
  if (durability !== undefined && durability !== 'stream') throw invalid('durability must be stream, or be left out');
  return { epoch, atomic, durability: durability ?? 'local', bodies: bulkOf(request), clients: clientsOf(clients) };
}

function clientsOf(clients: unknown): readonly string[] | undefined {
  if (clients === undefined) return undefined;
  const isName = (one: unknown): one is string => typeof one === 'string' && one.length <= CLIENT_LIMIT_CHARACTERS;
  if (Array.isArray(clients) && clients.every(isName)) return clients;
  throw invalid(`clients must be names of at most ${CLIENT_LIMIT_CHARACTERS} characters`);
}

function limitOf(limitMs: unknown): number {
  if (typeof limitMs === 'number' && limitMs >= 0 && limitMs <= AWAIT_LIMIT_MS) return limitMs;
  throw invalid(`limitMs must be a number from 0 to ${AWAIT_LIMIT_MS}`);
}

export interface InternalParts {
  readonly intake: Pick<Intake, 'submit'>;
  readonly role: Pick<Role, 'refresh' | 'handOver'>;
  readonly apply: Pick<Apply, 'applied' | 'reached'>;
  readonly wal: Pick<Wal, 'durable'>;
  /** Limit of all bodies in memory together, bytes. */
  readonly bodies: BodyBudget;
  readonly status: () => RegionStatus;
  /** True once everything that the stream has now was handled; false after `limitMs`. */
  readonly drain: (limitMs: number) => Promise<boolean>;
  /** A request of a router was received, with the time it is there. */
  readonly onRouterClock: (heard: RouterClock) => void;
}

export function addInternalRoutes(router: Router, parts: InternalParts, fields: ReadFields): void {
  const { role, intake, apply, wal, bodies } = parts;

  router.use(async (ctx, next) => {
    const heard = parseRouterClock(ctx.get(ROUTER_CLOCK_HEADER));
    if (heard !== undefined) parts.onRouterClock(heard);
    await next();
  });

  router.post('/internal/writes', async (ctx) => {
    const share = bodies.share();
    try {
      ctx.body = await intake.submit(intakeRequestOf(await fields<WritesRequest>(ctx, share.take)));
    } finally {
      share.giveBack();
    }
  });

  router.get('/internal/status', (ctx) => {
    ctx.body = parts.status();
  });

  router.post('/internal/leadership', async (ctx) => {
    await role.refresh();
    ctx.body = parts.status();
  });

  router.post('/internal/handover', async (ctx) => {
    const { id } = await fields<HandoverRequest>(ctx);
    if (typeof id !== 'string') throw invalid('id must be a text');
    ctx.body = await role.handOver(id);
  });

  router.post('/internal/await', async (ctx) => {
    const { position, limitMs } = await fields<AwaitRequest>(ctx);
    const wanted = typeof position === 'string' ? parsePosition(position) : undefined;
    if (wanted === undefined) throw invalid('position must be a position token');
    const reached = await apply.reached(wanted, limitOf(limitMs));
    const reply: AwaitReply = { reached, applied: formatPosition(apply.applied) };
    ctx.body = reply;
  });

  router.post('/internal/drain', async (ctx) => {
    const { limitMs } = await fields<DrainRequest>(ctx);
    const drained = await parts.drain(limitOf(limitMs));
    const reply: DrainReply = { drained, durable: formatPosition(wal.durable) };
    ctx.body = reply;
  });
}
