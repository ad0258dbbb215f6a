/** A region changes from one store to another inside one process: requests on the socket, what is kept, what a crash leaves. */
import assert from 'node:assert/strict';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { createHttpPeerLink } from '../../../services/region/peers/http-peer-link.ts';
import { createRegionHost, type RegionHost } from '../../../services/region/region-host.ts';
import { openLog } from '../../../services/region/wal/log.ts';
import { Fault } from '../../../shared/errors/errors.ts';
import { systemClock as clock, systemRandom as random } from '../../../shared/kernel/system.ts';
import type { Log } from '../../../shared/observe/log.ts';
import { createMetrics } from '../../../shared/observe/metrics.ts';
import type { DigestReply, RegionStatus } from '../../../shared/protocol/internal.ts';
import { eventually } from '../../harness/kernel/eventually.ts';
import { RecordingLog } from '../../harness/observe/recording-log.ts';
import { silentLog } from '../../harness/observe/silent-log.ts';
import { freePort } from '../../harness/processes/nats-server.ts';
import { viewChain } from '../../harness/region/batches.ts';
import { testSchema } from '../../harness/region/core-region.ts';
import { storeOfOldOrigins } from '../../harness/region/old-origins.ts';
import { inProcessVectors } from '../../harness/region/state/vectors/vector-in-process.ts';
import { MemoryStoreHome } from '../../harness/region/store/memory-store-home.ts';
import type { MemoryClient } from '../../harness/stream/memory-client.ts';
import { MemoryBroker } from '../../harness/stream/memory-stream.ts';

/** Of a region that is down: it is not shipped, so only a peer has it. */
const x = 'ap-south@aaaaaaaaaa';
const y = 'eu-west@bbbbbbbbbb';
const both = `${x}:150,${y}:15`;

interface Running {
  readonly url: string;
  readonly home: MemoryStoreHome;
  readonly host: RegionHost;
  readonly fatal: unknown[];
  get<T>(path: string): Promise<{ readonly status: number; readonly body: T }>;
  status(): Promise<RegionStatus>;
  /** As a kill: the socket closes, nothing is finished, the stores are as they were on their disk. */
  die(): Promise<MemoryStoreHome>;
  stop(): Promise<void>;
}

describe('region host', () => {
  let broker: MemoryBroker;
  const running: Running[] = [];

  beforeEach(() => {
    broker = new MemoryBroker({ clock });
  });

  afterEach(async () => {
    for (const region of running.splice(0)) await region.stop();
    await broker.stop();
  });

  async function start(
    region: string,
    port: number,
    home: MemoryStoreHome,
    peers: Readonly<Record<string, number>>,
    log: Log = silentLog,
  ): Promise<Running> {
    const client: MemoryClient = broker.connect(region);
    const fatal: unknown[] = [];
    const links = Object.entries(peers).map(([name, at]) =>
      createHttpPeerLink({ region: name, url: `http://127.0.0.1:${at}`, clock }),
    );
    const host = await createRegionHost({
      region,
      clock,
      random,
      log,
      metrics: createMetrics({ process: 'region', name: region, nodeMetrics: false }),
      home,
      stream: client.stream,
      control: client.control,
      schema: testSchema,
      schemaFile: 'schema.yaml',
      openVectors: inProcessVectors(),
      links,
      intakeQueueLimit: 1_000,
      intakeQueueBytes: 2 ** 24,
      logMaxBytes: 2 ** 40,
      logRetentionBytes: 2 ** 40,
      checkpointEvents: 1_000_000,
      checkpointIntervalMs: 600_000,
      idempotencyKeysLimit: 1_000_000,
      clientIdempotencyKeys: 0,
      maxBodyBytes: 2 ** 20,
      maxBodiesBytes: 2 ** 24,
      httpLimits: { inFlight: 100, arrivingBodies: 512, answersBytes: 128 * 1024 * 1024 },
      onFatal: (error) => fatal.push(error),
    });
    const handler = host.app.callback();
    const server: Server = createServer((request, response) => void handler(request, response));
    await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve));
    host.start();
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    const close = async (): Promise<void> => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    };
    let over = false;
    const one: Running = {
      url,
      home,
      host,
      fatal,
      async get<T>(path: string) {
        const answer = await fetch(url + path);
        return { status: answer.status, body: (await answer.json()) as T };
      },
      status: async () => (await one.get<RegionStatus>('/internal/status')).body,
      async die() {
        over = true;
        await close();
        const after = home.crash();
        void host.stop();
        await client.close();
        await Promise.all(links.map((link) => link.close()));
        return after;
      },
      async stop() {
        if (over) return;
        over = true;
        await close();
        await host.stop();
        await client.close();
        await Promise.all(links.map((link) => link.close()));
      },
    };
    running.push(one);
    return one;
  }

  async function homeWith(...chains: readonly ReturnType<typeof viewChain>[]): Promise<MemoryStoreHome> {
    const home = new MemoryStoreHome();
    const wal = openLog({ store: home.open() });
    for (const batches of chains) await wal.append({ batches });
    return home;
  }

  const digest = async (one: Running): Promise<string> => (await one.get<DigestReply>('/internal/digest')).body.digest;

  it('an empty region becomes its peer’s copy: ready only then, the same bits, the metrics continue counting', async () => {
    const [a, b] = [await freePort(), await freePort()];
    const holder = await start('us-east', a, await homeWith(viewChain(x, 30)), { 'eu-west': b });
    const empty = await start('eu-west', b, new MemoryStoreHome(), { 'us-east': a });
    await eventually('the snapshot is installed', () => empty.host.generation === 2);
    await eventually('it is ready', async () => (await empty.status()).ready);
    assert.equal((await empty.status()).applied, `${x}:150`);
    assert.equal(await digest(empty), await digest(holder));
    const metrics = await (await fetch(`${empty.url}/metrics`)).text();
    assert.match(metrics, /tidal_snapshots_installed_total\{outcome="installed",[^}]*\} 1\n/);
    assert.match(metrics, /tidal_applied_position_events\{[^}]*\} 150\n/);
    assert.match(metrics, /tidal_repaired_events_total\{[^}]*\} 0\n/, 'nothing came batch by batch');
    const status = await empty.status();
    assert.deepEqual([status.region, status.partitioned, status.snapshot], ['eu-west', false, undefined]);
    assert.deepEqual([...holder.fatal, ...empty.fatal], []);
    assert.equal(openLog({ store: empty.home.store.backup() }).mark('region'), 'eu-west');
    assert.equal(openLog({ store: empty.home.store.backup() }).mark('catching_up'), false);
  });

  it('refuses while it changes, answers that it is alive, and takes the next requests on the same socket', async () => {
    const [a, b] = [await freePort(), await freePort()];
    await start('us-east', a, await homeWith(viewChain(x, 30)), { 'eu-west': b });
    const home = new MemoryStoreHome();
    const empty = await start('eu-west', b, home, { 'us-east': a });
    let refusedIt: Response | undefined;
    let refusal: { code?: string } = {};
    const seen: number[] = [];
    let metrics = '';
    home.onStep = async (step) => {
      if (step !== 'before the switch') return;
      refusedIt = await fetch(`${empty.url}/internal/status`);
      refusal = (await refusedIt.json()) as { code?: string };
      for (const path of ['/health/live', '/health/ready', '/metrics', '/feed']) {
        const answer = await fetch(empty.url + path);
        seen.push(answer.status);
        const text = await answer.text();
        if (path === '/metrics') metrics = text;
      }
    };
    await eventually('the snapshot is installed', () => empty.host.generation === 2);
    assert.deepEqual([refusedIt?.status, refusal.code, seen], [503, 'not_ready', [200, 503, 200, 503]]);
    assert.equal(refusedIt?.headers.get('content-type'), 'application/problem+json');
    assert.ok(Number(refusedIt?.headers.get('retry-after')) > 0);
    assert.match(metrics, /tidal_applied_position_events\{/);
    await eventually('it is ready', async () => (await empty.status()).ready);
  });

  it('a stop ends the restoration of the store that it changes to, and is no failure', async () => {
    const [a, b] = [await freePort(), await freePort()];
    const holder = await start('us-east', a, await homeWith(viewChain(x, 30)), { 'eu-west': b });
    const home = new MemoryStoreHome();
    const log = new RecordingLog();
    home.onStep = async (step) => {
      if (step !== 'after the switch') return;
      // The peer has the batch, and is down.
      await holder.stop();
      await home.store.commit((transaction) => transaction.put('batches', [x, 16], Buffer.from('damaged')));
    };
    const empty = await start('eu-west', b, home, { 'us-east': a }, log);
    const lines = (message: string): number => log.lines.filter((line) => line.message === message).length;
    await eventually('its peer is asked', () => lines('damaged batch not restored from peer') > 0);
    await empty.stop();
    assert.deepEqual(empty.fatal, []);
    assert.equal(empty.host.generation, 1);
    const reported = log.lines.find(({ message }) => message === 'damaged batches restored from peers');
    assert.deepEqual(reported?.fields, { restored: 0, left: 1, partitioned: false });
  });

  it('what only this region has is in the store it changes to (schedule 6)', async () => {
    const [a, b] = [await freePort(), await freePort()];
    const xs = viewChain(x, 30);
    await start('us-east', a, await homeWith(xs), { 'eu-west': b });
    // As after a kill during the first catch-up: a part of the others' log, and a tail that no other region has.
    const home = await homeWith(xs.slice(0, 4), viewChain(y, 3));
    await openLog({ store: home.store }).storeMark('catching_up', true);
    await openLog({ store: home.store }).storeMark('region', 'eu-west');
    const returning = await start('eu-west', b, home, { 'us-east': a });
    await eventually('the snapshot is installed', () => returning.host.generation === 2);
    await eventually('it is ready', async () => (await returning.status()).ready);
    assert.equal((await returning.status()).applied, both);
  });

  for (const step of ['before the switch', 'after the switch'] as const) {
    it(`a crash ${step} leaves a store that starts, and ends with everything`, async () => {
      const [a, b] = [await freePort(), await freePort()];
      const holder = await start('us-east', a, await homeWith(viewChain(x, 30)), { 'eu-west': b });
      const home = await homeWith(viewChain(y, 3));
      await openLog({ store: home.store }).storeMark('catching_up', true);
      home.onStep = (at) => {
        if (at === step) throw new Error('the power is gone');
      };
      const first = await start('eu-west', b, home, { 'us-east': a });
      await eventually('it dies', () => first.fatal.length > 0);
      const second = await start('eu-west', b, await first.die(), { 'us-east': a });
      await eventually('it is ready', async () => (await second.status()).ready);
      assert.equal((await second.status()).applied, both);
      await eventually('and the others have its tail', async () => (await holder.status()).applied === both);
      assert.equal(await digest(second), await digest(holder));
      assert.equal(second.host.generation, step === 'before the switch' ? 2 : 1);
    });
  }

  it('a region that has trimmed 2,000 origins, and is behind what its peer has trimmed of another one, recovers', async () => {
    const [a, b] = [await freePort(), await freePort()];
    const old = { regions: ['ap-south'], trimmed: true };
    const home = async (count: number): Promise<MemoryStoreHome> =>
      new MemoryStoreHome(await storeOfOldOrigins({ ...old, count }));
    const holder = await start('us-east', a, await home(2_001), { 'eu-west': b });
    const behind = await start('eu-west', b, await home(2_000), { 'us-east': a });
    await eventually('the snapshot is installed', () => behind.host.generation === 2);
    await eventually('it is ready', async () => (await behind.status()).ready);
    assert.equal((await behind.status()).applied, (await holder.status()).applied);
    assert.equal(await digest(behind), await digest(holder));
  }).timeout(30_000);

  it('a copy that cannot be installed is deleted: the former store stays in use, and is filled from the logs', async () => {
    const [a, b] = [await freePort(), await freePort()];
    await start('us-east', a, await homeWith(viewChain(x, 30)), { 'eu-west': b });
    const home = new MemoryStoreHome();
    home.onStep = (step) => {
      if (step === 'before the switch') throw new Fault('storage_full', 'injected');
    };
    const empty = await start('eu-west', b, home, { 'us-east': a });
    await eventually('it began anew on the former store', () => empty.host.generation === 2);
    await eventually('it is ready', async () => (await empty.status()).ready);
    assert.equal((await empty.status()).applied, `${x}:150`);
    assert.deepEqual(empty.fatal, []);
    const metrics = await (await fetch(`${empty.url}/metrics`)).text();
    assert.match(metrics, /tidal_snapshots_installed_total\{outcome="dropped",[^}]*\} 1\n/);
  });
});
