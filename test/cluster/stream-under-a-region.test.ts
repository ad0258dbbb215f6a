/**
 * The production receiver and shipper of two regions on a real nats-server that is killed, wiped, restored from an older copy,
 * deleted, purged and paused under them. Their stores are in memory: the server is what is real here.
 */
import assert from 'node:assert/strict';
import { cpSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect } from 'nats';
import type { Batch } from '../../services/region/batch/batch.ts';
import { createIngest } from '../../services/region/receive/ingest.ts';
import { createStreamReceiver } from '../../services/region/receive/stream-receiver.ts';
import { createShipper } from '../../services/region/ship/shipper.ts';
import { openLog } from '../../services/region/wal/log.ts';
import { systemClock as clock, nextTurn } from '../../shared/kernel/system.ts';
import { formatPosition } from '../../shared/protocol/position.ts';
import { connectJetStream } from '../../shared/stream/jetstream.ts';
import { connection, STREAM_NAME } from '../../shared/stream/settings.ts';
import { eventually } from '../harness/kernel/eventually.ts';
import { CountedMetrics, unreadMetrics } from '../harness/observe/counted-metrics.ts';
import { silentLog as log } from '../harness/observe/silent-log.ts';
import { NatsServer } from '../harness/processes/nats-server.ts';
import { viewChain } from '../harness/region/batches.ts';
import { testSchema } from '../harness/region/core-region.ts';
import { MemoryStore } from '../harness/region/store/memory-store.ts';

const x = 'us-east@aaaaaaaaaa';
const quiet = 'us-east@bbbbbbbbbb';
const settings = { maxBytes: 64 * 1024 * 1024 };

/** Log, shipper and receiver of one region on a connection of its own. */
class Side {
  readonly store: MemoryStore;
  readonly wal;
  readonly client;
  readonly ship;
  readonly receiver;
  readonly gaps: string[] = [];
  readonly fatal: unknown[] = [];
  private readonly metrics = new CountedMetrics();
  private readonly url: string;
  private readonly region: string;

  constructor(url: string, region: string, store = new MemoryStore()) {
    this.url = url;
    this.region = region;
    this.store = store;
    this.wal = openLog({ store });
    this.client = connectJetStream({ url, name: region, clock, settings });
    const { wal, gaps, fatal } = this;
    const { stream } = this.client;
    const apply = { async room() {}, async apply() {} } as never;
    this.ship = createShipper({
      metrics: unreadMetrics,
      clock,
      log,
      region,
      wal,
      stream,
      enabled: true,
      startOf: () => 0,
    });
    const onFatal = (error: unknown): void => void fatal.push(error);
    const regions = ['us-east', 'eu-west', 'ap-south'];
    const ingest = createIngest({
      metrics: unreadMetrics,
      clock,
      nextTurn,
      log,
      wal,
      apply,
      schema: testSchema,
      regions,
      onStopped: onFatal,
    });
    this.receiver = createStreamReceiver({
      clock,
      nextTurn,
      log,
      stream,
      wal,
      ingest,
      regions,
      enabled: true,
      onGap: ({ origin, first }) => void gaps.push(`${origin}:${first}`),
      onFatal,
      metrics: this.metrics,
    });
  }

  get subscriptions(): number {
    return this.metrics.total('tidal_stream_subscriptions_total');
  }

  start(): this {
    this.ship.start();
    this.receiver.start();
    return this;
  }

  async add(batches: readonly Batch[]): Promise<void> {
    await this.wal.append({ batches });
    this.ship.notify();
  }

  async stop(): Promise<void> {
    await Promise.all([this.receiver.stop(), this.ship.stop()]);
    await this.client.close();
  }

  /** The process that begins on the disk this one left. */
  async again(): Promise<Side> {
    await this.stop();
    return new Side(this.url, this.region, this.store.crash());
  }

  reaches(position: string): Promise<void> {
    return eventually(
      `${this.region} reaches ${position}`,
      () => formatPosition(this.wal.durable) === position,
      20_000,
    );
  }
}

describe('the stream under a region', function () {
  this.timeout(90_000);
  let server: NatsServer;
  let sides: Side[] = [];

  beforeEach(async () => {
    server = await NatsServer.start();
  });

  afterEach(async () => {
    server.resume();
    for (const side of sides.splice(0)) await side.stop();
    await server.stop();
  });

  const side = (region: string): Side => {
    const one = new Side(server.url, region);
    sides.push(one);
    return one;
  };
  const restarted = async (one: Side): Promise<Side> => {
    const next = await one.again();
    sides = sides.map((each) => (each === one ? next : each));
    return next;
  };

  async function ask(what: string): Promise<void> {
    const nats = await connect({ servers: server.url });
    try {
      const { error } = (await nats.request(`$JS.API.${what}`, '{}')).json() as { error?: unknown };
      assert.equal(error, undefined);
    } finally {
      await nats.close();
    }
  }

  /** The sender has shipped `count` of the batches, and the receiver has them. */
  async function running(batches: readonly Batch[]): Promise<{ sender: Side; receiver: Side }> {
    const sender = side('us-east').start();
    const receiver = side('eu-west').start();
    for (const batch of batches) {
      await sender.add([batch]);
      await eventually('it is shipped', () => sender.ship.unshipped === 0);
    }
    await receiver.reaches(formatPosition(sender.wal.durable));
    return { sender, receiver };
  }

  it('recreated while the receiver was away, and grown beyond its offset: read from its first message (schedule 2)', async () => {
    const batches = viewChain(x, 30);
    const { sender, receiver } = await running(batches.slice(0, 12));
    const idle = await restarted(receiver);
    await ask(`STREAM.DELETE.${STREAM_NAME}`);
    // The shipper learns of it with its next publish, and begins at the first batch again.
    for (const batch of batches.slice(12)) {
      await sender.add([batch]);
      await eventually('it is shipped', () => sender.ship.unshipped === 0);
    }
    assert.ok((await sender.client.stream.info()).last > 12);
    idle.start();
    await idle.reaches(`${x}:150`);
    assert.deepEqual(idle.fatal, []);
  });

  it('deleted under live connections: the next messages arrive, none is skipped without a word (schedules 2 and 3)', async () => {
    const batches = viewChain(x, 9);
    const { sender, receiver } = await running(batches.slice(0, 3));
    const { subscriptions } = receiver;
    await ask(`STREAM.DELETE.${STREAM_NAME}`);
    for (const batch of batches.slice(3)) await sender.add([batch]);
    await receiver.reaches(`${x}:45`);
    assert.ok(receiver.subscriptions > subscriptions);
  });

  it('an older copy of its volume is restored, with the same `created` and other messages under the same sequences (schedule 2)', async () => {
    const batches = viewChain(x, 8);
    const copy = mkdtempSync(join(tmpdir(), 'tidal-nats-copy-'));
    try {
      const { sender, receiver } = await running(batches.slice(0, 3));
      await server.kill();
      cpSync(server.storeDirectory, copy, { recursive: true });
      await server.restart();
      for (const batch of batches.slice(3)) {
        await sender.add([batch]);
        await eventually('it is in the stream', () => sender.ship.unshipped === 0, 20_000);
      }
      await receiver.reaches(`${x}:40`);
      const created = (await receiver.client.stream.info()).created;
      const idle = await restarted(receiver);
      await server.kill();
      rmSync(server.storeDirectory, { recursive: true });
      cpSync(copy, server.storeDirectory, { recursive: true });
      await server.restart();
      await eventually('connected', () => idle.client.stream.connected, 20_000);
      // A quiet origin's batches now stand where others did before, also at the offset.
      for (const batch of viewChain(quiet, 8)) {
        await sender.add([batch]);
        await eventually('it is in the stream', () => sender.ship.unshipped === 0, 20_000);
      }
      assert.equal(idle.wal.offset?.sequence, 8);
      assert.ok((await idle.client.stream.info()).last > 8);
      assert.equal((await idle.client.stream.info()).created, created, '`created` alone tells nothing');
      idle.start();
      await idle.reaches(`${x}:40,${quiet}:40`);
    } finally {
      rmSync(copy, { recursive: true, force: true });
    }
  });

  it('killed, wiped, purged and paused in turn: everything arrives in order, once (schedules 2, 3, 9 and 11)', async () => {
    const batches = viewChain(x, 60);
    const { sender, receiver } = await running(batches.slice(0, 2));
    let next = 2;
    const more = async (): Promise<void> => {
      for (const batch of batches.slice(next, next + 5)) await sender.add([batch]);
      next += 5;
    };
    const faults: readonly (() => Promise<void>)[] = [
      () => server.restart(),
      () => server.restart({ wiped: true }),
      () => ask(`STREAM.PURGE.${STREAM_NAME}`),
      () => ask(`STREAM.DELETE.${STREAM_NAME}`),
      async () => {
        server.pause();
        await more();
        await eventually('the silence is noticed', () => !sender.client.stream.connected, 20_000);
        server.resume();
      },
      () => server.restart(),
    ];
    for (const fault of faults) {
      await more();
      await receiver.reaches(formatPosition(sender.wal.durable));
      await fault();
      await more();
    }
    await receiver.reaches(formatPosition(sender.wal.durable));
    await eventually('all is acknowledged', () => sender.ship.unshipped === 0, 20_000);
    const read = (one: Side) => Buffer.concat(one.wal.read(x, 1, 1e9));
    assert.equal(Buffer.compare(read(receiver), read(sender)), 0, 'the same bytes');
    assert.deepEqual([sender.fatal, receiver.fatal], [[], []]);
  });

  it('away for longer than ten tries to connect: the connection returns by itself, and shipping continues (schedule 11)', async () => {
    const batches = viewChain(x, 4);
    const { sender, receiver } = await running(batches.slice(0, 2));
    await server.kill();
    await eventually('the loss is noticed', () => !sender.client.stream.connected);
    const beganMs = performance.now();
    await sender.add([batches[2]!]);
    await eventually(
      'fifteen tries have passed',
      () => performance.now() - beganMs > 15 * connection.reconnectTimeWaitMs,
    );
    await server.restart();
    await receiver.reaches(`${x}:15`);
    await sender.add([batches[3]!]);
    await receiver.reaches(`${x}:20`);
  });

  it('two shippers of one origin, as a cloned disk would start: every batch is in the stream once, in order (schedule 9)', async () => {
    const batches = viewChain(x, 20);
    const one = side('us-east').start();
    const two = side('us-east').start();
    const receiver = side('eu-west').start();
    for (const batch of batches) await Promise.all([one.add([batch]), two.add([batch]).catch(() => undefined)]);
    await receiver.reaches(`${x}:100`);
    const { first, last } = await receiver.client.stream.info();
    let bytes = Buffer.alloc(0);
    for (let sequence = first; sequence <= last; sequence++) {
      bytes = Buffer.concat([bytes, (await receiver.client.stream.message(sequence))!.bytes]);
    }
    assert.equal(Buffer.compare(bytes, Buffer.concat(batches.map((batch) => batch.bytes))), 0);
  });
});
