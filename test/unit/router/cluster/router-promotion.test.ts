import assert from 'node:assert/strict';
import { type ProblemCode, Refusal } from '../../../../shared/errors/errors.ts';
import type { Leadership } from '../../../../shared/leadership/leadership.ts';
import type { WireWrite } from '../../../../shared/protocol/writes.ts';
import { type ManualClock, settle } from '../../../harness/kernel/manual-clock.ts';
import { type MemoryCluster, memoryCluster } from '../../../harness/router/memory-cluster.ts';

const write: WireWrite = { k: 'd', e: 1 };

describe('promotion', () => {
  let cluster: MemoryCluster<ManualClock>;
  const record = () => cluster.control.entry?.value as Leadership;
  const promote = (region: string, force = false) => cluster.clock.run(cluster.router.promote({ region, force }));
  const refused = (code: ProblemCode, hint?: RegExp) => (error: Error) => {
    assert.ok(error instanceof Refusal, String(error.stack));
    assert.equal(error.code, code, error.message);
    if (hint !== undefined) assert.match(error.extras.hint ?? '', hint);
    return true;
  };
  /** The router's knowledge follows the key within the second. */
  const put = async (value: Leadership): Promise<void> => {
    cluster.control.put(value);
    await cluster.clock.advance(1_000);
  };

  beforeEach(async () => {
    cluster = memoryCluster();
    cluster.router.start();
    await settle();
  });
  afterEach(async () => {
    cluster.router.drain();
    await cluster.clock.run(cluster.router.close());
  });

  it('hands over: the target has everything before the record names it', async () => {
    cluster.euWest.peers = [];
    for (let count = 0; count < 7; count += 1) cluster.usEast.accept(write);
    const steps: string[] = [];
    cluster.usEast.onHandover = () => {
      steps.push(`handover to ${record().handover?.to} in epoch ${record().epoch}`);
      // Accepted before it stopped, and part of its final position.
      cluster.usEast.accept(write);
      cluster.euWest.peers = [cluster.usEast];
    };
    const answer = await promote('eu-west');
    assert.deepEqual(steps, ['handover to eu-west in epoch 1']);
    const { took_ms, ...rest } = answer;
    assert.deepEqual(rest, { leader: 'eu-west', previous: 'us-east', epoch: 2, handed_over_events: 8 });
    assert.ok(took_ms >= 0);
    const { nonce, ...committed } = record();
    assert.deepEqual(committed, { leader: 'eu-west', epoch: 2 });
    assert.deepEqual(cluster.router.leadership.current, { nonce, ...committed });
    for (const region of cluster.regions.values()) assert.equal(region.remembered?.epoch, 2, 'all were told');
    assert.deepEqual([...cluster.euWest.position.values()], [8]);
  });

  it('of the leader changes nothing', async () => {
    const { took_ms, ...answer } = await promote('us-east');
    assert.deepEqual(answer, { leader: 'us-east', previous: 'us-east', epoch: 1, handed_over_events: 0 });
    assert.ok(took_ms >= 0);
    assert.equal(cluster.control.changes, 0);
  });

  const conflicts: [string, ProblemCode, RegExp | undefined, (c: MemoryCluster<ManualClock>) => object][] = [
    ['a cut target', 'target_partitioned', /"force": true/, (c) => Object.assign(c.euWest, { isCut: true })],
    [
      'an unreachable target',
      'target_unreachable',
      /"force": true/,
      (c) => Object.assign(c.euWest, { state: 'not_sent' }),
    ],
    ['a target that is not ready', 'target_not_ready', undefined, (c) => Object.assign(c.euWest, { ready: false })],
    [
      'a target whose schema lacks a signal of the leader',
      'target_not_ready',
      /upgrade the schema of eu-west/,
      (c) => Object.assign(c.usEast, { signals: ['view', 'applause'] }),
    ],
    ['a partitioned leader', 'leader_partitioned', /"force": true/, (c) => Object.assign(c.usEast, { isCut: true })],
    [
      'an unreachable leader',
      'leader_unreachable',
      /"force": true/,
      (c) => Object.assign(c.usEast, { state: 'no_answer' }),
    ],
    ['a key that is away', 'control_unavailable', undefined, (c) => Object.assign(c.control, { away: true })],
  ];
  for (const [what, code, hint, arrange] of conflicts) {
    it(`${what} is refused with ${code}, and nothing is changed`, async () => {
      arrange(cluster);
      await assert.rejects(promote('eu-west'), refused(code, hint));
      cluster.control.away = false;
      assert.equal(cluster.control.changes, 0);
      assert.equal(record().nonce, 'first');
    });
  }

  it('is refused while another one is in progress, here or elsewhere', async () => {
    await put({ leader: 'us-east', epoch: 1, nonce: 'n2', handover: { to: 'ap-south', id: 'other' } });
    await assert.rejects(promote('eu-west'), refused('promotion_in_progress'));
    await put({ leader: 'us-east', epoch: 1, nonce: 'n3' });
    const first = cluster.router.promote({ region: 'eu-west', force: false });
    await assert.rejects(
      cluster.router.promote({ region: 'ap-south', force: false }),
      refused('promotion_in_progress'),
    );
    assert.equal((await cluster.clock.run(first)).leader, 'eu-west');
  });

  it('an older copy of the key is not used: neither its leader nor its epoch (schedule 5)', async () => {
    for (const [region, force] of [
      ['us-east', false],
      ['ap-south', true],
      ['ap-south', false],
    ] as const) {
      await put({ leader: 'eu-west', epoch: record().epoch + 8, nonce: `newest ${region} ${force}` });
      for (const each of cluster.regions.values()) await each.refreshLeadership();
      const { epoch } = record();
      // Regions use the highest record they have seen, whatever the key has.
      const remembered = { ...record() };
      for (const each of cluster.regions.values()) {
        each.refreshLeadership = async () => {
          if (record().epoch >= remembered.epoch) each.remembered = record();
          return each.status();
        };
      }
      cluster.control.put({ leader: 'us-east', epoch: 2, nonce: 'of long ago' });
      const answer = await promote(region, force);
      assert.deepEqual([answer.leader, answer.previous], [region, 'eu-west']);
      assert.ok(answer.epoch > epoch, `epoch ${answer.epoch} after ${epoch}`);
      await cluster.clock.advance(3_000);
      assert.deepEqual([record().leader, record().epoch], [region, answer.epoch], 'and it stays');
    }
  });

  it('an epoch is never given twice, although the key was just restored from an older copy', async () => {
    for (const epoch of [2, 3, 4]) assert.equal((await promote(epoch % 2 === 0 ? 'eu-west' : 'us-east')).epoch, epoch);
    for (const region of cluster.regions.values()) assert.equal(region.remembered?.epoch, 4);
    // One more than what the copy says would be epoch 4 again, with another leader.
    cluster.control.put({ leader: 'us-east', epoch: 3, nonce: 'older' });
    const answer = await promote('ap-south', true);
    assert.deepEqual([answer.leader, answer.epoch, record().epoch], ['ap-south', 6, 6]);
  });

  it('a target that would refuse writes is promoted by force only', async () => {
    cluster.euWest.writeBlocker = { code: 'clock_unsafe', detail: 'the clock of eu-west is 300 s off' };
    await assert.rejects(promote('eu-west'), refused('target_not_ready', /force/));
    assert.equal(record().handover, undefined);
    assert.equal((await promote('eu-west', true)).leader, 'eu-west');
  });

  it('takes over a handover that was not finished for 15 s', async () => {
    await put({ leader: 'us-east', epoch: 1, nonce: 'n2', handover: { to: 'ap-south', id: 'dead router' } });
    await cluster.clock.advance(13_500);
    await assert.rejects(promote('eu-west'), refused('promotion_in_progress'));
    await cluster.clock.advance(1_500);
    assert.equal((await promote('eu-west')).epoch, 2);
  });

  it('is rolled back when the target does not get there', async () => {
    cluster.usEast.accept(write);
    cluster.euWest.peers = [];
    await assert.rejects(promote('eu-west'), refused('handover_timeout'));
    assert.equal(record().leader, 'us-east');
    assert.equal(record().epoch, 1);
    assert.equal(record().handover, undefined);
    const sent = cluster.router.forwarding.submit({
      writes: [write],
      bytes: 10,
      atomic: false,
      durability: 'local',
      requestId: 'r',
    });
    assert.equal((await cluster.clock.run(sent)).durability, 'stream', 'the old leader takes writes again');
  });

  it('is rolled back when the old leader does not answer the handover', async () => {
    cluster.usEast.onHandover = () => {
      cluster.usEast.state = 'no_answer';
      throw new Refusal('not_ready', 'gone');
    };
    await assert.rejects(promote('eu-west'), refused('handover_timeout'));
    assert.deepEqual([record().leader, record().epoch, record().handover], ['us-east', 1, undefined]);
  });

  it('finds its own commit by the nonce when the acknowledgement is lost', async () => {
    cluster.usEast.onHandover = () => {
      cluster.control.failures = ['acknowledgement_lost'];
    };
    assert.equal((await promote('eu-west')).epoch, 2);
    assert.equal(record().leader, 'eu-west');
  });

  it('continues when the acknowledgement of the announcement is lost', async () => {
    cluster.control.failures = ['acknowledgement_lost'];
    assert.equal((await promote('eu-west')).epoch, 2);
  });

  it('announces nothing when the announcement itself is lost', async () => {
    cluster.control.failures = ['lost'];
    await assert.rejects(promote('eu-west'), refused('control_unavailable'));
    assert.equal(record().nonce, 'first');
  });

  it('rolls back when the commit is lost', async () => {
    cluster.usEast.onHandover = () => {
      cluster.control.failures = ['lost'];
    };
    await assert.rejects(promote('eu-west'), refused('handover_timeout'));
    assert.deepEqual([record().leader, record().handover], ['us-east', undefined]);
  });

  it('does not commit once the old leader has resumed by itself', async () => {
    const { euWest, control } = cluster;
    euWest.await = async () => {
      control.put({ leader: 'us-east', epoch: 1, nonce: 'resumed' });
      return { reached: true, applied: new Map() };
    };
    await assert.rejects(promote('eu-west'), refused('handover_timeout'));
    assert.equal(record().nonce, 'resumed');
  });

  it('by force skips a dead leader and says what is left behind, as last known', async () => {
    for (let count = 0; count < 3; count += 1) cluster.usEast.accept(write);
    await cluster.clock.advance(2_000);
    cluster.euWest.peers = [];
    cluster.usEast.accept(write);
    await cluster.clock.advance(2_000);
    cluster.usEast.state = 'not_sent';
    const { took_ms, ...answer } = await promote('eu-west', true);
    assert.ok(took_ms >= 0);
    assert.deepEqual(answer, {
      leader: 'eu-west',
      previous: 'us-east',
      epoch: 2,
      handed_over_events: 0,
      left_behind: 1,
    });
  });

  it('by force promotes a partitioned target, and overrides a handover in progress', async () => {
    cluster.euWest.isCut = true;
    await put({ leader: 'us-east', epoch: 4, nonce: 'n2', handover: { to: 'ap-south', id: 'other' } });
    assert.equal((await promote('eu-west', true)).epoch, 5);
  });
});
