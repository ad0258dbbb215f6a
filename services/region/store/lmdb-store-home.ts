/**
 * A region's stores on LMDB. See `store.ts`.
 *
 *     <path>/data.mdb            the first store, lock.mdb beside it
 *     <path>/CURRENT             names the subdirectory of the one that replaced it
 *     <path>/store-<id>/part     a copy being fetched; becomes data.mdb when it is opened, so that a merged one is
 *                                never taken for a partial download
 *     <path>/store-<id>/renewed  its rows in a new file, which replaces its data.mdb
 *     <path>/copy-<n>/data.mdb   a copy being served
 *
 * Order of effects of a switch: the new store's file and directory are flushed → CURRENT.tmp is written and flushed → renamed
 * → the directory is flushed → the former store is removed. What a crash leaves in between: the former store current and
 * leftovers of the new one, or the new one current and leftovers of the former; `open` removes either.
 *
 * One process at a time: `open` refuses a directory that another running process has open, before it changes anything there. It
 * reads LMDB's table of readers (`openAlone`): an entry is valid as long as the kernel holds its process's lock, so a killed
 * process needs no clean-up. If locks do not work (a network file system, on which LMDB must not be used) or two start at the
 * same time, the store refuses every write that follows one of another process (`store.ts`).
 */

import { createHash } from 'node:crypto';
import { readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { appendFile, type FileHandle, mkdir, open, rename, rm, stat, statfs, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { makeDirectory } from '../../../shared/config/make-directory.ts';
import { ConfigError } from '../../../shared/errors/config-error.ts';
import { Fault, messageOf } from '../../../shared/errors/errors.ts';
import { assert, type Clock } from '../../../shared/kernel/kernel.ts';
import { storageFault } from '../storage-fault/storage-fault.ts';
import { type LmdbEnvironment, openLmdbStore } from './lmdb-store.ts';
import { renewStore } from './renew-store.ts';
import type { IncomingStore, Store, StoreCopy, StoreHome } from './store.ts';

/** Bytes that a copy leaves free on the disk for the log. */
const RESERVE_BYTES = 64 * 1024 * 1024;
/** A partial copy that did not grow for this long is useless: no peer serves a copy that long after the last read. */
const PART_KEPT_MS = 10 * 60_000;
const READ_BYTES = 1024 * 1024;

const DATA = 'data.mdb';
const LOCK = 'lock.mdb';
const PART = 'part';
const CURRENT = 'CURRENT';
const storePattern = /^store-[a-z2-7]{1,32}(-again)?$/;

/** The steps at which a test ends the process. */
export type SwitchStep = 'store flushed' | 'pointer written' | 'pointer renamed' | 'pointer flushed' | 'former removed';

export interface LmdbStoreHomeOptions {
  /** The region's data directory; created when absent. */
  readonly path: string;
  readonly clock: Pick<Clock, 'nowMs' | 'after'>;
  /** Called after each step of a switch. */
  readonly onStep?: (step: SwitchStep) => void;
  /** A received copy whose reader makes no progress for this long is refused. Default 60,000. */
  readonly stalledMs?: number;
}

export function createLmdbStoreHome(options: LmdbStoreHomeOptions): StoreHome {
  return new LmdbStoreHome(options);
}

class LmdbStoreHome implements StoreHome {
  private readonly options: LmdbStoreHomeOptions;
  private store: LmdbEnvironment | undefined;
  private copies = 0;
  /** Subdirectory of the store being fetched, in this process. */
  private arriving = '';

  constructor(options: LmdbStoreHomeOptions) {
    this.options = options;
  }

  open(): Store {
    const { path } = this.options;
    makeDirectory(path);
    const current = this.current();
    const store = openAlone(path, join(path, current));
    if (this.current() !== current) {
      store.close().catch(() => undefined);
      throw new ConfigError(
        `${path} was given another store while it was being opened: a restore has just ended there`,
      );
    }
    this.removeLeftovers(current);
    this.store = store;
    return store;
  }

  private current(): string {
    return currentStore(this.options.path);
  }

  private removeLeftovers(current: string): void {
    const { path, clock } = this.options;
    const usable = (name: string): boolean => {
      const part = statSync(join(path, name, PART), { throwIfNoEntry: false });
      return part !== undefined && clock.nowMs() - part.mtimeMs < PART_KEPT_MS && !exists(join(path, name, DATA));
    };
    for (const name of readdirSync(path)) {
      if (name === current || name === this.arriving) continue;
      const arriving = storePattern.test(name) && !usable(name);
      const former = current !== '' && (name === DATA || name === LOCK);
      if (arriving || former || /^copy-\d+$/.test(name) || name === `${CURRENT}.tmp`) {
        rmSync(join(path, name), { recursive: true, force: true });
      }
    }
  }

  async copy(): Promise<StoreCopy> {
    const { store } = this;
    assert(store !== undefined, 'a copy is made of an open store');
    const { path } = this.options;
    const directory = join(path, `copy-${++this.copies}`);
    try {
      const { usedBytes, freeBytes } = store.sizes();
      await this.requireRoom(usedBytes - freeBytes, 'a copy');
      await rm(directory, { recursive: true, force: true });
      await mkdir(directory);
      await store.backup(directory);
      const file = join(directory, DATA);
      const { size } = await stat(file);
      const sha256 = await digestOf(file);
      return new FileCopy(directory, await open(file, 'r'), size, sha256);
    } catch (error) {
      await rm(directory, { recursive: true, force: true });
      throw storageFault(error);
    }
  }

  private async requireRoom(bytes: number, what: string): Promise<void> {
    const { bavail, bsize } = await statfs(this.options.path);
    if (bavail * bsize >= bytes + RESERVE_BYTES) return;
    throw new Fault(
      'storage_full',
      `${what} needs ${bytes} bytes and ${RESERVE_BYTES} beside it, ${bavail * bsize} are free`,
    );
  }

  async incoming(id: string, bytes: number): Promise<IncomingStore> {
    const { path } = this.options;
    // The id is from another process and becomes a file name on this disk.
    if (!/^[a-z2-7]{1,32}$/.test(id))
      throw new Fault('malformed_answer', `${JSON.stringify(id)} is not the name of a snapshot`);
    const current = this.current();
    // A copy that was installed before may be fetched again: its directory is then the current one.
    const name = current === `store-${id}` ? `store-${id}-again` : `store-${id}`;
    try {
      for (const other of readdirSync(path)) {
        if (other === current || !storePattern.test(other)) continue;
        if (other === name && !exists(join(path, other, DATA))) continue;
        await rm(join(path, other), { recursive: true, force: true });
      }
      makeDirectory(join(path, name));
      this.arriving = name;
      const incoming = new IncomingDirectory({ ...this.options, name, former: current });
      // Twice, for `renew`.
      await this.requireRoom(2 * bytes - incoming.received, 'the store coming in');
      return incoming;
    } catch (error) {
      throw storageFault(error);
    }
  }
}

class FileCopy implements StoreCopy {
  private readonly directory: string;
  private readonly file: FileHandle;
  readonly bytes: number;
  readonly sha256: string;

  constructor(directory: string, file: FileHandle, bytes: number, sha256: string) {
    this.directory = directory;
    this.file = file;
    this.bytes = bytes;
    this.sha256 = sha256;
  }

  async read(offset: number, limitBytes: number): Promise<Uint8Array> {
    const length = Math.max(0, Math.min(limitBytes, this.bytes - offset));
    const buffer = Buffer.allocUnsafe(length);
    for (let at = 0; at < length; ) {
      const { bytesRead } = await this.file.read(buffer, at, length - at, offset + at);
      if (bytesRead === 0) throw new Fault('storage_failed', 'the copy is shorter than it was');
      at += bytesRead;
    }
    return buffer;
  }

  async dispose(): Promise<void> {
    await this.file.close();
    await rm(this.directory, { recursive: true, force: true });
  }
}

interface IncomingOptions extends LmdbStoreHomeOptions {
  readonly name: string;
  /** Subdirectory of the store it replaces; empty: the home itself. */
  readonly former: string;
}

class IncomingDirectory implements IncomingStore {
  private readonly options: IncomingOptions;
  private readonly directory: string;
  private readonly part: string;
  received: number;

  constructor(options: IncomingOptions) {
    this.options = options;
    this.directory = join(options.path, options.name);
    this.part = join(this.directory, PART);
    this.received = statSync(this.part, { throwIfNoEntry: false })?.size ?? 0;
  }

  async append(bytes: Uint8Array): Promise<void> {
    try {
      await appendFile(this.part, bytes);
    } catch (error) {
      // A partial write of these bytes would shift everything that is appended after them.
      await rm(this.directory, { recursive: true, force: true });
      throw storageFault(error);
    }
    this.received += bytes.length;
  }

  async complete(bytes: number, sha256: string): Promise<boolean> {
    try {
      const { size } = await stat(this.part);
      if (size === bytes && (await digestOf(this.part)) === sha256) {
        await rename(this.part, join(this.directory, DATA));
        return true;
      }
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw storageFault(error);
    }
    await this.discard();
    return false;
  }

  async renew(signal?: AbortSignal): Promise<void> {
    const renewed = join(this.directory, 'renewed');
    try {
      const { clock, stalledMs } = this.options;
      await renewStore({ directory: this.directory, target: renewed, signal, clock, stalledMs });
      if (!signal?.aborted) await rename(join(renewed, DATA), join(this.directory, DATA));
      // Of the process that has read it.
      await rm(join(this.directory, LOCK), { force: true });
    } catch (error) {
      throw storageFault(error);
    } finally {
      await rm(renewed, { recursive: true, force: true });
    }
  }

  open(): Store {
    assert(exists(join(this.directory, DATA)), 'a copy is opened when it is complete');
    return openLmdbStore({ path: this.directory });
  }

  async makeCurrent(): Promise<void> {
    const { path: home, name, former, onStep } = this.options;
    const pointer = join(home, CURRENT);
    try {
      await flush(join(this.directory, DATA));
      await flush(this.directory);
      await flush(home);
      onStep?.('store flushed');
      await writeFile(`${pointer}.tmp`, `${name}\n`);
      await flush(`${pointer}.tmp`);
      onStep?.('pointer written');
    } catch (error) {
      // The former store is current. After the rename this is unknown until the next start.
      await rm(`${pointer}.tmp`, { force: true });
      throw storageFault(error);
    }
    await rename(`${pointer}.tmp`, pointer);
    onStep?.('pointer renamed');
    await flush(home);
    onStep?.('pointer flushed');
    const gone = former === '' ? [join(home, DATA), join(home, LOCK)] : [join(home, former)];
    for (const path of gone) await rm(path, { recursive: true, force: true });
    onStep?.('former removed');
  }

  async discard(): Promise<void> {
    this.received = 0;
    await rm(this.directory, { recursive: true, force: true });
  }
}

/**
 * Opens the store of the data directory `path` in `directory`, if no other running process has it open. Throws `ConfigError`.
 */
export function openAlone(path: string, directory: string): LmdbEnvironment {
  const inUse = (who: string): ConfigError => new ConfigError(`${path} is in use by ${who}: stop that region first`);
  let store: LmdbEnvironment;
  try {
    store = openLmdbStore({ path: directory });
  } catch (error) {
    // A process of another container may have the same id: the kernel then refuses this one an entry in LMDB's table.
    if (error instanceof Fault && error.code === 'no_place_to_read') throw inUse('a process of another container');
    throw new ConfigError(`${path} cannot be opened: ${messageOf(error)}; is a region running on it?`);
  }
  // The own entry is written first: of two that start together at least one then sees the other.
  const others = store.readers().filter((pid) => pid !== process.pid);
  if (others.length === 0) return store;
  store.close().catch(() => undefined);
  throw inUse(`process ${others.join(', ')}`);
}

/** The subdirectory of the current store of a data directory; empty: the directory itself. Throws `ConfigError`. */
export function currentStore(path: string): string {
  const file = join(path, CURRENT);
  let name: string;
  try {
    name = readFileSync(file, 'utf8').trim();
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return '';
    throw new ConfigError(`${file} cannot be read: ${messageOf(error)}`);
  }
  if (!storePattern.test(name) || !exists(join(path, name, DATA))) {
    throw new ConfigError(`${file} names ${JSON.stringify(name)}, and no store is there`);
  }
  return name;
}

/** Hexadecimal SHA-256 of a file, read in pieces, so that the event loop runs between them. */
export async function digestOf(path: string): Promise<string> {
  const hash = createHash('sha256');
  const file = await open(path, 'r');
  try {
    const buffer = Buffer.allocUnsafe(READ_BYTES);
    for (;;) {
      const { bytesRead } = await file.read(buffer, 0, READ_BYTES, null);
      if (bytesRead === 0) return hash.digest('hex');
      hash.update(buffer.subarray(0, bytesRead));
    }
  } finally {
    await file.close();
  }
}

/** Resolves when a file's data, or a directory's names, are on the disk. */
export async function flush(path: string): Promise<void> {
  const handle = await open(path, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

function exists(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false }) !== undefined;
}
