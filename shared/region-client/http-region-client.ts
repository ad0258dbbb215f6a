/**
 * A region's internal API over HTTP: two pools of kept connections, one for reads and one for everything else, so that a burst of
 * reads never delays a handover. Every call has a time limit on the given clock. After a call without an answer no earlier
 * connection is used again.
 */
import { Fault, messageOf, Refusal } from '../errors/errors.ts';
import { ConnectFailure, type OpenHttpPool } from '../http/http-pool.ts';
import { CERTIFICATE_CHALLENGE } from '../http/server-socket.ts';
import type { Clock } from '../kernel/kernel.ts';
import {
  PEER_ANSWER_LIMIT_MS,
  READ_ANSWER_LIMIT_MS,
  STATUS_LIMIT_MS,
  WRITES_ANSWER_LIMIT_MS,
} from '../protocol/deadlines.ts';
import type {
  AwaitRequest,
  CountDigestRequest,
  DrainReply,
  HandoverReply,
  KeyRunsRequest,
  SnapshotRequest,
} from '../protocol/internal.ts';
import { formatPosition } from '../protocol/position.ts';
import { formatVersion, OWN_VERSION, VERSION_HEADER } from '../protocol/version.ts';
import { readAwaited, readDigestCount, readKeyRuns, readSnapshot } from './read-answers.ts';
import type { ReadAnswer, RegionClient } from './region-client.ts';
import { RegionConnections } from './region-connections.ts';
import { malformed, type ReportedStatus, readPosition, readStatus } from './reported-status.ts';

const limits = {
  connectMs: 1_000,
  partitionMs: 5_000,
  /** A region scans its items, and a blocked one rebuilds its state. */
  quarantineMs: 60_000,
  /** Added to the time that the region itself may wait. */
  graceMs: 1_000,
  answerBytes: 64 * 1024 * 1024,
} as const;

const versionHeader = { [VERSION_HEADER]: formatVersion(OWN_VERSION) };

const passedOn = ['content-type', 'retry-after', 'x-tidal-position', 'etag', 'cache-control'] as const;

const UNAUTHENTICATED = 401;

type Pool = 'control' | 'reads';

export interface HttpRegionClientOptions {
  readonly region: string;
  /** Base URL of the region's internal API. */
  readonly url: string;
  readonly clock: Clock;
  /** Maximum connections of each pool. */
  readonly connections: Readonly<Record<Pool, number>>;
  readonly statusLimitMs: number;
  /** Sent with every request. */
  readonly headers?: () => Readonly<Record<string, string>>;
  /** The production pool when absent. */
  readonly openPool?: OpenHttpPool | undefined;
}

interface Call {
  readonly pool?: Pool;
  readonly method: 'GET' | 'POST';
  readonly path: string;
  /** A text is JSON already. */
  readonly body?: unknown;
  readonly headers?: Readonly<Record<string, string>>;
  readonly limitMs: number;
  readonly unwanted?: AbortSignal | undefined;
  readonly reserve?: ((bytes: number) => void) | undefined;
}

export function createHttpRegionClient(options: HttpRegionClientOptions): RegionClient {
  const { region, url, clock, statusLimitMs, headers: always = () => ({}), openPool } = options;
  const connections = new RegionConnections({
    url,
    limits: options.connections,
    connectMs: limits.connectMs,
    answerLimitBytes: limits.answerBytes,
    openPool,
  });

  const call = async (request: Call): Promise<ReadAnswer> => {
    const { pool = 'control', method, path, body, headers, limitMs, unwanted, reserve } = request;
    const ended = new AbortController();
    const giveUp = (): void => ended.abort();
    unwanted?.addEventListener('abort', giveUp, { once: true });
    const timer = clock.after(limitMs, giveUp);
    const pools = connections.current;
    try {
      const answer = await pools[pool].request({
        method,
        path,
        signal: ended.signal,
        headers: {
          ...headers,
          ...versionHeader,
          ...always(),
          ...(body === undefined ? {} : { 'content-type': 'application/json' }),
        },
        ...(body === undefined ? {} : { body: typeof body === 'string' ? body : JSON.stringify(body) }),
      });
      if (reserve !== undefined) {
        try {
          reserve(Number(answer.headers['content-length'] ?? 0));
        } catch (error) {
          // Its bytes are discarded, and so are their errors.
          answer.body.arrayBuffer().catch(() => {});
          ended.abort();
          throw error;
        }
      }
      if (answer.statusCode === UNAUTHENTICATED) {
        answer.body.arrayBuffer().catch(() => {});
        const lacking =
          answer.headers['www-authenticate'] === CERTIFICATE_CHALLENGE
            ? 'certificate of this process (TIDAL_TLS_CERT_FILE)'
            : 'internal secret of this process';
        throw new Fault('not_admitted', `${region} does not accept the ${lacking}`);
      }
      const kept: Record<string, string> = {};
      for (const name of passedOn) {
        const value = answer.headers[name];
        if (typeof value === 'string') kept[name] = value;
      }
      return { status: answer.statusCode, headers: kept, body: Buffer.from(await answer.body.arrayBuffer()) };
    } catch (error) {
      if (error instanceof Refusal || (error instanceof Fault && error.code === 'not_admitted')) throw error;
      if (unwanted?.aborted === true) throw new Fault('no_answer', 'the client has closed the connection');
      connections.leave(pools);
      throw translate(region, error, limitMs);
    } finally {
      timer.cancel();
      unwanted?.removeEventListener('abort', giveUp);
    }
  };
  const bytes = async (request: Call): Promise<Buffer> => {
    const { status, body } = await call(request);
    if (status === 200) return body;
    throw (
      Refusal.fromProblem(json(body)) ?? malformed(region, `answered ${status} to ${request.path} without a known code`)
    );
  };
  const ask = async <T>(request: Call): Promise<T> => {
    const value = json(await bytes(request));
    if (value === undefined) throw malformed(region, `answered ${request.path} without JSON`);
    return value as T;
  };
  const get = (path: string): Promise<Buffer> => bytes({ method: 'GET', path, limitMs: PEER_ANSWER_LIMIT_MS });
  const askStatus = async (request: Call): Promise<ReportedStatus> => readStatus(region, await ask(request));

  return {
    region,
    writes: (request, requestId) =>
      ask({
        method: 'POST',
        path: '/internal/writes',
        body: request,
        headers: { 'x-request-id': requestId },
        limitMs: WRITES_ANSWER_LIMIT_MS,
      }),
    status: () => askStatus({ method: 'GET', path: '/internal/status', limitMs: statusLimitMs }),
    refreshLeadership: () =>
      askStatus({ method: 'POST', path: '/internal/leadership', body: {}, limitMs: statusLimitMs }),
    async handover(request, limitMs) {
      const path = '/internal/handover';
      const reply = await ask<Partial<HandoverReply> | null>({ method: 'POST', path, body: request, limitMs });
      return readPosition(region, reply?.durable);
    },
    async await({ position, limitMs }) {
      const body: AwaitRequest = { position: formatPosition(position), limitMs };
      const reply = await ask({
        method: 'POST',
        path: '/internal/await',
        body,
        limitMs: limitMs + limits.graceMs,
      });
      return readAwaited(region, reply);
    },
    async drain(request) {
      const limitMs = request.limitMs + STATUS_LIMIT_MS;
      const reply = await ask<Partial<DrainReply> | null>({
        method: 'POST',
        path: '/internal/drain',
        body: request,
        limitMs,
      });
      return reply?.drained === true;
    },
    setPartitioned: (request) =>
      askStatus({ method: 'POST', path: '/internal/partition', body: request, limitMs: limits.partitionMs }),
    retireDisk: (request) =>
      askStatus({ method: 'POST', path: '/internal/retire-disk', body: request, limitMs: limits.partitionMs }),
    async countDigest({ id, covering }) {
      const body: CountDigestRequest = { id, covering: formatPosition(covering) };
      return readDigestCount(
        region,
        await ask({ method: 'POST', path: '/internal/digest-counts', body, limitMs: statusLimitMs }),
      );
    },
    async quarantine(range) {
      await ask({ method: 'POST', path: '/internal/quarantine', body: range, limitMs: limits.quarantineMs });
    },
    async keyRuns(ids) {
      const body: KeyRunsRequest = { ids };
      const limitMs = statusLimitMs;
      return readKeyRuns(region, await ask({ method: 'POST', path: '/internal/key-runs', body, limitMs }), ids.length);
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
    log: (origin, from) => get(`/internal/log/${encodeURIComponent(origin)}?from=${from}`),
    async snapshot(covering = new Map()) {
      const body: SnapshotRequest = { covering: formatPosition(covering) };
      const limitMs = PEER_ANSWER_LIMIT_MS;
      return readSnapshot(region, await ask({ method: 'POST', path: '/internal/snapshot', body, limitMs }));
    },
    snapshotPart: (id, offset) => get(`/internal/snapshot/${encodeURIComponent(id)}?offset=${offset}`),
    close: () => connections.close(),
  };
}

/** Undefined if it is not JSON. */
function json(bytes: Buffer): unknown {
  try {
    return JSON.parse(bytes.toString());
  } catch {
    return undefined;
  }
}

const refusedConnections = new Set(['ECONNREFUSED', 'ENOTFOUND', 'EAI_AGAIN', 'UND_ERR_CONNECT_TIMEOUT']);

/** `not_sent` only if the connection itself failed; everything else may have reached the region. */
function translate(region: string, error: unknown, limitMs: number): Fault {
  if (error instanceof ConnectFailure) {
    const code = error.credentials ? 'not_admitted' : 'not_sent';
    return new Fault(code, `${region} cannot be reached: ${error.message}`, { cause: error });
  }
  const { code, syscall, name } = error as { code?: unknown; syscall?: unknown; name?: unknown };
  if ((typeof code === 'string' && refusedConnections.has(code)) || syscall === 'connect') {
    return new Fault('not_sent', `${region} cannot be reached: ${messageOf(error)}`, { cause: error });
  }
  if (name === 'AbortError')
    return new Fault('timed_out', `${region} did not answer within ${limitMs} ms`, { cause: error });
  return new Fault('no_answer', `${region} did not answer: ${messageOf(error)}`, { cause: error });
}
