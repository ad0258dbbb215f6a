/**
 * A store in memory with LMDB's crash semantics: a commit is whole or absent, it is on "disk" when it resolved, and what did not
 * resolve when the power went may be there or not. The test holds flushes back, makes the disk full or broken, and simulates
 * power failures.
 */

import {
  type RangeOptions,
  type Store,
  type StoreSizes,
  type StoreTables,
  type StoreTransaction,
  type TableName,
  tableNames,
  writtenByAnother,
} from '../../../../services/region/store/store.ts';
import { Fault } from '../../../../shared/errors/errors.ts';

type Key = StoreTables[TableName];
/** No value: the row is removed. */
type Change = readonly [table: TableName, key: Key, value: Uint8Array | undefined];

export type Changes = readonly Change[];

export type StorageFailure = 'storage_full' | 'storage_failed';

/** What a simulation has of every store on one disk; handed on to the store after a crash. */
export interface StoreHooks {
  /** A commit is flushed once this resolves. */
  readonly flush?: () => Promise<void>;
  /** Called with what has just been flushed. */
  readonly onFlushed?: (changes: Changes) => void;
}

export class MemoryStore implements Store {
  /** What reads see: includes commits that are not flushed yet, as LMDB's does. */
  private readonly visible: Disk;
  private readonly disk: Disk;
  private queue: Promise<void> = Promise.resolve();
  private flushGate: Promise<void> = Promise.resolve();
  private openGate: (() => void) | undefined;
  private failures: StorageFailure[] = [];
  private unflushed: Change[][] = [];
  private dead = false;
  /** The disk's newest commit that is in what this store sees. */
  private version: number;
  /** What a simulation has to do with it. */
  hooks: StoreHooks;
  /** While set, no commit finds free space. */
  full = false;
  /** Commits that resolved. */
  commits = 0;
  /** Called before each put of a transaction; a throw in it is a throw in `work`. */
  onPut: ((table: TableName) => void) | undefined;

  constructor(disk: Disk = new Disk(), hooks: StoreHooks = {}) {
    this.disk = disk;
    this.hooks = hooks;
    this.visible = disk.copy();
    this.version = disk.flushed;
  }

  /** The same disk, opened by a second process while this one continues: whichever writes first, the other one writes no more. */
  again(hooks: StoreHooks = this.hooks): MemoryStore {
    return new MemoryStore(this.disk, hooks);
  }

  /** Commits from now on run but do not resolve, until `releaseFlushes`. */
  holdFlushes(): void {
    if (this.openGate !== undefined) return;
    this.flushGate = new Promise((resolve) => {
      this.openGate = resolve;
    });
  }

  releaseFlushes(): void {
    this.openGate?.();
    this.openGate = undefined;
  }

  /** The next commits fail, in this order, at their flush: nothing of them reaches the disk. */
  failNext(...failures: StorageFailure[]): void {
    this.failures.push(...failures);
  }

  /** Failures that no commit has met yet are over. */
  mend(): void {
    this.failures = [];
  }

  /** Pulls the plug. The new store has everything that resolved, and what did not as `unflushed` says. */
  crash(unflushed: 'lost' | 'kept' = 'lost'): MemoryStore {
    this.dead = true;
    const disk = this.disk.copy();
    if (unflushed === 'kept') {
      for (const changes of this.unflushed) {
        disk.write(changes);
        this.hooks.onFlushed?.(changes);
      }
    }
    return new MemoryStore(disk, this.hooks);
  }

  /** What a backup of its disk would hold now. */
  backup(): MemoryStore {
    return new MemoryStore(this.disk.copy(), this.hooks);
  }

  /** What is on the disk: nothing that is not flushed. */
  flushed<T extends TableName>(table: T): (readonly [StoreTables[T], Uint8Array])[] {
    return this.disk.range(table, {}) as (readonly [StoreTables[T], Uint8Array])[];
  }

  /** Everything that was flushed, as one run of bytes; equal contents give equal bytes. */
  image(): Uint8Array {
    return this.disk.image();
  }

  /** The store whose {@link image} this is. Throws when it is none. */
  static fromImage(image: Uint8Array, hooks?: StoreHooks): MemoryStore {
    return new MemoryStore(Disk.fromImage(image), hooks);
  }

  get<T extends TableName>(table: T, key: StoreTables[T]): Uint8Array | undefined {
    return this.visible.get(table, key)?.slice();
  }

  *range<T extends TableName>(
    table: T,
    options: RangeOptions<StoreTables[T]>,
  ): Iterable<{ readonly key: StoreTables[T]; readonly value: Uint8Array }> {
    for (const [key, value] of this.visible.range(table, options)) {
      // `slice` of a Buffer is not a copy.
      const copy = Uint8Array.from(value);
      yield { key: key as StoreTables[T], value: copy };
      // A caller that uses a lent value too late is noticed.
      if (options.lent === true) copy.fill(0xff);
    }
  }

  commit(work: (transaction: StoreTransaction) => void): Promise<void> {
    const commit = this.queue.then(() => this.commitNow(work));
    this.queue = commit.catch(() => undefined);
    return commit;
  }

  private async commitNow(work: (transaction: StoreTransaction) => void): Promise<void> {
    if (this.dead) return forever();
    const changes: Change[] = [];
    const written = new Disk();
    const removed = new Set<string>();
    const name = (table: TableName, key: Key): string => JSON.stringify([table, key]);
    if (this.disk.begun !== this.version) throw writtenByAnother('this disk');
    work({
      get: (table, key) => {
        if (removed.size > 0 && removed.has(name(table, key))) return undefined;
        return (written.get(table, key) ?? this.visible.get(table, key))?.slice();
      },
      put: (table, key, value) => {
        this.onPut?.(table);
        const change: Change = [table, key, value.slice()];
        changes.push(change);
        written.write([change]);
        if (removed.size > 0) removed.delete(name(table, key));
      },
      remove: (table, key) => {
        changes.push([table, key, undefined]);
        written.write([[table, key, undefined]]);
        removed.add(name(table, key));
      },
    });
    const failure = this.failures.shift() ?? (this.full ? 'storage_full' : undefined);
    if (failure !== undefined) throw new Fault(failure, `injected: ${failure}`);
    this.visible.write(changes);
    if (changes.length > 0) this.version = ++this.disk.begun;
    this.unflushed.push(changes);
    await this.flushGate;
    await this.hooks.flush?.();
    if (this.dead) return forever();
    this.disk.write(changes);
    if (changes.length > 0) this.disk.flushed++;
    this.unflushed.shift();
    this.commits++;
    this.hooks.onFlushed?.(changes);
  }

  sizes(): StoreSizes {
    return { usedBytes: this.visible.bytes(), freeBytes: 0 };
  }

  count(table: TableName): number {
    return this.visible.range(table, {}).length;
  }

  bytes(table: TableName): number {
    return this.visible.bytes([table]);
  }

  async close(): Promise<void> {
    await this.queue;
  }
}

/** Tables of sorted keys. */
class Disk {
  /** Commits of all processes that have it open: those that took effect, and those that are flushed. */
  begun = 0;
  flushed = 0;
  private readonly tables = new Map<TableName, { keys: Key[]; values: Uint8Array[] }>(
    tableNames.map((name) => [name, { keys: [], values: [] }]),
  );

  copy(): Disk {
    const copy = new Disk();
    for (const [name, { keys, values }] of this.tables) copy.tables.set(name, { keys: [...keys], values: [...values] });
    return copy;
  }

  image(): Uint8Array {
    const rows = [...this.tables].map(([name, { keys, values }]) => [
      name,
      keys,
      values.map((value) => Buffer.from(value).toString('base64')),
    ]);
    return new TextEncoder().encode(JSON.stringify(rows));
  }

  static fromImage(image: Uint8Array): Disk {
    const disk = new Disk();
    const rows = JSON.parse(new TextDecoder().decode(image)) as [TableName, Key[], string[]][];
    for (const [name, keys, values] of rows) {
      disk.tables.set(name, { keys, values: values.map((value) => new Uint8Array(Buffer.from(value, 'base64'))) });
    }
    return disk;
  }

  write(changes: readonly Change[]): void {
    for (const [name, key, value] of changes) {
      const { keys, values } = this.tables.get(name)!;
      const at = lowerBound(keys, key);
      const present = at < keys.length && compareKeys(keys[at]!, key) === 0;
      if (value === undefined) {
        if (present) {
          keys.splice(at, 1);
          values.splice(at, 1);
        }
        continue;
      }
      keys.splice(at, present ? 1 : 0, key);
      values.splice(at, present ? 1 : 0, value);
    }
  }

  get(name: TableName, key: Key): Uint8Array | undefined {
    const { keys, values } = this.tables.get(name)!;
    const at = lowerBound(keys, key);
    return at < keys.length && compareKeys(keys[at]!, key) === 0 ? values[at] : undefined;
  }

  range(name: TableName, { from, to, reverse, limit }: RangeOptions<Key>): (readonly [Key, Uint8Array])[] {
    const { keys, values } = this.tables.get(name)!;
    const start = from === undefined ? 0 : lowerBound(keys, from);
    let end = to === undefined ? keys.length : lowerBound(keys, to);
    if (to !== undefined && end < keys.length && compareKeys(keys[end]!, to) === 0) end++;
    const rows = keys.slice(start, end).map((key, index) => [key, values[start + index]!] as const);
    if (reverse === true) rows.reverse();
    return rows.slice(0, limit);
  }

  bytes(names: readonly TableName[] = tableNames): number {
    let bytes = 0;
    for (const name of names) for (const value of this.tables.get(name)!.values) bytes += value.length;
    return bytes;
  }
}

function lowerBound(keys: readonly Key[], key: Key): number {
  let low = 0;
  let high = keys.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (compareKeys(keys[middle]!, key) < 0) low = middle + 1;
    else high = middle;
  }
  return low;
}

function compareKeys(a: Key, b: Key): number {
  if (typeof a === 'object' && typeof b === 'object') {
    return a[0] === b[0] ? a[1] - b[1] : a[0] < b[0] ? -1 : 1;
  }
  return a === b ? 0 : a < b ? -1 : 1;
}

function forever(): Promise<never> {
  return new Promise(() => {});
}
