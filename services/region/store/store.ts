/**
 * The store below the log: ordered tables, one writer, atomic commits that resolve when they are on disk.
 *
 * Crash semantics every implementation keeps (`test/harness/region/store/store-contract.ts`): a commit is whole or absent; a
 * commit that resolved survives a power failure; a commit whose work threw left nothing. `lmdb-store.ts` is the real one.
 *
 * One process at a time: the memory of a process is computed from what it has read, so its writes must not follow those of
 * another process. Every commit, whatever its contents, fails with `Fault('storage_failed')` and changes nothing if another
 * process has committed since this `Store` was opened. Nothing is written to claim a store: a killed process leaves nothing to be
 * cleaned up, and a start on a full disk is as safe as any.
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
  /** An idempotency key on a route (`keyIdOf`) → every event in the log of every write under it (`key-rows.ts`). */
  readonly keyed: string;
  /** The same in the format of an earlier version: id of one write → its events, JSON. Read, moved and removed, never written. */
  readonly keys: string;
  /** [shard, part] → a part of the ledger shard as it was last written. */
  readonly shards: readonly [number, number];
  /** name → JSON. */
  readonly marks: string;
}
export type TableName = keyof StoreTables;

export const tableNames: readonly TableName[] = [
  'batches',
  'origins',
  'items',
  'embeddings',
  'keyed',
  'keys',
  'shards',
  'marks',
];

export interface StoreTransaction {
  get<T extends TableName>(table: T, key: StoreTables[T]): Uint8Array | undefined;
  put<T extends TableName>(table: T, key: StoreTables[T], value: Uint8Array): void;
  /** Without such a row nothing happens. */
  remove<T extends TableName>(table: T, key: StoreTables[T]): void;
}

export interface RangeOptions<K> {
  /** Inclusive bounds in key order; absent: from the beginning, to the end. */
  readonly from?: K;
  readonly to?: K;
  readonly reverse?: boolean;
  readonly limit?: number;
  /** Values are not copied: each is valid until anything else is read, and in its turn of the event loop. For millions of rows. */
  readonly lent?: boolean;
}

export interface StoreSizes {
  /** Bytes of the data file, and of its pages that are free for reuse. */
  readonly usedBytes: number;
  readonly freeBytes: number;
}

export interface Store {
  /** Committed values. A value may be visible before its commit has resolved: callers use only what has resolved. */
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
  /** Waits for commits in progress. */
  close(): Promise<void>;
}

/** Another process has the store open and has written: this one must end. */
export function writtenByAnother(path: string): Fault {
  return new Fault(
    'storage_failed',
    `another process has written to ${path} since this one opened it: two processes run on one data directory; this one ends, stop one of them`,
  );
}

/**
 * The home of a region's stores: one is current; another may be fetched from a peer and replace it.
 *
 * On disk: the directory itself holds the first store; `CURRENT` names the subdirectory of the one that replaced it. The switch
 * is a rename of `CURRENT`, flushed: a crash leaves the old store current or the new one, never neither. Stores that are neither
 * current nor being fetched are removed when the home is opened.
 */
export interface StoreHome {
  /** Opens the current store; creates one if there is none. One at a time. */
  open(): Store;
  /**
   * A consistent copy of the open store: everything that was flushed at one point during the call. Made in the background; throws
   * `Fault('storage_full')` if there is no space, and then leaves nothing. The store must not be closed before it has resolved.
   */
  copy(): Promise<StoreCopy>;
  /**
   * The store being fetched: the rest of an attempt with this id, otherwise an empty one; attempts with other ids are removed.
   * `bytes` is its final size: throws `Fault('storage_full')` if there is no space for it twice (`renew`).
   */
  incoming(id: string, bytes: number): Promise<IncomingStore>;
}

export interface StoreCopy {
  readonly bytes: number;
  /** Hexadecimal, of all bytes. */
  readonly sha256: string;
  read(offset: number, limitBytes: number): Promise<Uint8Array>;
  dispose(): Promise<void>;
}

export interface IncomingStore {
  /** Bytes received. */
  readonly received: number;
  append(bytes: Uint8Array): Promise<void>;
  /**
   * Whether the received bytes are the whole copy with this digest; removes them if not. Afterwards it is no longer a partial
   * copy.
   */
  complete(bytes: number, sha256: string): Promise<boolean>;
  /**
   * Copies the rows of the complete copy into a new file, in a separate process: LMDB trusts its pages, and damaged ones may
   * crash the process that reads or writes them. It needs the copy's size once more meanwhile. Throws `Fault('damaged_store')` if
   * it is not a store, and `Fault('storage_full')`; if `signal` is aborted it is unfinished, and the copy unusable.
   */
  renew(signal?: AbortSignal): Promise<void>;
  /** Opens the complete copy for the merge, in the same place. Called after `renew`. */
  open(): Store;
  /** Makes it the current one, after both were closed; removes the former one. Flushed when resolved. */
  makeCurrent(): Promise<void>;
  /** Removes it, after it was closed: it cannot be used. */
  discard(): Promise<void>;
}
