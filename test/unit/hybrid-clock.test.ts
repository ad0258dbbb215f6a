import assert from 'node:assert/strict';
import { HybridClock } from '../../services/region/intake/hybrid-clock.ts';
import { HLC_PER_MS, hlcMs } from '../../shared/protocol/events.ts';
import { ManualClock } from '../harness/manual-clock.ts';

describe('hybrid clock', () => {
  it('begins above the highest value of the log, however far the wall clock is behind (schedule 12)', () => {
    const clock = new ManualClock(1_000_000);
    const highest = 2_000_000 * HLC_PER_MS + 5;
    const hlc = new HybridClock(clock, highest);
    assert.equal(hlc.next(), highest + 1);
  });

  it('goes on when the wall clock steps back', async () => {
    const clock = new ManualClock();
    const hlc = new HybridClock(clock, 0);
    const before = hlc.next();
    clock.stepWall(-30_000);
    assert.equal(hlc.next(), before + 1);
    await clock.advance(31_000);
    assert.ok(hlcMs(hlc.next()) > hlcMs(before));
  });

  it('a full counter carries into the next millisecond', () => {
    const clock = new ManualClock();
    const hlc = new HybridClock(clock, 0);
    const values = Array.from({ length: 3 * HLC_PER_MS }, () => hlc.next());
    assert.equal(hlcMs(values[HLC_PER_MS - 1]!), clock.nowMs());
    assert.equal(hlcMs(values[HLC_PER_MS]!), clock.nowMs() + 1);
    assert.equal(new Set(values).size, values.length);
  });

  it('a value met in the log is never given again', () => {
    const clock = new ManualClock();
    const hlc = new HybridClock(clock, 0);
    const met = hlc.next() + 1_000_000;
    hlc.observe(met);
    hlc.observe(5);
    assert.equal(hlc.next(), met + 1);
  });
});
