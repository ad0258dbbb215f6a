/** A partition drill during which a region misses signals that were drawn before, and its return. */
import { Pool } from 'undici';
import type { Cluster } from '../../harness/processes/cluster.ts';

const CONNECTIONS = 4;
const WAIT_MS = 15_000;
const LIMIT_MS = 150_000;

/** Sends the bodies while the region is partitioned; returns the position behind all of them. */
export async function missed(cluster: Cluster, region: string, bodies: readonly Buffer[]): Promise<string> {
  await commanded(cluster, '/cluster/partition', { region });
  const pool = new Pool(cluster.url, { connections: CONNECTIONS, pipelining: 1 });
  try {
    return await sendAll(pool, bodies);
  } finally {
    await pool.destroy();
  }
}

/** ms from the request to heal the region until it has applied the position. */
export async function healed(cluster: Cluster, region: string, position: string): Promise<number> {
  const startMs = performance.now();
  await commanded(cluster, '/cluster/heal', { region });
  while (!(await reached(cluster, region, position))) {
    if (performance.now() - startMs > LIMIT_MS) throw new Error(`${region} is behind ${position}`);
  }
  return performance.now() - startMs;
}

async function commanded(cluster: Cluster, path: string, request: object): Promise<void> {
  const { status, body } = await cluster.post(path, request);
  if (status !== 200) throw new Error(`${path} answered ${status}: ${JSON.stringify(body)}`);
}

/** The position is of one origin, as one region leads throughout. */
async function sendAll(pool: Pool, bodies: readonly Buffer[]): Promise<string> {
  let next = 0;
  let last = '';
  const sequence = (position: string): number => Number(position.slice(position.lastIndexOf(':') + 1));
  const client = async (): Promise<void> => {
    while (next < bodies.length) {
      const body = bodies[next++]!;
      const headers = { 'content-type': 'application/x-ndjson' };
      const answer = await pool.request({ method: 'POST', path: '/signals', headers, body });
      const text = await answer.body.text();
      if (answer.statusCode !== 200) throw new Error(`/signals answered ${answer.statusCode}: ${text}`);
      const { position } = JSON.parse(text) as { readonly position: string };
      if (last === '' || sequence(position) > sequence(last)) last = position;
    }
  };
  await Promise.all(Array.from({ length: CONNECTIONS }, client));
  return last;
}

async function reached(cluster: Cluster, region: string, position: string): Promise<boolean> {
  const request = JSON.stringify({ position, limitMs: WAIT_MS });
  const { status, body } = await cluster.region<{ reached: boolean }>(region, '/internal/await', request);
  if (status !== 200) throw new Error(`${region} answered ${status}: ${JSON.stringify(body)}`);
  return body.reached;
}
