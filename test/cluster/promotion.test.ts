/** Planned promotion under load: no write fails, none is lost or doubled, and the epoch rises once each time. */
import assert from 'node:assert/strict';
import { Acknowledged } from '../harness/acknowledged.ts';
import { Cluster } from '../harness/cluster.ts';
import { eventually } from '../harness/eventually.ts';

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

  it('six promotions in a row under 16 writers on two routers: no write fails', async () => {
    let stopping = false;
    const writers = Array.from({ length: 16 }, async (_, writer) => {
      while (!stopping) await told.view(cluster, writer + 1, cluster.routerUrls[writer % 2]);
    });
    const took: number[] = [];
    try {
      for (const [index, region] of ['eu-west', 'ap-south', 'us-east', 'eu-west', 'us-east', 'ap-south'].entries()) {
        const { status, body } = await cluster.post('/cluster/promote', { region });
        assert.equal(status, 200, JSON.stringify(body));
        assert.equal(body.leader, region);
        assert.equal(body.epoch, index + 2);
        took.push(body.took_ms as number);
        // Let the new leader take some writes before the next one.
        const before = told.count;
        await eventually('the new leader takes writes', () => told.count >= before + 50);
      }
    } finally {
      stopping = true;
      await Promise.all(writers);
    }
    console.log(
      `      ${told.count} writes acknowledged; hand-overs took ${took.map((ms) => Math.round(ms)).join(', ')} ms`,
    );
    assert.deepEqual(told.refused, []);
    assert.equal(told.unknown.size, 0);
    await told.check(cluster);
  });

  it('the new leader is remembered over a restart of everything', async () => {
    const before = await cluster.status();
    await Promise.all([...cluster.processes.values()].map((service) => service.end('SIGTERM')));
    await Promise.all([...cluster.processes.values()].map((service) => service.start()));
    await cluster.settled();
    const after = await cluster.status();
    assert.deepEqual([after.leader, after.epoch], ['ap-south', before.epoch]);
  });

  it('an unreachable target is refused and names force', async () => {
    await cluster.kill('us-east');
    const { status, body } = await cluster.post('/cluster/promote', { region: 'us-east' });
    assert.equal(status, 409);
    assert.equal(body.code, 'target_unreachable');
    assert.match(JSON.stringify(body), /force/);
  });

  it('a dead leader is replaced by force; when it is back it follows, and its tail is there', async () => {
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
