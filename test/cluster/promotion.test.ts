/** Planned promotion under load: no write fails, none is lost or doubled, and the epoch rises once each time. */
import assert from 'node:assert/strict';
import { Watch } from '../checkers/watch.ts';
import { checkWholeCluster } from '../checkers/whole-cluster.ts';
import { Acknowledged } from '../harness/clients/acknowledged.ts';
import { Workload } from '../harness/clients/workload.ts';
import { Cluster } from '../harness/processes/cluster.ts';

describe('planned promotion', function () {
  this.timeout(90_000);
  let cluster: Cluster;
  const told = new Acknowledged();

  before(async () => {
    cluster = await Cluster.start({ routers: 2 });
  });
  after(() => cluster?.stop());

  it('promoting the leader is a no-op', async () => {
    const { status, body } = await cluster.post('/cluster/promote', { region: 'us-east' });
    assert.equal(status, 200);
    assert.equal(body.leader, 'us-east');
    assert.equal(body.epoch, 1);
  });

  it('twenty promotions in a row under 64 writers on two routers: no write fails, none is lost or doubled', async () => {
    const watch = new Watch(cluster);
    const load = new Workload({ urls: cluster.routerUrls, writers: 64, perSecond: 400, keyed: 16, told });
    const took: number[] = [];
    try {
      const turns = Array.from({ length: 20 }, (_, turn) => cluster.regionNames[(turn + 1) % 3]!);
      for (const [index, region] of turns.entries()) {
        const { status, body } = await cluster.post('/cluster/promote', { region });
        assert.equal(status, 200, JSON.stringify(body));
        assert.equal(body.leader, region);
        assert.equal(body.epoch, index + 2);
        took.push(body.took_ms as number);
        // Let the new leader take some writes before the next one.
        await load.flows(100);
      }
    } finally {
      await load.stop();
    }
    const sorted = took.toSorted((a, b) => a - b);
    const medianMs = sorted[sorted.length >> 1]!;
    console.log(
      `      ${told.count} writes acknowledged; handovers: median ${medianMs} ms, longest ${sorted.at(-1)} ms`,
    );
    assert.deepEqual([...load.failures], []);
    assert.ok(medianMs <= 1_000, `median handover ${medianMs} ms`);
    await checkWholeCluster(cluster, told);
    await watch.stop();
  });

  it('the new leader is remembered over a restart of everything', async () => {
    const before = await cluster.status();
    await Promise.all([...cluster.processes.values()].map((service) => service.end('SIGTERM')));
    await Promise.all([...cluster.processes.values()].map((service) => service.start()));
    await cluster.settled();
    const after = await cluster.status();
    assert.deepEqual([after.leader, after.epoch], [before.leader, before.epoch]);
  });

  it('an unreachable target is refused and names force', async () => {
    await cluster.kill('us-east');
    const { status, body } = await cluster.post('/cluster/promote', { region: 'us-east' });
    assert.equal(status, 409);
    assert.equal(body.code, 'target_unreachable');
    assert.match(JSON.stringify(body), /force/);
  });

  it('a dead leader is replaced by force; when it is back it follows, and its tail is merged', async () => {
    await cluster.restart('us-east');
    await cluster.settled();
    await cluster.kill('ap-south');
    const planned = await cluster.post('/cluster/promote', { region: 'us-east' });
    assert.equal(planned.status, 409);
    assert.equal(planned.body.code, 'leader_unreachable');
    const forced = await cluster.post('/cluster/promote', { region: 'us-east', force: true });
    assert.equal(forced.status, 200, JSON.stringify(forced.body));
    for (let entity = 1; entity <= 16; entity++) assert.equal(await told.view(cluster, entity), 200);
    await cluster.restart('ap-south');
    await cluster.settled();
    const { leader, regions } = await cluster.status();
    assert.equal(leader, 'us-east');
    assert.equal(regions.find(({ name }) => name === 'ap-south')?.role, 'follower');
    await told.check(cluster);
  });
});
