import assert from 'node:assert/strict';
import { chooseRecord, MAJORITY_AFTER_MS } from '../../services/router/cluster/bootstrap.ts';
import type { Leadership } from '../../shared/protocol/leadership.ts';
import { type ManualClock, settle } from '../harness/manual-clock.ts';
import { type MemoryCluster, memoryCluster, topology } from '../harness/memory-cluster.ts';

const led = (leader: string, epoch: number): Leadership => ({ leader, epoch, nonce: `${leader}${epoch}` });

describe('who leads when the key is missing', () => {
  const choose = (
    answers: Record<string, Leadership | 'never'>,
    missingForMs = 0,
    remembered: Leadership | undefined = undefined,
    loggedEpoch = 0,
  ) => chooseRecord({ topology, answers: new Map(Object.entries(answers)), remembered, loggedEpoch, missingForMs });

  it('the topology decides only when nobody ever saw a record', () => {
    assert.deepEqual(choose({ 'us-east': 'never', 'eu-west': 'never', 'ap-south': 'never' }), {
      leader: 'us-east',
      epoch: 1,
    });
  });

  it('a silent region is waited for, a majority is enough after 30 s, a minority never', () => {
    const two = { 'us-east': 'never', 'eu-west': 'never' } as const;
    assert.equal(choose(two, MAJORITY_AFTER_MS - 1), undefined);
    assert.deepEqual(choose(two, MAJORITY_AFTER_MS), { leader: 'us-east', epoch: 1 });
    assert.equal(choose({ 'us-east': 'never' }, 10 * MAJORITY_AFTER_MS), undefined);
    assert.equal(choose({}, 10 * MAJORITY_AFTER_MS), undefined);
  });

  it('otherwise the highest record leads on, with room for what silent regions may know', () => {
    const all = { 'us-east': led('us-east', 3), 'eu-west': led('eu-west', 4), 'ap-south': 'never' } as const;
    assert.deepEqual(choose(all), { leader: 'eu-west', epoch: 5 });
    assert.deepEqual(choose({ 'us-east': led('us-east', 3) }), { leader: 'us-east', epoch: 1_004 });
    assert.deepEqual(choose({}, 0, led('ap-south', 7)), { leader: 'ap-south', epoch: 1_008 });
  });

  it('an epoch that has an origin in some log is not given again, though nobody has its record any more', () => {
    const all = { 'us-east': led('us-east', 1), 'eu-west': 'never', 'ap-south': led('us-east', 1) } as const;
    assert.deepEqual(choose(all, 0, undefined, 2), { leader: 'us-east', epoch: 3 });
    const never = { 'us-east': 'never', 'eu-west': 'never', 'ap-south': 'never' } as const;
    assert.deepEqual(choose(never, 0, undefined, 2), { leader: 'us-east', epoch: 3 });
    assert.deepEqual(choose({}, MAJORITY_AFTER_MS, undefined, 2), undefined);
  });
});

describe('following the leadership', () => {
  let cluster: MemoryCluster<ManualClock>;
  const record = () => cluster.control.entry?.value as Leadership | undefined;
  const begin = (options = {}): void => {
    cluster = memoryCluster(options);
  };
  const start = async (): Promise<void> => {
    cluster.router.start();
    await settle();
  };
  afterEach(async () => {
    cluster.router.drain();
    await cluster.clock.run(cluster.router.close());
  });

  it('creates epoch 1 in a new cluster', async () => {
    begin({ led: false });
    await start();
    assert.equal(record()?.epoch, 1);
    assert.equal(cluster.router.leadership.current?.leader, 'us-east');
  });

  it('waits for a silent region of a new cluster', async () => {
    begin({ led: false });
    cluster.apSouth.state = 'not_sent';
    await start();
    await cluster.clock.advance(5_000);
    assert.equal(record(), undefined);
    cluster.apSouth.state = 'up';
    await cluster.clock.advance(1_100);
    assert.equal(record()?.epoch, 1);
  });

  it('a lost NATS volume does not bring the first leader back', async () => {
    begin({ led: false });
    for (const region of cluster.regions.values()) region.remembered = led('eu-west', 6);
    await start();
    assert.deepEqual([record()?.leader, record()?.epoch], ['eu-west', 7]);
  });

  it('of two routers that bootstrap one wins and the other follows', async () => {
    begin({ led: false });
    const { control } = cluster;
    const create = control.create.bind(control);
    control.create = (value) => {
      control.put(led('us-east', 1));
      return create(value);
    };
    await start();
    await cluster.clock.advance(1_100);
    assert.equal(record()?.nonce, 'us-east1');
    assert.equal(cluster.router.leadership.current?.nonce, 'us-east1');
  });

  it('an older copy of the key is put right from what the regions remember', async () => {
    begin();
    for (const region of cluster.regions.values()) region.remembered = led('eu-west', 9);
    await start();
    await cluster.clock.advance(1_100);
    assert.deepEqual([record()?.leader, record()?.epoch], ['eu-west', 10]);
    assert.equal(cluster.router.leadership.current?.epoch, 10);
  });

  it('a record that is behind an origin in some log is put right, kept or made anew', async () => {
    for (const led of [true, false]) {
      begin({ led });
      for (const region of cluster.regions.values()) region.remembered = { leader: 'us-east', epoch: 1, nonce: 'old' };
      // It led epoch 2; its disk and the record went, and what it shipped is here.
      cluster.apSouth.newestEpoch = { epoch: 2, events: 9 };
      await start();
      await cluster.clock.advance(1_100);
      assert.deepEqual([record()?.leader, record()?.epoch], ['us-east', 3]);
      if (led) {
        cluster.router.drain();
        await cluster.clock.run(cluster.router.close());
      }
    }
  });

  it('an older copy is put right with room for what a silent region may know', async () => {
    begin();
    for (const region of cluster.regions.values()) region.remembered = led('eu-west', 9);
    await start();
    await cluster.clock.advance(1_100);
    cluster.control.put(led('us-east', 4));
    // It may have led epoch 11 by now: nobody else may accept in that one.
    cluster.apSouth.state = 'no_answer';
    await cluster.clock.advance(3_100);
    assert.deepEqual([record()?.leader, record()?.epoch], ['eu-west', 1_011]);
  });

  it('without the key it follows the highest record a region reports, never down', async () => {
    begin();
    cluster.control.away = true;
    cluster.euWest.remembered = led('eu-west', 3);
    cluster.usEast.remembered = led('us-east', 2);
    await start();
    await cluster.clock.advance(1_100);
    assert.equal(cluster.router.leadership.current?.leader, 'eu-west');
    assert.equal(cluster.router.leadership.controlAvailable, false);
    cluster.euWest.remembered = led('us-east', 2);
    await cluster.clock.advance(2_000);
    assert.equal(cluster.router.leadership.current?.epoch, 3);
  });

  it('the key wins over a record of the same epoch with another nonce', async () => {
    begin();
    await start();
    cluster.control.put({ leader: 'ap-south', epoch: 1, nonce: 'other' });
    await cluster.clock.advance(1_100);
    assert.equal(cluster.router.leadership.current?.leader, 'ap-south');
  });
});
