/** A peer over its internal HTTP API. */
import { Fault, type FaultCode, messageOf, type ProblemCode, Refusal } from '../../../shared/errors/errors.ts';
import type { HttpCall, OpenHttpPool } from '../../../shared/http/http-pool.ts';
import { RegionConnections } from '../../../shared/http/region-connections.ts';
import type { Clock } from '../../../shared/kernel/kernel.ts';
import { PEER_ANSWER_LIMIT_MS, PEER_STATUS_LIMIT_MS } from '../../../shared/protocol/deadlines.ts';
import { type SnapshotRequest, snapshotOf, statusOf } from '../../../shared/protocol/internal.ts';
import { formatPosition } from '../../../shared/protocol/position.ts';
import type { PeerLink } from './peers.ts';

/** Refusals of a peer that callers distinguish; all others are `peer_refused`. */
const passedOn = ['log_trimmed', 'snapshot_gone', 'not_ready'] as const satisfies readonly (ProblemCode & FaultCode)[];

type Question = Omit<HttpCall, 'signal'>;

export interface HttpPeerLinkOptions {
  readonly region: string;
  /** Base URL of the peer's internal API. */
  readonly url: string;
  readonly clock: Clock;
  /** The production pool when absent. */
  readonly openPool?: OpenHttpPool;
}

export function createHttpPeerLink({
  region,
  url,
  clock,
  openPool,
}: HttpPeerLinkOptions): PeerLink & { close(): Promise<void> } {
  const connections = new RegionConnections({ url, limits: { peer: 2 }, connectMs: PEER_STATUS_LIMIT_MS, openPool });
  const get = (path: string, timeoutMs: number): Promise<Buffer> => call({ method: 'GET', path }, timeoutMs);
  const call = async (question: Question, timeoutMs: number): Promise<Buffer> => {
    const pools = connections.current;
    const ended = new AbortController();
    const timer = clock.after(timeoutMs, () => ended.abort());
    try {
      const { statusCode, body } = await pools.peer.request({ ...question, signal: ended.signal });
      const bytes = Buffer.from(await body.arrayBuffer());
      if (statusCode === 200) return bytes;
      const code = refusalIn(bytes)?.code;
      const known = passedOn.find((each) => each === code) ?? 'peer_refused';
      throw new Fault(known, `${region} answered ${statusCode} ${code ?? ''} to ${question.path}`);
    } catch (error) {
      if (error instanceof Fault) throw error;
      connections.leave(pools);
      throw new Fault('peer_unreachable', `${region}: ${messageOf(error)}`, { cause: error });
    } finally {
      timer.cancel();
    }
  };
  return {
    region,
    async status() {
      return statusOf(region, json(await get('/internal/status', PEER_STATUS_LIMIT_MS), region));
    },
    log: (origin, from) => get(`/internal/log/${encodeURIComponent(origin)}?from=${from}`, PEER_ANSWER_LIMIT_MS),
    async snapshot(covering = new Map()) {
      const request: SnapshotRequest = { covering: formatPosition(covering) };
      const bytes = await call(
        {
          method: 'POST',
          path: '/internal/snapshot',
          headers: { 'content-type': 'application/json' },
          body: JSON.stringify(request),
        },
        PEER_ANSWER_LIMIT_MS,
      );
      return snapshotOf(region, json(bytes, region));
    },
    snapshotPart: (id, offset) =>
      get(`/internal/snapshot/${encodeURIComponent(id)}?offset=${offset}`, PEER_ANSWER_LIMIT_MS),
    close: () => connections.close(),
  };
}

function json(bytes: Buffer, region: string): unknown {
  try {
    return JSON.parse(bytes.toString('utf8'));
  } catch {
    throw new Fault('no_answer', `${region} answered without JSON`);
  }
}

/** Undefined if the answer is not a known problem. */
function refusalIn(bytes: Buffer): Refusal | undefined {
  try {
    return Refusal.fromProblem(JSON.parse(bytes.toString('utf8')));
  } catch {
    return undefined;
  }
}
