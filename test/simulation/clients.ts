/**
 * Clients: they write, read what they wrote, send keyed requests again while the outcome is unknown, take signals back, and judge each
 * answer as it comes. The contents of a write distinguish it from every other.
 */

import type { HttpReply } from '../../shared/http/http-pool.ts';
import type { WriteBody } from '../../shared/protocol/events.ts';
import { covers, formatPosition, merge, type Position, parsePosition } from '../../shared/protocol/position.ts';
import type { Chance } from './chance.ts';
import type { Write } from './promises.ts';
import { referenceItem } from './reference.ts';
import { Violation } from './violation.ts';
import { regionNames, routerNames, type World } from './world.ts';

/** Longer than any promise of an answer: 10 s held and 10 s in progress; a read asks up to three regions, 10 s each. */
const ANSWER_LIMIT_MS = 35_000;
const KEYED_ATTEMPTS = 12;
/** Of all writes, once there are keyed signals: those that take one back, or send it once more. */
const REVISITS = 0.12;

/** What a client may ask for besides its items. */
const profiles = ['trending', 'hot', 'new', 'top', 'rising', 'most_viewed', 'shuffle'];

interface Request {
  readonly route: string;
  readonly method: 'GET' | 'POST' | 'PATCH' | 'DELETE';
  readonly headers?: Record<string, string>;
  readonly body?: string;
}

interface Answer {
  readonly status: number;
  readonly body: Record<string, unknown>;
}

const CREATED_AGO_MS = 90 * 86_400_000;

export interface Pace {
  /** Between the end of one operation of a client and its next, ms. */
  readonly thinkMs: number;
  /** Of all operations. */
  readonly reads: number;
  readonly keyed: number;
  readonly bulk: number;
  readonly durabilityStream: number;
  /** Acknowledged keyed writes that are sent again. */
  readonly again: number;
  /** Entities that are written and read. */
  readonly items: number;
  /** How often a document is written, against 10 signals. */
  readonly documents: number;
}

interface Given {
  readonly request: Request;
  readonly write: Write;
  taken: { readonly request: Request; readonly write: Write } | undefined;
}

export class Client {
  readonly name: string;
  private readonly world: World;
  private readonly chance: Chance;
  private readonly pace: Pace;
  private readonly endMs: number;
  /** Keyed signals that it has sent, and what takes them back. */
  private readonly given: Given[] = [];
  private readonly revisits: Chance;
  /** Everything this client has seen. */
  private seen: Position = new Map();
  /** Answered 200. */
  answered = 0;

  constructor(world: World, name: string, pace: Pace, endMs: number) {
    this.world = world;
    this.name = name;
    this.chance = world.chance.fork(name);
    this.revisits = this.chance.fork('revisits');
    this.pace = pace;
    this.endMs = endMs;
    world.scheduler.after(this.chance.exponential(pace.thinkMs), () => void this.act());
  }

  private async act(): Promise<void> {
    const { world, chance, pace } = this;
    try {
      await (chance.chance(pace.reads) ? this.read() : this.write());
    } catch (error) {
      world.check(() => {
        throw error;
      });
    }
    const delayMs = chance.exponential(pace.thinkMs);
    if (world.scheduler.nowMs + delayMs < this.endMs) world.scheduler.after(delayMs, () => void this.act());
  }

  private async write(): Promise<void> {
    const { world, chance, pace, given, revisits } = this;
    if (given.length > 0 && revisits.chance(REVISITS)) return this.revisit(revisits.pick(given));
    const key = chance.chance(pace.keyed) ? `key-${this.name}-${world.promises.writes.length}` : undefined;
    const { request, write } = this.compose(key);
    world.promises.add(write);
    if (key !== undefined && write.bodies[0]?.kind === 'signal') given.push({ request, write, taken: undefined });
    for (let attempt = 1; ; attempt++) {
      const outcome = await this.attempt(request, write);
      if (key === undefined || attempt >= KEYED_ATTEMPTS) return;
      if (outcome === 'acknowledged' && !chance.chance(pace.again)) return;
      if (world.scheduler.nowMs > this.endMs) return;
      await new Promise<void>((resolve) => void world.scheduler.after(chance.exponential(400), resolve));
    }
  }

  /** Takes a signal back, or sends it once more. */
  private async revisit(one: Given): Promise<void> {
    const { world, revisits } = this;
    if (revisits.chance(0.3)) {
      await this.attempt(one.request, one.write);
      return;
    }
    one.taken ??= this.retractionOf(one);
    const { request, write } = one.taken;
    if (write.outcome === 'open' && write.positions.length === 0) world.promises.add(write);
    await this.attempt(request, write);
  }

  /** By its key and body, or, of a single one that was acknowledged, sometimes by its position. */
  private retractionOf({ request, write: { key, bodies, positions } }: Given): NonNullable<Given['taken']> {
    const { world, revisits } = this;
    const taken = bodies.flatMap((body) => (body.kind === 'signal' ? [{ ...body, kind: 'retraction' as const }] : []));
    const write: Write = {
      ...{ id: world.promises.writes.length, key, bodies: taken, outcome: 'open', positions: [] },
      tags: taken.map(({ weight }) => `retraction ${weight}`),
    };
    const [position] = positions;
    if (position === undefined || position.includes(',') || taken.length > 1 || !revisits.chance(0.3)) {
      return { request: { ...request, method: 'DELETE' }, write };
    }
    const headers = { 'content-type': 'application/json' };
    return { request: { method: 'DELETE', route: '/signals', headers, body: JSON.stringify({ position }) }, write };
  }

  private async attempt(request: Request, write: Write): Promise<Write['outcome']> {
    const before = write.outcome;
    // While an attempt is in progress nothing is certain but what was acknowledged.
    if (before !== 'acknowledged') write.outcome = 'open';
    const outcome = await this.send(request, write);
    if (before !== 'acknowledged') write.outcome = worse(before, outcome);
    return outcome;
  }

  /** One attempt. */
  private async send(request: Request, write: Write): Promise<Write['outcome']> {
    const { world } = this;
    const router = this.chance.pick(routerNames);
    const answer = await this.ask(router, request);
    const what = `write ${write.id} (${write.tags.length === 1 ? write.tags[0] : `${write.tags.length} events`})`;
    if (answer === 'not sent') return 'refused';
    if (answer === 'no answer') {
      world.note(this.name, `${what} by ${router}: no answer`);
      return 'unknown';
    }
    const { status, body } = answer;
    if (status === 200) {
      this.answered++;
      world.note(this.name, `${what} by ${router}: ${String(body.durability)} at ${String(body.position)}`);
      const position = world.promises.acknowledged(write, String(body.position));
      if (body.durability === 'stream') world.holdings.checkInStream(position);
      this.seen = merge(this.seen, position);
      return 'acknowledged';
    }
    world.note(this.name, `${what} by ${router}: ${status} ${String(body.code)}`);
    if (status === 500) throw new Violation('no request is answered 500', `${what}: ${String(body.detail)}`);
    if (status === 504) return 'unknown';
    // No item to change.
    if (status === 404 && write.bodies[0]?.kind === 'patch') return 'refused';
    // No signal to take back, or none that the leader knows.
    if ((status === 404 || status === 410) && write.bodies[0]?.kind === 'retraction') return 'refused';
    if (status !== 503 && status !== 507)
      throw new Violation('answers are valid', `${what}: ${status} ${String(body.detail)}`);
    return 'refused';
  }

  private compose(key: string | undefined): { request: Request; write: Write } {
    const { chance, pace, world } = this;
    const id = world.promises.writes.length;
    const bulk = chance.chance(pace.bulk);
    const kind = chance.weighted([
      ['signals', 10],
      ['items', pace.documents],
      ['embeddings', pace.documents / 3],
      ['delete', bulk ? 0 : pace.documents / 3],
      ['patch', bulk ? 0 : pace.documents / 2],
    ] as const);
    const entity = 1 + chance.below(pace.items);
    const headers: Record<string, string> = {};
    if (key !== undefined) headers['idempotency-key'] = key;
    if (chance.chance(pace.durabilityStream)) headers.prefer = 'durability=stream';
    const tags: string[] = [];
    const bodies: WriteBody[] = [];
    const done = (request: Request): { request: Request; write: Write } => ({
      request,
      write: { id, key, tags, bodies, outcome: 'open', positions: [] },
    });
    if (kind === 'delete') {
      tags.push(`delete ${entity}${key === undefined ? '' : ' by key'}`);
      bodies.push({ kind: 'delete', entity });
      return done({ method: 'DELETE', route: `/items/${entity}`, headers });
    }
    if (kind === 'patch') {
      const tag = world.nextTag();
      const changes = { tag, [chance.pick(['mood', 'place', 'year'])]: tag };
      tags.push(`item ${tag}`);
      bodies.push({ kind: 'patch', entity, changes });
      headers['content-type'] = 'application/merge-patch+json';
      return done({ method: 'PATCH', route: `/items/${entity}`, headers, body: JSON.stringify({ metadata: changes }) });
    }
    const one = (): unknown => {
      const tag = world.nextTag();
      const of = bulk ? 1 + chance.below(pace.items) : entity;
      if (kind === 'items') {
        tags.push(`item ${tag}`);
        const metadata = { title: `${chance.pick(['jazz', 'rock', 'folk'])} number ${tag}`, tag };
        // Further back than any clock is wrong, so that no leader takes it for the future.
        const createdMs = chance.chance(0.3)
          ? Math.floor(world.wallMs() - CREATED_AGO_MS - chance.below(1_000))
          : undefined;
        bodies.push({ kind: 'item', entity: of, metadata, ...(createdMs === undefined ? {} : { createdMs }) });
        const created = createdMs === undefined ? {} : { created_at: new Date(createdMs).toISOString() };
        return { entity_id: of, metadata, ...created };
      }
      if (kind === 'embeddings') {
        tags.push(`embedding ${tag}`);
        const values = [tag, chance.below(100)];
        bodies.push({ kind: 'embedding', entity: of, values: Float32Array.from(values) });
        return { entity_id: of, values };
      }
      tags.push(`signal ${tag}`);
      const late = chance.chance(0.2);
      const timeMs = late ? Math.floor(world.wallMs() - chance.exponential(2 * 3_600_000)) : undefined;
      const signal = chance.pick(['view', 'like', 'skip']);
      bodies.push({ kind: 'signal', entity: of, signal, weight: tag, timeMs });
      return { entity_id: of, signal, weight: tag / 1_000, ...(timeMs === undefined ? {} : { timestamp: timeMs }) };
    };
    headers['content-type'] = 'application/json';
    const all = Array.from({ length: bulk ? 1 + chance.below(8) : 1 }, one);
    if (!bulk) return done({ method: 'POST', route: `/${kind}`, headers, body: JSON.stringify(all[0]) });
    if (id % 2 === 0) return done({ method: 'POST', route: `/${kind}`, headers, body: JSON.stringify(all) });
    headers['content-type'] = 'application/x-ndjson';
    const body = all.map((write) => `${JSON.stringify(write)}\n`).join('');
    return done({ method: 'POST', route: `/${kind}`, headers, body });
  }

  /** A read at least as new as everything seen so far, judged by the union of the logs at the position it names. */
  private async read(): Promise<void> {
    const { chance, world, pace } = this;
    const entity = 1 + chance.below(pace.items);
    const own = chance.chance(0.8);
    const item = chance.chance(0.7);
    const query = new URLSearchParams();
    if (!item) query.set('profile', chance.pick(profiles));
    if (chance.chance(0.5)) query.set('region', chance.pick(regionNames));
    if (own && this.seen.size > 0) query.set('min_position', formatPosition(this.seen));
    const wanted = own ? this.seen : new Map<string, number>();
    const router = chance.pick(routerNames);
    const route = `${item ? `/items/${entity}` : '/feed'}?${query}`;
    const answer = await this.ask(router, { method: 'GET', route });
    if (typeof answer === 'string') return;
    const { status, body } = answer;
    if (status !== 200) {
      if (status === 500) throw new Violation('no request is answered 500', `${route}: ${String(body.detail)}`);
      if (status !== 503 && status !== 504 && !(status === 404 && item)) {
        throw new Violation('answers are valid', `${route}: ${status} ${String(body.detail)}`);
      }
      return;
    }
    this.answered++;
    const position = parsePosition(String(body.position))!;
    world.chronicle.requireFlushed(position, 'flushed before it is read', `${String(body.region)} to ${this.name}`);
    if (!covers(position, wanted)) {
      throw new Violation(
        'reads are monotonic',
        `${String(body.region)} answered ${String(body.position)} to ${route}`,
      );
    }
    if (own) this.seen = merge(this.seen, position);
    if (item) checkItem(world, entity, position, body);
  }

  private async ask(router: string, request: Request): Promise<Answer | 'not sent' | 'no answer'> {
    const { world } = this;
    const ended = new AbortController();
    const { scheduler } = world;
    const sentMs = scheduler.nowMs;
    const life = world.machine(router).life;
    const limit = scheduler.after(ANSWER_LIMIT_MS, () => ended.abort());
    try {
      const reply = await world.network.call(
        this.name,
        router,
        {
          method: request.method as 'GET',
          path: request.route,
          headers: request.headers ?? {},
          body: request.body ?? '',
          signal: ended.signal,
        },
        1_000,
      );
      return await parse(reply);
    } catch (error) {
      const { code, name } = error as { code?: string; name?: string };
      if (code === 'ECONNREFUSED' || code === 'UND_ERR_CONNECT_TIMEOUT') return 'not sent';
      if (code === undefined && name !== 'AbortError') throw error;
      if (
        name === 'AbortError' &&
        life?.alive === true &&
        !life.wasFrozen &&
        world.network.wasWhole(this.name, router, sentMs)
      ) {
        throw new Violation('every wait has a limit', `${request.method} ${request.route} was not answered`);
      }
      return 'no answer';
    } finally {
      limit.cancel();
    }
  }
}

async function parse({ statusCode, body }: HttpReply): Promise<Answer> {
  const text = Buffer.from(await body.arrayBuffer()).toString();
  try {
    return { status: statusCode, body: JSON.parse(text) as Record<string, unknown> };
  } catch {
    throw new Violation('answers are valid', `${statusCode} ${text}`);
  }
}

/** What may have happened after both: an unknown outcome stays one. */
function worse(before: Write['outcome'], now: Write['outcome']): Write['outcome'] {
  if (now === 'acknowledged' || before === 'open') return now;
  return before === 'unknown' || now === 'unknown' ? 'unknown' : now;
}

function checkItem(world: World, entity: number, position: Position, body: Record<string, unknown>): void {
  const expected = referenceItem(world.chronicle, position, entity);
  const where = `item ${entity} in ${String(body.region)} at ${String(body.position)}`;
  if (JSON.stringify(body.metadata) !== JSON.stringify(expected.metadata)) {
    const both = `${JSON.stringify(body.metadata)}, not ${JSON.stringify(expected.metadata)}`;
    throw new Violation('state is a function of the position', `${where} is ${both}`);
  }
  const signals = body.signals as Record<string, Record<string, number>>;
  for (const name of world.schema.signals.keys()) {
    const all = Math.round((signals[name]?.all ?? 0) * 1_000);
    const sum = expected.thousandths.get(name) ?? 0;
    if (all === sum) continue;
    throw new Violation('state is a function of the position', `${where} has ${name} ${all}, not ${sum} thousandths`);
  }
}
