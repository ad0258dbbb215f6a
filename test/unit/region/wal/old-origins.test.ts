/** The harness's log of many old origins is one that the production code wrote, and takes. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openLmdbStore } from '../../../../services/region/store/lmdb-store.ts';
import { openLog } from '../../../../services/region/wal/log.ts';
import { parsePosition } from '../../../../shared/protocol/position.ts';
import { ManualClock } from '../../../harness/kernel/manual-clock.ts';
import { CoreRegion } from '../../../harness/region/core-region.ts';
import { directoryOfOldOrigins, oldOrigins, storeOfOldOrigins } from '../../../harness/region/old-origins.ts';
import { MemoryBroker } from '../../../harness/stream/memory-stream.ts';

describe('a log that begins with 2,000 old origins', () => {
  it('is the same for every region, trimmed or not, and recovers to the same state', async () => {
    const clock = new ManualClock();
    const broker = new MemoryBroker({ clock });
    const whole = new CoreRegion({ region: 'us-east', clock, broker, store: await storeOfOldOrigins() });
    const store = await storeOfOldOrigins({ trimmed: true });
    const trimmed = new CoreRegion({ region: 'eu-west', clock, broker, store });
    assert.equal(parsePosition(whole.durable)!.size, 2_000);
    assert.equal(trimmed.durable, whole.durable);
    assert.equal(trimmed.digest(), whole.digest());
    assert.ok(trimmed.wal.origins().every(({ first, last }) => last === 2 && first === 3));
    assert.deepEqual([...new Set(whole.wal.origins().map(({ origin }) => origin.split('@')[0]))].sort(), [
      'ap-south',
      'eu-west',
      'us-east',
    ]);
  });

  it('lies in a data directory as a region leaves it', async () => {
    const path = mkdtempSync(join(tmpdir(), 'tidal-old-origins-'));
    try {
      await directoryOfOldOrigins(path, { count: 50, trimmed: true });
      const batches = oldOrigins({ count: 50 });
      const wal = openLog({ store: openLmdbStore({ path }) });
      assert.deepEqual(new Map(wal.durable), new Map(batches.map(({ origin, last }) => [origin, last])));
      await wal.close();
    } finally {
      rmSync(path, { recursive: true });
    }
  });
});
