/** Writes that reach a region from inside its container, as through a router on its side of a split: acknowledged like any. */
import assert from 'node:assert/strict';
import type { WritesReply } from '../../../shared/protocol/internal.ts';
import type { Acknowledged } from '../clients/acknowledged.ts';
import { freshEntity } from '../clients/under-writes.ts';
import type { ComposeCluster, RegionService } from '../containers/compose-cluster.ts';

/** Three views of an entity of their own, accepted by `region` in `epoch` and remembered in `told`. */
export async function writeInside(
  cluster: ComposeCluster,
  region: RegionService,
  epoch: number,
  told: Acknowledged,
): Promise<void> {
  const entity = freshEntity();
  const write = { k: 's', e: entity, s: 'view', w: 1_000 };
  const reply = JSON.parse(
    await cluster.fromInside(region, 'http://127.0.0.1:9510/internal/writes', {
      epoch,
      atomic: false,
      writes: [write, write, write],
    }),
  ) as WritesReply;
  assert.deepEqual(
    reply.results.map((result) => ('durability' in result ? result.durability : result)),
    ['local', 'local', 'local'],
  );
  told.sure.set(entity, reply.results.length);
}
