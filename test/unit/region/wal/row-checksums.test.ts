/** Checksums of rows: any flipped bit is found; a store of format 1 gets them in place, whatever interrupts that. */
import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { SLICE_ROWS } from '../../../../services/region/slices/slices.ts';
import { openLmdbStore } from '../../../../services/region/store/lmdb-store.ts';
import { type Store, type StoreTables, type TableName, tableNames } from '../../../../services/region/store/store.ts';
import { addChecksums } from '../../../../services/region/wal/add-checksums.ts';
import { decodeEmbedding, decodeItem } from '../../../../services/region/wal/documents.ts';
import { KeyRow } from '../../../../services/region/wal/key-rows.ts';
import { openLog } from '../../../../services/region/wal/log.ts';
import {
  CheckedStore,
  checkedTables,
  checkedValue,
  hasAllChecksums,
  hasChecksum,
  withChecksum,
} from '../../../../services/region/wal/row-checksums.ts';
import { DamagedRow } from '../../../../services/region/wal/wal.ts';
import { systemClock as clock } from '../../../../shared/kernel/system.ts';
import { STORE_FORMAT } from '../../../../shared/protocol/version.ts';
import { RecordingLog } from '../../../harness/observe/recording-log.ts';
import { silentLog } from '../../../harness/observe/silent-log.ts';
import { countedTurns } from '../../../harness/region/store/counted-turns.ts';
import { MemoryStore } from '../../../harness/region/store/memory-store.ts';

type Row = readonly [TableName, StoreTables[TableName], Buffer];

function rowsOf(store: Store, tables: readonly TableName[] = tableNames): Row[] {
  return tables.flatMap((table) =>
    [...store.range(table, {})].map(({ key, value }) => [table, key, Buffer.from(value)] as const),
  );
}

/** The store of that set of golden files, in memory. */
async function golden(set: string): Promise<MemoryStore> {
  const path = mkdtempSync(join(tmpdir(), 'tidal-checksums-'));
  try {
    writeFileSync(join(path, 'data.mdb'), gunzipSync(readFileSync(join('test/golden', set, 'store.mdb.gz'))));
    const disk = openLmdbStore({ path, readOnly: true });
    const rows = rowsOf(disk);
    await disk.close();
    const store = new MemoryStore();
    await store.commit((transaction) => {
      for (const [table, key, value] of rows) transaction.put(table as 'marks', key as string, value);
    });
    return store;
  } finally {
    rmSync(path, { recursive: true, force: true });
  }
}

const sets = readdirSync('test/golden').filter((name) => name.startsWith('format-'));
const newest = `format-${Math.max(...sets.map((set) => Number(set.slice(7))))}`;

describe('checksums of rows', function () {
  this.timeout(60_000);

  it('any flipped bit of any row but the format is found, and the row is named', async () => {
    const tables = new Set<string>();
    for (const [table, key, row] of rowsOf(await golden(newest), checkedTables)) {
      if (key === 'format') continue;
      tables.add(table);
      for (let bit = 0; bit < row.length * 8; bit++) {
        const flipped = Buffer.from(row);
        flipped[bit >> 3]! ^= 1 << (bit & 7);
        assert.throws(
          () => checkedValue(table as 'marks', key as string, flipped, true),
          (error) => error instanceof DamagedRow && error.table === table && error.key === key,
          `bit ${bit} of ${table} ${key}`,
        );
      }
      for (const length of [0, 1, 5, row.length - 1]) {
        assert.throws(() => checkedValue(table as 'marks', key as string, row.subarray(0, length), true), DamagedRow);
      }
    }
    assert.deepEqual([...tables].sort(), ['embeddings', 'items', 'keyed', 'marks', 'origins']);
  });

  it('any flipped bit of the format is refused, and changes nothing', async () => {
    const whole = await golden(newest);
    const row = whole.get('marks', 'format')!;
    for (let bit = 0; bit < row.length * 8; bit++) {
      const flipped = Buffer.from(row);
      flipped[bit >> 3]! ^= 1 << (bit & 7);
      const store = whole.crash();
      await store.commit((transaction) => transaction.put('marks', 'format', flipped));
      const before = store.image();
      await addChecksums({ store, clock, log: silentLog });
      assert.throws(() => openLog({ store }), { code: 'unknown_format', message: /, or what states it is damaged$/ });
      assert.deepEqual(store.image(), before, `bit ${bit}`);
    }
  });

  it('a flipped bit makes no row of format 1 of one with a checksum, while both are read', async () => {
    const decoders: Partial<Record<TableName, (bytes: Uint8Array) => unknown>> = {
      items: decodeItem,
      embeddings: decodeEmbedding,
      keyed: (bytes) => new KeyRow(bytes),
      origins: (bytes) => JSON.parse(Buffer.from(bytes).toString()) as unknown,
    };
    for (const [table, key, row] of rowsOf(await golden(newest), Object.keys(decoders) as TableName[])) {
      for (let bit = 0; bit < 8; bit++) {
        const flipped = Buffer.from(row);
        flipped[0]! ^= 1 << bit;
        assert.throws(() => decoders[table]!(checkedValue(table as 'marks', key as string, flipped, false)));
      }
    }
  });

  it('a row under another key, or in another table, is damaged', () => {
    const value = Buffer.from('any value');
    const keys = [0, 1, 2, 3, 2 ** 31, 2 ** 32, 2 ** 32 + 1, 2 ** 52, Number.MAX_SAFE_INTEGER];
    for (const key of keys) {
      const row = withChecksum('items', key, value);
      assert.deepEqual(Buffer.from(checkedValue('items', key, row, true)), value);
      for (const other of keys)
        if (other !== key) assert.throws(() => checkedValue('items', other, row, true), DamagedRow);
      assert.throws(() => checkedValue('embeddings', key, row, true), DamagedRow);
    }
  });

  it('a store has them from its first row on, and states its format', async () => {
    const store = new MemoryStore();
    const checked = new CheckedStore(store);
    await checked.commit((transaction) => transaction.put('items', 7, Buffer.from('seven')));
    assert.equal(Buffer.from(store.get('marks', 'format')!).toString(), String(STORE_FORMAT));
    assert.ok(hasAllChecksums(store) && hasChecksum('items', 7, store.get('items', 7)!));
    assert.equal(Buffer.from(checked.get('items', 7)!).toString(), 'seven');
    await store.commit((transaction) => transaction.put('items', 7, Buffer.from('seven')));
    assert.throws(() => new CheckedStore(store).get('items', 7), /the row items 7 is damaged: it has no checksum/);
  });
});

describe('a store of format 1', function () {
  this.timeout(60_000);
  const contents = (store: Store): unknown => {
    const checked = new CheckedStore(store);
    const wal = openLog({ store });
    const marks = rowsOf(checked, ['marks']).filter(([, key]) => key !== 'format' && key !== 'checked');
    return [rowsOf(checked, tableNames.slice(0, -1)), marks, [...wal.itemRegisters()], [...wal.embeddingRegisters()]];
  };

  for (const set of ['format-1', 'format-2']) {
    it(`of ${set} gets a checksum in every row once, with the same contents`, async () => {
      const store = await golden(set);
      const before = contents(store);
      const log = new RecordingLog();
      await addChecksums({ store, clock, log });
      for (const [table, key, row] of rowsOf(store)) assert.ok(hasChecksum(table, key, row), `${table} ${String(key)}`);
      assert.deepEqual(contents(store), before);
      assert.ok(hasAllChecksums(store));
      assert.deepEqual(
        log.lines.map(({ message }) => message),
        ['every row of the store has a checksum now'],
      );
      const { commits } = store;
      await addChecksums({ store, clock, log });
      assert.equal(store.commits, commits, 'the next start finds nothing to do');
    });
  }

  it('interrupted after any transaction it is read and written as before, and the next start continues', async () => {
    const whole = await golden('format-1');
    const before = contents(whole);
    for (let steps = 0; ; steps++) {
      const store = whole.crash();
      let left = steps;
      const failing: Store = Object.create(store, {
        commit: {
          value: (work: Parameters<Store['commit']>[0]) => {
            if (left-- <= 0) throw new Error('the power is off');
            return store.commit(work);
          },
        },
      });
      const isDone = await addChecksums({ store: failing, clock, log: silentLog }).then(
        () => true,
        () => false,
      );
      const after = store.crash();
      assert.deepEqual(contents(after), before, `after ${steps} transactions`);
      assert.equal(hasAllChecksums(after), isDone);
      await openLog({ store: after }).storeMark('cut', true);
      await addChecksums({ store: after, clock, log: silentLog });
      for (const [table, key, row] of rowsOf(after)) assert.ok(hasChecksum(table, key, row));
      if (isDone) break;
      assert.ok(steps < 20);
    }
  });

  it('a large one gets them in transactions and turns of a limited number of rows', async () => {
    const count = 2 * SLICE_ROWS + 100;
    const store = new MemoryStore();
    await store.commit((transaction) => {
      for (let entity = 1; entity <= count; entity++) transaction.put('items', entity, Buffer.from(`row ${entity}`));
    });
    const { counted, turns, transactions, clock, manual } = countedTurns(store);
    await manual.run(addChecksums({ store: counted, clock, log: silentLog }));
    for (const [table, key, row] of rowsOf(store)) assert.ok(hasChecksum(table, key, row), `${table} ${String(key)}`);
    // The first states the format, the last that every row has a checksum.
    assert.deepEqual(transactions, [1, SLICE_ROWS, SLICE_ROWS, 100, 1]);
    assert.equal(turns.length, 2);
    assert.ok(Math.max(...turns) <= SLICE_ROWS + 1, `${Math.max(...turns)} rows in one turn`);
  });

  it('on a full disk it is read as it is, and gets them at a later start', async () => {
    const store = await golden('format-1');
    const before = contents(store);
    store.full = true;
    const log = new RecordingLog();
    await addChecksums({ store, clock, log });
    assert.match(log.lines.map(({ message }) => message).join(), /checksums not added .* disk full/);
    assert.deepEqual(contents(store), before);
    store.full = false;
    await addChecksums({ store, clock, log });
    assert.ok(hasAllChecksums(store));
  });

  it('a store of a later format stays as it is', async () => {
    const store = await golden('format-1');
    const later = Buffer.from(String(STORE_FORMAT + 1));
    await store.commit((transaction) => transaction.put('marks', 'format', later));
    const image = store.image();
    await assert.rejects(addChecksums({ store, clock, log: silentLog }), { code: 'unknown_format' });
    assert.deepEqual(store.image(), image);
  });
});
