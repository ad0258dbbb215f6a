/** What a flipped bit in anything that a region has on its disk is called. The data are those of `test/golden`. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { gunzipSync } from 'node:zlib';
import { verifyRows, verifyStore } from '../../../../deploy/verify/verify-store.ts';
import { decodeBatch } from '../../../../services/region/batch/batch.ts';
import { openLmdbStore } from '../../../../services/region/store/lmdb-store.ts';
import { type StoreTables, type TableName, tableNames } from '../../../../services/region/store/store.ts';
import { checkedValue, withChecksum } from '../../../../services/region/wal/row-checksums.ts';
import { systemClock as clock } from '../../../../shared/kernel/system.ts';
import { drawFraction, seededRandom } from '../../../harness/kernel/seeded-random.ts';

const newest = Math.max(...readdirSync('test/golden').map((name) => Number(/^format-(\d+)$/.exec(name)?.[1] ?? 0)));
const golden = `test/golden/format-${newest}`;
const data = gunzipSync(readFileSync(join(golden, 'store.mdb.gz')));
const seed = Number(process.env.TIDAL_VERIFY_SEED ?? Math.floor(Math.random() * 2 ** 31));

function flipped(bytes: Uint8Array, bit: number): Buffer {
  const changed = Buffer.from(bytes);
  changed[bit >> 3]! ^= 1 << (bit & 7);
  return changed;
}

describe(`tidal verify (seed ${seed})`, function () {
  this.timeout(120_000);
  let directory: string;
  const random = seededRandom(seed);
  const below = (limit: number): number => Math.floor(drawFraction(random) * limit);

  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'tidal-verify-'));
    writeFileSync(join(directory, 'data.mdb'), data);
  });
  afterEach(() => rmSync(directory, { recursive: true, force: true }));

  const tidal = (...args: string[]): { readonly code: number; readonly output: string } => {
    const main = fileURLToPath(new URL('../../../../deploy/tidal/main.js', import.meta.url));
    try {
      return {
        code: 0,
        output: execFileSync(process.execPath, [main, 'verify', ...args], { encoding: 'utf8', stdio: 'pipe' }),
      };
    } catch (error) {
      const { status, stdout, stderr } = error as { status: number; stdout: string; stderr: string };
      return { code: status, output: stdout + stderr };
    }
  };

  /** What is named after one bit of a row, or several rows, was flipped. */
  const namedAfter = async <T extends TableName>(
    table: T,
    key: StoreTables[T],
    value: Uint8Array,
  ): Promise<string[]> => {
    const store = openLmdbStore({ path: directory });
    try {
      const before = store.get(table, key)!;
      await store.commit((transaction) => transaction.put(table, key, value));
      const { damages } = await verifyRows(clock, store);
      await store.commit((transaction) => transaction.put(table, key, before));
      return damages.map(({ at }) => at);
    } finally {
      await store.close();
    }
  };

  const rowsOf = <T extends TableName>(table: T): { readonly key: StoreTables[T]; readonly value: Buffer }[] => {
    const store = openLmdbStore({ path: directory });
    const rows = [...store.range(table, {})].map(({ key, value }) => ({ key, value: Buffer.from(value) }));
    void store.close();
    return rows;
  };

  it('finds a store whole, of a region and of a backup, and says how much it has read', () => {
    const whole = tidal('--data-dir', directory);
    assert.match(
      whole.output,
      /is whole: region us-east, 339 events in 17 batches, \d+ of them compared .* 53 shards\n$/,
    );
    assert.equal(whole.code, 0);
    writeFileSync(join(directory, 'backup'), data);
    cpSync(join(golden, 'backup.json'), join(directory, 'backup.json'));
    assert.equal(tidal('--from', join(directory, 'backup'), '--deep').code, 0);
    assert.equal(tidal('--deep').code, 2);
    assert.equal(tidal('--data-dir', join(directory, 'nowhere')).code, 2);
  });

  it('names the batch in which any bit is flipped', async () => {
    for (const { key, value } of rowsOf('batches')) {
      for (let count = 0; count < 3; count++) {
        const named = await namedAfter('batches', key, flipped(value, below(value.length * 8)));
        assert.ok(named.includes(`${key[0]}:${key[1]}`), `${key}: ${named}`);
      }
    }
  });

  it('names the shard of a checkpoint in which any bit is flipped', async () => {
    for (const { key, value } of rowsOf('shards').slice(0, 20)) {
      const named = await namedAfter('shards', key, flipped(value, below(value.length * 8)));
      assert.deepEqual(named, [`shard ${key[0]}`]);
    }
  });

  it('names any other row in which any bit is flipped', async () => {
    const tables = ['origins', 'items', 'embeddings', 'keyed', 'marks'] as const;
    for (const table of tables) {
      const rows = rowsOf(table);
      assert.ok(rows.length >= 2, table);
      for (const { key, value } of rows) {
        for (let count = 0; count < 4; count++) {
          const bit = below(value.length * 8);
          const named = await namedAfter(table, key, flipped(value, bit));
          // A store of another format is not read any further.
          const at = key === 'format' ? 'origins and marks' : `${table} ${key}`;
          assert.deepEqual(named, [at], `bit ${bit} of ${table} ${key}: ${named}`);
        }
      }
    }
  });

  it('names the register whose order or contents are not those of the event that wrote it, its checksum right', async () => {
    let rows = 0;
    for (const table of ['items', 'embeddings'] as const) {
      for (const { key, value: row } of rowsOf(table)) {
        const value = Buffer.from(checkedValue(table, key, row, true));
        rows++;
        // Epoch, clock value and sequence; then origin and contents.
        const parts = [3, 11, 19].map((at) => at * 8 + below(64));
        for (const bit of [...parts, (35 + below(value.length - 35)) * 8]) {
          const named = await namedAfter(table, key, withChecksum(table, key, flipped(value, bit)));
          assert.ok(
            named.includes(`${table} ${key}`) || named.includes('rows'),
            `bit ${bit} of ${table} ${key}: ${named}`,
          );
        }
      }
    }
    assert.ok(rows >= 5);
  });

  it('names the idempotency record that does not have its events, its checksum right', async () => {
    for (const { key, value: row } of rowsOf('keyed')) {
      const value = Buffer.from(checkedValue('keyed', key, row, true));
      for (let count = 0; count < 8; count++) {
        const bit = below(value.length * 8);
        const named = await namedAfter('keyed', key, withChecksum('keyed', key, flipped(value, bit)));
        // Once for each of its events that it does not have.
        assert.deepEqual([...new Set(named)], [`keyed ${key}`], `bit ${bit}`);
      }
    }
  });

  it('names what is missing: a batch, a register', async () => {
    // One that has no register’s latest event.
    const batch = rowsOf('batches').find(({ value }) => decodeBatch(value).signals !== undefined)!;
    const item = rowsOf('items')[0]!;
    const store = openLmdbStore({ path: directory });
    await store.commit((transaction) => {
      transaction.remove('batches', batch.key);
      transaction.remove('items', item.key);
    });
    const { damages } = await verifyRows(clock, store);
    await store.close();
    const named = damages.map(({ at }) => at);
    assert.ok(named.includes(`${batch.key[0]}:${batch.key[1]}`) && named.includes(`items ${item.key}`), String(named));
  });

  it('a flipped bit of the file itself changes no row, or is named; the process survives it', async () => {
    const rows = (): string =>
      JSON.stringify(tableNames.map((table) => rowsOf(table).map(({ key, value }) => [key, value.toString('base64')])));
    const before = rows();
    let named = 0;
    for (let count = 0; count < 12; count++) {
      const bit = below(data.length * 8);
      writeFileSync(join(directory, 'data.mdb'), flipped(data, bit));
      rmSync(join(directory, 'lock.mdb'), { force: true });
      const { damages } = await verifyStore(clock, directory);
      named += damages.length > 0 ? 1 : 0;
      if (damages.length === 0) assert.equal(rows(), before, `bit ${bit}`);
    }
    assert.ok(named > 0, 'some were not in free pages');
  });

  it('names damaged files of the vector index, and leaves them', () => {
    for (const name of ['index', 'graph-1']) {
      mkdirSync(join(directory, 'vectors'), { recursive: true });
      for (const each of ['index', 'graph-1']) cpSync(join(golden, 'vectors', each), join(directory, 'vectors', each));
      assert.equal(tidal('--data-dir', directory).code, 0);
      const file = join(directory, 'vectors', name);
      const changed = flipped(readFileSync(file), below(readFileSync(file).length * 8));
      writeFileSync(file, changed);
      const { code, output } = tidal('--data-dir', directory);
      assert.equal(code, 1);
      assert.match(output, /^damaged: vectors: /m);
      assert.deepEqual(readFileSync(file), changed);
    }
  });

  it('names a backup that is not the one of its manifest', () => {
    const file = join(directory, 'backup');
    cpSync(join(golden, 'backup.json'), `${file}.json`);
    writeFileSync(file, flipped(data, data.length * 4));
    const { code, output } = tidal('--from', file);
    assert.equal(code, 1);
    assert.match(output, /^damaged: .*backup: its SHA-256 is not that of its manifest$/m);
  });
});
