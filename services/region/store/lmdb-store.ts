/**
 * The store on LMDB (lmdb-js).
 *
 * How a commit becomes durable, as a system-call trace shows it (docs/adr/0001): a worker thread writes the data pages, calls
 * `fdatasync`, then writes the meta page through a descriptor opened with O_DSYNC, and only then the promise of
 * `childTransaction` resolves. This needs `overlappingSync: false`: with lmdb-js's default, the promise resolves before the
 * flush, and `flushed` does not wait for synchronous transactions at all. `childTransaction` because a throw inside plain
 * `transaction()` commits the puts before it.
 */

import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Database, open, type RootDatabase } from 'lmdb';
import { makeDirectory } from '../../../shared/config/make-directory.ts';
import { Fault, messageOf } from '../../../shared/errors/errors.ts';
import { BrokenInvariant } from '../../../shared/kernel/kernel.ts';
import { Queue } from '../queue/queue.ts';
import { isOutOfSpace, isStorageError, storageFault } from '../storage-fault/storage-fault.ts';
import {
  type RangeOptions,
  type Store,
  type StoreSizes,
  type StoreTables,
  type StoreTransaction,
  type TableName,
  tableNames,
  writtenByAnother,
} from './store.ts';

type Key = string | number | (string | number)[];
type Tables = Partial<Record<TableName, Database<Buffer, Key>>>;

/**
 * LMDB reports a short write at the end of the disk or of a quota as an I/O error: if this much cannot be written next to the
 * data for lack of space, that was the cause.
 */
const PROBE_BYTES = 4 * 1024 * 1024;
const PROBE = 'room-probe';

/** True while a row is read whose value is lent: not a copy, but LMDB's own or the buffer of all reads. */
let lends = false;

/**
 * Values are bytes, and a read is a copy of them. lmdb-js's own encoding `binary` gives each an array buffer of its own, which
 * takes longer than the read and burdens the garbage collector; here small ones come from Node's pool. Its types do not
 * know the option.
 */
const asBytes = {
  encoder: {
    encode: (value: Buffer): Buffer => value,
    /** `shared` is overwritten by the next read; its `length` is the value's, not its own. */
    decode(shared: Buffer): Buffer {
      const { length } = shared;
      if (lends) return Buffer.from(shared.buffer, shared.byteOffset, length);
      const copy = Buffer.allocUnsafe(length);
      copy.set(new Uint8Array(shared.buffer, shared.byteOffset, length));
      return copy;
    },
  },
};

export interface LmdbStoreOptions {
  /** Directory of the environment; created when absent. */
  readonly path: string;
  /** Read only: a commit fails. */
  readonly readOnly?: boolean;
}

/** Further operations for the home of a region's stores (`lmdb-store-home.ts`). */
export interface LmdbEnvironment extends Store {
  /**
   * Copies the committed data, without free pages, to `data.mdb` in this directory, which exists. A worker thread does it in one
   * read transaction: commits continue, and pages that they free are not reused before its end.
   */
  backup(directory: string): Promise<void>;
  /** Ids of the processes that have read it and still run, this one included. */
  readers(): readonly number[];
}

export function openLmdbStore({ path, readOnly = false }: LmdbStoreOptions): LmdbEnvironment {
  makeDirectory(path);
  const root: RootDatabase<Buffer, Key> = open<Buffer, Key>({
    path,
    readOnly,
    encoding: 'binary',
    maxDbs: tableNames.length + 1,
    overlappingSync: false,
    // One commit is one `childTransaction`: batching over an event turn is not needed.
    eventTurnBatching: false,
  });
  // Contrary to its types: read only, a table that an earlier version did not create is undefined.
  const tables = Object.fromEntries(
    tableNames.map((name) => [name, root.openDB<Buffer, Key>({ name, ...asBytes })]),
  ) as Tables;
  try {
    return new LmdbStore(path, root, tables);
  } catch (error) {
    abandon(root);
    throw new Fault('no_place_to_read', `LMDB has no free reader slot for ${path}: ${messageOf(error)}`);
  }
}

/** Closes an environment that nothing can be read from. */
function abandon(root: RootDatabase<Buffer, Key>): void {
  try {
    // lmdb-js would reset the read that it could not begin in a timer, and end the process with a TypeError.
    root.resetReadTxn();
  } catch {
    // Prevents that TypeError: there is nothing left to reset.
  }
  root.close().catch(() => undefined);
}

class LmdbStore implements LmdbEnvironment {
  private readonly path: string;
  private readonly root: RootDatabase<Buffer, Key>;
  private readonly tables: Tables;
  private readonly transaction: StoreTransaction;
  private readonly commits = new Queue();
  /** Id of the last transaction that was committed when this process opened the store or wrote to it last. */
  private version: number;
  /** True if the transaction in progress has changed something: only then LMDB assigns an id. */
  private changed = false;

  constructor(path: string, root: RootDatabase<Buffer, Key>, tables: Tables) {
    this.path = path;
    this.root = root;
    this.tables = tables;
    this.version = this.lastTransaction();
    this.transaction = {
      get: (table, key) => this.get(table, key),
      put: (table, key, value) => {
        this.changed = true;
        // Inside the transaction's callback a put is immediate; its promise is the transaction's.
        void this.tables[table]!.put(key as Key, value as Buffer);
      },
      remove: (table, key) => {
        if (!this.tables[table]!.doesExist(key as Key)) return;
        this.changed = true;
        void this.tables[table]!.remove(key as Key);
      },
    };
  }

  private lastTransaction(): number {
    return (this.root.getStats() as LmdbStats).lastTxnId;
  }

  get<T extends TableName>(table: T, key: StoreTables[T]): Uint8Array | undefined {
    return this.tables[table]?.get(key as Key);
  }

  *range<T extends TableName>(
    table: T,
    options: RangeOptions<StoreTables[T]>,
  ): Iterable<{ readonly key: StoreTables[T]; readonly value: Uint8Array }> {
    const reverse = options.reverse ?? false;
    const [start, end] = reverse ? [options.to, options.from] : [options.from, options.to];
    const range = this.tables[table]?.getRange({
      ...(start === undefined ? {} : { start: start as Key }),
      ...(end === undefined ? {} : { end: end as Key, inclusiveEnd: true }),
      ...(options.limit === undefined ? {} : { limit: options.limit }),
      reverse,
      snapshot: false,
    });
    if (options.lent === true) {
      for (const { key, value } of lent(range ?? [])) yield { key: key as StoreTables[T], value };
    } else {
      for (const { key, value } of range ?? []) yield { key: key as StoreTables[T], value };
    }
  }

  commit(work: (transaction: StoreTransaction) => void): Promise<void> {
    return this.commits.add(() => this.commitNow(work));
  }

  private async commitNow(work: (transaction: StoreTransaction) => void): Promise<void> {
    let thrown: { error: unknown } | undefined;
    try {
      await this.root.childTransaction(() => {
        try {
          this.changed = false;
          this.requireAlone();
          work(this.transaction);
        } catch (error) {
          thrown = { error };
          throw error;
        }
      });
    } catch (error) {
      if (thrown !== undefined && !this.metTheDisk(thrown.error)) throw thrown.error;
      throw this.translate(thrown?.error ?? (await causeOf(error)));
    }
    if (this.changed) this.version++;
  }

  /** Transaction ids are LMDB's own, the same in every process: an unknown one is another process's. */
  private requireAlone(): void {
    if (this.lastTransaction() !== this.version) throw writtenByAnother(this.path);
  }

  /** A get or put inside `work` that failed on the disk; errors of the caller's own code are passed through. */
  private metTheDisk(error: unknown): boolean {
    return !(error instanceof BrokenInvariant) && !(error instanceof Fault) && isStorageError(error);
  }

  private translate(error: unknown): Fault {
    const text = messageOf(error);
    if (/Input\/output|I\/O error|\bEIO\b/.test(text) && this.diskIsFull()) {
      return new Fault('storage_full', text, { cause: error });
    }
    return storageFault(error);
  }

  private diskIsFull(): boolean {
    const probe = join(this.path, PROBE);
    try {
      writeFileSync(probe, Buffer.alloc(PROBE_BYTES));
      return false;
    } catch (error) {
      return isOutOfSpace(error);
    } finally {
      rmSync(probe, { force: true });
    }
  }

  sizes(): StoreSizes {
    const whole = this.root.getStats() as LmdbStats;
    const tables = Object.values(this.tables).filter((table) => table !== undefined);
    const trees = [whole, whole.free, ...tables.map((table) => table.getStats() as LmdbStats)];
    const metaPages = 2;
    let takenPages = metaPages;
    for (const tree of trees) takenPages += tree.treeBranchPageCount + tree.treeLeafPageCount + tree.overflowPages;
    const pages = whole.lastPageNumber + 1;
    return { usedBytes: pages * whole.pageSize, freeBytes: Math.max(0, pages - takenPages) * whole.pageSize };
  }

  count(table: TableName): number {
    return (this.tables[table]?.getStats() as LmdbStats | undefined)?.entryCount ?? 0;
  }

  bytes(table: TableName): number {
    const tree = this.tables[table]?.getStats() as LmdbStats | undefined;
    if (tree === undefined) return 0;
    return (tree.treeBranchPageCount + tree.treeLeafPageCount + tree.overflowPages) * tree.pageSize;
  }

  async backup(directory: string): Promise<void> {
    try {
      await this.root.backup(directory, true);
    } catch (error) {
      throw this.translate(error);
    }
  }

  readers(): readonly number[] {
    this.root.readerCheck();
    return [...this.root.readerList().matchAll(/^\s*(\d+)\s+[0-9a-f]+\s/gm)].map(([, pid]) => Number(pid));
  }

  async close(): Promise<void> {
    await this.commits.idle();
    await this.root.close();
  }
}

/** The same rows, with their values lent. What is read between two of them is a copy as usual. */
function* lent<T>(rows: Iterable<T>): Iterable<T> {
  const iterator = rows[Symbol.iterator]();
  try {
    for (;;) {
      lends = true;
      let next: IteratorResult<T>;
      try {
        next = iterator.next();
      } finally {
        lends = false;
      }
      if (next.done === true) return;
      yield next.value;
    }
  } finally {
    iterator.return?.();
  }
}

/** The used part of lmdb-js's `getStats`, which its types do not declare. */
interface TreeStats {
  readonly entryCount: number;
  readonly pageSize: number;
  readonly treeBranchPageCount: number;
  readonly treeLeafPageCount: number;
  readonly overflowPages: number;
}
interface LmdbStats extends TreeStats {
  readonly lastTxnId: number;
  readonly lastPageNumber: number;
  readonly free: TreeStats;
}

/**
 * Why a commit failed: lmdb-js rejects it with a general error that carries the promise of another one, which rejects with the
 * reason. That promise has no other handler: unhandled, it would end the process.
 */
async function causeOf(error: unknown): Promise<unknown> {
  const { commitError } = error as { commitError?: unknown };
  if (!(commitError instanceof Promise)) return error;
  try {
    await commitError;
    return error;
  } catch (cause) {
    return cause;
  }
}
