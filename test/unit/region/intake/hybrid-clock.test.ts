import assert from 'node:assert/strict';
import { AHEAD_IGNORED_MS, HybridClock } from '../../../../services/region/intake/hybrid-clock.ts';
import { HLC_LIMIT, HLC_PER_MS, hlcMs, TIME_LIMIT_MS } from '../../../../shared/protocol/events.ts';
import { ManualClock } from '../../../harness/kernel/manual-clock.ts';

const DAY_MS = 86_400_000;

function next(hlc: HybridClock, above = 0): number {
  const stamp = hlc.read(above);
  hlc.take(stamp, 1);
  return stamp.hlc;
}

describe('hybrid clock', () => {
  it('begins above the highest value of its epoch, however far the wall clock is behind (schedule 12)', () => {
    const hlc = new HybridClock(new ManualClock(1_000_000));
    const highest = 2_000_000 * HLC_PER_MS + 5;
    assert.equal(next(hlc, highest), highest + 1);
  });

  it('continues when the wall clock steps back', async () => {
    const clock = new ManualClock();
    const hlc = new HybridClock(clock);
    const before = next(hlc);
    clock.stepWall(-30_000);
    assert.equal(next(hlc), before + 1);
    await clock.advance(31_000);
    assert.ok(hlcMs(next(hlc)) > hlcMs(before));
  });

  it('a full counter carries into the next millisecond', () => {
    const clock = new ManualClock();
    const hlc = new HybridClock(clock);
    const values = Array.from({ length: 3 * HLC_PER_MS }, () => next(hlc));
    assert.equal(hlcMs(values[HLC_PER_MS - 1]!), clock.nowMs());
    assert.equal(hlcMs(values[HLC_PER_MS]!), clock.nowMs() + 1);
    assert.equal(new Set(values).size, values.length);
  });

  it('a value met in the log is never given again, and reading takes nothing', () => {
    const hlc = new HybridClock(new ManualClock());
    const met = next(hlc) + 1_000_000;
    assert.equal(hlc.read(met).hlc, met + 1);
    hlc.take(hlc.read(met), 10);
    assert.equal(next(hlc, 5), met + 11);
  });

  it('what is far ahead of the wall clock keeps the order, and the time is the wall clock’s', () => {
    const clock = new ManualClock();
    const hlc = new HybridClock(clock);
    clock.stepWall(30 * DAY_MS);
    const wrong = hlc.read(0);
    assert.deepEqual([wrong.aheadMs, wrong.atMs], [0, clock.nowMs()]);
    hlc.take(wrong, 5);
    clock.stepWall(-30 * DAY_MS);
    const right = hlc.read(0);
    assert.equal(right.hlc, wrong.hlc + 5);
    assert.deepEqual([right.aheadMs, right.atMs], [30 * DAY_MS, clock.nowMs()]);
  });

  it('a wall clock that was set back by no more than a second makes no batch say so', () => {
    const clock = new ManualClock();
    const hlc = new HybridClock(clock);
    const before = next(hlc);
    clock.stepWall(-AHEAD_IGNORED_MS);
    assert.deepEqual(hlc.read(0), { hlc: before + 1, aheadMs: 0, atMs: hlcMs(before) });
    clock.stepWall(-1);
    assert.deepEqual(hlc.read(0), { hlc: before + 1, aheadMs: AHEAD_IGNORED_MS + 1, atMs: clock.nowMs() });
  });

  it('nothing beyond what the log can be read at is given: refused, and nothing is taken', () => {
    const clock = new ManualClock(TIME_LIMIT_MS - 1);
    const hlc = new HybridClock(clock);
    assert.throws(() => hlc.take(hlc.read(0), 2 * HLC_PER_MS), {
      code: 'clock_unsafe',
      message: /beyond the year 2100/,
    });
    assert.equal(next(hlc), clock.nowMs() * HLC_PER_MS, 'nothing was taken');
    assert.equal(next(hlc, HLC_LIMIT - 1), HLC_LIMIT);
    assert.throws(() => next(hlc), { code: 'clock_unsafe' });
    clock.stepWall(400 * 365 * DAY_MS);
    assert.throws(() => next(new HybridClock(clock)), { code: 'clock_unsafe', message: /the clock of this region/ });
  });
});
