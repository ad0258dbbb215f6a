/** `docker kill` of each container in turn, under writes, and its restart: nothing acknowledged is lost or doubled. */
import assert from 'node:assert/strict';
import { Acknowledged } from '../harness/acknowledged.ts';
import { ComposeCluster } from '../harness/compose-cluster.ts';
import { buildLimitMs, needDocker } from '../harness/docker.ts';
import { eventually } from '../harness/eventually.ts';

describe('docker kill and start of', function () {
  this.timeout(120_000);
  let cluster: ComposeCluster;
  let entity = 0;

  before(async function () {
    this.timeout(buildLimitMs);
    await needDocker(this);
    cluster = await ComposeCluster.up();
    await cluster.settled();
  });

  after(async function () {
    this.timeout(60_000);
    await cluster?.down();
  });

  /** A client that was not served comes back when there is somebody to serve it. */
  const answering = (): Promise<void> =>
    eventually('the cluster serves', async () => (await cluster.get('/health')).status === 200, 60_000);

  /** Eight clients that write until told to stop. */
  const underWrites = async (fault: (told: Acknowledged) => Promise<void>): Promise<Acknowledged> => {
    const told = new Acknowledged();
    let writing = true;
    const clients = Array.from({ length: 8 }, async () => {
      entity += 1;
      const own = entity;
      while (writing) {
        if ((await told.view(cluster, own)) !== 200) await answering();
      }
    });
    try {
      const some = told.count;
      await eventually('writes go through', () => told.count > some + 20);
      await fault(told);
    } finally {
      writing = false;
      await Promise.all(clients);
    }
    return told;
  };
  const more = async (told: Acknowledged): Promise<void> => {
    const before = told.count;
    await eventually('writes go through', () => told.count > before + 20, 60_000);
  };

  it('a follower: writes go on, and it replays what it missed', async () => {
    const told = await underWrites(async (writes) => {
      await cluster.kill('eu-west');
      await more(writes);
      await cluster.start('eu-west');
      await more(writes);
    });
    assert.deepEqual(told.refused, []);
    await told.check(cluster);
  });

  it('NATS: writes go on as local, and reach every region once it is back', async () => {
    const told = await underWrites(async (writes) => {
      await cluster.kill('nats');
      await more(writes);
      const { status, body } = await cluster.post('/signals', { entity_id: 1_000_000, signal: 'view' });
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
    const { epoch } = await cluster.status();
    const told = await underWrites(async (writes) => {
      await cluster.kill('us-east');
      await eventually('the loss is noticed', () => writes.refused.length + writes.unknown.size > 0, 30_000);
      await cluster.start('us-east');
      await more(writes);
    });
    await cluster.settled();
    const { leader, epoch: epochAfter } = await cluster.status();
    assert.deepEqual({ leader, epoch: epochAfter }, { leader: 'us-east', epoch });
    await told.check(cluster);
  });

  it('the router: it comes back with the cluster as it is', async () => {
    const told = await underWrites(async (writes) => {
      await cluster.kill('router');
      await eventually('the loss is noticed', () => writes.unknown.size > 0);
      await cluster.start('router');
      await more(writes);
    });
    await cluster.settled();
    await told.check(cluster);
  });
});
