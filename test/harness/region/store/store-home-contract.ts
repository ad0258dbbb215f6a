/** The promises of every `StoreHome`. Runs against the one on LMDB and against the one in memory that replaces it. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import type { IncomingStore, Store, StoreCopy, StoreHome } from '../../../../services/region/store/store.ts';

export interface HomeUnderTest {
  /** A home on the same disk, as after a start. The former one's store is closed, or died. */
  start(onStep?: (step: string) => void): StoreHome;
  /** Crashes the process of the newest home. */
  crash(): Promise<void>;
  /** Files, directories or what stands for them, besides the current store's own. */
  leftovers(): string[];
  /** The steps of `makeCurrent` that `onStep` reports, and whether the new store is current after each. */
  readonly steps: readonly (readonly [step: string, switched: boolean])[];
  dispose(): Promise<void>;
}

const origin = 'us-east@aaaaaaaaaa';
const text = (value: Uint8Array | undefined): string | undefined => value && new TextDecoder().decode(value);

async function mark(store: Store, name: string, value: string): Promise<void> {
  await store.commit((transaction) => transaction.put('marks', name, new TextEncoder().encode(value)));
}

async function readAll(copy: StoreCopy, partBytes: number): Promise<Uint8Array[]> {
  const parts: Uint8Array[] = [];
  for (let offset = 0; offset < copy.bytes; ) {
    const part = await copy.read(offset, partBytes);
    assert.ok(part.length > 0 && part.length <= partBytes);
    parts.push(part);
    offset += part.length;
  }
  return parts;
}

async function receive(incoming: IncomingStore, copy: StoreCopy): Promise<void> {
  for (const part of await readAll(copy, 5_000)) await incoming.append(part);
  assert.equal(await incoming.complete(copy.bytes, copy.sha256), true);
}

export function storeHomeContract(name: string, make: () => HomeUnderTest): void {
  describe(`store home contract: ${name}`, () => {
    let there: HomeUnderTest;
    let here: HomeUnderTest;
    let source: Store;
    let sourceHome: StoreHome;

    beforeEach(async () => {
      there = make();
      here = make();
      sourceHome = there.start();
      source = sourceHome.open();
      await mark(source, 'whose', 'theirs');
      await source.commit((transaction) => {
        for (let n = 1; n <= 20; n++) transaction.put('batches', [origin, n], randomBytes(1_000));
      });
    });

    afterEach(async () => {
      await source.close();
      await there.dispose();
      await here.dispose();
    });

    it('opens what was there, and makes it where nothing was', async () => {
      const store = here.start().open();
      assert.equal(store.count('marks'), 0);
      await mark(store, 'whose', 'mine');
      await store.close();
      const again = here.start().open();
      assert.equal(text(again.get('marks', 'whose')), 'mine');
      await again.close();
    });

    it('a copy is what was flushed at one point, whatever is written meanwhile and after', async () => {
      let writing = true;
      let written = 0;
      const writer = (async () => {
        while (writing) {
          const n = ++written;
          await source.commit((transaction) => {
            transaction.put('items', 1, new TextEncoder().encode(String(n)));
            transaction.put('items', 2, new TextEncoder().encode(String(n)));
          });
        }
      })();
      const copy = await sourceHome.copy();
      writing = false;
      await writer;
      await mark(source, 'late', 'after the copy');
      const home = here.start();
      home.open();
      const incoming = await home.incoming('aaaa', copy.bytes);
      await receive(incoming, copy);
      const store = incoming.open();
      assert.equal(store.count('batches'), 20);
      assert.equal(text(store.get('items', 1)), text(store.get('items', 2)), 'a commit is whole in it or absent');
      assert.equal(store.get('marks', 'late'), undefined);
      await store.close();
      await copy.dispose();
      assert.deepEqual(there.leftovers(), []);
      await here.crash();
    });

    it('a part received continues where it ended, after a crash too; another id begins anew', async () => {
      const copy = await sourceHome.copy();
      const parts = await readAll(copy, 4_096);
      let home = here.start();
      home.open();
      let incoming = await home.incoming('aaaa', copy.bytes);
      assert.equal(incoming.received, 0);
      await incoming.append(parts[0]!);
      await incoming.append(parts[1]!);
      await here.crash();
      home = here.start();
      home.open();
      incoming = await home.incoming('aaaa', copy.bytes);
      assert.equal(incoming.received, parts[0]!.length + parts[1]!.length);
      for (const part of parts.slice(2)) await incoming.append(part);
      assert.equal(incoming.received, copy.bytes);
      assert.equal(await incoming.complete(copy.bytes, copy.sha256), true);
      assert.equal((await home.incoming('bbbb', copy.bytes)).received, 0);
      assert.equal((await home.incoming('aaaa', copy.bytes)).received, 0, 'attempts with other ids are removed');
      await copy.dispose();
      await here.crash();
    });

    it('what is too short, too long or damaged is not the copy, and is removed', async () => {
      const copy = await sourceHome.copy();
      const parts = await readAll(copy, 4_096);
      const home = here.start();
      home.open();
      const damaged = parts.map((part) => part.slice());
      damaged[1]![77]! ^= 1;
      for (const wrong of [parts.slice(0, -1), [...parts, Uint8Array.of(1)], damaged, []]) {
        const incoming = await home.incoming('aaaa', copy.bytes);
        for (const part of wrong) await incoming.append(part);
        assert.equal(await incoming.complete(copy.bytes, copy.sha256), false);
        assert.equal((await home.incoming('aaaa', copy.bytes)).received, 0);
      }
      await copy.dispose();
      await here.crash();
    });

    it('the one made current is opened from then on, with what was merged into it; the former is removed', async () => {
      const copy = await sourceHome.copy();
      for (const round of [1, 2]) {
        // The same copy twice: it may be fetched again while it is served.
        const home = here.start();
        const former = home.open();
        if (round === 1) await mark(former, 'whose', 'mine');
        const incoming = await home.incoming('aaaa', copy.bytes);
        assert.equal(incoming.received, 0);
        await receive(incoming, copy);
        await former.close();
        // A merge opens the present store again: the fetched one stays.
        const present = home.open();
        const store = incoming.open();
        await mark(store, 'merged', String(round));
        await store.close();
        await present.close();
        await incoming.makeCurrent();
        const now = home.open();
        assert.equal(text(now.get('marks', 'whose')), 'theirs');
        assert.equal(text(now.get('marks', 'merged')), String(round));
        await now.close();
        assert.deepEqual(here.leftovers(), []);
      }
      await copy.dispose();
    });

    it('what was opened to be merged into, and not made current, is not current after a crash, nor a part', async () => {
      const copy = await sourceHome.copy();
      const home = here.start();
      const former = home.open();
      await mark(former, 'whose', 'mine');
      const incoming = await home.incoming('aaaa', copy.bytes);
      await receive(incoming, copy);
      const store = incoming.open();
      await mark(store, 'merged', 'half');
      await store.close();
      await former.close();
      await here.crash();
      const after = here.start();
      const now = after.open();
      assert.equal(text(now.get('marks', 'whose')), 'mine');
      assert.deepEqual(here.leftovers(), []);
      assert.equal((await after.incoming('aaaa', copy.bytes)).received, 0);
      await now.close();
      await copy.dispose();
    });

    for (const [index, [step, switched]] of make().steps.entries()) {
      it(`a crash at step ${index + 1} of a switch (${step}) leaves the ${switched ? 'new' : 'former'} store current, whole, and nothing else`, async () => {
        const copy = await sourceHome.copy();
        const home = here.start((at) => {
          if (at === step) throw new Error('the power is gone');
        });
        const former = home.open();
        await mark(former, 'whose', 'mine');
        await former.commit((transaction) => transaction.put('batches', [origin, 1], randomBytes(100_000)));
        const incoming = await home.incoming('aaaa', copy.bytes);
        await receive(incoming, copy);
        const store = incoming.open();
        await store.close();
        await former.close();
        await assert.rejects(incoming.makeCurrent(), /the power is gone/);
        await here.crash();
        const now = here.start().open();
        assert.equal(text(now.get('marks', 'whose')), switched ? 'theirs' : 'mine');
        assert.equal(now.count('batches'), switched ? 20 : 1);
        await mark(now, 'goes', 'on');
        await now.close();
        assert.deepEqual(here.leftovers(), []);
        await copy.dispose();
      });
    }
  });
}
