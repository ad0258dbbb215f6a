/** A process that was paused for more than a second notices it, by its own timer or when it is asked. */
import assert from 'node:assert/strict';
import { StallWatch } from '../../../../services/region/leadership/stall-watch.ts';
import { ManualClock } from '../../../harness/kernel/manual-clock.ts';

function rig() {
  const clock = new ManualClock();
  const stalls: number[] = [];
  const watch = new StallWatch({ clock, onStall: (stoodMs) => stalls.push(stoodMs) });
  watch.start();
  return { clock, stalls, watch };
}

describe('stall watch', () => {
  it('sees every pause of more than a second, once, whenever it began', async () => {
    for (const beforeMs of [1, 250, 499]) {
      const { clock, stalls, watch } = rig();
      await clock.advance(10_000 + beforeMs);
      clock.stand(1_001);
      await clock.advance(5_000);
      assert.equal(stalls.length, 1);
      assert.ok(stalls[0]! > 1_000 && stalls[0]! <= 1_501);
      await watch.stop();
      assert.equal(clock.pending, 0);
    }
  });

  it('when it is asked before its timer ran, it says so at once', async () => {
    const { clock, stalls, watch } = rig();
    await clock.advance(10_000);
    clock.stand(3_000);
    watch.check();
    assert.equal(stalls.length, 1);
    await clock.advance(5_000);
    assert.equal(stalls.length, 1, 'and not again');
    await watch.stop();
  });

  it('a pause of less than half a second is none, and before its start nothing is', async () => {
    const { clock, stalls, watch } = rig();
    for (let count = 0; count < 20; count++) {
      await clock.advance(100);
      clock.stand(400);
    }
    assert.deepEqual(stalls, []);
    await watch.stop();
    const idle = new StallWatch({ clock, onStall: () => assert.fail('it does not run') });
    clock.stand(60_000);
    idle.check();
    clock.stand(60_000);
    idle.check();
  });
});
