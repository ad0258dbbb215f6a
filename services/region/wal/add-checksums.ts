/**
 * Gives every row of a store of format 1 a checksum (`row-checksums.ts`), once, at the first start of a version that knows them.
 *
 * Order of effects: the mark `format` → the rows, table by table, some in each flushed transaction → the mark `checked`. A crash
 * leaves some rows with and some without; both are read, and the next start rewrites the rest. A full disk leaves the same, and
 * does not prevent the start.
 */
import { messageOf } from '../../../shared/errors/errors.ts';
import type { Clock } from '../../../shared/kernel/kernel.ts';
import type { Log } from '../../../shared/observe/log.ts';
import { STORE_FORMAT } from '../../../shared/protocol/version.ts';
import { isStorageFull } from '../storage-fault/storage-fault.ts';
import type { Store, StoreTables, TableName } from '../store/store.ts';
import { readMarks } from './marks.ts';
import {
  CheckedStore,
  checkedTables,
  hasAllChecksums,
  hasChecksum,
  markChecked,
  withChecksum,
} from './row-checksums.ts';

/** Limit of the values of one transaction; at least one row. */
const STEP_BYTES = 4 * 1024 * 1024;
/** Minimum interval of progress lines in the log, ms. */
const PROGRESS_MS = 2_000;

export interface AddChecksumsOptions {
  readonly store: Store;
  readonly clock: Pick<Clock, 'monotonicMs'>;
  readonly log: Log;
}

/** Throws `Fault('unknown_format')` for a store of a later version, which stays as it is. */
export async function addChecksums({ store, clock, log }: AddChecksumsOptions): Promise<void> {
  if (hasAllChecksums(store)) return;
  const total = checkedTables.reduce((rows, table) => rows + store.count(table), 0);
  // A new store gets its checksums with its rows.
  if (total === 0) return;
  readMarks(new CheckedStore(store));
  const startMs = clock.monotonicMs();
  let reportedMs = startMs;
  let rows = 0;
  try {
    await store.commit((transaction) => transaction.put('marks', 'format', Buffer.from(String(STORE_FORMAT))));
    for (const table of checkedTables) {
      await rewrite(store, table, (count) => {
        rows += count;
        if (clock.monotonicMs() - reportedMs < PROGRESS_MS) return;
        reportedMs = clock.monotonicMs();
        log.info('adding checksums to the rows of the store', { rows, of: total });
      });
    }
    await store.commit(markChecked);
  } catch (error) {
    if (!isStorageFull(error)) throw error;
    log.warn('checksums not added to all rows of the store, disk full', { rows, of: total, error: messageOf(error) });
    return;
  }
  const took_ms = Math.round(clock.monotonicMs() - startMs);
  log.info('every row of the store has a checksum now', { rows, format: STORE_FORMAT, took_ms });
}

async function rewrite<T extends TableName>(store: Store, table: T, onStep: (rows: number) => void): Promise<void> {
  for (let from: StoreTables[T] | undefined, isFirst = true; isFirst || from !== undefined; isFirst = false) {
    const changed: (readonly [StoreTables[T], Uint8Array])[] = [];
    let bytes = 0;
    let rows = 0;
    let next: StoreTables[T] | undefined;
    for (const { key, value } of store.range(table, from === undefined ? {} : { from })) {
      if (bytes >= STEP_BYTES) {
        next = key;
        break;
      }
      rows++;
      bytes += value.length;
      if (!hasChecksum(table, key, value)) changed.push([key, withChecksum(table, key, value)]);
    }
    if (changed.length > 0) {
      await store.commit((transaction) => {
        for (const [key, row] of changed) transaction.put(table, key, row);
      });
    }
    onStep(rows);
    from = next;
  }
}
