/**
 * Two thousand origins of former terms: the work of each part is counted, not timed, so that nothing grows with their square, and
 * no wait is for all of them.
 */
import assert from 'node:assert/strict';
import { PositionWaits } from '../../../services/region/apply/position-waits.ts';
import { createTrimmer } from '../../../services/region/checkpoint/trimmer.ts';
import { createReading } from '../../../services/region/http/reads/reading.ts';
import { openLog } from '../../../services/region/wal/log.ts';
import type { Refusal } from '../../../shared/errors/errors.ts';
import { formatPosition, GrowingPosition, type Position, totalOf } from '../../../shared/protocol/position.ts';
import type { RegionView } from '../../../shared/region-client/status-poller.ts';
import type { Stream } from '../../../shared/stream/stream.ts';
import { ManualClock } from '../../harness/kernel/manual-clock.ts';
import { seededRandom } from '../../harness/kernel/seeded-random.ts';
import { CountedMetrics } from '../../harness/observe/counted-metrics.ts';
import { silentLog } from '../../harness/observe/silent-log.ts';
import { viewChain } from '../../harness/region/batches.ts';
import { CoreRegion, views } from '../../harness/region/core-region.ts';
import { oldOrigins, storeOfOldOrigins } from '../../harness/region/old-origins.ts';
import { MemoryBroker } from '../../harness/stream/memory-stream.ts';

const COUNT = 2_000;
const names = ['us-east', 'eu-west', 'ap-south'];

type Request = readonly [what: 'ensure' | 'lastOf' | 'publish', origin: string];

/** Every request of the shipper to the stream, in order. */
function recordRequests(stream: Stream): Request[] {
  const requests: Request[] = [];
  const { ensure, lastOf, publish } = stream;
  stream.ensure = () => {
    requests.push(['ensure', '']);
    return ensure();
  };
  stream.lastOf = (origin) => {
    requests.push(['lastOf', origin]);
    return lastOf(origin);
  };
  stream.publish = (origin, bytes, expected) => {
    requests.push(['publish', origin]);
    return publish(origin, bytes, expected);
  };
  return requests;
}

/** A leader whose log begins with 2,000 origins of its own, and its broker. */
async function leader({ count = COUNT, trimmed = false, others = [] as readonly string[] } = {}) {
  const clock = new ManualClock();
  const broker = new MemoryBroker({ clock, wire: { toServer: () => 20, toClient: () => 20, open: () => true } });
  const store = await storeOfOldOrigins({ count, regions: ['us-east'], trimmed });
  const region = new CoreRegion({ region: 'us-east', clock, broker, store }, others);
  const requests = recordRequests(region.client.stream);
  await clock.settle();
  return { clock, broker, region, requests };
}

/** A cluster of one that leads; its present origin. */
async function leads({ clock, region }: { clock: ManualClock; region: CoreRegion }): Promise<string> {
  await clock.run(region.client.control.create({ leader: 'us-east', epoch: 7, nonce: 'n' }));
  region.start();
  await clock.until('it leads', () => region.role.leads);
  const before = new Set(region.wal.durable.keys());
  await clock.run(region.write(views(1)));
  return [...region.wal.durable.keys()].find((origin) => !before.has(origin))!;
}

describe('with 2,000 old origins', function () {
  this.timeout(60_000);

  it('after a reconnect the present origin ships at once, and writes with durability stream are taken (schedule 35)', async () => {
    const it = await leader();
    const present = await leads(it);
    const { clock, region, broker, requests } = it;
    await clock.until('everything is shipped', () => region.ship.unshipped === 0, 600_000);
    for (const wiped of [false, true]) {
      region.client.disconnect();
      await clock.settle();
      const waiting = clock.run(region.write(views(1)));
      if (wiped) await broker.restart({ wiped });
      await waiting;
      requests.length = 0;
      region.client.reconnect();
      await clock.until('the present origin is shipped', () => requests.some(([what]) => what === 'publish'));
      assert.deepEqual(requests.slice(0, 3), [
        ['ensure', ''],
        ['lastOf', present],
        ['publish', present],
      ]);
      const confirmed = await clock.run(region.write(views(1), { durability: 'stream' }));
      assert.equal((confirmed.results[0] as { durability?: string }).durability, 'stream');
      assert.ok(
        requests.length < 40,
        `${requests.length} requests to the stream before a write with durability stream was confirmed`,
      );
    }
  });

  it('old tails follow in turns with the present origin, each asked for once', async () => {
    const it = await leader({ count: 300 });
    const present = await leads(it);
    const { clock, region, requests } = it;
    let written = 0;
    const write = async (): Promise<void> => {
      for (; region.ship.unshipped !== 0; written++) await region.write(views(1));
    };
    await clock.run(write(), 600_000);
    const asked = new Map<string, number>();
    for (const [what, origin] of requests) if (what === 'lastOf') asked.set(origin, (asked.get(origin) ?? 0) + 1);
    assert.equal(asked.size, 301);
    assert.deepEqual(new Set(asked.values()), new Set([1]));
    const publishes = requests.filter(([what]) => what === 'publish').map(([, origin]) => origin);
    const present1st = publishes.slice(0, 200).filter((origin) => origin === present).length;
    assert.ok(written > 100 && present1st >= 50, `${present1st} of 200 messages are the present origin's`);
    assert.equal(requests.filter(([what]) => what === 'ensure').length, 1);
  });

  it('what every other region has, or what is trimmed, is not asked for at all, and what is unshipped is not known before', async () => {
    for (const trimmed of [false, true]) {
      const it = await leader({ trimmed, others: trimmed ? [] : ['eu-west'] });
      const { clock, region, requests, broker } = it;
      if (!trimmed) {
        const store = await storeOfOldOrigins({ count: COUNT, regions: ['us-east'] });
        region.meet(new CoreRegion({ region: 'eu-west', clock, broker, store }, ['us-east']));
        await region.peers.poll();
      }
      region.client.disconnect();
      await clock.settle();
      region.ship.start();
      await clock.advance(2_000);
      assert.equal(region.ship.unshipped, undefined, 'nobody was asked how far the stream is');
      assert.equal(region.status().unshipped, null);
      region.client.reconnect();
      await clock.until('nothing is unshipped', () => region.ship.unshipped === 0);
      assert.ok(requests.length <= 3, `${requests.length} requests`);
      const { origin, last } = region.wal.origins()[0]!;
      assert.equal(region.ship.acknowledged(origin), last);
    }
  });

  it('a commit looks at its own origin alone', async () => {
    const it = await leader({ trimmed: true });
    await leads(it);
    const { clock, region } = it;
    await clock.until('everything is shipped', () => region.ship.unshipped === 0, 600_000);
    let looks = 0;
    const { origins, origin } = region.wal;
    region.wal.origins = () => {
      looks += COUNT;
      return origins.call(region.wal);
    };
    region.wal.origin = (name) => {
      looks++;
      return origin.call(region.wal, name);
    };
    for (let write = 0; write < 50; write++) {
      const answer = region.write(views(1));
      await clock.run(answer);
    }
    // What looks at the epochs of all of them does so once a second.
    assert.ok(looks < 5 * COUNT, `${looks} origins were looked at for 50 commits`);
  });

  it('a step of the trimmer reads each peer once, and skips what is trimmed', async () => {
    const clock = new ManualClock();
    const wal = openLog({ store: await storeOfOldOrigins({ count: COUNT, trimmed: true }) });
    const young = 'us-east@bbbbbbbbbb';
    await wal.append({ batches: viewChain(young, 40, 5, 9) });
    let reads = 0;
    const durable = new Map(wal.durable);
    const status = {
      get durable() {
        reads++;
        return durable;
      },
    } as unknown as RegionView['status'];
    const lookups = new Map<string, number>();
    const floor = new Map(wal.durable);
    floor.get = (origin) => {
      lookups.set(origin, (lookups.get(origin) ?? 0) + 1);
      return wal.durable.get(origin);
    };
    let steps = 0;
    const metrics = new CountedMetrics();
    const trimmer = createTrimmer({
      clock,
      log: silentLog,
      wal: {
        origins: () => wal.origins(),
        origin: (origin) => wal.origin(origin),
        get batchBytes() {
          return wal.batchBytes;
        },
        trim(...asked) {
          steps++;
          return wal.trim(...asked);
        },
      },
      peers: { expected: 1, views: new Map([['eu-west', { status, atMs: 0, clockOffsetMs: 0, reachable: true }]]) },
      checkpointPosition: () => floor,
      needed: () => undefined,
      retentionBytes: 0,
      onFatal: assert.ifError,
      metrics,
    });
    trimmer.start();
    await clock.until('all is trimmed', () => metrics.total('tidal_trimmed_events_total') === 200, 600_000);
    await trimmer.stop();
    assert.ok(steps >= 2 && reads <= 2 * (steps + 10), `${reads} reads of a report in ${steps} steps`);
    assert.deepEqual([...lookups.keys()], [young], 'what is trimmed whole is not judged any more');
  });

  it('a batch wakes the waits for its origin, and no others are checked', async () => {
    const clock = new ManualClock();
    let looks = 0;
    class Counted extends GrowingPosition {
      override get(origin: string): number | undefined {
        looks++;
        return super.get(origin);
      }
    }
    const applied = new Counted(new Map(oldOrigins({ count: COUNT }).map(({ origin, last }) => [origin, last])));
    const waits = new PositionWaits(clock, applied);
    const origins = [...applied.keys()];
    const [first, second, never] = origins as [string, string, string];
    const wanted = (changes: Position): Position => new Map([...applied, ...changes]);
    const results: string[] = [];
    const wait = (name: string, position: Position, limitMs = 2_000): void => {
      void waits.until(position, limitMs).then((reached) => results.push(`${name} ${reached}`));
    };
    for (let index = 0; index < 400; index++) wait('never', wanted(new Map([[never, 1_000 + index]])));
    wait('later', wanted(new Map([[first, 12]])));
    wait('sooner', wanted(new Map([[first, 10]])));
    wait(
      'both',
      wanted(
        new Map([
          [first, 11],
          [second, 20],
        ]),
      ),
    );
    wait('nothing', new Map());
    assert.equal(waits.size, 403);
    await clock.settle();
    looks = 0;
    for (let sequence = 3; sequence <= 10; sequence++) {
      applied.set(first, sequence);
      waits.advanced(first);
    }
    await clock.settle();
    assert.deepEqual(results, ['nothing true', 'sooner true']);
    assert.ok(looks <= COUNT + 100, `${looks} looks for 8 batches and 403 waits of ${COUNT} origins`);
    applied.set(second, 20);
    waits.advanced(second);
    applied.set(first, 12);
    waits.advanced(first);
    await clock.settle();
    assert.deepEqual(results.slice(2), ['both true', 'later true']);
    await clock.advance(2_000);
    assert.equal(results.filter((result) => result === 'never false').length, 400);
    assert.deepEqual([waits.size, clock.pending], [0, 0]);
  });

  it('beyond 500 reads that wait a further one is refused, unless its position is there', async () => {
    const applied: Position = new Map(oldOrigins({ count: 3 }).map(({ origin, last }) => [origin, last]));
    const apply = { applied, waiting: 499, reached: async () => false };
    const surface = { region: 'us-east', apply, ready: () => true };
    const reading = createReading(surface as unknown as Parameters<typeof createReading>[0]);
    const beyond = formatPosition(new Map([...applied].map(([origin, last]) => [origin, last + 1])));
    const admit = async (position: string): Promise<string> => {
      const ctx = { querystring: '', get: () => '', req: { socket: {} } } as unknown as Parameters<
        typeof reading.admit
      >[0];
      try {
        await reading.admit(ctx, position);
        return 'admitted';
      } catch (error) {
        return (error as Refusal).code;
      }
    };
    assert.equal(await admit(beyond), 'position_not_reached');
    apply.waiting = 500;
    assert.equal(await admit(beyond), 'overloaded');
    apply.reached = async () => true;
    assert.equal(await admit(formatPosition(applied)), 'admitted');
  });

  it('a position that grows has the text and the total of any other', () => {
    const random = seededRandom(11);
    const growing = new GrowingPosition();
    const plain = new Map<string, number>();
    assert.equal(growing.text, '');
    for (let step = 0; step < 500; step++) {
      const [byte = 0, more = 0] = random.bytes(2);
      const origin = `${names[byte % 3]}@aaaaaaaaa${'abcdefgh'[more % 8]}`;
      const sequence = (plain.get(origin) ?? 0) + (byte & 3);
      plain.set(origin, sequence);
      growing.set(origin, sequence);
      if (more < 200)
        assert.deepEqual([formatPosition(growing), totalOf(growing)], [formatPosition(plain), totalOf(plain)]);
    }
  });
});
