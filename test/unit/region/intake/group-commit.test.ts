/** Group commit: order, refusals, and nothing before the flush. */
import assert from 'node:assert/strict';
import { decodeBatch } from '../../../../services/region/batch/batch.ts';
import { digestOf } from '../../../../services/region/state/digest/value-hash.ts';
import { type Fault, Refusal } from '../../../../shared/errors/errors.ts';
import { type EventBody, HLC_PER_MS } from '../../../../shared/protocol/events.ts';
import { isRefused } from '../../../../shared/protocol/internal.ts';
import { fromWire } from '../../../../shared/protocol/writes.ts';
import type { ControlEntry } from '../../../../shared/stream/stream.ts';
import { columnsOf } from '../../../harness/clients/wire-signals.ts';
import { ManualClock } from '../../../harness/kernel/manual-clock.ts';
import { chainOf } from '../../../harness/region/batches.ts';
import { CoreRegion, item, outcomes, sequences, view, views } from '../../../harness/region/core-region.ts';
import { MemoryBroker } from '../../../harness/stream/memory-stream.ts';

const leader = { leader: 'us-east', epoch: 1, nonce: 'first' };

interface Rig {
  readonly clock: ManualClock;
  readonly broker: MemoryBroker;
  readonly region: CoreRegion;
}

async function leading(options: { queueLimit?: number; queueLimitBytes?: number } = {}): Promise<Rig> {
  const clock = new ManualClock();
  const broker = new MemoryBroker({ clock });
  const setup = broker.connect('setup');
  await clock.settle();
  await setup.control.create(leader);
  const region = new CoreRegion({ region: 'us-east', clock, broker, ...options }).start();
  await clock.until('it leads', () => 'epoch' in region.role.gate(1));
  return { clock, broker, region };
}

/** Every event of the region's own origins, in log order. */
function logged(region: CoreRegion): { origin: string; sequence: number; entity: number }[] {
  return [...region.wal.durable].flatMap(([origin, last]) =>
    last === 0
      ? []
      : region.wal.read(origin, 1, 1e9).flatMap((bytes) => {
          const batch = decodeBatch(bytes);
          return batch.events.map(({ entity }, index) => ({ origin, sequence: batch.first + index, entity }));
        }),
  );
}

/** Waits for a promise while the clock runs. */
async function during<T>(clock: ManualClock, promise: Promise<T>): Promise<T> {
  let over = false;
  const watched = promise.finally(() => {
    over = true;
  });
  watched.catch(() => undefined);
  await clock.until('the call ended', () => over);
  return watched;
}

describe('group commit', () => {
  it('what waits goes into one commit, in the order it came, with sequences without gaps', async () => {
    const { clock, region } = await leading();
    await during(clock, region.write([view(0)]));
    const before = region.store.commits;
    region.store.holdFlushes();
    const replies = Array.from({ length: 50 }, (_, n) => region.write([view(n + 1)]));
    await clock.settle();
    region.store.releaseFlushes();
    const done = await during(clock, Promise.all(replies));
    assert.deepEqual(
      done.flatMap(sequences),
      Array.from({ length: 50 }, (_, n) => n + 2),
    );
    assert.deepEqual(
      logged(region).map(({ entity }) => entity),
      Array.from({ length: 51 }, (_, n) => n),
    );
    assert.ok(region.store.commits - before <= 4, `${region.store.commits - before} commits`);
  });

  it('one bad write fails alone (schedule 27)', async () => {
    const { clock, region } = await leading();
    const bodies: EventBody[] = [
      view(1),
      { kind: 'signal', entity: 2, signal: 'applaud', weight: 1, timeMs: undefined },
      { kind: 'embedding', entity: 3, values: Float32Array.of(1, 2, 3) },
      item(4, 'x'.repeat(300 * 1024)),
      view(5),
    ];
    const reply = await during(clock, region.write(bodies));
    assert.deepEqual(outcomes(reply), ['stream', 'unknown_signal', 'wrong_dimensions', 'event_too_large', 'stream']);
    assert.deepEqual(sequences(reply), [1, 0, 0, 0, 2]);
  });

  it('an atomic request with one bad write changes nothing and names it', async () => {
    const { clock, region } = await leading();
    const reply = await during(
      clock,
      region.write([view(1), { kind: 'signal', entity: 2, signal: 'applaud', weight: 1, timeMs: undefined }], {
        atomic: true,
      }),
    );
    assert.deepEqual(outcomes(reply), ['unknown_signal']);
    assert.equal((reply.results[0] as { index?: number }).index, 1);
    assert.equal(region.wal.durable.size, 0);
  });

  it('an atomic bulk over several batches is one transaction: all or nothing after a power failure (schedule 10)', async () => {
    for (const unflushed of ['lost', 'kept'] as const) {
      const { clock, region } = await leading({ queueLimit: 20_000 });
      await during(clock, region.write([view(0)]));
      region.store.holdFlushes();
      void region.write(views(12_000), { atomic: true });
      await clock.settle();
      const after = region.crash(unflushed);
      const last = after.wal.origins()[0]!.last;
      assert.equal(last, unflushed === 'kept' ? 12_001 : 1);
      assert.equal(logged(after).length, last);
    }
  });

  it('an atomic bulk answers its last position and takes sequences without gaps', async () => {
    const { clock, region } = await leading({ queueLimit: 20_000 });
    const [bulk, single] = await during(
      clock,
      Promise.all([region.write(views(12_000), { atomic: true }), region.write([view(7)])]),
    );
    assert.deepEqual([sequences(bulk!), sequences(single!)], [[12_000], [12_001]]);
    const sizes = region.wal.read(region.wal.origins()[0]!.origin, 1, 1e9).map((bytes) => decodeBatch(bytes));
    assert.ok(sizes.every(({ events }) => events.length <= 5_000));
  });

  it('a bulk of signals by column is what the same signals are one by one, between other writes too', async () => {
    const signals = Array.from({ length: 12_000 }, (_, n) => ({
      ...({ k: 's', e: n % 500, s: n % 3 === 0 ? 'skip' : 'view', w: 1_000 + (n % 7) } as const),
      ...(n % 5 === 0 ? { t: 1_000_000 + n } : n % 11 === 0 ? { t: Number.MAX_SAFE_INTEGER - 1 } : {}),
    }));
    const bulks = [signals.map(fromWire), columnsOf(signals)];
    const states = await Promise.all(
      bulks.map(async (bulk) => {
        const { clock, region } = await leading({ queueLimit: 50_000 });
        await during(clock, region.write([view(0)]));
        const writing = [[view(1)], bulk, [item(2, 'two')], bulk, [view(3)]];
        const replies = await during(
          clock,
          Promise.all(writing.map((bodies) => region.write(bodies, { atomic: true }))),
        );
        return {
          digest: digestOf(region.ledger),
          newest: region.apply.newestMs,
          log: logged(region).map(({ entity }) => entity),
          sequences: replies.flatMap(sequences),
        };
      }),
    );
    assert.deepEqual(states[1], states[0]);
    assert.deepEqual(states[0]!.sequences, [2, 12_002, 12_003, 24_003, 24_004]);
  });

  it('a bulk of signals by column with an unknown one changes nothing and names the first', async () => {
    const { clock, region } = await leading();
    const bulk = columnsOf(['view', 'skip', 'applaud', 'boo', 'applaud'].map((s, e) => ({ k: 's', e, s, w: 1 })));
    const reply = await during(clock, region.write(bulk, { atomic: true }));
    assert.deepEqual(outcomes(reply), ['unknown_signal']);
    assert.equal((reply.results[0] as { index?: number }).index, 2);
    assert.equal(region.wal.durable.size, 0);
  });

  it('a bulk of signals by column that finds no free space is refused', async () => {
    const { clock, region } = await leading({ queueLimit: 10 });
    const bulk = columnsOf(Array.from({ length: 8 }, (_, e) => ({ k: 's', e, s: 'view', w: 1 })));
    region.store.holdFlushes();
    const first = region.write(views(1));
    await clock.settle();
    const waiting = region.write(views(3));
    await assert.rejects(region.write(bulk), { code: 'overloaded' });
    region.store.releaseFlushes();
    await during(clock, Promise.all([first, waiting]));
  });

  it('a bulk larger than the queue is refused with the limit, not asked to retry', async () => {
    const tooMany = /11 writes; at most 10 may wait/;
    const { clock, region } = await leading({ queueLimit: 10, queueLimitBytes: 2_000 });
    const bulk = columnsOf(Array.from({ length: 11 }, (_, e) => ({ k: 's', e, s: 'view', w: 1 })));
    await assert.rejects(during(clock, region.write(bulk)), { code: 'body_too_large', message: tooMany });
    await assert.rejects(during(clock, region.write(views(11))), { code: 'body_too_large', message: tooMany });
    const metadata = { title: 'x'.repeat(1_100) };
    const large = [1, 2].map((entity): EventBody => ({ kind: 'item', entity, metadata }));
    await assert.rejects(during(clock, region.write(large)), {
      code: 'body_too_large',
      message: /bytes of events; at most 2000 may wait/,
    });
    assert.equal(region.wal.durable.size, 0);
    assert.equal((await during(clock, region.write(views(10)))).results.length, 10);
  });

  it('nothing acts on unflushed writes: not apply, not ship, not the answer (schedule 7)', async () => {
    const { clock, broker, region } = await leading();
    await during(clock, region.write([view(1)]));
    region.store.holdFlushes();
    let answered = false;
    const writing = region.write([view(2)]).then((reply) => {
      answered = true;
      return reply;
    });
    await clock.advance(5_000);
    assert.equal([...region.store.range('batches', {})].length, 2, 'committed');
    assert.equal(answered, false);
    assert.equal(region.ledger.read(2, 'view', clock.nowMs()), undefined);
    assert.equal(broker.stream?.last, 1);
    assert.match(region.durable, /:1$/);
    assert.match(region.applied, /:1$/);
    region.store.releaseFlushes();
    assert.deepEqual(outcomes(await during(clock, writing)), ['stream']);
    assert.equal(broker.stream?.last, 2);
    assert.equal(region.ledger.read(2, 'view', clock.nowMs())?.count, 1);
  });

  it('what is accepted is later than what is being written at that time, though it is not visible yet', async () => {
    const { clock, region } = await leading();
    await during(clock, region.write([view(1)]));
    const late = (clock.nowMs() + 400) * HLC_PER_MS;
    const other = chainOf({ origin: 'eu-west@aaaaaaaaaaaaa' }, [[{ kind: 'delete', hlc: late, entity: 1 }]]);
    region.store.holdFlushes();
    const received = region.wal.append({ batches: other });
    const writing = region.write([view(2)]);
    await clock.settle();
    region.store.releaseFlushes();
    await during(clock, Promise.all([received, writing]));
    const [own] = region.wal.origins().filter(({ origin }) => origin.startsWith('us-east@'));
    assert.ok(own!.lastHlc > late, `${own!.lastHlc} is not later than ${late}`);
  });

  it('a refusal when the group is built, because the gate closed while a write waited, takes no sequence (schedules 7 and 15)', async () => {
    const { clock, region } = await leading();
    await during(clock, region.write([view(1)]));
    region.store.holdFlushes();
    const inCommit = region.write([view(2)]);
    await clock.settle();
    const waiting = region.write([view(3)]);
    const bulk = region.write(views(3, 4), { atomic: true });
    region.writeBlocker = new Refusal('handing_over', 'us-east is handing over');
    region.store.releaseFlushes();
    const replies = await during(clock, Promise.all([inCommit, waiting, bulk]));
    assert.deepEqual(replies.map(outcomes), [['stream'], ['handing_over'], ['handing_over']]);
    await assert.rejects(region.write([view(5)]), { code: 'handing_over' });
    region.writeBlocker = undefined;
    const reply = await during(clock, region.write([view(6)]));
    assert.deepEqual(sequences(reply), [3]);
    assert.deepEqual(
      logged(region).map(({ entity }) => entity),
      [1, 2, 6],
    );
  });

  it('a full disk refuses, and the sequences it would have used are neither skipped nor used twice', async () => {
    const { clock, region } = await leading();
    region.store.failNext('storage_full', 'storage_full');
    assert.deepEqual(outcomes(await during(clock, region.write([view(1)]))), ['storage_full'], 'at its opening');
    assert.deepEqual(outcomes(await during(clock, region.write([view(2)]))), ['storage_full']);
    assert.deepEqual(sequences(await during(clock, region.write([view(3)]))), [1]);
    region.store.failNext('storage_full');
    const group = await during(clock, Promise.all([region.write([view(4), view(5)]), region.write([view(6)])]));
    assert.ok(group.flatMap(outcomes).includes('storage_full'));
    const next = await during(clock, region.write([view(7)]));
    const entities = logged(region).map(({ entity }) => entity);
    assert.equal(sequences(next)[0], entities.length);
    assert.deepEqual(
      entities.filter((entity) => entity === 3 || entity === 7),
      [3, 7],
    );
    assert.equal(region.fatal.length, 0);
  });

  it('a failed flush answers no request, accepts nothing more and ends the process (schedule 7)', async () => {
    const { clock, region } = await leading();
    await during(clock, region.write([view(1)]));
    region.store.failNext('storage_failed');
    const answers: unknown[] = [];
    for (const n of [2, 3, 4]) {
      region.write([view(n)]).then(
        (reply) => answers.push(reply),
        (error) => answers.push(error),
      );
    }
    await clock.advance(10_000);
    assert.deepEqual(answers, []);
    assert.equal(region.fatal.length, 1);
    assert.equal((region.fatal[0] as Fault).code, 'storage_failed');
    assert.equal(region.ledger.read(2, 'view', clock.nowMs()), undefined);
  });

  it('more bytes than the limit waiting are refused whole, and capacity returns with the flush', async () => {
    const { clock, region } = await leading({ queueLimitBytes: 1_000 });
    const item = (entity: number, length: number): EventBody => ({
      kind: 'item',
      entity,
      metadata: { title: 'x'.repeat(length) },
    });
    await during(clock, region.write([view(1)]));
    region.store.holdFlushes();
    const first = region.write([view(1)]);
    await clock.settle();
    const second = region.write([item(2, 800)]);
    assert.ok(region.intake.waitingBytes > 800 && region.intake.waitingBytes < 1_000, `${region.intake.waitingBytes}`);
    await assert.rejects(region.write([item(3, 300)]), { code: 'overloaded' });
    const third = region.write([view(4)]);
    region.store.releaseFlushes();
    await during(clock, Promise.all([first, second, third]));
    assert.equal(region.intake.waitingBytes, 0);
    assert.ok(!isRefused((await during(clock, region.write([item(3, 300)]))).results[0]!));
    assert.deepEqual(
      [2, 3].map((entity) => region.catalog.item(entity) !== undefined),
      [true, true],
    );
  });

  it('more than the limit waiting is refused whole and changes nothing', async () => {
    const { clock, region } = await leading({ queueLimit: 10 });
    await during(clock, region.write([view(1)]));
    region.store.holdFlushes();
    const first = region.write(views(3));
    await clock.settle();
    const second = region.write(views(8));
    await assert.rejects(region.write(views(3)), { code: 'overloaded' });
    assert.equal(region.intake.waiting, 8);
    region.store.releaseFlushes();
    const replies = await during(clock, Promise.all([first, second]));
    assert.deepEqual(replies.flatMap(sequences), [2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12]);
    assert.equal(region.intake.waiting, 0);
  });

  it('answers stream once acknowledged, local after 250 ms without an acknowledgement, and local at once if the stream is unavailable', async () => {
    const { clock, broker, region } = await leading();
    assert.deepEqual(outcomes(await during(clock, region.write([view(1)]))), ['stream']);
    broker.pause();
    const before = clock.monotonicMs();
    assert.deepEqual(outcomes(await during(clock, region.write([view(2)]))), ['local']);
    assert.equal(clock.monotonicMs() - before, 250);
    broker.resume();
    await broker.kill();
    let answered = false;
    void region.write([view(3)]).then((reply) => {
      answered = true;
      assert.deepEqual(outcomes(reply), ['local']);
    });
    await clock.settle();
    assert.ok(answered, 'without waiting');
    await broker.restart();
    await clock.until('all shipped', () => region.ship.unshipped === 0);
  });

  it('a write with durability stream is refused before sequencing when the stream is away, and after a stall says what it is (schedule 13)', async () => {
    const { clock, broker, region } = await leading();
    assert.deepEqual(outcomes(await during(clock, region.write([view(1)], { durability: 'stream' }))), ['stream']);
    broker.pause();
    const reply = await during(clock, region.write([view(2)], { durability: 'stream' }));
    assert.deepEqual(outcomes(reply), ['stream_unconfirmed']);
    assert.match(JSON.stringify(reply), new RegExp(`${region.wal.origins()[0]!.origin}:2`), 'with its position');
    await broker.kill();
    await assert.rejects(region.write([view(3)], { durability: 'stream' }), { code: 'stream_unavailable' });
    assert.deepEqual(
      logged(region).map(({ entity }) => entity),
      [1, 2],
    );
  });

  it('a restart opens another origin, above every clock value of the epoch (schedules 4 and 12)', async () => {
    const { clock, region } = await leading();
    await during(clock, region.write(views(3)));
    const highest = region.wal.highestHlcOf(1);
    clock.stepWall(-60_000);
    const again = region.crash().start();
    await clock.until('it leads again', () => 'epoch' in again.role.gate(1));
    assert.deepEqual(sequences(await during(clock, again.write([view(9)]))), [1]);
    assert.equal(again.wal.origins().length, 2);
    assert.ok(again.wal.highestHlcOf(1) > highest);
  });

  it('what is accepted after a wrong clock was set right has the right time, behind what came before it', async () => {
    const { clock, broker, region } = await leading();
    const days = 30 * 86_400_000;
    clock.stepWall(days);
    await during(clock, region.write([view(1), item(2, 'old'), view(7)]));
    clock.stepWall(-days);
    await during(
      clock,
      region.write([view(3), item(2, 'new'), item(4, 'made'), { ...view(5), timeMs: 1_000 } as EventBody]),
    );
    const wire = { k: 's', e: 6, s: 'view', w: 1_000 } as const;
    const columns = columnsOf([wire, wire]);
    await during(clock, region.intake.submit({ epoch: 1, atomic: true, durability: 'local', bodies: columns }));
    const nowMs = clock.nowMs();
    const about = (ms: number | undefined): boolean => ms !== undefined && Math.abs(ms - nowMs) < 2_000;
    const judge = (one: CoreRegion): void => {
      for (const entity of [3, 6]) {
        const read = one.ledger.read(entity, 'view', nowMs)!;
        assert.deepEqual([read.sums['1h'], read.sums.all], entity === 3 ? [1, 1] : [2, 2]);
        assert.ok(about(read.lastMs), `${read.lastMs}`);
      }
      assert.equal(one.ledger.read(5, 'view', nowMs)!.lastMs, 1_000);
      assert.ok(about(one.catalog.item(4)!.createdMs));
      const replaced = one.catalog.item(2)!;
      assert.deepEqual(replaced.metadata, { title: 'new' });
      assert.ok(about(replaced.updatedMs) && about(replaced.createdMs), 'created: the lowest acceptance time');
      assert.ok(about(one.apply.newestMs), `${one.apply.newestMs}`);
    };
    judge(region);
    const again = region.crash();
    judge(again);
    assert.equal(again.digest(), region.digest());
    const events = [...region.wal.durable].flatMap(([origin]) =>
      region.wal.read(origin, 1, 1e9).flatMap((bytes) => decodeBatch(bytes).events),
    );
    const hlcs = events.map(({ hlc }) => hlc);
    assert.deepEqual(
      hlcs,
      [...hlcs].sort((a, b) => a - b),
      'the order is kept',
    );
    await broker.kill();
  });

  it('another epoch begins at the wall clock, whatever an earlier one was stamped with', async () => {
    const { clock, region } = await leading();
    clock.stepWall(30 * 86_400_000);
    await during(clock, region.write([item(1, 'old')]));
    clock.stepWall(-30 * 86_400_000);
    const { control } = region.client;
    const entry = await control.read();
    assert.notEqual(entry, 'missing');
    await control.update({ leader: 'us-east', epoch: 2, nonce: 'second' }, (entry as ControlEntry).revision);
    await clock.until('it leads in epoch 2', () => 'epoch' in region.role.gate(2));
    await during(clock, region.write([item(1, 'new')], { epoch: 2 }));
    assert.ok(Math.abs(region.wal.highestHlcOf(2) / HLC_PER_MS - clock.nowMs()) < 10_000);
    assert.deepEqual(region.catalog.item(1)!.metadata, { title: 'new' });
    assert.equal(region.digest(), region.crash().digest());
  });

  it('a clock beyond what the log can be read at accepts nothing, and the process continues', async () => {
    const { clock, region } = await leading();
    await during(clock, region.write([view(1)]));
    const beyond = Date.UTC(2110, 0) - clock.nowMs();
    clock.stepWall(beyond);
    assert.deepEqual(outcomes(await during(clock, region.write(views(3)))), Array(3).fill('clock_unsafe'));
    const columns = columnsOf([{ k: 's', e: 6, s: 'view', w: 1_000 }]);
    const bulk = region.intake.submit({ epoch: 1, atomic: true, durability: 'local', bodies: columns });
    assert.deepEqual(outcomes(await during(clock, bulk)), ['clock_unsafe']);
    clock.stepWall(-beyond);
    assert.deepEqual(sequences(await during(clock, region.write([view(2)]))), [2]);
    assert.deepEqual(region.fatal, []);
    assert.equal(region.digest(), region.crash().digest());
  });

  it('draining waits for everything admitted and returns the durable position', async () => {
    const { clock, region } = await leading();
    await during(clock, region.write([view(1)]));
    region.store.holdFlushes();
    const writing = region.write([view(2)]);
    await clock.settle();
    const later = region.write([view(3)]);
    let settled: string | undefined;
    void region.intake.drain().then((position) => {
      settled = [...position.values()].join();
    });
    await clock.advance(70_000);
    assert.equal(settled, undefined);
    region.store.releaseFlushes();
    await during(clock, Promise.all([writing, later]));
    assert.equal(settled, '3');
    await region.intake.stop();
    await assert.rejects(region.write([view(4)]), { code: 'shutting_down' });
  });
});
