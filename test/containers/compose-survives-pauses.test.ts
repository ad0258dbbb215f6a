/** `docker pause` of each container, under writes: a process that is paused, keeps its connections, and wakes up later. */
import assert from 'node:assert/strict';
import { freshEntity, more, underWrites } from '../harness/clients/under-writes.ts';
import { sharedComposeCluster } from '../harness/containers/shared-compose-cluster.ts';
import { eventually } from '../harness/kernel/eventually.ts';

describe('docker pause and unpause of', function () {
  this.timeout(120_000);
  const shared = sharedComposeCluster();

  it('a follower: no write notices, and it catches up', async () => {
    const cluster = shared();
    const [follower] = await cluster.followers();
    const told = await underWrites(cluster, async (writes) => {
      await cluster.pause(follower);
      await eventually('seen as unreachable', async () => !(await cluster.region(follower)).reachable);
      await more(writes);
      await cluster.unpause(follower);
      await more(writes);
    });
    assert.deepEqual([told.refused, told.unknown.size], [[], 0]);
    await cluster.settled();
    await told.check(cluster);
  });

  it('NATS: writes continue as local, and reach every region once it wakes up', async () => {
    const cluster = shared();
    const told = await underWrites(cluster, async (writes) => {
      await cluster.pause('nats');
      await eventually('seen as away', async () => (await cluster.get('/health')).body.status === 'degraded', 30_000);
      const { status, body } = await cluster.post('/signals', { entity_id: freshEntity(), signal: 'view' });
      assert.deepEqual([status, body.durability], [200, 'local']);
      await more(writes);
      await cluster.unpause('nats');
      await more(writes);
    });
    assert.deepEqual([told.refused, told.unknown.size], [[], 0]);
    await cluster.settled();
    await told.check(cluster);
  });

  it('the router: its clients wait, and each gets its answer', async () => {
    const cluster = shared();
    const told = await underWrites(cluster, async (writes) => {
      await cluster.pause('router');
      await assert.rejects(fetch(`${cluster.url}/health`, { signal: AbortSignal.timeout(4_000) }), {
        name: 'TimeoutError',
      });
      await cluster.unpause('router');
      await more(writes);
    });
    assert.deepEqual([told.refused, told.unknown.size], [[], 0]);
    await cluster.settled();
    await told.check(cluster);
  });

  it('the leader: 503 or 504 meanwhile, reads continue elsewhere, the same leader continues when it wakes up', async () => {
    const cluster = shared();
    const [leader, { epoch }] = [await cluster.leader(), await cluster.status()];
    const told = await underWrites(cluster, async (writes) => {
      await cluster.pause(leader);
      await eventually('no leader', async () => (await cluster.get('/health')).status === 503);
      assert.equal((await cluster.region(leader)).reachable, false);
      const { status, body } = await cluster.get('/feed?profile=new&limit=1');
      assert.equal(status, 200, JSON.stringify(body));
      assert.notEqual(body.region, leader);
      await eventually('a client has an answer', () => writes.refused.length + writes.unknown.size > 0, 30_000);
      await cluster.unpause(leader);
      await more(writes);
    });
    for (const answer of told.answers.keys()) {
      assert.match(answer, /^(200 (stream|local)|503 no_leader|504 outcome_unknown)$/);
    }
    await cluster.settled();
    const after = await cluster.status();
    assert.deepEqual([after.leader, after.epoch], [leader, epoch]);
    await told.check(cluster);
  });

  it('the leader, another promoted by force meanwhile: it wakes up deposed, follows, and merges', async () => {
    const cluster = shared();
    const [leader, { epoch }] = [await cluster.leader(), await cluster.status()];
    const [successor] = await cluster.followers();
    const told = await underWrites(cluster, async (writes) => {
      await cluster.pause(leader);
      await eventually('no leader', async () => (await cluster.get('/health')).status === 503);
      const refused = await cluster.post('/cluster/promote', { region: successor });
      assert.deepEqual([refused.status, refused.body.code], [409, 'leader_unreachable']);
      const promoted = await cluster.post('/cluster/promote', { region: successor, force: true });
      assert.deepEqual([promoted.status, promoted.body.leader], [200, successor], JSON.stringify(promoted.body));
      await more(writes);
      await cluster.unpause(leader);
      await more(writes);
      await cluster.settled();
    });
    const after = await cluster.status();
    assert.deepEqual([after.leader, after.epoch], [successor, epoch + 1]);
    await eventually('it follows', async () => (await cluster.region(leader)).role === 'follower');
    await told.check(cluster);
  });
});
