/**
 * Snapshots of a peer with changed bytes and changed values, every checksum right again: each is refused in a sentence, and nothing
 * changed, or taken, and then the region works on it - reads, writes, checkpoint, restart.
 */

import assert from 'node:assert/strict';
import { crc32 } from 'node:zlib';
import { createApplier } from '../../services/region/apply/applier.ts';
import type { Apply } from '../../services/region/apply/apply.ts';
import type { Batch } from '../../services/region/batch/batch.ts';
import { createCheckpointer } from '../../services/region/checkpoint/checkpointer.ts';
import { describeSchema } from '../../services/region/compatible/compatible.ts';
import type { PeerLink } from '../../services/region/peers/peers.ts';
import { createRank } from '../../services/region/rank/profile-rank.ts';
import { type Recovered, recover } from '../../services/region/recover/recover.ts';
import { requireAccepted, takeDirectory } from '../../services/region/region-directory.ts';
import type { Schema } from '../../services/region/schema/schema.ts';
import { createBootstrap } from '../../services/region/snapshot/bootstrap.ts';
import { mergeInto } from '../../services/region/snapshot/merge.ts';
import type { ArrivedSnapshot } from '../../services/region/snapshot/snapshot.ts';
import { createRegisters } from '../../services/region/state/catalog/registers.ts';
import { digestOf } from '../../services/region/state/digest/value-hash.ts';
import { Entities } from '../../services/region/state/entities/entities.ts';
import { createFilterIndex } from '../../services/region/state/filter-index/bitmap-filter-index.ts';
import { createLedger } from '../../services/region/state/ledger/signal-ledger.ts';
import { createTextIndex } from '../../services/region/state/text/text-index.ts';
import type { Store, StoreTables, TableName } from '../../services/region/store/store.ts';
import { decodeEmbedding, decodeItem, encodeEmbedding, encodeItem } from '../../services/region/wal/documents.ts';
import { encodeCopies, KeyRow, type WriteCopy } from '../../services/region/wal/key-rows.ts';
import { openLog } from '../../services/region/wal/log.ts';
import { CheckedStore } from '../../services/region/wal/row-checksums.ts';
import type { Log } from '../../shared/observe/log.ts';
import { type Event, HLC_PER_MS } from '../../shared/protocol/events.ts';
import { formatPosition, positionOf } from '../../shared/protocol/position.ts';
import type { SnapshotOffer } from '../../shared/region-client/region-client.ts';
import type { ReportedStatus } from '../../shared/region-client/reported-status.ts';
import { mutated } from '../harness/hostile/garbage.ts';
import { ManualClock } from '../harness/kernel/manual-clock.ts';
import { drawBetween, drawOne, seededRandom } from '../harness/kernel/seeded-random.ts';
import { CountedMetrics, unreadMetrics } from '../harness/observe/counted-metrics.ts';
import { silentLog } from '../harness/observe/silent-log.ts';
import { chainOf, startMs, viewChain } from '../harness/region/batches.ts';
import { schemaOf } from '../harness/region/rank/signals-schema.ts';
import { forEachValue } from '../harness/region/state/stored-values.ts';
import { lunrQuery } from '../harness/region/state/text-queries.ts';
import { MemoryStore } from '../harness/region/store/memory-store.ts';
import { MemoryStoreHome } from '../harness/region/store/memory-store-home.ts';

const ROUNDS = 500;
const a = 'us-east@aaaaaaaaaa';
const b = 'eu-west@bbbbbbbbbb';
const own = 'ap-south@cccccccccc';
const regions = ['us-east', 'eu-west', 'ap-south'];
const MINUTE_MS = 60_000;
const schema: Schema = {
  ...schemaOf(['view', 'positive', 3_600], ['skip', 'negative', 86_400]),
  textFields: [{ name: 'title', boost: 1 }] as never,
};
const tables: readonly TableName[] = ['batches', 'origins', 'items', 'embeddings', 'keyed', 'keys', 'shards', 'marks'];

type Row = { [T in TableName]: readonly [T, StoreTables[T], Uint8Array] }[TableName];

/** All that a region builds on a store, as `region.ts` joins it. */
class State {
  readonly wal;
  readonly entities = new Entities();
  readonly catalog = createRegisters({ entities: this.entities });
  readonly ledger = createLedger({
    schema,
    entities: this.entities,
    createdMs: (ordinal) => this.catalog.createdMs(ordinal),
    decayed: new Set(['view']),
  });
  readonly filterIndex = createFilterIndex({
    entities: this.entities,
    metadataOf: (ordinal) => this.catalog.metadata(ordinal),
  });
  readonly text = createTextIndex({ schema, entities: this.entities });
  readonly recovered: Recovered;
  readonly apply: Apply;
  readonly checkpoint;

  constructor(store: MemoryStore, clock: ManualClock) {
    const wal = openLog({ store });
    const { catalog, ledger, filterIndex, text } = this;
    const log = silentLog;
    this.wal = wal;
    this.recovered = recover({ clock, log, wal, catalog, ledger, filterIndex, text });
    const copies = (id: string) => wal.copies(id);
    const vectors = { changed() {}, touched() {} };
    this.apply = createApplier({ metrics: unreadMetrics, clock, catalog, ledger, vectors, ...this.recovered, copies });
    this.checkpoint = createCheckpointer({
      metrics: unreadMetrics,
      ...{ clock, log, wal, ledger },
      applied: () => this.apply.applied,
      checkpointPosition: this.recovered.checkpointPosition,
      eventsLimit: 1e9,
      intervalMs: 1e9,
      onFatal: (error) => {
        throw error;
      },
    });
  }

  async take(batches: readonly Batch[]): Promise<void> {
    await this.wal.append({ batches });
    await this.apply.apply(batches);
  }

  digest(): string {
    return digestOf(this.catalog, this.ledger);
  }

  /** Everything that a client may ask for. */
  readAll(nowMs: number): void {
    const { catalog, ledger, filterIndex, text, entities } = this;
    for (const { entity } of catalog.items()) catalog.item(entity);
    for (const _ of catalog.embedded());
    forEachValue(ledger, (entity, [name]) => {
      const signal = String(name);
      for (const atMs of [0, nowMs, nowMs - 90 * MINUTE_MS, nowMs + 86_400_000, 4e12]) {
        ledger.read(entity, signal, atMs);
        ledger.past.watch(() => ledger.past.read(entity, signal, atMs));
      }
    });
    filterIndex.select([]).forEach((ordinal) => void entities.entity(ordinal));
    text.rank(lunrQuery('*a* something')).after(undefined, 10);
    const rank = createRank({ schema, entities, catalog, ledger, nowMs: () => nowMs });
    for (const profile of rank.profiles.filter((name) => name !== 'related')) {
      const query = { profile, window: '24h', entity: undefined, seed: '' } as const;
      rank.ranking(query, undefined, { atMs: nowMs, past: false }).after(undefined, 10);
    }
  }
}

const hlcAt = (minute: number, n = 0): number => (startMs + minute * MINUTE_MS) * HLC_PER_MS + n;
const signal = (minute: number, entity: number, extra: Partial<Event> = {}): Event =>
  ({
    kind: 'signal',
    hlc: hlcAt(minute),
    entity,
    signal: entity % 3 === 0 ? 'skip' : 'view',
    weight: 1_000,
    timeMs: startMs + minute * MINUTE_MS,
    ...extra,
  }) as Event;
const keyed = (minute: number, id: string, body = 'h'): Event =>
  signal(minute, 5, {
    key: {
      id: Buffer.alloc(16, id).toString('base64url'),
      bodyHash: Buffer.alloc(8, body).toString('base64url'),
    },
  });

function chainA(): Batch[] {
  const groups: Event[][] = [];
  for (let n = 0; n < 300; n++) {
    groups.push([
      signal(n, 1, n === 200 ? { weight: 10_000_000 } : {}),
      ...(n % 40 === 0 ? [signal(n, 2), signal(n, 3)] : []),
      ...(n % 25 === 0 ? [keyed(n, String.fromCharCode(97 + n / 25))] : []),
      ...(n % 30 === 0
        ? [
            {
              ...{ kind: 'item', hlc: hlcAt(n), entity: n / 30 },
              metadata: { title: `something ${n}`, tags: ['x', `t${n}`], year: 1_900 + n, live: n % 60 === 0 },
            } as Event,
            { kind: 'embedding', hlc: hlcAt(n), entity: n / 30, values: Float32Array.of(n, 1) } as Event,
          ]
        : []),
    ]);
  }
  return chainOf({ origin: a }, groups);
}

function chainB(): Batch[] {
  return chainOf({ origin: b, epoch: 2 }, [
    [keyed(301, 'a'), keyed(301, 'z', 'g'), signal(301, 1)],
    [{ kind: 'delete', hlc: hlcAt(302), entity: 4 }, signal(302, 2)],
    [{ kind: 'item', hlc: hlcAt(303), entity: 2, metadata: { title: 'another' } }],
  ]);
}

/** What a peer holds: a trimmed log with a checkpoint in its middle. */
async function peerStore(clock: ManualClock): Promise<MemoryStore> {
  const store = new MemoryStore();
  const state = new State(store, clock);
  const batches = chainA();
  await state.take(batches.slice(0, 250));
  await clock.run(state.checkpoint.now());
  await state.wal.trim(a, 200, 1e9);
  await state.take([...batches.slice(250), ...chainB()]);
  const { wal } = state;
  // Records of idempotency keys as an earlier version wrote them.
  await new CheckedStore(store).commit((transaction) => {
    for (const sequence of [3, 4]) {
      const copies = [[a, sequence, 1, startMs, 0, 'AAAAAAAAAAA']];
      transaction.put('keys', Buffer.alloc(16, sequence).toString('base64url'), Buffer.from(JSON.stringify(copies)));
    }
  });
  await wal.setAside({ origin: 'us-east@zzzzzzzzzz', first: 4, last: 5 });
  await wal.storeMark('region', 'us-east');
  await wal.storeMark('schema', describeSchema(schema));
  await wal.storeMark('leadership', { leader: 'us-east', epoch: 2, nonce: 'one' });
  await wal.storeMark('disk', 'abcdefghijklm');
  await wal.storeMark('disks', [{ id: 'zbcdefghijklm', region: 'eu-west', knownMs: 5, retired: false }]);
  await wal.storeMark('catching_up', false);
  await wal.storeMark('mended', { count: 1, id: 'one', future: { [a]: 7 } });
  wal.noteOffset({ sequence: 9, origin: a, last: 5, created: 'then' });
  await wal.flushNotes();
  return store;
}

function rowsOf(store: Store): Row[] {
  return tables.flatMap((table) =>
    [...store.range(table, {})].map(({ key, value }) => [table, key, value] as unknown as Row),
  );
}

function seal(row: Uint8Array): Uint8Array {
  const bytes = Buffer.from(row);
  if (bytes.length < 9) return bytes;
  const start = 9 + bytes.readUInt32LE(5);
  if (start + 8 < bytes.length) {
    const shard = bytes.subarray(start);
    shard.writeUInt32LE(crc32(shard.subarray(8), crc32(shard.subarray(0, 4))), 4);
  }
  bytes.writeUInt32LE(crc32(bytes.subarray(5)), 1);
  return bytes;
}

const seed = Number(process.env.TIDAL_SNAPSHOT_SEED ?? Math.floor(Math.random() * 2 ** 31));
const random = seededRandom(seed);
const odd = [
  ...[null, -1, 0, 0.5, 2 ** 31, 2 ** 53 - 1, 2 ** 53, 1e308, -0, '', 'x', 'us-east@zzzzzzzzzz', true, [], {}],
  ...[[null], { a: { b: 1 } }, { title: 7 }, Number.NaN, startMs, hlcAt(300), 'a'.repeat(300)],
];

/** A value with one of the values in it replaced. */
function changed(value: unknown): unknown {
  if (typeof value !== 'object' || value === null || drawBetween(random, 0, 9) === 0) return drawOne(random, odd);
  const names = Object.keys(value);
  if (names.length === 0) return drawOne(random, odd);
  const name = drawOne(random, names);
  const copy = (Array.isArray(value) ? [...value] : { ...value }) as Record<string, unknown>;
  copy[name] = changed(copy[name]);
  return copy;
}

function changedBytes(bytes: Uint8Array): Uint8Array {
  return bytes.length === 0 ? bytes : mutated(random, bytes, false);
}

function changedRow([table, , value]: Row): Uint8Array {
  const byValue = drawBetween(random, 0, 1) === 1;
  if (table === 'shards') return seal(changedBytes(value));
  if (table === 'batches') return mutated(random, value, true);
  if (!byValue) return drawBetween(random, 0, 5) === 0 ? value.slice(0, value.length >> 1) : changedBytes(value);
  const encoded = (encode: () => Uint8Array): Uint8Array => {
    try {
      return encode();
    } catch {
      return changedBytes(value);
    }
  };
  if (table === 'items') {
    const { metadata, ...rest } = decodeItem(value);
    const register = changed({ ...rest, order: { ...rest.order } }) as ReturnType<typeof decodeItem>;
    const other = Buffer.from(JSON.stringify(changed({ title: 'a', tags: ['x'] })) ?? '');
    const json = drawBetween(random, 0, 1) === 0 ? metadata : other;
    return encoded(() => encodeItem({ ...register, metadata: json }));
  }
  if (table === 'embeddings') {
    const { order, values } = decodeEmbedding(value);
    const other = drawOne(random, [Float32Array.of(1), Float32Array.of(Number.NaN, 1), Float32Array.of()]);
    const isOther = drawBetween(random, 0, 1) === 0;
    return encoded(() => encodeEmbedding({ order: changed(order) as typeof order, values: isOther ? other : values }));
  }
  if (table === 'keyed') return encoded(() => encodeCopies(changed([...new KeyRow(value).copies()]) as WriteCopy[]));
  return encoded(() => Buffer.from(JSON.stringify(changed(JSON.parse(Buffer.from(value).toString('utf8')))) ?? ''));
}

/** Another key for the row, of the same kind or not. */
function changedKey([table, key]: Row): unknown {
  if (table === 'batches' || table === 'shards') {
    const [first, second] = key;
    return drawOne(random, [
      [first, second + drawBetween(random, -2, 3)],
      [table === 'batches' ? own : 256, second],
      [first, 2 ** 53],
    ]);
  }
  if (typeof key === 'number') return drawOne(random, [key + 0.5, -1, 2 ** 53, key + 1]);
  return drawOne(random, ['', `${key}x`, a, own]);
}

/** Changes one to three rows of it: their bytes, values or keys, or removes them. */
async function harm(plain: MemoryStore): Promise<string> {
  const store = new CheckedStore(plain);
  const rows = rowsOf(store);
  const what: string[] = [];
  for (let n = drawBetween(random, 1, 3); n > 0; n--) {
    // Of every kind as often, however many rows it has.
    const table = drawOne(random, tables);
    const row = drawOne(
      random,
      rows.filter(([name]) => name === table),
    );
    const [name, key, value] = row;
    const how = drawBetween(random, 0, 9);
    await store.commit((transaction) => {
      if (how === 0) transaction.remove(name as 'marks', key as string);
      else if (how === 1) transaction.put(name as 'marks', changedKey(row) as string, value);
      else transaction.put(name as 'marks', key as string, changedRow(row));
    });
    what.push(`${name} ${String(key)} ${how === 0 ? 'removed' : how === 1 ? 'under another key' : 'changed'}`);
  }
  return what.join(', ');
}

interface Met {
  readonly arrived: ArrivedSnapshot | undefined;
  readonly said: readonly string[];
  readonly refused: number;
}

/** What a region does that is offered this store by its only peer. */
async function offer(store: MemoryStore, position: string, home: MemoryStoreHome, clock: ManualClock): Promise<Met> {
  const copy = await new MemoryStoreHome(store).copy();
  const info: SnapshotOffer = {
    id: 'aaaa',
    region: 'us-east',
    bytes: copy.bytes,
    sha256: copy.sha256,
    position: positionOf(position),
    schemaHash: '0',
  };
  const status = {
    region: 'us-east',
    partitioned: false,
    durable: positionOf(position),
    mended: { count: 1, id: 'one' },
  } as unknown as ReportedStatus;
  const link = {
    region: 'us-east',
    snapshot: async () => info,
    snapshotPart: (_: string, at: number) => copy.read(at, 2 ** 22),
  };
  const wal = openLog({ store: home.open() });
  let arrived: ArrivedSnapshot | undefined;
  const metrics = new CountedMetrics();
  const refused = (): number => metrics.total('tidal_snapshots_refused_total');
  const said: string[] = [];
  const log: Log = {
    ...silentLog,
    warn: (_, fields) => void (fields?.error !== undefined && said.push(String(fields.error))),
    error: (_, fields) => void said.push(String(fields?.error)),
  };
  const bootstrap = createBootstrap({
    ...{ clock, log, metrics, wal, regions, schema: describeSchema(schema), links: [link as unknown as PeerLink] },
    peers: {
      ...{
        asked: true,
        expected: 1,
        views: new Map([['us-east', { status, atMs: 0, clockOffsetMs: 0, reachable: true }]]),
      },
      ...{ start() {}, poll: async () => {}, onPolled() {}, stop: async () => {} },
    },
    openLog: (opened) => openLog({ store: opened }),
    incoming: (id, bytes) => home.incoming(id, bytes),
    ...{ startedEmpty: true, notBeforeMs: 0, ready: () => false, hindered: () => false, leads: () => false },
    knownEpoch: () => 2,
    requireSchema: (opened) => requireAccepted(opened, schema, 'schema.yaml'),
    onReleased() {},
    onArrived: (one) => {
      arrived = one;
    },
  });
  bootstrap.start();
  await clock.until(
    'it is taken or refused',
    () => arrived !== undefined || refused() > 0 || bootstrap.schemaBehind !== undefined,
  );
  await clock.run(bootstrap.stop());
  return { arrived, said, refused: refused() };
}

describe('snapshots with changed contents', function () {
  this.timeout(120_000);

  it('are refused in a sentence and change nothing, or are taken and can be worked with', async () => {
    const clock = new ManualClock();
    clock.stepWall(startMs + 400 * MINUTE_MS - clock.nowMs());
    const real = await peerStore(clock);
    const position = formatPosition(openLog({ store: real }).durable);
    const mine = new MemoryStore();
    const wal = openLog({ store: mine });
    await wal.append({ batches: viewChain(own, 3, 5, 2) });
    await wal.storeMark('region', 'ap-south');
    let taken = 0;
    for (let round = 0; round < ROUNDS; round++) {
      const store = real.backup();
      const what = round === 0 ? 'nothing changed' : await harm(store);
      const where = `seed ${seed}, round ${round}: ${what}`;
      const home = new MemoryStoreHome(mine.backup());
      const before = Buffer.from(home.store.image());
      const { arrived, said, refused } = await offer(store, position, home, clock);
      if (arrived === undefined) {
        assert.ok(round > 0, said.join());
        assert.match(said.join(), /snapshot was refused: .{20,}|schema/, where);
        assert.doesNotMatch(said.join(), /undefined|is not a function|not iterable|Cannot/, `${where}: ${said.join()}`);
        assert.equal(Buffer.compare(Buffer.from(home.store.image()), before), 0, where);
        continue;
      }
      assert.equal(refused, 0, where);
      taken++;
      try {
        await work(arrived, home, clock);
      } catch (error) {
        throw new Error(`${where}: ${String((error as Error).stack)}`);
      }
    }
    assert.ok(taken > 1 && taken < ROUNDS * 0.9, `taken ${taken}`);
  });
});

/** As `region-host.ts` installs it; then what any region does. */
async function work({ incoming }: ArrivedSnapshot, home: MemoryStoreHome, clock: ManualClock): Promise<void> {
  const copy = openLog({ store: incoming.open() });
  assert.equal(await mergeInto(openLog({ store: home.open() }), copy), 15);
  await incoming.makeCurrent();
  const { store } = home;
  const state = new State(store, clock);
  await takeDirectory({
    ...{ wal: state.wal, region: 'ap-south', random, log: silentLog, schema, schemaFile: 'schema.yaml', alone: false },
  });
  const nowMs = clock.nowMs();
  state.readAll(nowMs);
  const opened = 'ap-south@dddddddddd';
  const next = chainOf({ origin: opened, epoch: 2 }, [
    [1, 2, 3, 5].map((entity) => signal(310, entity)),
    [0, 1, 2, 3, 4].map(
      (entity) => ({ kind: 'item', hlc: hlcAt(311), entity, metadata: { title: 'new', tags: ['y'] } }) as Event,
    ),
    [0, 1, 2].map((entity) => ({ kind: 'embedding', hlc: hlcAt(312), entity, values: Float32Array.of(1, 2) }) as Event),
    [{ kind: 'delete', hlc: hlcAt(313), entity: 1 }],
  ]);
  await state.take(next);
  state.readAll(nowMs);
  const digest = state.digest();
  assert.equal(new State(store.crash(), clock).digest(), digest, 'a restart');
  const again = new State(store.backup(), clock);
  await clock.run(again.checkpoint.now());
  assert.equal(again.digest(), digest);
}
