/** The promises of every `Store`. Runs against LMDB and against the store in memory that replaces it. */
import assert from 'node:assert/strict';
import type { Store, StoreTransaction, TableName } from '../../../../services/region/store/store.ts';

/** A store under test: `open` opens what is on its disk; before another `open` the former store is closed. */
export interface StoreUnderTest {
  open(): Store;
  /** Another process opens the same disk while the first has it open. */
  second(): Promise<SecondProcess>;
  dispose(): Promise<void>;
}

/** A process of its own: LMDB knows no two stores on one disk in one process. */
export interface SecondProcess {
  /** Puts a mark, or removes one; the code of the `Fault` it failed with. */
  put(name: string): Promise<string | undefined>;
  remove(name: string): Promise<string | undefined>;
  /** It crashes. */
  kill(): Promise<void>;
}

const origin = 'us-east@aaaaaaaaaa';
const other = 'us-east@bbbbbbbbbb';

function bytes(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}

function text(value: Uint8Array | undefined): string | undefined {
  return value === undefined ? undefined : new TextDecoder().decode(value);
}

/** A put of every kind of key: what one append does, in small. */
const puts: readonly ((transaction: StoreTransaction) => void)[] = [
  (transaction) => transaction.put('batches', [origin, 1], bytes('batch')),
  (transaction) => transaction.put('items', 7, bytes('item')),
  (transaction) => transaction.put('embeddings', 7, bytes('embedding')),
  (transaction) => transaction.put('origins', origin, bytes('origin')),
  (transaction) => transaction.put('keyed', 'aaaaaaaaaaaaaaaa', bytes('copies')),
  (transaction) => transaction.put('keys', 'aaaaaaaaaaaaaaaaaaaaaa', bytes('copies')),
  (transaction) => transaction.put('shards', [255, 0], bytes('shard')),
  (transaction) => transaction.put('marks', 'offset', bytes('offset')),
];
const tables: readonly TableName[] = ['batches', 'items', 'embeddings', 'origins', 'keyed', 'keys', 'shards', 'marks'];

function rows(store: Store): number {
  return tables.reduce((count, table) => count + [...store.range(table, {})].length, 0);
}

export function storeContract(name: string, make: () => StoreUnderTest): void {
  describe(`store contract: ${name}`, () => {
    let under: StoreUnderTest;
    let store: Store;

    beforeEach(() => {
      under = make();
      store = under.open();
    });

    afterEach(async () => {
      await store.close();
      await under.dispose();
    });

    async function reopen(): Promise<void> {
      await store.close();
      store = under.open();
    }

    it('a resolved commit exists after the store was opened again', async () => {
      await store.commit((transaction) => {
        for (const put of puts) put(transaction);
      });
      await reopen();
      assert.equal(rows(store), puts.length);
      assert.equal(text(store.get('batches', [origin, 1])), 'batch');
      assert.equal(text(store.get('items', 7)), 'item');
      assert.equal(text(store.get('marks', 'offset')), 'offset');
      assert.equal(store.get('marks', 'cut'), undefined);
    });

    it('a transaction sees what it put and what was committed before', async () => {
      await store.commit((transaction) => transaction.put('items', 1, bytes('old')));
      const seen: (string | undefined)[] = [];
      await store.commit((transaction) => {
        seen.push(text(transaction.get('items', 1)));
        transaction.put('items', 1, bytes('new'));
        seen.push(text(transaction.get('items', 1)));
        seen.push(text(transaction.get('items', 2)));
      });
      assert.deepEqual(seen, ['old', 'new', undefined]);
    });

    it('commits run one after another in call order', async () => {
      const seen: string[] = [];
      const commits = Array.from({ length: 20 }, (_, n) =>
        store.commit((transaction) => {
          seen.push(text(transaction.get('marks', 'n')) ?? '');
          transaction.put('marks', 'n', bytes(String(n)));
        }),
      );
      await Promise.all(commits);
      assert.deepEqual(
        seen,
        Array.from({ length: 20 }, (_, n) => (n === 0 ? '' : String(n - 1))),
      );
    });

    for (let at = 0; at <= puts.length; at++) {
      it(`a throw ${at < puts.length ? `before put ${at + 1}` : 'after the last put'} leaves none of them (schedule 8)`, async () => {
        const error = new Error('an assertion of the caller');
        const failing = store.commit((transaction) => {
          for (const [index, put] of puts.entries()) {
            if (index === at) throw error;
            put(transaction);
          }
          throw error;
        });
        await assert.rejects(failing, (thrown) => thrown === error);
        assert.equal(rows(store), 0);
        await store.commit((transaction) => transaction.put('marks', 'after', bytes('works')));
        await reopen();
        assert.equal(rows(store), 1);
      });
    }

    it('ranges are in key order, numbers as numbers, within inclusive bounds, from either end', async () => {
      await store.commit((transaction) => {
        for (const first of [1000, 9, 11, 100, 2]) transaction.put('batches', [origin, first], bytes(`${first}`));
        transaction.put('batches', [other, 5], bytes('other'));
        for (const entity of [256, 0, 65_536, 3, Number.MAX_SAFE_INTEGER]) {
          transaction.put('items', entity, bytes(`${entity}`));
        }
      });
      const firsts = (options: Parameters<typeof store.range<'batches'>>[1]): number[] =>
        [...store.range('batches', options)].map(({ key }) => key[1]);
      assert.deepEqual(firsts({ from: [origin, 0], to: [origin, 2 ** 40] }), [2, 9, 11, 100, 1000]);
      assert.deepEqual(firsts({ from: [origin, 9], to: [origin, 100] }), [9, 11, 100]);
      assert.deepEqual(firsts({ from: [origin, 0], to: [origin, 99], reverse: true, limit: 1 }), [11]);
      assert.deepEqual(firsts({ from: [origin, 0], to: [origin, 100], reverse: true }), [100, 11, 9, 2]);
      assert.deepEqual(firsts({ from: [other, 0], to: [other, 99] }), [5]);
      assert.deepEqual(firsts({}), [2, 9, 11, 100, 1000, 5]);
      assert.deepEqual(
        [...store.range('items', {})].map(({ key }) => key),
        [0, 3, 256, 65_536, Number.MAX_SAFE_INTEGER],
      );
    });

    it('lent rows are the same, each until the next read, and what is read between them stays', async () => {
      const value = (n: number, length: number): Uint8Array => new Uint8Array(length).fill(n);
      await store.commit((transaction) => {
        for (let n = 1; n <= 50; n++) transaction.put('items', n, value(n, n % 2 === 0 ? 40 : 9_000));
        transaction.put('marks', 'between', value(77, 300));
      });
      const between: (Uint8Array | undefined)[] = [];
      let rows = 0;
      for (const { key, value: lent } of store.range('items', { lent: true })) {
        rows++;
        assert.deepEqual([key, lent.length, lent[0], lent.at(-1)], [rows, rows % 2 === 0 ? 40 : 9_000, rows, rows]);
        between.push(store.get('marks', 'between'));
      }
      assert.equal(rows, 50);
      for (const read of between) assert.deepEqual([read?.length, read?.[0], read?.[299]], [300, 77, 77]);
      for (const { key, value: lent } of store.range('items', { lent: true, from: 48 })) {
        if (key === 49) break;
        assert.equal(lent[0], 48);
      }
      const after = [...store.range('items', { from: 49 })].map((row) => row.value[0]);
      assert.deepEqual(after, [49, 50], 'copies again');
    });

    it('bytes that were read stay what they were while others are read and written', async () => {
      const value = (n: number): Uint8Array => new Uint8Array(5_000).fill(n);
      await store.commit((transaction) => {
        for (let n = 1; n <= 50; n++) transaction.put('batches', [origin, n], value(n));
      });
      const read = [...store.range('batches', {})].map((row) => row.value);
      const single = store.get('batches', [origin, 7]);
      await store.commit((transaction) => {
        for (let n = 1; n <= 50; n++) transaction.put('batches', [origin, n], value(200));
      });
      for (let n = 1; n <= 50; n++) store.get('batches', [origin, n]);
      assert.deepEqual(
        read.map((bytesRead) => [bytesRead.length, bytesRead[0], bytesRead[4_999]]),
        Array.from({ length: 50 }, (_, index) => [5_000, index + 1, index + 1]),
      );
      assert.deepEqual([single?.length, single?.[0]], [5_000, 7]);
    });

    it('counts the entries of a table', async () => {
      assert.equal(store.count('keys'), 0);
      for (const [index, id] of ['b', 'a', 'b'].entries()) {
        await store.commit((transaction) => transaction.put('keys', id, bytes(`${index}`)));
      }
      assert.equal(store.count('keys'), 2);
      assert.equal(text(store.get('keys', 'b')), '2');
    });

    it('removes rows, within a transaction and for good, and only if the transaction is whole', async () => {
      await store.commit((transaction) => {
        for (const part of [0, 1, 2]) transaction.put('shards', [7, part], bytes(`part ${part}`));
      });
      const seen: (string | undefined)[] = [];
      await store.commit((transaction) => {
        transaction.remove('shards', [7, 0]);
        transaction.remove('shards', [7, 1]);
        transaction.remove('shards', [99, 0]);
        seen.push(text(transaction.get('shards', [7, 0])), text(transaction.get('shards', [7, 2])));
        transaction.put('shards', [7, 1], bytes('again'));
        seen.push(text(transaction.get('shards', [7, 1])));
      });
      assert.deepEqual(seen, [undefined, 'part 2', 'again']);
      const failing = store.commit((transaction) => {
        transaction.remove('shards', [7, 2]);
        throw new Error('an assertion of the caller');
      });
      await assert.rejects(failing, /assertion/);
      await reopen();
      assert.deepEqual(
        [...store.range('shards', {})].map(({ key, value }) => [...key, text(value)]),
        [
          [7, 1, 'again'],
          [7, 2, 'part 2'],
        ],
      );
    });

    it('reports the size of a table, and freed space is used again', async () => {
      const fill = (): Promise<void> =>
        store.commit((transaction) => {
          for (let n = 1; n <= 64; n++) transaction.put('batches', [origin, n], new Uint8Array(60_000).fill(n));
        });
      await fill();
      const full = store.bytes('batches');
      assert.ok(full >= 64 * 60_000 && full < 2 * 64 * 60_000, `${full}`);
      const before = store.sizes();
      for (let round = 0; round < 5; round++) {
        await store.commit((transaction) => {
          for (let n = 1; n <= 64; n++) transaction.remove('batches', [origin, n]);
        });
        assert.ok(store.bytes('batches') < 100_000);
        await fill();
      }
      const after = store.sizes();
      assert.equal(store.bytes('batches'), full);
      assert.ok(after.usedBytes - after.freeBytes <= 1.1 * (before.usedBytes - before.freeBytes) + 1e6);
      assert.ok(after.usedBytes <= 3 * before.usedBytes, `${before.usedBytes} grew to ${after.usedBytes}`);
    });

    it('once a second process has written, nothing of this one is written any more, whatever it is', async () => {
      await store.commit((transaction) => {
        for (const put of puts) put(transaction);
      });
      const second = await under.second();
      assert.equal(await second.put('second'), undefined, 'what was committed before it opened is no write blocker');
      const removal = (transaction: StoreTransaction): void => transaction.remove('marks', 'offset');
      for (const work of [...puts, removal]) {
        await assert.rejects(store.commit(work), { code: 'storage_failed', message: /another process has written/ });
      }
      assert.equal(await second.put('again'), undefined, 'one of them goes on');
      assert.equal(await second.remove('again'), undefined);
      assert.equal(await second.remove('never was there'), undefined);
      assert.equal(await second.put('again'), undefined);
      await second.kill();
      await reopen();
      assert.equal(rows(store), puts.length + 2);
      await store.commit((transaction) =>
        transaction.put('marks', 'offset', bytes('a killed process holds nothing up')),
      );
    });

    it('a second process that opened before the first wrote again writes nothing; the first one continues', async () => {
      await store.commit((transaction) => transaction.put('marks', 'offset', bytes('1')));
      const second = await under.second();
      await store.commit((transaction) => transaction.put('marks', 'offset', bytes('2')));
      assert.equal(await second.put('second'), 'storage_failed');
      assert.equal(await second.remove('offset'), 'storage_failed');
      await store.commit((transaction) => transaction.remove('marks', 'offset'));
      await store.commit((transaction) => transaction.remove('marks', 'offset'));
      await store.commit((transaction) => transaction.put('marks', 'cut', bytes('3')));
      await second.kill();
      await reopen();
      assert.equal(rows(store), 1);
    });

    it('close waits for the commits in progress', async () => {
      const commits = [1, 2, 3].map((n) => store.commit((transaction) => transaction.put('items', n, bytes('x'))));
      await reopen();
      await Promise.all(commits);
      assert.equal(rows(store), 3);
      assert.ok(store.sizes().usedBytes > 0);
    });
  });
}
