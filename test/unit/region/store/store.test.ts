/** Both stores, and the faults that only the one in memory can be made to have. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openLmdbStore } from '../../../../services/region/store/lmdb-store.ts';
import { Fault } from '../../../../shared/errors/errors.ts';
import { BrokenInvariant } from '../../../../shared/kernel/kernel.ts';
import { secondProcess } from '../../../harness/processes/second-process.ts';
import { MemoryStore } from '../../../harness/region/store/memory-store.ts';
import { storeContract } from '../../../harness/region/store/store-contract.ts';

storeContract('lmdb', () => {
  const path = mkdtempSync(join(tmpdir(), 'tidal-store-'));
  return {
    open: () => openLmdbStore({ path }),
    second: () => secondProcess(path),
    dispose: async () => rmSync(path, { recursive: true, force: true }),
  };
});

storeContract('in memory', () => {
  let store = new MemoryStore();
  return {
    open: () => {
      store = store.crash();
      return store;
    },
    second: async () => {
      const process = store.again();
      const codeOf = async (commit: Promise<void>): Promise<string | undefined> =>
        commit.then(
          () => undefined,
          (error: unknown) => (error instanceof Fault ? error.code : String(error)),
        );
      return {
        put: (name) => codeOf(process.commit((transaction) => transaction.put('marks', name, Buffer.from(name)))),
        remove: (name) => codeOf(process.commit((transaction) => transaction.remove('marks', name))),
        kill: async () => void process.crash(),
      };
    },
    dispose: async () => {},
  };
});

describe('store on lmdb', () => {
  it('a broken invariant inside a transaction stays one, whatever its text says', async () => {
    const path = mkdtempSync(join(tmpdir(), 'tidal-store-'));
    const store = openLmdbStore({ path });
    const broken = new BrokenInvariant('nobody else writes here: {"origin":"us-east@aeioENOSPCaa"}');
    const commit = store.commit(() => {
      throw broken;
    });
    await assert.rejects(commit, (error) => error === broken);
    await store.close();
    rmSync(path, { recursive: true, force: true });
  });
});

describe('store in memory', () => {
  const put = (store: MemoryStore, n: number): Promise<void> =>
    store.commit((transaction) => transaction.put('items', n, Uint8Array.of(n)));

  it('a commit that did not resolve is lost after a power failure, or exists, as the disk had it', async () => {
    for (const [unflushed, kept] of [
      ['lost', false],
      ['kept', true],
    ] as const) {
      const store = new MemoryStore();
      await put(store, 1);
      store.holdFlushes();
      let resolved = false;
      void put(store, 2).then(() => {
        resolved = true;
      });
      await new Promise((resolve) => setImmediate(resolve));
      assert.equal(store.get('items', 2)?.[0], 2, 'visible before it is flushed, as in LMDB');
      assert.equal(resolved, false);
      const after = store.crash(unflushed);
      store.releaseFlushes();
      await new Promise((resolve) => setImmediate(resolve));
      assert.equal(resolved, false, 'nobody is told after the power went');
      assert.equal(after.get('items', 1)?.[0], 1);
      assert.equal(after.get('items', 2) !== undefined, kept);
    }
  });

  it('an injected failure rejects with its code and leaves nothing', async () => {
    const store = new MemoryStore();
    store.failNext('storage_full', 'storage_failed');
    await assert.rejects(put(store, 1), { code: 'storage_full' });
    await assert.rejects(put(store, 2), { code: 'storage_failed' });
    await put(store, 3);
    assert.deepEqual(
      [...store.range('items', {})].map(({ key }) => key),
      [3],
    );
  });
});
