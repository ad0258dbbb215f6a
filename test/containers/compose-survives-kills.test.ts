/** `docker kill` of each container in turn and of all at once, under writes: nothing acknowledged is lost or doubled. */
import assert from 'node:assert/strict';
import { freshEntity, more, underWrites } from '../harness/clients/under-writes.ts';
import { servingServices } from '../harness/containers/compose-cluster.ts';
import { dockerEnded } from '../harness/containers/docker.ts';
import { sharedComposeCluster } from '../harness/containers/shared-compose-cluster.ts';
import { eventually } from '../harness/kernel/eventually.ts';

describe('docker kill and start of', function () {
  this.timeout(120_000);
  const shared = sharedComposeCluster();

  it('a follower: writes continue, and it replays what it missed', async () => {
    const cluster = shared();
    const [follower] = await cluster.followers();
    const told = await underWrites(cluster, async (writes) => {
      await cluster.kill(follower);
      await more(writes);
      await cluster.start(follower);
      await more(writes);
    });
    assert.deepEqual(told.refused, []);
    await told.check(cluster);
  });

  it('NATS: writes continue as local, and reach every region once it is back', async () => {
    const cluster = shared();
    const told = await underWrites(cluster, async (writes) => {
      await cluster.kill('nats');
      await more(writes);
      const { status, body } = await cluster.post('/signals', { entity_id: freshEntity(), signal: 'view' });
      assert.equal(status, 200);
      assert.equal(body.durability, 'local');
      await cluster.start('nats');
      await more(writes);
    });
    assert.deepEqual(told.refused, []);
    await cluster.settled();
    await told.check(cluster);
  });

  it('the leader: refused or unknown while it is away, leader again when it is back', async () => {
    const cluster = shared();
    const [leader, { epoch }] = [await cluster.leader(), await cluster.status()];
    const told = await underWrites(cluster, async (writes) => {
      await cluster.kill(leader);
      await eventually('the loss is noticed', () => writes.refused.length + writes.unknown.size > 0, 30_000);
      await cluster.start(leader);
      await more(writes);
    });
    await cluster.settled();
    const after = await cluster.status();
    assert.deepEqual([after.leader, after.epoch], [leader, epoch]);
    await told.check(cluster);
  });

  it('the router: it returns with the cluster as it is', async () => {
    const cluster = shared();
    const told = await underWrites(cluster, async (writes) => {
      await cluster.kill('router');
      await eventually('the loss is noticed', () => writes.unknown.size > 0);
      await cluster.start('router');
      await more(writes);
    });
    await cluster.settled();
    await told.check(cluster);
  });

  it('all containers at once, started in no order: refused or unknown meanwhile, then the same leader and every write', async () => {
    const cluster = shared();
    const { leader, epoch } = await cluster.status();
    const told = await underWrites(cluster, async (writes) => {
      await cluster.kill(...servingServices);
      await eventually('the loss is noticed', () => writes.unknown.size > 0);
      await cluster.start(...servingServices);
      await Promise.all(servingServices.map((service) => cluster.healthy(service)));
      await more(writes);
    });
    await cluster.settled();
    const after = await cluster.status();
    assert.deepEqual([after.leader, after.epoch], [leader, epoch]);
    await told.check(cluster);
  });

  it('the processes inside, which the engine starts again by itself', async () => {
    const cluster = shared();
    const told = await underWrites(cluster, async (writes) => {
      const services = [await cluster.leader(), 'router'] as const;
      await Promise.all(
        services.map(async (service) => {
          const started = (): Promise<string> => cluster.inspect(service, '{{.State.StartedAt}}');
          const before = await started();
          // All processes of this user but the first, which is the init: it ends with its child.
          await dockerEnded(['exec', cluster.container(service), 'sh', '-c', 'kill -9 -1']);
          await eventually('started again', async () => (await started()) !== before, 30_000);
        }),
      );
      await more(writes);
    });
    await cluster.settled();
    await told.check(cluster);
  });
});
