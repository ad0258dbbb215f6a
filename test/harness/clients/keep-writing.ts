/** Traffic that continues until it is stopped. */
import type { Acknowledged, CheckedCluster } from './acknowledged.ts';

/** Writes from eight clients, each to an entity of its own (1 to 8); the answer stops them and waits for their last answers. */
export function keepWriting(cluster: CheckedCluster, told: Acknowledged, url = cluster.url): () => Promise<void> {
  let stopping = false;
  const clients = Array.from({ length: 8 }, async (_, client) => {
    while (!stopping) {
      const status = await told.view(cluster, client + 1, url);
      // A refused connection answers at once: do not spin on it.
      if (status !== 200) await new Promise((resolve) => setTimeout(resolve, 20));
    }
  });
  return async () => {
    stopping = true;
    await Promise.all(clients);
  };
}
