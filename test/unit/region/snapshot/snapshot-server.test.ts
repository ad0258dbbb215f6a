/** Serving a copy: shared while it is fresh or read, deleted a minute later, and the log kept for the region that fetched it. */
import assert from 'node:assert/strict';
import type { SnapshotServer } from '../../../../services/region/snapshot/snapshot.ts';
import { createSnapshotServer } from '../../../../services/region/snapshot/snapshot-server.ts';
import { Refusal } from '../../../../shared/errors/errors.ts';
import type { SnapshotInfo } from '../../../../shared/protocol/internal.ts';
import { formatPosition } from '../../../../shared/protocol/position.ts';
import { ManualClock } from '../../../harness/kernel/manual-clock.ts';
import { seededRandom } from '../../../harness/kernel/seeded-random.ts';
import { unreadMetrics } from '../../../harness/observe/counted-metrics.ts';
import { silentLog } from '../../../harness/observe/silent-log.ts';
import { MemoryStoreHome } from '../../../harness/region/store/memory-store-home.ts';

const x = 'us-east@aaaaaaaaaa';
const y = 'eu-west@bbbbbbbbbb';

const refused = (code: string) => (error: unknown) => error instanceof Refusal && error.code === code;

describe('snapshot server', () => {
  let clock: ManualClock;
  let home: MemoryStoreHome;
  let durable: Map<string, number>;
  let cut: boolean;
  let server: SnapshotServer;

  beforeEach(() => {
    clock = new ManualClock();
    home = new MemoryStoreHome();
    durable = new Map([[x, 5]]);
    cut = false;
    server = createSnapshotServer({
      metrics: unreadMetrics,
      clock,
      random: seededRandom(7),
      log: silentLog,
      region: 'us-east',
      schemaHash: '0123456789abcdef',
      durable: () => durable,
      keysForgottenMs: () => 0,
      partitioned: () => cut,
      copy: () => home.copy(),
    });
  });

  const whole = async (info: SnapshotInfo): Promise<number> => {
    let bytes = 0;
    while (bytes < info.bytes) bytes += (await server.read(info.id, bytes)).length;
    return bytes;
  };

  it('answers the copy, its position and its bytes', async () => {
    const info = await server.offer();
    assert.deepEqual([info.region, info.position, info.schemaHash], ['us-east', `${x}:5`, '0123456789abcdef']);
    assert.equal(await whole(info), info.bytes);
    assert.equal((await server.read(info.id, info.bytes)).length, 0);
    await assert.rejects(server.read('another', 0), refused('snapshot_gone'));
    await server.stop();
    assert.equal(home.copies, 0);
    assert.equal(clock.pending, 0);
  });

  it('requests of one minute, and those while it is read, share one copy; others get a new one', async () => {
    const first = await server.offer();
    await clock.advance(50_000);
    assert.equal((await server.offer()).id, first.id);
    for (let minute = 0; minute < 5; minute++) {
      await clock.advance(25_000);
      await server.read(first.id, 0);
    }
    await clock.advance(29_000);
    assert.equal((await server.offer()).id, first.id, 'somebody reads it: one who restarted finds it again');
    await clock.advance(31_000);
    durable.set(x, 9);
    const second = await server.offer();
    assert.notEqual(second.id, first.id);
    assert.equal(second.position, `${x}:9`);
    await assert.rejects(server.read(first.id, 0), refused('snapshot_gone'));
    assert.equal(home.copies, 1, 'one copy at a time');
    await server.stop();
  });

  it('a region that cannot use the copy gets a new one once that would help, unless the old one is being read', async () => {
    const first = await server.offer();
    const wanted = new Map([[x, 8]]);
    await clock.advance(10_000);
    assert.equal((await server.offer(wanted)).id, first.id, 'a new one would not hold it either');
    durable.set(x, 9);
    assert.equal((await server.offer()).id, first.id, 'who can use it shares it');
    await server.read(first.id, 0);
    assert.equal((await server.offer(wanted)).id, first.id, 'it is being read');
    for (let times = 0; times < 2; times++) {
      await clock.advance(10_000);
      assert.equal((await server.offer(wanted)).id, first.id);
    }
    await clock.advance(10_000);
    const second = await server.offer(wanted);
    assert.equal(second.position, `${x}:9`);
    assert.equal((await server.offer(wanted)).id, second.id);
    await server.stop();
  });

  it('is deleted a minute after the last read; the log from its position on is needed five minutes longer', async () => {
    assert.equal(server.needed, undefined);
    const info = await server.offer();
    durable.set(x, 100);
    durable.set(y, 1);
    await clock.advance(40_000);
    await server.read(info.id, 0);
    await clock.advance(59_000);
    assert.equal(home.copies, 1);
    await clock.advance(2_000);
    assert.equal(home.copies, 0);
    await assert.rejects(server.read(info.id, 0), refused('snapshot_gone'));
    assert.equal(formatPosition(server.needed ?? new Map()), `${x}:5`);
    const later = await server.offer();
    assert.equal(later.position, `${y}:1,${x}:100`);
    assert.equal(formatPosition(server.needed ?? new Map()), `${x}:5`, 'the lowest of both');
    await clock.advance(5 * 60_000);
    assert.equal(formatPosition(server.needed ?? new Map()), `${y}:1,${x}:100`);
    await clock.advance(2 * 60_000);
    assert.equal(server.needed, undefined);
    assert.equal(clock.pending, 0);
  });

  it('the log is needed from the beginning of the copy on, not from its end', async () => {
    let done: () => void = () => {};
    home.copying = new Promise((resolve) => {
      done = resolve;
    });
    const offer = server.offer();
    await clock.settle();
    durable.set(x, 50);
    assert.equal(formatPosition(server.needed ?? new Map()), `${x}:5`);
    done();
    assert.equal((await clock.run(offer)).position, `${x}:5`);
    await server.stop();
  });

  it('a copy that takes long is asked for again, and made once', async () => {
    let done: () => void = () => {};
    home.copying = new Promise((resolve) => {
      done = resolve;
    });
    await assert.rejects(clock.run(server.offer()), refused('not_ready'));
    await assert.rejects(clock.run(Promise.all([server.offer(), server.offer()])), refused('not_ready'));
    done();
    await clock.settle();
    const info = await server.offer();
    assert.equal(home.copies, 1);
    assert.equal((await server.offer()).id, info.id);
    await server.stop();
  });

  it('refuses without free space, and makes one when there is free space again', async () => {
    home.full = true;
    await assert.rejects(server.offer(), refused('storage_full'));
    assert.equal(server.needed, undefined);
    home.full = false;
    await server.offer();
    await server.stop();
  });

  it('neither offers nor reads while partitioned, and continues afterwards', async () => {
    const info = await server.offer();
    cut = true;
    await assert.rejects(server.offer(), refused('region_unreachable'));
    await assert.rejects(server.read(info.id, 0), refused('region_unreachable'));
    cut = false;
    assert.equal(await whole(info), info.bytes);
    await server.stop();
  });

  it('a stop waits for the copy being made, and removes it', async () => {
    let done: () => void = () => {};
    home.copying = new Promise((resolve) => {
      done = resolve;
    });
    void server.offer().catch(() => undefined);
    await clock.settle();
    let stopped = false;
    const stop = server.stop().then(() => {
      stopped = true;
    });
    await clock.settle();
    assert.equal(stopped, false);
    done();
    await clock.run(stop);
    assert.equal(home.copies, 0);
    await clock.advance(10_000);
    assert.equal(clock.pending, 0);
  });
});
