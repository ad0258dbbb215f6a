/** Automatic failover on real processes: an unresponsive leader is replaced by itself, by one of two routers, and nothing is lost. */
import assert from 'node:assert/strict';
import { setTimeout as pause } from 'node:timers/promises';
import { checkLogs } from '../checkers/logs.ts';
import { Watch } from '../checkers/watch.ts';
import { Acknowledged } from '../harness/clients/acknowledged.ts';
import { requestJson } from '../harness/clients/request-json.ts';
import { eventually } from '../harness/kernel/eventually.ts';
import { Cluster } from '../harness/processes/cluster.ts';

const FAILOVER_AFTER_MS = 4_000;
/** Looks are a second apart; then the candidate is asked, drains and the key is changed. */
const DETECTION_MS = 5_000;

async function metric(url: string, name: string, outcome = ''): Promise<number> {
  const text = await (await fetch(`${url}/metrics`)).text();
  const line = text.split('\n').find((each) => each.startsWith(`${name}{`) && each.includes(outcome));
  return Number(line?.split(' ').at(-1) ?? 0);
}

describe('automatic failover', function () {
  this.timeout(120_000);
  let cluster: Cluster;
  let watch: Watch;
  const told = new Acknowledged();

  before(async () => {
    cluster = await Cluster.start({ routers: 2, topology: ['failover: automatic'] });
    watch = new Watch(cluster);
  });
  after(() => cluster?.stop());

  const writing = (writers: number) => {
    let stopping = false;
    const clients = Array.from({ length: writers }, async (_, writer) => {
      while (!stopping) {
        const status = await told.view(cluster, writer + 1, cluster.routerUrls[writer % 2]);
        if (status !== 200) await pause(20);
      }
    });
    return async (): Promise<void> => {
      stopping = true;
      await Promise.all(clients);
    };
  };
  const leader = async (): Promise<string> => (await cluster.status()).leader;
  const replacements = async (): Promise<number> => {
    const counts = cluster.routerUrls.map((url) => metric(url, 'tidal_router_failovers_total', 'outcome="replaced"'));
    return (await Promise.all(counts)).reduce((sum, count) => sum + count, 0);
  };

  it('one of the two routers holds the lease', () =>
    eventually('one lease', async () => {
      const held = await Promise.all(cluster.routerUrls.map((url) => metric(url, 'tidal_router_failover_lease')));
      return held[0]! + held[1]! === 1;
    }));

  it('a leader killed under load is replaced once; writes resume by themselves', async () => {
    const stop = writing(16);
    try {
      await eventually('writes flow', () => told.count > 200);
      await cluster.kill('us-east');
      const killedMs = performance.now();
      await eventually('another leads', async () => (await leader()) !== 'us-east', FAILOVER_AFTER_MS + DETECTION_MS);
      const replacedMs = performance.now() - killedMs;
      const before = told.count;
      await eventually('writes resume', () => told.count > before + 50);
      console.log(
        `      replaced ${Math.round(replacedMs)} ms after the kill, writes flow again ${Math.round(performance.now() - killedMs)} ms after it`,
      );
      assert.ok(replacedMs >= FAILOVER_AFTER_MS - 1_500, 'not before its time');
    } finally {
      await stop();
    }
    assert.equal(await replacements(), 1);
    const lines = [...cluster.process('router').lines, ...cluster.process('router-2').lines];
    assert.equal(lines.filter((line) => line.includes('unresponsive leader replaced')).length, 1);
  });

  it('the old leader is back: it follows, ships its tail and merges; every acknowledged write exists once', async () => {
    const before = await cluster.status();
    await cluster.restart('us-east');
    await cluster.settled();
    await told.check(cluster);
    const after = await cluster.status();
    assert.deepEqual([after.leader, after.epoch], [before.leader, before.epoch]);
    assert.equal(after.regions.find(({ name }) => name === 'us-east')?.role, 'follower');
  });

  it('a paused leader is replaced; when it resumes it follows, and the writes it accepted exist', async () => {
    const paused = await leader();
    const stop = writing(8);
    try {
      cluster.process(paused).signal('SIGSTOP');
      await eventually('another leads', async () => (await leader()) !== paused, 20_000);
      const before = told.count;
      await eventually('writes resume', () => told.count > before + 50, 20_000);
      cluster.process(paused).signal('SIGCONT');
      await cluster.settled();
    } finally {
      await stop();
    }
    assert.notEqual(await leader(), paused);
    await told.check(cluster);
  });

  it('the router that holds the lease dies with the leader: the other one takes over', async () => {
    const held = await Promise.all(cluster.routerUrls.map((url) => metric(url, 'tidal_router_failover_lease')));
    const holder = held[0] === 1 ? 'router' : 'router-2';
    const other = cluster.routerUrls[held[0] === 1 ? 1 : 0]!;
    const dead = await leader();
    await Promise.all([cluster.kill(holder), cluster.kill(dead)]);
    const led = async () => (await requestJson<{ leader: string }>(`${other}/cluster/status`)).body.leader;
    await eventually('another leads', async () => (await led()) !== dead, 20_000);
    await Promise.all([cluster.restart(holder), cluster.restart(dead)]);
    await cluster.settled();
    await told.check(cluster);
  });

  it('a partitioned leader is not replaced, alive or dead', async () => {
    const before = await cluster.status();
    await cluster.post('/cluster/partition', { region: before.leader });
    await pause(FAILOVER_AFTER_MS + 2_000);
    assert.equal(await leader(), before.leader);
    await cluster.kill(before.leader);
    await pause(FAILOVER_AFTER_MS + DETECTION_MS);
    const after = await cluster.status();
    assert.deepEqual([after.leader, after.epoch], [before.leader, before.epoch]);
    await cluster.restart(before.leader);
    await eventually('it answers', async () => (await cluster.get('/health')).status === 200);
    await cluster.post('/cluster/heal', { region: before.leader, wait: true });
    await told.check(cluster);
  });

  it('without NATS no leader is replaced; with it again, even without its volume, a dead leader is', async () => {
    const before = await cluster.status();
    await cluster.nats.kill();
    await cluster.kill(before.leader);
    await pause(FAILOVER_AFTER_MS + DETECTION_MS);
    assert.equal(await leader(), before.leader);
    await cluster.nats.restart({ wiped: true });
    await eventually('another leads', async () => (await leader()) !== before.leader, 30_000);
    await cluster.restart(before.leader);
    await cluster.settled();
    await told.check(cluster);
  });

  it('all the while no position and no epoch went back, and one region accepted in each epoch', async () => {
    await watch.stop();
    await checkLogs(cluster);
  });
});

describe('manual failover, the default', function () {
  this.timeout(60_000);
  let cluster: Cluster;

  before(async () => {
    cluster = await Cluster.start();
  });
  after(() => cluster?.stop());

  it('a killed leader stays the leader until an operator promotes another', async () => {
    await cluster.kill('us-east');
    await pause(FAILOVER_AFTER_MS + DETECTION_MS);
    const { leader, epoch } = await cluster.status();
    assert.deepEqual([leader, epoch], ['us-east', 1]);
    assert.equal(await metric(cluster.url, 'tidal_router_failover_lease'), 0);
    const { status } = await cluster.post('/cluster/promote', { region: 'eu-west', force: true });
    assert.equal(status, 200);
  });
});
