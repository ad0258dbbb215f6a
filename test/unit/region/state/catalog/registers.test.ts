/** The schedules that break last-writer-wins by clock, and deletes that forget. */
import assert from 'node:assert/strict';
import { createRegisters } from '../../../../../services/region/state/catalog/registers.ts';
import type { Event, PlacedEvent } from '../../../../../shared/protocol/events.ts';
import { HLC_PER_MS } from '../../../../../shared/protocol/events.ts';

interface At {
  readonly epoch?: number;
  readonly ms: number;
  readonly origin?: string;
  readonly sequence?: number;
}

function place(event: { kind: 'item' | 'delete' | 'embedding'; value?: string }, at: At): PlacedEvent {
  const { epoch = 1, ms, origin = 'us-east@aaaaaaaaaa', sequence = ms } = at;
  const base = { hlc: ms * HLC_PER_MS, entity: 7 };
  const placed: Event =
    event.kind === 'item'
      ? { ...base, kind: 'item', metadata: { title: event.value ?? '' } }
      : event.kind === 'embedding'
        ? { ...base, kind: 'embedding', values: Float32Array.of(Number(event.value)) }
        : { ...base, kind: 'delete' };
  return { event: placed, order: { epoch, hlc: base.hlc, origin, sequence } };
}

const put = (value: string, at: At): PlacedEvent => place({ kind: 'item', value }, at);
const remove = (at: At): PlacedEvent => place({ kind: 'delete' }, at);
const embed = (value: number, at: At): PlacedEvent => place({ kind: 'embedding', value: String(value) }, at);

function title(events: readonly PlacedEvent[]): unknown {
  const registers = createRegisters();
  for (const event of events) registers.apply(event);
  return registers.item(7)?.metadata.title;
}

describe('catalog', () => {
  it('a write under a newer leadership wins over one whose clock was ahead, whichever arrives last (schedule 12)', () => {
    const ahead = put('old leader, clock 5 min ahead', { epoch: 1, ms: 300_000 });
    const newer = put('acknowledged by its successor', { epoch: 2, ms: 1_000, origin: 'eu-west@bbbbbbbbbb' });
    assert.equal(title([ahead, newer]), 'acknowledged by its successor');
    assert.equal(title([newer, ahead]), 'acknowledged by its successor');
  });

  it('two puts in one batch, and two origins at one clock value, have an order (schedule 12)', () => {
    const first = put('first', { ms: 5, sequence: 1 });
    const second = put('second', { ms: 5, sequence: 2 });
    assert.equal(title([first, second]), 'second');
    assert.equal(title([second, first]), 'second');
    const other = put('other origin', { ms: 5, origin: 'us-east@bbbbbbbbbb', sequence: 1 });
    assert.equal(title([second, other]), 'other origin');
    assert.equal(title([other, second]), 'other origin');
  });

  it('a later embedding does not resurrect a deleted item, and is seen once the item is put again (schedule 22)', () => {
    const registers = createRegisters();
    registers.apply(put('one', { ms: 1 }));
    registers.apply(embed(1, { ms: 2 }));
    assert.deepEqual(registers.apply(remove({ ms: 3 })), {
      item: 'gone',
      embedding: 'gone',
    });
    assert.deepEqual(registers.apply(embed(4, { ms: 4 })), {});
    assert.equal(registers.item(7), undefined);
    assert.equal(registers.embedding(7), undefined);
    assert.deepEqual(registers.apply(put('two', { ms: 5 })), {
      item: { metadata: { title: 'two' } },
      embedding: Float32Array.of(4),
    });
  });

  it('an old tail does not resurrect what was deleted since (schedule 22)', () => {
    assert.equal(title([put('one', { ms: 1 }), remove({ ms: 9 }), put('old tail', { ms: 5 })]), undefined);
    assert.equal(title([remove({ ms: 9 }), put('old tail', { ms: 5 })]), undefined);
  });

  it('created_at is the earliest put ever seen, updated_at the winner’s (schedule 22)', () => {
    const events = [put('a', { ms: 10 }), remove({ ms: 20 }), put('b', { ms: 30 }), put('late', { epoch: 1, ms: 5 })];
    for (const order of [events, [...events].reverse()]) {
      const registers = createRegisters();
      for (const event of order) registers.apply(event);
      const { createdMs, updatedMs } = registers.item(7)!;
      assert.deepEqual([createdMs, updatedMs], [5, 30]);
    }
  });

  it('a losing put that only lowers created_at touches no index, and says that the item is older', () => {
    const registers = createRegisters();
    registers.apply(put('winner', { ms: 10 }));
    assert.deepEqual(registers.apply(put('loser', { ms: 3 })), { isOlder: true });
    assert.equal(registers.item(7)?.createdMs, 3);
  });
});
