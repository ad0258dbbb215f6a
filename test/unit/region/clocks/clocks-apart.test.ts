/** Leaders whose clocks are apart, or step: an acknowledged write is not undone by an older one. */
import assert from 'node:assert/strict';
import type { ManualClock } from '../../../harness/kernel/manual-clock.ts';
import { CoreCluster } from '../../../harness/region/core-cluster.ts';
import { CoreRegion, item } from '../../../harness/region/core-region.ts';
import { MemoryStore } from '../../../harness/region/store/memory-store.ts';
import { names } from '../../../harness/router/memory-cluster.ts';

const MINUTE_MS = 60_000;

/** The same clock, whose wall shows another time. */
function apart(clock: ManualClock, offsetMs: number): ManualClock {
  return new Proxy(clock, {
    get(target, name) {
      if (name === 'nowMs') return () => target.nowMs() + offsetMs;
      const value: unknown = Reflect.get(target, name, target);
      return typeof value === 'function' ? value.bind(target) : value;
    },
  });
}

describe('clocks that are apart', () => {
  it('the old leader’s clock was five minutes ahead: what its successor acknowledged stays, also when the old tail returns (schedule 12)', async () => {
    const cluster = await CoreCluster.start();
    const { clock } = cluster;
    const router = await cluster.router();
    cluster.kill('us-east');
    const others = names.filter((name) => name !== 'us-east');
    const ahead = new CoreRegion(
      { ...cluster.region('us-east').options, clock: apart(clock, 5 * MINUTE_MS), store: new MemoryStore() },
      others,
    );
    for (const name of others) {
      ahead.meet(cluster.region(name));
      cluster.region(name).meet(ahead);
    }
    ahead.start();
    await clock.until('it leads', () => 'epoch' in ahead.role.gate(1));
    await clock.run(ahead.setCut(true));
    await clock.run(ahead.write([item(7, 'written at five past')]));
    await clock.run(router.service.promote({ region: 'eu-west', force: true }));
    await clock.advance(MINUTE_MS);
    await clock.run(router.submit([item(7, 'acknowledged at one past')]));
    await clock.run(ahead.setCut(false));
    const there = () => [ahead, ...others.map((name) => cluster.region(name))];
    await clock.until('all have both', () => new Set(there().map(({ applied }) => applied)).size === 1);
    assert.ok(ahead.applied.includes('us-east@') && ahead.applied.includes('eu-west@'));
    for (const region of there()) {
      assert.equal(region.catalog.item(7)?.metadata.title, 'acknowledged at one past');
      assert.equal(region.digest(), ahead.digest());
    }
  });

  it('the leader restarts after its clock stepped back: its new write wins over its own older one (schedule 12)', async () => {
    const cluster = await CoreCluster.start();
    const { clock } = cluster;
    const router = await cluster.router();
    await clock.run(router.submit([item(7, 'before')]));
    clock.stepWall(-30_000);
    cluster.kill('us-east');
    cluster.start('us-east');
    await clock.run(router.submit([item(7, 'after')]));
    await cluster.converge();
    for (const name of names) assert.equal(cluster.region(name).catalog.item(7)?.metadata.title, 'after');
  });

  it('two puts of one item in one batch: the second wins, in whatever way it reaches a region (schedule 12)', async () => {
    const cluster = await CoreCluster.start();
    const { clock } = cluster;
    await clock.run(cluster.region('us-east').write([item(7, 'first'), item(7, 'second')]));
    await cluster.converge();
    for (const name of names) {
      assert.equal(cluster.region(name).catalog.item(7)?.metadata.title, 'second');
      assert.equal(cluster.region(name).crash().catalog.item(7)?.metadata.title, 'second', 'and after a restart');
    }
  });
});
