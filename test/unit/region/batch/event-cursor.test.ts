/** A cursor reads what decoding the whole batch reads: every kind of event, in any order, in steps of any length. */
import assert from 'node:assert/strict';
import { decodeBatch } from '../../../../services/region/batch/batch.ts';
import { EventCursor } from '../../../../services/region/batch/event-cursor/event-cursor.ts';
import { type Event, HLC_PER_MS } from '../../../../shared/protocol/events.ts';
import { chainOf, startMs } from '../../../harness/region/batches.ts';

const origin = 'us-east@aaaaaaaaaa';
const key = { id: Buffer.alloc(16, 0xfb).toString('base64url'), bodyHash: Buffer.alloc(8, 1).toString('base64url') };

const kinds: readonly ((hlc: number, atMs: number) => Event)[] = [
  (hlc, timeMs) => ({ kind: 'signal', hlc, entity: 2 ** 53 - 1, signal: 'view', weight: 1_000, timeMs }),
  (hlc, atMs) => ({ kind: 'signal', hlc, entity: 2, signal: 'skip', weight: 0, timeMs: atMs - 5_000, key }),
  (hlc) => ({ kind: 'item', hlc, entity: 3, metadata: { title: 'ä\u0000"', tags: ['x'.repeat(300)] } }),
  (hlc, atMs) => ({ kind: 'item', hlc, entity: 3, metadata: {}, createdMs: atMs - 1, key }),
  (hlc) => ({ kind: 'delete', hlc, entity: 0 }),
  (hlc) => ({ kind: 'embedding', hlc, entity: 3, values: Float32Array.of(0.1, -2.5) }),
  (hlc, upToMs) => ({ kind: 'retraction', hlc, entity: 7, signal: 'view', weight: 500, upToMs, key }),
];

describe('a cursor over the events of a batch', () => {
  const count = 5 * kinds.length;
  const events = Array.from({ length: count }, (_, index) => {
    const atMs = startMs + 40 * index;
    return kinds[(3 * index) % kinds.length]!(atMs * HLC_PER_MS, atMs);
  });
  const { bytes } = chainOf({ origin, epoch: 7 }, [events])[0]!;
  const decoded = decodeBatch(bytes).events;

  it('reads each, forwards and backwards', () => {
    for (const step of [1, 3, count]) {
      const cursor = new EventCursor(bytes);
      const order = [...events.keys()];
      for (const index of step === 3 ? order.reverse() : order) {
        const sequence = index + 1;
        assert.ok(cursor.has(origin, sequence));
        while (cursor.event(sequence) === undefined) assert.ok(cursor.advance(sequence, step) <= step);
        assert.deepEqual(cursor.event(sequence), decoded[index]);
      }
    }
    assert.ok(!new EventCursor(bytes).has(origin, count + 1));
    assert.ok(!new EventCursor(bytes).has('eu-west@aaaaaaaaaa', 1));
  });
});
