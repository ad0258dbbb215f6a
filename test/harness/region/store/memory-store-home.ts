/**
 * A home of stores in memory, with the crash semantics of the one on disk: a store is current once the switch resolved, and
 * before that the former one is; a copy coming in survives a crash as far as it was appended, a copy being served does not.
 */
import { createHash } from 'node:crypto';
import type { IncomingStore, Store, StoreCopy, StoreHome } from '../../../../services/region/store/store.ts';
import { Fault } from '../../../../shared/errors/errors.ts';
import { assert } from '../../../../shared/kernel/kernel.ts';
import { MemoryStore, type StoreHooks } from './memory-store.ts';

interface Incoming {
  readonly id: string;
  parts: Uint8Array[];
  /** Set once it was complete: it is no longer partial. */
  store: MemoryStore | undefined;
}

export class MemoryStoreHome implements StoreHome {
  /** The current store, open or as it was closed. */
  store: MemoryStore;
  private arriving: Incoming | undefined;
  private dead = false;
  /** Copies that are not disposed of. */
  copies = 0;
  /** Copies cannot be made. */
  full = false;
  /** Copies wait for this. */
  copying: Promise<void> = Promise.resolve();
  /** A part that arrives finds the disk full. */
  incomingFull = false;
  /** Free space for a fetched store. */
  roomBytes = Number.POSITIVE_INFINITY;
  /** Of the fetched store, until it is current. */
  incomingHooks: StoreHooks = {};
  /** Called before and after the switch of `makeCurrent`, which waits for it; a throw in it is a crash there. */
  onStep: ((step: 'before the switch' | 'after the switch') => void | Promise<void>) | undefined;

  constructor(store: MemoryStore = new MemoryStore()) {
    this.store = store;
  }

  open(): Store {
    return this.store;
  }

  async copy(): Promise<StoreCopy> {
    if (this.full) throw new Fault('storage_full', 'injected: no room for a copy');
    const image = this.store.image();
    await this.copying;
    this.copies++;
    return {
      bytes: image.length,
      sha256: digest(image),
      read: async (offset, limitBytes) => image.slice(offset, offset + limitBytes),
      dispose: async () => {
        this.copies--;
      },
    };
  }

  async incoming(id: string, bytes: number): Promise<IncomingStore> {
    if (bytes > this.roomBytes) throw new Fault('storage_full', 'injected: no room for a store coming in');
    if (this.arriving?.id !== id || this.arriving.store !== undefined)
      this.arriving = { id, parts: [], store: undefined };
    return this.incomingOf(this.arriving);
  }

  private incomingOf(arriving: Incoming): IncomingStore {
    const home = this;
    const drop = (): void => {
      arriving.parts = [];
      arriving.store = undefined;
      if (home.arriving === arriving) home.arriving = undefined;
    };
    return {
      get received() {
        return arriving.parts.reduce((sum, part) => sum + part.length, 0);
      },
      async append(bytes) {
        if (home.dead) return new Promise(() => {});
        if (home.incomingFull) {
          drop();
          throw new Fault('storage_full', 'injected: no room for the copy coming in');
        }
        arriving.parts.push(bytes.slice());
      },
      async complete(bytes, sha256) {
        const image = Buffer.concat(arriving.parts);
        if (image.length !== bytes || digest(image) !== sha256) {
          drop();
          return false;
        }
        try {
          arriving.store = MemoryStore.fromImage(image, home.incomingHooks);
        } catch {
          // As on a disk, whose bytes were not read yet.
        }
        return true;
      },
      async renew() {
        if (arriving.store === undefined) throw new Fault('damaged_store', 'the bytes are no image of a store');
      },
      open() {
        assert(arriving.store !== undefined, 'a copy is opened when it is complete');
        return arriving.store;
      },
      async makeCurrent() {
        if (home.dead) return new Promise(() => {});
        assert(arriving.store !== undefined, 'only a complete copy becomes current');
        await home.onStep?.('before the switch');
        home.store = arriving.store;
        home.arriving = undefined;
        await home.onStep?.('after the switch');
      },
      discard: async () => drop(),
    };
  }

  /** Pulls the plug; the home as it is found afterwards. */
  crash(unflushed: 'lost' | 'kept' = 'lost'): MemoryStoreHome {
    this.dead = true;
    const after = new MemoryStoreHome(this.store.crash(unflushed));
    // A partly merged copy is no part of a download and not current.
    if (this.arriving !== undefined && this.arriving.store === undefined) {
      after.arriving = { ...this.arriving, parts: [...this.arriving.parts] };
    }
    return after;
  }
}

function digest(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}
