/** Automatic failover: which leader is unresponsive, which region takes over, and what is checked again before. */
import assert from 'node:assert/strict';
import { Fault } from '../../../../shared/errors/errors.ts';
import type { Leadership } from '../../../../shared/leadership/leadership.ts';
import type { Log } from '../../../../shared/observe/log.ts';
import type { WireWrite } from '../../../../shared/protocol/writes.ts';
import { type ManualClock, settle } from '../../../harness/kernel/manual-clock.ts';
import { silentLog } from '../../../harness/observe/silent-log.ts';
import { type MemoryCluster, memoryCluster } from '../../../harness/router/memory-cluster.ts';

const write: WireWrite = { k: 'd', e: 1 };
const AFTER_MS = 5_000;

describe('automatic failover', () => {
  let cluster: MemoryCluster<ManualClock>;
  let lines: { readonly message: string; readonly fields: Record<string, unknown> }[];
  const record = () => cluster.control.entry?.value as Leadership;
  const leader = () => [record().leader, record().epoch];
  const advance = (ms: number) => cluster.clock.advance(ms);
  const open = async (failoverAfterMs?: number): Promise<void> => {
    lines = [];
    const note = (message: string, fields: Record<string, unknown> = {}): void => void lines.push({ message, fields });
    const log = { ...silentLog, info: note, warn: note, error: note } as Log;
    cluster = memoryCluster({ log, ...(failoverAfterMs === undefined ? {} : { failoverAfterMs }) });
    cluster.router.start();
    await settle();
    // The lease is held, and every key has been seen to change.
    await advance(3_000);
  };
  const close = async (): Promise<void> => {
    cluster.router.drain();
    await cluster.clock.run(
      Promise.all([...cluster.hearts.values()].map((heart) => heart.stop())).then(() => cluster.router.close()),
    );
  };
  /** kill -9. */
  const kill = async (region: string): Promise<void> => {
    Object.assign(cluster.regions.get(region) as object, { state: 'not_sent' });
    void cluster.hearts.get(region)?.stop();
    await settle();
  };
  const metric = async (pattern: RegExp): Promise<number> => {
    const { text } = await cluster.metrics.render();
    return Number(pattern.exec(text)?.[1] ?? Number.NaN);
  };

  beforeEach(() => open(AFTER_MS));
  afterEach(() => close());

  it('garbage written again and again into a dead leader’s key is no heartbeat', async () => {
    await kill('us-east');
    for (let second = 0; second < AFTER_MS / 1_000 + 3; second++) {
      const garbage = [
        { region: 'us-east', partitioned: true, clockMs: 1e300 },
        { region: 'eu-west', partitioned: true, clockMs: 1 },
        null,
      ];
      cluster.keys.key('alive.us-east').put(garbage[second % garbage.length]);
      await advance(1_000);
    }
    assert.deepEqual(leader(), ['eu-west', 2]);
    assert.ok(
      lines.some(
        ({ message, fields }) =>
          message === 'malformed value in the control bucket' && /alive\.us-east/.test(String(fields.source)),
      ),
    );
  });

  it('a killed leader is replaced once, not before its time and not long after', async () => {
    for (let count = 0; count < 3; count += 1) cluster.usEast.accept(write);
    await advance(1_000);
    cluster.usEast.peers = [];
    await kill('us-east');
    await advance(AFTER_MS - 1_000);
    assert.deepEqual(leader(), ['us-east', 1]);
    await advance(3_000);
    assert.deepEqual(leader(), ['eu-west', 2]);
    assert.equal(cluster.euWest.drains, 1, 'it drained the stream first');
    assert.equal(cluster.router.leadership.current?.leader, 'eu-west');
    for (const region of [cluster.euWest, cluster.apSouth]) assert.equal(region.remembered?.epoch, 2, 'all were told');
    await advance(20_000);
    assert.deepEqual(leader(), ['eu-west', 2]);
    const told = lines.filter(({ message }) => message === 'unresponsive leader replaced');
    assert.equal(told.length, 1);
    const { from, to, epoch, unresponsive_ms, why, left_behind } = told[0]!.fields;
    assert.deepEqual([from, to, epoch, left_behind], ['us-east', 'eu-west', 2, 0]);
    assert.ok(
      Number(unresponsive_ms) >= AFTER_MS && Number(unresponsive_ms) <= AFTER_MS + 2_000,
      String(unresponsive_ms),
    );
    assert.match(String(why), /did not answer, and its heartbeat did not change/);
    assert.equal(await metric(/failovers_total\{outcome="replaced"[^}]*\} (\d+)/), 1);
    assert.equal(await metric(/promotions_total\{kind="automatic",outcome="ok"[^}]*\} (\d+)/), 1);
    assert.equal(await metric(/failover_lease\{[^}]*\} (\d+)/), 1);
  });

  it('the status says that it is on', async () => {
    assert.equal((await cluster.clock.run(cluster.router.reports.status())).failover, 'automatic');
  });

  it('writes that were held go to the new leader by themselves', async () => {
    await kill('us-east');
    const submitted = cluster.router.forwarding.submit({
      writes: [write],
      bytes: 10,
      atomic: false,
      durability: 'local',
      requestId: 'r',
    });
    assert.match((await cluster.clock.run(submitted)).position, /^eu-west@/);
  });

  it('a leader this router cannot reach, but which rewrites its key, is not unresponsive', async () => {
    cluster.usEast.state = 'no_answer';
    await advance(60_000);
    assert.deepEqual(leader(), ['us-east', 1]);
    assert.equal(await metric(/leader_unresponsive_seconds\{[^}]*\} ([\d.]+)/), 0);
  });

  it('a leader that answers, but whose key does not change, is not unresponsive', async () => {
    void cluster.hearts.get('us-east')?.stop();
    await advance(60_000);
    assert.deepEqual(leader(), ['us-east', 1]);
  });

  it('short outages, repeated, do not count', async () => {
    for (let round = 0; round < 5; round += 1) {
      cluster.usEast.state = 'not_sent';
      void cluster.hearts.get('us-east')?.stop();
      await advance(AFTER_MS - 1_500);
      cluster.usEast.state = 'up';
      await advance(1_500);
    }
    assert.deepEqual(leader(), ['us-east', 1]);
  });

  it('a partitioned leader is not replaced, whether it lives or dies; once healed it is watched again', async () => {
    await cluster.clock.run(cluster.router.drills.partition('us-east'));
    await advance(2_000);
    cluster.usEast.state = 'not_sent';
    await advance(30_000);
    assert.deepEqual(leader(), ['us-east', 1]);
    void cluster.hearts.get('us-east')?.stop();
    await advance(30_000);
    assert.deepEqual(leader(), ['us-east', 1]);
    cluster.usEast.state = 'up';
    await cluster.clock.run(cluster.router.drills.heal('us-east'));
    // Its key says that it is partitioned, and will say so for ever; but it said otherwise since.
    cluster.usEast.state = 'not_sent';
    await advance(10_000);
    assert.deepEqual(leader(), ['eu-west', 2]);
  });

  it('a partition that this router does not know yet is in the key', async () => {
    cluster.usEast.state = 'no_answer';
    await advance(1_500);
    cluster.usEast.isCut = true;
    await advance(1_500);
    await kill('us-east');
    await advance(30_000);
    assert.deepEqual(leader(), ['us-east', 1]);
  });

  it('a router that never reached the leader reads from its key that it is partitioned', async () => {
    await close();
    cluster = memoryCluster({ failoverAfterMs: AFTER_MS });
    cluster.usEast.isCut = true;
    await advance(2_000);
    await kill('us-east');
    cluster.router.start();
    await advance(60_000);
    assert.deepEqual(leader(), ['us-east', 1]);
  });

  it('without the control bucket no leader is replaced, and the time is counted anew when it is back', async () => {
    await kill('us-east');
    await advance(AFTER_MS - 2_000);
    cluster.keys.away = true;
    await advance(60_000);
    assert.deepEqual(leader(), ['us-east', 1]);
    cluster.keys.away = false;
    await advance(AFTER_MS - 1_000);
    assert.deepEqual(leader(), ['us-east', 1]);
    // The lease had run out as well.
    await advance(5_000);
    assert.deepEqual(leader(), ['eu-west', 2]);
  });

  it('a leader without a key is judged only where others have one', async () => {
    await close();
    cluster = memoryCluster({ failoverAfterMs: AFTER_MS });
    for (const heart of cluster.hearts.values()) void heart.stop();
    await settle();
    for (const name of cluster.regions.keys()) cluster.keys.key(`alive.${name}`).entry = undefined;
    cluster.router.start();
    await advance(3_000);
    cluster.usEast.state = 'not_sent';
    await advance(30_000);
    assert.deepEqual(leader(), ['us-east', 1], 'nobody here writes heartbeats');
    cluster.keys.key('alive.eu-west').put({ region: 'eu-west', partitioned: false, clockMs: 0 });
    await advance(10_000);
    assert.deepEqual(leader(), ['eu-west', 2]);
  });

  it('the one with most of the current epoch takes over', async () => {
    cluster.euWest.newestEpoch = { epoch: 1, events: 5 };
    cluster.apSouth.newestEpoch = { epoch: 1, events: 6 };
    await kill('us-east');
    await advance(10_000);
    assert.deepEqual(leader(), ['ap-south', 2]);
  });

  it('if no region can take over nothing changes, it is logged once, and retried', async () => {
    cluster.euWest.isCut = true;
    cluster.apSouth.ready = false;
    await kill('us-east');
    await advance(20_000);
    assert.deepEqual(leader(), ['us-east', 1]);
    const told = lines.filter(({ message }) => /no region can take over/.test(message));
    assert.equal(told.length, 1);
    assert.deepEqual(told[0]!.fields.others, ['eu-west is partitioned', 'ap-south is not ready']);
    assert.ok((await metric(/failovers_total\{outcome="no_candidate"[^}]*\} (\d+)/)) > 5);
    cluster.apSouth.ready = true;
    await advance(3_000);
    assert.deepEqual(leader(), ['ap-south', 2]);
  });

  it('a candidate that does not drain in time still takes over', async () => {
    cluster.euWest.drain = async () => {
      throw new Fault('no_answer', 'too slow');
    };
    await kill('us-east');
    await advance(10_000);
    assert.deepEqual(leader(), ['eu-west', 2]);
  });

  it('a leader that answers while the candidate drains stays', async () => {
    cluster.euWest.drain = async () => {
      cluster.usEast.state = 'up';
      return true;
    };
    await kill('us-east');
    await advance(20_000);
    assert.deepEqual(leader(), ['us-east', 1]);
    assert.equal(await metric(/failovers_total\{outcome="withdrawn"[^}]*\} (\d+)/), 1);
  });

  it('an operator was faster: nothing is changed on top of it', async () => {
    cluster.euWest.drain = async () => {
      cluster.control.put({ leader: 'ap-south', epoch: 2, nonce: 'operator' });
      return true;
    };
    await kill('us-east');
    await advance(20_000);
    assert.deepEqual(record(), { leader: 'ap-south', epoch: 2, nonce: 'operator' });
  });

  it('never over a handover in progress; a leader that died in one is replaced once it is abandoned', async () => {
    cluster.control.put({ leader: 'us-east', epoch: 1, nonce: 'h', handover: { to: 'ap-south', id: 'x' } });
    await advance(1_000);
    await kill('us-east');
    await advance(10_000);
    assert.deepEqual(leader(), ['us-east', 1]);
    await advance(8_000);
    assert.deepEqual(leader(), ['eu-west', 2]);
  });

  it('a lost answer to the change is found by its nonce; a lost change is made again', async () => {
    await kill('us-east');
    cluster.control.failures = ['lost', 'acknowledgement_lost'];
    await advance(25_000);
    assert.deepEqual(leader(), ['eu-west', 2]);
  });

  it('when the old leader is back it follows', async () => {
    await kill('us-east');
    await advance(10_000);
    cluster.usEast.state = 'up';
    await advance(10_000);
    assert.deepEqual(leader(), ['eu-west', 2]);
    await cluster.usEast.refreshLeadership();
    assert.equal((await cluster.usEast.status()).role, 'follower');
  });

  it('a router that was paused itself does not attribute its own pause to the leader', async () => {
    const { clock } = cluster;
    // As after a SIGSTOP: much time passes between two polls, and the first poll after it fails.
    const answers = ['not_sent', 'up'] as const;
    let asked = 0;
    const status = cluster.usEast.status.bind(cluster.usEast);
    void cluster.hearts.get('us-east')?.stop();
    await advance(2_000);
    cluster.usEast.status = () => {
      cluster.usEast.state = answers[Math.min(asked++, 1)]!;
      return status();
    };
    Object.assign(clock, { elapsedMs: clock.monotonicMs() + 60_000 });
    await advance(3_000);
    assert.deepEqual(leader(), ['us-east', 1]);
  });

  it('manual, which is the default: nothing happens, and no key is written', async () => {
    await close();
    await open();
    cluster.usEast.state = 'not_sent';
    await advance(120_000);
    assert.deepEqual(leader(), ['us-east', 1]);
    assert.equal((await cluster.clock.run(cluster.router.reports.status())).failover, 'manual');
    assert.equal(cluster.keys.key('lease').entry, undefined);
    assert.equal(cluster.keys.key('alive.us-east').entry, undefined);
    assert.equal(await metric(/failover_lease\{[^}]*\} (\d+)/), 0);
  });
});
