/**
 * Interrupted planned promotions: the router that runs one stops for good between any two of its steps, is paused for longer than
 * the old leader waits, or the old leader dies in it. The production routers and roles, with clients that continue to write
 * through another router.
 */

import assert from 'node:assert/strict';
import { Refusal } from '../../../../shared/errors/errors.ts';
import { HANDOVER_RESUMED_MS } from '../../../../shared/protocol/deadlines.ts';
import { CoreCluster, type CoreRouter, type RouterStep } from '../../../harness/region/core-cluster.ts';
import { view } from '../../../harness/region/core-region.ts';

/** How long an old leader stays stopped for a handover that does not end. */
const RESUME_MS = HANDOVER_RESUMED_MS;

/** Clients that write one view of a new entity ten times a second each, until stopped, and remember the answers. */
class Clients {
  readonly accepted: number[] = [];
  readonly refused: number[] = [];
  readonly unknown: number[] = [];
  /** Monotonic ms of the newest acceptance. */
  lastAcceptedMs = 0;
  open = 0;
  private readonly cluster: CoreCluster;
  private entity = 0;
  private running = true;

  constructor(cluster: CoreCluster, routers: readonly CoreRouter[]) {
    this.cluster = cluster;
    for (const router of routers) void this.run(router);
  }

  stop(): void {
    this.running = false;
  }

  private async run(router: CoreRouter): Promise<void> {
    const { clock } = this.cluster;
    while (this.running) {
      const entity = ++this.entity;
      this.open++;
      router.submit([view(entity)]).then(
        () => {
          this.accepted.push(entity);
          this.lastAcceptedMs = clock.monotonicMs();
          this.open--;
        },
        (error: unknown) => {
          assert.ok(error instanceof Refusal, String(error));
          (error.code === 'outcome_unknown' ? this.unknown : this.refused).push(entity);
          this.open--;
        },
      );
      await new Promise<void>((resolve) => clock.after(100, resolve));
    }
  }

  /** At the end: what was accepted exists once, what was refused does not, one leader an epoch. */
  async judge(): Promise<void> {
    const { cluster } = this;
    this.stop();
    await cluster.clock.until('every client was answered', () => this.open === 0);
    await cluster.converge();
    assert.ok(this.accepted.length > 0);
    for (const entity of this.accepted) assert.equal(cluster.count(entity), 1, `accepted ${entity}`);
    for (const entity of this.refused) assert.equal(cluster.count(entity), 0, `refused ${entity}`);
    for (const entity of this.unknown) assert.ok(cluster.count(entity) <= 1);
    for (const [epoch, leaders] of cluster.leadersByEpoch()) assert.equal(leaders.size, 1, `epoch ${epoch}`);
  }
}

/** Stops the router for good at the `nth` time it reaches this step. */
function dieAt(router: CoreRouter, at: RouterStep, when: 'before' | 'after', nth = 1): void {
  let met = 0;
  router.onStep = (step, now) => {
    if (step === at && now === when && ++met === nth) router.dead = true;
  };
}

async function outcomeOf(cluster: CoreCluster, promotion: Promise<unknown>): Promise<string> {
  try {
    await cluster.clock.run(promotion);
    return 'done';
  } catch (error) {
    assert.ok(error instanceof Refusal, String(error));
    return error.code;
  }
}

describe('a router dies in a handover', () => {
  const points: readonly [what: string, step: RouterStep, when: 'before' | 'after', nth: number, leader: string][] = [
    ['before it announces it', 'update', 'before', 1, 'us-east'],
    ['once it is announced', 'update', 'after', 1, 'us-east'],
    ['before it asks the old leader to stop', 'handover', 'before', 1, 'us-east'],
    ['once the old leader has stopped', 'handover', 'after', 1, 'us-east'],
    ['once the target has everything', 'await', 'after', 1, 'us-east'],
    ['before the last step', 'update', 'before', 2, 'us-east'],
    ['after the last step, before anybody is told', 'update', 'after', 2, 'eu-west'],
    ['before it tells the regions', 'refresh', 'before', 1, 'eu-west'],
  ];
  for (const [what, step, when, nth, leader] of points) {
    it(`${what}: writes resume by themselves, each exists once, and one region leads (schedule 15)`, async () => {
      const cluster = await CoreCluster.start();
      const [dying, other] = [await cluster.router(), await cluster.router()];
      const clients = new Clients(cluster, [other, other]);
      await cluster.clock.advance(1_000);
      dieAt(dying, step, when, nth);
      void dying.service.promote({ region: 'eu-west', force: false });
      await cluster.clock.until('it is gone', () => dying.dead);
      const goneMs = cluster.clock.monotonicMs();
      await cluster.clock.until(
        'a write that came after it is accepted',
        () => clients.lastAcceptedMs > goneMs + 300 && cluster.record.handover === undefined,
        15_000,
      );
      assert.deepEqual([cluster.record.leader, cluster.record.handover], [leader, undefined]);
      assert.equal(await outcomeOf(cluster, other.service.promote({ region: 'ap-south', force: false })), 'done');
      await cluster.clock.advance(1_000);
      await clients.judge();
      assert.equal(cluster.record.leader, 'ap-south');
      assert.equal(cluster.record.epoch, leader === 'eu-west' ? 3 : 2);
    });
  }

  it('a handover whose old leader is dead as well may be taken over after 15 s, by force at once (schedule 15)', async () => {
    const cluster = await CoreCluster.start();
    const [dying, other] = [await cluster.router(), await cluster.router()];
    dieAt(dying, 'handover', 'after');
    void dying.service.promote({ region: 'eu-west', force: false });
    await cluster.clock.until('it is gone', () => dying.dead);
    cluster.kill('us-east');
    await cluster.clock.advance(2_000);
    const again = (): Promise<string> => outcomeOf(cluster, other.service.promote({ region: 'us-east', force: false }));
    assert.equal(await again(), 'promotion_in_progress');
    await cluster.clock.advance(15_000);
    assert.equal(await again(), 'done', 'promoting who leads anyway takes the handover back');
    assert.deepEqual([cluster.record.leader, cluster.record.handover], ['us-east', undefined]);
    assert.equal(await outcomeOf(cluster, other.service.promote({ region: 'ap-south', force: true })), 'done');
    cluster.start('us-east');
    await cluster.converge();
  });
});

/** A planned promotion of `eu-west` whose router is paused before its last step, until `wake`. */
async function pausedBeforeCommit(cluster: CoreCluster, router: CoreRouter) {
  let wake: (() => void) | undefined;
  router.onStep = (step, when) => {
    if (step !== 'await' || when !== 'after') return;
    return new Promise<void>((resolve) => {
      wake = resolve;
    });
  };
  const promotion = router.service.promote({ region: 'eu-west', force: false });
  await cluster.clock.until('it is paused', () => wake !== undefined);
  return { promotion, wake: () => wake?.() };
}

describe('of commit, roll-back and resumption exactly one happens', () => {
  it('the router is paused before its last step until the old leader has resumed: no commit (schedule 15)', async () => {
    const cluster = await CoreCluster.start();
    const [slow, other] = [await cluster.router(), await cluster.router()];
    const clients = new Clients(cluster, [other]);
    const { promotion, wake } = await pausedBeforeCommit(cluster, slow);
    await cluster.clock.until(
      'the old leader resumed',
      () => 'epoch' in cluster.region('us-east').role.gate(1),
      15_000,
    );
    await cluster.clock.until('writes are accepted again', () => clients.lastAcceptedMs > 10_000, 15_000);
    wake();
    assert.equal(await outcomeOf(cluster, promotion), 'handover_timeout');
    assert.deepEqual([cluster.record.leader, cluster.record.epoch], ['us-east', 1]);
    await clients.judge();
    assert.deepEqual([...cluster.leadersByEpoch().keys()], [1]);
  });

  it('the commit lands while the old leader is about to resume: it follows (schedule 15)', async () => {
    const cluster = await CoreCluster.start();
    const [slow, other] = [await cluster.router(), await cluster.router()];
    const clients = new Clients(cluster, [other]);
    const { promotion, wake } = await pausedBeforeCommit(cluster, slow);
    await cluster.clock.advance(RESUME_MS - 500);
    // The old leader has just read that nothing has changed when the commit arrives.
    const { control } = cluster.region('us-east').client;
    const read = control.read.bind(control);
    control.read = async () => {
      const entry = await read();
      control.read = read;
      wake();
      await cluster.clock.settle();
      assert.equal(cluster.record.epoch, 2);
      return entry;
    };
    const update = control.update.bind(control);
    let resumed: unknown;
    control.update = async (value, revision) => {
      resumed = await update(value, revision);
      return resumed as 'conflict';
    };
    await cluster.clock.until('it tried to resume', () => resumed !== undefined, 15_000);
    assert.equal(resumed, 'conflict');
    assert.equal(await outcomeOf(cluster, promotion), 'done');
    assert.deepEqual([cluster.record.leader, cluster.record.epoch], ['eu-west', 2]);
    await cluster.clock.advance(2_000);
    await clients.judge();
  });

  it('the commit is stored, its answer lost, and the key unreachable for this router: the regions report it, and nothing is undone (schedule 15)', async () => {
    const cluster = await CoreCluster.start();
    const [torn, other] = [await cluster.router(), await cluster.router()];
    const clients = new Clients(cluster, [other]);
    let updates = 0;
    torn.onStep = (step, when) => {
      if (step === 'update' && when === 'before' && ++updates === 2) torn.client.loseControlAnswer = true;
    };
    const { control } = torn.client;
    const update = control.update.bind(control);
    control.update = async (value, revision) => {
      try {
        return await update(value, revision);
      } catch (error) {
        torn.client.controlAway = true;
        throw error;
      }
    };
    assert.equal(await outcomeOf(cluster, torn.service.promote({ region: 'eu-west', force: false })), 'done');
    assert.equal(torn.client.controlAway, true);
    torn.client.controlAway = false;
    await cluster.clock.advance(15_000);
    assert.deepEqual([cluster.record.leader, cluster.record.epoch], ['eu-west', 2]);
    assert.equal(torn.service.leadership.current?.leader, 'eu-west');
    await clients.judge();
  });

  it('two routers promote different regions at the same time: one succeeds, the other is refused (schedule 15)', async () => {
    const cluster = await CoreCluster.start();
    const [one, two] = [await cluster.router(), await cluster.router()];
    const clients = new Clients(cluster, [one, two]);
    await cluster.clock.advance(500);
    const outcomes = Promise.all([
      outcomeOf(cluster, one.service.promote({ region: 'eu-west', force: false })),
      outcomeOf(cluster, two.service.promote({ region: 'ap-south', force: false })),
    ]);
    assert.deepEqual((await outcomes).sort(), ['done', 'promotion_in_progress']);
    assert.equal(cluster.record.epoch, 2);
    await cluster.clock.advance(2_000);
    await clients.judge();
    assert.deepEqual(clients.refused, [], 'and no write failed');
    assert.deepEqual(clients.unknown, []);
  });

  it('the old leader dies after it answered, its tail only on its disk: the handover is taken back, nothing is lost (schedule 15)', async () => {
    const cluster = await CoreCluster.start();
    const [router, other] = [await cluster.router(), await cluster.router()];
    const clients = new Clients(cluster, [other]);
    await cluster.clock.advance(1_000);
    // What it accepts from here on stays on its disk: nothing is shipped, and peers cannot fetch.
    void cluster.region('us-east').ship.stop();
    cluster.region('us-east').serve = () => new Uint8Array();
    router.onStep = (step, when) => {
      if (step === 'handover' && when === 'after') cluster.kill('us-east');
    };
    const { accepted } = clients;
    const before = accepted.length;
    await cluster.clock.until('a tail is acknowledged', () => accepted.length > before + 5);
    const promotion = outcomeOf(cluster, router.service.promote({ region: 'eu-west', force: false }));
    await cluster.clock.until('it is dead', () => cluster.region('us-east').down);
    assert.equal(await promotion, 'handover_timeout');
    assert.deepEqual([cluster.record.leader, cluster.record.epoch], ['us-east', 1]);
    cluster.start('us-east');
    const resumedMs = cluster.clock.monotonicMs();
    await cluster.clock.until('writes are accepted again', () => clients.lastAcceptedMs > resumedMs, 15_000);
    await clients.judge();
    assert.deepEqual([cluster.record.leader, cluster.record.epoch], ['us-east', 1]);
  });
});
