/**
 * An old disk is restored when the idempotency keys of its time are forgotten elsewhere: regions at one position are the same
 * bits, and no keyed request counts twice. Either no region has removed their records, or the origin is stopped in those that
 * have.
 */
import assert from 'node:assert/strict';
import type { EventBody } from '../../../../shared/protocol/events.ts';
import { withKeys } from '../../../../shared/protocol/idempotency.ts';
import { isRefused } from '../../../../shared/protocol/internal.ts';
import { fromWire, toWire } from '../../../../shared/protocol/writes.ts';
import { CoreCluster } from '../../../harness/region/core-cluster.ts';
import { type CoreRegion, item, view } from '../../../harness/region/core-region.ts';
import type { MemoryStore } from '../../../harness/region/store/memory-store.ts';
import { names } from '../../../harness/router/memory-cluster.ts';

const DAY_MS = 86_400_000;

const keyed = (key: string, body: EventBody): EventBody[] =>
  withKeys(key, body.kind === 'item' ? 'items' : 'signals', [toWire(body)], false).map(fromWire) as EventBody[];

async function take(cluster: CoreCluster, region: CoreRegion, bodies: readonly EventBody[]): Promise<void> {
  const { results } = await cluster.clock.run(region.write(bodies));
  assert.ok(
    results.every((result) => !isRefused(result)),
    JSON.stringify(results),
  );
}

const counts = (cluster: CoreCluster, entity = 1): number[] =>
  names.map((name) => cluster.region(name).ledger.read(entity, 'view', cluster.clock.nowMs())?.count ?? 0);

/** us-east takes K, isolated; its disk is lost, eu-west is forced and takes K again; us-east continues with an empty disk for nine days. */
async function nineDaysLater(tail: readonly EventBody[], again: readonly EventBody[]) {
  const cluster = await CoreCluster.start({ forgetsKeys: true });
  await cluster.clock.advance(5_000);
  const leader = cluster.region('us-east');
  const lost = leader.disks?.own;
  assert.ok(lost !== undefined);
  await cluster.clock.run(leader.setCut(true));
  await take(cluster, leader, tail);
  const old = leader.store.backup();
  cluster.kill('us-east');
  const router = await cluster.router();
  await cluster.clock.run(router.service.promote({ region: 'eu-west', force: true }));
  await take(cluster, cluster.region('eu-west'), again);
  cluster.start('us-east', 'new', { forgetsKeys: true });
  await cluster.converge();
  for (let day = 0; day < 9; day++) {
    cluster.clock.stepWall(DAY_MS);
    await cluster.clock.advance(5_000);
  }
  const putBack = async (store: MemoryStore = old): Promise<void> => {
    cluster.kill('us-east');
    const back = cluster.start('us-east', store, { forgetsKeys: true });
    await cluster.clock.run(back.setCut(false));
    await cluster.clock.advance(60_000);
  };
  return { cluster, lost, putBack };
}

const sweepAll = (cluster: CoreCluster): Promise<void> => cluster.clock.advance(700_000);

describe('an old disk is restored after nine days', () => {
  it('while it was absent no region removed a record of its time: its tail is merged and counts once', async () => {
    const { cluster, putBack } = await nineDaysLater(keyed('k', view(1)), keyed('k', view(1)));
    await sweepAll(cluster);
    for (const name of names) assert.equal(cluster.region(name).wal.keysForgottenMs, 0, name);
    await putBack();
    await cluster.converge();
    assert.deepEqual(counts(cluster), [1, 1, 1]);
  });

  it('although it was retired: a region that has forgotten stops at its tail and says so, one that has not takes it; none counts twice', async () => {
    const { cluster, lost, putBack } = await nineDaysLater(keyed('k', view(1)), keyed('k', view(1)));
    const eu = cluster.region('eu-west');
    // ap-south learns of it from eu-west, and its own sweep fails, because its disk is full.
    cluster.region('ap-south').store.full = true;
    await cluster.clock.run(eu.disks!.retire(lost));
    await sweepAll(cluster);
    cluster.region('ap-south').store.full = false;
    assert.ok(eu.wal.keysForgottenMs > 0, 'eu-west has forgotten the key');
    assert.equal(eu.wal.keys, 0);
    assert.equal(cluster.region('ap-south').wal.keys, 1);
    await putBack();
    assert.deepEqual(counts(cluster), [1, 1, 1]);
    const [stopped] = eu.stopped;
    assert.equal(stopped?.code, 'keys_forgotten');
    assert.match(
      stopped?.detail ?? '',
      /us-east@.*:1-1 holds a signal under an idempotency key, its event 1, accepted at/,
    );
    assert.deepEqual(cluster.region('ap-south').stopped, []);
    const states = new Map<string, Set<string>>();
    for (const { applied, digest } of names.map((name) => {
      const region = cluster.region(name);
      return { applied: region.applied, digest: region.digest() };
    })) {
      states.set(applied, (states.get(applied) ?? new Set()).add(digest));
    }
    assert.ok(
      [...states.values()].every(({ size }) => size === 1),
      'one position, one state',
    );
    assert.notEqual(eu.applied, cluster.region('ap-south').applied, 'its position tells that it lacks the tail');
    const named = [...cluster.region('us-east').disks!.known, ...eu.disks!.known].map(({ id }) => id);
    assert.ok(named.includes(lost), 'the retired id stays retired; the disk has another one now');
    assert.notEqual(cluster.region('us-east').disks!.own, lost);
  });

  it('although it was retired: what cannot count twice is taken by all', async () => {
    for (const tail of [[view(1)], keyed('k', item(7, 'a put'))]) {
      const { cluster, lost, putBack } = await nineDaysLater(tail, keyed('other', view(2)));
      await cluster.clock.run(cluster.region('eu-west').disks!.retire(lost));
      await sweepAll(cluster);
      assert.ok(names.every((name) => cluster.region(name).wal.keysForgottenMs > 0));
      await putBack();
      await cluster.converge();
      assert.deepEqual(counts(cluster, 2), [1, 1, 1]);
    }
  });
});
