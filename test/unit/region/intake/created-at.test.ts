/** `created_at` of items: the lowest of all puts, in whatever order they are merged. */
import assert from 'node:assert/strict';
import { decodeBatch, decodeBatchUnder, eventBytes } from '../../../../services/region/batch/batch.ts';
import { buildBatches } from '../../../../services/region/intake/build-batches.ts';
import { createRegisters } from '../../../../services/region/state/catalog/registers.ts';
import type { EventBody, PlacedEvent } from '../../../../shared/protocol/events.ts';
import { HLC_PER_MS } from '../../../../shared/protocol/events.ts';
import { withKeys } from '../../../../shared/protocol/idempotency.ts';
import { Quarantine } from '../../../../shared/protocol/quarantine.ts';
import { fromWire, parseWrite, toWire } from '../../../../shared/protocol/writes.ts';

const AT_MS = Date.UTC(2025, 0, 1);
const DAY_MS = 86_400_000;
const ORIGIN = 'us-east@aaaaaaaaaaaaa';

const put = (createdMs?: number): EventBody => ({
  ...{ kind: 'item', entity: 1, metadata: { title: 'one' } },
  ...(createdMs === undefined ? {} : { createdMs }),
});

function built(bodies: readonly EventBody[], aheadMs = 0) {
  const stamp = { hlc: (AT_MS + aheadMs) * HLC_PER_MS, atMs: AT_MS, aheadMs };
  return buildBatches({
    ...{ origin: ORIGIN, epoch: 1, schemaHash: '0'.repeat(16), after: undefined, stamp },
    bulks: [bodies],
  }).batches[0]!;
}

describe('created_at of items', () => {
  it('is logged and read back, and only where it is before the acceptance', () => {
    for (const aheadMs of [0, 5_000]) {
      const batch = built([put(AT_MS - DAY_MS), put(0), put(AT_MS), put(AT_MS + 1), put()], aheadMs);
      const { events } = decodeBatch(batch.bytes);
      assert.deepEqual(events, batch.events);
      assert.deepEqual(
        events.map((event) => event.kind === 'item' && event.createdMs),
        [AT_MS - DAY_MS, 0, undefined, undefined, undefined],
      );
    }
    assert.equal(eventBytes(put(1)) - eventBytes(put()), 8);
  });

  it('is the lowest of all puts, in every order, also of those that lost or were deleted', () => {
    const bodies: EventBody[] = [
      put(AT_MS - 3 * DAY_MS),
      put(),
      { kind: 'delete', entity: 1 },
      put(AT_MS - 9 * DAY_MS),
      put(AT_MS - DAY_MS),
    ];
    const placed = built(bodies).events.map(
      (event, index): PlacedEvent => ({
        event,
        order: { epoch: 1, hlc: event.hlc, origin: ORIGIN, sequence: index + 1 },
      }),
    );
    for (const order of [
      [0, 1, 2, 3, 4],
      [4, 3, 2, 1, 0],
      [3, 4, 0, 2, 1],
      [2, 4, 1, 3, 0],
    ]) {
      const catalog = createRegisters();
      const seen = order.map((index) => {
        const change = catalog.apply(placed[index]!);
        return [catalog.item(1)?.createdMs, change.isOlder];
      });
      assert.equal(catalog.item(1)?.createdMs, AT_MS - 9 * DAY_MS, String(order));
      if (order[0] === 4)
        assert.deepEqual(seen.slice(0, 2), [
          [AT_MS - DAY_MS, undefined],
          [AT_MS - 9 * DAY_MS, true],
        ]);
    }
  });

  it('an event that was set aside keeps it, as regions may have applied it before', () => {
    const batch = built([put(AT_MS - DAY_MS)]);
    const [aside] = decodeBatchUnder(new Quarantine([{ origin: ORIGIN, first: 1, last: 1 }]), batch.bytes).events;
    assert.deepEqual(aside, {
      ...{ kind: 'delete', hlc: AT_MS * HLC_PER_MS, entity: 1, aside: 'item', createdMs: AT_MS - DAY_MS },
    });
  });

  it('travels between router and region, and belongs to the body of a key', () => {
    const dated = parseWrite('items', { entity_id: 1, metadata: { a: 1 }, created_at: '2001-02-03T04:05:06+01:00' });
    assert.deepEqual(dated, {
      ...{ kind: 'item', entity: 1, metadata: { a: 1 }, createdMs: Date.UTC(2001, 1, 3, 3, 5, 6) },
    });
    assert.deepEqual(fromWire(JSON.parse(JSON.stringify(toWire(dated)))), dated);
    const bodyHash = (body: EventBody) => withKeys('key', 'items', [toWire(body)], false)[0]!.key![1];
    assert.notEqual(bodyHash(put(5)), bodyHash(put(6)));
    assert.notEqual(bodyHash(put(5)), bodyHash(put()));
    for (const t of [undefined, -1, 1.5, '5']) {
      assert.throws(() => fromWire({ k: 'c', e: 1, m: {}, t }), /t must be/);
    }
  });
});
