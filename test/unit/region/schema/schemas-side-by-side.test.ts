/** Regions under schemas that differ: signals are booked by their names, or not at all. */
import assert from 'node:assert/strict';
import { Refusal } from '../../../../shared/errors/errors.ts';
import type { EventBody } from '../../../../shared/protocol/events.ts';
import { CoreCluster } from '../../../harness/region/core-cluster.ts';
import { outcomes } from '../../../harness/region/core-region.ts';
import { schemaOf } from '../../../harness/region/rank/signals-schema.ts';

const signal = (name: string): EventBody => ({
  kind: 'signal',
  entity: 7,
  signal: name,
  weight: 1_000,
  timeMs: undefined,
});
const newer = schemaOf(['like', 'positive', 7_200], ['view', 'positive', 3_600], ['skip', 'negative', 3_600]);

/** The leader knows `like`, first in its schema; one follower does, the other does not. */
async function upgraded(): Promise<CoreCluster> {
  const cluster = await CoreCluster.start({ schema: newer });
  const old = cluster.region('ap-south');
  cluster.kill('ap-south');
  cluster.all.splice(cluster.all.indexOf(old), 1);
  return cluster;
}

describe('schemas side by side', () => {
  it('signals in another order and with others between them are booked by their names (schedule 24)', async () => {
    const cluster = await upgraded();
    const { clock } = cluster;
    const older = cluster.start('ap-south');
    const names = ['view', 'skip', 'view', 'skip', 'skip'];
    await clock.run(cluster.region('us-east').write(names.map(signal)));
    await clock.until('it is there', () => older.applied === cluster.region('us-east').applied);
    for (const each of [older, cluster.region('eu-west'), cluster.region('us-east')]) {
      const counts = ['view', 'skip'].map((name) => each.ledger.read(7, name, clock.nowMs())?.count);
      assert.deepEqual(counts, [2, 3]);
    }
  });

  it('a region that lacks a signal stops at its first use, skips nothing, cannot lead, and continues once upgraded (schedule 24)', async () => {
    const cluster = await upgraded();
    const { clock } = cluster;
    const router = await cluster.router();
    const older = cluster.start('ap-south');
    const leader = cluster.region('us-east');
    await clock.run(leader.write([signal('view')]));
    await clock.until('it is there', () => older.applied === leader.applied);
    const before = older.applied;
    await clock.run(leader.write([signal('like')]));
    await clock.run(leader.write([signal('view')]));
    await clock.until('it has stopped', () => older.stopped.length > 0);
    await clock.advance(10_000);
    assert.equal(older.stopped[0]?.code, 'schema_behind');
    assert.equal(older.applied, before, 'nor is what came after taken, from the stream or from peers');
    await assert.rejects(
      clock.run(router.service.promote({ region: 'ap-south', force: false })),
      (error) => error instanceof Refusal && error.code === 'target_not_ready',
    );
    cluster.kill('ap-south');
    cluster.all.splice(cluster.all.indexOf(older), 1);
    const store = cluster.region('ap-south').store.backup();
    const again = cluster.start('ap-south', store, { schema: newer });
    await clock.until('it has caught up', () => again.applied === leader.applied);
    assert.equal(again.digest(), leader.digest());
    assert.equal(again.ledger.read(7, 'like', clock.nowMs())?.count, 1);
  });

  it('a signal that the leader’s schema lacks is refused, and nothing is changed (schedule 24)', async () => {
    const cluster = await CoreCluster.start();
    const reply = await cluster.clock.run(cluster.region('us-east').write([signal('like')]));
    assert.deepEqual(outcomes(reply), ['unknown_signal']);
    assert.equal(cluster.region('us-east').durable, '');
  });
});
