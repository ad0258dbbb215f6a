/** Whether the disk accepts writes, by the result of the last commit; while it does not, it is checked without writes. */
import assert from 'node:assert/strict';
import { DiskSpaceWatch } from '../../../../services/region/store/disk-space-watch.ts';
import { ManualClock } from '../../../harness/kernel/manual-clock.ts';
import { MemoryStore } from '../../../harness/region/store/memory-store.ts';

async function rig() {
  const clock = new ManualClock();
  const disk = new MemoryStore();
  const fatal: unknown[] = [];
  const room = new DiskSpaceWatch({ clock, region: 'us-east', store: disk, onFatal: (error) => fatal.push(error) });
  room.start();
  const write = (): Promise<void> =>
    room.store.commit((transaction) => transaction.put('marks', 'region', Buffer.from('"us-east"')));
  await write();
  return { clock, disk, fatal, room, write, refused: () => room.refusal?.code };
}

describe('free space on the disk', () => {
  it('is missing from a commit that found none until one that found some', async () => {
    const { disk, room, write, refused } = await rig();
    assert.equal(refused(), undefined);
    disk.failNext('storage_full');
    await assert.rejects(write(), { code: 'storage_full' });
    assert.equal(refused(), 'storage_full');
    await write();
    assert.equal(refused(), undefined);
    await room.stop();
  });

  it('is found again within five seconds without writes, and the check changes nothing', async () => {
    const { clock, disk, fatal, room, write, refused } = await rig();
    disk.failNext('storage_full', 'storage_full', 'storage_full');
    await assert.rejects(write(), { code: 'storage_full' });
    await clock.advance(10_000);
    assert.equal(refused(), 'storage_full');
    disk.mend();
    await clock.advance(5_000);
    assert.equal(refused(), undefined);
    assert.equal(Buffer.from(disk.get('marks', 'region')!).toString(), '"us-east"');
    assert.deepEqual(fatal, []);
    await room.stop();
    assert.equal(clock.pending, 0);
  });

  it('a disk that fails while it is looked at ends the process', async () => {
    const { clock, disk, fatal, room, write } = await rig();
    disk.failNext('storage_full', 'storage_failed');
    await assert.rejects(write(), { code: 'storage_full' });
    await clock.advance(5_000);
    assert.equal(fatal.length, 1);
    await room.stop();
  });
});
