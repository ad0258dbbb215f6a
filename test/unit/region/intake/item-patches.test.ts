/** Patches of items: merged with the item as it is at their position, logged as puts. */
import assert from 'node:assert/strict';
import type { Metadata, MetadataPatch, WriteBody } from '../../../../shared/protocol/events.ts';
import { withKeys } from '../../../../shared/protocol/idempotency.ts';
import { fromWire, type WireWrite } from '../../../../shared/protocol/writes.ts';
import { ManualClock } from '../../../harness/kernel/manual-clock.ts';
import { CoreRegion, item, outcomes, sequences, view } from '../../../harness/region/core-region.ts';
import { MemoryBroker } from '../../../harness/stream/memory-stream.ts';

const patch = (entity: number, changes: MetadataPatch): WriteBody => ({ kind: 'patch', entity, changes });
const put = (entity: number, metadata: Metadata): WriteBody => ({ kind: 'item', entity, metadata });

interface Rig {
  readonly clock: ManualClock;
  readonly region: CoreRegion;
}

async function leading(options: { fields?: number } = {}): Promise<Rig> {
  const clock = new ManualClock();
  const broker = new MemoryBroker({ clock });
  const setup = broker.connect('setup');
  await clock.settle();
  await setup.control.create({ leader: 'us-east', epoch: 1, nonce: 'first' });
  const none = Number.POSITIVE_INFINITY;
  const region = new CoreRegion({
    ...{ region: 'us-east', clock, broker },
    stateLimits: { entities: none, pairs: none, fields: options.fields ?? none },
  }).start();
  await clock.until('it leads', () => 'epoch' in region.role.gate(1));
  return { clock, region };
}

const metadataOf = ({ region }: Rig, entity: number): Metadata | undefined => region.catalog.item(entity)?.metadata;

describe('patches of items', () => {
  it('fields are put, replaced and removed, and the others stay', async () => {
    const rig = await leading();
    const { clock, region } = rig;
    await clock.run(region.write([put(1, { title: 'Alien', year: 1979, tags: ['a', 'b'] })]));
    const reply = await clock.run(region.write([patch(1, { year: null, tags: ['c'], colour: true, absent: null })]));
    assert.deepEqual(outcomes(reply), ['stream']);
    assert.deepEqual(metadataOf(rig, 1), { title: 'Alien', tags: ['c'], colour: true });
    assert.deepEqual(outcomes(await clock.run(region.write([patch(1, {})]))), ['stream']);
    assert.deepEqual(metadataOf(rig, 1), { title: 'Alien', tags: ['c'], colour: true });
  });

  it('a field called __proto__ is a field', async () => {
    const rig = await leading();
    const { clock, region } = rig;
    await clock.run(region.write([put(1, JSON.parse('{"__proto__": "a", "b": 1}') as Metadata)]));
    await clock.run(region.write([patch(1, JSON.parse('{"__proto__": "c", "b": null}') as MetadataPatch)]));
    assert.equal(JSON.stringify(metadataOf(rig, 1)), '{"__proto__":"c"}');
  });

  it('a patch sees the writes of the item that wait for their flush, and patches of other fields both stay', async () => {
    const rig = await leading();
    const { clock, region } = rig;
    await clock.run(region.write([put(1, { title: 'first' }), put(3, { title: 'third' })]));
    const before = region.store.commits;
    region.store.holdFlushes();
    const replies = [
      region.write([view(9)]),
      region.write([put(1, { title: 'second', a: 0 })]),
      region.write([patch(1, { b: 1 })]),
      region.write([patch(3, { c: 1 })]),
      region.write([patch(1, { c: 2 })]),
      // It must follow the patches that wait, although a put alone could have joined the group.
      region.write([put(3, { title: 'last' })]),
      region.write([patch(1, { a: null })]),
      region.write([{ kind: 'delete', entity: 3 }]),
      region.write([patch(3, { d: 1 })]),
    ];
    await clock.settle();
    region.store.releaseFlushes();
    const done = await clock.run(Promise.all(replies));
    assert.deepEqual(done.flatMap(outcomes), [
      'stream',
      'stream',
      'stream',
      'stream',
      'stream',
      'stream',
      'stream',
      'stream',
      'unknown_item',
    ]);
    assert.equal(new Set(done.flatMap(sequences)).size, 9, 'each has a sequence of its own; the refused one has none');
    assert.deepEqual(metadataOf(rig, 1), { title: 'second', b: 1, c: 2 });
    assert.equal(metadataOf(rig, 3), undefined);
    assert.ok(region.store.commits - before <= 6, `${region.store.commits - before} commits`);
  });

  it('a hundred patches at once of a hundred fields all stay', async () => {
    const rig = await leading();
    const { clock, region } = rig;
    await clock.run(region.write([put(1, { title: 'many' })]));
    await clock.run(Promise.all(Array.from({ length: 100 }, (_, n) => region.write([patch(1, { [`f${n}`]: n })]))));
    assert.equal(Object.keys(metadataOf(rig, 1)!).length, 101);
  });

  it('what is not there, was deleted, or would become too large is refused, and nothing else', async () => {
    const rig = await leading();
    const { clock, region } = rig;
    const fields = Object.fromEntries(Array.from({ length: 256 }, (_, n) => [`f${n}`, n]));
    await clock.run(
      region.write([put(1, fields), item(2, 'x'.repeat(200 * 1024)), item(3, 'gone'), { kind: 'delete', entity: 3 }]),
    );
    const reply = await clock.run(
      region.write([
        patch(1, { more: 1 }),
        patch(2, { text: 'y'.repeat(100 * 1024) }),
        patch(3, { a: 1 }),
        patch(4, { a: 1 }),
        view(7),
      ]),
    );
    assert.deepEqual(outcomes(reply), ['invalid_request', 'event_too_large', 'unknown_item', 'unknown_item', 'stream']);
    assert.deepEqual(sequences(reply), [0, 0, 0, 0, 5]);
    assert.deepEqual(metadataOf(rig, 1), fields);
    const exchanged = await clock.run(region.write([patch(1, { f0: null, more: 1 })]));
    assert.deepEqual(outcomes(exchanged), ['stream']);
    assert.equal(Object.keys(metadataOf(rig, 1)!).length, 256);
  });

  it('a patch that adds a field beyond the limit of the state is refused, and changes nothing for those after it', async () => {
    const rig = await leading({ fields: 2 });
    const { clock, region } = rig;
    await clock.run(region.write([put(1, { title: 'one', a: 1 })]));
    const replies = await clock.run(
      Promise.all([region.write([patch(1, { b: 1 })]), region.write([patch(1, { a: 2 })])]),
    );
    assert.deepEqual(replies.flatMap(outcomes), ['state_full', 'stream']);
    assert.deepEqual(metadataOf(rig, 1), { title: 'one', a: 2 });
  });

  it('under a key it is merged once: repeated after another write it changes nothing', async () => {
    const rig = await leading();
    const { clock, region } = rig;
    const keyed = (changes: MetadataPatch): WriteBody[] =>
      withKeys('key', 'patch', [{ k: 'p', e: 1, m: changes } satisfies WireWrite], false).map(fromWire) as WriteBody[];
    await clock.run(region.write([put(1, { title: 'one' })]));
    const first = await clock.run(region.write(keyed({ a: 1 })));
    await clock.run(region.write([patch(1, { a: 2 })]));
    const second = await clock.run(region.write(keyed({ a: 1 })));
    assert.deepEqual(sequences(second), sequences(first));
    assert.deepEqual(metadataOf(rig, 1), { title: 'one', a: 2 });
    assert.deepEqual(outcomes(await clock.run(region.write(keyed({ a: 3 })))), ['idempotency_conflict']);
  });

  it('after a crash the log has what was acknowledged', async () => {
    const rig = await leading();
    const { clock, region } = rig;
    await clock.run(region.write([put(1, { title: 'one', a: 1 })]));
    await clock.run(region.write([patch(1, { a: null, b: 2 })]));
    const after = region.crash('lost');
    assert.deepEqual(after.catalog.item(1)?.metadata, { title: 'one', b: 2 });
  });
});
