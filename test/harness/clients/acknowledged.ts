/**
 * What was acknowledged to clients, and must therefore exist. Every write goes to an entity of its own counter, so that a lost
 * write and a doubled one are both seen in the sums.
 */
import { checkAcknowledged } from '../../checkers/acknowledged-writes.ts';
import type { Cluster } from '../processes/cluster.ts';
import { keyHeaders } from './keys.ts';

/** What is asked of a cluster, of processes or of containers. */
export type CheckedCluster = Pick<Cluster, 'url' | 'regionNames' | 'get' | 'post' | 'converged'>;

/** One write that was answered with 200. */
export interface Acknowledgement {
  readonly entity: number;
  readonly position: string;
  readonly durability: string;
  /** It was taken before, under the same idempotency key. */
  readonly replayed: boolean;
  /** Time of the answer, epoch ms. */
  readonly atMs: number;
}

/** The outcome of one request. `status` 0: no answer; `sent` false: it was certainly not sent. */
export interface Told {
  readonly status: number;
  readonly sent: boolean;
  readonly body: Readonly<Record<string, unknown>>;
}

export interface Refused {
  readonly status: number;
  readonly code: unknown;
}

export class Acknowledged {
  /** Sum of acknowledged weights, by entity. */
  readonly sure = new Map<number, number>();
  /** Weights with an unknown outcome, by entity: each may count once or not at all. */
  readonly unknown = new Map<number, number>();
  readonly acknowledgements: Acknowledgement[] = [];
  /** Answers that were neither 200 nor an unknown outcome. */
  readonly refused: Refused[] = [];
  /** Number of each answer: `200 stream`, `503 no_leader`, `0 ECONNREFUSED`. */
  readonly answers = new Map<string, number>();

  get count(): number {
    return this.acknowledgements.length;
  }

  /** Writes one `view` and remembers the outcome. Answers the status; 0 when no answer came. */
  async view(cluster: CheckedCluster, entity: number, url = cluster.url): Promise<number> {
    const told = await sendView(url, entity);
    this.note(entity, told);
    return told.status;
  }

  note(entity: number, { status, sent, body }: Told): void {
    add(this.answers, `${status} ${String(body.code ?? body.durability)}`);
    if (status === 200) this.acknowledge(entity, body);
    else if (status === 504 || status === 500 || (status === 0 && sent)) this.doubt(entity);
    else this.refused.push({ status, code: body.code });
  }

  acknowledge(entity: number, body: Told['body']): void {
    add(this.sure, entity);
    this.acknowledgePlace(entity, body);
  }

  /** A write that is not counted: its position was acknowledged. */
  acknowledgePlace(entity: number, body: Told['body']): void {
    const { position, durability, replayed } = body;
    this.acknowledgements.push({
      entity,
      position: String(position),
      durability: String(durability),
      replayed: replayed === true,
      atMs: Date.now(),
    });
  }

  /** It may count once or not at all. */
  doubt(entity: number): void {
    add(this.unknown, entity);
  }

  /** Adds what was acknowledged to others. */
  add(others: Acknowledged): void {
    for (const [entity, weight] of others.sure) add(this.sure, entity, weight);
    for (const [entity, weight] of others.unknown) add(this.unknown, entity, weight);
    this.acknowledgements.push(...others.acknowledgements);
    this.refused.push(...others.refused);
    for (const [answer, times] of others.answers) add(this.answers, answer, times);
  }

  /** Every region shows, for every entity, what was acknowledged, and at most what may have happened besides. */
  check(cluster: CheckedCluster): Promise<void> {
    return checkAcknowledged(cluster, this);
  }
}

/** One `view`; never throws. */
export async function sendView(url: string, entity: number, key?: string): Promise<Told> {
  try {
    const response = await fetch(`${url}/signals`, {
      method: 'POST',
      headers: {
        'content-type': 'application/json',
        ...keyHeaders(url),
        ...(key === undefined ? {} : { 'idempotency-key': key }),
      },
      body: JSON.stringify({ entity_id: entity, signal: 'view' }),
      // Above the router's own bound: 10 s in its queue and 10 s for the leader's answer.
      signal: AbortSignal.timeout(25_000),
    });
    return { status: response.status, sent: true, body: (await response.json()) as Record<string, unknown> };
  } catch (error) {
    const { code } = ((error as Error).cause ?? {}) as { code?: unknown };
    return { status: 0, sent: code !== 'ECONNREFUSED', body: { code: code ?? (error as Error).name } };
  }
}

function add<K>(map: Map<K, number>, key: K, weight = 1): void {
  map.set(key, (map.get(key) ?? 0) + weight);
}
