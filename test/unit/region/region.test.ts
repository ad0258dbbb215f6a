/** The region joined as in production, on a store, a stream and peers of the test's: what only the joint can get wrong. */

import assert from 'node:assert/strict';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { checkpointMark } from '../../../services/region/checkpoint/checkpoint.ts';
import { createHttpPeerLink } from '../../../services/region/peers/http-peer-link.ts';
import type { PeerLink } from '../../../services/region/peers/peers.ts';
import { createRegion, type Region } from '../../../services/region/region.ts';
import { openLog } from '../../../services/region/wal/log.ts';
import { Fault } from '../../../shared/errors/errors.ts';
import { systemClock as clock, systemRandom as random } from '../../../shared/kernel/system.ts';
import { createMetrics } from '../../../shared/observe/metrics.ts';
import { HLC_PER_MS } from '../../../shared/protocol/events.ts';
import type { RegionStatus } from '../../../shared/protocol/internal.ts';
import { readStatus } from '../../../shared/region-client/reported-status.ts';
import { eventually } from '../../harness/kernel/eventually.ts';
import { ManualClock } from '../../harness/kernel/manual-clock.ts';
import { silentLog } from '../../harness/observe/silent-log.ts';
import { chainOf, viewChain } from '../../harness/region/batches.ts';
import { CoreRegion, noSnapshots, testSchema } from '../../harness/region/core-region.ts';
import { inProcessVectors } from '../../harness/region/state/vectors/vector-in-process.ts';
import { MemoryStore } from '../../harness/region/store/memory-store.ts';
import { MemoryStoreHome } from '../../harness/region/store/memory-store-home.ts';
import { MemoryBroker } from '../../harness/stream/memory-stream.ts';

const x = 'eu-west@aaaaaaaaaa';

interface Running {
  readonly store: MemoryStore;
  readonly region: Region;
  readonly fatal: unknown[];
  readonly url: string;
  status(): Promise<RegionStatus>;
  cut(cut: boolean): Promise<RegionStatus>;
  log(from: number): Promise<Response>;
  fetch(path: string, init?: RequestInit): Promise<Response>;
  read(path: string): Promise<{ at: string; signals: Record<string, Record<string, number>> }>;
  stop(): Promise<void>;
}

describe('region', () => {
  let broker: MemoryBroker;
  const running: Running[] = [];

  beforeEach(() => {
    broker = new MemoryBroker({ clock });
  });

  afterEach(async () => {
    for (const region of running.splice(0)) await region.stop();
    await broker.stop();
  });

  async function start(store: MemoryStore, links: readonly PeerLink[] = []): Promise<Running> {
    const client = broker.connect('us-east');
    const fatal: unknown[] = [];
    const region = await createRegion({
      region: 'us-east',
      clock,
      random,
      log: silentLog,
      metrics: createMetrics({ process: 'region', name: 'us-east', nodeMetrics: false }),
      store,
      home: new MemoryStoreHome(store),
      onArrived: (arrived) => fatal.push(arrived),
      stream: client.stream,
      control: client.control,
      schema: testSchema,
      schemaFile: 'schema.yaml',
      openVectors: inProcessVectors(),
      links,
      intakeQueueLimit: 1_000,
      intakeQueueBytes: 64 * 1024 * 1024,
      maxBodiesBytes: 64 * 1024 * 1024,
      logMaxBytes: 2 ** 40,
      logRetentionBytes: 2 ** 40,
      checkpointEvents: 1_000,
      checkpointIntervalMs: 60_000,
      idempotencyKeysLimit: 1_000,
      clientIdempotencyKeys: 0,
      maxBodyBytes: 2 ** 20,
      httpLimits: { inFlight: 100, arrivingBodies: 512, answersBytes: 128 * 1024 * 1024 },
      onFatal: (error) => fatal.push(error),
    });
    region.start();
    const server: Server = createServer(region.app.callback());
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    const json = async (path: string, init?: RequestInit): Promise<RegionStatus> =>
      (await (await fetch(url + path, init)).json()) as RegionStatus;
    let over = false;
    const one: Running = {
      store,
      region,
      fatal,
      url,
      status: () => json('/internal/status'),
      cut: (cut) =>
        json('/internal/partition', {
          method: 'POST',
          headers: { 'content-type': 'application/json' },
          body: JSON.stringify({ partitioned: cut }),
        }),
      log: (from) => fetch(`${url}/internal/log/${x}?from=${from}`),
      fetch: (path, init) => fetch(url + path, init),
      read: async (path) => (await (await fetch(url + path)).json()) as Awaited<ReturnType<Running['read']>>,
      async stop() {
        if (over) return;
        over = true;
        store.releaseFlushes();
        server.closeAllConnections();
        await new Promise((resolve) => server.close(resolve));
        await region.stop();
        await client.close();
      },
    };
    running.push(one);
    return one;
  }

  it('a heal during the storing of the partition heals it', async () => {
    const one = await start(new MemoryStore());
    one.store.holdFlushes();
    const partitioning = one.cut(true);
    await eventually('the cut is being stored', () => one.store.get('marks', 'cut') !== undefined);
    const healing = one.cut(false);
    await one.status();
    one.store.releaseFlushes();
    await Promise.all([partitioning, healing]);
    assert.equal((await one.status()).partitioned, false);
    assert.equal(openLog({ store: one.store.backup() }).mark('cut'), false);
  });

  it('a restarted region stays partitioned, serves no log meanwhile, and does so again when healed (schedule 26)', async () => {
    const store = new MemoryStore();
    await openLog({ store }).append({ batches: viewChain(x, 2) });
    const one = await start(store);
    assert.equal((await one.cut(true)).partitioned, true);
    await one.stop();
    const again = await start(store.crash());
    assert.equal((await again.status()).partitioned, true);
    assert.equal((await again.log(1)).status, 503);
    await again.cut(false);
    const served = await again.log(7);
    assert.equal(served.status, 200);
    assert.equal(Buffer.compare(Buffer.from(await served.arrayBuffer()), viewChain(x, 2)[1]!.bytes), 0);
  });

  it('a region that caught up from nothing only in part is not ready after a restart either (schedule 17)', async () => {
    const peerClock = new ManualClock();
    const holder = new CoreRegion({ region: 'eu-west', clock: peerClock, broker });
    await holder.ingest.take(viewChain(x, 4));
    let served = 0;
    let limit = 1;
    const link: PeerLink = {
      region: 'eu-west',
      status: async () => readStatus('eu-west', { ...holder.status(), clockMs: clock.nowMs() }),
      log: async (origin, from) => {
        if (served >= limit) throw new Fault('no_answer', 'eu-west does not answer');
        served++;
        return Buffer.concat(holder.wal.read(origin, from, 1));
      },
      ...noSnapshots('eu-west'),
    };
    const one = await start(new MemoryStore(), [link]);
    await eventually('a part is here', async () => (await one.status()).durable === `${x}:5`);
    assert.equal((await one.status()).ready, false);
    const { store } = one;
    await one.stop();
    const again = await start(store.crash(), [link]);
    assert.equal((await again.status()).ready, false);
    limit = 1_000;
    await eventually('all is here', async () => (await again.status()).ready);
    assert.equal((await again.status()).applied, `${x}:20`);
    await again.stop();
    const last = await start(again.store.crash(), []);
    assert.equal((await last.status()).ready, true, 'an old truth is ready at once');
  });

  it('an origin of its own that is fetched from a peer is shipped when it is here, not with the next write', async () => {
    const own = 'us-east@bbbbbbbbbb';
    const holder = new CoreRegion({ region: 'eu-west', clock: new ManualClock(), broker });
    await holder.ingest.take(viewChain(own, 4));
    const link: PeerLink = {
      region: 'eu-west',
      status: async () => readStatus('eu-west', { ...holder.status(), clockMs: clock.nowMs() }),
      log: async (origin, from) => Buffer.concat(holder.wal.read(origin, from, 1)),
      ...noSnapshots('eu-west'),
    };
    const one = await start(new MemoryStore(), [link]);
    await eventually('all is here', async () => (await one.status()).applied === `${own}:20`);
    // Whether it goes to the stream or every peer has it already: nothing of it is left to ship.
    await eventually('nothing is left to ship', async () => (await one.status()).unshipped === 0, 5_000);
  });

  it('reads answer for the newest event of a leader whose clock is ahead, so that it is seen, but at most 5 min ahead (schedule 21)', async () => {
    for (const [aheadMs, expectedMs] of [
      [4 * 60_000, 4 * 60_000],
      [365 * 86_400_000, 5 * 60_000],
    ] as const) {
      const acceptedMs = clock.nowMs() + aheadMs;
      const at = { hlc: acceptedMs * HLC_PER_MS, entity: 7 };
      const store = new MemoryStore();
      await openLog({ store }).append({
        batches: chainOf({ origin: x }, [
          [
            { kind: 'item', ...at, metadata: { title: 'seven' } },
            { kind: 'signal', ...at, hlc: at.hlc + 1, signal: 'view', weight: 1_000, timeMs: acceptedMs },
          ],
        ]),
      });
      const one = await start(store);
      const { at: answered, signals } = await one.read('/items/7');
      const offMs = Date.parse(answered) - clock.nowMs();
      assert.ok(Math.abs(offMs - expectedMs) < 5_000, `${offMs} ms ahead`);
      const { decayed, all } = signals.view!;
      assert.equal(all, 1);
      // Within the ledger’s own accuracy.
      if (expectedMs === aheadMs) assert.ok(decayed! <= 1 + 1e-6, `one view weighs ${decayed}`);
      else assert.ok(Number.isFinite(decayed), `one view weighs ${decayed}`);
      const pinned = await one.read(`/items/7?at=${acceptedMs + 60_000}`);
      assert.equal(Date.parse(pinned.at), acceptedMs + 60_000);
      await one.stop();
    }
  });

  it('a broker that takes less than a batch is named in the status (schedule 10)', async () => {
    const one = await start(new MemoryStore());
    await eventually('connected', async () => (await one.status()).streamConnected);
    assert.equal((await one.status()).streamLimitBytes, undefined);
    await one.stop();
    broker.payloadLimitBytes = 256 * 1024;
    const other = await start(new MemoryStore());
    await eventually('connected', async () => (await other.status()).streamConnected);
    assert.equal((await other.status()).streamLimitBytes, 248 * 1024);
  });

  it('the leader returns with an empty disk and no other region answers: it neither accepts nor serves (schedule 17)', async () => {
    const router = broker.connect('router');
    await eventually('connected', () => router.stream.connected);
    assert.notEqual(await router.control.create({ leader: 'us-east', epoch: 7, nonce: 'n' }), 'conflict');
    const link: PeerLink = {
      region: 'eu-west',
      status: () => Promise.reject(new Fault('no_answer', 'eu-west does not answer')),
      log: () => Promise.reject(new Fault('no_answer', 'eu-west does not answer')),
      ...noSnapshots('eu-west'),
    };
    const one = await start(new MemoryStore(), [link]);
    await eventually('it knows that it leads', async () => (await one.status()).role === 'leader');
    const { ready, writeBlocker } = await one.status();
    assert.deepEqual([ready, writeBlocker?.code], [false, 'not_ready']);
    const writes = await one.fetch('/internal/writes', {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ epoch: 7, atomic: false, writes: [{ k: 'd', e: 1 }] }),
    });
    assert.equal(writes.status, 503);
    for (const path of ['/feed', '/search?query=a', '/items/1'])
      assert.equal((await one.fetch(path)).status, 503, path);
    assert.equal((await one.status()).durable, '');
  });

  it('what was trimmed is refused as such, and a peer gets that refusal (schedule 6)', async () => {
    const store = new MemoryStore();
    const wal = openLog({ store });
    await wal.append({ batches: viewChain(x, 3) });
    await wal.storeMark('checkpoint', checkpointMark({ position: new Map([[x, 10]]), atMs: 1 }));
    await wal.trim(x, 10, 1 << 20);
    const one = await start(store);
    const refused = await one.log(10);
    assert.equal(refused.status, 410);
    assert.equal(((await refused.json()) as { code: string }).code, 'log_trimmed');
    assert.equal((await one.log(11)).status, 200);
    const link = createHttpPeerLink({ region: 'us-east', url: one.url, clock });
    try {
      await assert.rejects(link.log(x, 1), { name: 'Refusal', code: 'log_trimmed' });
      assert.equal(Buffer.compare(Buffer.from(await link.log(x, 11)), viewChain(x, 3)[2]!.bytes), 0);
      assert.equal((await link.log(x, 16)).length, 0, 'what is not there yet is no more than empty');
      await one.cut(true);
      await assert.rejects(link.log(x, 1), { name: 'Refusal', code: 'region_unreachable' });
    } finally {
      await link.close();
    }
  });

  it('a directory belongs to one region', async () => {
    const store = new MemoryStore();
    await openLog({ store }).storeMark('region', 'eu-west');
    await assert.rejects(start(store), /eu-west/);
  });
});
