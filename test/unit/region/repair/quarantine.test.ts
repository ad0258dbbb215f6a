/** Events that no region can apply are set aside on all regions alike; a region that meets one waits for that instead of ending. */
import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { decodeBatchUnder } from '../../../../services/region/batch/batch.ts';
import { createHttpPeerLink } from '../../../../services/region/peers/http-peer-link.ts';
import { createRegionHost } from '../../../../services/region/region-host.ts';
import { checkLog } from '../../../../services/region/snapshot/check-log.ts';
import { mergeInto } from '../../../../services/region/snapshot/merge.ts';
import { openLog } from '../../../../services/region/wal/log.ts';
import { systemClock as clock, systemRandom as random } from '../../../../shared/kernel/system.ts';
import { createMetrics } from '../../../../shared/observe/metrics.ts';
import type { DigestReply, RegionStatus } from '../../../../shared/protocol/internal.ts';
import { Quarantine } from '../../../../shared/protocol/quarantine.ts';
import { type Answer, requestJson } from '../../../harness/clients/request-json.ts';
import { eventually } from '../../../harness/kernel/eventually.ts';
import { silentLog } from '../../../harness/observe/silent-log.ts';
import { freePort } from '../../../harness/processes/nats-server.ts';
import { testSchema } from '../../../harness/region/core-region.ts';
import { appendUnchecked, poisonedBatches, twiceInOneBatch } from '../../../harness/region/poisoned-log.ts';
import { inProcessVectors } from '../../../harness/region/state/vectors/vector-in-process.ts';
import { MemoryStore } from '../../../harness/region/store/memory-store.ts';
import { MemoryStoreHome } from '../../../harness/region/store/memory-store-home.ts';
import { MemoryBroker } from '../../../harness/stream/memory-stream.ts';

const origin = 'ap-south@aaaaaaaaaa';
const startMs = 1_750_000_000_000;

interface Running {
  readonly home: MemoryStoreHome;
  readonly fatal: readonly unknown[];
  get<T = Record<string, unknown>>(path: string): Promise<Answer<T>>;
  setAside(first: number, last?: number): Promise<Answer>;
  status(): Promise<RegionStatus>;
  digest(): Promise<DigestReply>;
  stop(): Promise<void>;
}

describe('quarantine', () => {
  const { all, before } = poisonedBatches(origin, startMs);
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
    store: MemoryStore,
    port: number,
    peer?: readonly [string, number],
  ): Promise<Running> {
    const client = broker.connect(region);
    const fatal: unknown[] = [];
    const links =
      peer === undefined ? [] : [createHttpPeerLink({ region: peer[0], url: `http://127.0.0.1:${peer[1]}`, clock })];
    const home = new MemoryStoreHome(store);
    const host = await createRegionHost({
      ...{ region, clock, random, log: silentLog, home, links, schema: testSchema, schemaFile: 'schema.yaml' },
      metrics: createMetrics({ process: 'region', name: region, nodeMetrics: false }),
      stream: client.stream,
      control: client.control,
      openVectors: inProcessVectors(),
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
    const server = createServer((request, response) => void handler(request, response));
    await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve));
    host.start();
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    const one: Running = {
      home,
      fatal,
      get: (path) => requestJson(url + path),
      setAside: (first, last = first) =>
        requestJson(`${url}/internal/quarantine`, {
          method: 'POST',
          headers: { 'content-type': 'application/json' },
          body: JSON.stringify({ origin, first, last }),
        }),
      status: async () => (await one.get<RegionStatus>('/internal/status')).body,
      digest: async () => (await one.get<DigestReply>('/internal/digest')).body,
      async stop() {
        server.closeAllConnections();
        await new Promise((resolve) => server.close(resolve));
        await host.stop();
        await client.close();
        await Promise.all(links.map((link) => link.close()));
      },
    };
    running.push(one);
    return one;
  }

  async function storeOf(batches: typeof all): Promise<MemoryStore> {
    const store = new MemoryStore();
    await appendUnchecked(store, batches);
    return store;
  }

  it('a log with such events starts a region that names the event and waits, and continues once all are set aside', async () => {
    const one = await start('us-east', await storeOf(all), 0);
    for (const [first, last, next] of [
      [3, 3, 5],
      [5, 5, 6],
      [6, 7, undefined],
    ] as const) {
      const { stopped, ready } = await one.status();
      assert.equal(stopped?.code, 'unappliable_event');
      assert.match(stopped?.detail ?? '', new RegExp(`${origin}:${first}`));
      assert.equal(ready, false);
      assert.equal((await one.get('/health/live')).status, 200);
      const health = await one.get('/health/ready');
      assert.deepEqual([health.status, health.body.status], [503, 'blocked']);
      assert.deepEqual([(await one.get('/feed')).status, (await one.get('/feed')).body.code], [503, 'not_ready']);
      assert.equal((await one.setAside(first, last)).status, 200);
      if (next !== undefined) assert.match((await one.status()).stopped?.detail ?? '', new RegExp(`:${next}`));
    }
    const status = await one.status();
    assert.deepEqual(
      [status.stopped, status.applied, status.quarantined],
      [undefined, `${origin}:8`, `${origin}:3-3,${origin}:5-7`],
    );
    assert.equal((await one.get('/items/7')).status, 404, 'the put that was set aside counts as a deletion');
    const { digest } = await one.digest();
    await one.stop();
    running.pop();
    const again = await start('us-east', one.home.store.crash(), 0);
    assert.equal((await again.digest()).digest, digest, 'a restart finds the same state');
    assert.deepEqual(again.fatal, []);
  });

  it('two of one batch are set aside one after the other', async () => {
    const one = await start('us-east', await storeOf(twiceInOneBatch(origin, startMs)), 0);
    for (const sequence of [1, 2]) {
      assert.match((await one.status()).stopped?.detail ?? '', new RegExp(`${origin}:${sequence}`));
      assert.equal((await one.setAside(sequence)).status, 200);
    }
    assert.deepEqual([(await one.status()).applied, one.fatal], [`${origin}:2`, []]);
  });

  it('a region that had none of it takes it from a peer once it is set aside, to the same bits; before that the origin stops', async () => {
    const ports = [await freePort(), await freePort()] as const;
    const whole = await start('us-east', await storeOf(all), ports[0], ['eu-west', ports[1]]);
    const other = await start('eu-west', await storeOf(before), ports[1], ['us-east', ports[0]]);
    for (const [first, last] of [
      [3, 3],
      [5, 5],
      [6, 7],
    ] as const) {
      await whole.setAside(first, last);
    }
    await eventually('the origin stops where it is not set aside', async () => {
      const { stopped } = await other.status();
      return stopped?.code === 'invalid_event' && stopped.origins?.[0] === origin && /:3/.test(stopped.detail);
    });
    assert.equal((await other.status()).durable, `${origin}:2`, 'nothing of it was appended');
    const same = async (region: Running): Promise<Answer> => region.setAside(3, 7);
    assert.equal((await same(other)).status, 200);
    await eventually('it has taken all', async () => (await other.status()).applied === `${origin}:8`);
    assert.notEqual(
      (await other.digest()).digest,
      (await whole.digest()).digest,
      'event 4 is set aside in one of them only',
    );
    assert.equal((await same(whole)).status, 409, 'it is in that state already');
  });

  it('all regions with one set have one state, whether they had the events before or after', async () => {
    const ports = [await freePort(), await freePort()] as const;
    const whole = await start('us-east', await storeOf(all), ports[0], ['eu-west', ports[1]]);
    const other = await start('eu-west', await storeOf(before), ports[1], ['us-east', ports[0]]);
    for (const region of [whole, other]) {
      for (const [first, last] of [
        [3, 3],
        [5, 5],
        [6, 7],
      ] as const) {
        assert.equal((await region.setAside(first, last)).status, 200);
        assert.equal((await region.setAside(first, last)).status, 200, 'again it does no harm');
      }
    }
    await eventually('both have all', async () => (await other.status()).applied === `${origin}:8`);
    const [a, b] = [await whole.digest(), await other.digest()];
    assert.deepEqual([a.position, a.digest], [b.position, b.digest]);
  });

  it('refuses what was applied, what is no range, and more than a hundred ranges', async () => {
    const one = await start('us-east', await storeOf(before), 0);
    assert.deepEqual((await one.setAside(2)).body.code, 'event_applied');
    assert.equal((await one.get<RegionStatus>('/internal/status')).body.quarantined, undefined);
    for (const [first, last] of [
      [0, 0],
      [5, 4],
      [1.5, 2],
      [3, 6_000],
      ['3', 3],
      [undefined, undefined],
    ]) {
      assert.deepEqual((await one.setAside(first as number, last as number)).body.code, 'invalid_request');
    }
    for (let n = 0; n < 100; n++) assert.equal((await one.setAside(10 + 2 * n)).status, 200);
    assert.equal((await one.setAside(1_000)).body.code, 'quarantine_full');
    assert.equal((await one.setAside(10)).status, 200);
  });

  it('a snapshot and a backup carry the set, and a merge has both sides’', async () => {
    const store = await storeOf(all);
    const wal = openLog({ store });
    await assert.rejects(checkLog(clock, wal), { code: 'damaged_log' });
    await wal.setAside({ origin, first: 3, last: 3 });
    await wal.setAside({ origin, first: 5, last: 7 });
    assert.equal((await checkLog(clock, openLog({ store }))).events, 8);
    const copy = openLog({ store: await storeOf(before) });
    await copy.setAside({ origin: 'eu-west@bbbbbbbbbb', first: 1, last: 2 });
    assert.equal(await mergeInto(wal, copy), 6);
    assert.equal(copy.quarantine.text, `${origin}:3-3,${origin}:5-7,eu-west@bbbbbbbbbb:1-2`);
    assert.equal((await checkLog(clock, copy)).events, 8);
  });

  it('a set has one text, however it came together', () => {
    const range = (first: number, last: number) => ({ origin, first, last });
    const one = new Quarantine([range(5, 7), range(3, 3)]).with(range(4, 4), {
      origin: 'a@aaaaaaaaaa',
      first: 1,
      last: 1,
    });
    assert.equal(one.text, `a@aaaaaaaaaa:1-1,${origin}:3-7`);
    assert.deepEqual([one.has(origin, 2), one.has(origin, 3), one.has(origin, 8)], [false, true, false]);
    assert.deepEqual(
      [one.covers(range(4, 6)), one.covers(range(4, 8)), one.touches(origin, 7, 9)],
      [true, false, true],
    );
  });

  it('what is set aside of a batch changes nothing of the events beside it', () => {
    const batch = decodeBatchUnder(new Quarantine([{ origin, first: 3, last: 3 }]), all[1]!.bytes);
    assert.deepEqual(
      batch.events.map((event) => [event.kind, event.kind === 'delete' ? event.aside : undefined]),
      [
        ['delete', 'item'],
        ['signal', undefined],
      ],
    );
    assert.deepEqual(batch.events[1], all[1]!.events[1]);
  });
});
