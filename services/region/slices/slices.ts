/**
 * Work on all rows of a table, in slices: between two of them other work has its turn, so that a region that reads or rewrites its
 * whole store still answers, and stops when it is asked to.
 */
import { type Clock, sleep } from '../../../shared/kernel/kernel.ts';
import type { Log } from '../../../shared/observe/log.ts';
import type { RangeOptions, Store, StoreTables, TableName } from '../store/store.ts';

/** Maximum rows of a slice: some milliseconds of work, also of the end of one table and the first slice of the next. */
export const SLICE_ROWS = 1_000;
/** A slice ends with the row that reaches it. The longest work on a byte is decoding it. */
const SLICE_BYTES = 256 * 1024;
/** Minimum interval of progress lines in the log, ms. */
const PROGRESS_MS = 2_000;

export interface SlicesOptions {
  readonly clock: Clock;
  readonly log: Log;
  /** Once it is aborted the work ends after its present slice, unfinished. */
  readonly signal?: AbortSignal | undefined;
}

type Row<T extends TableName> = { readonly key: StoreTables[T]; readonly value: Uint8Array };

export interface SliceOptions<T extends TableName> extends Pick<RangeOptions<StoreTables[T]>, 'from' | 'to'> {
  readonly store: Pick<Store, 'range'>;
  readonly table: T;
  readonly clock: Clock;
  readonly sliceBytes?: number;
}

/** The rows of a table within the bounds, in order. Rows may be written between two slices. */
export async function* inSlices<T extends TableName>(
  options: SliceOptions<T>,
): AsyncGenerator<readonly Row<T>[], void> {
  const { store, table, clock, from, to, sliceBytes = SLICE_BYTES } = options;
  const upTo = to === undefined ? {} : { to };
  let next = from;
  do {
    const rows: Row<T>[] = [];
    let bytes = 0;
    const start = next === undefined ? {} : { from: next };
    next = undefined;
    for (const row of store.range(table, { ...start, ...upTo })) {
      if (rows.length === SLICE_ROWS || bytes >= sliceBytes) {
        next = row.key;
        break;
      }
      rows.push(row);
      bytes += row.value.length;
    }
    if (rows.length > 0) yield rows;
    if (next !== undefined) await sleep(clock, 0);
  } while (next !== undefined);
}

/** Logs what is done so far, at most one line every 2 s. */
export function progressOf(
  { clock, log }: Pick<SlicesOptions, 'clock' | 'log'>,
  message: string,
): (fields: Readonly<Record<string, unknown>>) => void {
  let reportedMs = clock.monotonicMs();
  return (fields) => {
    if (clock.monotonicMs() - reportedMs < PROGRESS_MS) return;
    reportedMs = clock.monotonicMs();
    log.info(message, fields);
  };
}
