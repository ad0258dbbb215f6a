/** The lease of drills: one at a time, extended by its holder, ended by anyone, visible in the status. */
import assert from 'node:assert/strict';
import { Refusal } from '../../../../shared/errors/errors.ts';
import { DRILL_KEY } from '../../../../shared/leadership/leadership.ts';
import { Unproven } from '../../../../shared/stream/stream.ts';
import { type ManualClock, settle } from '../../../harness/kernel/manual-clock.ts';
import { type MemoryCluster, memoryCluster } from '../../../harness/router/memory-cluster.ts';

const mine = { id: 'aaaaaaaa', title: 'A drill' };
const theirs = { id: 'bbbbbbbb', title: 'Another' };

describe('the lease of drills', () => {
  let cluster: MemoryCluster<ManualClock>;
  beforeEach(async () => {
    cluster = memoryCluster();
    cluster.router.start();
    await settle();
  });
  afterEach(async () => {
    cluster.router.drain();
    await cluster.clock.run(cluster.router.close());
  });
  const hold = (drill: typeof mine) => cluster.clock.run(cluster.router.drillLease.hold(drill));
  const current = () => cluster.clock.run(cluster.router.drillLease.current());
  const end = (id: string) => cluster.clock.run(cluster.router.drillLease.end(id));
  const stop = () => cluster.clock.run(cluster.router.drillLease.stop());
  const refusal = async (promise: Promise<unknown>): Promise<Refusal> => {
    const error = await promise.then(
      () => assert.fail('it was not refused'),
      (thrown: unknown) => thrown,
    );
    assert.ok(error instanceof Refusal, String(error));
    return error;
  };

  it('one drill has it, extends it, and ends it', async () => {
    assert.equal(await current(), undefined);
    const { started_at, expires_at } = await hold(mine);
    assert.equal(Date.parse(expires_at) - Date.parse(started_at), 30_000);
    const { code, message, extras } = await refusal(hold(theirs));
    assert.deepEqual([code, /"A drill" is in progress/.test(message)], ['drill_in_progress', true]);
    assert.match(extras.hint!, /tidal drill stop/);
    await cluster.clock.advance(20_000);
    const extended = await hold(mine);
    assert.equal(extended.started_at, started_at);
    assert.ok(extended.expires_at > expires_at);
    assert.deepEqual(await current(), extended);
    await end(theirs.id);
    assert.deepEqual(await current(), extended, 'the end of another drill changes nothing');
    await end(mine.id);
    await end(mine.id);
    assert.equal(await current(), undefined);
    assert.equal((await refusal(hold(mine))).code, 'drill_ended');
    assert.equal((await hold(theirs)).title, 'Another');
  });

  it('it expires when its holder is dead; a holder that was only slow extends it unless another has it', async () => {
    await hold(mine);
    await cluster.clock.advance(30_000);
    assert.equal(await current(), undefined);
    await hold(mine);
    await cluster.clock.advance(30_000);
    await hold(theirs);
    assert.equal((await refusal(hold(mine))).code, 'drill_in_progress');
  });

  it('stop ends any drill and heals every region', async () => {
    await hold(mine);
    await cluster.clock.run(cluster.router.drills.partition('ap-south'));
    assert.deepEqual(await stop(), { ended: mine, healed: ['ap-south'], not_reached: [] });
    assert.equal(cluster.apSouth.isCut, false);
    assert.equal((await refusal(hold(mine))).code, 'drill_ended', 'its program learns of it');
    assert.deepEqual(await stop(), { ended: null, healed: [], not_reached: [] });
    cluster.apSouth.state = 'not_sent';
    assert.deepEqual(await stop(), { ended: null, healed: [], not_reached: ['ap-south'] });
  });

  it('stop heals without the control bucket too, and then says that the lease could not be ended', async () => {
    await hold(mine);
    await cluster.clock.run(cluster.router.drills.partition('ap-south'));
    cluster.keys.away = true;
    const { code, extras } = await refusal(stop());
    assert.deepEqual([code, /control bucket/.test(extras.hint!)], ['control_unavailable', true]);
    assert.equal(cluster.apSouth.isCut, false);
    assert.equal((await current())?.title, 'A drill', 'as last known');
    cluster.keys.away = false;
    assert.deepEqual((await stop()).ended, mine);
  });

  it('a value that no router of this cluster wrote is no drill, and is overwritten', async () => {
    const key = cluster.keys.key(DRILL_KEY);
    const value = { ...mine, startedMs: 0, expiresMs: cluster.clock.nowMs() + 10_000, ended: false };
    for (const other of [
      null,
      7,
      {},
      { ...value, id: 3 },
      { ...value, title: '\u001b[2J' },
      new Unproven('has no MAC', value),
    ]) {
      key.put(other);
      assert.equal(await current(), undefined, JSON.stringify(other));
      const { status } = await cluster.clock.run(cluster.router.reports.health());
      assert.equal(status, 'ok', 'it decides nothing');
      assert.equal((await hold(theirs)).title, 'Another');
    }
  });

  it('of two routers that take it at the same time one gets it', async () => {
    const key = cluster.keys.key(DRILL_KEY);
    const create = key.create.bind(key);
    key.create = async (value) => {
      await create({ ...theirs, startedMs: 0, expiresMs: cluster.clock.nowMs() + 10_000, ended: false });
      return create(value);
    };
    assert.equal((await refusal(hold(mine))).code, 'drill_in_progress');
  });
});
