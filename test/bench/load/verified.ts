/** `POST /cluster/verify` until it says something: at first regions may still be counting their state. */
import type { Cluster } from '../../harness/processes/cluster.ts';

/** A router answers after 30 s at the latest. */
const LIMIT_MS = 600_000;

export interface Verification {
  readonly converged: boolean | null;
  readonly reason?: string;
  /** From the first question to this answer, and how many were asked. */
  readonly tookMs: number;
  readonly questions: number;
}

export async function verified(cluster: Cluster): Promise<Verification> {
  const startMs = performance.now();
  for (let questions = 1; ; questions++) {
    // Counting may take longer than other requests of a test are given.
    const signal = AbortSignal.timeout(LIMIT_MS);
    const response = await fetch(`${cluster.url}/cluster/verify`, { method: 'POST', signal });
    const body = (await response.json()) as Pick<Verification, 'converged' | 'reason'>;
    if (response.status !== 200) throw new Error(`verify answered ${response.status}: ${JSON.stringify(body)}`);
    const answer = { ...body, tookMs: performance.now() - startMs, questions };
    if (body.converged !== null || answer.tookMs > LIMIT_MS) return answer;
  }
}
