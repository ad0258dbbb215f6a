/** Verification of regions that are never at the same position while they are asked. */
import assert from 'node:assert/strict';
import { CoreCluster } from '../../../harness/region/core-cluster.ts';
import { view } from '../../../harness/region/core-region.ts';

/** Writes a view every 7 ms until stopped; followers get them each at their own time. */
function writing(cluster: CoreCluster): () => void {
  let running = true;
  const next = (n: number): void => {
    if (!running) return;
    void cluster.region('us-east').write([view(n % 50)]);
    cluster.clock.after(7, () => next(n + 1));
  };
  next(1);
  for (const [index, name] of ['eu-west', 'ap-south'].entries()) {
    const { ingest } = cluster.region(name);
    const take = ingest.take.bind(ingest);
    ingest.take = async (batches, offset) => {
      await new Promise<void>((resolve) => cluster.clock.after(3 + 2 * index, resolve));
      return take(batches, offset);
    };
  }
  return () => {
    running = false;
  };
}

describe('verification under load', () => {
  it('finds a position that all regions passed, although they are never at one together (schedule 28)', async () => {
    const cluster = await CoreCluster.start();
    const router = await cluster.router();
    const stop = writing(cluster);
    await cluster.clock.advance(2_000);
    for (let n = 0; n < 3; n++) {
      const { converged, position, digests } = await cluster.clock.run(router.service.verify());
      assert.equal(converged, true);
      assert.match(position ?? '', /^us-east@/);
      assert.equal(new Set(Object.values(digests)).size, 1);
      await cluster.clock.advance(500);
    }
    stop();
    await cluster.converge();
  });

  it('finds a region whose state is wrong, under load as at rest (schedule 28)', async () => {
    const cluster = await CoreCluster.start();
    const router = await cluster.router();
    const stop = writing(cluster);
    await cluster.clock.advance(2_000);
    cluster.region('ap-south').ledger.add(3, 'view', 1, cluster.clock.nowMs());
    const { converged, digests, reason } = await cluster.clock.run(router.service.verify());
    stop();
    assert.equal(converged, false, reason);
    assert.equal(digests['us-east'], digests['eu-west']);
    assert.notEqual(digests['us-east'], digests['ap-south']);
  });
});
