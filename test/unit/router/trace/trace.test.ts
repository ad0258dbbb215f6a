/** Where a write is, by its position, its key, or the id of its request. */
import assert from 'node:assert/strict';
import { createTrace } from '../../../../services/router/trace/positions-of-writes.ts';
import { Refusal } from '../../../../shared/errors/errors.ts';
import { keyIdOn } from '../../../../shared/protocol/idempotency.ts';
import type { WireWrite } from '../../../../shared/protocol/writes.ts';
import type { RegionView } from '../../../../shared/region-client/status-poller.ts';
import { type ManualClock, settle } from '../../../harness/kernel/manual-clock.ts';
import { type MemoryCluster, memoryCluster } from '../../../harness/router/memory-cluster.ts';

const origin = 'us-east@aaaaaaaaaa';
const held = new Map([[origin, 9]]);
const write: WireWrite = { k: 'd', e: 1 };
const run = { origin, first: 2, last: 3, acceptedMs: 1_768_471_200_000, isRetraction: false };

describe('tracing a write', () => {
  let cluster: MemoryCluster<ManualClock>;
  beforeEach(async () => {
    cluster = memoryCluster();
    cluster.router.start();
    await settle();
    for (let count = 0; count < 3; count++) cluster.usEast.accept(write);
    cluster.euWest.peers = [];
    cluster.euWest.position = new Map([[origin, 1]]);
    cluster.apSouth.state = 'no_answer';
  });
  afterEach(async () => {
    cluster.router.drain();
    await cluster.clock.run(cluster.router.close());
  });

  const trace = (request: object) => cluster.clock.run(cluster.router.trace.find(request));
  const regions = [
    { name: 'us-east', reachable: true, durable: true, applied: true, lacking_events: 0 },
    { name: 'eu-west', reachable: true, durable: false, applied: false, lacking_events: 2 },
    { name: 'ap-south', reachable: false, durable: null, applied: null, lacking_events: null },
  ];
  const refused = (code: string, text: RegExp) => (error: unknown) =>
    error instanceof Refusal && error.code === code && text.test(`${error.message}; ${error.toProblem().hint}`);

  it('by its position', async () => {
    assert.deepEqual(await trace({ position: `${origin}:3` }), { position: `${origin}:3`, regions });
    // Durable and not applied.
    cluster.usEast.unapplied = new Map([[origin, 4]]);
    assert.deepEqual((await trace({ position: `${origin}:4` })).regions[0], {
      ...{ name: 'us-east', reachable: true, durable: true, applied: false, lacking_events: 1 },
    });
    await assert.rejects(trace({ position: `${origin}:5` }), refused('unknown_event', /not reached: ap-south/));
    for (const position of ['', 'nowhere', `${origin}:x`]) {
      await assert.rejects(trace({ position }), refused('invalid_request', /position token/));
    }
  });

  it('by its key, on any route, once whatever the number of regions that know it', async () => {
    const [signals, items] = [keyIdOn('order-17', 'signals'), keyIdOn('order-17', 'items')];
    const retraction = { ...run, first: 9, last: 9, acceptedMs: run.acceptedMs + 5, isRetraction: true };
    cluster.usEast.runsByKey.set(signals, [run, retraction]);
    cluster.euWest.runsByKey.set(signals, [run]);
    cluster.euWest.runsByKey.set(items, [{ ...run, origin: 'eu-west@bbbbbbbbbb', acceptedMs: run.acceptedMs + 1 }]);
    const { position, writes } = await trace({ key: 'order-17' });
    assert.equal(position, `eu-west@bbbbbbbbbb:3,${origin}:9`);
    assert.deepEqual(writes, [
      { route: 'signals', origin, first: 2, last: 3, accepted_at: '2026-01-15T10:00:00.000Z' },
      { route: 'items', origin: 'eu-west@bbbbbbbbbb', first: 2, last: 3, accepted_at: '2026-01-15T10:00:00.001Z' },
      { route: 'signals', origin, first: 9, last: 9, accepted_at: '2026-01-15T10:00:00.005Z', retraction: true },
    ]);
    await assert.rejects(trace({ key: 'order-18' }), refused('unknown_event', /not reached: ap-south; ask again/));
    cluster.apSouth.state = 'up';
    await assert.rejects(trace({ key: 'order-18' }), refused('unknown_event', /seven days/));
    await assert.rejects(trace({ key: 'two words' }), refused('invalid_request', /visible ASCII/));
  });

  it('by the id of its request, as long as the router remembers it', async () => {
    const links = new Map([['us-east', cluster.usEast]]);
    const holding = { ask: async () => ({ status: { durable: held, applied: held } }) as unknown as RegionView };
    const short = createTrace({ links, regions: holding, recentLimit: 2 });
    for (const [id, sequence] of [
      ['a', 1],
      ['b', 2],
      ['a', 3],
      ['c', 4],
    ] as const)
      short.accepted(id, `${origin}:${sequence}`);
    assert.equal((await short.find({ request_id: 'a' })).position, `${origin}:3`);
    assert.equal((await short.find({ request_id: 'c' })).position, `${origin}:4`);
    await assert.rejects(short.find({ request_id: 'b' }), refused('unknown_event', /the newest 2 writes/));
    // Of a real write.
    const accepted = await cluster.clock.run(
      cluster.router.forwarding.submit({
        ...{ writes: [write], bytes: 10, atomic: false, durability: 'local', requestId: 'request-1' },
      }),
    );
    cluster.router.trace.accepted('request-1', accepted.position);
    assert.equal((await trace({ request_id: 'request-1' })).position, accepted.position);
  });
});
