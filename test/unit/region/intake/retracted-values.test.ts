/** What is taken back is compared with the signal in the leader's log; a write whose rows cannot be read is refused alone. */
import assert from 'node:assert/strict';
import type { Store } from '../../../../services/region/store/store.ts';
import { Refusal } from '../../../../shared/errors/errors.ts';
import type { EventBody, RequestedBody } from '../../../../shared/protocol/events.ts';
import { keyIdOf, withKeys } from '../../../../shared/protocol/idempotency.ts';
import { isRefused, type WritesReply } from '../../../../shared/protocol/internal.ts';
import { fromWire, toWire } from '../../../../shared/protocol/writes.ts';
import { CoreCluster } from '../../../harness/region/core-cluster.ts';
import { type CoreRegion, item, retraction, view, views } from '../../../harness/region/core-region.ts';
import { names } from '../../../harness/router/memory-cluster.ts';

type Table = Parameters<Store['get']>[0];

/** As the router would send it. */
function keyed(key: string, bodies: readonly EventBody[], bulk = bodies.length > 1): EventBody[] {
  return withKeys(key, 'signals', bodies.map(toWire), bulk).map(fromWire) as EventBody[];
}

/** Another body with the id and the hash of this one, as a client can search for two bodies with one hash. */
function collidingWith(one: EventBody, other: EventBody): EventBody {
  return { ...other, key: one.key! };
}

function codes(reply: WritesReply): string[] {
  return reply.results.map((result) => (isRefused(result) ? result.problem.code : 'accepted'));
}

async function rig() {
  const cluster = await CoreCluster.start();
  const { clock } = cluster;
  const router = await cluster.router();
  const leader = (): CoreRegion => cluster.region('us-east');
  const submit = (bodies: readonly RequestedBody[], atomic = false): Promise<WritesReply> =>
    leader().intake.submit({ epoch: 1, atomic, durability: 'local', bodies });
  const request = (bodies: readonly RequestedBody[], atomic = false): Promise<WritesReply> =>
    clock.run(submit(bodies, atomic));
  /** Flips the last bit of a row; returns what makes it whole again. */
  const damage = async (table: Table, key: string | readonly [string, number]): Promise<() => Promise<void>> => {
    const { store } = leader();
    const whole = Buffer.from(store.get(table, key as never)!);
    const put = (bytes: Uint8Array): Promise<void> =>
      store.commit((transaction) => transaction.put(table, key as never, bytes));
    const flipped = Buffer.from(whole);
    flipped[flipped.length - 1]! ^= 1;
    await put(flipped);
    return () => put(whole);
  };
  return { cluster, clock, router, leader, submit, request, damage };
}

describe('what a retraction takes back', () => {
  it('is the signal in the log: another body with the same hash is refused, whatever differs, and no region stops', async () => {
    const { cluster, request, leader } = await rig();
    const [given] = keyed('k', [view(7, 2_000)]) as [EventBody];
    const bulk = keyed('bulk', views(3, 7));
    await request([given]);
    await request(bulk, true);
    const before = leader().durable;
    for (const other of [view(8, 2_000), view(7, 1_000), { ...view(7, 2_000), signal: 'skip' } as EventBody]) {
      const wrong = collidingWith(given, retraction(other));
      assert.deepEqual(codes(await request([wrong])), ['idempotency_conflict']);
    }
    const [first, ...rest] = bulk.map(retraction) as [EventBody, ...EventBody[]];
    const wrong = [first, collidingWith(rest[0]!, retraction(view(8))), rest[1]!];
    assert.deepEqual(codes(await request(wrong, true)), ['idempotency_conflict'], 'all or nothing');
    assert.deepEqual(codes(await request([retraction(given)])), ['accepted']);
    assert.notEqual(leader().durable, before);
    await cluster.converge();
    for (const name of names) {
      assert.equal(cluster.region(name).ledger.read(7, 'view', cluster.clock.nowMs())?.count, 3, name);
      assert.equal(cluster.region(name).ledger.read(8, 'view', cluster.clock.nowMs()), undefined, name);
    }
  });

  it('two bodies with one hash are two requests, at one leader and in two logs, in any order: each counts, and is taken back alone', async () => {
    const { cluster, clock, router, leader, request } = await rig();
    const [seven] = keyed('k', [view(7, 2_000)]) as [EventBody];
    const eight = collidingWith(seven, view(8, 3_000));
    const [nine] = keyed('l', [view(9)]) as [EventBody];
    await request([nine]);
    assert.deepEqual(codes(await request([collidingWith(nine, view(9, 500))])), ['idempotency_conflict']);
    await cluster.converge();
    const former = leader();
    await clock.run(former.setCut(true));
    assert.deepEqual(codes(await request([seven])), ['accepted']);
    await clock.run(router.service.promote({ region: 'eu-west', force: true }));
    const eu = cluster.region('eu-west');
    const epoch = cluster.record.epoch;
    const atEu = (bodies: readonly RequestedBody[]): Promise<WritesReply> =>
      clock.run(eu.intake.submit({ epoch, atomic: false, durability: 'local', bodies }));
    assert.deepEqual(codes(await atEu([eight])), ['accepted']);
    await clock.run(former.setCut(false));
    await cluster.converge();
    for (const name of names) {
      const counted = [7, 8].map((entity) => cluster.region(name).ledger.read(entity, 'view', clock.nowMs())?.sums.all);
      assert.deepEqual(counted, [2, 3], name);
    }
    assert.deepEqual(codes(await atEu([retraction(eight)])), ['accepted']);
    await cluster.converge();
    assert.deepEqual([cluster.count(7), cluster.count(8)], [1, 0]);
    assert.deepEqual(codes(await atEu([retraction(seven)])), ['accepted']);
    await cluster.converge();
    assert.deepEqual([cluster.count(7), cluster.count(8)], [0, 0]);
    const digest = cluster.region('us-east').digest();
    for (const name of names) assert.equal(cluster.region(name).crash('lost').digest(), digest, 'recovered the same');
  });

  it('is read from the log, which must have it: a trimmed one is refused by key as by position', async () => {
    const { router, clock, leader, request } = await rig();
    const one = await clock.run(router.submit([view(7)], { key: 'k' }));
    await clock.run(router.submit([view(7)], { key: 'l' }));
    const [origin] = one.position.split(':') as [string];
    await leader().wal.trim(origin, 1, 1);
    await clock.run(
      assert.rejects(
        router.submit([retraction(view(7))], { key: 'k' }),
        (error) =>
          error instanceof Refusal &&
          error.code === 'log_trimmed' &&
          /TIDAL_LOG_RETENTION_BYTES/.test(error.toProblem().hint ?? ''),
      ),
    );
    assert.deepEqual(codes(await request(keyed('l', [retraction(view(7))]))), ['accepted']);
  });

  it('is refused alone if its batch is damaged, and taken back once that is restored', async () => {
    const { clock, leader, request, damage } = await rig();
    const origin = (await request(keyed('k', [view(7)]))).results.map((result) =>
      'position' in result ? result.position.split(':')[0]! : assert.fail(),
    )[0]!;
    const restore = await damage('batches', [origin, 1]);
    const bodies = [...keyed('k', [retraction(view(7))]), view(7), ...keyed('l', [view(7)])];
    assert.deepEqual(codes(await request(bodies)), ['log_damaged', 'accepted', 'accepted']);
    const byPosition: RequestedBody = { kind: 'retraction at', origin, sequence: 1 };
    assert.deepEqual(codes(await request([byPosition, view(7)])), ['log_damaged', 'accepted']);
    assert.equal(leader().ledger.read(7, 'view', clock.nowMs())?.count, 4);
    await restore();
    assert.deepEqual(codes(await request([byPosition])), ['accepted']);
    assert.equal(leader().ledger.read(7, 'view', clock.nowMs())?.count, 3);
  });

  it('a write whose idempotency record is damaged is refused alone', async () => {
    const { leader, request, damage } = await rig();
    const given = keyed('k', [view(7)]);
    await request(given);
    const restore = await damage('keyed', keyIdOf(given[0]!.key!.id));
    // Rows that were read before a commit are read again after it.
    await request([view(7)]);
    const bodies = [...given, ...given.map(retraction), view(7), item(7, 'seven'), ...keyed('l', [view(7)])];
    const expected = ['log_damaged', 'log_damaged', 'accepted', 'accepted', 'accepted'];
    assert.deepEqual(codes(await request(bodies)), expected);
    await restore();
    const { durable } = leader();
    const { results } = await request(given);
    assert.deepEqual(
      results.map((result) => 'replayed' in result && result.replayed),
      [true],
    );
    assert.equal(leader().durable, durable);
  });

  it('is not read any more once the intake has stopped: it is refused, and nothing is appended', async () => {
    const { clock, leader, request, submit } = await rig();
    await request(keyed('bulk', views(30, 7)), true);
    const region = leader();
    const before = region.durable;
    const reads = region.wal.read.bind(region.wal);
    let readsAfter = 0;
    const taken = submit(keyed('bulk', views(30, 7)).map(retraction), true);
    const stopped = region.intake.stop();
    region.wal.read = (...args) => {
      readsAfter++;
      return reads(...args);
    };
    const { results } = await clock.run(taken);
    await clock.run(stopped);
    assert.deepEqual(codes({ results }), ['shutting_down']);
    assert.deepEqual([readsAfter, region.durable], [0, before]);
  });
});
