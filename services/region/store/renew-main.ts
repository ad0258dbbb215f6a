/**
 * A process that reads a store that may crash it, and writes its rows to a new one if a second directory is given. Exit code 0:
 * done; 1: it is not a store; 3: the disk is full. The reason is on stderr; a byte on stdout once a second says that it gets on.
 */
import { writeSync } from 'node:fs';
import { Fault, messageOf } from '../../../shared/errors/errors.ts';
import { systemClock } from '../../../shared/kernel/system.ts';
import { isStorageFull } from '../storage-fault/storage-fault.ts';
import { openLmdbStore } from './lmdb-store.ts';
import { type Store, type StoreTables, type StoreTransaction, type TableName, tableNames } from './store.ts';

/** Values of one commit: each is flushed. */
const COMMIT_BYTES = 16 * 1024 * 1024;

const PROGRESS_MS = 1_000;

const [source, target] = process.argv.slice(2);
let toldMs = 0;
try {
  const from = openLmdbStore({ path: source!, readOnly: true });
  const to = target === undefined ? undefined : openLmdbStore({ path: target });
  for (const table of tableNames) await renew(table, from, to);
  await to?.close();
  await from.close();
} catch (error) {
  process.stderr.write(messageOf(error));
  process.exitCode = isStorageFull(error) ? 3 : 1;
}

async function renew<T extends TableName>(table: T, from: Store, to: Store | undefined): Promise<void> {
  let rows: (readonly [StoreTables[T], Uint8Array])[] = [];
  let bytes = 0;
  let count = 0;
  let before: StoreTables[T] | undefined;
  const put = (transaction: StoreTransaction): void => {
    for (const [key, value] of rows) transaction.put(table, key, value);
  };
  for (const { key, value } of from.range(table, {})) {
    // A tree with a cycle would have no end.
    if (!isKeyOf(table, key) || (before !== undefined && !comesAfter(before, key))) {
      throw new Fault('damaged_store', `the table ${table} has a key out of place: ${JSON.stringify(key)}`);
    }
    before = key;
    count++;
    if (count % 256 === 0) tellProgress();
    if (to === undefined) continue;
    rows.push([key, value]);
    bytes += value.length;
    if (bytes < COMMIT_BYTES) continue;
    await to.commit(put);
    tellProgress();
    rows = [];
    bytes = 0;
  }
  if (rows.length > 0) await to?.commit(put);
  if (count !== from.count(table)) {
    throw new Fault('damaged_store', `the table ${table} has ${count} rows and says ${from.count(table)}`);
  }
}

function tellProgress(): void {
  const nowMs = systemClock.monotonicMs();
  if (nowMs - toldMs < PROGRESS_MS) return;
  toldMs = nowMs;
  writeSync(process.stdout.fd, '.');
}

function isKeyOf(table: TableName, key: unknown): boolean {
  if (table === 'items' || table === 'embeddings') return typeof key === 'number';
  if (table !== 'batches' && table !== 'shards') return typeof key === 'string';
  const first = table === 'batches' ? 'string' : 'number';
  return Array.isArray(key) && key.length === 2 && typeof key[0] === first && typeof key[1] === 'number';
}

/** Compares two keys of one table. */
function comesAfter(before: StoreTables[TableName], key: StoreTables[TableName]): boolean {
  if (typeof before !== 'object' || typeof key !== 'object') return key > before;
  return key[0] === before[0] ? key[1] > before[1] : key[0] > before[0];
}
