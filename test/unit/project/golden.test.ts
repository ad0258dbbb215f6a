/**
 * What earlier versions wrote is read, and the present formats are written byte for byte as they were: the golden files of
 * `test/golden` (`npm run golden`). A change that fails here is a change of a format: it needs a version, a reader of the former
 * one, and a new set of golden files.
 */
import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { gunzipSync } from 'node:zlib';
import { checkBackup } from '../../../deploy/backup/check-copy.ts';
import { type Manifest, readManifest } from '../../../deploy/backup/manifest.ts';
import { type Batch, decodeBatch } from '../../../services/region/batch/batch.ts';
import { packShard, readCheckpointPosition, unpackShard } from '../../../services/region/checkpoint/checkpoint.ts';
import { BatchBuilder } from '../../../services/region/intake/batch-builder.ts';
import { loadSchema } from '../../../services/region/schema/parse-schema.ts';
import { createLedger } from '../../../services/region/state/ledger/signal-ledger.ts';
import { VectorFile } from '../../../services/region/state/vectors/vector-file.ts';
import { openLmdbStore } from '../../../services/region/store/lmdb-store.ts';
import type { Store, TableName } from '../../../services/region/store/store.ts';
import {
  decodeEmbedding,
  decodeItem,
  decodeOrigin,
  encodeEmbedding,
  encodeItem,
  encodeJson,
  encodeOrigin,
} from '../../../services/region/wal/documents.ts';
import { encodeCopies, KeyRow } from '../../../services/region/wal/key-rows.ts';
import { openLog } from '../../../services/region/wal/log.ts';
import { checkedValue, hasAllChecksums, withChecksum } from '../../../services/region/wal/row-checksums.ts';
import { systemClock as clock } from '../../../shared/kernel/system.ts';
import { SignalPacker, unpackSignals } from '../../../shared/protocol/packed-signals.ts';
import { formatPosition } from '../../../shared/protocol/position.ts';
import { fromWire, toWire, type WireWrite } from '../../../shared/protocol/writes.ts';
import { readSnapshot } from '../../../shared/region-client/read-answers.ts';
import { readStatus } from '../../../shared/region-client/reported-status.ts';

const folder = fileURLToPath(new URL('../../../../test/golden/', import.meta.url));
const sets = readdirSync(folder)
  .filter((name) => name.startsWith('format-'))
  .sort((a, b) => Number(a.slice(7)) - Number(b.slice(7)));

/** Of the sets, the first. */
const SETS_WITHOUT_RETRACTIONS = 3;

function rebuilt(batch: Batch): Uint8Array {
  const builder = new BatchBuilder(batch.aheadMs);
  for (const event of batch.events) assert.ok(builder.add(event));
  return builder.build(batch).bytes;
}

function repacked(packed: string): string {
  const { count, names, entities, kinds, weights, timesMs } = unpackSignals(packed);
  const packer = new SignalPacker();
  for (let index = 0; index < count; index++) {
    const timeMs = timesMs[index]!;
    const kind = packer.kind(names[kinds[index]!]!);
    packer.add(entities[index]!, kind, weights[index]!, timeMs === Number.POSITIVE_INFINITY ? undefined : timeMs);
  }
  return packer.pack().packed;
}

for (const [index, set] of sets.entries()) {
  const present = index === sets.length - 1;
  describe(`the golden files of ${set}`, () => {
    const path = join(folder, set);
    const json = <T>(name: string): T => JSON.parse(readFileSync(join(path, name), 'utf8')) as T;
    let directory: string;
    let store: Store;

    before(() => {
      directory = mkdtempSync(join(tmpdir(), 'tidal-golden-'));
      writeFileSync(join(directory, 'data.mdb'), gunzipSync(readFileSync(join(path, 'store.mdb.gz'))));
      writeFileSync(join(directory, 'data.mdb.json'), readFileSync(join(path, 'backup.json')));
      store = openLmdbStore({ path: directory, readOnly: true });
    });
    after(async () => {
      await store.close();
      rmSync(directory, { recursive: true, force: true });
    });

    /** Every row: what is decoded, encoded again, is the same; the same bytes in the present format. */
    const same = <T>(
      table: TableName,
      decode: (bytes: Uint8Array, key: never) => T,
      encode: (value: T, key: never) => Uint8Array,
    ): void => {
      let rows = 0;
      for (const { key, value } of store.range(table, {})) {
        rows++;
        const decoded = decode(checkedValue(table, key, value, hasAllChecksums(store)), key as never);
        const bytes = encode(decoded, key as never);
        const row = withChecksum(table, key, bytes);
        if (present) assert.deepEqual(Buffer.from(row), Buffer.from(value), `${table} ${String(key)}`);
        else assert.deepEqual(decode(bytes, key as never), decoded, `${table} ${String(key)}`);
      }
      assert.ok(rows > 0, `${table} has rows`);
    };

    it('the backup is whole by its manifest', async () => {
      const file = join(directory, 'data.mdb');
      const manifest: Manifest = readManifest(file);
      const { position, counts } = await checkBackup(clock, file, manifest, (name) => statSync(name).size);
      assert.deepEqual([position, counts], [manifest.position, manifest.counts]);
    });

    it('batches', () => {
      const kinds = new Set<string>();
      same(
        'batches',
        (bytes) => {
          const batch = decodeBatch(bytes);
          for (const { kind, key } of batch.events) kinds.add(`${kind}${key === undefined ? '' : ' keyed'}`);
          return { batch, events: batch.events };
        },
        ({ batch }) => rebuilt(batch),
      );
      assert.deepEqual(
        [...kinds].sort(),
        [
          ...['delete', 'embedding', 'item', 'item keyed'],
          ...(index < SETS_WITHOUT_RETRACTIONS ? [] : ['retraction keyed']),
          ...['signal', 'signal keyed'],
        ],
        'every kind of event is in it',
      );
    });

    it('registers, idempotency records, the records of origins and marks', () => {
      same('items', decodeItem, encodeItem);
      same('embeddings', decodeEmbedding, encodeEmbedding);
      same('keyed', (bytes) => [...new KeyRow(bytes).copies()], encodeCopies);
      same('origins', (bytes, key) => decodeOrigin(key, bytes, 1), encodeOrigin);
      same('marks', (bytes) => JSON.parse(Buffer.from(bytes).toString()) as unknown, encodeJson);
    });

    it('the checkpoint: positions and shards', () => {
      const wal = openLog({ store });
      const schema = loadSchema('deploy/config/default-schema.yaml');
      const { position } = readCheckpointPosition(wal.mark('checkpoint'));
      const ledger = createLedger({ schema });
      const rows = [...wal.shards()];
      assert.ok(rows.length > 10 && position.size > 0);
      for (const [number, row] of rows) {
        // The entries as they are stored: those of the position that the checkpoint's does not have.
        const { at, shard } = unpackShard(row, new Map());
        ledger.load(number, shard);
        assert.deepEqual(Buffer.from(packShard(shard, at, new Map())), Buffer.from(row), `row of shard ${number}`);
      }
      const run = ledger.pass();
      while (!run.prepare(1_000));
      for (const [number, row] of rows) {
        const { shard } = unpackShard(row, position);
        assert.deepEqual(Buffer.from(run.encode(number)), Buffer.from(shard), `shard ${number}`);
      }
    });

    it('records that the store does not contain', () => {
      const records = json<Record<string, string>>('records.json');
      const bytes = (name: string): Buffer => Buffer.from(records[name]!, 'base64');
      const batch = decodeBatch(bytes('batch_ahead'));
      assert.equal(batch.aheadMs, 90_000);
      assert.deepEqual(Buffer.from(rebuilt(batch)), bytes('batch_ahead'));
      for (const name of ['item_updated_apart', 'item_tombstone']) {
        const item = decodeItem(bytes(name));
        const again = encodeItem(item);
        if (present) assert.deepEqual(Buffer.from(again), bytes(name), name);
        assert.deepEqual(decodeItem(again), item);
      }
      const embedding = decodeEmbedding(bytes('embedding'));
      const again = encodeEmbedding(embedding);
      if (present) assert.deepEqual(Buffer.from(again), bytes('embedding'));
      assert.deepEqual(decodeEmbedding(again), embedding);
    });

    it('the files of the vector index', async () => {
      const copy = join(directory, 'vectors');
      const read = (name: string): Buffer => readFileSync(join(path, 'vectors', name));
      const write = async (file: string) => {
        writeFileSync(file, read('graph-1'));
        return labels;
      };
      const entities = Float64Array.of(1, -1, 9_007_199_254_740_991);
      const labels = { entities, prints: Uint32Array.of(1, 2, 3, 4, 5, 2 ** 32 - 1) };
      const file = new VectorFile({ path: copy, dimensions: 4 });
      await file.save({ atMs: Date.UTC(2025, 5, 1, 12), bytes: 64, write });
      if (present) assert.deepEqual(readFileSync(join(copy, 'index')), read('index'));
      for (const name of ['index', 'graph-1']) writeFileSync(join(copy, name), read(name));
      assert.deepEqual((await file.read())?.labels, labels);
    });

    it('the internal API: requests and answers', () => {
      const { requests, status, snapshot } = json<{
        readonly requests: readonly (readonly [string, string, { writes?: WireWrite[]; signals?: string }?])[];
        readonly status: { readonly durable: string; readonly region: string };
        readonly snapshot: { readonly id: string };
      }>('internal.json');
      let writes = 0;
      for (const [, , body] of requests) {
        for (const write of body?.writes ?? []) {
          const { key, ...unkeyed } = write;
          const event = fromWire(write);
          assert.deepEqual(toWire(event), unkeyed);
          assert.deepEqual(event.key && [event.key.id, event.key.bodyHash], key);
          writes++;
        }
        if (body?.signals !== undefined) assert.equal(repacked(body.signals), body.signals);
      }
      assert.ok(writes >= 5, `${writes} writes`);
      assert.equal(formatPosition(readStatus('us-east', status).durable), status.durable);
      assert.equal(readSnapshot('us-east', snapshot).id, snapshot.id);
    });
  });
}

it('there are golden files', () => assert.ok(sets.length > 0));
