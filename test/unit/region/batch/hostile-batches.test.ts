/** What a batch holds is checked completely when it is decoded, and what is encoded can be decoded. */
import assert from 'node:assert/strict';
import fc from 'fast-check';
import { DamagedBatch, decodeBatch, splitMessage, UnknownFormat } from '../../../../services/region/batch/batch.ts';
import { BatchBuilder } from '../../../../services/region/intake/batch-builder.ts';
import { VarintReader, VarintWriter } from '../../../../shared/kernel/varints.ts';
import { type Event, HLC_PER_MS, metadataFlaw } from '../../../../shared/protocol/events.ts';
import { signalColumns } from '../../../../shared/protocol/signal-columns.ts';
import { garbageFor, mutated, rawBatch, rawItem, rawSignal } from '../../../harness/hostile/garbage.ts';
import { seededRandom } from '../../../harness/kernel/seeded-random.ts';
import { startMs, viewEvent } from '../../../harness/region/batches.ts';

const origin = 'us-east@aaaaaaaaaa';
/** Whole batches: only the topology, or the subject, says what is wrong with them. */
const wholeOnes = ['nothing', 'a batch of another subject', 'an origin of no region'];

describe('hostile batches', () => {
  for (const { name, bytes } of garbageFor({ origin }).filter(({ name }) => !wholeOnes.includes(name))) {
    it(`damage, not a batch and not a later version: ${name}`, () => {
      assert.throws(() => splitMessage(bytes).map((part) => decodeBatch(part)), DamagedBatch);
    });
  }

  it('a later version is distinguished from damage by the checksum, which has the same offset in every version', () => {
    const later = rawBatch({ origin, events: [{ kind: 4 }], version: 9 });
    assert.throws(() => decodeBatch(later), UnknownFormat);
    later[20]! ^= 1;
    assert.throws(() => decodeBatch(later), DamagedBatch);
  });

  it('what decodes obeys the rules of every door, whatever bytes were changed under a right checksum', () => {
    const seed = Math.floor(Math.random() * 2 ** 31);
    const random = seededRandom(seed);
    const genuine = rawBatch({
      origin,
      signals: ['view'],
      events: [rawSignal(1_000), rawItem('{"a":[ "b" ],"c":1}', 7), rawSignal(5, { agoMs: 9 }), { kind: 4, entity: 9 }],
    });
    let decoded = 0;
    for (let round = 0; round < 4_000; round++) {
      const bytes = mutated(random, genuine, true);
      let events: readonly Event[];
      try {
        events = decodeBatch(bytes).events;
      } catch (error) {
        assert.ok(error instanceof DamagedBatch || error instanceof UnknownFormat, `seed ${seed}: ${String(error)}`);
        continue;
      }
      decoded++;
      for (const event of events) {
        assert.ok(Number.isSafeInteger(event.entity) && Number.isSafeInteger(event.hlc), `seed ${seed}`);
        if (event.kind === 'item') assert.equal(metadataFlaw(event.metadata), undefined, `seed ${seed}`);
        if (event.kind !== 'signal') continue;
        assert.ok(event.weight <= 10_000_000 && event.timeMs >= 0 && event.signal !== '', `seed ${seed}`);
      }
    }
    assert.ok(decoded > 0, 'some changes are harmless');
  });

  const unwritable: readonly [string, Event][] = [
    ['an entity of −5', { ...viewEvent(1), entity: -5 }],
    ['an entity that is infinite', { ...viewEvent(1), entity: Number.POSITIVE_INFINITY }],
    ['an entity of 2^53', { ...viewEvent(1), entity: 2 ** 53 }],
    ['a weight of 1e308', { ...viewEvent(1), weight: 1e308 } as Event],
    ['a weight that is no integer', { ...viewEvent(1), weight: 0.5 } as Event],
    ['a time before 1970', { ...viewEvent(1), timeMs: -1 } as Event],
    ['a signal without a name', { ...viewEvent(1), signal: '' } as Event],
    ['metadata that is null', { kind: 'item', hlc: 1, entity: 1, metadata: null as never }],
    ['values that are not finite', { kind: 'embedding', hlc: 1, entity: 1, values: Float32Array.of(Number.NaN) }],
    ['a clock value of 2^53', { kind: 'delete', hlc: 2 ** 53, entity: 1 }],
  ];
  const header = { origin, epoch: 1, first: 1, schemaHash: '0123456789abcdef', chain: new Uint8Array(16) };
  for (const [name, event] of unwritable) {
    it(`nothing is encoded that could not be read back: ${name}`, () => {
      assert.throws(() => {
        const builder = new BatchBuilder();
        builder.add(event);
        builder.build(header);
      }, /BrokenInvariant|read back|varint/);
    });
  }

  it('nor a header that could not be', () => {
    for (const change of [
      { origin: 'e,v:i' },
      { epoch: 0 },
      { epoch: 2 ** 53 },
      { first: 0 },
      { first: 2 ** 53 - 1 },
    ]) {
      const builder = new BatchBuilder();
      builder.add(viewEvent(1));
      builder.add(viewEvent(2));
      assert.throws(() => builder.build({ ...header, ...change }), /read back|varint/, JSON.stringify(change));
    }
  });

  it('nor a column of signals that could not be', () => {
    for (const [column, value] of [
      ['entities', -1],
      ['entities', Number.POSITIVE_INFINITY],
      ['weights', 10_000_001],
      ['weights', Number.NaN],
      ['timesMs', -1],
    ] as const) {
      const columns = signalColumns(1, ['view']);
      columns.timesMs[0] = startMs;
      columns[column][0] = value;
      assert.throws(() => new BatchBuilder().addSignals(columns, 0, startMs * HLC_PER_MS), /read back|varint/, column);
    }
  });

  it('a varint is read back as it was written, or is not written', () => {
    fc.assert(
      fc.property(fc.oneof(fc.double(), fc.maxSafeInteger(), fc.integer({ min: -5, max: 300 })), (value) => {
        const writer = new VarintWriter(16);
        try {
          writer.varint(value);
        } catch {
          assert.ok(!(Number.isSafeInteger(value) && value >= 0));
          return;
        }
        assert.equal(new VarintReader(writer.drain()).varint(), value + 0);
      }),
    );
  });
});
