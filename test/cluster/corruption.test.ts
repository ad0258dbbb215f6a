/** Each flipped bit of a disk is named and restored, from peers, the log, or a peer's snapshot; nothing damaged is served. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { storeDirectory } from '../../deploy/backup/data-dir.ts';
import { openLmdbStore } from '../../services/region/store/lmdb-store.ts';
import type { StoreTables, TableName } from '../../services/region/store/store.ts';
import { internalHeaders } from '../harness/clients/internal.ts';
import { eventually } from '../harness/kernel/eventually.ts';
import { Cluster } from '../harness/processes/cluster.ts';

function verify(dataDir: string): Promise<{ readonly code: number; readonly output: string }> {
  const main = fileURLToPath(new URL('../../deploy/tidal/main.js', import.meta.url));
  return new Promise((resolve) => {
    execFile(process.execPath, [main, 'verify', '--data-dir', dataDir], (error, stdout, stderr) => {
      resolve({ code: error === null ? 0 : Number(error.code ?? 1), output: stdout + stderr });
    });
  });
}

/** Of each wait: what is waited for takes a second, and this machine may be busy. */
const LIMIT_MS = 120_000;

describe('a disk with flipped bits', function () {
  this.timeout(600_000);
  let cluster: Cluster;
  let dataDir: string;

  const checkpointed = (): Promise<void> =>
    eventually(
      'a checkpoint covers everything',
      async () => {
        const { body } = await cluster.region<string>('ap-south', '/metrics');
        return /^tidal_checkpoint_behind_events\{[^}]*\} 0$/m.test(String(body));
      },
      LIMIT_MS,
    );

  before(async () => {
    cluster = await Cluster.start({ environment: { TIDAL_CHECKPOINT_INTERVAL_MS: '1000' } });
    dataDir = join(cluster.directory, 'ap-south');
    for (let entity = 1; entity <= 20; entity++) {
      await cluster.post('/items', { entity_id: entity, metadata: { title: `item ${entity}` } });
      await cluster.post('/signals', { entity_id: entity, signal: 'view' });
    }
    await cluster.converged(LIMIT_MS);
    await checkpointed();
  });
  after(() => cluster?.stop());

  it('a store in use is not verified; of a stopped region it is whole', async () => {
    const used = await verify(dataDir);
    assert.deepEqual([used.code, /is in use by process \d+/.test(used.output)], [2, true], used.output);
    await cluster.process('ap-south').end('SIGTERM');
    const whole = await verify(dataDir);
    assert.equal(whole.code, 0, whole.output);
    assert.match(whole.output, /is whole: region ap-south, 40 events/);
  });

  it('each is named by its position; from an empty directory the region has what its peers have', async () => {
    const store = openLmdbStore({ path: dataDir });
    const [batch] = [...store.range('batches', { limit: 1 })];
    const [shard] = [...store.range('shards', { limit: 1 })];
    const flipped = (bytes: Uint8Array): Uint8Array => {
      const changed = Buffer.from(bytes);
      changed[changed.length - 2]! ^= 1;
      return changed;
    };
    await store.commit((transaction) => {
      transaction.put('batches', batch!.key, flipped(batch!.value));
      transaction.put('shards', shard!.key, flipped(shard!.value));
      transaction.put('items', 17, flipped(transaction.get('items', 17)!));
    });
    await store.close();
    const { code, output } = await verify(dataDir);
    assert.equal(code, 1);
    const named = [...output.matchAll(/^damaged: (.+?): /gm)].map(([, at]) => at);
    assert.deepEqual(named, ['items 17', `${batch!.key[0]}:${batch!.key[1]}`, `shard ${shard!.key[0]}`], output);

    rmSync(dataDir, { recursive: true });
    await cluster.restart('ap-south');
    await cluster.settled(LIMIT_MS);
    await cluster.converged(LIMIT_MS);
    await cluster.process('ap-south').end('SIGTERM');
    assert.equal((await verify(dataDir)).code, 0);
    await cluster.restart('ap-south');
  });

  const flip = async <T extends TableName>(table: T, ...keys: readonly StoreTables[T][]): Promise<void> => {
    const store = openLmdbStore({ path: storeDirectory(dataDir)! });
    await store.commit((transaction) => {
      for (const key of keys) {
        const bytes = Buffer.from(transaction.get(table, key)!);
        bytes[bytes.length >> 1]! ^= 16;
        transaction.put(table, key, bytes);
      }
    });
    await store.close();
  };
  const batches = async (): Promise<(readonly [string, number])[]> => {
    const store = openLmdbStore({ path: storeDirectory(dataDir)!, readOnly: true });
    const keys = [...store.range('batches', {})].map(({ key }) => key);
    await store.close();
    return keys;
  };

  const linesOf = (name: string, from: number): Readonly<Record<string, unknown>>[] =>
    cluster
      .process(name)
      .lines.slice(from)
      .filter((line) => line.startsWith('{'))
      .map((line) => JSON.parse(line) as Record<string, unknown>);

  it('a start restores damaged batches from its peers and registers from the log, and says so', async () => {
    await cluster.process('ap-south').end('SIGTERM');
    const keys = await batches();
    await flip('batches', keys[0]!, keys[1]!, keys.at(-1)!);
    await flip('items', 3, 17);
    const from = cluster.process('ap-south').lines.length;
    await cluster.restart('ap-south');
    const lines = linesOf('ap-south', from);
    const restored = lines.filter(({ msg }) => msg === 'damaged batch restored from peer').map(({ batch }) => batch);
    assert.deepEqual(restored.sort(), [keys[0]!, keys[1]!, keys.at(-1)!].map((key) => key.join(':')).sort());
    const counted = lines.find(({ msg }) => msg === 'damaged batches restored from peers');
    assert.deepEqual([counted?.restored, counted?.left], [3, 0]);
    assert.equal(lines.find(({ msg }) => msg === 'damaged registers restored from the log')?.registers, 2);
    await cluster.settled(LIMIT_MS);
    await cluster.converged(LIMIT_MS);
    await cluster.process('ap-south').end('SIGTERM');
    const whole = await verify(dataDir);
    assert.equal(whole.code, 0, whole.output);
  });

  it('a batch that a start does not read is not served to a peer, and restored when one asks for it', async () => {
    const [key] = await batches();
    const [origin, first] = key!;
    await cluster.restart('ap-south');
    await checkpointed();
    await cluster.process('ap-south').end('SIGTERM');
    await flip('batches', key!);
    await cluster.restart('ap-south');
    const ask = async (region: string): Promise<Response> =>
      fetch(`${cluster.regionUrls.get(region)}/internal/log/${origin}?from=${first}`, { headers: internalHeaders });
    const own = await ask('us-east');
    const whole = Buffer.from(await own.arrayBuffer());
    const refused = await ask('ap-south');
    assert.notEqual(refused.status, 200);
    await eventually(
      'it is restored',
      async () => {
        const answer = await ask('ap-south');
        return answer.status === 200 && Buffer.compare(Buffer.from(await answer.arrayBuffer()), whole) === 0;
      },
      LIMIT_MS,
    );
    const { body } = await cluster.region<string>('ap-south', '/metrics');
    assert.match(String(body), /^tidal_restored_batches_total\{[^}]*\} 1$/m);
    await cluster.process('ap-south').end('SIGTERM');
    assert.equal((await verify(dataDir)).code, 0);
    await cluster.restart('ap-south');
  });

  it('a batch that no peer has keeps the region from starting, and is named', async () => {
    const region = cluster.process('ap-south');
    await region.end('SIGTERM');
    const keys = await batches();
    await flip('batches', keys.at(-1)!);
    // Without a checkpoint the start reads every batch.
    const store = openLmdbStore({ path: storeDirectory(dataDir)! });
    await store.commit((transaction) => transaction.remove('marks', 'checkpoint'));
    await store.close();
    for (const peer of ['us-east', 'eu-west']) await cluster.process(peer).end('SIGTERM');
    await assert.rejects(
      cluster.restart('ap-south'),
      new RegExp(`the log is damaged at ${keys.at(-1)!.join(':')}: the checksum of the batch is wrong`),
    );
    // A stop does not wait for the peers.
    const from = region.lines.length;
    const start = assert.rejects(cluster.restart('ap-south'));
    const refused = (): boolean =>
      linesOf('ap-south', from).some(({ msg }) => msg === 'damaged batch not restored from peer');
    await eventually('its peers are asked', refused, LIMIT_MS);
    assert.equal(await region.end('SIGTERM'), 0);
    await start;
    assert.deepEqual(
      linesOf('ap-south', from).filter(({ msg }) => msg === 'damaged batches restored from peers'),
      [],
    );
    for (const peer of ['us-east', 'eu-west']) await cluster.restart(peer);
    await cluster.restart('ap-south');
    await cluster.settled(LIMIT_MS);
    await cluster.converged(LIMIT_MS);
  });
});
