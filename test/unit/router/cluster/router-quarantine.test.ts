/** One command sets events aside in every region that answers, and returns those it did not reach. */
import assert from 'node:assert/strict';
import { Refusal } from '../../../../shared/errors/errors.ts';
import type { WireWrite } from '../../../../shared/protocol/writes.ts';
import { type ManualClock, settle } from '../../../harness/kernel/manual-clock.ts';
import { type MemoryCluster, memoryCluster } from '../../../harness/router/memory-cluster.ts';

const origin = 'us-east@aaaaaaaaaa';
const write: WireWrite = { k: 'd', e: 1 };
const range = { origin, first: 3, last: 4 };

describe('the quarantine of the cluster', () => {
  let cluster: MemoryCluster<ManualClock>;

  beforeEach(async () => {
    cluster = memoryCluster();
    cluster.router.start();
    await settle();
    for (let n = 0; n < 2; n++) cluster.usEast.accept(write);
  });

  afterEach(async () => {
    cluster.router.drain();
    await cluster.clock.run(cluster.router.close());
  });

  const add = () => cluster.clock.run(cluster.router.quarantine.add(range));
  const list = () => cluster.clock.run(cluster.router.quarantine.list());
  const holdUnapplied = (): void => {
    cluster.usEast.unapplied = new Map([[origin, 5]]);
  };
  const code = (expected: string) => (error: unknown) => error instanceof Refusal && error.code === expected;

  it('is sent to all, and those that did not answer are named; repeated it does the rest', async () => {
    holdUnapplied();
    cluster.apSouth.state = 'not_sent';
    const first = await add();
    assert.deepEqual(first.regions, ['us-east', 'eu-west']);
    assert.deepEqual(Object.keys(first.not_reached), ['ap-south']);
    assert.deepEqual(await list(), {
      regions: { 'us-east': [`${origin}:3-4`], 'eu-west': [`${origin}:3-4`] },
      same: null,
      not_reached: ['ap-south'],
    });
    cluster.apSouth.state = 'up';
    assert.equal((await list()).same, false);
    assert.deepEqual((await add()).regions, ['us-east', 'eu-west', 'ap-south']);
    assert.equal((await list()).same, true);
  });

  it('a region that refuses is named with its reason', async () => {
    holdUnapplied();
    cluster.euWest.setAside = () => {
      throw new Refusal('storage_full', 'no room');
    };
    const answer = await add();
    assert.deepEqual([answer.regions, answer.not_reached], [['us-east', 'ap-south'], { 'eu-west': 'no room' }]);
  });

  it('what a region has applied is not set aside anywhere, nor what no region holds', async () => {
    await assert.rejects(add(), code('unknown_event'));
    for (let n = 0; n < 3; n++) cluster.usEast.accept(write);
    await assert.rejects(add(), code('event_applied'));
    assert.deepEqual((await list()).regions, { 'us-east': [], 'eu-west': [], 'ap-south': [] });
  });

  it('verify says where the sets differ, and does not call that a divergence', async () => {
    holdUnapplied();
    cluster.apSouth.state = 'not_sent';
    await add();
    cluster.apSouth.state = 'up';
    const { converged, reason } = await cluster.clock.run(cluster.router.verify());
    assert.equal(converged, null);
    assert.match(reason ?? '', /ap-south: nothing/);
    await add();
    assert.equal((await cluster.clock.run(cluster.router.verify())).converged, true);
  });
});
