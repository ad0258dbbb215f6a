/** Writes that travel together or apart: none waits for, or falls with, another client's. */

import assert from 'node:assert/strict';
import { countOf } from '../../../../services/region/intake/bulk.ts';
import { Refusal } from '../../../../shared/errors/errors.ts';
import type { EventBody } from '../../../../shared/protocol/events.ts';
import { CoreCluster } from '../../../harness/region/core-cluster.ts';
import { outcomes, view, views } from '../../../harness/region/core-region.ts';

const unknownSignal: EventBody = { kind: 'signal', entity: 999, signal: 'applaud', weight: 1, timeMs: undefined };

async function codes(promises: readonly Promise<unknown>[]): Promise<string[]> {
  return (await Promise.allSettled(promises)).map((result) =>
    result.status === 'fulfilled' ? 'taken' : (result.reason as Refusal).code,
  );
}

describe('writes of many clients', () => {
  it('one that is invalid fails alone among the 200 it travels with (schedule 27)', async () => {
    const cluster = await CoreCluster.start();
    const router = await cluster.router();
    let requests = 0;
    router.onStep = (step, when) => {
      if (step === 'writes' && when === 'before') requests++;
    };
    const sent = Array.from({ length: 200 }, (_, n) => router.submit([n === 100 ? unknownSignal : view(n)]));
    const told = await cluster.clock.run(codes(sent));
    assert.ok(requests <= 5, `${requests} requests: they travelled together`);
    assert.deepEqual(
      told.flatMap((code, n) => (code === 'taken' ? [] : [[n, code]])),
      [[100, 'unknown_signal']],
    );
    await cluster.converge();
    assert.equal([...cluster.region('us-east').wal.durable.values()][0], 199, 'it never reached sequencing');
  });

  it('those that insist on a stalled stream do not block the 200 among them (schedule 27)', async () => {
    const cluster = await CoreCluster.start();
    const { clock, broker } = cluster;
    const router = await cluster.router();
    await clock.run(router.submit([view(1)]));
    broker.pause();
    const beganMs = clock.monotonicMs();
    const demanding: Promise<unknown>[] = [];
    const others: Promise<unknown>[] = [];
    for (let n = 0; n < 200; n++) {
      if (n % 20 === 0) demanding.push(router.submit([view(7)], { durability: 'stream' }));
      others.push(router.submit([view(1_000 + n)]));
    }
    const told = codes(demanding);
    await clock.run(Promise.all(others));
    assert.ok(clock.monotonicMs() - beganMs <= 600, `${clock.monotonicMs() - beganMs} ms`);
    const unconfirmed = (await clock.run(told)).filter((code) => code === 'stream_unconfirmed').length;
    assert.ok(unconfirmed > 0, 'what was taken before the stall was seen');
    assert.ok(clock.monotonicMs() - beganMs >= 5_000);
    broker.resume();
    await cluster.converge();
    assert.equal(cluster.count(7), unconfirmed, 'and the others were refused, not taken');
  });

  it('bulks that take their time do not delay single writes (schedule 27)', async () => {
    const cluster = await CoreCluster.start();
    const { clock } = cluster;
    const router = await cluster.router();
    await clock.run(router.submit([view(1)]));
    let held = true;
    const arrivals: (() => void)[] = [];
    router.onStep = (step, when) => {
      if (step !== 'writes' || when !== 'before' || !held) return;
      return new Promise<void>((resolve) => void arrivals.push(resolve));
    };
    let bulksTold = 0;
    const bulks = Promise.all(
      Array.from({ length: 6 }, () => router.submit(views(1_000, 7)).finally(() => bulksTold++)),
    );
    await clock.settle();
    held = false;
    for (let n = 0; n < 20; n++) {
      const beganMs = clock.monotonicMs();
      await clock.run(router.submit([view(n + 100)]));
      assert.ok(clock.monotonicMs() - beganMs <= 50);
    }
    assert.equal(bulksTold, 0);
    for (const arrive of arrivals) arrive();
    await clock.run(bulks);
    await cluster.converge();
    assert.equal(cluster.count(7), 6_000);
  });

  it('a stop in the middle of a request answers each write for itself, and only what was not taken is sent again (schedule 27)', async () => {
    const cluster = await CoreCluster.start();
    const { clock } = cluster;
    const leader = cluster.region('us-east');
    await clock.run(leader.write([view(1)]));
    leader.store.holdFlushes();
    const bodies = Array.from({ length: 6_000 }, (_, n) => view(n + 1_000));
    const reply = leader.write(bodies);
    await clock.settle();
    leader.writeBlocker = new Refusal('handing_over', 'us-east is handing over');
    leader.store.releaseFlushes();
    const told = outcomes(await clock.run(reply));
    const taken = told.filter((outcome) => outcome !== 'handing_over').length;
    assert.equal(taken, 5_000, 'what was cut into the commit before');
    assert.ok(told.slice(5_000).every((outcome) => outcome === 'handing_over'));
    leader.writeBlocker = undefined;
    await clock.run(leader.write(bodies.slice(5_000)));
    await cluster.converge();
    for (const entity of [1_000, 5_999, 6_000, 6_999]) assert.equal(cluster.count(entity), 1);
  });

  it('no more than four requests are in progress to a region, each within its limits (schedule 27)', async () => {
    const cluster = await CoreCluster.start();
    const { clock } = cluster;
    const router = await cluster.router();
    await clock.run(router.submit([view(1)]));
    const { intake } = cluster.region('us-east');
    const submit = intake.submit.bind(intake);
    let inside = 0;
    let most = 0;
    const sizes: number[] = [];
    intake.submit = async (request) => {
      sizes.push(countOf(request.bodies));
      most = Math.max(most, ++inside);
      await new Promise<void>((resolve) => clock.after(20, resolve));
      return submit(request).finally(() => inside--);
    };
    await clock.run(Promise.all(Array.from({ length: 7_000 }, (_, n) => router.submit([view(n)]))));
    assert.equal(most, 4);
    assert.ok(sizes.every((size) => size <= 1_000));
    await cluster.converge();
  });
});
