import assert from 'node:assert/strict';
import type { Leadership } from '../../../../shared/leadership/leadership.ts';
import type { WireWrite } from '../../../../shared/protocol/writes.ts';
import { type ManualClock, settle } from '../../../harness/kernel/manual-clock.ts';
import { type MemoryCluster, memoryCluster } from '../../../harness/router/memory-cluster.ts';

const write: WireWrite = { k: 'd', e: 1 };

describe('cluster status, health and drills', () => {
  let cluster: MemoryCluster<ManualClock>;
  beforeEach(async () => {
    cluster = memoryCluster();
    cluster.router.start();
    await settle();
  });
  afterEach(async () => {
    cluster.router.drain();
    await cluster.clock.run(cluster.router.close());
  });
  const status = () => cluster.clock.run(cluster.router.reports.status());
  const health = () => cluster.clock.run(cluster.router.reports.health());
  const accept = (count: number): void => {
    for (let index = 0; index < count; index += 1) cluster.usEast.accept(write);
  };

  it('has the fields of the runbook, first and in its order', async () => {
    accept(3);
    const answer = await status();
    assert.deepEqual(Object.keys(answer).slice(0, 3), ['leader', 'relay_log_len', 'regions']);
    assert.equal(answer.leader, 'us-east');
    assert.equal(answer.relay_log_len, 3);
    assert.deepEqual(
      answer.regions.map((region) => Object.entries(region).slice(0, 4)),
      ['us-east', 'eu-west', 'ap-south'].map((name) => [
        ['name', name],
        ['applied_events', 3],
        ['lag_events', 0],
        ['partitioned', false],
      ]),
    );
    assert.equal(answer.epoch, 1);
    assert.deepEqual(answer.stream, { connected: true, offset: 5 });
    assert.equal(answer.stale, undefined);
  });

  it('shows the lag of a partitioned region grow, in events and seconds, and go back to 0', async () => {
    await cluster.clock.run(cluster.router.drills.partition('ap-south'));
    accept(4);
    cluster.usEast.newestMs = 12_500;
    // It has applied nothing yet: there is no event from which on it lags.
    assert.deepEqual(
      [(await status()).regions[2]].map((one) => [one?.lag_events, one?.lag_seconds]),
      [[4, null]],
    );
    cluster.apSouth.newestMs = 10_000;
    const during = (await status()).regions[2];
    assert.deepEqual(
      [during?.applied_events, during?.lag_events, during?.partitioned, during?.lag_seconds],
      [0, 4, true, 2.5],
    );
    const healed = await cluster.clock.run(cluster.router.drills.heal('ap-south'));
    assert.deepEqual(healed, { region: 'ap-south', partitioned: false, missed_events: 4 });
    const after = (await status()).regions[2];
    assert.deepEqual([after?.lag_events, after?.partitioned, after?.lag_seconds], [0, false, 0]);
  });

  it('counts what both sides missed, and nothing for a region that was not partitioned', async () => {
    accept(2);
    await status();
    assert.equal((await cluster.clock.run(cluster.router.drills.heal('us-east'))).missed_events, 0);
    await cluster.clock.run(cluster.router.drills.partition('us-east'));
    accept(5);
    cluster.euWest.accept(write);
    assert.equal((await cluster.clock.run(cluster.router.drills.heal('us-east'))).missed_events, 6);
  });

  it('a drill on an unreachable region is 503 and says that nothing was done', async () => {
    cluster.apSouth.state = 'not_sent';
    await assert.rejects(cluster.router.drills.partition('ap-south'), /cannot be reached/);
    await assert.rejects(cluster.router.drills.heal('ap-south'), /cannot be reached/);
  });

  it('is degraded, and says why, where the broker takes less than a batch (schedule 10)', async () => {
    const { euWest } = cluster;
    const status = euWest.status.bind(euWest);
    euWest.status = async () => ({ ...(await status()), streamLimitBytes: 100_000 });
    const { status: word, notes } = await health();
    assert.equal(word, 'degraded');
    assert.match(notes.join(), /eu-west: the broker takes messages of at most 100000 bytes/);
  });

  it('says which region searches vectors without a graph, and is still healthy', async () => {
    const { euWest } = cluster;
    const status = euWest.status.bind(euWest);
    euWest.status = async () => ({ ...(await status()), scanOnly: "Cannot find module 'hnswlib-node'" });
    const { status: word, notes } = await health();
    assert.equal(word, 'ok');
    assert.deepEqual(notes, [
      "eu-west: vector search has no graph and compares every vector (Cannot find module 'hnswlib-node')",
    ]);
  });

  it('a drill without an answer may have been done, and the answer says so: only what was not sent is 503 (schedule 26)', async () => {
    cluster.apSouth.state = 'no_answer';
    for (const ask of [
      () => cluster.router.drills.partition('ap-south'),
      () => cluster.router.drills.heal('ap-south'),
    ]) {
      cluster.apSouth.status = async () => cluster.euWest.status();
      await assert.rejects(ask(), { code: 'outcome_unknown' });
    }
  });

  it('shows an unreachable region with its last known numbers', async () => {
    accept(2);
    await status();
    cluster.euWest.state = 'not_sent';
    accept(1);
    const region = (await status()).regions[1];
    assert.deepEqual([region?.reachable, region?.applied_events, region?.lag_events], [false, 2, 1]);
    assert.equal((await health()).status, 'degraded');
  });

  it('shows an unreachable leader as stale, and no health without it', async () => {
    accept(2);
    await status();
    cluster.usEast.state = 'no_answer';
    const answer = await status();
    assert.equal(answer.stale, true);
    assert.equal(answer.relay_log_len, 2);
    assert.equal(answer.regions[0]?.reachable, false);
    const sick = await health();
    assert.deepEqual([sick.status, sick.items, sick.leader], ['unavailable', null, 'us-east']);
  });

  it('shows events the leader lacks as ahead', async () => {
    cluster.usEast.peers = [];
    cluster.euWest.accept(write);
    const answer = await status();
    assert.equal(answer.regions[1]?.ahead_events, 1);
    assert.equal(answer.regions[0]?.lag_events, 0);
  });

  it('shows a region that never reported as unknown, not as empty', async () => {
    const fresh = memoryCluster();
    fresh.apSouth.state = 'not_sent';
    fresh.router.start();
    await settle();
    const region = (await fresh.clock.run(fresh.router.reports.status())).regions[2];
    assert.deepEqual([region?.applied_events, region?.lag_events, region?.reachable], [null, null, false]);
    await fresh.clock.run(fresh.router.close());
  });

  it('is healthy with the item count of the leader, and says why it is not', async () => {
    cluster.usEast.items = 12;
    assert.deepEqual(await health(), {
      status: 'ok',
      leader: 'us-east',
      items: 12,
      epoch: 1,
      regions: { total: 3, reachable: 3, ready: 3 },
      notes: [],
    });
    cluster.usEast.writeBlocker = { code: 'clock_unsafe', detail: 'its clock is 300 s off' };
    cluster.apSouth.isCut = true;
    cluster.euWest.streamConnected = false;
    const answer = await health();
    assert.equal(answer.status, 'degraded');
    assert.deepEqual(answer.notes, [
      'us-east would refuse writes: its clock is 300 s off',
      'eu-west is not connected to the stream',
      'ap-south is partitioned',
    ]);
  });

  it('is unavailable while the leader, reachable and ready, refuses writes, and says why', async () => {
    for (const code of ['storage_full', 'clock_unsafe', 'not_leader', 'schema_behind']) {
      cluster.usEast.refuses = { code, detail: `because of ${code}` };
      const answer = await health();
      assert.deepEqual(
        [answer.status, answer.notes],
        ['unavailable', [`us-east leads and refuses writes: because of ${code}`]],
      );
    }
    // Writes are held by the router until the handover has ended.
    cluster.usEast.refuses = { code: 'handing_over', detail: 'us-east is handing over to eu-west' };
    assert.equal((await health()).status, 'degraded');
    cluster.usEast.refuses = undefined;
    assert.equal((await health()).status, 'ok');
  });

  it('is unavailable while the leader does not know the epoch that writes are sent in', async () => {
    const record = cluster.control.entry?.value as Leadership;
    cluster.control.put({ ...record, epoch: 7, nonce: 'raised' });
    for (const region of cluster.regions.values()) region.remembered = record;
    await cluster.clock.advance(1_100);
    const answer = await health();
    assert.deepEqual([answer.status, answer.notes], ['unavailable', ['us-east knows epoch 1, not 7']]);
    for (const region of cluster.regions.values()) await region.refreshLeadership();
    assert.equal((await health()).status, 'ok');
  });

  it('an index of a region that has failed is named, and the cluster serves on, degraded', async () => {
    cluster.euWest.said = { failedIndexes: ['the indexes cannot take the item 7: no words'] };
    const { status: said, notes } = await health();
    assert.equal(said, 'degraded');
    assert.deepEqual(notes, ['eu-west: the indexes cannot take the item 7: no words']);
  });

  it('names what regions refuse and which settings of the stream were changed, once each', async () => {
    const said = ['the value of the leadership key is refused: it is not an object'];
    cluster.usEast.said = { refusedValues: said, streamSettings: ['max_age of TIDAL_WAL is 1, not 0'] };
    cluster.apSouth.said = { refusedValues: said };
    const answer = await health();
    assert.equal(answer.status, 'degraded');
    assert.deepEqual(answer.notes, [`us-east, ap-south: ${said[0]}`, 'us-east: max_age of TIDAL_WAL is 1, not 0']);
  });
});
