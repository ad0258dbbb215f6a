/** A fault under a steady load: clients that write without pause, remember every answer, and return when not served. */

import { eventually } from '../kernel/eventually.ts';
import { Acknowledged, type CheckedCluster } from './acknowledged.ts';

const clientCount = 8;
let entity = 0;

/** Runs `fault` once writes flow. Ends when it has ended and every client has its last answer. */
export async function underWrites(
  cluster: CheckedCluster,
  fault: (told: Acknowledged) => Promise<void>,
): Promise<Acknowledged> {
  const told = new Acknowledged();
  let writing = true;
  const serving = (): Promise<void> =>
    eventually('the cluster serves', async () => !writing || (await cluster.get('/health')).status === 200, 60_000);
  const clients = Array.from({ length: clientCount }, async () => {
    entity += 1;
    const own = entity;
    while (writing) {
      if ((await told.view(cluster, own)) !== 200) await serving();
    }
  });
  try {
    await more(told);
    await fault(told);
  } finally {
    writing = false;
    await Promise.all(clients);
  }
  return told;
}

/** Resolves when writes go through. */
export function more(told: Acknowledged): Promise<void> {
  const before = told.count;
  return eventually('writes go through', () => told.count > before + 20, 60_000);
}

/** An entity no client of this run writes to. */
export function freshEntity(): number {
  entity += 1;
  return entity;
}
