/** What a start stores in a region's directory, and that a full disk is no reason not to start. */
import assert from 'node:assert/strict';
import type { Batch } from '../../../services/region/batch/batch.ts';
import { describeSchema } from '../../../services/region/compatible/compatible.ts';
import { takeDirectory } from '../../../services/region/region-directory.ts';
import type { Schema } from '../../../services/region/schema/schema.ts';
import { openLog } from '../../../services/region/wal/log.ts';
import type { Log } from '../../../shared/observe/log.ts';
import { isDiskId } from '../../../shared/protocol/known-disks.ts';
import { STORE_FORMAT } from '../../../shared/protocol/version.ts';
import { seededRandom } from '../../harness/kernel/seeded-random.ts';
import { RecordingLog } from '../../harness/observe/recording-log.ts';
import { silentLog } from '../../harness/observe/silent-log.ts';
import { viewChain } from '../../harness/region/batches.ts';
import { testSchema } from '../../harness/region/core-region.ts';
import { schemaOf } from '../../harness/region/rank/signals-schema.ts';
import { MemoryStore } from '../../harness/region/store/memory-store.ts';

const x = 'eu-west@aaaaaaaaaa';
const grown = schemaOf(['view', 'positive', 3_600], ['skip', 'negative', 3_600], ['share', 'positive', 3_600]);

let seed = 1;

async function take(store: MemoryStore, schema: Schema = testSchema, region = 'us-east', log: Log = silentLog) {
  const wal = openLog({ store });
  const directory = await takeDirectory({
    ...{ wal, region, schema, log },
    random: seededRandom(seed++),
    schemaFile: 'schema.yaml',
    alone: false,
  });
  return { wal, ...directory };
}

describe('a region’s directory', () => {
  it('gets an id at its first start, which it keeps; an old one of a version without ids, too', async () => {
    const store = new MemoryStore();
    const { wal } = await take(store);
    const id = wal.mark('disk');
    assert.ok(isDiskId(id));
    assert.deepEqual([...wal.noted], []);
    assert.equal((await take(store.crash())).wal.mark('disk'), id);
    const old = new MemoryStore();
    const before = openLog({ store: old });
    await before.append({ batches: viewChain(x, 2) });
    await before.storeMark('region', 'us-east');
    assert.ok(isDiskId((await take(old)).wal.mark('disk')));
    assert.notEqual((await take(new MemoryStore())).wal.mark('disk'), id);
  });

  it('states the format of its store; a store of a later one is refused, and named', async () => {
    const store = new MemoryStore();
    assert.equal(openLog({ store }).mark('format'), undefined);
    await openLog({ store }).append({ batches: viewChain(x, 2) });
    assert.equal(openLog({ store }).mark('format'), STORE_FORMAT, 'with its first row');
    const former = new MemoryStore();
    await former.commit((transaction) => transaction.put('marks', 'region', Buffer.from('"us-east"')));
    await take(former);
    assert.equal(openLog({ store: former }).mark('format'), STORE_FORMAT);
    for (const format of [STORE_FORMAT + 1, 0, 1.5, 'x', null]) {
      const other = new MemoryStore();
      await openLog({ store: other }).storeMark('format', format);
      assert.throws(() => openLog({ store: other }), {
        code: 'unknown_format',
        message: new RegExp(
          `^the store has the format ${JSON.stringify(format)}; version .* knows those up to ${STORE_FORMAT}`,
        ),
      });
    }
  });

  it('says at a start which text fields are analysed in another way than at the one before, once', async () => {
    const store = new MemoryStore();
    const lines = async (schema: Schema): Promise<unknown[]> => {
      const log = new RecordingLog();
      await take(store, schema, 'us-east', log);
      return log.lines.map(({ message, fields }) => [message, fields]);
    };
    const french: Schema = { ...testSchema, textFields: [{ name: 'title', boost: 1, language: 'fr' }] };
    assert.deepEqual(await lines(testSchema), []);
    assert.deepEqual(await lines(french), [['text analysis changed, items are indexed again', { fields: 'title' }]]);
    assert.deepEqual(await lines(french), []);
    // As a version without descriptions of text fields has stored it.
    const { text: _, ...former } = describeSchema(french);
    await openLog({ store }).storeMark('schema', former);
    assert.equal((await lines(french)).length, 1);
    assert.deepEqual(await lines(french), []);
  });

  it('a start on a full disk stores nothing and fails nothing; what it had to store is there with the first write that finds free space', async () => {
    for (const [schema, empty] of [
      [grown, false],
      [testSchema, true],
    ] as const) {
      const store = new MemoryStore();
      if (!empty) {
        await take(store);
        await openLog({ store }).append({ batches: viewChain(x, 1) });
      }
      const before = store.image();
      store.full = true;
      const { wal, startedEmpty } = await take(store, schema);
      assert.equal(startedEmpty, true, 'it has not caught up');
      assert.deepEqual(store.image(), before);
      const noted = [...wal.noted].sort();
      assert.deepEqual(noted, empty ? ['catching_up', 'disk', 'region', 'schema'] : ['schema']);
      const next = viewChain(x, 2)[empty ? 0 : 1] as Batch;
      await assert.rejects(wal.append({ batches: [next] }), { code: 'storage_full' });
      store.full = false;
      await wal.append({ batches: [next] });
      assert.deepEqual([...wal.noted], []);
      const after = openLog({ store: store.crash() });
      assert.deepEqual(after.mark('schema'), wal.mark('schema'));
      assert.equal(after.mark('catching_up'), true);
      assert.equal(isDiskId(after.mark('disk')), true);
    }
  });

  it('what cannot be served is refused on a full disk as usual: another region’s, or a schema that lacks a signal', async () => {
    const store = new MemoryStore();
    await take(store, grown);
    store.full = true;
    await assert.rejects(take(store, grown, 'eu-west'), /belongs to the region us-east/);
    await assert.rejects(take(store, testSchema), /share/);
  });
});
