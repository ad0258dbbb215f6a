/**
 * `npm run golden -- --to test/golden/format-<n>`: writes the golden files of the present formats, which are then checked in and
 * never written again. `golden.test.ts` of `test/unit/project` and `upgrade.test.ts` of `test/cluster` read every set of them.
 * A set is made when a format has changed, so that later versions are tested with what this one writes:
 *
 *     store.mdb.gz    the store of a region, as a backup: log, registers, idempotency records, checkpoint, marks
 *     backup.json     its manifest
 *     expected.json   position and digest of the region's state, and what it answered
 *     internal.json   requests of a router and answers of a region
 *     records.json    what the store does not happen to contain, in base64
 *     vectors/        the files of the vector index, with a graph of arbitrary bytes
 */
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { gzipSync } from 'node:zlib';
import { takeBackup } from '../../deploy/backup/take.ts';
import { NO_PREDECESSOR } from '../../services/region/batch/batch.ts';
import { BatchBuilder } from '../../services/region/intake/batch-builder.ts';
import { VectorFile } from '../../services/region/state/vectors/vector-file.ts';
import { encodeEmbedding, encodeItem } from '../../services/region/wal/documents.ts';
import { makeDirectory } from '../../shared/config/make-directory.ts';
import { systemClock as clock } from '../../shared/kernel/system.ts';
import { HLC_PER_MS } from '../../shared/protocol/events.ts';
import { withKeys } from '../../shared/protocol/idempotency.ts';
import type { WritesRequest } from '../../shared/protocol/internal.ts';
import { SignalPacker } from '../../shared/protocol/packed-signals.ts';
import { parseWrite, toWire } from '../../shared/protocol/writes.ts';
import { internalHeaders } from '../harness/clients/internal.ts';
import { requestJson } from '../harness/clients/request-json.ts';
import { eventually } from '../harness/kernel/eventually.ts';
import { Cluster } from '../harness/processes/cluster.ts';

const { values } = parseArgs({ options: { to: { type: 'string' } } });
if (values.to === undefined) throw new Error('--to is required: test/golden/format-<n>');
const to = resolve(values.to);
if (existsSync(to)) throw new Error(`${to} exists: golden files are written once`);
makeDirectory(to);
makeDirectory(join(to, 'vectors'));
const put = (name: string, value: unknown): void =>
  writeFileSync(join(to, name), `${JSON.stringify(value, null, 2)}\n`);

const scratch = mkdtempSync(join(tmpdir(), 'tidal-golden-'));
/** A time in the past wherever the files are read: a log from ahead of the clock would be reported. */
const madeMs = Date.UTC(2025, 5, 1, 12);
writeFileSync(join(scratch, 'clock'), String(madeMs - clock.nowMs()));
const env = { TIDAL_TEST_CLOCK_FILE: join(scratch, 'clock') };
const main = (kind: string) => ({ main: `test/harness/kernel/stepped-clock-${kind}.js`, env });
const cluster = await Cluster.start({
  regions: ['us-east', 'eu-west'],
  mains: { 'us-east': main('region'), 'eu-west': main('region'), router: main('router') },
  environment: { TIDAL_CHECKPOINT_INTERVAL_MS: '1000' },
});
try {
  const write = async (path: string, body: unknown, key?: string): Promise<void> => {
    const headers = {
      'content-type': typeof body === 'string' ? 'application/x-ndjson' : 'application/json',
      ...(key === undefined ? {} : { 'idempotency-key': key }),
    };
    const answer = await cluster.post(path, body, headers);
    if (answer.status !== 200) throw new Error(`${path}: ${answer.status} ${JSON.stringify(answer.body)}`);
  };
  const created_at = new Date(madeMs - 400 * 86_400_000).toISOString();
  const lines = (count: number, entity: (index: number) => number): string =>
    Array.from({ length: count }, (_, index) =>
      JSON.stringify({ entity_id: entity(index), signal: index % 3 === 0 ? 'like' : 'view', weight: 1 + index / 8 }),
    ).join('\n');
  const tags = ['new wave', 'été', '日本'];
  await write('/items', {
    entity_id: 1,
    metadata: { title: 'Jazz Piano', category: 'music', tags, year: 1999, live: true },
  });
  await write('/items', { entity_id: 2, metadata: { title: 'gone' } });
  await write('/items', { entity_id: Number.MAX_SAFE_INTEGER, metadata: {} }, 'put-once');
  await write('/items', { entity_id: 4, metadata: { title: 'of another age' }, created_at });
  await write('/embeddings', { entity_id: 1, values: [0.5, -1, 3.25, 1e-20] });
  await write('/embeddings', { entity_id: 2, values: [1, 2, 3, 4] });
  const gone = await requestJson(`${cluster.url}/items/2`, { method: 'DELETE' });
  if (gone.status !== 200) throw new Error(`DELETE: ${gone.status}`);
  await write(
    '/signals',
    lines(300, (index) => 1 + (index % 40)),
  );
  await write(
    '/signals',
    lines(20, (index) => 100 + index),
    'a-bulk',
  );
  await write('/signals', { entity_id: 1, signal: 'share', weight: 0.125 }, 'a-signal');
  const takeBack = async (body: unknown, key: string): Promise<void> => {
    const answer = await requestJson(`${cluster.url}/signals`, {
      method: 'DELETE',
      headers: { 'content-type': 'application/json', 'idempotency-key': key },
      body: JSON.stringify(body),
    });
    if (answer.status !== 200) throw new Error(`DELETE: ${answer.status} ${JSON.stringify(answer.body)}`);
  };
  const likes = [1, 2, 3].map((entity_id) => ({ entity_id, signal: 'like', weight: entity_id }));
  await write('/signals', likes, 'likes');
  await takeBack(likes, 'likes');
  await write('/signals', { entity_id: 4, signal: 'like' }, 'a-like');
  const earlier = new Date(madeMs - 3 * 86_400_000).toISOString();
  await write('/signals', { entity_id: 1, signal: 'view', timestamp: earlier });
  await cluster.post('/cluster/promote', { region: 'eu-west' });
  await write('/items', { entity_id: 1, metadata: { title: 'Jazz Piano, again' } });
  await eventually('a checkpoint covers everything', async () => {
    const { body } = await cluster.region<string>('us-east', '/metrics');
    return /^tidal_checkpoint_behind_events\{[^}]*\} 0$/m.test(String(body));
  });
  // What follows the checkpoint is replayed at a start.
  await write('/signals', { entity_id: 3, signal: 'skip' }, 'another-signal');
  await takeBack({ entity_id: 4, signal: 'like' }, 'a-like');
  const digest = await cluster.converged();
  const region = async <T = unknown>(path: string): Promise<T> => (await cluster.region<T>('us-east', path)).body;
  const { position } = await region<{ position: string }>('/internal/digest');
  const [item, embedded, feed] = await Promise.all(
    ['/items/1', '/items/9007199254740991', '/feed?profile=new'].map((path) => region<Record<string, unknown>>(path)),
  );
  put('expected.json', { position, digest, item, embedded, feed });

  const packer = new SignalPacker();
  for (let index = 0; index < 4; index++) {
    packer.add(index, packer.kind(index < 2 ? 'view' : 'like'), 1_500, index === 3 ? 1_700_000_000_000 : undefined);
  }
  const wire = [
    toWire(parseWrite('items', { entity_id: 7, metadata: { title: 'seven', tags } })),
    toWire(parseWrite('embeddings', { entity_id: 7, values: [1, 0.25, 0, -2] })),
    toWire(parseWrite('signals', { entity_id: 7, signal: 'view', weight: 2.5, timestamp: earlier })),
    toWire({ kind: 'delete', entity: 8 }),
    toWire(parseWrite('items', { entity_id: 9, metadata: { title: 'nine' }, created_at })),
    toWire({ kind: 'patch', entity: 7, changes: { title: 'seven, again', tags: null } }),
  ];
  const request = (rest: Partial<WritesRequest>): WritesRequest => ({ epoch: 1, atomic: false, writes: [], ...rest });
  put('internal.json', {
    requests: [
      ['POST', '/internal/writes', request({ writes: wire })],
      [
        'POST',
        '/internal/writes',
        request({ atomic: true, writes: withKeys('key', 'signals', wire.slice(2, 3), true) }),
      ],
      [
        'POST',
        '/internal/writes',
        request({
          atomic: true,
          writes: withKeys('key', 'signals', [{ k: 'r', e: 7, s: 'view', w: 2_500, t: Date.parse(earlier) }], true),
        }),
      ],
      ['POST', '/internal/writes', request({ atomic: true, signals: packer.pack().packed })],
      ['GET', '/internal/status'],
      ['POST', '/internal/leadership', {}],
      ['POST', '/internal/await', { position: '', limitMs: 5 }],
      ['POST', '/internal/drain', { limitMs: 1_000 }],
      ['POST', '/internal/partition', { partitioned: false }],
      ['POST', '/internal/snapshot', { covering: '' }],
      ['GET', '/feed?profile=new&limit=2'],
    ],
    status: await region('/internal/status'),
    snapshot: await (async () => {
      const answer = await requestJson(`${cluster.regionUrls.get('us-east')}/internal/snapshot`, {
        method: 'POST',
        headers: { ...internalHeaders, 'content-type': 'application/json' },
        body: '{"covering":""}',
      });
      return answer.body;
    })(),
  });

  await cluster.process('us-east').end('SIGTERM');
  const file = join(scratch, 'store.mdb');
  const source = { dataDir: join(cluster.directory, 'us-east') };
  const manifest = await takeBackup({ clock, region: 'us-east', to: file, source, say: console.log, unfinished() {} });
  writeFileSync(join(to, 'store.mdb.gz'), gzipSync(readFileSync(file), { level: 9 }));
  put('backup.json', manifest);
} finally {
  await cluster.stop();
  rmSync(scratch, { recursive: true, force: true });
}

const origin = 'us-east@aaaaaaaaaaaaa';
const acceptedMs = madeMs;
const aheadMs = 90_000;
const hlc = (acceptedMs + aheadMs) * HLC_PER_MS;
const builder = new BatchBuilder(aheadMs);
builder.add({ kind: 'item', hlc, aheadMs, entity: 1, metadata: { title: 'ahead' } });
builder.add({
  kind: 'signal',
  hlc: hlc + 1,
  aheadMs,
  entity: 1,
  signal: 'view',
  weight: 1_000,
  timeMs: acceptedMs - 5,
});
const { bytes } = builder.build({ origin, epoch: 1, first: 1, schemaHash: '0123456789abcdef', chain: NO_PREDECESSOR });
const order = { epoch: 1, hlc, origin, sequence: 1 };
const metadata = Buffer.from('{"title":"ahead"}');
const base64 = (content: Uint8Array): string => Buffer.from(content).toString('base64');
put('records.json', {
  batch_ahead: base64(bytes),
  item_updated_apart: base64(encodeItem({ order, metadata, createdMs: acceptedMs, updatedMs: acceptedMs })),
  item_tombstone: base64(
    encodeItem({ order, metadata: undefined, createdMs: undefined, updatedMs: acceptedMs + aheadMs }),
  ),
  embedding: base64(encodeEmbedding({ order, values: Float32Array.of(1, -0.5, 0, 2 ** -140) })),
});

await new VectorFile({ path: join(to, 'vectors'), dimensions: 4 }).save({
  atMs: acceptedMs,
  bytes: 64,
  async write(graph) {
    writeFileSync(graph, Buffer.alloc(64, 'graph '));
    return {
      entities: Float64Array.of(1, -1, 9_007_199_254_740_991),
      prints: Uint32Array.of(1, 2, 3, 4, 5, 2 ** 32 - 1),
    };
  },
});
console.log(`${to}: written`);
process.exit(0);
