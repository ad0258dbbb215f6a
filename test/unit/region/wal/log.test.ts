/** The log on a store: what may be appended, what may be read, and who may write. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Batch, batchOf, decodeBatch } from '../../../../services/region/batch/batch.ts';
import { openLmdbStore } from '../../../../services/region/store/lmdb-store.ts';
import { openLog } from '../../../../services/region/wal/log.ts';
import { BrokenInvariant } from '../../../../shared/kernel/kernel.ts';
import { keyIdOf } from '../../../../shared/protocol/idempotency.ts';
import { formatPosition } from '../../../../shared/protocol/position.ts';
import { chainOf, startMs, viewChain, viewEvent } from '../../../harness/region/batches.ts';
import { MemoryStore } from '../../../harness/region/store/memory-store.ts';

const a = 'us-east@aaaaaaaaaa';
const b = 'eu-west@bbbbbbbbbb';
const hlc = startMs * 2048;

function firsts(parts: readonly Uint8Array[]): number[] {
  return parts.map((bytes) => decodeBatch(bytes).first);
}

describe('log', () => {
  it('reads whole batches from the one that holds the sequence, within the limit but at least one', async () => {
    const wal = openLog({ store: new MemoryStore() });
    const batches = viewChain(a, 4);
    await wal.append({ batches });
    const size = batches[0]!.bytes.length;
    assert.deepEqual(firsts(wal.read(a, 1, 1e9)), [1, 6, 11, 16]);
    assert.deepEqual(firsts(wal.read(a, 8, 1e9)), [6, 11, 16]);
    assert.deepEqual(firsts(wal.read(a, 8, 2 * size + 2)), [6, 11]);
    assert.deepEqual(firsts(wal.read(a, 8, 1)), [6]);
    assert.deepEqual(firsts(wal.read(a, 20, 1)), [16]);
    assert.deepEqual(wal.read(a, 21, 1e9), []);
    assert.deepEqual(wal.read(b, 1, 1e9), []);
  });

  it('a batch that is not the next, does not chain, or changes its epoch is a broken invariant and leaves nothing', async () => {
    const store = new MemoryStore();
    const wal = openLog({ store });
    const [first, second, third] = viewChain(a, 3) as [Batch, Batch, Batch];
    const [, fork] = chainOf({ origin: a }, [[viewEvent(50)], [viewEvent(51)]]) as [Batch, Batch];
    const later = viewChain(a, 2, 5, 2)[1]!;
    await wal.append({ batches: [first] });
    const rows = [...store.range('batches', {})].length;
    for (const batches of [
      [third],
      [first],
      [second, second],
      [batchOf({ ...fork, header: { ...fork, first: 6, last: 6 } })],
      [later],
    ]) {
      await assert.rejects(wal.append({ batches }), BrokenInvariant);
    }
    assert.equal([...store.range('batches', {})].length, rows);
    await wal.append({ batches: [second, third] });
    assert.equal(formatPosition(wal.durable), `${a}:15`);
  });

  it('only the process that opened an origin extends it, and only as its own (schedule 4)', async () => {
    const store = new MemoryStore();
    const wal = openLog({ store });
    const [first, second] = viewChain(a, 2) as [Batch, Batch];
    await wal.openOrigin(a, 1);
    await assert.rejects(wal.append({ batches: [first] }), BrokenInvariant, 'a copy of what this process owns');
    await assert.rejects(wal.append({ batches: viewChain(b, 1), own: true }), BrokenInvariant, 'not opened here');
    await wal.append({ batches: [first], own: true });
    await assert.rejects(wal.openOrigin(a, 1), BrokenInvariant, 'opened twice');
    const restarted = openLog({ store: store.crash() });
    await assert.rejects(restarted.append({ batches: [second], own: true }), BrokenInvariant, 'opened by one before');
    await restarted.append({ batches: [second] });
    assert.equal(formatPosition(restarted.durable), `${a}:10`);
  });

  const directory = mkdtempSync(join(tmpdir(), 'tidal-log-'));
  after(() => rmSync(directory, { recursive: true, force: true }));

  for (const [name, make] of [
    ['in memory', () => new MemoryStore()],
    ['lmdb', () => openLmdbStore({ path: directory })],
  ] as const) {
    it(`of two processes on one directory the second to write crashes instead of interleaving: ${name} (schedule 4)`, async () => {
      const store = make();
      const one = openLog({ store });
      const two = openLog({ store });
      const [first, second] = viewChain(b, 2) as [Batch, Batch];
      await one.append({ batches: [first] });
      await assert.rejects(two.append({ batches: [first] }), BrokenInvariant);
      await one.append({ batches: [second] });
      await one.openOrigin(a, 1);
      await assert.rejects(two.openOrigin(a, 1), BrokenInvariant);
      await store.close();
    });
  }

  it('an append that throws at any of its puts leaves none of them (schedule 8)', async () => {
    const path = mkdtempSync(join(tmpdir(), 'tidal-log-'));
    const batches = chainOf({ origin: a }, [
      [
        { kind: 'item', hlc: hlc + 1, entity: 1, metadata: { title: 'one' } },
        { kind: 'embedding', hlc: hlc + 2, entity: 1, values: Float32Array.of(1, 2) },
        { kind: 'delete', hlc: hlc + 3, entity: 2 },
      ],
      [viewEvent(4)],
    ]);
    const offset = { sequence: 3, origin: a, last: 4, created: 'now' };
    let puts = 1;
    for (let failing = 0; failing < puts; failing++) {
      const store = openLmdbStore({ path: join(path, String(failing)) });
      let count = 0;
      const wal = openLog({
        store: {
          get: (table, key) => store.get(table, key),
          range: (table, options) => store.range(table, options),
          sizes: () => store.sizes(),
          count: (table) => store.count(table),
          bytes: (table) => store.bytes(table),
          close: () => store.close(),
          commit: (work) =>
            store.commit((transaction) =>
              work({
                get: (table, key) => transaction.get(table, key),
                put(table, key, value) {
                  if (count++ === failing) throw new BrokenInvariant('thrown between two puts');
                  transaction.put(table, key, value);
                },
                remove: (table, key) => transaction.remove(table, key),
              }),
            ),
        },
      });
      await assert.rejects(wal.append({ batches, offset }), BrokenInvariant);
      assert.equal(formatPosition(wal.durable), '');
      assert.equal(wal.offset?.sequence, undefined);
      for (const table of ['batches', 'items', 'embeddings', 'origins', 'marks'] as const) {
        assert.deepEqual([...store.range(table, {})], [], `${table} after a throw at put ${failing + 1}`);
      }
      count = -1_000;
      await wal.append({ batches, offset });
      puts = count + 1_000;
      await store.close();
    }
    assert.ok(puts >= 8, `${puts} puts were tried`);
    rmSync(path, { recursive: true, force: true });
  });

  it('nothing is readable, nor counted, before its flush (schedule 7)', async () => {
    const store = new MemoryStore();
    const wal = openLog({ store });
    store.holdFlushes();
    const append = wal.append({ batches: viewChain(a, 1), offset: { sequence: 1, origin: a, last: 5, created: 'c' } });
    await new Promise((resolve) => setImmediate(resolve));
    assert.equal([...store.range('batches', {})].length, 1, 'the store shows it already');
    assert.deepEqual(wal.read(a, 1, 1e9), []);
    assert.equal(wal.durable.size, 0);
    assert.equal(wal.offset?.sequence, undefined);
    assert.equal(wal.highestHlcOf(1), viewEvent(5).hlc, 'only the clock of what is accepted next knows of it');
    store.releaseFlushes();
    await append;
    assert.deepEqual(firsts(wal.read(a, 1, 1e9)), [1]);
    assert.equal(wal.offset?.sequence, 1);
  });

  it('after a power failure the log is the flushed prefix, whole batches, documents and offset together', async () => {
    for (const unflushed of ['lost', 'kept'] as const) {
      const store = new MemoryStore();
      const wal = openLog({ store });
      const batches = chainOf({ origin: a }, [
        [{ kind: 'item', hlc: hlc + 1, entity: 1, metadata: { title: 'old' } }],
        [{ kind: 'item', hlc: hlc + 2, entity: 1, metadata: { title: 'new' } }],
      ]);
      await wal.append({ batches: [batches[0]!], offset: { sequence: 1, origin: a, last: 1, created: 'c' } });
      store.holdFlushes();
      void wal.append({ batches: [batches[1]!], offset: { sequence: 2, origin: a, last: 2, created: 'c' } });
      await new Promise((resolve) => setImmediate(resolve));
      const after = openLog({ store: store.crash(unflushed) });
      const n = unflushed === 'kept' ? 2 : 1;
      assert.equal(formatPosition(after.durable), `${a}:${n}`);
      assert.equal(after.offset?.sequence, n);
      const metadata = Array.from(after.itemRegisters(), ([, register]) => Buffer.from(register.metadata!).toString());
      assert.deepEqual(metadata, [JSON.stringify({ title: n === 2 ? 'new' : 'old' })]);
      assert.deepEqual(firsts(after.read(a, 1, 1e9)), n === 2 ? [1, 2] : [1]);
    }
  });

  it('a noted offset is stored with the next append, or by a flush, and never replaces a newer one', async () => {
    const store = new MemoryStore();
    const wal = openLog({ store });
    const [first, second] = viewChain(a, 2) as [Batch, Batch];
    const offset = (sequence: number) => ({ sequence, origin: a, last: sequence, created: 'c' });
    wal.noteOffset(offset(3));
    assert.equal(wal.offset?.sequence, undefined);
    await wal.append({ batches: [first] });
    assert.equal(wal.offset?.sequence, 3);
    wal.noteOffset(offset(4));
    await wal.append({ batches: [second], offset: offset(5) });
    await wal.flushNotes();
    assert.equal(wal.offset?.sequence, 5);
    wal.noteOffset(offset(6));
    await wal.flushNotes();
    assert.equal(openLog({ store: store.crash() }).offset?.sequence, 6);
  });

  it('marks survive, and closing with a full disk closes', async () => {
    const store = new MemoryStore();
    const wal = openLog({ store });
    await wal.storeMark('cut', true);
    wal.noteOffset({ sequence: 1, origin: a, last: 1, created: 'c' });
    store.failNext('storage_full');
    await wal.close();
    assert.equal(openLog({ store: store.crash() }).mark('cut'), true);
  });

  it('a noted mark counts at once, and is on the disk no later than what is written after it', async () => {
    for (const write of ['append', 'open', 'mark', 'flush'] as const) {
      const store = new MemoryStore();
      const wal = openLog({ store });
      wal.noteMark('schema', { version: 1 });
      wal.noteMark('schema', { version: 2 });
      assert.deepEqual(wal.mark('schema'), { version: 2 });
      assert.deepEqual([...wal.noted], ['schema']);
      const [batch] = viewChain(a, 1) as [Batch];
      const writing = {
        append: () => wal.append({ batches: [batch] }),
        open: () => wal.openOrigin(b, 1),
        mark: () => wal.storeMark('cut', true),
        flush: () => wal.flushNotes(),
      }[write];
      store.full = true;
      await assert.rejects(writing(), { code: 'storage_full' });
      assert.deepEqual(wal.mark('schema'), { version: 2 });
      assert.deepEqual([...wal.noted], ['schema'], 'not on the disk yet');
      store.full = false;
      store.holdFlushes();
      void writing();
      await new Promise((resolve) => setImmediate(resolve));
      assert.equal(openLog({ store: store.backup() }).mark('schema'), undefined);
      const after = openLog({ store: store.crash('kept') });
      assert.deepEqual(after.mark('schema'), { version: 2 }, `with the ${write}, in one transaction`);
    }
  });

  it('a mark that is stored replaces a noted one, and a note made while it is stored stays noted', async () => {
    const store = new MemoryStore();
    const wal = openLog({ store });
    wal.noteMark('cut', false);
    await wal.storeMark('cut', true);
    assert.deepEqual([wal.mark('cut'), wal.noted.size], [true, 0]);
    wal.noteMark('disk', 'one');
    const flush = wal.flushNotes();
    await Promise.resolve();
    wal.noteMark('disk', 'two');
    await flush;
    await wal.close();
    assert.equal(openLog({ store: store.crash() }).mark('disk'), 'two');
  });

  it('trims whole batches from the beginning of an origin, and continues from its end as usual', async () => {
    const store = new MemoryStore();
    const wal = openLog({ store });
    const batches = viewChain(a, 5);
    const size = batches[0]!.bytes.length;
    await wal.append({ batches: batches.slice(0, 4) });
    const full = wal.batchBytes;
    assert.deepEqual(await wal.trim(a, 4, 1e9), { batches: 0, bytes: 0 });
    assert.deepEqual(await wal.trim(a, 14, 1), { batches: 1, bytes: size });
    assert.deepEqual(await wal.trim(a, 14, 1e9), { batches: 1, bytes: size });
    assert.equal(wal.batchBytes, full - 2 * size);
    for (const one of [wal, openLog({ store: store.crash() })]) {
      assert.deepEqual([one.origin(a)?.first, one.origin(a)?.last], [11, 20]);
      assert.equal(formatPosition(one.durable), `${a}:20`);
      assert.deepEqual(one.read(a, 10, 1e9), []);
      assert.deepEqual(firsts(one.read(a, 11, 1e9)), [11, 16]);
    }
    const after = openLog({ store: store.crash() });
    await after.trim(a, 20, 1e9);
    assert.deepEqual([after.origin(a)?.first, after.origin(a)?.last], [21, 20]);
    assert.deepEqual(after.read(a, 16, 1e9), []);
    await after.append({ batches: [batches[4]!] });
    assert.deepEqual(firsts(after.read(a, 21, 1e9)), [21]);
    await assert.rejects(after.trim(a, 26, 1e9), BrokenInvariant, 'beyond what is durable');
    await assert.rejects(after.trim(b, 1, 1e9), BrokenInvariant, 'an origin nobody knows');
  });

  it('a trim that is not flushed trimmed nothing that is read', async () => {
    const store = new MemoryStore();
    const wal = openLog({ store });
    await wal.append({ batches: viewChain(a, 2) });
    store.holdFlushes();
    const trimmed = wal.trim(a, 5, 1e9);
    await new Promise((resolve) => setImmediate(resolve));
    assert.equal(wal.origin(a)?.first, 1);
    const after = openLog({ store: store.crash('lost') });
    assert.deepEqual(firsts(after.read(a, 1, 1e9)), [1, 6]);
    void trimmed;
  });

  it('a ledger shard replaces the one before completely, whatever its length', async () => {
    const store = new MemoryStore();
    const wal = openLog({ store });
    const bytes = (length: number, seed: number): Uint8Array =>
      Uint8Array.from({ length }, (_, index) => (index * 31 + seed) & 255);
    for (const [round, length] of [200_000, 65_520, 0, 65_521, 131_040].entries()) {
      await wal.storeShard(3, bytes(length, round));
      await wal.storeShard(250, bytes(7, round));
      const found = [...openLog({ store: store.backup() }).shards()];
      assert.deepEqual(
        found.map(([shard, value]) => [shard, value.length]),
        [
          [3, length],
          [250, 7],
        ],
      );
      assert.deepEqual(Buffer.from(found[0]![1]), Buffer.from(bytes(length, round)));
    }
  });

  it('removes ids whose newest copy is old enough, a step at a time', async () => {
    const store = new MemoryStore();
    const wal = openLog({ store });
    const idOf = (letter: string): string => letter.padEnd(22, 'A');
    const keyed = (n: number, id: string) => ({
      ...viewEvent(0),
      hlc: (startMs + n) * 2048,
      key: { id: idOf(id), bodyHash: 'AAAAAAAAAAA' },
    });
    const batches = chainOf({ origin: a }, [[keyed(1, 'a'), keyed(2, 'b'), keyed(3, 'c'), keyed(9, 'a')]]);
    await wal.append({ batches });
    const step = (from: string | undefined, beforeMs: number, upTo = 4) =>
      wal.forgetKeys({ from, limit: 2, limitBytes: 1e6, beforeMs, upTo: new Map([[a, upTo]]) });
    assert.deepEqual(await step(undefined, startMs + 3, 1), { next: keyIdOf(idOf('c')), forgotten: 0 }, 'not covered');
    assert.deepEqual(await step(undefined, startMs + 3), { next: keyIdOf(idOf('c')), forgotten: 1 });
    assert.deepEqual(await step(keyIdOf(idOf('c')), startMs + 3), { next: undefined, forgotten: 0 });
    assert.equal(wal.keys, 2);
    assert.equal(wal.copies(idOf('a')).length, 2);
    assert.deepEqual(wal.copies(idOf('b')), []);
    assert.deepEqual(await step(undefined, startMs + 10), { next: undefined, forgotten: 2 });
    assert.equal(openLog({ store: store.crash() }).keys, 0);
  });
});
