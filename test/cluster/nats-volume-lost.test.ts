/** The NATS volume is lost, or restored from an older copy, while a region is down. */
import assert from 'node:assert/strict';
import { Watch } from '../checkers/watch.ts';
import { checkWholeCluster } from '../checkers/whole-cluster.ts';
import { Acknowledged } from '../harness/clients/acknowledged.ts';
import { Workload } from '../harness/clients/workload.ts';
import { eventually } from '../harness/kernel/eventually.ts';
import { Cluster } from '../harness/processes/cluster.ts';

describe('the NATS volume is lost while a region is away', function () {
  this.timeout(120_000);
  let cluster: Cluster;
  let watch: Watch;
  const told = new Acknowledged();

  before(async () => {
    cluster = await Cluster.start({ routers: 2 });
    watch = new Watch(cluster);
  });
  after(() => cluster?.stop());

  const underLoad = async (fault: (load: Workload) => Promise<void>): Promise<Workload> => {
    const load = new Workload({ urls: cluster.routerUrls, writers: 8, perSecond: 100, keyed: 2, told });
    try {
      await load.flows();
      await fault(load);
    } finally {
      await load.stop();
    }
    await checkWholeCluster(cluster, load.told);
    assert.deepEqual([...load.failures], []);
    return load;
  };
  /** The record is recreated: the epoch grows and the leader stays. */
  const rebuilt = async (fault: () => Promise<void>): Promise<void> => {
    const before = await cluster.status();
    await fault();
    await eventually('the record is made anew', async () => (await cluster.status()).epoch > before.epoch, 30_000);
    assert.equal((await cluster.status()).leader, before.leader);
  };

  it('wiped while a follower is down: it gets from its peers what the new stream never had', () =>
    underLoad(async (load) => {
      await cluster.kill('ap-south');
      await load.flows(100);
      await rebuilt(() => cluster.nats.restart({ wiped: true }));
      await load.flows();
      await cluster.restart('ap-south');
    }).then(() => undefined));

  it('wiped while a follower is partitioned', () =>
    underLoad(async (load) => {
      assert.equal((await cluster.post('/cluster/partition', { region: 'eu-west' })).status, 200);
      await load.flows(100);
      await rebuilt(() => cluster.nats.restart({ wiped: true }));
      await load.flows();
      assert.equal((await cluster.post('/cluster/heal', { region: 'eu-west' })).status, 200);
    }).then(() => undefined));

  it('restored from an older copy: sequences are reused, and not taken for the old ones', () =>
    underLoad(async (load) => {
      await cluster.nats.backUp();
      await load.flows(200);
      await cluster.kill('ap-south');
      await load.flows(100);
      const { body } = await cluster.post('/cluster/promote', { region: 'eu-west' });
      assert.equal(body.leader, 'eu-west', JSON.stringify(body));
      await load.flows(100);
      await rebuilt(() => cluster.nats.restoreBackup());
      await load.flows(200);
      await cluster.restart('ap-south');
    }).then(() => undefined));

  it('no position and no epoch ever went back, and no epoch had two leaders', () => watch.stop());
});
