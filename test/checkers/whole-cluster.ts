/** All checkers together, at the end of a run whose faults are healed: the cluster converges by itself, and lost nothing. */
import type { Acknowledged } from '../harness/clients/acknowledged.ts';
import type { Cluster } from '../harness/processes/cluster.ts';
import { checkAcknowledged } from './acknowledged-writes.ts';
import { checkLogs } from './logs.ts';
import { checkTimes } from './times.ts';

export interface Checked {
  /** Which region accepted in each epoch. */
  readonly accepting: ReadonlyMap<number, string>;
  /** Events in the log. */
  readonly events: number;
}

export async function checkWholeCluster(cluster: Cluster, told: Acknowledged, limitMs = 60_000): Promise<Checked> {
  await cluster.settled(limitMs);
  await cluster.converged(limitMs);
  await checkAcknowledged(cluster, told);
  const accepting = await checkLogs(cluster);
  return { accepting, events: await checkTimes(cluster, told) };
}
