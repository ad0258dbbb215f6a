/** An operator retires a disk: which disks are listed, and the effect of the request. */
import assert from 'node:assert/strict';
import { Refusal } from '../../../../shared/errors/errors.ts';
import type { KnownDisk } from '../../../../shared/protocol/known-disks.ts';
import { type ManualClock, settle } from '../../../harness/kernel/manual-clock.ts';
import { type MemoryCluster, memoryCluster } from '../../../harness/router/memory-cluster.ts';

const id = (name: string): string => name.padEnd(13, '2');
const lost: KnownDisk = { id: id('lost'), region: 'ap-south', knownMs: 1_000, retired: false };

describe('retiring a disk', () => {
  let cluster: MemoryCluster<ManualClock>;
  beforeEach(async () => {
    cluster = memoryCluster();
    cluster.router.start();
    cluster.usEast.disk = id('us');
    cluster.euWest.disk = id('eu');
    cluster.apSouth.disk = id('ap');
    await settle();
  });
  afterEach(async () => {
    cluster.router.drain();
    await cluster.clock.run(cluster.router.close());
  });
  const absent = async () => (await cluster.clock.run(cluster.router.reports.status())).absent_disks;
  const retire = (disk: string) => cluster.clock.run(cluster.router.retireDisk(disk));
  const refused = (code: string) => (error: unknown) => error instanceof Refusal && error.code === code;

  it('shown are those that no region runs on, with the least that any region knows of them, until one is retired', async () => {
    cluster.usEast.disks = [lost, { ...lost, id: id('eu'), region: 'eu-west' }];
    cluster.euWest.disks = [
      { ...lost, knownMs: 500 },
      { ...lost, id: id('new'), knownMs: 0 },
    ];
    assert.deepEqual(await absent(), [
      { disk: id('lost'), region: 'ap-south', known_until: '1970-01-01T00:00:00.500Z' },
      { disk: id('new'), region: 'ap-south', known_until: null },
    ]);
    cluster.apSouth.disks = [{ ...lost, retired: true }];
    assert.deepEqual(
      (await absent()).map(({ disk }) => disk),
      [id('new')],
    );
  });

  it('the command is sent to every region that knows it; the others learn of it', async () => {
    cluster.usEast.disks = [lost];
    cluster.euWest.disks = [lost];
    assert.deepEqual(await retire(lost.id), {
      disk: lost.id,
      region: 'ap-south',
      retired_by: ['us-east', 'eu-west'],
      not_reached: [],
    });
    cluster.euWest.state = 'not_sent';
    const again = await retire(lost.id);
    assert.deepEqual([again.retired_by, again.not_reached], [['us-east'], ['eu-west']]);
  });

  it('one that a region runs on is refused, by all; so is an unknown one, and a request without any answer', async () => {
    cluster.usEast.disks = [{ ...lost, id: id('ap') }];
    await assert.rejects(retire(id('ap')), refused('disk_in_use'));
    assert.equal(cluster.usEast.disks[0]?.retired, false, 'nobody was told');
    await assert.rejects(retire(id('never')), refused('unknown_disk'));
    for (const region of [cluster.usEast, cluster.euWest, cluster.apSouth]) region.state = 'not_sent';
    await assert.rejects(retire(id('never')), refused('region_unreachable'));
  });
});
