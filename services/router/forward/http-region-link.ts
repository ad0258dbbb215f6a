/**
 * A region link over HTTP: two pools of kept connections, one for reads and one for writes and control, so that a burst
 * of reads never delays a handover. Every call has a time limit on the given clock. After one without an answer no
 * connection of before is used again.
 */

import { Fault, messageOf, Refusal } from '../../../shared/errors/errors.ts';
import type { OpenHttpPool } from '../../../shared/http/http-pool.ts';
import { RegionConnections } from '../../../shared/http/region-connections.ts';
import type { Clock } from '../../../shared/kernel/kernel.ts';
import { READ_ANSWER_LIMIT_MS, STATUS_LIMIT_MS, WRITES_ANSWER_LIMIT_MS } from '../../../shared/protocol/deadlines.ts';
import {
  formatRouterClock,
  type RegionStatus,
  ROUTER_CLOCK_HEADER,
  statusOf,
} from '../../../shared/protocol/internal.ts';
import type { RegionEntry } from '../../../shared/topology/topology.ts';
import type { ReadAnswer, RegionLink } from './forward.ts';

const limits = {
  connectMs: 1_000,
  partitionMs: 5_000,
  /** A region looks through its items, and a blocked one builds its state. */
  quarantineMs: 60_000,
  /** Added to what the region itself was told to wait. */
  graceMs: 1_000,
  answerBytes: 64 * 1024 * 1024,
  controlConnections: 16,
  readConnections: 64,
} as const;

const passedOn = ['content-type', 'retry-after', 'x-tidal-position'] as const;

export interface HttpRegionLinkOptions {
  readonly entry: RegionEntry;
  readonly clock: Clock;
  /** This router's own name: no two routers have one. */
  readonly router: string;
  /** The production pool when absent. */
  readonly openPool?: OpenHttpPool;
}

interface Call {
  readonly pool: 'control' | 'reads';
  readonly method: 'GET' | 'POST';
  readonly path: string;
  /** A text is JSON already. */
  readonly body?: unknown;
  readonly headers?: Readonly<Record<string, string>>;
  readonly limitMs: number;
  readonly unwanted?: AbortSignal | undefined;
  readonly reserve?: ((bytes: number) => void) | undefined;
}

export function createHttpRegionLink({ entry, clock, router, openPool }: HttpRegionLinkOptions): RegionLink {
  const connections = new RegionConnections({
    url: entry.url,
    limits: { control: limits.controlConnections, reads: limits.readConnections },
    connectMs: limits.connectMs,
    answerLimitBytes: limits.answerBytes,
    openPool,
  });

  const call = async (request: Call): Promise<ReadAnswer> => {
    const { pool, method, path, body, headers, limitMs, unwanted, reserve } = request;
    const ended = new AbortController();
    const giveUp = (): void => ended.abort();
    unwanted?.addEventListener('abort', giveUp, { once: true });
    const timer = clock.after(limitMs, () => ended.abort());
    const pools = connections.current;
    try {
      const answer = await pools[pool].request({
        method,
        path,
        signal: ended.signal,
        headers: {
          ...headers,
          [ROUTER_CLOCK_HEADER]: formatRouterClock({ router, clockMs: clock.nowMs() }),
          ...(body === undefined ? {} : { 'content-type': 'application/json' }),
        },
        ...(body === undefined ? {} : { body: typeof body === 'string' ? body : JSON.stringify(body) }),
      });
      if (reserve !== undefined) {
        try {
          reserve(Number(answer.headers['content-length'] ?? 0));
        } catch (error) {
          // Its bytes are not wanted, and an error of theirs is nobody's.
          answer.body.arrayBuffer().catch(() => {});
          ended.abort();
          throw error;
        }
      }
      const kept: Record<string, string> = {};
      for (const name of passedOn) {
        const value = answer.headers[name];
        if (typeof value === 'string') kept[name] = value;
      }
      return { status: answer.statusCode, headers: kept, body: Buffer.from(await answer.body.arrayBuffer()) };
    } catch (error) {
      if (error instanceof Refusal) throw error;
      if (unwanted?.aborted === true) throw new Fault('no_answer', 'the client has closed the connection');
      connections.leave(pools);
      throw translate(entry.name, error, limitMs);
    } finally {
      timer.cancel();
      unwanted?.removeEventListener('abort', giveUp);
    }
  };
  const ask = async <T>(request: Omit<Call, 'pool'>): Promise<T> => {
    const { status, body } = await call({ pool: 'control', ...request });
    let value: unknown;
    try {
      value = JSON.parse(body.toString());
    } catch {
      throw new Fault('no_answer', `${entry.name} answered ${status} without JSON`);
    }
    if (status === 200) return value as T;
    throw Refusal.fromProblem(value) ?? new Fault('no_answer', `${entry.name} answered ${status} without a known code`);
  };
  const askStatus = async (request: Omit<Call, 'pool'>): Promise<RegionStatus> => {
    return statusOf(entry.name, await ask<unknown>(request));
  };

  return {
    region: entry.name,
    writes: (request, requestId) =>
      ask({
        method: 'POST',
        path: '/internal/writes',
        body: request,
        headers: { 'x-request-id': requestId },
        limitMs: WRITES_ANSWER_LIMIT_MS,
      }),
    status: () => askStatus({ method: 'GET', path: '/internal/status', limitMs: STATUS_LIMIT_MS }),
    refreshLeadership: () =>
      askStatus({ method: 'POST', path: '/internal/leadership', body: {}, limitMs: STATUS_LIMIT_MS }),
    handover: (request, limitMs) => ask({ method: 'POST', path: '/internal/handover', body: request, limitMs }),
    await: (request) =>
      ask({
        method: 'POST',
        path: '/internal/await',
        body: request,
        limitMs: request.limitMs + limits.graceMs,
      }),
    drain: (request) =>
      ask({ method: 'POST', path: '/internal/drain', body: request, limitMs: request.limitMs + STATUS_LIMIT_MS }),
    setPartitioned: (request) =>
      askStatus({ method: 'POST', path: '/internal/partition', body: request, limitMs: limits.partitionMs }),
    retireDisk: (request) =>
      askStatus({ method: 'POST', path: '/internal/retire-disk', body: request, limitMs: limits.partitionMs }),
    digests: () => ask({ method: 'GET', path: '/internal/digests', limitMs: STATUS_LIMIT_MS }),
    async quarantine(range) {
      await ask({ method: 'POST', path: '/internal/quarantine', body: range, limitMs: limits.quarantineMs });
    },
    read: ({ path, query, headers, body, unwanted, reserve }) =>
      call({
        pool: 'reads',
        method: body === undefined ? 'GET' : 'POST',
        path: query === '' ? path : `${path}?${query}`,
        headers,
        body,
        limitMs: READ_ANSWER_LIMIT_MS,
        unwanted,
        reserve,
      }),
    close: () => connections.close(),
  };
}

const refusedConnections = new Set(['ECONNREFUSED', 'ENOTFOUND', 'EAI_AGAIN', 'UND_ERR_CONNECT_TIMEOUT']);

/** `not_sent` only where the connection itself failed; everything else may have reached the region. */
function translate(region: string, error: unknown, limitMs: number): Fault {
  const { code, syscall, name } = error as { code?: unknown; syscall?: unknown; name?: unknown };
  if ((typeof code === 'string' && refusedConnections.has(code)) || syscall === 'connect') {
    return new Fault('not_sent', `${region} cannot be reached: ${messageOf(error)}`, { cause: error });
  }
  if (name === 'AbortError')
    return new Fault('timed_out', `${region} did not answer within ${limitMs} ms`, { cause: error });
  return new Fault('no_answer', `${region} did not answer: ${messageOf(error)}`, { cause: error });
}
