/** The samples of the last 15 minutes, and the streams of them: limits, keys, clients that do not read, the end of a router. */
import assert from 'node:assert/strict';
import type { ClusterHealth, ClusterStatus } from '../../../../services/router/cluster/cluster.ts';
import {
  type LiveClient,
  type LiveNow,
  type LivePast,
  MISSED_LIMIT,
  PAST_SAMPLES,
  SAMPLE_MS,
} from '../../../../services/router/console/console.ts';
import { LiveStreams } from '../../../../services/router/console/live-streams.ts';
import { Refusal } from '../../../../shared/errors/errors.ts';
import { createMetrics } from '../../../../shared/observe/metrics.ts';
import { ManualClock } from '../../../harness/kernel/manual-clock.ts';

class Client implements LiveClient {
  isBehind = false;
  isAllowed = true;
  ended = 0;
  dropped = 0;
  readonly events: (readonly [name: string, data: LivePast & LiveNow])[] = [];

  mayRead(): boolean {
    return this.isAllowed;
  }
  send(event: string): void {
    const [, name = '', data = ''] = /^event: (\w+)\ndata: (.*)\n\n$/.exec(event) ?? assert.fail(event);
    this.events.push([name, JSON.parse(data) as LivePast & LiveNow]);
  }
  end(): void {
    this.ended += 1;
  }
  drop(): void {
    this.dropped += 1;
  }
  get names(): string[] {
    return this.events.map(([name]) => name);
  }
}

function setUp(limit = 3) {
  const clock = new ManualClock();
  const metrics = createMetrics({ process: 'router', name: 'router', nodeMetrics: false });
  const world = { lag: 0 as number | null, newest: 0, drill: undefined as ClusterStatus['drill'], asked: 0 };
  const region = (name: string, lag: number | null) => ({ name, lag_events: lag, lag_seconds: lag });
  const both = async () => {
    world.asked += 1;
    const status = { leader: 'a', regions: [region('a', 0), region('b', world.lag)] } as unknown as ClusterStatus;
    return { status, health: { status: 'ok' } as ClusterHealth };
  };
  const live = new LiveStreams({
    reports: { both, status: () => assert.fail(), health: () => assert.fail() },
    drillLease: { current: async () => world.drill },
    journal: {
      list: async () => ({ events: world.newest === 0 ? [] : [{ id: world.newest, at: '', kind: 'healed' }] }),
    },
    ...{ clock, metrics, limit },
  });
  return { clock, metrics, world, live };
}

describe('the live state', () => {
  it('has the samples of 15 minutes, and no more', async () => {
    const { clock, world, live } = setUp();
    live.start();
    await clock.settle();
    assert.equal((await live.read()).past.at.length, 1);
    for (let index = 1; index <= PAST_SAMPLES + 10; index++) {
      world.lag = index === 5 ? null : index;
      await clock.advance(SAMPLE_MS);
      if (index === 5)
        assert.deepEqual((await live.read()).past.lag_events, { a: [0, 0, 0, 0, 0, 0], b: [0, 1, 2, 3, 4, null] });
    }
    const { past } = await live.read();
    assert.equal(past.at.length, PAST_SAMPLES);
    for (const column of [past.writes_per_second, past.reads_per_second, past.lag_events.a!, past.lag_seconds.b!])
      assert.equal(column.length, PAST_SAMPLES);
    assert.deepEqual([past.lag_events.b!.at(0), past.lag_events.b!.at(-1)], [11, PAST_SAMPLES + 10]);
    assert.equal(Date.parse(past.at.at(-1)!) - Date.parse(past.at[0]!), (PAST_SAMPLES - 1) * SAMPLE_MS);
    await live.stop();
    assert.equal(clock.pending, 0);
  });

  it('counts acknowledged writes, a bulk by its writes, and reads; refused ones do not count', async () => {
    const { clock, live } = setUp();
    live.start();
    await clock.settle();
    let isRefused = false;
    const forwarding = live.counting({
      submit: async () => {
        if (isRefused) throw new Refusal('not_ready', 'not now');
        return { position: 'p', durability: 'local' };
      },
    });
    const request = { bytes: 1, atomic: false, durability: 'local', requestId: 'r' } as const;
    const write = { k: 'd', e: 1 } as const;
    await forwarding.submit({ ...request, writes: [write] });
    await forwarding.submit({ ...request, writes: [write, write] });
    await forwarding.submit({ ...request, writes: [], signals: { count: 5, packed: '' } });
    isRefused = true;
    await assert.rejects(forwarding.submit({ ...request, writes: [write] }), /not now/);
    live.countRead();
    await clock.advance(SAMPLE_MS);
    const { now, past } = await live.read();
    assert.deepEqual([now.writes_per_second, now.reads_per_second], [4, 0.5]);
    assert.deepEqual(
      [past.writes_per_second, past.reads_per_second],
      [
        [0, 4],
        [0, 0.5],
      ],
    );
    await clock.advance(SAMPLE_MS);
    assert.equal((await live.read()).now.writes_per_second, 0);
    await live.stop();
  });

  it('a stream begins with the past and the present state, and has every sample afterwards, with the drill and the newest event', async () => {
    const { clock, world, live } = setUp();
    live.start();
    await clock.advance(SAMPLE_MS);
    const client = new Client();
    live.open(client);
    await clock.settle();
    assert.deepEqual(client.names, ['past', 'now']);
    assert.equal(client.events[0]![1].at.length, 2);
    world.drill = { id: 'abcdefgh', title: 'A drill', started_at: '', expires_at: '' };
    world.newest = 7;
    await clock.advance(2 * SAMPLE_MS);
    assert.deepEqual(client.names, ['past', 'now', 'now', 'now']);
    const [, last] = client.events.at(-1)!;
    assert.deepEqual([last.status.drill?.title, last.newest_event], ['A drill', 7]);
    live.close(client);
    await clock.advance(SAMPLE_MS);
    assert.equal(client.events.length, 4);
    assert.equal(client.ended, 0);
    await live.stop();
  });

  it('asks the regions once a sample, however many streams there are', async () => {
    const { clock, world, live } = setUp();
    live.start();
    for (const client of [new Client(), new Client(), new Client()]) live.open(client);
    await clock.settle();
    const before = world.asked;
    await clock.advance(SAMPLE_MS);
    assert.equal(world.asked, before + 1);
    await live.stop();
  });

  it('refuses more streams than its limit until one is closed; 0: all', async () => {
    const { clock, live } = setUp(2);
    const clients = [new Client(), new Client(), new Client()] as const;
    live.open(clients[0]);
    live.open(clients[1]);
    assert.throws(
      () => live.open(clients[2]),
      (error) => error instanceof Refusal && error.code === 'overloaded',
    );
    live.close(clients[0]);
    live.close(clients[0]);
    live.open(clients[2]);
    assert.throws(() => live.open(new Client()), /2 streams are already open/);
    await clock.settle();
    await live.stop();
    assert.throws(() => setUp(0).live.open(new Client()), /0 streams/);
  });

  it('a client that does not read misses events, and is dropped after 30 s; one that reads again in time is not', async () => {
    const { clock, metrics, live } = setUp();
    live.start();
    const [slow, late] = [new Client(), new Client()];
    for (const client of [slow, late]) live.open(client);
    await clock.settle();
    slow.isBehind = true;
    late.isBehind = true;
    await clock.advance((MISSED_LIMIT - 1) * SAMPLE_MS);
    assert.deepEqual([slow.names, slow.dropped], [['past', 'now'], 0]);
    late.isBehind = false;
    await clock.advance(SAMPLE_MS);
    assert.deepEqual([slow.dropped, late.dropped, late.names.length], [1, 0, 3]);
    late.isBehind = true;
    await clock.advance((MISSED_LIMIT - 1) * SAMPLE_MS);
    assert.equal(late.dropped, 0);
    const { text } = await metrics.render();
    assert.match(text, /^tidal_router_live_streams\{.*\} 1$/m);
    assert.match(text, /^tidal_router_live_streams_dropped_total\{.*\} 1$/m);
    await live.stop();
  });

  it('a stream ends when its key is not valid any more', async () => {
    const { clock, live } = setUp();
    live.start();
    const client = new Client();
    live.open(client);
    await clock.settle();
    client.isAllowed = false;
    await clock.advance(SAMPLE_MS);
    assert.deepEqual([client.ended, client.names], [1, ['past', 'now']]);
    await clock.advance(SAMPLE_MS);
    assert.equal(client.ended, 1);
    await live.stop();
  });

  it('a router that is about to stop ends every stream at once, and opens none', async () => {
    const { clock, live } = setUp();
    live.start();
    const client = new Client();
    live.open(client);
    await clock.settle();
    live.leave();
    assert.equal(client.ended, 1);
    assert.throws(
      () => live.open(new Client()),
      (error) => error instanceof Refusal && error.code === 'shutting_down',
    );
    await clock.advance(SAMPLE_MS);
    assert.deepEqual(client.names, ['past', 'now']);
    await live.stop();
    assert.equal(clock.pending, 0);
  });
});
