/** Which disk a restored store is: another one than the backup was made of, unless it replaces a store. */
import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { readManifest } from '../../../../deploy/backup/manifest.ts';
import { putBack } from '../../../../deploy/backup/put-back.ts';
import { takeBackup } from '../../../../deploy/backup/take.ts';
import { createLmdbStoreHome } from '../../../../services/region/store/lmdb-store-home.ts';
import { openLog } from '../../../../services/region/wal/log.ts';
import { systemClock as clock, systemRandom as random } from '../../../../shared/kernel/system.ts';
import { parseDisks } from '../../../../shared/protocol/known-disks.ts';
import { secondProcess } from '../../../harness/processes/second-process.ts';
import { viewChain } from '../../../harness/region/batches.ts';

const made = 'a'.repeat(13);
const other = 'b'.repeat(13);

describe('a restored store', () => {
  let path: string;
  beforeEach(async () => {
    path = mkdtempSync(join(tmpdir(), 'tidal-restored-'));
    const wal = openLog({ store: createLmdbStoreHome({ path: join(path, 'source'), clock }).open() });
    await wal.append({ batches: viewChain('eu-west@aaaaaaaaaa', 2) });
    await wal.storeMark('region', 'eu-west');
    await wal.storeMark('disk', made);
    await wal.storeMark('disks', [{ id: other, region: 'us-east', knownMs: 5, retired: false }]);
    await wal.close();
    const options = { clock, region: 'eu-west', to: join(path, 'backup'), say: () => {}, unfinished };
    await takeBackup({ ...options, source: { dataDir: join(path, 'source') } } as Parameters<typeof takeBackup>[0]);
  });
  afterEach(() => rmSync(path, { recursive: true, force: true }));

  const unfinished = () => ({ release: () => undefined });
  const restore = (dataDir: string, region = 'eu-west') => {
    const from = join(path, 'backup');
    const options = { clock, random, from, manifest: readManifest(from), dataDir, region, replace: true };
    return putBack({ ...options, say: () => {}, unfinished });
  };
  async function marksOf(dataDir: string): Promise<{ disk: unknown; disks: (readonly [string, number])[] }> {
    const wal = openLog({ store: createLmdbStoreHome({ path: dataDir, clock }).open() });
    const disks = (parseDisks(wal.mark('disks')) ?? []).map(({ id, knownMs }) => [id, knownMs] as const);
    const disk = wal.mark('disk');
    await wal.close();
    return { disk, disks };
  }

  it('in an empty directory gets an id at its first start, and misses the disk the backup was made of', async () => {
    const dataDir = join(path, 'empty');
    assert.equal((await restore(dataDir)).missed, made);
    assert.deepEqual(await marksOf(dataDir), {
      disk: null,
      disks: [
        [other, 5],
        [made, 0],
      ],
    });
  });

  it('in place of the very store it was made of continues as that disk; in place of another one, as that one', async () => {
    assert.equal((await restore(join(path, 'source'))).missed, undefined);
    assert.deepEqual(await marksOf(join(path, 'source')), { disk: made, disks: [[other, 5]] });
    const dataDir = join(path, 'another');
    const wal = openLog({ store: createLmdbStoreHome({ path: dataDir, clock }).open() });
    await wal.storeMark('disk', other);
    await wal.close();
    assert.equal((await restore(dataDir, 'us-east')).missed, made);
    assert.deepEqual(await marksOf(dataDir), { disk: other, disks: [[made, 0]] });
  });

  it('a directory that another process has open is refused and left as it is', async () => {
    const dataDir = join(path, 'source');
    const before = readdirSync(dataDir).sort();
    const second = await secondProcess(dataDir);
    await second.put('running');
    await assert.rejects(restore(dataDir), /is in use by process \d+/);
    await second.kill();
    assert.deepEqual(readdirSync(dataDir).sort(), before);
    assert.ok(existsSync(join(dataDir, 'data.mdb')));
  });
});
