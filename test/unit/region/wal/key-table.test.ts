/** The log's table of idempotency keys: a row for each key, whatever the size of its requests; and what an earlier version wrote. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { open } from 'lmdb';
import { openLmdbStore } from '../../../../services/region/store/lmdb-store.ts';
import { openLog } from '../../../../services/region/wal/log.ts';
import { withChecksum } from '../../../../services/region/wal/row-checksums.ts';
import type { Wal } from '../../../../services/region/wal/wal.ts';
import type { Event } from '../../../../shared/protocol/events.ts';
import { keyIdOf, withKeys, writeIdOf, writeIndexOf } from '../../../../shared/protocol/idempotency.ts';
import { fromWire, type WireWrite } from '../../../../shared/protocol/writes.ts';
import { chainOf, startMs, viewEvent } from '../../../harness/region/batches.ts';
import { MemoryStore } from '../../../harness/region/store/memory-store.ts';

const a = 'us-east@aaaaaaaaaa';
const b = 'eu-west@bbbbbbbbbb';
const DAY_MS = 86_400_000;

function keysOf(key: string, count: number): NonNullable<Event['key']>[] {
  const writes = Array.from({ length: count }, (_, index): WireWrite => ({ k: 's', e: index, s: 'view', w: 1_000 }));
  return withKeys(key, 'signals', writes, true).map((write) => fromWire(write).key!);
}

function events(keys: readonly NonNullable<Event['key']>[], acceptedMs = startMs): Event[] {
  return keys.map((key) => ({ ...viewEvent(0), hlc: acceptedMs * 2048, timeMs: acceptedMs, key }));
}

/** As an earlier version stored them; the row has had its checksum since. */
async function putEarlier(
  store: MemoryStore,
  id: string,
  ...copies: readonly (readonly [origin: string, sequence: number, acceptedMs: number, bodyHash: string])[]
): Promise<void> {
  const rows = copies.map(([origin, sequence, acceptedMs, hash]) => [origin, sequence, 1, acceptedMs, 7, hash]);
  const row = withChecksum('keys', id, Buffer.from(JSON.stringify(rows)));
  await store.commit((transaction) => transaction.put('keys', id, row));
}

/** Walks through all records, so many rows or bytes a step; answers how many were forgotten, by step. */
async function sweep(wal: Wal, beforeMs: number, step = { limit: 100, limitBytes: 1e6 }): Promise<number[]> {
  const steps: number[] = [];
  let from: string | undefined;
  do {
    const { next, forgotten } = await wal.forgetKeys({ ...step, from, beforeMs, upTo: wal.durable });
    steps.push(forgotten);
    from = next;
  } while (from !== undefined);
  return steps;
}

describe('the table of idempotency keys', () => {
  it('all writes of a request have one key id, and each its index', () => {
    const ids = keysOf('k', 300).map(({ id }) => id);
    assert.equal(new Set(ids.map(keyIdOf)).size, 1);
    assert.deepEqual(
      ids.map(writeIndexOf),
      ids.map((_, index) => index),
    );
    const keyId = keyIdOf(ids[0]!);
    assert.notEqual(keyIdOf(keysOf('l', 1)[0]!.id), keyId);
    assert.equal(Buffer.from(ids[259]!, 'base64url').readUInt32BE(12), 259);
    for (const index of [0, 1, 255, 65_536, 2 ** 32 - 1]) assert.equal(writeIndexOf(writeIdOf(keyId, index)), index);
    const single = withKeys('k', 'signals', [{ k: 's', e: 0, s: 'view', w: 1_000 }], false);
    assert.deepEqual([single[0]!.key![0], single[0]!.key![1] === keysOf('k', 1)[0]!.bodyHash], [ids[0], false]);
  });

  it('the copies of a bulk from several batches, commits and origins are one row, distinguished write by write', async () => {
    const store = new MemoryStore();
    const wal = openLog({ store });
    const keys = keysOf('k', 9);
    const [one, two, three] = chainOf({ origin: a }, [
      events(keys.slice(0, 2)),
      events(keys.slice(2, 4)),
      events(keys.slice(4, 6)),
    ]);
    let puts = 0;
    store.onPut = (table) => {
      if (table === 'keyed') puts++;
    };
    await wal.append({ batches: [one!, two!] });
    assert.equal(puts, 1, 'a row is written once a commit, not once a write');
    assert.deepEqual(wal.copies(keys[5]!.id), [], 'read before it is there');
    await wal.append({ batches: [three!, ...chainOf({ origin: b }, [events(keys.slice(3, 8))])] });
    for (const log of [wal, openLog({ store: store.crash() })]) {
      assert.equal(log.keys, 1);
      const places = keys.map(({ id }) => log.copies(id).map(({ origin, sequence }) => `${origin[0]}${sequence}`));
      assert.deepEqual(places, [['u1'], ['u2'], ['u3'], ['u4', 'e1'], ['u5', 'e2'], ['u6', 'e3'], ['e4'], ['e5'], []]);
      assert.equal(log.copies(keys[4]!.id)[0]!.bodyHash, keys[4]!.bodyHash);
    }
    assert.ok(wal.keyBytes > 0);
  });

  it('cached rows are read again after every append, before it is visible as durable', async () => {
    const store = new MemoryStore();
    const wal = openLog({ store });
    const [key] = keysOf('k', 1);
    const [one, two] = chainOf({ origin: a }, [events([key!]), events([key!], startMs + 1)]);
    await wal.append({ batches: [one!] });
    store.holdFlushes();
    const appending = wal.append({ batches: [two!] });
    const seen: number[] = [];
    // Reads at every turn: before the commit, while it is visible and not flushed, and after it.
    for (let turn = 0; turn < 20; turn++) {
      seen.push(wal.copies(key!.id).length);
      await Promise.resolve();
    }
    assert.deepEqual(new Set(seen), new Set([1]));
    store.releaseFlushes();
    let over = false;
    void appending.then(() => {
      over = true;
    });
    while (!over) {
      const isDurable = wal.durable.get(a) === 2;
      assert.equal(wal.copies(key!.id).length, isDurable ? 2 : 1);
      await Promise.resolve();
    }
    assert.equal(wal.copies(key!.id).length, 2);
  });

  it('a failed commit leaves nothing of its copies, and its sequences are used by another write', async () => {
    const store = new MemoryStore();
    const wal = openLog({ store });
    const [k] = keysOf('k', 1);
    const [l] = keysOf('l', 1);
    store.failNext('storage_full');
    const failing = wal.append({ batches: chainOf({ origin: a }, [events([k!])]) });
    wal.copies(k!.id);
    await assert.rejects(failing);
    await wal.append({ batches: chainOf({ origin: a }, [events([l!])]) });
    assert.deepEqual([wal.copies(k!.id).length, wal.copies(l!.id).length, wal.keys], [0, 1, 1]);
  });

  it('a row is removed when all of its copies are old enough, not before', async () => {
    const wal = openLog({ store: new MemoryStore() });
    const keys = keysOf('k', 4);
    const [first, second] = chainOf({ origin: a }, [events(keys), events(keys.slice(1, 2), startMs + DAY_MS)]);
    await wal.append({ batches: [first!, second!] });
    assert.deepEqual(await sweep(wal, startMs + DAY_MS), [0]);
    assert.equal(wal.copies(keys[0]!.id).length, 1);
    assert.deepEqual(await sweep(wal, startMs + DAY_MS + 1), [1]);
    assert.equal(wal.keys, 0);
    for (const { id } of keys) assert.deepEqual(wal.copies(id), []);
    assert.equal(wal.keysForgottenMs, startMs + DAY_MS + 1);
  });

  it('a step checks no more rows or bytes than its limit, and at least one', async () => {
    const wal = openLog({ store: new MemoryStore() });
    const names = ['k', 'l', 'm', 'n'];
    for (const [index, batches] of chainOf(
      { origin: a },
      names.map((name) => events(keysOf(name, 100))),
    ).entries()) {
      assert.ok(index < names.length);
      await wal.append({ batches: [batches] });
    }
    const rowBytes = 100 * 24 + 34 + a.length;
    assert.deepEqual(await sweep(wal, startMs, { limit: 3, limitBytes: 1e6 }), [0, 0]);
    assert.deepEqual(await sweep(wal, startMs, { limit: 100, limitBytes: 2 * rowBytes }), [0, 0]);
    assert.deepEqual(await sweep(wal, startMs, { limit: 100, limitBytes: 2 * rowBytes - 1 }), [0, 0, 0, 0]);
    assert.deepEqual(await sweep(wal, startMs + 1, { limit: 100, limitBytes: 1 }), [1, 1, 1, 1]);
    assert.equal(wal.keys, 0);
  });
});

describe('records of idempotency keys that an earlier version wrote', () => {
  /** Any 16 bytes, as its ids were. */
  const idOf = (seed: number): string => Buffer.alloc(16, seed).toString('base64url');
  const hash = 'AAAAAAAAAAA';

  it('are known and counted, and what is added to them is with them in one row', async () => {
    const store = new MemoryStore();
    await openLog({ store }).append({ batches: chainOf({ origin: a }, [[viewEvent(0), viewEvent(1)]]) });
    await putEarlier(store, idOf(200), [a, 1, startMs, hash]);
    await putEarlier(store, idOf(201), [a, 2, startMs, hash], [a, 3, startMs, hash]);
    const wal = openLog({ store });
    assert.equal(wal.keys, 2);
    const known = { origin: a, epoch: 1, acceptedMs: startMs, timeMs: startMs - 7, bodyHash: hash };
    assert.deepEqual(wal.copies(idOf(200)), [{ ...known, sequence: 1 }]);
    assert.deepEqual(wal.copies(idOf(201)), [{ ...known, sequence: 2 }], 'what is not durable is not there');
    assert.deepEqual(wal.copies(idOf(199)), []);
    const again = events([{ id: idOf(200), bodyHash: hash }], startMs + 5);
    await wal.append({ batches: chainOf({ origin: b }, [[...again, ...again]]) });
    for (const log of [wal, openLog({ store: store.crash() })]) {
      assert.equal(log.keys, 2);
      const places = log.copies(idOf(200)).map(({ origin, sequence }) => `${origin[0]}${sequence}`);
      assert.deepEqual(places, ['u1', 'e1', 'e2']);
    }
    assert.deepEqual([store.count('keyed'), store.count('keys')], [1, 1]);
  });

  it('are forgotten after the others, in steps, and never apart from what was added to them', async () => {
    const store = new MemoryStore();
    await openLog({ store }).append({ batches: chainOf({ origin: a }, [[viewEvent(0)]]) });
    for (const seed of [1, 2, 3]) await putEarlier(store, idOf(seed), [a, 1, startMs, hash]);
    await putEarlier(store, idOf(4), [a, 2, startMs, hash]);
    const wal = openLog({ store });
    const added = events([keysOf('k', 1)[0]!, { id: idOf(2), bodyHash: hash }], startMs + DAY_MS);
    await wal.append({ batches: chainOf({ origin: b }, [added]) });
    assert.deepEqual(await sweep(wal, startMs + 1, { limit: 1, limitBytes: 1e6 }), [0, 0, 1, 1, 0]);
    assert.deepEqual(
      [1, 2, 3].map((seed) => wal.copies(idOf(seed)).length),
      [0, 2, 0],
    );
    assert.equal(wal.keys, 3, 'one is not covered');
    assert.deepEqual(await sweep(wal, startMs + DAY_MS + 1, { limit: 2, limitBytes: 1e6 }), [2, 0]);
    assert.equal(wal.keys, 1);
  });

  it('a store that an earlier version made is read as it is, also where nothing may be written', async () => {
    const path = mkdtempSync(join(tmpdir(), 'tidal-keys-'));
    try {
      const made = openLmdbStore({ path });
      await made.commit((transaction) => {
        const row = JSON.stringify([[a, 1, 1, startMs, 0, hash]]);
        transaction.put('keys', idOf(1), Buffer.from(row));
      });
      await made.close();
      const root = open({ path, maxDbs: 9 });
      await root.openDB({ name: 'keyed' }).drop();
      await root.close();
      const reading = openLmdbStore({ path, readOnly: true });
      const wal = openLog({ store: reading });
      assert.deepEqual([wal.keys, wal.copies(idOf(1)).length, [...reading.range('keyed', {})].length], [1, 0, 0]);
      assert.equal(reading.bytes('keyed'), 0);
      assert.ok(reading.sizes().usedBytes > 0);
      await reading.close();
      const writing = openLmdbStore({ path });
      await openLog({ store: writing }).append({ batches: chainOf({ origin: a }, [events(keysOf('k', 3))]) });
      assert.equal(openLog({ store: writing }).keys, 2);
      await writing.close();
    } finally {
      rmSync(path, { recursive: true, force: true });
    }
  });
});
