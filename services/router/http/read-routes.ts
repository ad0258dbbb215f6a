/**
 * The read routes: forwarded to one region, whose answer is returned. `region=` chooses it; otherwise the leader, otherwise the
 * most advanced region that answers. A read changes nothing and may be repeated elsewhere, but only if the region did no work for
 * it: a read that one region did not finish in time would keep the next one just as busy.
 */
import type { Router } from '@koa/router';
import type { Context } from 'koa';
import { Fault, messageOf, Refusal } from '../../../shared/errors/errors.ts';
import { answerShareOf } from '../../../shared/http/answer-budget.ts';
import type { BodyBudget } from '../../../shared/http/body-budget.ts';
import { decodeText, readBody, requireType } from '../../../shared/http/http-body.ts';
import { requestIdOf } from '../../../shared/http/http-server.ts';
import { parseJson } from '../../../shared/http/json-text.ts';
import { HEAD_LIMIT_BYTES } from '../../../shared/http/request-flaws.ts';
import { assert, type Clock } from '../../../shared/kernel/kernel.ts';
import type { Turns } from '../../../shared/kernel/turns.ts';
import { entityIdOfPath } from '../../../shared/protocol/entity-id.ts';
import { CURSOR_LIMIT_CHARACTERS, EXCLUDE_LIMIT, EXCLUDE_LIMIT_CHARACTERS } from '../../../shared/protocol/internal.ts';
import { totalOf } from '../../../shared/protocol/position.ts';
import { hasTimedOut, type ReadAnswer, type ReadRequest } from '../../../shared/region-client/region-client.ts';
import type { Topology } from '../../../shared/topology/topology.ts';
import type { LeadershipView, RegionsView } from '../cluster/cluster.ts';
import type { RegionLink, RegionLinks } from '../links/links.ts';
import { unknownRegion } from './region-name.ts';

/** A refusal that took longer followed work, or a wait that would be the same elsewhere. */
const REFUSAL_MS = 1_000;
const PARAMETER_LIMIT = 4_096;
/** The text of a search: a region says how much of a long one it uses. */
const TEXT_LIMIT = 32_768;
/** A position has an entry for every term a region ever had: 2,000 of the longest fit. */
const POSITION_LIMIT = 131_072;
/** The shortest entry, `a@aaaaaaaaaa:1,`, grows most by percent-encoding: three of its 15 characters take two more each. */
const PERCENT_ENCODED = 21 / 15;
/** Each comma takes two more. */
const EXCLUDE_BYTES = EXCLUDE_LIMIT_CHARACTERS + 2 * EXCLUDE_LIMIT;
assert(
  POSITION_LIMIT * PERCENT_ENCODED + CURSOR_LIMIT_CHARACTERS + EXCLUDE_BYTES < HEAD_LIMIT_BYTES,
  'the head of a request has capacity for a position, a cursor and excluded ids, at the router and at the region',
);
const parameterLimits: Readonly<Record<string, number | undefined>> = {
  query: TEXT_LIMIT,
  min_position: POSITION_LIMIT,
  cursor: CURSOR_LIMIT_CHARACTERS,
  exclude: EXCLUDE_LIMIT_CHARACTERS,
};

export interface ReadRoutesOptions {
  /** Absent: turns are not watched. */
  readonly turns?: Turns | undefined;
  readonly topology: Topology;
  readonly links: RegionLinks;
  readonly leadership: LeadershipView;
  readonly regions: RegionsView;
  readonly maxBodyBytes: number;
  readonly budget: BodyBudget;
  readonly clock: Clock;
}

export function addReadRoutes(router: Router, options: ReadRoutesOptions): void {
  const { topology, links, leadership, regions, clock, maxBodyBytes, budget, turns } = options;

  /** The regions to ask without `region=`, best first. */
  const candidates = (): RegionLink[] => {
    const leader = leadership.current?.leader;
    const rank = (link: RegionLink): number => {
      const known = regions.known(link.region);
      if (known?.reachable === false) return -1;
      if (link.region === leader) return Number.POSITIVE_INFINITY;
      return known === undefined || !known.status.ready ? 0 : 1 + totalOf(known.status.applied);
    };
    const ranked = [...links.values()].map((link) => ({ link, rank: rank(link) }));
    return ranked.sort((a, b) => (a.rank === b.rank ? 0 : b.rank - a.rank)).map(({ link }) => link);
  };

  const pass = (ctx: Context, path: string): Promise<void> => passTo(ctx, { path, ...splitQuery(ctx.querystring) });

  const passTo = async (ctx: Context, { region, ...what }: Passed): Promise<void> => {
    turns?.mark('forward');
    const request = requestOf(ctx, what);
    if (region !== undefined) {
      const link = links.get(region);
      if (link === undefined) throw unknownRegion(region, topology);
      const answer = await readFrom(link, request);
      turns?.mark('forward');
      send(ctx, answer);
      return;
    }
    const failures: string[] = [];
    let refused: ReadAnswer | undefined;
    for (const link of candidates()) {
      const startMs = clock.monotonicMs();
      try {
        const answer = await link.read(request);
        turns?.mark('forward');
        if (answer.status !== 503 || clock.monotonicMs() - startMs > REFUSAL_MS) {
          send(ctx, answer);
          return;
        }
        refused ??= answer;
      } catch (error) {
        if (!(error instanceof Fault)) throw error;
        failures.push(messageOf(error));
        if (hasTimedOut(error)) break;
      }
    }
    if (refused !== undefined) send(ctx, refused);
    else throw unreachable(failures.join('; ') || 'no region answers', 'ask again, or for less');
  };

  /** The request to a region on behalf of this client, as long as the client waits. */
  const requestOf = (ctx: Context, what: Omit<Passed, 'region'>): ReadRequest => {
    const position = ctx.get('x-tidal-position');
    if (position.length > POSITION_LIMIT) throw tooLong('x-tidal-position', POSITION_LIMIT);
    const unwanted = new AbortController();
    ctx.res.once('close', () => {
      if (!ctx.res.writableFinished) unwanted.abort();
    });
    return {
      ...what,
      headers: { 'x-request-id': requestIdOf(ctx), ...(position === '' ? {} : { 'x-tidal-position': position }) },
      unwanted: unwanted.signal,
      reserve: (bytes) => answerShareOf(ctx).grow(bytes),
    };
  };

  const readFrom = async (link: RegionLink, request: ReadRequest): Promise<ReadAnswer> => {
    try {
      return await link.read(request);
    } catch (error) {
      if (!(error instanceof Fault)) throw error;
      const hint = hasTimedOut(error)
        ? 'ask again, or for less'
        : 'leave out region= to be answered by any region that can';
      throw unreachable(messageOf(error), hint);
    }
  };

  router.get('/feed', (ctx) => pass(ctx, '/feed'));
  router.get('/search', (ctx) => pass(ctx, '/search'));
  router.get('/suggest', (ctx) => pass(ctx, '/suggest'));
  for (const path of ['/feed', '/search']) {
    router.post(path, async (ctx) => {
      requireType(ctx, ['application/json']);
      const share = budget.share(ctx.req.socket.remoteAddress);
      try {
        const body = decodeText(await readBody(ctx, maxBodyBytes, share.take));
        await passTo(ctx, { path, query: '', region: regionOf(parseJson(body)), body });
      } finally {
        share.giveBack();
      }
    });
  }
  router.get('/items', (ctx) => pass(ctx, '/items'));
  router.get('/items/:id', (ctx) => pass(ctx, `/items/${entityIdOfPath(ctx.params.id)}`));
}

interface Passed extends Pick<ReadRequest, 'path' | 'query' | 'body'> {
  /** The region that the client chose. */
  readonly region: string | undefined;
}

/** The region that a body chooses; that region checks everything else in it. */
function regionOf(body: unknown): string | undefined {
  const region = typeof body === 'object' && body !== null && 'region' in body ? body.region : undefined;
  if (region === undefined || typeof region === 'string') return region;
  throw new Refusal('invalid_request', 'region must be a name', {
    errors: [{ path: 'region', message: 'not a name' }],
  });
}

/** Removes `region`; the rest is forwarded unchanged. */
function splitQuery(querystring: string): { readonly region: string | undefined; readonly query: string } {
  const parameters = new URLSearchParams(querystring);
  for (const [name, value] of parameters) {
    const limit = (Object.hasOwn(parameterLimits, name) ? parameterLimits[name] : undefined) ?? PARAMETER_LIMIT;
    if (name.length > limit || value.length > limit) throw tooLong(name, limit);
  }
  const asked = parameters.getAll('region');
  if (asked.length > 1) throw new Refusal('invalid_request', 'region= may be given once');
  if (asked.length === 0) return { region: undefined, query: querystring };
  parameters.delete('region');
  return { region: asked[0], query: parameters.toString() };
}

function unreachable(detail: string, hint: string): Refusal {
  return new Refusal('region_unreachable', detail, { hint });
}

function tooLong(name: string, limit: number): Refusal {
  const path = name.slice(0, 64);
  const message = `must have at most ${limit} characters`;
  return new Refusal('invalid_request', `${path} ${message}`, { errors: [{ path, message }] });
}

function send(ctx: Context, { status, headers, body }: ReadAnswer): void {
  ctx.status = status;
  ctx.body = body;
  for (const [name, value] of Object.entries(headers)) ctx.set(name, value);
  // The client has what it would get (`If-None-Match`).
  if (status !== 200 || !ctx.fresh) return;
  ctx.body = null;
  ctx.status = 304;
}
