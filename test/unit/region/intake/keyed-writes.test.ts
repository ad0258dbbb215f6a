/** Idempotency keys at intake: a request sent again is answered as the first time, and nothing is taken twice. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { decodeBatch } from '../../../../services/region/batch/batch.ts';
import { createKeyLimit } from '../../../../services/region/wal/storage-limit.ts';
import { type EventBody, HLC_PER_MS } from '../../../../shared/protocol/events.ts';
import { withKeys } from '../../../../shared/protocol/idempotency.ts';
import { isRefused, type WriteAccepted, type WritesReply } from '../../../../shared/protocol/internal.ts';
import { fromWire, toWire } from '../../../../shared/protocol/writes.ts';
import { ManualClock } from '../../../harness/kernel/manual-clock.ts';
import { unreadMetrics } from '../../../harness/observe/counted-metrics.ts';
import { chainOf } from '../../../harness/region/batches.ts';
import { CoreRegion, item, outcomes, view, views } from '../../../harness/region/core-region.ts';
import { MemoryBroker } from '../../../harness/stream/memory-stream.ts';

const DAY_MS = 86_400_000;

interface Rig {
  readonly clock: ManualClock;
  readonly broker: MemoryBroker;
  readonly region: CoreRegion;
}

async function leading(
  options: { queueLimit?: number; keysLimit?: number; storeLimitBytes?: number } = {},
): Promise<Rig> {
  const clock = new ManualClock();
  const broker = new MemoryBroker({ clock });
  const setup = broker.connect('setup');
  await clock.settle();
  await setup.control.create({ leader: 'us-east', epoch: 1, nonce: 'first' });
  const region = new CoreRegion({ region: 'us-east', clock, broker, ...options }).start();
  await clock.until('it leads', () => 'epoch' in region.role.gate(1));
  return { clock, broker, region };
}

async function during<T>(clock: ManualClock, promise: Promise<T>): Promise<T> {
  let over = false;
  const watched = promise.finally(() => {
    over = true;
  });
  watched.catch(() => undefined);
  await clock.until('the call ended', () => over);
  return watched;
}

/** As the router would send it. */
function keyed(key: string, bodies: readonly EventBody[], bulk = bodies.length > 1): EventBody[] {
  return withKeys(key, 'signals', bodies.map(toWire), bulk).map(fromWire) as EventBody[];
}

function accepted(reply: WritesReply): WriteAccepted[] {
  return reply.results.map((result) => {
    if (isRefused(result)) assert.fail(result.problem.code);
    return result;
  });
}

function total(region: CoreRegion): number {
  return [...region.wal.durable.values()].reduce((sum, last) => sum + last, 0);
}

describe('keyed writes at intake', () => {
  it('an embedding is hashed by its numbers, however they travel: a key is known for days', () => {
    const [one] = keyed('k', [{ kind: 'embedding', entity: 7, values: Float32Array.of(0.1, -2.5) }]);
    const sha256 = createHash('sha256')
      .update(JSON.stringify([0, 'v', 7, [Math.fround(0.1), -2.5]]))
      .digest();
    assert.equal(one!.key!.bodyHash, sha256.subarray(0, 8).toString('base64url'));
  });

  it('a repeat answers as the first did, and says so; nothing is logged again', async () => {
    const { clock, region } = await leading();
    const bodies = [...keyed('k', [view(1)]), ...keyed('l', [item(2, 'two')])];
    const first = accepted(await during(clock, region.write(bodies)));
    await during(clock, region.write([view(1)]));
    const again = accepted(await during(clock, region.write(bodies)));
    assert.deepEqual(
      again,
      first.map((answer) => ({ ...answer, replayed: true })),
    );
    assert.ok(first.every((answer) => answer.replayed === undefined));
    assert.equal(total(region), 3);
    assert.equal(region.ledger.read(1, 'view', clock.nowMs())?.count, 2);
  });

  it('a copy that comes while the write waits, or is on its way when it comes, is the answer', async () => {
    for (const first of ['the copy', 'the write'] as const) {
      const { clock, region } = await leading();
      await during(clock, region.write([view(9)]));
      const body = keyed('k', [view(1)]) as [EventBody & { kind: 'signal' }];
      const hlc = clock.nowMs() * HLC_PER_MS;
      const copy = chainOf({ origin: 'eu-west@aaaaaaaaaaaaa' }, [[{ ...body[0], hlc, timeMs: clock.nowMs() }]]);
      region.store.holdFlushes();
      const before = first === 'the copy' ? undefined : region.write([view(2)]);
      await clock.settle();
      const early = first === 'the copy' ? undefined : region.write(body);
      await clock.settle();
      const received = region.wal.append({ batches: copy }).then(() => region.apply.apply(copy));
      await clock.settle();
      const writing = early ?? region.write(body);
      await clock.settle();
      region.store.releaseFlushes();
      await during(clock, Promise.all([before, received]));
      const [answer] = accepted(await during(clock, writing));
      assert.deepEqual([answer!.position, answer!.replayed], ['eu-west@aaaaaaaaaaaaa:1', true], first);
      assert.equal(total(region), first === 'the copy' ? 2 : 3);
    }
  });

  it('at the limit of keys new ones are refused, known ones answered and writes without one taken', async () => {
    const { clock, region } = await leading({ keysLimit: 2 });
    const write = async (bodies: readonly EventBody[]): Promise<string> => {
      const { results } = await during(clock, region.write(bodies));
      await clock.advance(300);
      const result = results[0]!;
      return isRefused(result) ? result.problem.code : result.replayed === true ? 'replayed' : 'taken';
    };
    const codes = [];
    for (const key of ['a', 'b', 'c', 'a']) codes.push(await write(keyed(key, [view(1)])));
    codes.push(await write([view(1)]));
    assert.deepEqual(codes, ['taken', 'taken', 'storage_full', 'replayed', 'taken']);
    assert.equal(total(region), 3);
    const limits = { clock, wal: region.wal, region: 'us-east', storeLimitBytes: 1e12 };
    assert.match(
      createKeyLimit({ metrics: unreadMetrics, ...limits, limit: 2 })()?.extras.hint ?? '',
      /--idempotency-keys-limit/,
    );
    assert.equal(createKeyLimit({ metrics: unreadMetrics, ...limits, limit: 3 })(), undefined);
  });

  it('a bulk of any size is one key, also when it has several batches, and after a restart', async () => {
    const { clock, region } = await leading({ queueLimit: 20_000, keysLimit: 3 });
    const bulk = async (key: string, count: number): Promise<string> => {
      const reply = await during(clock, region.write(keyed(key, views(count), true), { atomic: true }));
      await clock.advance(300);
      const result = reply.results[0]!;
      return isRefused(result) ? result.problem.code : result.replayed === true ? 'replayed' : 'taken';
    };
    assert.equal(await bulk('first', 20_000), 'taken');
    assert.equal(region.wal.keys, 1);
    assert.equal(await bulk('second', 2), 'taken');
    accepted(await during(clock, region.write(keyed('single', [view(1)]))));
    assert.equal(region.wal.keys, 3);
    await clock.advance(300);
    assert.deepEqual([await bulk('third', 2), await bulk('first', 20_000)], ['storage_full', 'replayed']);
    assert.deepEqual(outcomes(await during(clock, region.write(keyed('last', [view(1)])))), ['storage_full']);
    assert.equal(outcomes(await during(clock, region.write(views(1_000)))).length, 1_000);
    const again = region.crash('lost');
    assert.equal(again.wal.keys, 3);
    assert.equal(again.digest(), region.digest());
    assert.equal(again.ledger.read(1, 'view', clock.nowMs())?.count, 21_003);
  });

  it('rows of keys take half of the store at most: then new keys are refused, and writes without one taken', async () => {
    const { clock, region } = await leading({ keysLimit: 1_000, storeLimitBytes: 20_000 });
    accepted(await during(clock, region.write(keyed('bulk', views(1_000), true), { atomic: true })));
    await clock.advance(300);
    const refused = await during(clock, region.write(keyed('new', [view(1)])));
    assert.deepEqual(outcomes(refused), ['storage_full']);
    assert.match(JSON.stringify(refused), /--log-max-bytes/);
    const known = await during(clock, region.write(keyed('bulk', views(1_000), true), { atomic: true }));
    assert.equal(accepted(known)[0]?.replayed, true);
    accepted(await during(clock, region.write([view(1)])));
  });

  it('a bulk reads its row once, not for each of its writes', async () => {
    const { clock, region } = await leading();
    const bulk = keyed('k', views(5_000), true);
    await during(clock, region.write(bulk, { atomic: true }));
    await during(clock, region.write([view(1)]));
    const { store } = region;
    const get = store.get.bind(store);
    let reads = 0;
    store.get = (table, key) => {
      if (table === 'keyed') reads++;
      return get(table, key);
    };
    const again = await during(clock, region.write(bulk, { atomic: true }));
    assert.equal(accepted(again)[0]?.replayed, true);
    assert.equal(reads, 1);
    await during(clock, region.write(keyed('l', views(5_000), true), { atomic: true }));
    assert.equal(reads, 3, 'before it is taken, and when it is applied');
  });

  it('another body under the key is refused and changes nothing', async () => {
    const { clock, region } = await leading();
    await during(clock, region.write(keyed('k', [view(1)])));
    for (const body of [view(2), view(1, 2_000), { ...view(1), timeMs: 5 } as EventBody]) {
      assert.deepEqual(outcomes(await during(clock, region.write(keyed('k', [body])))), ['idempotency_conflict']);
    }
    const bulk = await during(clock, region.write(keyed('k', [view(1)], true), { atomic: true }));
    assert.deepEqual(outcomes(bulk), ['idempotency_conflict'], 'an array of one is another request');
    assert.equal(total(region), 1);
  });

  it('copies that wait together - of one request, or of two routers - are taken once and answered alike', async () => {
    const { clock, region } = await leading();
    await during(clock, region.write([view(9)]));
    region.store.holdFlushes();
    const one = keyed('k', [view(1)])[0]!;
    const replies = [region.write([one, one, ...keyed('k', [view(2)])]), region.write([one])];
    await clock.settle();
    const later = region.write([one]);
    region.store.releaseFlushes();
    const [first, second, third] = await during(clock, Promise.all([...replies, later]));
    assert.deepEqual(outcomes(first!), ['stream', 'stream', 'idempotency_conflict']);
    const answers = [first!.results[0], first!.results[1], second!.results[0], third!.results[0]] as WriteAccepted[];
    assert.equal(new Set(answers.map(({ position }) => position)).size, 1);
    assert.deepEqual(
      answers.map(({ replayed }) => replayed),
      [undefined, true, true, true],
    );
    assert.equal(total(region), 2);
  });

  it('a write that waits for one that is refused is taken in its place', async () => {
    const { clock, region } = await leading();
    await during(clock, region.write([view(9)]));
    const one = keyed('k', [view(1)])[0]!;
    region.store.failNext('storage_full');
    const reply = await during(clock, region.write([one, one, one]));
    assert.deepEqual(outcomes(reply), ['storage_full', 'stream', 'stream']);
    assert.deepEqual(
      (reply.results as WriteAccepted[]).map(({ replayed }) => replayed),
      [undefined, undefined, true],
    );
    assert.equal(total(region), 2);
  });

  it('no request is answered before the flush of the write that counts, and a power failure loses both', async () => {
    const { clock, region } = await leading();
    await during(clock, region.write([view(9)]));
    region.store.holdFlushes();
    const one = keyed('k', [view(1)])[0]!;
    let answers = 0;
    for (const _ of [1, 2]) void region.write([one]).then(() => answers++);
    await clock.advance(5_000);
    assert.equal(answers, 0);
    assert.deepEqual(region.wal.copies(one.key!.id), [], 'committed but not flushed is not there');
    const lost = region.crash('lost');
    assert.deepEqual(lost.wal.copies(one.key!.id), []);
    assert.equal(lost.wal.keys, 0);
  });

  it('a restart remembers; the stream repeats what it acknowledged', async () => {
    const { clock, broker, region } = await leading();
    const [first] = accepted(await during(clock, region.write(keyed('k', [view(1)]))));
    const again = region.crash('lost').start();
    await clock.until('it leads again', () => 'epoch' in again.role.gate(1));
    const [answer] = accepted(await during(clock, again.write(keyed('k', [view(1)]))));
    assert.deepEqual(answer, { position: first!.position, durability: 'stream', replayed: true });
    assert.equal(total(again), 1);
    assert.equal(broker.stream?.last, 1);
  });

  it('a write with durability stream that stalled is asked for with the same key until the stream has it (schedule 13)', async () => {
    const { clock, broker, region } = await leading();
    broker.pause();
    const bodies = keyed('k', [view(1)]);
    const stalled = await during(clock, region.write(bodies, { durability: 'stream' }));
    assert.deepEqual(outcomes(stalled), ['stream_unconfirmed']);
    assert.match(JSON.stringify(stalled), /same Idempotency-Key/);
    const local = accepted(await during(clock, region.write(bodies)));
    assert.deepEqual([local[0]?.durability, local[0]?.replayed], ['local', true]);
    broker.resume();
    await clock.until('it is shipped', () => region.ship.healthy && region.ship.unshipped === 0);
    const confirmed = accepted(await during(clock, region.write(bodies, { durability: 'stream' })));
    assert.deepEqual([confirmed[0]?.durability, confirmed[0]?.replayed], ['stream', true]);
    assert.equal(total(region), 1);
  });

  it('a bulk is known whole; a part of it, or more than it, is another request', async () => {
    const { clock, region } = await leading({ queueLimit: 20_000 });
    const bulk = views(12_000);
    const first = await during(clock, region.write(keyed('k', bulk), { atomic: true }));
    const again = await during(clock, region.write(keyed('k', bulk), { atomic: true }));
    assert.deepEqual(accepted(again), [{ ...accepted(first)[0]!, replayed: true }]);
    for (const other of [bulk.slice(0, 11_999), [...bulk, view(1)]]) {
      const reply = await during(clock, region.write(keyed('k', other), { atomic: true }));
      assert.deepEqual(outcomes(reply), ['idempotency_conflict']);
    }
    assert.equal(total(region), 12_000);
    assert.equal(region.wal.keys, 1);
  });

  it('a bulk that a forced promotion has split is completed, and counts once when the rest returns', async () => {
    const { clock, broker, region } = await leading({ queueLimit: 20_000 });
    const bulk = keyed('k', views(12_000));
    await during(clock, region.write(bulk, { atomic: true }));
    const { origin } = region.wal.origins()[0]!;
    const other = new CoreRegion({ region: 'eu-west', clock, broker, queueLimit: 20_000 });
    const batches = region.wal.read(origin, 1, 1e9);
    await other.ingest.take([decodeBatch(batches[0]!)]);
    const cutAt = total(other);
    assert.ok(cutAt > 0 && cutAt < 12_000);
    const router = broker.connect('router');
    await clock.settle();
    const entry = await router.control.read();
    assert.ok(entry !== 'missing');
    await router.control.update({ leader: 'eu-west', epoch: 2, nonce: 'second' }, entry.revision);
    other.role.start();
    other.ship.start();
    await clock.until('it leads', () => 'epoch' in other.role.gate(2));
    const completed = accepted(await during(clock, other.write(bulk, { atomic: true, epoch: 2 })));
    assert.equal(completed[0]?.replayed, undefined, 'something was taken now');
    assert.equal(completed[0]?.position.split(',').length, 2, 'where both parts are');
    assert.equal(other.ledger.read(1, 'view', clock.nowMs())?.count, 12_000);
    await other.ingest.take(batches.map(decodeBatch));
    assert.equal(total(other), 12_000 + 12_000 - cutAt);
    assert.equal(other.ledger.read(1, 'view', clock.nowMs())?.count, 12_000);
    const known = accepted(await during(clock, other.write(bulk, { atomic: true, epoch: 2 })));
    assert.equal(known[0]?.position, `${origin}:12000`, 'the lower copies count');
    assert.equal(known[0]?.replayed, true);
  });

  it('a key is known for seven days of the log, then it names a new request', async () => {
    const { clock, region } = await leading();
    const bodies = keyed('k', [view(1)]);
    await during(clock, region.write(bodies));
    await during(clock, region.write(keyed('l', [view(1)])));
    clock.stepWall(7 * DAY_MS - 60_000);
    assert.equal(accepted(await during(clock, region.write(bodies)))[0]?.replayed, true);
    clock.stepWall(60_000);
    assert.equal(accepted(await during(clock, region.write(bodies)))[0]?.replayed, undefined);
    assert.equal(accepted(await during(clock, region.write(bodies)))[0]?.replayed, true);
    assert.equal(accepted(await during(clock, region.write(keyed('l', [view(2)]))))[0]?.replayed, undefined);
    assert.equal(region.ledger.read(1, 'view', clock.nowMs())?.count, 3);
    assert.equal(region.digest(), region.crash().digest());
  });

  it('a key whose seven days were over by a clock that is set back meanwhile is known again, and nothing is lost', async () => {
    const { clock, region } = await leading();
    const bodies = keyed('k', [view(1)]);
    await during(clock, region.write(bodies));
    clock.stepWall(7 * DAY_MS);
    region.store.holdFlushes();
    const before = region.write([view(9)]);
    await clock.settle();
    const late = region.write(bodies);
    await clock.settle();
    clock.stepWall(-DAY_MS);
    region.store.releaseFlushes();
    await during(clock, before);
    assert.equal(accepted(await during(clock, late))[0]?.replayed, true);
    assert.equal(region.ledger.read(1, 'view', clock.nowMs())?.count, 1);
    assert.equal(region.digest(), region.crash().digest());
  });

  it('what was accepted under a wrong clock is known for its seven days once the clock is right', async () => {
    const { clock, region } = await leading();
    clock.stepWall(30 * DAY_MS);
    await during(clock, region.write(keyed('wrong', [view(1)])));
    clock.stepWall(-30 * DAY_MS);
    await during(clock, region.write(keyed('right', [view(1)])));
    clock.stepWall(7 * DAY_MS - 60_000);
    for (const key of ['wrong', 'right']) {
      assert.equal(accepted(await during(clock, region.write(keyed(key, [view(1)]))))[0]?.replayed, true, key);
    }
    clock.stepWall(120_000);
    assert.equal(accepted(await during(clock, region.write(keyed('right', [view(1)]))))[0]?.replayed, undefined);
    assert.equal(region.ledger.read(1, 'view', clock.nowMs())?.count, 3);
    assert.equal(region.digest(), region.crash().digest());
  });

  it('an invalid write does not use up its key', async () => {
    const { clock, region } = await leading();
    const bad: EventBody = { kind: 'signal', entity: 1, signal: 'applaud', weight: 1, timeMs: undefined };
    assert.deepEqual(outcomes(await during(clock, region.write(keyed('k', [bad])))), ['unknown_signal']);
    assert.deepEqual(outcomes(await during(clock, region.write(keyed('k', [view(1)])))), ['stream']);
  });

  it('a write that waits for its copy while the region stops is refused, not taken', async () => {
    const { clock, region } = await leading();
    await during(clock, region.write([view(9)]));
    region.store.holdFlushes();
    const one = keyed('k', [view(1)])[0]!;
    const first = region.write([one]);
    const second = region.write([one]);
    await clock.settle();
    const stopping = region.intake.stop();
    region.store.releaseFlushes();
    const [reply, other] = await during(clock, Promise.all([first, second, stopping]));
    assert.deepEqual(outcomes(reply), ['stream']);
    assert.deepEqual(outcomes(other), ['shutting_down']);
  });

  it('a leader whose clock is days behind what it was takes no new keys, and anything else', async () => {
    const { clock, region } = await leading({ keysLimit: 100 });
    await during(clock, region.write(keyed('old', [view(1)])));
    clock.stepWall(9 * DAY_MS);
    await region.wal.forgetKeys({
      ...{ from: undefined, limit: 9, limitBytes: 1e6, upTo: region.wal.durable },
      beforeMs: clock.nowMs() - 8 * DAY_MS,
    });
    assert.equal(region.wal.keys, 0);
    accepted(await during(clock, region.write(keyed('new', [view(1)]))));
    clock.stepWall(-3 * DAY_MS);
    const refused = await during(clock, region.write(keyed('newer', [view(1)])));
    assert.deepEqual(outcomes(refused), ['clock_unsafe']);
    accepted(await during(clock, region.write([view(2)])));
    assert.equal(accepted(await during(clock, region.write(keyed('new', [view(1)]))))[0]?.replayed, true);
    clock.stepWall(3 * DAY_MS);
    accepted(await during(clock, region.write(keyed('newer', [view(1)]))));
  });
});
