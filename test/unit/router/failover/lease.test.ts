/** The lease: one of several routers, judged by each one's own monotonic clock. */
import assert from 'node:assert/strict';
import { Lease } from '../../../../services/router/failover/lease.ts';
import { RefusedValues } from '../../../../shared/leadership/refused-values.ts';
import { ManualClock } from '../../../harness/kernel/manual-clock.ts';
import { silentLog } from '../../../harness/observe/silent-log.ts';
import { MemoryControl } from '../../../harness/stream/memory-control.ts';

function rig() {
  const clock = new ManualClock();
  const key = new MemoryControl();
  let refused = 0;
  const refusals = new RefusedValues({ clock, log: silentLog, count: () => void refused++ });
  const lease = (holder: string) => new Lease({ key, holder, clock, log: silentLog, refusals });
  return { clock, key, refused: () => refused, one: lease('one'), two: lease('two') };
}

describe('the failover lease', () => {
  it('a value that names no holder is no lease: it is written over at once, and counted', async () => {
    for (const value of [undefined, null, 7, {}, { holder: 7 }, { holder: '' }, { holder: 'x'.repeat(1_000) }]) {
      const { clock, key, one, refused } = rig();
      key.put(value);
      one.start();
      await clock.settle();
      assert.deepEqual([one.held, refused()], [true, 1]);
      await one.stop();
    }
  });

  it('has one holder, and keeps it while it is renewed', async () => {
    const { clock, one, two } = rig();
    one.start();
    await clock.settle();
    two.start();
    for (let second = 0; second < 20; second += 1) {
      await clock.advance(1_000);
      assert.deepEqual([one.held, two.held], [true, false]);
    }
    await Promise.all([one.stop(), two.stop()]);
    assert.equal(clock.pending, 0);
  });

  it('is taken over 5 s after its holder died, never while it counts itself as the holder', async () => {
    const { clock, one, two } = rig();
    one.start();
    two.start();
    await clock.advance(3_000);
    assert.equal(one.held, true);
    void one.stop();
    await clock.settle();
    const diedMs = clock.monotonicMs();
    await clock.until('the other holds it', () => two.held, 10_000);
    const tookMs = clock.monotonicMs() - diedMs;
    assert.ok(tookMs > 4_000 && tookMs <= 7_000, String(tookMs));
    await two.stop();
  });

  it('a holder that cannot renew stops acting before another may take over', async () => {
    const { clock, key, one } = rig();
    one.start();
    await clock.advance(2_500);
    key.away = true;
    await clock.advance(4_000);
    assert.equal(one.held, false);
    key.away = false;
    await clock.advance(1_000);
    assert.equal(one.held, true, 'nobody else took it');
    await one.stop();
  });

  it('a renewal whose answer is lost does not count, and the next one does', async () => {
    const { clock, key, one } = rig();
    key.failures = ['acknowledgement_lost'];
    one.start();
    await clock.settle();
    assert.equal(one.held, false);
    await clock.advance(1_000);
    assert.equal(one.held, true);
    await one.stop();
  });

  it('of two that take over an expired one at once, one gets it', async () => {
    const { clock, key, one, two } = rig();
    key.put({ holder: 'dead' });
    one.start();
    two.start();
    await clock.advance(4_000);
    assert.deepEqual([one.held, two.held], [false, false]);
    await clock.advance(3_000);
    assert.equal([one.held, two.held].filter(Boolean).length, 1);
    await Promise.all([one.stop(), two.stop()]);
  });

  it('a time away from the key begins the wait for another holder anew', async () => {
    const { clock, key, one } = rig();
    key.put({ holder: 'other' });
    one.start();
    await clock.advance(4_000);
    key.away = true;
    await clock.advance(30_000);
    key.away = false;
    await clock.advance(4_000);
    assert.equal(one.held, false);
    await clock.advance(3_000);
    assert.equal(one.held, true);
    await one.stop();
  });
});
