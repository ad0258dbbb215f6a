/** Work that runs one piece at a time. */
import assert from 'node:assert/strict';
import { Queue } from '../../../../services/region/queue/queue.ts';

describe('a queue', () => {
  it('runs one piece at a time, in the order they were added, and continues after one that failed', async () => {
    const queue = new Queue();
    const steps: string[] = [];
    const work = (name: string, fails = false) =>
      queue.add(async () => {
        steps.push(`${name} begins`);
        await Promise.resolve();
        steps.push(`${name} ends`);
        if (fails) throw new Error(name);
        return name;
      });
    const outcomes = await Promise.allSettled([work('one'), work('two', true), work('three')]);
    assert.deepEqual(steps, ['one begins', 'one ends', 'two begins', 'two ends', 'three begins', 'three ends']);
    assert.deepEqual(
      outcomes.map((outcome) => (outcome.status === 'fulfilled' ? outcome.value : outcome.reason.message)),
      ['one', 'two', 'three'],
    );
  });

  it('is idle when everything added so far has ended, however it ended', async () => {
    const queue = new Queue();
    await queue.idle();
    let ended = false;
    const work = queue.add(async () => {
      await Promise.resolve();
      ended = true;
      throw new Error('failed');
    });
    work.catch(() => undefined);
    await queue.idle();
    assert.equal(ended, true);
  });
});
