import assert from 'node:assert/strict';
import { type Part, startParts, stopParts } from '../../../../shared/kernel/parts.ts';

describe('parts of a process', () => {
  const events: string[] = [];
  const part = (name: string, stopMs = 0): Part => ({
    start: () => void events.push(`start ${name}`),
    async stop() {
      for (let turn = 0; turn < stopMs; turn++) await Promise.resolve();
      events.push(`stop ${name}`);
    },
  });

  beforeEach(() => events.splice(0));

  it('start in the order of their list and stop in reverse, those of one stage together', async () => {
    const stages = [
      [part('log')],
      [part('ship', 5), part('repair')],
      [{ stop: () => void events.push('stop intake') }],
    ];
    startParts(stages);
    assert.deepEqual(events.splice(0), ['start log', 'start ship', 'start repair']);
    await stopParts(stages);
    assert.deepEqual(events, ['stop intake', 'stop repair', 'stop ship', 'stop log']);
  });

  it('a part that fails to stop is reported', async () => {
    const broken = { stop: () => Promise.reject(new Error('disk')) };
    await assert.rejects(stopParts([[part('log')], [broken]]), /disk/);
    assert.deepEqual(events, []);
  });
});
