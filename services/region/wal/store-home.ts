/**
 * Where a region's stores lie: one is current; another may be coming in from a peer and take its place.
 *
 * On disk: the directory itself holds the first store; `CURRENT` names the subdirectory of the one that replaced it. The
 * switch is a rename of `CURRENT`, flushed: a crash leaves the old store current or the new one, never neither. What is not
 * current and not coming in is removed when the home is opened.
 */
import type { Store } from './store.ts';

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
