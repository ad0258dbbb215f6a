/** The role: what the leadership record, read or remembered, lets a region do. */
import assert from 'node:assert/strict';
import { Refusal } from '../../../../shared/errors/errors.ts';
import type { Leadership } from '../../../../shared/leadership/leadership.ts';
import { ManualClock } from '../../../harness/kernel/manual-clock.ts';
import { CoreRegion, outcomes, view } from '../../../harness/region/core-region.ts';
import type { MemoryClient } from '../../../harness/stream/memory-client.ts';
import { MemoryBroker } from '../../../harness/stream/memory-stream.ts';

const lead = (leader: string, epoch: number, nonce = `n${epoch}`): Leadership => ({ leader, epoch, nonce });
const handing = (epoch: number, id: string): Leadership => ({
  ...lead('us-east', epoch, `h${id}`),
  handover: { to: 'eu-west', id },
});

interface Rig {
  readonly clock: ManualClock;
  readonly broker: MemoryBroker;
  /** A router's client. */
  readonly router: MemoryClient;
  readonly region: CoreRegion;
  write(record: unknown): Promise<void>;
}

async function rig(record?: Leadership, others: readonly string[] = []): Promise<Rig> {
  const clock = new ManualClock();
  const broker = new MemoryBroker({ clock });
  const router = broker.connect('router');
  await clock.settle();
  const region = new CoreRegion({ region: 'us-east', clock, broker }, others);
  const write = async (value: unknown): Promise<void> => {
    const entry = await router.control.read();
    const result =
      entry === 'missing' ? await router.control.create(value) : await router.control.update(value, entry.revision);
    assert.notEqual(result, 'conflict');
  };
  if (record !== undefined) await write(record);
  await clock.settle();
  return { clock, broker, router, region, write };
}

/** What the gate says for an epoch: the epoch it accepts in, or the code of its refusal. */
function gate(region: CoreRegion, epoch: number): number | string {
  const admitted = region.role.gate(epoch);
  return admitted instanceof Refusal ? admitted.code : admitted.epoch;
}

describe('role', () => {
  it('the gate: who leads, in which epoch, and what hinders', async () => {
    const it = await rig();
    const { region, clock } = it;
    assert.equal(gate(region, 1), 'not_leader', 'nobody leads as far as it knows');
    region.start();
    await it.write(lead('eu-west', 2));
    await clock.until('it knows', () => region.role.leadership?.epoch === 2);
    assert.deepEqual([gate(region, 2), gate(region, 1), gate(region, 3)], ['not_leader', 'not_leader', 'not_leader']);
    await it.write(lead('us-east', 3));
    await clock.until('it leads', () => region.role.leads);
    assert.deepEqual([gate(region, 3), gate(region, 2), gate(region, 4)], [3, 'stale_epoch', 'not_leader']);
    region.writeBlocker = new Refusal('clock_unsafe', 'off');
    assert.equal(gate(region, 3), 'clock_unsafe');
    region.writeBlocker = undefined;
    await it.write(handing(3, 'a'));
    await clock.until('it stopped', () => gate(region, 3) === 'handing_over');
    assert.equal(gate(region, 2), 'stale_epoch');
  });

  it('a record is remembered on disk before it is acted on', async () => {
    const it = await rig(lead('us-east', 1));
    it.region.store.holdFlushes();
    it.region.start();
    await it.clock.advance(5_000);
    assert.equal(it.region.role.leadership, undefined);
    assert.equal(gate(it.region, 1), 'not_leader');
    it.region.store.releaseFlushes();
    await it.clock.until('it leads', () => gate(it.region, 1) === 1);
    assert.equal(it.region.crash().role.leadership?.epoch, 1);
  });

  it('a region sent a higher epoch than it knows reads the key at once, and a storm of such writes reads it twice', async () => {
    const it = await rig(lead('us-east', 1));
    it.region.start();
    await it.clock.until('it leads', () => gate(it.region, 1) === 1);
    await it.write(lead('us-east', 2));
    const { controlReads } = it.region.client;
    for (let n = 0; n < 1_000; n++) assert.equal(gate(it.region, 2), 'not_leader');
    await it.clock.settle();
    assert.equal(gate(it.region, 2), 2);
    assert.ok(
      it.region.client.controlReads - controlReads <= 2,
      `${it.region.client.controlReads - controlReads} reads`,
    );
  });

  it('after a start it does not accept on what its disk says alone (schedule 17)', async () => {
    const it = await rig(lead('us-east', 7));
    it.region.start();
    await it.clock.until('it leads', () => gate(it.region, 7) === 7);
    await it.broker.kill();
    const again = it.region.crash('lost');
    again.start();
    await it.clock.advance(10_000);
    assert.equal(again.role.leads, true);
    // A topology of one region: no other could know a higher record.
    assert.equal(gate(again, 7), 7);

    const other = await rig(lead('us-east', 7), ['eu-west', 'ap-south']);
    other.region.start();
    await other.clock.until('it leads', () => gate(other.region, 7) === 7);
    await other.broker.kill();
    const alone = other.region.crash();
    alone.start();
    await other.clock.advance(10_000);
    assert.equal(gate(alone, 7), 'not_leader', 'nobody answers');
    const peer = new CoreRegion({ region: 'eu-west', clock: other.clock, broker: other.broker });
    alone.meet(peer);
    await other.clock.until('a peer that knows nothing higher stands in', () => gate(alone, 7) === 7);
  });

  it('with the key away, a peer that knows a higher epoch keeps it from accepting, and is believed (schedule 17)', async () => {
    const it = await rig(lead('us-east', 7), ['eu-west']);
    it.region.start();
    await it.clock.until('it leads', () => gate(it.region, 7) === 7);
    await it.broker.kill();
    const again = it.region.crash();
    const peer = new CoreRegion({ region: 'eu-west', clock: it.clock, broker: it.broker });
    await peer.wal.storeMark('leadership', lead('eu-west', 8));
    again.meet(peer.crash());
    again.start();
    await it.clock.until('it believes the peer', () => again.role.leadership?.epoch === 8);
    assert.equal(gate(again, 7), 'not_leader');
    assert.equal(again.crash().role.leadership?.leader, 'eu-west', 'and remembers');
  });

  it('a wiped key neither makes it forget nor step down; a lower epoch in a new one is ignored (schedule 5)', async () => {
    const it = await rig(lead('us-east', 7));
    it.region.start();
    await it.clock.until('it leads', () => gate(it.region, 7) === 7);
    await it.broker.restart({ wiped: true });
    await it.clock.advance(5_000);
    assert.equal(gate(it.region, 7), 7);
    await it.write(lead('eu-west', 1));
    await it.clock.advance(5_000);
    assert.equal(gate(it.region, 7), 7);
    await it.write(lead('eu-west', 8));
    await it.clock.until('it steps down', () => gate(it.region, 7) === 'not_leader');
  });

  it('a restart with the key missing: it waits until one is written', async () => {
    const it = await rig(lead('us-east', 7), ['eu-west']);
    it.region.start();
    await it.clock.until('it leads', () => gate(it.region, 7) === 7);
    await it.broker.restart({ wiped: true });
    const again = it.region.crash().start();
    await it.clock.advance(10_000);
    assert.equal(gate(again, 7), 'not_leader');
    assert.equal(again.role.leadership?.epoch, 7, 'what it reports to whoever rebuilds the key');
    await it.write(lead('us-east', 8));
    await it.clock.until('it leads', () => gate(again, 8) === 8);
  });

  it('the same epoch under another nonce: the key wins and it steps down (schedule 5)', async () => {
    const it = await rig(lead('us-east', 4, 'mine'));
    it.region.start();
    await it.clock.until('it leads', () => gate(it.region, 4) === 4);
    await it.write(lead('eu-west', 4, 'theirs'));
    await it.clock.until('it steps down', () => gate(it.region, 4) === 'not_leader');
  });

  it('what is no record of this cluster is refused in the key, and in the report of a peer: it leads on', async () => {
    const it = await rig(lead('us-east', 1), ['eu-west']);
    it.region.start();
    await it.clock.until('it leads', () => gate(it.region, 1) === 1);
    const hostile = [
      { leader: 'eu-west', epoch: 'many' },
      { leader: 'nobody', epoch: 50, nonce: 'x' },
      { leader: 'eu-west', epoch: Number.MAX_SAFE_INTEGER, nonce: 'z' },
      { leader: 'us-east', epoch: 1_000_002, nonce: 'z' },
      { leader: 'us-east', epoch: 1, nonce: 'z', handover: { to: 'nobody', id: 'i' } },
      { leader: 'us-east', epoch: 1, nonce: 'z', handover: null },
      null,
    ];
    for (const value of hostile) {
      const before = it.region.refusals;
      await it.write(value);
      await it.clock.advance(2_000);
      assert.equal(gate(it.region, 1), 1, JSON.stringify(value));
      assert.ok(it.region.refusals > before);
      assert.match(it.region.role.refused.join(), /the leadership key is refused/);
    }
    await it.write(lead('us-east', 1, 'again'));
    const peer = new CoreRegion({ region: 'eu-west', clock: it.clock, broker: it.broker });
    const status = peer.status.bind(peer);
    peer.status = () => ({ ...status(), leadership: lead('eu-west', Number.MAX_SAFE_INTEGER) });
    it.region.meet(peer);
    await it.clock.until('it is refused', () => it.region.role.refused.some((each) => each.includes('of eu-west is')));
    assert.equal(gate(it.region, 1), 1);
    assert.equal(it.region.crash().role.leadership?.epoch, 1, 'and nothing of it was stored');
  });

  it('an absurd record that an earlier release stored is refused at the start, and replaced by the next sound one', async () => {
    for (const absurd of [lead('eu-west', Number.MAX_SAFE_INTEGER), lead('nobody', 50)]) {
      const it = await rig(lead('us-east', 1));
      it.region.start();
      await it.clock.until('it leads', () => gate(it.region, 1) === 1);
      await it.region.write([view(1)]);
      await it.region.wal.storeMark('leadership', absurd);
      await it.write(absurd);
      const again = it.region.crash().start();
      await it.clock.advance(2_000);
      assert.deepEqual([again.role.leadership, again.role.knownEpoch], [undefined, 1]);
      assert.match(again.role.refused.join(), /on the disk of us-east is refused/);
      // As a router puts it right.
      await it.write(lead('us-east', 2));
      await it.clock.until('it leads', () => gate(again, 2) === 2);
      await it.clock.advance(61_000);
      assert.deepEqual(again.role.refused, []);
      assert.equal(again.crash().role.leadership?.epoch, 2);
    }
  });

  it('a new disk judges epochs by the lowest its peers know, as far as they can be believed at all', async () => {
    const it = await rig(undefined, ['eu-west', 'ap-south']);
    const { clock, broker } = it;
    const one = new CoreRegion({ region: 'eu-west', clock, broker });
    const two = new CoreRegion({ region: 'ap-south', clock, broker });
    const reports = new Map([
      [one, lead('eu-west', Number.MAX_SAFE_INTEGER)],
      [two, lead('eu-west', 3_000_000)],
    ]);
    for (const [peer, leadership] of reports) {
      const status = peer.status.bind(peer);
      peer.status = () => ({ ...status(), leadership });
    }
    it.region.meet(one, two);
    it.region.start();
    await clock.until('it knows', () => it.region.role.leadership !== undefined);
    assert.equal(it.region.role.leadership?.epoch, 3_000_000);
  });

  it('that it leads in a higher epoch it takes from the key only: what a peer remembers may have been replaced there', async () => {
    const it = await rig(lead('us-east', 1), ['eu-west']);
    it.region.start();
    await it.clock.until('it leads', () => gate(it.region, 1) === 1);
    it.region.client.controlAway = true;
    await it.write(lead('eu-west', 2, 'in the key'));
    const peer = new CoreRegion({ region: 'eu-west', clock: it.clock, broker: it.broker });
    await peer.wal.storeMark('leadership', lead('us-east', 2, 'replaced since'));
    it.region.meet(peer.crash());
    let admitted: number | string | undefined;
    await it.clock.until('it was told', () => {
      admitted = gate(it.region, 2);
      return it.region.role.leadership?.epoch === 2;
    });
    assert.equal(admitted, 'not_leader');
    it.region.client.controlAway = false;
    await it.clock.until('it follows', () => it.region.role.leadership?.leader === 'eu-west');
  });

  describe('on a full disk', () => {
    async function full(): Promise<Rig> {
      const it = await rig(lead('us-east', 1));
      it.region.start();
      await it.clock.until('it leads', () => gate(it.region, 1) === 1);
      it.region.store.failNext(...Array.from({ length: 1_000 }, () => 'storage_full' as const));
      return it;
    }

    it('a record of another leader is acted on and not stored; a crash takes back no more than that, and nothing is accepted before the key was read', async () => {
      const it = await full();
      await it.write(lead('eu-west', 2));
      await it.clock.until('it follows', () => it.region.role.leadership?.epoch === 2, 2_000);
      assert.equal(gate(it.region, 1), 'not_leader');
      assert.equal(it.region.fatal.length, 0);
      const again = it.region.crash();
      assert.deepEqual([again.role.leadership?.epoch, again.role.leads], [1, true], 'its disk knows the old one');
      assert.equal(gate(again, 1), 'not_leader', 'before anything was read');
      const { control } = again.client;
      const read = control.read.bind(control);
      control.read = () => new Promise(() => {});
      again.start();
      await it.clock.advance(30_000);
      assert.equal(gate(again, 1), 'not_leader', 'while the key is being read');
      control.read = read;
    });

    it('the leader hands over, and after a roll-back it leads again with a full disk', async () => {
      const it = await full();
      await it.write(handing(1, 'a'));
      const { durable } = await it.clock.run(it.region.role.handOver('a'));
      assert.equal(durable, it.region.durable);
      assert.equal(gate(it.region, 1), 'handing_over');
      await it.write(lead('us-east', 1, 'taken back'));
      await it.clock.until('it accepts as before', () => gate(it.region, 1) === 1);
      const refused = await it.clock.run(it.region.write([view(1)]).then(outcomes, (error: Refusal) => [error.code]));
      assert.deepEqual(refused, ['storage_full']);
    });

    it('an epoch that its disk cannot remember it leads is refused with 507, and accepted when there is free space', async () => {
      const it = await full();
      await it.write(lead('us-east', 2));
      await it.clock.until('it knows', () => it.region.role.leadership?.epoch === 2, 2_000);
      assert.equal(gate(it.region, 2), 'storage_full');
      it.region.store.mend();
      await it.clock.until('it accepts', () => gate(it.region, 2) === 2, 2_000);
      assert.equal(it.region.crash().role.leadership?.epoch, 2);
    });
  });

  describe('a process that was paused', () => {
    it('accepts nothing before it has read the key again, and then follows the new leader', async () => {
      const it = await rig(lead('us-east', 1));
      it.region.start();
      await it.clock.until('it leads', () => gate(it.region, 1) === 1);
      await it.write(lead('eu-west', 2));
      it.clock.stand(5_000);
      assert.equal(gate(it.region, 1), 'not_leader', 'what lay in its socket while it stood');
      await it.clock.until('it follows', () => it.region.role.leadership?.leader === 'eu-west');
    });

    it('continues to lead if it was not replaced, within the time of one read', async () => {
      const it = await rig(lead('us-east', 1));
      it.region.start();
      await it.clock.until('it leads', () => gate(it.region, 1) === 1);
      it.clock.stand(5_000);
      assert.equal(gate(it.region, 1), 'not_leader');
      await it.clock.settle();
      assert.equal(gate(it.region, 1), 1);
      it.clock.stand(400);
      assert.equal(gate(it.region, 1), 1, 'a short pause is none');
    });

    it('a reading that began before it does not count', async () => {
      const it = await rig(lead('us-east', 1));
      it.region.start();
      await it.clock.until('it leads', () => gate(it.region, 1) === 1);
      const { control } = it.region.client;
      const read = control.read.bind(control);
      let answer: (() => void) | undefined;
      control.read = async () => {
        const entry = await read();
        await new Promise<void>((resolve) => {
          answer = resolve;
        });
        return entry;
      };
      await it.clock.until('a reading is under way', () => answer !== undefined);
      control.read = () => new Promise(() => {});
      it.clock.stand(5_000);
      assert.equal(gate(it.region, 1), 'not_leader');
      answer?.();
      await it.clock.settle();
      assert.equal(gate(it.region, 1), 'not_leader');
    });

    it('with the key unavailable a peer that was asked afterwards replaces it, one that answered before does not', async () => {
      const it = await rig(lead('us-east', 1), ['eu-west']);
      const peer = new CoreRegion({ region: 'eu-west', clock: it.clock, broker: it.broker });
      it.region.meet(peer);
      it.region.start();
      await it.clock.until('it leads', () => gate(it.region, 1) === 1);
      it.region.client.controlAway = true;
      await it.clock.advance(2_000);
      assert.equal(gate(it.region, 1), 1);
      peer.down = true;
      it.clock.stand(5_000);
      await it.clock.advance(10_000);
      assert.equal(gate(it.region, 1), 'not_leader');
      peer.down = false;
      await it.clock.until('confirmed', () => gate(it.region, 1) === 1, 10_000);
    });
  });

  describe('handover (schedule 15)', () => {
    async function leading(): Promise<Rig> {
      const it = await rig(lead('us-east', 3));
      it.region.start();
      await it.clock.until('it leads', () => gate(it.region, 3) === 3);
      return it;
    }

    it('refuses new writes, finishes what it admitted, and answers its final durable position', async () => {
      const it = await leading();
      const { region, clock } = it;
      const writes = [region.write([view(1)])];
      await clock.settle();
      region.store.holdFlushes();
      writes.push(region.write([view(2)]));
      await clock.settle();
      await it.write(handing(3, 'a'));
      let durable: string | undefined;
      const handingOver = region.role.handOver('a').then((reply) => {
        durable = reply.durable;
      });
      await clock.advance(500);
      assert.equal(durable, undefined, 'a write is still without its flush, and so is the record');
      region.store.releaseFlushes();
      await clock.until('answered', () => durable !== undefined);
      await handingOver;
      assert.equal(durable, region.durable);
      assert.match(durable ?? '', /:2$/);
      assert.equal(gate(region, 3), 'handing_over');
      const replies = await Promise.all(writes);
      assert.deepEqual(
        replies.flatMap(outcomes).filter((outcome) => outcome !== 'stream' && outcome !== 'local'),
        [],
      );
    });

    it('a handover the key does not name, or of another leader, is refused', async () => {
      const it = await leading();
      await assert.rejects(it.region.role.handOver('never'), { code: 'control_unavailable' });
      await it.write(lead('eu-west', 4));
      await assert.rejects(it.region.role.handOver('a'), { code: 'not_leader' });
    });

    it('rolled back, it accepts again; committed, it follows', async () => {
      const it = await leading();
      await it.write(handing(3, 'a'));
      await it.clock.until('it stopped', () => gate(it.region, 3) === 'handing_over');
      await it.write(lead('us-east', 3, 'rolled back'));
      await it.clock.until('it accepts', () => gate(it.region, 3) === 3);
      await it.write(handing(3, 'b'));
      await it.clock.until('it stopped', () => gate(it.region, 3) === 'handing_over');
      await it.write(lead('eu-west', 4));
      await it.clock.until('it follows', () => gate(it.region, 3) === 'not_leader');
    });

    it('forgotten, it takes itself back after 10 s, not before', async () => {
      const it = await leading();
      await it.write(handing(3, 'a'));
      await it.clock.until('it stopped', () => gate(it.region, 3) === 'handing_over');
      await it.clock.advance(8_000);
      assert.equal(gate(it.region, 3), 'handing_over');
      await it.clock.until('it resumed', () => gate(it.region, 3) === 3, 5_000);
      const entry = await it.router.control.read();
      assert.ok(entry !== 'missing');
      const { leader, epoch, handover } = entry.value as Leadership;
      assert.deepEqual([leader, epoch, handover], ['us-east', 3, undefined]);
    });

    it('a second handover has its own 10 s', async () => {
      const it = await leading();
      await it.write(handing(3, 'a'));
      await it.clock.until('it stopped', () => gate(it.region, 3) === 'handing_over');
      await it.clock.advance(8_000);
      await it.write(handing(3, 'b'));
      await it.clock.advance(8_000);
      assert.equal(gate(it.region, 3), 'handing_over');
      const entry = await it.router.control.read();
      assert.equal(entry !== 'missing' && (entry.value as Leadership).handover?.id, 'b');
    });

    it('forgotten while this region restarted, it still takes itself back', async () => {
      const it = await leading();
      await it.write(handing(3, 'a'));
      await it.clock.until('it stopped', () => gate(it.region, 3) === 'handing_over');
      const again = it.region.crash().start();
      await it.clock.advance(5_000);
      assert.equal(gate(again, 3), 'handing_over');
      await it.clock.until('it resumed', () => gate(again, 3) === 3, 10_000);
    });

    it('of commit and resumption exactly one happens, whichever comes first', async () => {
      for (const commitFirst of [true, false]) {
        const it = await leading();
        await it.write(handing(3, 'a'));
        const seen = await it.router.control.read();
        assert.ok(seen !== 'missing');
        await it.clock.until('it stopped', () => gate(it.region, 3) === 'handing_over');
        await it.clock.advance(8_500);
        const commit = () => it.router.control.update(lead('eu-west', 4), seen.revision);
        if (commitFirst) {
          // Between the region's read of the key and its compare-and-set.
          const update = it.region.client.control.update.bind(it.region.client.control);
          let resumed: unknown;
          it.region.client.control.update = async (value, revision) => {
            assert.notEqual(await commit(), 'conflict');
            resumed = await update(value, revision);
            return resumed as 'conflict';
          };
          await it.clock.until('it tried', () => resumed !== undefined, 5_000);
          assert.equal(resumed, 'conflict');
          await it.clock.until('it follows', () => gate(it.region, 3) === 'not_leader');
        } else {
          await it.clock.until('it resumed', () => gate(it.region, 3) === 3, 5_000);
          assert.equal(await commit(), 'conflict');
        }
      }
    });

    it('a resumption whose answer was lost is found by reading again', async () => {
      const it = await leading();
      await it.write(handing(3, 'a'));
      await it.clock.until('it stopped', () => gate(it.region, 3) === 'handing_over');
      it.region.client.loseControlAnswer = true;
      await it.clock.until('it resumed', () => gate(it.region, 3) === 3, 12_000);
    });

    it('who cannot reach the key stays stopped, and keeps no revision over the time it was away (schedule 5)', async () => {
      const it = await leading();
      await it.write(handing(3, 'a'));
      await it.clock.until('it stopped', () => gate(it.region, 3) === 'handing_over');
      it.region.client.controlAway = true;
      let updates = 0;
      it.region.client.control.update = async () => {
        updates++;
        return 'conflict';
      };
      await it.clock.advance(60_000);
      assert.equal(gate(it.region, 3), 'handing_over');
      assert.equal(updates, 0);
    });
  });

  it('after stop nothing reads, writes or waits any more', async () => {
    const it = await rig(lead('us-east', 1));
    it.region.role.start();
    await it.clock.advance(1_500);
    await it.region.role.stop();
    assert.equal(it.clock.pending, 0);
    const { controlReads } = it.region.client;
    gate(it.region, 9);
    it.region.client.disconnect();
    it.region.client.reconnect();
    await it.clock.advance(5_000);
    assert.equal(it.region.client.controlReads, controlReads);
  });
});
