/**
 * The store below the log: ordered tables, one writer, atomic commits that resolve when they are on disk.
 *
 * Crash semantics every implementation keeps (`test/harness/store-contract.ts`): a commit is whole or absent; a commit
 * that resolved is there after a power cut; a commit whose work threw left nothing. `lmdb-store.ts` is the real one.
 *
 * One process at a time: what a process keeps in memory is worked out from what it has read, so nothing it writes may land on
 * what another one wrote since. Every commit, whatever is in it, fails with `Fault('storage_failed')` and changes nothing when
 * anything was committed since this `Store` was opened that did not go through it. Nothing is written to claim a store: a
 * process that was killed leaves nothing to be cleaned up, and a start on a full disk is as safe as any.
 */

import { Fault } from '../../../shared/errors/errors.ts';

/** The tables and the keys they are ordered by. */
export interface StoreTables {
  /** [origin, first] → the batch's bytes. */
  readonly batches: readonly [string, number];
  /** origin → its record. */
  readonly origins: string;
  /** entity → item register. */
  readonly items: number;
  /** entity → embedding register. */
  readonly embeddings: number;
  /** An idempotency key on a route (`keyIdOf`) → every copy in the log of every write under it (`key-rows.ts`). */
  readonly keyed: string;
  /** The same as an earlier version wrote it: id of one write → its copies, JSON. Read, moved and removed, never written. */
  readonly keys: string;
  /** [shard, part] → a part of the ledger shard as it was last written. */
  readonly shards: readonly [number, number];
  /** name → JSON. */
  readonly marks: string;
}
export type TableName = keyof StoreTables;

export interface StoreTransaction {
  get<T extends TableName>(table: T, key: StoreTables[T]): Uint8Array | undefined;
  put<T extends TableName>(table: T, key: StoreTables[T], value: Uint8Array): void;
  /** Nothing happens where there is no such row. */
  remove<T extends TableName>(table: T, key: StoreTables[T]): void;
}

export interface RangeOptions<K> {
  /** Inclusive bounds in key order; absent: from the beginning, to the end. */
  readonly from?: K;
  readonly to?: K;
  readonly reverse?: boolean;
  readonly limit?: number;
}

export interface StoreSizes {
  /** Bytes of the data file, and of its pages that are free for reuse. */
  readonly usedBytes: number;
  readonly freeBytes: number;
}

export interface Store {
  /** Committed values. A value may be visible before its commit resolved: callers bound themselves by what resolved. */
  get<T extends TableName>(table: T, key: StoreTables[T]): Uint8Array | undefined;
  range<T extends TableName>(
    table: T,
    options: RangeOptions<StoreTables[T]>,
  ): Iterable<{ readonly key: StoreTables[T]; readonly value: Uint8Array }>;
  /**
   * Runs `work` in one write transaction and resolves when it is durable. A throw in `work` rolls everything back and
   * rejects with that error; a failed commit or flush, and any commit after one of another process, rejects with
   * `Fault('storage_failed')`, a full disk or map with `Fault('storage_full')`. Commits run one after another in call order.
   */
  commit(work: (transaction: StoreTransaction) => void): Promise<void>;
  sizes(): StoreSizes;
  /** Committed entries of a table. */
  count(table: TableName): number;
  /** Bytes a table's rows take in the data file, in whole pages where the store has pages. */
  bytes(table: TableName): number;
  /** Waits for commits under way. */
  close(): Promise<void>;
}

/** Two processes have one store open, and the other one has written: this one must end. */
export function writtenByAnother(path: string): Fault {
  return new Fault(
    'storage_failed',
    `another process has written to ${path} since this one opened it: two processes run on one data directory; this one ends, stop one of them`,
  );
}
