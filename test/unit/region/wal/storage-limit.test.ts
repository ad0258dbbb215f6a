import assert from 'node:assert/strict';
import type { Store } from '../../../../services/region/store/store.ts';
import { createStorageLimit } from '../../../../services/region/wal/storage-limit.ts';
import { ManualClock } from '../../../harness/kernel/manual-clock.ts';
import { unreadMetrics } from '../../../harness/observe/counted-metrics.ts';

describe('the limit of the store', () => {
  it('refuses beyond the limit, and accepts again once there is free space; free pages do not count', async () => {
    const clock = new ManualClock();
    let sizes = { usedBytes: 900, freeBytes: 0 };
    const store = { sizes: () => sizes } as Store;
    const writeBlocker = createStorageLimit({
      metrics: unreadMetrics,
      clock,
      store,
      limitBytes: 1_000,
      region: 'us-east',
    });
    assert.equal(writeBlocker(), undefined);
    sizes = { usedBytes: 1_500, freeBytes: 500 };
    await clock.advance(300);
    assert.equal(writeBlocker(), undefined, '1,000 of 1,500 bytes are taken');
    sizes = { usedBytes: 1_501, freeBytes: 500 };
    await clock.advance(300);
    assert.equal(writeBlocker()?.code, 'storage_full');
    assert.match(writeBlocker()?.message ?? '', /us-east .* 1000 bytes/);
    sizes = { usedBytes: 1_501, freeBytes: 600 };
    await clock.advance(300);
    assert.equal(writeBlocker(), undefined);
  });
});
