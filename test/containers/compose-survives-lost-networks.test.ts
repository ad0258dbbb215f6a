/**
 * `docker network disconnect` of each container, under writes, and its return under another address: packets vanish silently,
 * names stop resolving, and a client that kept the old address would never reach it again.
 */
import assert from 'node:assert/strict';
import type { Acknowledged } from '../harness/clients/acknowledged.ts';
import { freshEntity, more, underWrites } from '../harness/clients/under-writes.ts';
import { sharedComposeCluster } from '../harness/containers/shared-compose-cluster.ts';
import { eventually } from '../harness/kernel/eventually.ts';
import { writeInside } from '../harness/region/write-inside.ts';

describe('docker network disconnect, and connect under another address, of', function () {
  this.timeout(120_000);
  const shared = sharedComposeCluster();

  it('a follower: no write notices, and it catches up', async () => {
    const cluster = shared();
    const [follower] = await cluster.followers();
    const told = await underWrites(cluster, async (writes) => {
      const address = await cluster.address(follower);
      await cluster.disconnect(follower);
      await eventually('seen as unreachable', async () => !(await cluster.region(follower)).reachable);
      await more(writes);
      await cluster.reconnect(follower, address);
      await more(writes);
      await cluster.settled();
    });
    assert.deepEqual([told.refused, told.unknown.size], [[], 0]);
    await told.check(cluster);
  });

  it('NATS: writes continue as local, and reach every region and the stream once it is back', async () => {
    const cluster = shared();
    const told = await underWrites(cluster, async (writes) => {
      const address = await cluster.address('nats');
      await cluster.disconnect('nats');
      await eventually('seen as away', async () => (await cluster.get('/health')).body.status === 'degraded', 30_000);
      const { status, body } = await cluster.post('/signals', { entity_id: freshEntity(), signal: 'view' });
      assert.deepEqual([status, body.durability], [200, 'local']);
      await more(writes);
      await cluster.reconnect('nats', address);
      const { answers } = writes;
      const confirmed = answers.get('200 stream') ?? 0;
      await eventually('confirmed by the stream', () => (answers.get('200 stream') ?? 0) > confirmed + 20, 30_000);
    });
    assert.deepEqual([told.refused, told.unknown.size], [[], 0]);
    await cluster.settled();
    await told.check(cluster);
  });

  it('the leader: 503 or 504 meanwhile; another promoted by force; what both sides accepted exists once', async () => {
    const cluster = shared();
    const [leader, { epoch }] = [await cluster.leader(), await cluster.status()];
    const [successor] = await cluster.followers();
    const told = await underWrites(cluster, async (writes) => {
      const address = await cluster.address(leader);
      await cluster.disconnect(leader);
      await eventually('no leader', async () => (await cluster.get('/health')).status === 503);
      const { status, body } = await cluster.post('/signals', { entity_id: freshEntity(), signal: 'view' });
      assert.deepEqual([status, body.code], [503, 'no_leader'], JSON.stringify(body));
      await writeInside(cluster, leader, epoch, writes);
      const promoted = await cluster.post('/cluster/promote', { region: successor, force: true });
      assert.deepEqual([promoted.status, promoted.body.leader], [200, successor], JSON.stringify(promoted.body));
      await more(writes);
      // It does not know yet.
      await writeInside(cluster, leader, epoch, writes);
      await cluster.reconnect(leader, address);
      await more(writes);
      await cluster.settled();
    });
    onlyClearAnswers(told);
    const after = await cluster.status();
    assert.deepEqual([after.leader, after.epoch], [successor, epoch + 1]);
    await eventually('it follows', async () => (await cluster.region(leader)).role === 'follower');
    await told.check(cluster);
  });
});

function onlyClearAnswers(told: Acknowledged): void {
  for (const answer of told.answers.keys()) {
    assert.match(answer, /^(200 (stream|local)|503 no_leader|504 outcome_unknown)$/);
  }
}
