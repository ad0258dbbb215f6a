/** Drills as the router requests them: deadlines, and waiting until both sides have what the other had. */
import assert from 'node:assert/strict';
import { Fault, Refusal } from '../../../../shared/errors/errors.ts';
import type { WireWrite } from '../../../../shared/protocol/writes.ts';
import { type ManualClock, settle } from '../../../harness/kernel/manual-clock.ts';
import { type MemoryCluster, memoryCluster } from '../../../harness/router/memory-cluster.ts';

const write: WireWrite = { k: 'd', e: 1 };

describe('partition drills of the router', () => {
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
  const partition = (region: string, healAfterMs?: number) =>
    cluster.clock.run(cluster.router.drills.partition(region, healAfterMs));
  const healAndWait = (region: string) => cluster.clock.run(cluster.router.drills.heal(region, true));

  it('passes the deadline on and shows it', async () => {
    const healAt = Date.UTC(2026, 6, 1);
    cluster.euWest.setPartitioned = async (request) => {
      assert.deepEqual(request, { partitioned: true, healAfterMs: 30_000 });
      Object.assign(cluster.euWest, { isCut: true, healAtMs: healAt });
      return cluster.euWest.status();
    };
    const heal_at = '2026-07-01T00:00:00.000Z';
    assert.deepEqual(await partition('eu-west', 30_000), { region: 'eu-west', partitioned: true, heal_at });
    const status = await cluster.clock.run(cluster.router.reports.status());
    assert.deepEqual(
      status.regions.map((region) => region.heal_at),
      [undefined, heal_at, undefined],
    );
  });

  it('waits for both directions: what the region lacked, and what the others lacked of it', async () => {
    await partition('us-east');
    cluster.usEast.accept(write);
    cluster.usEast.accept(write);
    cluster.euWest.accept(write);
    // No region catches up before the test allows it.
    for (const region of cluster.regions.values()) region.peers = [];
    let answered = false;
    const healed = cluster.router.drills.heal('us-east', true).finally(() => {
      answered = true;
    });
    await cluster.clock.advance(2_000);
    cluster.usEast.peers = [cluster.euWest];
    await cluster.clock.advance(2_000);
    assert.equal(answered, false, 'the others lack what it had');
    cluster.euWest.peers = [cluster.usEast];
    await cluster.clock.advance(2_000);
    assert.equal(answered, false, 'one of them still does');
    cluster.apSouth.peers = [cluster.usEast, cluster.euWest];
    const { took_ms, ...rest } = await cluster.clock.run(healed);
    assert.deepEqual(rest, {
      region: 'us-east',
      partitioned: false,
      missed_events: 3,
      caught_up_with: ['eu-west', 'ap-south'],
      not_waited_for: [],
    });
    assert.ok(took_ms !== undefined && took_ms >= 6_000 && took_ms < 7_000, String(took_ms));
  });

  it('later writes do not change the goal: it answers under constant writes', async () => {
    await partition('ap-south');
    for (let count = 0; count < 5; count += 1) cluster.usEast.accept(write);
    const stop = setInterval(() => cluster.usEast.accept(write), 0);
    try {
      assert.equal((await healAndWait('ap-south')).missed_events, 5);
    } finally {
      clearInterval(stop);
    }
  });

  it('names the regions it did not wait for', async () => {
    await partition('ap-south');
    await partition('eu-west');
    cluster.usEast.accept(write);
    const answer = await healAndWait('ap-south');
    assert.deepEqual([answer.caught_up_with, answer.not_waited_for], [['us-east'], ['eu-west']]);
    cluster.usEast.state = 'no_answer';
    const alone = await healAndWait('ap-south');
    assert.deepEqual([alone.caught_up_with, alone.not_waited_for], [[], ['us-east', 'eu-west']]);
  });

  it('a region that does not answer for a while is asked again', async () => {
    await partition('ap-south');
    cluster.usEast.accept(write);
    const reach = cluster.apSouth.await.bind(cluster.apSouth);
    const failures = [new Fault('no_answer', 'restarting'), new Refusal('overloaded', 'busy')];
    cluster.apSouth.await = async (request) => {
      const failure = failures.shift();
      if (failure !== undefined) throw failure;
      return reach(request);
    };
    assert.equal((await healAndWait('ap-south')).missed_events, 1);
    assert.equal(failures.length, 0);
  });

  it('after 30 s it is 504 position_not_reached, says who lacks what, and how to find out', async () => {
    await partition('ap-south');
    for (let count = 0; count < 4; count += 1) cluster.usEast.accept(write);
    cluster.apSouth.peers = [];
    const startMs = cluster.clock.monotonicMs();
    await assert.rejects(healAndWait('ap-south'), (error: Error) => {
      assert.ok(error instanceof Refusal, String(error.stack));
      assert.equal(error.code, 'position_not_reached');
      assert.equal(error.message, 'ap-south is healed, but after 30 s ap-south lacks 4 events');
      assert.match(error.extras.hint ?? '', /\/cluster\/status/);
      return true;
    });
    const tookMs = cluster.clock.monotonicMs() - startMs;
    assert.ok(tookMs >= 29_000 && tookMs <= 31_000, String(tookMs));
    assert.equal(cluster.apSouth.isCut, false);
  });
});
