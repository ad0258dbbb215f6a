import assert from 'node:assert/strict';
import { chooseRecord, MAJORITY_AFTER_MS } from '../../../../services/router/cluster/bootstrap.ts';
import type { Leadership } from '../../../../shared/leadership/leadership.ts';
import { type ManualClock, settle } from '../../../harness/kernel/manual-clock.ts';
import { type MemoryCluster, memoryCluster, topology } from '../../../harness/router/memory-cluster.ts';

const led = (leader: string, epoch: number): Leadership => ({ leader, epoch, nonce: `${leader}${epoch}` });

describe('who leads when the key is missing', () => {
  const choose = (
    answers: Record<string, Leadership | 'never'>,
    missingForMs = 0,
    remembered: Leadership | undefined = undefined,
    loggedEpoch = 0,
  ) => chooseRecord({ topology, answers: new Map(Object.entries(answers)), remembered, loggedEpoch, missingForMs });

  it('the topology decides only if no region ever saw a record', () => {
    assert.deepEqual(choose({ 'us-east': 'never', 'eu-west': 'never', 'ap-south': 'never' }), {
      leader: 'us-east',
      epoch: 1,
    });
  });

  it('an unresponsive region is waited for, a majority is enough after 30 s, a minority never', () => {
    const two = { 'us-east': 'never', 'eu-west': 'never' } as const;
    assert.equal(choose(two, MAJORITY_AFTER_MS - 1), undefined);
    assert.deepEqual(choose(two, MAJORITY_AFTER_MS), { leader: 'us-east', epoch: 1 });
    assert.equal(choose({ 'us-east': 'never' }, 10 * MAJORITY_AFTER_MS), undefined);
    assert.equal(choose({}, 10 * MAJORITY_AFTER_MS), undefined);
  });

  it('otherwise the highest record leads on, in an epoch that no unresponsive region knows of another leader', () => {
    const all = { 'us-east': led('us-east', 3), 'eu-west': led('eu-west', 4), 'ap-south': 'never' } as const;
    assert.deepEqual(choose(all), { leader: 'eu-west', epoch: 5 });
    assert.deepEqual(choose({ 'us-east': led('us-east', 3) }), { leader: 'us-east', epoch: 1_000 });
    assert.deepEqual(choose({}, 0, led('ap-south', 7)), { leader: 'ap-south', epoch: 1_100 });
  });

  it('an epoch that has an origin in some log is not given again, though its record is lost', () => {
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

  it('waits for an unresponsive region of a new cluster', async () => {
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

  it('an older copy of the key is corrected from the regions’ records', async () => {
    begin();
    for (const region of cluster.regions.values()) region.remembered = led('eu-west', 9);
    await start();
    await cluster.clock.advance(1_100);
    assert.deepEqual([record()?.leader, record()?.epoch], ['eu-west', 10]);
    assert.equal(cluster.router.leadership.current?.epoch, 10);
  });

  it('a record that is behind an origin in some log is corrected, kept or recreated', async () => {
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

  it('an older copy is corrected with an epoch that no unresponsive region knows of another leader', async () => {
    begin();
    for (const region of cluster.regions.values()) region.remembered = led('eu-west', 9);
    await start();
    await cluster.clock.advance(1_100);
    cluster.control.put(led('us-east', 4));
    // It may have led epoch 11 by now: no other region may accept in that one.
    cluster.apSouth.state = 'no_answer';
    await cluster.clock.advance(3_100);
    assert.deepEqual([record()?.leader, record()?.epoch], ['eu-west', 1_050]);
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

  const hostile: [what: string, value: unknown, reason: RegExp][] = [
    ['a leader that is no region', { leader: 'nobody', epoch: 50, nonce: 'x' }, /"nobody" is no region/],
    ['no leader', { epoch: 50, nonce: 'x' }, /is no region/],
    ['a leader that is no text', { leader: ['us-east'], epoch: 50, nonce: 'x' }, /is no region/],
    ['the largest epoch', { leader: 'eu-west', epoch: Number.MAX_SAFE_INTEGER, nonce: 'z' }, /beyond 1000001/],
    ['an epoch just beyond the bound', { leader: 'eu-west', epoch: 1_000_002, nonce: 'z' }, /beyond 1000001/],
    ['an epoch beyond exact numbers', { leader: 'eu-west', epoch: 2 ** 60, nonce: 'z' }, /beyond/],
    ['an epoch that is no number', { leader: 'eu-west', epoch: '2', nonce: 'z' }, /not a number/],
    ['an epoch between two', { leader: 'eu-west', epoch: 1.5, nonce: 'z' }, /not a number/],
    ['epoch 0', { leader: 'eu-west', epoch: 0, nonce: 'z' }, /not a number/],
    ['no nonce', { leader: 'eu-west', epoch: 2 }, /nonce/],
    ['a nonce without end', { leader: 'eu-west', epoch: 2, nonce: 'z'.repeat(100_000) }, /nonce/],
    ['a handover to nobody', { leader: 'eu-west', epoch: 2, nonce: 'z', handover: { to: 'nobody', id: 'i' } }, /hand/],
    ['a handover of null', { leader: 'eu-west', epoch: 2, nonce: 'z', handover: null }, /handover/],
    ['a handover without id', { leader: 'eu-west', epoch: 2, nonce: 'z', handover: { to: 'us-east' } }, /id/],
    ['a handover to itself', { leader: 'eu-west', epoch: 2, nonce: 'z', handover: { to: 'eu-west', id: 'i' } }, /self/],
    ['null', null, /not an object/],
    ['a text', 'us-east', /not an object/],
    ['nothing', undefined, /not an object/],
  ];
  for (const [what, value, reason] of hostile) {
    it(`${what} in the key: it is refused, logged once, counted, named in the health, and the key is put right`, async () => {
      const lines: [message: string, fields: Record<string, unknown>][] = [];
      const note = (message: string, fields = {}): void => void lines.push([message, fields]);
      begin({ log: { debug() {}, info() {}, warn: note, error: note } });
      for (const region of cluster.regions.values()) await region.refreshLeadership();
      await start();
      for (const round of [1, 2]) {
        cluster.control.put(value);
        await cluster.clock.advance(2_100);
        assert.deepEqual([record()?.leader, record()?.epoch], ['us-east', 1], `round ${round}`);
        assert.equal(cluster.router.leadership.current?.leader, 'us-east');
      }
      const refused = lines.filter(([message]) => message === 'malformed value in the control bucket');
      assert.equal(refused.length, 1, JSON.stringify(refused));
      assert.match(String(refused[0]?.[1].reason), reason);
      const { text } = await cluster.metrics.render();
      assert.ok(Number(/^tidal_router_control_values_refused_total\S* (\d+)/m.exec(text)?.[1]) >= 2);
      const health = () => cluster.clock.run(cluster.router.reports.health());
      assert.ok((await health()).notes.some((line) => line.includes('the leadership key') && reason.test(line)));
      await cluster.clock.advance(61_000);
      assert.deepEqual((await health()).notes, []);
      assert.equal((await cluster.clock.run(cluster.router.promote({ region: 'eu-west', force: false }))).epoch, 2);
    });
  }

  it('garbage written again and again is answered ever more seldom, and named while it lasts', async () => {
    begin();
    for (const region of cluster.regions.values()) await region.refreshLeadership();
    await start();
    const changes: number[] = [];
    for (let second = 0; second < 300; second++) {
      const before = cluster.control.changes;
      await cluster.clock.advance(1_000);
      if (cluster.control.changes > before) {
        changes.push(second);
        cluster.control.put({ leader: 'nobody', epoch: 7, nonce: `${second}` });
      } else if (second === 0) cluster.control.put({ leader: 'nobody', epoch: 7, nonce: 'first' });
    }
    assert.ok(changes.length >= 8 && changes.length <= 16, `${changes.length} repairs in 300 s: ${changes}`);
    const health = await cluster.clock.run(cluster.router.reports.health());
    assert.equal(health.status, 'degraded');
    assert.ok(health.notes.some((line) => line.includes('"nobody" is no region of the topology')));
  });

  it('garbage in the key of a new cluster is as good as none', async () => {
    begin({ led: false });
    cluster.control.put({ hello: 'world' });
    await start();
    await cluster.clock.advance(1_100);
    assert.deepEqual([record()?.leader, record()?.epoch], ['us-east', 1]);
  });

  it('an implausible record or epoch of the log that a region reports is refused, and named with its region', async () => {
    begin();
    for (const region of cluster.regions.values()) await region.refreshLeadership();
    cluster.apSouth.newestEpoch = { epoch: Number.MAX_SAFE_INTEGER, events: 1 };
    await start();
    cluster.euWest.remembered = { leader: 'eu-west', epoch: Number.MAX_SAFE_INTEGER, nonce: 'z' };
    await cluster.clock.advance(5_000);
    assert.deepEqual([record()?.epoch, cluster.control.changes], [1, 0], 'nothing is put right by it');
    assert.equal(cluster.router.leadership.highestEpoch, 1);
    const { notes } = await cluster.clock.run(cluster.router.reports.health());
    assert.ok(
      notes.some((line) => /the record that eu-west reports is refused: epoch 9007199254740991/.test(line)),
      `${notes}`,
    );
    const answer = await cluster.clock.run(cluster.router.promote({ region: 'ap-south', force: true }));
    assert.equal(answer.epoch, 2);
  });

  it('a router that has just started judges by what most regions report, not by one forged or one old disk', async () => {
    for (const odd of [Number.MAX_SAFE_INTEGER - 2_000_000, 3]) {
      begin();
      const now = { leader: 'us-east', epoch: 2_000_000, nonce: 'now' };
      for (const region of cluster.regions.values()) region.remembered = now;
      cluster.apSouth.remembered = { leader: 'ap-south', epoch: odd, nonce: 'odd' };
      cluster.control.put(now);
      await start();
      await cluster.clock.advance(3_000);
      assert.deepEqual([cluster.router.leadership.current?.epoch, cluster.control.changes], [2_000_000, 0]);
      if (odd === 3) break;
      cluster.router.drain();
      await cluster.clock.run(cluster.router.close());
    }
  });

  it('the key wins over a record of the same epoch with another nonce', async () => {
    begin();
    await start();
    cluster.control.put({ leader: 'ap-south', epoch: 1, nonce: 'other' });
    await cluster.clock.advance(1_100);
    assert.equal(cluster.router.leadership.current?.leader, 'ap-south');
  });
});
