/** Events from the future are taken out of a stopped region's state, and the other regions take that state over. */
import assert from 'node:assert/strict';
import { mendStore } from '../../../../deploy/mend/mend-store.ts';
import { logAheadMs } from '../../../../services/region/clocks/clocks.ts';
import { compareMended, mendedOf } from '../../../../services/region/mended/mended.ts';
import { takeDirectory } from '../../../../services/region/region-directory.ts';
import { checkLog } from '../../../../services/region/snapshot/check-log.ts';
import { obstacleOf } from '../../../../services/region/snapshot/merge.ts';
import type { Store } from '../../../../services/region/store/store.ts';
import { openLog } from '../../../../services/region/wal/log.ts';
import { ManualClock } from '../../../harness/kernel/manual-clock.ts';
import { seededRandom } from '../../../harness/kernel/seeded-random.ts';
import { silentLog } from '../../../harness/observe/silent-log.ts';
import { CoreRegion, item, testSchema, view, views } from '../../../harness/region/core-region.ts';
import { MemoryBroker } from '../../../harness/stream/memory-stream.ts';

const AHEAD_MS = 30 * 86_400_000;
const random = seededRandom(1);

/** A leader whose log has three views of 1 and an item 2 from the future, and five views of 1 from now. */
async function touched() {
  const clock = new ManualClock();
  const broker = new MemoryBroker({ clock });
  const setup = broker.connect('setup');
  await clock.settle();
  await setup.control.create({ leader: 'us-east', epoch: 1, nonce: 'first' });
  const region = new CoreRegion({ region: 'us-east', clock, broker }).start();
  await clock.until('it leads', () => 'epoch' in region.role.gate(1));
  const key = (name: string) => ({
    id: Buffer.alloc(16, name).toString('base64url'),
    bodyHash: Buffer.alloc(8, 1).toString('base64url'),
  });
  const write = (...bodies: Parameters<CoreRegion['write']>[0][]) =>
    Promise.all(bodies.map((one) => clock.run(region.write(one))));
  await write([view(3), { ...view(3), key: key('a') } as never]);
  clock.stepWall(AHEAD_MS);
  await write(views(3), [item(2, 'two')], [{ ...view(1), key: key('b') } as never]);
  clock.stepWall(-AHEAD_MS);
  await write(views(5));
  const mend = (upToMs = clock.nowMs(), store = region.store) =>
    mendStore({ store, clock, random, log: silentLog, schema: testSchema, upToMs });
  return { clock, broker, region, mend };
}

describe('mending events from the future', () => {
  it('later events are in its windows again, sums of all time stay, and a restart changes nothing', async () => {
    const { clock, region, mend } = await touched();
    assert.deepEqual(region.ledger.read(1, 'view', clock.nowMs())!.sums, { '1h': 0, '24h': 0, '7d': 0, all: 9 });
    const quiet = region.ledger.read(3, 'view', clock.nowMs());
    await region.stop();
    const report = await mend();
    assert.deepEqual([report.pairs, report.items], [1, 1]);
    // The other regions take it over as a snapshot, which they check.
    await clock.run(checkLog(clock, openLog({ store: region.store })));
    const again = region.crash('kept');
    const nowMs = clock.nowMs();
    assert.equal(again.ledger.read(1, 'view', nowMs)!.sums.all, 9);
    assert.equal(again.ledger.read(1, 'view', nowMs)!.count, 9);
    assert.ok(again.ledger.read(1, 'view', nowMs)!.decayed! < 1e-6, 'decay has forgotten them');
    assert.deepEqual(again.ledger.read(3, 'view', nowMs), quiet);
    assert.ok(again.catalog.item(2)!.createdMs <= nowMs && again.catalog.item(2)!.updatedMs <= nowMs);
    assert.equal(logAheadMs(again.wal, nowMs), 0, 'the alert ends');
    again.start();
    await clock.until('it leads', () => 'epoch' in again.role.gate(1));
    await clock.run(again.write(views(2)));
    const { sums } = again.ledger.read(1, 'view', clock.nowMs())!;
    assert.deepEqual(sums, { '1h': 2, '24h': 2, '7d': 2, all: 11 });
    assert.equal(again.crash().digest(), again.digest());
  });

  it('two regions that apply the same log on the mended state are the same, bit for bit', async () => {
    const { clock, region, mend } = await touched();
    await region.stop();
    await mend();
    const one = region.crash('kept').start();
    await clock.until('it leads', () => 'epoch' in one.role.gate(1));
    const other = one.crash('kept');
    const leader = other.start();
    await clock.until('it leads again', () => 'epoch' in leader.role.gate(1));
    await clock.run(leader.write([view(1), item(2, 'new'), view(3)]));
    assert.equal(leader.crash().digest(), leader.digest());
  });

  it('done twice with the same time it is the same; interrupted, the region does not start before it was run again', async () => {
    const { clock, region, mend } = await touched();
    await region.stop();
    const { upToMs } = await mend();
    const once = region.crash('kept');
    const digest = once.digest();
    const { wal } = once;
    await wal.storeMark('mending', { upToMs });
    const directory = {
      wal,
      region: 'us-east',
      random,
      log: silentLog,
      schema: testSchema,
      schemaFile: 'schema.yaml',
      alone: true,
    };
    await assert.rejects(takeDirectory(directory), /interrupted: run it again/);
    const second = await mend(clock.nowMs() + 999, once.store);
    assert.equal(second.upToMs, upToMs, 'it goes on with the moment it began with');
    assert.deepEqual([second.pairs, second.items, second.mended], [0, 0, undefined]);
    assert.equal(once.crash('kept').digest(), digest);
  });

  it('interrupted at any step and run again, it ends in the same state', async () => {
    const { clock, region, mend } = await touched();
    await region.stop();
    const upToMs = clock.nowMs();
    let store = region.store.crash('kept');
    const digests = new Set<string>();
    for (const steps of [Number.POSITIVE_INFINITY, 1, 2, 100, 257, 258, 259, 260]) {
      const whole = store.crash('kept');
      store = whole.crash('kept');
      assert.equal(openLog({ store }).mark('mended'), undefined, 'each begins on the store as it was');
      let left = steps;
      const failing: Store = Object.create(store, {
        commit: {
          value: (work: Parameters<Store['commit']>[0]) => {
            if (left-- <= 0) throw new Error('the power is off');
            return store.commit(work);
          },
        },
      });
      await mend(upToMs, failing as never).catch(() => undefined);
      const after = new CoreRegion({ ...region.options, store: store.crash('kept') });
      await mend(upToMs + 1_000, after.store);
      digests.add(after.crash('kept').digest());
      store = whole.crash('kept');
    }
    assert.equal(digests.size, 1);
  });

  it('a damaged shard is not rebuilt from the log, which would bring the future back', async () => {
    const { region, mend } = await touched();
    await region.stop();
    await mend();
    await region.store.commit((transaction) => {
      const [row] = region.store.range('shards', { limit: 1 });
      transaction.put('shards', row!.key, Buffer.from('damaged'));
    });
    assert.throws(() => region.crash('kept'), {
      code: 'damaged_checkpoint',
      message: /the state cannot be rebuilt from the log alone/,
    });
  });

  it('a copy of before the mend does not replace the mended store', async () => {
    const { region, mend } = await touched();
    await region.stop();
    const former = region.store.crash('kept');
    const copy = openLog({ store: former });
    const store = former.crash('kept');
    await mend(undefined, store);
    const mine = openLog({ store });
    assert.match(String(obstacleOf(mine, copy)), /before the state here was mended/);
    assert.equal(obstacleOf(copy, mine), undefined, 'the mended one takes the place of the other');
  });

  it('of two mends every region chooses the same one', () => {
    const mended = (count: number, id: string) => mendedOf({ count, id, future: {} });
    assert.ok(compareMended(mended(1, 'a'), undefined) > 0);
    assert.ok(compareMended(mended(2, 'a'), mended(1, 'b')) > 0);
    assert.ok(compareMended(mended(1, 'a'), mended(1, 'b')) < 0);
    assert.equal(compareMended(mended(1, 'a'), mended(1, 'a')), 0);
    assert.equal(mendedOf('garbage'), undefined);
  });
});
