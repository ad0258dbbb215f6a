/** The region joined as in production, on a store, a stream and peers of the test's: what only the joint can get wrong. */
import assert from 'node:assert/strict';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { createRegion, type Region } from '../../services/region/region.ts';
import type { PeerLink } from '../../services/region/repair/repair.ts';
import { clockHindrance, largestOffsetMs } from '../../services/region/role/clock-check.ts';
import { openLog } from '../../services/region/wal/log.ts';
import { Fault } from '../../shared/errors/errors.ts';
import { systemClock as clock, systemRandom as random } from '../../shared/kernel/system.ts';
import { silentLog } from '../../shared/observe/log.ts';
import { createMetrics } from '../../shared/observe/metrics.ts';
import type { RegionStatus } from '../../shared/protocol/internal.ts';
import { viewChain } from '../harness/batches.ts';
import { CoreRegion, noSnapshots, testSchema } from '../harness/core-region.ts';
import { eventually } from '../harness/eventually.ts';
import { ManualClock } from '../harness/manual-clock.ts';
import { MemoryStore } from '../harness/memory-store.ts';
import { MemoryStoreHome } from '../harness/memory-store-home.ts';
import { MemoryBroker } from '../harness/memory-stream.ts';

const x = 'eu-west@aaaaaaaaaa';

interface Running {
  readonly store: MemoryStore;
  readonly region: Region;
  readonly fatal: unknown[];
  status(): Promise<RegionStatus>;
  cut(cut: boolean): Promise<RegionStatus>;
  log(from: number): Promise<Response>;
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
      links,
      intakeQueueLimit: 1_000,
      logMaxBytes: 2 ** 40,
      maxBodyBytes: 2 ** 20,
      maxInFlight: 100,
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
      status: () => json('/internal/status'),
      cut: (cut) =>
        json('/internal/cut', {
          method: 'POST',
          headers: { 'content-type': 'application/json' },
          body: JSON.stringify({ cut }),
        }),
      log: (from) => fetch(`${url}/internal/log/${x}?from=${from}`),
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

  it('a heal that comes while the cut is being stored heals that cut', async () => {
    const one = await start(new MemoryStore());
    one.store.holdFlushes();
    const cutting = one.cut(true);
    await eventually('the cut is being stored', () => one.store.get('marks', 'cut') !== undefined);
    const healing = one.cut(false);
    await one.status();
    one.store.releaseFlushes();
    await Promise.all([cutting, healing]);
    assert.equal((await one.status()).cut, false);
    assert.equal(openLog({ store: one.store.backup() }).mark('cut'), false);
  });

  it('a restarted region stays cut, serves no log meanwhile, and does so again when healed (schedule 26)', async () => {
    const store = new MemoryStore();
    await openLog({ store }).append({ batches: viewChain(x, 2) });
    const one = await start(store);
    assert.equal((await one.cut(true)).cut, true);
    await one.stop();
    const again = await start(store.crash());
    assert.equal((await again.status()).cut, true);
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
      status: async () => ({ ...holder.status(), clockMs: clock.nowMs() }),
      log: async (origin, from) => {
        if (served >= limit) throw new Fault('peer_unreachable', 'eu-west does not answer');
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

  it('a directory belongs to one region', async () => {
    const store = new MemoryStore();
    await openLog({ store }).storeMark('region', 'eu-west');
    await assert.rejects(start(store), /eu-west/);
  });
});

describe('clock check (schedule 21)', () => {
  const peers = (...offsets: readonly number[]) => {
    const views = new Map(
      offsets.map((clockOffsetMs, index) => [
        String(index),
        { clockOffsetMs, reachable: true, atMs: 0, status: undefined as never },
      ]),
    );
    return { views, expected: offsets.length, start() {}, poll: async () => {}, onPolled() {}, stop: async () => {} };
  };

  it('off the median of two others by more than 30 s: no accepting', () => {
    assert.equal(clockHindrance('us-east', peers(31_000, 30_500))?.code, 'clock_unsafe');
    assert.equal(clockHindrance('us-east', peers(-31_000, -40_000))?.code, 'clock_unsafe');
    assert.equal(clockHindrance('us-east', peers(29_000, 30_500)), undefined);
    assert.equal(clockHindrance('us-east', peers(0, 500_000, 100)), undefined, 'one bad clock among the others');
  });

  it('one other alone proves nothing, an unreachable one does not count', () => {
    assert.equal(clockHindrance('us-east', peers(3_600_000)), undefined);
    const both = peers(40_000, 40_000);
    both.views.set('1', { ...both.views.get('1')!, reachable: false });
    assert.equal(clockHindrance('us-east', both), undefined);
    assert.equal(largestOffsetMs(peers(-5_000, 1_000)), 5_000);
  });
});
