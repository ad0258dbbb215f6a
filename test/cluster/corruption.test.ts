/** `tidal verify` names each flipped bit of a disk; the region recovers from its peers, bit for bit. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { openLmdbStore } from '../../services/region/store/lmdb-store.ts';
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

describe('a disk with flipped bits', function () {
  this.timeout(120_000);
  let cluster: Cluster;
  let dataDir: string;

  before(async () => {
    cluster = await Cluster.start({ environment: { TIDAL_CHECKPOINT_INTERVAL_MS: '1000' } });
    dataDir = join(cluster.directory, 'ap-south');
    for (let entity = 1; entity <= 20; entity++) {
      await cluster.post('/items', { entity_id: entity, metadata: { title: `item ${entity}` } });
      await cluster.post('/signals', { entity_id: entity, signal: 'view' });
    }
    await cluster.converged();
    await eventually('a checkpoint is stored', async () => {
      const { body } = await cluster.region<string>('ap-south', '/metrics');
      return /^tidal_checkpoint_behind_events\{[^}]*\} 0$/m.test(String(body));
    });
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
    await cluster.settled();
    await cluster.converged();
    await cluster.process('ap-south').end('SIGTERM');
    assert.equal((await verify(dataDir)).code, 0);
    await cluster.restart('ap-south');
  });
});
