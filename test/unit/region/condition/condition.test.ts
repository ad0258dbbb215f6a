import assert from 'node:assert/strict';
import { Condition } from '../../../../services/region/condition/condition.ts';
import { sleep, within } from '../../../../shared/kernel/kernel.ts';
import { ManualClock } from '../../../harness/kernel/manual-clock.ts';

describe('condition', () => {
  it('what holds already is not waited for: a notify before the wait is not missed', async () => {
    const clock = new ManualClock();
    const condition = new Condition(clock);
    let ready = false;
    ready = true;
    condition.notify();
    assert.equal(await condition.until(() => ready, 1_000), true);
    assert.equal(clock.pending, 0);
  });

  it('every waiter looks again at each notify, and the limit ends the wait', async () => {
    const clock = new ManualClock();
    const condition = new Condition(clock);
    let level = 0;
    const answers = [1, 2, 3].map((wanted) => condition.until(() => level >= wanted, 1_000));
    for (level = 1; level <= 2; level++) condition.notify();
    level = 2;
    await clock.advance(1_000);
    assert.deepEqual(await Promise.all(answers), [true, true, false]);
    assert.equal(clock.pending, 0);
  });

  it('a condition that throws rejects its own waiter only', async () => {
    const clock = new ManualClock();
    const condition = new Condition(clock);
    let bad = false;
    const throwing = condition.until(() => {
      if (bad) throw new Error('cannot tell');
      return false;
    }, 1_000);
    const other = condition.until(() => bad, 1_000);
    bad = true;
    condition.notify();
    await assert.rejects(throwing, /cannot tell/);
    assert.equal(await other, true);
    assert.equal(clock.pending, 0);
  });

  it('a sleep ends early, without a timer left, when its signal aborts', async () => {
    const clock = new ManualClock();
    const stop = new AbortController();
    const asleep = sleep(clock, 60_000, stop.signal);
    stop.abort();
    await asleep;
    await sleep(clock, 60_000, stop.signal);
    assert.equal(clock.pending, 0);
  });

  it('within answers otherwise once the time has passed', async () => {
    const clock = new ManualClock();
    const late = within(clock, 100, new Promise<string>(() => {}), 'otherwise');
    await clock.advance(100);
    assert.equal(await late, 'otherwise');
    assert.equal(await within(clock, 100, Promise.resolve('value'), 'otherwise'), 'value');
    assert.equal(clock.pending, 0);
  });
});
