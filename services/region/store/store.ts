/**
 * The store below the log: ordered tables, one writer, atomic commits that resolve when they are on disk.
 *
 * Crash semantics every implementation keeps (`test/harness/region/store/store-contract.ts`): a commit is whole or absent; a commit
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

/**
 * Where a region's stores lie: one is current; another may be coming in from a peer and take its place.
 *
 * On disk: the directory itself holds the first store; `CURRENT` names the subdirectory of the one that replaced it. The
 * switch is a rename of `CURRENT`, flushed: a crash leaves the old store current or the new one, never neither. What is not
 * current and not coming in is removed when the home is opened.
 */
export interface StoreHome {
  /** Opens the current store; made if there is none. One at a time. */
  open(): Store;
  /**
   * A consistent copy of the open store: everything that was flushed at one moment of the call. Made beside everything
   * else; throws `Fault('storage_full')` when there is no room, and leaves nothing then. The store is not closed before
   * it resolved.
   */
  copy(): Promise<StoreCopy>;
  /**
   * The store coming in: what is left of an attempt with this id, else an empty one; attempts with other ids are removed.
   * `bytes` is the size it will have: throws `Fault('storage_full')` when there is no room for it twice (`renew`).
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
  /** Bytes that are here. */
  readonly received: number;
  append(bytes: Uint8Array): Promise<void>;
  /** Whether what is here is the whole copy with this digest; removes it when it is not. From then on it is no part any more. */
  complete(bytes: number, sha256: string): Promise<boolean>;
  /**
   * Takes the rows of the complete copy over into a file made here, in a process of its own: LMDB trusts its pages, and damaged ones
   * may end who reads or writes them. Takes the copy's size once more while it lasts. Throws `Fault('damaged_store')` where it is no
   * store, and `Fault('storage_full')`; is unfinished, and the copy of no use, once `signal` is aborted.
   */
  renew(signal?: AbortSignal): Promise<void>;
  /** Opens the complete copy, to be merged into, and only there. Comes after `renew`. */
  open(): Store;
  /** Makes it the current one, after both were closed; the former one is removed. Flushed when resolved. */
  makeCurrent(): Promise<void>;
  /** Removes it, after it was closed: it cannot be used. */
  discard(): Promise<void>;
}
