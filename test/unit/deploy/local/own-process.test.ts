/** Whether an id that an earlier run left behind is still the same process. */
import assert from 'node:assert/strict';
import { existsSync, readdirSync } from 'node:fs';
import { runsAs } from '../../../../deploy/local/own-process.ts';

describe('a process of an earlier run', () => {
  it('is one with its command line, and never a thread, whose ids are of the same numbers', function () {
    assert.equal(runsAs(process.ppid, 'no process has this in its command line'), false);
    assert.equal(runsAs(process.pid, 'node'), false, 'this process itself');
    if (!existsSync('/proc/self/task')) return this.skip();
    const threads = readdirSync('/proc/self/task')
      .map(Number)
      .filter((id) => id !== process.pid);
    assert.ok(threads.length > 0);
    for (const id of threads) assert.equal(runsAs(id, 'node'), false, `thread ${id}`);
  });
});
