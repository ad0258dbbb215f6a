/**
 * SIGTERM to one process while the others continue: a leader is relieved before it stops, so that nothing fails; a router lets
 * balancers take it out first. Real processes, 64 writers without keys or with.
 */
import assert from 'node:assert/strict';
import { checkWholeCluster } from '../checkers/whole-cluster.ts';
import { requestJson } from '../harness/clients/request-json.ts';
import { Workload } from '../harness/clients/workload.ts';
import { eventually } from '../harness/kernel/eventually.ts';
import { Cluster } from '../harness/processes/cluster.ts';

const environment = { TIDAL_HAND_OVER_MS: '6000', TIDAL_DRAIN_MS: '1500' };

describe('a planned stop', function () {
  this.timeout(120_000);
  let cluster: Cluster;
  afterEach(() => cluster?.stop());

  it('of every region in turn, the leader among them, on SIGTERM and SIGINT: no write fails, nothing is lost', async () => {
    cluster = await Cluster.start({ routers: 2, environment });
    const load = new Workload({ urls: cluster.routerUrls, writers: 64, perSecond: 200, keyed: 16 });
    try {
      for (const [turn, name] of ['eu-west', 'us-east', 'ap-south', 'eu-west'].entries()) {
        await load.flows(50);
        const { leader, epoch } = await cluster.status();
        assert.equal(await cluster.process(name).end(turn % 2 === 0 ? 'SIGTERM' : 'SIGINT'), 0);
        const after = await cluster.status();
        if (leader === name) {
          assert.notEqual(after.leader, name);
          assert.ok(after.epoch > epoch);
        } else {
          assert.deepEqual([after.leader, after.epoch], [leader, epoch]);
        }
        await load.flows(50);
        await cluster.restart(name);
        await cluster.settled();
      }
    } finally {
      await load.stop();
    }
    assert.deepEqual([...load.failures], []);
    await checkWholeCluster(cluster, load.told);
  });

  it('of a leader without a possible successor is not delayed', async () => {
    cluster = await Cluster.start({ environment });
    await Promise.all(['eu-west', 'ap-south'].map((name) => cluster.kill(name)));
    const leader = cluster.process('us-east');
    assert.equal(await leader.end('SIGTERM'), 0);
    const why = leader.lines.find((line) => line.includes('leader stopping without a successor'));
    assert.match(why ?? '', /no other region can lead/);
  });

  it('of everything at once changes no leader', async () => {
    cluster = await Cluster.start({ environment });
    const codes = await Promise.all([...cluster.processes.values()].map((service) => service.end('SIGTERM')));
    assert.deepEqual(codes, [0, 0, 0, 0]);
    await Promise.all([...cluster.processes.values()].map((service) => service.start()));
    await cluster.settled();
    const relieved = [...cluster.processes.values()].flatMap(({ lines }) =>
      lines.filter((line) => line.includes('leadership handed over before stopping')),
    );
    assert.ok(relieved.length <= 1, `leadership went round:\n${relieved.join('\n')}`);
  });

  it('of a router: not ready at once, still serving for a while, then ended with exit code 0', async () => {
    cluster = await Cluster.start({ environment });
    const router = cluster.process('router');
    const ended = router.end('SIGTERM');
    await eventually('it is not ready', async () => (await cluster.get('/health/ready')).status === 503, 1_400);
    assert.equal((await requestJson(`${cluster.url}/cluster/status`)).status, 200);
    const written = await cluster.post('/signals', { entity_id: 1, signal: 'view' });
    assert.equal(written.status, 200, JSON.stringify(written.body));
    assert.equal(await ended, 0);
  });
});
