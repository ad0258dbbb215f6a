/** Registers as the store has them: what goes in comes out, tombstones too; and those that version 0.1 wrote are read. */
import assert from 'node:assert/strict';
import { encodeMetadata } from '../../../../../services/region/state/catalog/catalog.ts';
import {
  decodeEmbedding,
  decodeItem,
  encodeEmbedding,
  encodeItem,
  encodeJson,
} from '../../../../../services/region/wal/documents.ts';
import { hlcMs } from '../../../../../shared/protocol/events.ts';

const order = { epoch: 3, hlc: 2 ** 53 - 1, origin: 'us-east@aaaaaaaaaa', sequence: 12_345_678_901 };
const other = { epoch: 4, hlc: 1, origin: 'eu@bbbbbbbbbbbb', sequence: 1 };
const metadata = encodeMetadata({ title: 'Ähre \ud800', year: 1999, tags: ['a', 'b'] });
const values = Float32Array.of(1.5, -0, 3e-40, 7);
const packed = ({ epoch, hlc, origin, sequence }: typeof order): unknown => ({
  e: epoch,
  h: hlc,
  o: origin,
  s: sequence,
});

describe('stored registers', () => {
  it('items and embeddings come out as they went in, tombstones and both origins in turn', () => {
    for (const one of [order, other, order]) {
      for (const register of [
        { order: one, metadata, createdMs: 1_750_000_000_000, updatedMs: hlcMs(one.hlc) },
        { order: one, metadata, createdMs: 1_750_000_000_000, updatedMs: 1_750_000_000_001 },
        { order: one, metadata: undefined, createdMs: 0, updatedMs: hlcMs(one.hlc) },
        { order: one, metadata: undefined, createdMs: undefined, updatedMs: 0.5 },
      ]) {
        const { metadata: json, ...rest } = decodeItem(encodeItem(register));
        assert.deepEqual(rest, { order: one, createdMs: register.createdMs, updatedMs: register.updatedMs });
        assert.deepEqual(json && new Uint8Array(json), register.metadata && new Uint8Array(register.metadata));
      }
      for (const register of [
        { order: one, values },
        { order: one, values: undefined },
      ]) {
        assert.deepEqual(decodeEmbedding(encodeEmbedding(register)), register);
      }
    }
  });

  it('an item whose winner was accepted when its HLC says so is written as usual', () => {
    const register = { order: other, metadata: encodeMetadata({ a: 1 }), createdMs: 7, updatedMs: 0 };
    assert.equal(
      Buffer.from(encodeItem(register)).toString('hex'),
      '01010f0000000000001040000000000000f03f000000000000f03f0000000000001c40' +
        Buffer.from('eu@bbbbbbbbbbbb{"a":1}').toString('hex'),
    );
  });

  it('what was written as JSON is read as it was meant', () => {
    const item = decodeItem(encodeJson({ o: packed(order), m: { title: 'one' }, c: 5 }));
    assert.deepEqual(
      { ...item, metadata: Buffer.from(item.metadata!).toString() },
      { order, metadata: '{"title":"one"}', createdMs: 5, updatedMs: hlcMs(order.hlc) },
    );
    assert.deepEqual(decodeItem(encodeJson({ o: packed(order) })), {
      order,
      metadata: undefined,
      createdMs: undefined,
      updatedMs: hlcMs(order.hlc),
    });
    const head = encodeJson({ o: packed(order), n: values.length });
    const bytes = Buffer.concat([Buffer.alloc(4), head, Buffer.from(values.buffer)]);
    bytes.writeUInt32LE(head.length, 0);
    assert.deepEqual(decodeEmbedding(bytes), { order, values });
    const tombstone = Buffer.concat([Buffer.alloc(4), encodeJson({ o: packed(other) })]);
    tombstone.writeUInt32LE(tombstone.length - 4, 0);
    assert.deepEqual(decodeEmbedding(tombstone), { order: other, values: undefined });
  });
});
