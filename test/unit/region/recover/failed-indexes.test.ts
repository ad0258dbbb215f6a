/**
 * An event on which only an index fails: the index counts as failed, by name; log, ledger, feeds, writes and other origins
 * continue, also after restarts.
 */

import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { createApplier } from '../../../../services/region/apply/applier.ts';
import type { Batch } from '../../../../services/region/batch/batch.ts';
import { createReading } from '../../../../services/region/http/reads/reading.ts';
import { recover } from '../../../../services/region/recover/recover.ts';
import { createRegionHost } from '../../../../services/region/region-host.ts';
import { createRegisters } from '../../../../services/region/state/catalog/registers.ts';
import { digestOf } from '../../../../services/region/state/digest/value-hash.ts';
import { Entities } from '../../../../services/region/state/entities/entities.ts';
import { createLedger } from '../../../../services/region/state/ledger/signal-ledger.ts';
import { createVectors } from '../../../../services/region/state/vectors/vector-client.ts';
import type { OpenVectorWorker } from '../../../../services/region/state/vectors/vector-worker.ts';
import { openLog } from '../../../../services/region/wal/log.ts';
import { systemClock, systemRandom } from '../../../../shared/kernel/system.ts';
import { createMetrics } from '../../../../shared/observe/metrics.ts';
import { type Event, HLC_PER_MS } from '../../../../shared/protocol/events.ts';
import type { RegionStatus } from '../../../../shared/protocol/internal.ts';
import { formatPosition } from '../../../../shared/protocol/position.ts';
import { requestJson } from '../../../harness/clients/request-json.ts';
import { eventually } from '../../../harness/kernel/eventually.ts';
import { ManualClock } from '../../../harness/kernel/manual-clock.ts';
import { unreadMetrics } from '../../../harness/observe/counted-metrics.ts';
import { silentLog } from '../../../harness/observe/silent-log.ts';
import { chainOf, startMs, viewEvent } from '../../../harness/region/batches.ts';
import { testSchema as schema } from '../../../harness/region/core-region.ts';
import { appendUnchecked, poisonedBatches } from '../../../harness/region/poisoned-log.ts';
import { toldIndex } from '../../../harness/region/state/told-index.ts';
import { inProcessVectors } from '../../../harness/region/state/vectors/vector-in-process.ts';
import { MemoryStore } from '../../../harness/region/store/memory-store.ts';
import { MemoryStoreHome } from '../../../harness/region/store/memory-store-home.ts';
import { MemoryBroker } from '../../../harness/stream/memory-stream.ts';

const origin = 'us-east@aaaaaaaaaa';
const log = silentLog;
const HOSTILE = 7;

/** Takes every item but one. */
function index(hostile: number | undefined = HOSTILE) {
  const told = new Set<number>();
  const put = (entity: number): void => {
    if (entity === hostile) throw new TypeError('no words');
    told.add(entity);
  };
  return { told, ...toldIndex({ put, remove: (entity: number) => void told.delete(entity) }) };
}

class Rig {
  readonly clock = new ManualClock();
  readonly catalog = createRegisters();
  readonly ledger = createLedger({ schema });
  readonly store;
  readonly wal;
  readonly recovered;
  readonly apply;

  constructor(store: MemoryStore, filterIndex: ReturnType<typeof index>, text: ReturnType<typeof index>) {
    const { clock, catalog, ledger } = this;
    const wal = openLog({ store });
    this.store = store;
    this.wal = wal;
    this.recovered = recover({ clock, log, wal, catalog, ledger, filterIndex, text });
    const copies = (id: string) => wal.copies(id);
    const vectors = { changed() {}, touched() {} };
    this.apply = createApplier({ metrics: unreadMetrics, clock, catalog, ledger, vectors, ...this.recovered, copies });
  }

  async take(batches: readonly Batch[]): Promise<void> {
    await this.wal.append({ batches });
    await this.clock.run(this.apply.apply(batches));
    await this.clock.advance(1);
  }

  get failed(): string | undefined {
    return this.recovered.indexing.failed;
  }
}

let hlc = startMs * HLC_PER_MS;
const item = (entity: number): Event => ({ kind: 'item', hlc: ++hlc, entity, metadata: { title: `${entity}` } });
const view = (entity: number): Event => ({ ...viewEvent(0, entity), hlc: ++hlc });
const batches = chainOf({ origin }, [
  [item(1), view(1)],
  [item(HOSTILE), item(2), view(2)],
  [item(3), { kind: 'delete', hlc: ++hlc, entity: 1 }],
]);

describe('an index that cannot take an item', () => {
  for (const [name, filterIndex, text] of [
    ['the filter index', () => index(), () => index(undefined)],
    ['the text index', () => index(undefined), () => index()],
  ] as const) {
    it(`${name}: all events are applied, and the index has failed, now and after restarts, until the item is deleted`, async () => {
      const store = new MemoryStore();
      const one = new Rig(store, filterIndex(), text());
      await one.take(batches);
      assert.equal(formatPosition(one.apply.applied), `${origin}:7`);
      assert.match(one.failed ?? '', /the indexes cannot take the item 7: no words/);
      const whole = new Rig(new MemoryStore(), index(undefined), index(undefined));
      await whole.take(batches);
      const digest = digestOf(whole.catalog, whole.ledger);
      assert.equal(digestOf(one.catalog, one.ledger), digest, 'state is what it is elsewhere');
      const again = new Rig(store.crash(), filterIndex(), text());
      assert.match(again.failed ?? '', /the item 7/);
      assert.equal(digestOf(again.catalog, again.ledger), digest);
      await again.take(
        chainOf({ origin: 'us-east@bbbbbbbbbb' }, [[{ kind: 'delete', hlc: ++hlc, entity: HOSTILE }, item(4)]]),
      );
      assert.match(again.failed ?? '', /the item 7/, 'what is half told is of no use');
      const [words, values] = [filterIndex(), text()];
      const last = new Rig(openAgain(again), words, values);
      assert.deepEqual([last.failed, last.recovered.indexing.complete], [undefined, true]);
      assert.deepEqual([...words.told].sort(), [2, 3, 4]);
      assert.deepEqual(words.told, values.told);
    });
  }

  it('items indexed in slices, and those that changed while threads built, end only the slices', async () => {
    const clock = new ManualClock();
    const store = new MemoryStore();
    await new Rig(store, index(undefined), index(undefined)).take(batches);
    const wal = openLog({ store });
    for (const building of [false, true]) {
      const catalog = createRegisters();
      let build = (_: unknown): void => undefined;
      let ended = 0;
      const rebuild = {
        ...{ begun: building, indexed: 0, add() {} },
        finish: () =>
          new Promise<never>((resolve) => {
            build = resolve as never;
          }),
        end: async () => void ended++,
      };
      const ledger = createLedger({ schema });
      const { indexing, indexQueue } = recover({
        ...{ clock, log, wal, catalog, ledger, filterIndex: index(), text: index(undefined) },
        ...(building ? { rebuild } : {}),
      });
      if (building) {
        const event = item(HOSTILE);
        catalog.apply({ event, order: { epoch: 1, hlc: event.hlc, origin, sequence: 100 } });
        indexQueue.wake();
        build({ text: {}, filterIndex: {} });
      } else indexing.start();
      await clock.advance(100);
      assert.match(indexing.failed ?? '', /the item 7/);
      assert.equal(ended, building ? 1 : 0);
      assert.equal(clock.pending, 0);
      const reading = createReading({ region: 'us-east', indexing, catalog, apply: {} } as never);
      assert.throws(() => reading.requireIndexes(), {
        code: 'not_ready',
        message: /us-east: filters and search are not/,
      });
      await indexing.stop();
    }
  });

  it('an index that crashes on an item counts as failed after three times, is still reopened, and is complete once the item is removed', async () => {
    const clock = new ManualClock();
    const entities = new Entities();
    const catalog = createRegisters({ entities });
    const embed = (entity: number): void => {
      const events: Event[] = [item(entity), { kind: 'embedding', hlc: ++hlc, entity, values: Float32Array.of(1, 2) }];
      for (const event of events) catalog.apply({ event, order: { epoch: 1, hlc: event.hlc, origin, sequence: hlc } });
    };
    embed(1);
    embed(HOSTILE);
    let opened = 0;
    const open: OpenVectorWorker = (options) => {
      opened++;
      const worker = inProcessVectors()(options);
      return {
        ...worker,
        post(message) {
          if (message.kind === 'changes' && message.entities.includes(HOSTILE) && catalog.embedding(HOSTILE)) {
            options.onExit(new Error('no such vector'));
          } else worker.post(message);
        },
      };
    };
    const metrics = createMetrics({ process: 'region', name: 'us-east', nodeMetrics: false });
    const vectors = createVectors({ clock, log, metrics, dimensions: 2, entities, catalog, open });
    const nearest = () => vectors.nearest({ values: Float32Array.of(1, 2), limit: 5 }, (hits) => hits.length);
    vectors.start();
    await clock.advance(2_500);
    assert.equal(vectors.stats.failed, undefined);
    await clock.advance(2_500);
    assert.match(vectors.stats.failed ?? '', /the vector index has ended 3 times .*: no such vector/);
    await assert.rejects(nearest(), { code: 'not_ready' });
    const before = opened;
    await clock.advance(600_000);
    assert.ok(opened > before && opened < before + 20, `opened ${opened - before} times in ten minutes`);
    catalog.apply({
      event: { kind: 'delete', hlc: ++hlc, entity: HOSTILE },
      order: { epoch: 1, hlc, origin, sequence: hlc },
    });
    vectors.changed(HOSTILE);
    await clock.advance(130_000);
    assert.equal(vectors.stats.failed, undefined);
    assert.equal(await clock.run(nearest()), 1);
    await clock.run(vectors.stop());
  });

  it('a region with such an item starts, says so in its status, answers feeds and takes what comes', async () => {
    const store = new MemoryStore();
    const { all } = poisonedBatches(origin, startMs);
    await appendUnchecked(store, all.slice(0, 2));
    // Its batches lie before a checkpoint: a start reads the registers alone.
    await openLog({ store }).storeMark('checkpoint', { position: `${origin}:4`, atMs: startMs });
    const broker = new MemoryBroker({ clock: systemClock });
    const client = broker.connect('us-east');
    const fatal: unknown[] = [];
    const host = await createRegionHost({
      ...{ region: 'us-east', clock: systemClock, random: systemRandom, log, schema, schemaFile: 'schema.yaml' },
      ...{ home: new MemoryStoreHome(store), links: [], stream: client.stream, control: client.control },
      metrics: createMetrics({ process: 'region', name: 'us-east', nodeMetrics: false }),
      openVectors: inProcessVectors(),
      ...{ intakeQueueLimit: 1_000, intakeQueueBytes: 2 ** 24, logMaxBytes: 2 ** 40, logRetentionBytes: 2 ** 40 },
      ...{
        checkpointEvents: 1_000_000,
        checkpointIntervalMs: 600_000,
        idempotencyKeysLimit: 1_000_000,
        clientIdempotencyKeys: 0,
      },
      ...{ maxBodyBytes: 2 ** 20, maxBodiesBytes: 2 ** 24 },
      httpLimits: { inFlight: 100, arrivingBodies: 512, answersBytes: 128 * 1024 * 1024 },
      onFatal: (error) => fatal.push(error),
    });
    const handler = host.app.callback();
    const server = createServer((request, response) => void handler(request, response));
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    host.start();
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    try {
      await eventually('it is ready', async () => {
        return (await requestJson<RegionStatus>(`${url}/internal/status`)).body.ready;
      });
      const { body } = await requestJson<RegionStatus>(`${url}/internal/status`);
      assert.match(body.failedIndexes?.join() ?? '', /cannot take the item 7/);
      assert.deepEqual([body.applied, body.stopped], [`${origin}:4`, undefined]);
      assert.equal((await requestJson(`${url}/feed?profile=new&limit=1`)).status, 200);
      const filtered = await requestJson<{ code: string; detail: string }>(`${url}/feed?profile=new&filter=title:a`);
      assert.deepEqual([filtered.status, filtered.body.code], [503, 'not_ready']);
      assert.match(filtered.body.detail, /the item 7/);
      assert.equal((await requestJson<{ code: string }>(`${url}/search?query=good`)).body.code, 'not_ready');
      assert.deepEqual(fatal, []);
    } finally {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
      await host.stop();
      await client.close();
      await broker.stop();
    }
  });
});

function openAgain({ store }: Rig): MemoryStore {
  return store.crash();
}
