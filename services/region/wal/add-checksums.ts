/**
 * Gives every row of a store of format 1 a checksum (`row-checksums.ts`), once, at the first start of a version that knows them.
 *
 * Order of effects: the mark `format` → the rows, table by table, a slice of them in each flushed transaction → the mark `checked`. A crash
 * leaves some rows with and some without; both are read, and the next start rewrites the rest. A full disk leaves the same, and
 * does not prevent the start.
 */
import { messageOf } from '../../../shared/errors/errors.ts';
import type { Clock } from '../../../shared/kernel/kernel.ts';
import type { Log } from '../../../shared/observe/log.ts';
import { STORE_FORMAT } from '../../../shared/protocol/version.ts';
import { inSlices, progressOf } from '../slices/slices.ts';
import { isStorageFull } from '../storage-fault/storage-fault.ts';
import type { Store } from '../store/store.ts';
import { readMarks } from './marks.ts';
import {
  CheckedStore,
  checkedTables,
  hasAllChecksums,
  hasChecksum,
  markChecked,
  withChecksum,
} from './row-checksums.ts';

/** Each slice is one flushed transaction: few enough of them that flushes are not what takes the time. */
const SLICE_BYTES = 1024 * 1024;

export interface AddChecksumsOptions {
  readonly store: Store;
  readonly clock: Clock;
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
  const report = progressOf({ clock, log }, 'adding checksums to the rows of the store');
  let rows = 0;
  try {
    await store.commit((transaction) => transaction.put('marks', 'format', Buffer.from(String(STORE_FORMAT))));
    for (const table of checkedTables) {
      for await (const slice of inSlices({ store, table, clock, sliceBytes: SLICE_BYTES })) {
        const changed = slice.filter(({ key, value }) => !hasChecksum(table, key, value));
        if (changed.length > 0) {
          await store.commit((transaction) => {
            for (const { key, value } of changed) transaction.put(table, key, withChecksum(table, key, value));
          });
        }
        rows += slice.length;
        report({ rows, of: total });
      }
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
