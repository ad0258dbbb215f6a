/** Both homes of stores, and what only the one on disk can get wrong. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createLmdbStoreHome } from '../../../../services/region/store/lmdb-store-home.ts';
import { renewStore } from '../../../../services/region/store/renew-store.ts';
import type { Store } from '../../../../services/region/store/store.ts';
import { systemClock as clock } from '../../../../shared/kernel/system.ts';
import { drawBetween, seededRandom } from '../../../harness/kernel/seeded-random.ts';
import { secondProcess } from '../../../harness/processes/second-process.ts';
import { MemoryStoreHome } from '../../../harness/region/store/memory-store-home.ts';
import { storeHomeContract } from '../../../harness/region/store/store-home-contract.ts';

const PAGE_BYTES = 4_096;

storeHomeContract('lmdb', () => {
  const path = mkdtempSync(join(tmpdir(), 'tidal-home-'));
  const open: Store[] = [];
  return {
    start: (onStep) => {
      const home = createLmdbStoreHome({ path, clock, ...(onStep === undefined ? {} : { onStep }) });
      return {
        open: () => {
          const store = home.open();
          open.push(store);
          return store;
        },
        copy: () => home.copy(),
        incoming: (id, bytes) => home.incoming(id, bytes),
      };
    },
    // What a process leaves is its files as they were written; closing writes nothing.
    crash: async () => {
      for (const store of open.splice(0)) await store.close();
    },
    leftovers: () => {
      const names = readdirSync(path);
      if (!names.includes('CURRENT')) return names.filter((name) => !/^(data|lock)\.mdb$/.test(name));
      const current = readFileSync(join(path, 'CURRENT'), 'utf8').trim();
      return names.filter((name) => name !== 'CURRENT' && name !== current);
    },
    steps: [
      ['store flushed', false],
      ['pointer written', false],
      ['pointer renamed', true],
      ['pointer flushed', true],
      ['former removed', true],
    ],
    dispose: async () => rmSync(path, { recursive: true, force: true }),
  };
});

storeHomeContract('in memory', () => {
  let home = new MemoryStoreHome();
  return {
    start: (onStep) => {
      home.onStep = onStep;
      return home;
    },
    crash: async () => {
      home = home.crash();
    },
    leftovers: () => Array.from({ length: home.copies }, (_, index) => `copy ${index + 1}`),
    steps: [
      ['before the switch', false],
      ['after the switch', true],
    ],
    dispose: async () => {},
  };
});

describe('store home on lmdb', () => {
  let path: string;
  beforeEach(() => {
    path = mkdtempSync(join(tmpdir(), 'tidal-home-'));
  });
  afterEach(() => rmSync(path, { recursive: true, force: true }));

  it('a pointer to nothing is refused, not taken for an empty store', () => {
    writeFileSync(join(path, 'CURRENT'), 'store-aaaa\n');
    assert.throws(
      () => createLmdbStoreHome({ path, clock }).open(),
      /CURRENT names "store-aaaa", and no store is there/,
    );
    writeFileSync(join(path, 'CURRENT'), '../elsewhere\n');
    assert.throws(() => createLmdbStoreHome({ path, clock }).open(), /no store is there/);
  });

  it('a directory that another process has open is refused and left as it is; once that one was killed it is opened', async () => {
    await createLmdbStoreHome({ path, clock }).open().close();
    mkdirSync(join(path, 'copy-1'));
    const second = await secondProcess(path);
    assert.equal(await second.put('running'), undefined);
    assert.throws(
      () => createLmdbStoreHome({ path, clock }).open(),
      /is in use by process \d+: stop that region first/,
    );
    assert.ok(existsSync(join(path, 'copy-1')), 'it may be the other process’s');
    await second.kill();
    const store = createLmdbStoreHome({ path, clock }).open();
    assert.ok(!existsSync(join(path, 'copy-1')));
    await store.commit((transaction) => transaction.put('marks', 'mine', Uint8Array.of(1)));
    await store.close();
  });

  it('an id is a name, never a path', async () => {
    const home = createLmdbStoreHome({ path, clock });
    const store = home.open();
    for (const id of ['../aaaa', 'a/b', '', 'A', 'a'.repeat(33)]) {
      await assert.rejects(home.incoming(id, 1), { code: 'malformed_answer' });
    }
    await store.close();
  });

  it('a copy without free space is not begun', async () => {
    const home = createLmdbStoreHome({ path, clock });
    const store = home.open();
    await assert.rejects(home.incoming('aaaa', 2 ** 50), { code: 'storage_full' });
    await store.close();
  });

  it('a part that did not grow for ten minutes, and a copy that was served, are removed at the next start', async () => {
    const home = createLmdbStoreHome({ path, clock });
    const store = home.open();
    await (await home.incoming('aaaa', 10)).append(new Uint8Array(10));
    const copy = await home.copy();
    assert.ok(existsSync(join(path, 'copy-1', 'data.mdb')));
    await store.close();
    await createLmdbStoreHome({ path, clock }).open().close();
    assert.deepEqual(readdirSync(path).sort(), ['data.mdb', 'lock.mdb', 'store-aaaa']);
    const old = new Date(clock.nowMs() - 11 * 60_000);
    utimesSync(join(path, 'store-aaaa', 'part'), old, old);
    await createLmdbStoreHome({ path, clock }).open().close();
    assert.deepEqual(readdirSync(path).sort(), ['data.mdb', 'lock.mdb']);
    await copy.dispose();
  });

  it('a copy with damaged pages and a right digest only crashes, or stalls, the process that reads it first', async function () {
    this.timeout(120_000);
    const home = createLmdbStoreHome({ path, clock, stalledMs: 10_000 });
    const store = home.open();
    await store.commit((transaction) => {
      for (let n = 0; n < 500; n++) transaction.put('items', n, new Uint8Array(300).fill(n));
      transaction.put('batches', ['us-east@aaaaaaaaaa', 1], new Uint8Array(20_000));
    });
    const copy = await home.copy();
    const image = await copy.read(0, copy.bytes);
    const seed = Math.floor(Math.random() * 2 ** 31);
    const random = seededRandom(seed);
    let refused = 0;
    for (let round = 0; round < 8; round++) {
      const harmed = Uint8Array.from(image);
      for (let n = 0; n < round; n++) {
        // Behind the two pages that say where the trees begin: LMDB checks those itself.
        const page = drawBetween(random, 2, image.length / PAGE_BYTES - 1);
        harmed[page * PAGE_BYTES + drawBetween(random, 8, 63)] = drawBetween(random, 0, 255);
      }
      const incoming = await home.incoming('aaaa', harmed.length);
      await incoming.append(harmed);
      assert.ok(await incoming.complete(harmed.length, createHash('sha256').update(harmed).digest('hex')));
      try {
        await incoming.renew();
        const opened = incoming.open();
        const rows = [...opened.range('items', {})];
        await opened.commit((transaction) => {
          for (const { key, value } of rows) transaction.put('items', key, value);
          for (let n = 0; n < 500; n++) transaction.put('items', 1_000 + n, new Uint8Array(300));
        });
        if (round === 0) assert.equal(rows.length, 500);
        await opened.close();
      } catch (error) {
        const { code, message } = error as { code?: string; message: string };
        assert.equal(code, 'damaged_store', `seed ${seed}: ${message}`);
        assert.match(message, /^the file is no store that can be read: .{5,}/);
        assert.ok(round > 0, message);
        refused++;
      }
      await incoming.discard();
    }
    assert.ok(refused > 0, `seed ${seed}`);
    const stopped = new AbortController();
    const incoming = await home.incoming('bbbb', image.length);
    await incoming.append(image);
    assert.ok(await incoming.complete(image.length, copy.sha256));
    const renewing = incoming.renew(stopped.signal);
    stopped.abort();
    await renewing;
    await copy.dispose();
    await store.close();
  });

  it('a copy whose reader makes no progress is refused, and the reader ended', async () => {
    // LMDB waits for a writer of the pipe, as it would loop in a damaged tree: without an end.
    execFileSync('mkfifo', [join(path, 'data.mdb')]);
    await assert.rejects(renewStore({ directory: path, clock, stalledMs: 1_000 }), {
      code: 'damaged_store',
      message: 'the file is no store that can be read: its reader made no progress for 1 s',
    });
  });

  it('files of others in the directory are left alone', async () => {
    mkdirSync(join(path, 'backups'));
    writeFileSync(join(path, 'copy-of-mine'), '');
    await createLmdbStoreHome({ path, clock }).open().close();
    assert.ok(existsSync(join(path, 'backups')) && existsSync(join(path, 'copy-of-mine')));
  });

  it('a copy is made off the event loop and without what was freed', async () => {
    const home = createLmdbStoreHome({ path, clock });
    const store = home.open();
    for (let round = 0; round < 10; round++) {
      await store.commit((transaction) => {
        for (let n = 0; n < 20; n++) {
          transaction.put('batches', ['us-east@aaaaaaaaaa', round * 20 + n], new Uint8Array(200_000).fill(n));
        }
      });
    }
    await store.commit((transaction) => {
      for (let n = 0; n < 150; n++) transaction.remove('batches', ['us-east@aaaaaaaaaa', n]);
    });
    let commits = 0;
    let copying = true;
    const made = home.copy().finally(() => {
      copying = false;
    });
    while (copying) {
      await store.commit((transaction) => transaction.put('marks', 'n', Uint8Array.of(1)));
      commits++;
    }
    const copy = await made;
    assert.ok(commits > 1, 'commits go on while it is made');
    assert.ok(copy.bytes < store.sizes().usedBytes / 2, `${copy.bytes} of ${store.sizes().usedBytes} bytes`);
    await copy.dispose();
    await store.close();
  });
});
