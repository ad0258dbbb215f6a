/** Signals that are taken back, at intake and in the state: once, by key or by position, by any leader, in any order of the logs. */
import assert from 'node:assert/strict';
import { decodeBatch } from '../../../../services/region/batch/batch.ts';
import { type Copy, counting, MENDED_EPOCH, recallForRetraction } from '../../../../services/region/state/keys/keys.ts';
import { Refusal } from '../../../../shared/errors/errors.ts';
import type { EventBody, RequestedBody } from '../../../../shared/protocol/events.ts';
import { withKeys } from '../../../../shared/protocol/idempotency.ts';
import { isRefused, type WriteAccepted, type WritesReply } from '../../../../shared/protocol/internal.ts';
import { fromWire, toWire } from '../../../../shared/protocol/writes.ts';
import { CoreCluster } from '../../../harness/region/core-cluster.ts';
import { CoreRegion, item, outcomes, retraction, view, views } from '../../../harness/region/core-region.ts';
import { names } from '../../../harness/router/memory-cluster.ts';
import { MemoryBroker } from '../../../harness/stream/memory-stream.ts';

const DAY_MS = 86_400_000;
const MINUTE_MS = 60_000;

const codeOf = (error: unknown): string => (error instanceof Refusal ? error.code : String(error));

/** As the router would send it. */
function keyed(key: string, bodies: readonly EventBody[], bulk = bodies.length > 1): EventBody[] {
  return withKeys(key, 'signals', bodies.map(toWire), bulk).map(fromWire) as EventBody[];
}

function accepted(reply: WritesReply): WriteAccepted[] {
  return reply.results.map((result) => {
    if (isRefused(result)) assert.fail(`${result.problem.code}: ${result.problem.detail}`);
    return result;
  });
}

/** What a reader sees of an item's views: sums of all windows, count and decayed score. */
function sums(region: CoreRegion, entity: number, atMs: number): unknown {
  const { ledger } = region;
  const { sums, count, decayed } = ledger.read(entity, 'view', atMs) ?? {};
  return { sums, count, decayed };
}

function at(position: string): RequestedBody {
  const [origin, sequence] = position.split(':') as [string, string];
  return { kind: 'retraction at', origin, sequence: Number(sequence) };
}

/** Three regions; what is written directly at the leader. */
async function rig() {
  const cluster = await CoreCluster.start();
  const { clock } = cluster;
  const router = await cluster.router();
  const leader = () => cluster.region('us-east');
  const request = async (bodies: readonly RequestedBody[], atomic = false): Promise<WritesReply> =>
    clock.run(leader().intake.submit({ epoch: 1, atomic, durability: 'local', bodies }));
  return { cluster, clock, router, leader, request };
}

describe('signals that are taken back', () => {
  it('by the same request: sums are as if it had not been given, in every region, and after a restart of each', async () => {
    const { cluster, clock, router } = await rig();
    await clock.run(router.submit([view(7, 3_000)]));
    await cluster.converge();
    const atMs = clock.nowMs() + MINUTE_MS;
    const before = sums(cluster.region('us-east'), 7, atMs);
    await clock.run(router.submit([view(7, 2_000)], { key: 'k' }));
    await clock.run(router.submit(views(30, 7), { key: 'bulk' }));
    await cluster.converge();
    assert.equal(cluster.count(7), 32);
    const one = await clock.run(router.submit([retraction(view(7, 2_000))], { key: 'k' }));
    const all = await clock.run(router.submit(views(30, 7).map(retraction), { key: 'bulk' }));
    assert.deepEqual([one.replayed, all.replayed], [undefined, undefined]);
    await cluster.converge();
    for (const name of names) {
      const region = cluster.region(name);
      assert.deepEqual(sums(region, 7, atMs), before, name);
      const again = region.crash('kept');
      assert.deepEqual([sums(again, 7, atMs), again.digest()], [before, region.digest()], name);
    }
  });

  it('exactly once: sent again, it is answered as the first time; the signal sent again does not count again', async () => {
    const { cluster, clock, router } = await rig();
    const given = await clock.run(router.submit([view(7)], { key: 'k' }));
    const taken = await clock.run(router.submit([retraction(view(7))], { key: 'k' }));
    for (let n = 0; n < 2; n++) {
      const again = await clock.run(router.submit([retraction(view(7))], { key: 'k' }));
      assert.deepEqual([again.position, again.replayed], [taken.position, true]);
      const repeated = await clock.run(router.submit([view(7)], { key: 'k' }));
      assert.deepEqual([repeated.position, repeated.replayed], [given.position, true]);
    }
    await cluster.converge();
    assert.equal(cluster.count(7), 0);
    assert.equal(
      [...cluster.region('us-east').wal.durable.values()].reduce((sum, last) => sum + last, 0),
      2,
    );
    // After seven days the key is a new request, which counts, and can be taken back again.
    clock.stepWall(7 * DAY_MS);
    await clock.advance(5_000);
    const later = await clock.run(router.submit([view(7)], { key: 'k' }));
    assert.equal(later.replayed, undefined);
    assert.equal(cluster.count(7), 1);
    const second = await clock.run(router.submit([retraction(view(7))], { key: 'k' }));
    assert.equal(second.replayed, undefined);
    await cluster.converge();
    assert.equal(cluster.count(7), 0);
  });

  it('while the signal, or another retraction of it, waits for its flush, it waits for that', async () => {
    const { cluster, clock, router, leader } = await rig();
    leader().store.holdFlushes();
    const given = router.submit([view(7)], { key: 'k' });
    await clock.settle();
    const taken = [1, 2].map(() => router.submit([retraction(view(7))], { key: 'k' }));
    await clock.settle();
    leader().store.releaseFlushes();
    const answers = await clock.run(Promise.all([given, ...taken]));
    assert.equal(new Set(answers.map(({ position }) => position)).size, 2);
    assert.deepEqual(answers.map(({ replayed }) => replayed).sort(), [true, undefined, undefined]);
    await cluster.converge();
    assert.equal(cluster.count(7), 0);
  });

  it('is refused and changes nothing: never given, given with another body, too long ago, while keys are refused', async () => {
    const { clock, router, leader, request } = await rig();
    const refusedAs = async (code: string, bodies: readonly EventBody[], key: string): Promise<void> => {
      await clock.run(assert.rejects(router.submit(bodies, { key }), (error) => codeOf(error) === code));
    };
    await clock.run(router.submit([view(7)], { key: 'k' }));
    await clock.run(router.submit(views(3, 7), { key: 'bulk' }));
    const before = leader().durable;
    await refusedAs('nothing_to_retract', [retraction(view(7))], 'other');
    await refusedAs('idempotency_conflict', [retraction(view(8))], 'k');
    await refusedAs('idempotency_conflict', [retraction(view(7, 5))], 'k');
    await refusedAs('idempotency_conflict', views(2, 7).map(retraction), 'bulk');
    await refusedAs('unknown_signal', [{ ...retraction(view(7)), signal: 'nod' } as EventBody], 'k');
    assert.equal(leader().durable, before);
    const mixed = [...keyed('k', [retraction(view(7))]), ...keyed('other', [retraction(view(7))])];
    assert.deepEqual(outcomes(await request(mixed, true)), ['nothing_to_retract'], 'all or nothing');
    assert.equal(leader().durable, before);
    clock.stepWall(7 * DAY_MS - 5 * MINUTE_MS);
    await clock.advance(5_000);
    const last = await request(keyed('k', [retraction(view(7))]));
    assert.equal(accepted(last).length, 1);
    clock.stepWall(5 * MINUTE_MS);
    await refusedAs('nothing_to_retract', views(3, 7).map(retraction), 'bulk');
    assert.equal(leader().ledger.read(7, 'view', clock.nowMs())?.count, 3);
  });

  it('by position: once, as by key; a trimmed one is refused, one without a key is refused', async () => {
    const { cluster, clock, router, leader, request } = await rig();
    const one = await clock.run(router.submit([view(7)], { key: 'k' }));
    const bulk = await clock.run(router.submit(views(3, 7), { key: 'bulk' }));
    const plain = await clock.run(router.submit([view(7)]));
    const put = await clock.run(router.submit([item(7, 'seven')]));
    const [taken] = accepted(await request([at(one.position)]));
    const [, again] = accepted(await request([at(one.position), at(taken!.position)]));
    assert.deepEqual(
      again,
      { ...taken, durability: again!.durability, replayed: true },
      'its own position names it as well',
    );
    const byKey = await clock.run(router.submit([retraction(view(7))], { key: 'k' }));
    assert.deepEqual([byKey.position, byKey.replayed], [taken!.position, true]);
    assert.equal(accepted(await request([at(bulk.position)])).length, 1);
    await cluster.converge();
    assert.equal(cluster.count(7), 3, 'two of the bulk, and the plain one');
    const [origin] = one.position.split(':') as [string];
    const wrong = [at(plain.position), at(put.position), at(`${origin}:999`), at('us-east@zzzzzzzzzz:1')];
    assert.deepEqual(outcomes(await request(wrong)), [
      'not_retractable',
      'not_retractable',
      'nothing_to_retract',
      'nothing_to_retract',
    ]);
    assert.deepEqual(outcomes(await request([...keyed('k', [retraction(view(7))]), at(plain.position)], true)), [
      'not_retractable',
    ]);
    await leader().wal.trim(origin, 1, 1);
    const [trimmed] = (await request([at(one.position)])).results;
    assert.ok(isRefused(trimmed!) && trimmed.problem.code === 'log_trimmed');
    assert.match(trimmed.problem.hint ?? '', /TIDAL_LOG_RETENTION_BYTES/);
    const known = await clock.run(router.submit([retraction(view(7))], { key: 'k' }));
    assert.equal(known.replayed, true, 'what was taken back before is known without the signal');
  });

  it('by a leader whose clock is behind the one that accepted the signal: it takes it back', async () => {
    const { cluster, clock, router } = await rig();
    await clock.run(router.submit([view(7)], { key: 'k' }));
    await cluster.converge();
    clock.stepWall(-3_000);
    await clock.run(router.service.promote({ region: 'eu-west', force: true }));
    await clock.run(router.submit([retraction(view(7))], { key: 'k' }));
    await cluster.converge();
    assert.equal(cluster.count(7), 0);
    const [origin] = [...cluster.region('eu-west').wal.durable.keys()].filter((name) => name.startsWith('eu-west'));
    const { events } = decodeBatch(cluster.region('eu-west').wal.read(origin!, 1, 1)[0]!);
    const [event] = events;
    assert.ok(event?.kind === 'retraction' && event.upToMs > clock.nowMs() - MINUTE_MS);
  });

  it('at a new leader that lacks the signal it is refused; when a duplicate was taken back there, the tail does not count either', async () => {
    const { cluster, clock, router } = await rig();
    await clock.run(router.submit([view(1)]));
    await cluster.converge();
    const x = cluster.region('us-east');
    await clock.run(x.setCut(true));
    await clock.run(router.submit([view(7)], { key: 'k' }));
    await clock.run(router.submit([view(8)], { key: 'l' }));
    await clock.run(router.service.promote({ region: 'eu-west', force: true }));
    await clock.run(
      assert.rejects(
        router.submit([retraction(view(7))], { key: 'k' }),
        (error) => codeOf(error) === 'nothing_to_retract',
      ),
    );
    await clock.run(router.submit([view(7)], { key: 'k' }));
    await clock.run(router.submit([retraction(view(7))], { key: 'k' }));
    await clock.run(x.setCut(false));
    await cluster.converge();
    assert.deepEqual([cluster.count(7), cluster.count(8)], [0, 1]);
    assert.equal((await clock.run(router.submit([retraction(view(8))], { key: 'l' }))).replayed, undefined);
    await cluster.converge();
    assert.equal(cluster.count(8), 0);
    const digest = cluster.region('us-east').digest();
    for (const name of names) assert.equal(cluster.region(name).crash('lost').digest(), digest, 'recovered the same');
  });

  it('a retraction that arrives in a region before its signal: neither counts, in no order', async () => {
    const { cluster, clock, router } = await rig();
    await clock.run(router.submit([view(7)], { key: 'k' }));
    await clock.run(router.service.promote({ region: 'eu-west', force: false }));
    await clock.run(router.submit([retraction(view(7))], { key: 'k' }));
    await cluster.converge();
    const { wal } = cluster.region('us-east');
    const origins = wal.origins().filter(({ last }) => last > 0);
    assert.equal(origins.length, 2);
    const digests = new Set([cluster.region('us-east').digest()]);
    for (const order of [origins, [...origins].reverse()]) {
      const region = new CoreRegion({ region: 'ap-south', clock, broker: new MemoryBroker({ clock }) });
      for (const { origin } of order) {
        const batches = wal.read(origin, 1, Number.MAX_SAFE_INTEGER).map(decodeBatch);
        await clock.run(region.wal.append({ batches }).then(() => region.apply.apply(batches)));
      }
      digests.add(region.digest());
    }
    assert.equal(digests.size, 1);
  });

  it('is refused while a region runs a version that would stop at it, and accepted after its upgrade', async () => {
    const { cluster, clock, router } = await rig();
    await clock.run(router.submit([view(7)], { key: 'k' }));
    cluster.kill('ap-south');
    cluster.start('ap-south', undefined, { version: { program: '0.0.9', protocols: { oldest: 1, newest: 1 } } });
    await clock.advance(3_000);
    await clock.run(
      assert.rejects(
        router.submit([retraction(view(7))], { key: 'k' }),
        (error) => codeOf(error) === 'version_mismatch' && /ap-south runs version 0\.0\.9/.test(String(error)),
      ),
    );
    assert.equal(cluster.count(7), 1);
    cluster.kill('ap-south');
    cluster.start('ap-south');
    await clock.advance(3_000);
    await clock.run(router.submit([retraction(view(7))], { key: 'k' }));
    await cluster.converge();
    assert.equal(cluster.count(7), 0);
  });

  it('what a mended state counts keeps counting, and its retraction is refused; what was taken back before stays so', () => {
    const [body] = keyed('k', [view(7)]);
    const key = body!.key!;
    const place = { origin: 'us-east@aaaaaaaaaa', sequence: 1, epoch: 1 };
    const copy: Copy = { ...place, acceptedMs: 1_000, timeMs: 1_000, bodyHash: key.bodyHash };
    const taken: Copy = { ...copy, sequence: 2, acceptedMs: 2_000, timeMs: 2_000, isRetraction: true };
    const mended = { ...copy, epoch: MENDED_EPOCH };
    assert.deepEqual(counting([mended, taken]), [mended]);
    assert.equal(recallForRetraction([mended], key, 2_000), 'mended');
    assert.deepEqual(counting([copy, taken]), []);
    assert.deepEqual(recallForRetraction([copy, taken], key, 3_000), taken);
    assert.deepEqual(recallForRetraction([copy], key, 2_000), { upToMs: 1_000, counts: copy });
  });

  it('uses no new key: with as many keys as there may be, what was given can still be taken back', async () => {
    const cluster = await CoreCluster.start({ keysLimit: 1 });
    const { clock } = cluster;
    const router = await cluster.router();
    await clock.run(router.submit([view(7)], { key: 'k' }));
    await clock.advance(2_000);
    await clock.run(
      assert.rejects(router.submit([view(7)], { key: 'l' }), (error) => codeOf(error) === 'storage_full'),
    );
    await clock.run(router.submit([retraction(view(7))], { key: 'k' }));
    await cluster.converge();
    assert.equal(cluster.count(7), 0);
  });
});
