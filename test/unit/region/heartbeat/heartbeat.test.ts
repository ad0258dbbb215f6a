/** The heartbeat: a key that changes every second while the process runs and reaches the bucket. */
import assert from 'node:assert/strict';
import { Heartbeat } from '../../../../services/region/heartbeat/heartbeat.ts';
import { parseAlive } from '../../../../shared/leadership/leadership.ts';
import type { ControlEntry } from '../../../../shared/stream/stream.ts';
import { ManualClock } from '../../../harness/kernel/manual-clock.ts';
import { silentLog } from '../../../harness/observe/silent-log.ts';
import { MemoryBroker } from '../../../harness/stream/memory-stream.ts';

async function rig() {
  const clock = new ManualClock();
  const broker = new MemoryBroker({ clock });
  const client = broker.connect('us-east');
  const router = broker.connect('router');
  await clock.settle();
  const state = { partitioned: false };
  const open = () =>
    new Heartbeat({
      clock,
      log: silentLog,
      region: 'us-east',
      key: client.keys('alive.us-east'),
      partitioned: () => state.partitioned,
    });
  const seen = router.keys('alive.us-east');
  const read = async (): Promise<ControlEntry> => {
    const entry = await seen.read();
    assert.notEqual(entry, 'missing');
    return entry as ControlEntry;
  };
  return { clock, broker, client, router, state, open, seen, read };
}

describe('heartbeat', () => {
  it('what is malformed, of another region or of no time is no heartbeat', () => {
    const good = { region: 'us-east', partitioned: false, clockMs: 7 };
    assert.deepEqual(parseAlive(good, 'us-east'), good);
    const bad = [null, 'us-east', { ...good, region: 'eu-west' }, { ...good, partitioned: 1 }];
    const times = ['7', -1, Number.NaN, Number.POSITIVE_INFINITY, 1e300].map((clockMs) => ({ ...good, clockMs }));
    for (const value of [...bad, ...times])
      assert.equal(parseAlive(value, 'us-east'), undefined, JSON.stringify(value));
  });

  it('rewrites its key every second, and leaves the leadership key alone', async () => {
    const it = await rig();
    const heart = it.open();
    heart.start();
    await it.clock.settle();
    const revisions = new Set<string>();
    for (let second = 0; second < 5; second += 1) {
      revisions.add((await it.read()).revision);
      await it.clock.advance(1_000);
    }
    assert.equal(revisions.size, 5);
    assert.equal(await it.router.control.read(), 'missing');
    await heart.stop();
    await it.broker.stop();
    assert.equal(it.clock.pending, 0);
  });

  it('does not change after the process has died, and continues after its restart', async () => {
    const it = await rig();
    const heart = it.open();
    heart.start();
    await it.clock.advance(2_500);
    await heart.stop();
    const { revision } = await it.read();
    await it.clock.advance(10_000);
    assert.equal((await it.read()).revision, revision);
    const again = it.open();
    again.start();
    await it.clock.settle();
    assert.notEqual((await it.read()).revision, revision);
    await again.stop();
    await it.broker.stop();
  });

  it('says that the region is partitioned', async () => {
    const it = await rig();
    const heart = it.open();
    heart.start();
    await it.clock.settle();
    const first = parseAlive((await it.read()).value, 'us-east');
    assert.deepEqual(first, { region: 'us-east', partitioned: false, clockMs: it.clock.nowMs() });
    it.state.partitioned = true;
    await it.clock.advance(1_000);
    assert.deepEqual(parseAlive((await it.read()).value, 'us-east'), {
      region: 'us-east',
      partitioned: true,
      clockMs: it.clock.nowMs(),
    });
    await heart.stop();
    await it.broker.stop();
  });

  it('continues by itself after an outage, a lost answer, a recreated bucket, and another writer', async () => {
    const it = await rig();
    const heart = it.open();
    heart.start();
    await it.clock.advance(1_500);
    const goesOn = async (what: string): Promise<void> => {
      const before = await it.seen.read();
      await it.clock.advance(4_000);
      assert.notDeepEqual(await it.read(), before, what);
    };
    it.client.controlAway = true;
    await it.clock.advance(5_000);
    it.client.controlAway = false;
    await goesOn('an outage');
    it.client.loseControlAnswer = true;
    await goesOn('a lost answer');
    await it.broker.deleteBucket();
    await goesOn('a bucket made anew');
    const { revision } = await it.read();
    await it.seen.update({ region: 'us-east', partitioned: false }, revision);
    await goesOn('another writer');
    await heart.stop();
    await it.broker.stop();
  });
});
