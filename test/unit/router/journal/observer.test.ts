/** What a router passes to the journal: leaderships, partitions, starts and merges. */
import assert from 'node:assert/strict';
import type { JournalEntry } from '../../../../services/router/journal/journal.ts';
import type { JournalRecord } from '../../../../services/router/journal/journal-record.ts';
import { type ManualClock, settle } from '../../../harness/kernel/manual-clock.ts';
import { type MemoryCluster, memoryCluster } from '../../../harness/router/memory-cluster.ts';

describe('the journal of a router', () => {
  let cluster: MemoryCluster<ManualClock>;
  const open = async (failoverAfterMs?: number): Promise<void> => {
    cluster = memoryCluster(failoverAfterMs === undefined ? {} : { failoverAfterMs });
    cluster.router.start();
    await settle();
    await cluster.clock.advance(3_000);
  };
  afterEach(async () => {
    cluster.router.drain();
    await cluster.clock.run(
      Promise.all([...cluster.hearts.values()].map((heart) => heart.stop())).then(() => cluster.router.close()),
    );
  });
  const entries = async (): Promise<readonly Omit<JournalEntry, 'id' | 'at'>[]> => {
    await cluster.clock.advance(2_000);
    const { events } = await cluster.clock.run(cluster.router.journal.list({ limit: 50, after: 0 }));
    return events.map(({ id, at, ...rest }) => rest).reverse();
  };

  it('has the first leader, and nothing of regions that are as expected', async () => {
    await open();
    assert.deepEqual(await entries(), [{ kind: 'leader_changed', region: 'us-east', epoch: 1 }]);
  });

  it('has a partition that another process made, and its end', async () => {
    await open();
    cluster.euWest.isCut = true;
    await cluster.clock.advance(2_000);
    cluster.euWest.isCut = false;
    assert.deepEqual((await entries()).slice(1), [
      { kind: 'partitioned', region: 'eu-west' },
      { kind: 'healed', region: 'eu-west' },
    ]);
  });

  it('has the state of a region again after another router recorded an older one', async () => {
    await open();
    cluster.euWest.isCut = true;
    await cluster.clock.advance(2_000);
    const key = cluster.keys.key('journal');
    const { newest, subjects, entries: kept } = key.entry!.value as JournalRecord;
    const entry = { ...kept.at(-1)!, id: newest + 1, kind: 'healed', state: 'healed' };
    const state = { ...subjects['partition of eu-west'], state: 'healed' };
    key.put({
      newest: newest + 1,
      subjects: { ...subjects, 'partition of eu-west': state },
      entries: [...kept, entry],
    });
    assert.deepEqual(
      (await entries()).slice(1).map(({ kind }) => kind),
      ['partitioned', 'healed', 'partitioned'],
    );
  });

  it('has each start of a region', async () => {
    await open();
    cluster.euWest.said = { startedMs: 5 };
    await cluster.clock.advance(2_000);
    cluster.euWest.said = { startedMs: 9 };
    assert.deepEqual((await entries()).slice(1), [
      { kind: 'region_started', region: 'eu-west' },
      { kind: 'region_started', region: 'eu-west' },
    ]);
  });

  it('has a leader that was replaced because it did not answer, and when every region has what it had accepted', async () => {
    await open(5_000);
    cluster.usEast.peers = [];
    for (const region of [cluster.euWest, cluster.apSouth]) region.peers = [];
    cluster.usEast.accept({ k: 'd', e: 1 });
    await cluster.clock.advance(2_000);
    cluster.usEast.state = 'not_sent';
    void cluster.hearts.get('us-east')?.stop();
    await cluster.clock.advance(15_000);
    const changed = (await entries())[1];
    assert.deepEqual(changed, {
      ...{ kind: 'leader_changed', region: 'eu-west', epoch: 2, previous: 'us-east', how: 'automatic' },
      left_behind: 1,
    });
    cluster.usEast.state = 'up';
    assert.equal((await entries()).length, 2, 'it is back, and the others lack one event');
    // A planned promotion meanwhile does not end the wait.
    await cluster.clock.run(cluster.router.promote({ region: 'ap-south', force: false }));
    for (const region of [cluster.euWest, cluster.apSouth]) region.peers = [cluster.usEast];
    const last = { kind: 'merge_ended', epoch: 2, region: 'us-east' };
    assert.deepEqual((await entries()).slice(3), [last]);
    assert.equal((await entries()).length, 4, 'once');
  });
});
