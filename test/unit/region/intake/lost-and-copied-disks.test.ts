/** Disks that lost their end, were restored, copied or shared: no sequence ever names two events. */
import assert from 'node:assert/strict';
import { decodeBatch } from '../../../../services/region/batch/batch.ts';
import { createGroupCommit } from '../../../../services/region/intake/group-commit.ts';
import { createRegisters } from '../../../../services/region/state/catalog/registers.ts';
import { openLog } from '../../../../services/region/wal/log.ts';
import { randomName } from '../../../../shared/kernel/kernel.ts';
import { systemRandom } from '../../../../shared/kernel/system.ts';
import { isRefused } from '../../../../shared/protocol/internal.ts';
import { ManualClock } from '../../../harness/kernel/manual-clock.ts';
import { seededRandom } from '../../../harness/kernel/seeded-random.ts';
import { unreadMetrics } from '../../../harness/observe/counted-metrics.ts';
import { silentLog } from '../../../harness/observe/silent-log.ts';
import { CoreCluster } from '../../../harness/region/core-cluster.ts';
import { CoreRegion, testSchema, view } from '../../../harness/region/core-region.ts';
import { MemoryStore } from '../../../harness/region/store/memory-store.ts';
import { names } from '../../../harness/router/memory-cluster.ts';

/** Writes a view of each entity, one after another; remembers the event of each acknowledged position. */
async function write(cluster: CoreCluster, region: CoreRegion, entities: readonly number[], told: Map<string, number>) {
  for (const entity of entities) {
    const { results } = await cluster.clock.run(region.write([view(entity)]));
    const [result] = results;
    assert.ok(result !== undefined && !isRefused(result), JSON.stringify(result));
    assert.equal(told.has(result.position), false, `${result.position} names two events`);
    told.set(result.position, entity);
  }
}

/** Every acknowledged position names that event, in every region. */
function judge(cluster: CoreCluster, told: ReadonlyMap<string, number>): void {
  for (const name of names) {
    const { wal } = cluster.region(name);
    for (const [position, entity] of told) {
      const [origin, sequence] = position.split(':') as [string, string];
      const [bytes] = wal.read(origin, Number(sequence), 1);
      assert.ok(bytes !== undefined, `${name} has nothing at ${position}`);
      const batch = decodeBatch(bytes);
      assert.equal(batch.events[Number(sequence) - batch.first]?.entity, entity, `${name} at ${position}`);
      assert.equal(cluster.count(entity), 1);
    }
  }
}

const leads = (region: CoreRegion) => (): boolean => 'epoch' in region.role.gate(region.role.leadership?.epoch ?? 1);

describe('lost and copied disks', () => {
  it('a batch was shipped and the disk lost it in a power failure: what is accepted next has another name (schedule 4 i)', async () => {
    const cluster = await CoreCluster.start();
    const told = new Map<string, number>();
    await write(cluster, cluster.region('us-east'), [1, 2, 3], told);
    const lied = cluster.region('us-east').store.backup();
    await write(cluster, cluster.region('us-east'), [4, 5], told);
    await cluster.converge();
    cluster.kill('us-east');
    const again = cluster.start('us-east', lied);
    await cluster.clock.until('it leads', leads(again));
    await write(cluster, again, [6], told);
    await cluster.converge();
    judge(cluster, told);
    assert.equal(again.wal.origins().length, 2);
  });

  it('an old backup is restored while stream and peers are away, and leads: nothing is appended to what it held (schedule 4 ii)', async () => {
    const cluster = await CoreCluster.start();
    const told = new Map<string, number>();
    await write(cluster, cluster.region('us-east'), [1, 2, 3], told);
    const backup = cluster.region('us-east').store.backup();
    await write(cluster, cluster.region('us-east'), [4, 5], told);
    await cluster.converge();
    for (const name of names) cluster.kill(name);
    const again = cluster.start('us-east', backup);
    // The key answers; nothing else does.
    await cluster.clock.run(again.setCut(true));
    await cluster.clock.until('it leads', leads(again));
    await write(cluster, again, [6, 7], told);
    cluster.start('eu-west');
    cluster.start('ap-south');
    await cluster.clock.advance(3_000);
    await cluster.clock.run(again.setCut(false));
    await cluster.converge();
    judge(cluster, told);
  });

  it('the clock is set back to the time of an earlier start: the name of an origin does not depend on a clock (schedule 4 iii)', async () => {
    const opened = async (clock: ManualClock, seed: number): Promise<string> => {
      const wal = openLog({ store: new MemoryStore() });
      const random = seededRandom(seed);
      const intake = createGroupCommit({
        metrics: unreadMetrics,
        clock,
        random,
        log: silentLog,
        region: 'us-east',
        schema: testSchema,
        wal,
        apply: { async room() {}, async apply() {} } as never,
        ship: { notify() {}, healthy: false, acknowledged: () => 0, confirmed: async () => false } as never,
        items: createRegisters(),
        gate: () => ({ epoch: 1 }),
        queueLimit: 10,
        queueLimitBytes: 64 * 1024 * 1024,
        onFatal: (error) => assert.fail(String(error)),
      });
      await clock.run(intake.submit({ epoch: 1, atomic: false, durability: 'local', bodies: [view(1)] }));
      return wal.origins()[0]!.origin;
    };
    const [clock, later] = [new ManualClock(), new ManualClock()];
    await later.advance(1_000);
    assert.equal(await opened(clock, 5), await opened(later, 5), 'only chance is in it');
    assert.notEqual(await opened(clock, 5), await opened(clock, 6));
    const drawn = new Set(Array.from({ length: 10_000 }, () => randomName(systemRandom, 13)));
    assert.equal(drawn.size, 10_000);
    assert.match([...drawn][0]!, /^[a-z2-7]{13}$/);
  });

  it('two processes on one directory: each writes under its own name, and who meets the other’s batch ends (schedule 4 iv)', async () => {
    const cluster = await CoreCluster.start();
    const told = new Map<string, number>();
    const one = cluster.region('us-east');
    await write(cluster, one, [1], told);
    const others = names.filter((name) => name !== 'us-east');
    const two = new CoreRegion({ ...one.options, store: one.store }, others);
    two.meet(...others.map((name) => cluster.region(name)));
    two.start();
    await cluster.clock.until('it leads as well', leads(two));
    await write(cluster, two, [2, 3], told);
    await cluster.clock.until('one of them has ended', () => one.fatal.length + two.fatal.length > 0, 60_000);
    await cluster.clock.run(two.stop());
    cluster.all.splice(cluster.all.indexOf(one), 1);
    cluster.kill('us-east');
    const again = cluster.start('us-east');
    await cluster.clock.until('it leads', leads(again));
    await write(cluster, again, [4], told);
    await cluster.converge();
    judge(cluster, told);
  });

  it('a disk is cloned and both start: both accept, under different names, and all regions get both (schedule 4 v)', async () => {
    const cluster = await CoreCluster.start();
    const told = new Map<string, number>();
    const one = cluster.region('us-east');
    await write(cluster, one, [1], told);
    const others = names.filter((name) => name !== 'us-east');
    const clone = new CoreRegion({ ...one.options, store: one.store.backup() }, others);
    clone.meet(...others.map((name) => cluster.region(name)));
    clone.start();
    await cluster.clock.until('it leads as well', leads(clone));
    for (const entity of [2, 4, 6]) {
      await write(cluster, one, [entity], told);
      await write(cluster, clone, [entity + 1], told);
    }
    await cluster.clock.until('the clone has everything', () => clone.applied === one.applied);
    // What the other process shipped is looked for in the stream once a minute.
    await cluster.converge(120_000);
    assert.equal(clone.digest(), one.digest());
    judge(cluster, told);
    assert.deepEqual(clone.fatal, []);
  });
});
