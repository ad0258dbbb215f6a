/** All checkers together, at the end of a run whose faults are healed: the cluster converges by itself, and lost nothing. */
import type { Acknowledged } from '../harness/acknowledged.ts';
import type { Cluster } from '../harness/cluster.ts';
import { checkAcknowledged } from './acknowledged-writes.ts';
import { checkLogs } from './logs.ts';

/** Answers which region accepted in each epoch. */
export async function checkWholeCluster(
  cluster: Cluster,
  told: Acknowledged,
  limitMs = 60_000,
): Promise<ReadonlyMap<number, string>> {
  await cluster.settled(limitMs);
  await cluster.converged(limitMs);
  await checkAcknowledged(cluster, told);
  return checkLogs(cluster);
}
