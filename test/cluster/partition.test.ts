/** Drills: a partitioned region stays partitioned, reports its lag, and on heal replays what it missed by itself. */
import assert from 'node:assert/strict';
import { eventually } from '../harness/kernel/eventually.ts';
import { Cluster } from '../harness/processes/cluster.ts';

interface Problem {
  readonly code: string;
  readonly hint?: string;
}

describe('partition drills', function () {
  this.timeout(90_000);
  let cluster: Cluster;

  before(async () => {
    cluster = await Cluster.start();
  });
  after(() => cluster?.stop());

  const region = async (name: string) => {
    const found = (await cluster.status()).regions.find((entry) => entry.name === name);
    assert.ok(found);
    return found;
  };
  const like = async (entity: number): Promise<void> => {
    const { status } = await cluster.post('/signals', { entity_id: entity, signal: 'like' });
    assert.equal(status, 200);
  };
  const feed = (name: string) =>
    cluster.get<{ items: { entity_id: number }[]; lag_events: number }>(`/feed?profile=new&region=${name}`);
  const search = (name: string) =>
    cluster.get<{ items: { entity_id: number }[] }>(`/search?query=saxophone&region=${name}`);

  it('the lag of a partitioned follower grows while writes continue; the leader shows 0', async () => {
    await cluster.post('/items', { entity_id: 1, metadata: { title: 'Before the cut' } });
    await cluster.converged();
    const { status, body } = await cluster.post('/cluster/partition', { region: 'ap-south' });
    assert.equal(status, 200);
    assert.equal(body.partitioned, true);
    await cluster.post('/items', { entity_id: 2, metadata: { title: 'Saxophone during the cut' } });
    for (let count = 1; count <= 5; count++) {
      await like(2);
      const { partitioned, lag_events } = await region('ap-south');
      assert.deepEqual({ partitioned, lag_events }, { partitioned: true, lag_events: count + 1 });
    }
    assert.equal((await region('us-east')).lag_events, 0);
    const { relay_log_len, regions } = await cluster.status();
    for (const { applied_events, lag_events, name } of regions) {
      if (name === 'eu-west') continue;
      assert.equal(applied_events + lag_events, relay_log_len);
    }
  });

  it('it answers reads from what it has, and says that it lags', async () => {
    const { status, body } = await feed('ap-south');
    assert.equal(status, 200);
    assert.deepEqual(
      body.items.map(({ entity_id }) => entity_id),
      [1],
    );
    await eventually('the lag is known there', async () => (await feed('ap-south')).body.lag_events === 6);
  });

  it('cutting it again changes nothing', async () => {
    const { status, body } = await cluster.post('/cluster/partition', { region: 'ap-south' });
    assert.equal(status, 200);
    assert.equal(body.partitioned, true);
  });

  it('it stays partitioned across a kill and a restart', async () => {
    await cluster.kill('ap-south');
    await cluster.restart('ap-south');
    await eventually('it is back', async () => (await region('ap-south')).reachable);
    const { partitioned, lag_events } = await region('ap-south');
    assert.deepEqual({ partitioned, lag_events }, { partitioned: true, lag_events: 6 });
  });

  it('promoting it is refused and names force', async () => {
    const { status, body } = await cluster.post<Problem>('/cluster/promote', { region: 'ap-south' });
    assert.equal(status, 409);
    assert.equal(body.code, 'target_partitioned');
    assert.match(JSON.stringify(body), /force/);
  });

  it('on heal it replays what it missed without any further write', async () => {
    const { status, body } = await cluster.post('/cluster/heal', { region: 'ap-south' });
    assert.equal(status, 200);
    assert.deepEqual(body, { region: 'ap-south', partitioned: false, missed_events: 6 });
    await eventually('no lag', async () => (await region('ap-south')).lag_events === 0);
    assert.deepEqual(
      (await feed('ap-south')).body.items.map(({ entity_id }) => entity_id),
      [2, 1],
    );
    assert.deepEqual(
      (await search('ap-south')).body.items.map(({ entity_id }) => entity_id),
      [2],
    );
    await cluster.converged();
  });

  it('a partitioned leader continues to accept as local; promoting another region names force', async () => {
    await cluster.post('/cluster/partition', { region: 'us-east' });
    const { status, body } = await cluster.post('/signals', { entity_id: 1, signal: 'view' });
    assert.equal(status, 200);
    assert.equal(body.durability, 'local');
    const promote = await cluster.post<Problem>('/cluster/promote', { region: 'eu-west' });
    assert.equal(promote.status, 409);
    assert.equal(promote.body.code, 'leader_partitioned');
    assert.match(JSON.stringify(promote.body), /force/);
  });

  it('forced promotion: both sides accept, and heal merges them', async () => {
    const forced = await cluster.post('/cluster/promote', { region: 'eu-west', force: true });
    assert.equal(forced.status, 200, JSON.stringify(forced.body));
    assert.equal(forced.body.leader, 'eu-west');
    assert.equal(forced.body.left_behind, 1);
    for (let count = 0; count < 3; count++) {
      const { status } = await cluster.post('/signals', { entity_id: 1, signal: 'view' });
      assert.equal(status, 200);
    }
    await cluster.post('/cluster/heal', { region: 'us-east' });
    await cluster.converged();
    for (const name of cluster.regionNames) {
      const { body } = await cluster.get<{ signals: { view: { all: number } } }>(`/items/1?region=${name}`);
      assert.equal(body.signals.view.all, 4, `${name} has the events of both sides`);
    }
    const { leader, epoch } = await cluster.status();
    assert.deepEqual({ leader, epoch }, { leader: 'eu-west', epoch: 2 });
  });

  it('heal with wait answers when both sides have what the other had', async () => {
    await cluster.post('/cluster/partition', { region: 'us-east' });
    await cluster.post('/cluster/partition', { region: 'eu-west' });
    await cluster.post('/cluster/promote', { region: 'ap-south', force: true });
    for (let entity = 1; entity <= 5; entity++) await like(entity);
    const other = await cluster.post('/cluster/heal', { region: 'us-east', wait: true });
    assert.equal(other.status, 200, JSON.stringify(other.body));
    assert.deepEqual(other.body.caught_up_with, ['ap-south']);
    assert.deepEqual(other.body.not_waited_for, ['eu-west'], 'still cut off');
    const { status, body } = await cluster.post('/cluster/heal', { region: 'eu-west', wait: true });
    assert.equal(status, 200, JSON.stringify(body));
    assert.deepEqual(body.caught_up_with, ['us-east', 'ap-south']);
    assert.deepEqual(body.not_waited_for, []);
    // Nothing has to be waited for: one read is enough.
    for (const { name, lag_events, ahead_events } of (await cluster.status()).regions) {
      assert.deepEqual([lag_events, ahead_events], [0, 0], name);
    }
  });

  it('heal with wait of a leader waits until the others have its tail', async () => {
    await cluster.post('/cluster/partition', { region: 'ap-south' });
    for (let entity = 1; entity <= 5; entity++) await like(entity);
    const { status, body } = await cluster.post('/cluster/heal', { region: 'ap-south', wait: true });
    assert.equal(status, 200, JSON.stringify(body));
    assert.equal(body.missed_events, 5);
    for (const { name, lag_events } of (await cluster.status()).regions) assert.equal(lag_events, 0, name);
  });

  it('a partition with heal_after shows when it ends, survives a kill, and ends by itself', async () => {
    const { status, body } = await cluster.post('/cluster/partition', { region: 'eu-west', heal_after: '4s' });
    assert.equal(status, 200);
    const healAt = String(body.heal_at);
    assert.ok(Math.abs(Date.parse(healAt) - Date.now() - 4_000) < 1_000, healAt);
    await like(1);
    await cluster.kill('eu-west');
    await cluster.restart('eu-west');
    await eventually('it is back', async () => (await region('eu-west')).reachable);
    const { partitioned, heal_at } = await region('eu-west');
    assert.deepEqual({ partitioned, heal_at }, { partitioned: true, heal_at: healAt });
    await eventually('it heals by itself', async () => !(await region('eu-west')).partitioned);
    assert.ok(Date.now() >= Date.parse(healAt), 'not early');
    assert.equal((await region('eu-west')).heal_at, undefined);
    await eventually('no lag', async () => (await region('eu-west')).lag_events === 0);
    await cluster.converged();
  });

  it('unknown regions are refused by name', async () => {
    for (const path of ['/cluster/partition', '/cluster/heal', '/cluster/promote']) {
      const { status, body } = await cluster.post<Problem>(path, { region: 'mars' });
      assert.equal(status, 404);
      assert.equal(body.code, 'unknown_region');
      assert.match(JSON.stringify(body), /us-east, eu-west, ap-south/);
    }
  });
});
