/** kill -9 of any one process and its restart lose nothing; the cluster continues where it was. */
import assert from 'node:assert/strict';
import { checkWholeCluster } from '../checkers/whole-cluster.ts';
import { Acknowledged } from '../harness/clients/acknowledged.ts';
import { keepWriting } from '../harness/clients/keep-writing.ts';
import { Workload } from '../harness/clients/workload.ts';
import { eventually } from '../harness/kernel/eventually.ts';
import { Cluster } from '../harness/processes/cluster.ts';

describe('one process is killed under load', function () {
  this.timeout(120_000);
  let cluster: Cluster;
  const told = new Acknowledged();

  before(async () => {
    cluster = await Cluster.start();
  });
  after(() => cluster?.stop());

  const underLoad = async (fault: () => Promise<void>): Promise<void> => {
    const before = told.count;
    const stop = keepWriting(cluster, told);
    try {
      await fault();
      await cluster.settled();
    } finally {
      await stop();
    }
    assert.ok(told.count > before, 'writes were acknowledged');
    await told.check(cluster);
  };

  for (const victim of ['eu-west', 'us-east', 'router']) {
    it(`${victim} is killed and restarted`, () =>
      underLoad(async () => {
        await cluster.kill(victim);
        await cluster.restart(victim);
      }));
  }

  it('nats-server is killed and restarted; writes continue meanwhile', () =>
    underLoad(async () => {
      const during = new Acknowledged();
      await cluster.nats.kill();
      for (let index = 0; index < 20; index++) assert.equal(await during.view(cluster, 1), 200);
      await cluster.nats.restart();
      for (const [entity, count] of during.sure) told.sure.set(entity, (told.sure.get(entity) ?? 0) + count);
    }));

  it('nats-server returns without its volume: leadership, stream and positions survive', () =>
    underLoad(async () => {
      const before = await cluster.status();
      await cluster.nats.restart({ wiped: true });
      await eventually('the record is made anew with a higher epoch', async () => {
        const { epoch } = await cluster.status();
        return epoch > before.epoch;
      });
      const { leader } = await cluster.status();
      assert.equal(leader, before.leader);
    }));

  it('all processes are killed at once under load and restarted', async () => {
    const before = await cluster.status();
    const load = new Workload({ urls: [cluster.url], writers: 16, perSecond: 200, keyed: 8, firstEntity: 101, told });
    await load.flows(100);
    await Promise.all([...cluster.processes.values()].map((service) => service.end('SIGKILL')));
    await cluster.nats.restart();
    await Promise.all([...cluster.processes.values()].map((service) => service.start()));
    await cluster.settled();
    const after = await cluster.status();
    assert.deepEqual([after.leader, after.epoch], [before.leader, before.epoch]);
    assert.ok(after.relay_log_len > before.relay_log_len);
    await load.flows();
    await load.stop();
    assert.ok(load.repeated > 0, 'some were not answered, and sent again');
    await checkWholeCluster(cluster, told);
  });
});
