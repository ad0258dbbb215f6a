import assert from 'node:assert/strict';
import type { Batch } from '../../../../../services/region/batch/batch.ts';
import { createRegisters } from '../../../../../services/region/state/catalog/registers.ts';
import type { DigestedPart, ValueSink } from '../../../../../services/region/state/digest/digest.ts';
import {
  COUNTS_LIMIT,
  createDigestCounts,
  SLICE_ENTRIES,
} from '../../../../../services/region/state/digest/digest-counts.ts';
import { digestOf } from '../../../../../services/region/state/digest/value-hash.ts';
import { createLedger } from '../../../../../services/region/state/ledger/signal-ledger.ts';
import { Refusal } from '../../../../../shared/errors/errors.ts';
import { type Event, HLC_PER_MS } from '../../../../../shared/protocol/events.ts';
import { positionOf } from '../../../../../shared/protocol/position.ts';
import { ManualClock } from '../../../../harness/kernel/manual-clock.ts';
import { chainOf, startMs } from '../../../../harness/region/batches.ts';
import { schemaOf } from '../../../../harness/region/rank/signals-schema.ts';

const origin = 'us-east@aaaaaaaaaa';
const at = (last: number) => positionOf(last === 0 ? '' : `${origin}:${last}`);

/** Batches of five views, each of another item. */
function viewsOf(batches: number): Batch[] {
  const hlc = startMs * HLC_PER_MS;
  return chainOf(
    { origin },
    Array.from({ length: batches }, (_, batch) =>
      [1, 2, 3, 4, 5].map((index): Event => {
        const n = batch * 5 + index;
        return { kind: 'signal', hlc: hlc + n, entity: n, signal: 'view', weight: 1_000, timeMs: startMs };
      }),
    ),
  );
}

function rig(sliceEntries?: number, nextTurn?: (action: () => void) => void) {
  const clock = new ManualClock();
  const position = new Map<string, number>();
  const catalog = createRegisters();
  const ledger = createLedger({ schema: schemaOf(['view', 'positive', 3_600]) });
  const slices = sliceEntries === undefined ? {} : { sliceEntries };
  const counts = createDigestCounts({ clock, catalog, ledger, position: () => position, nextTurn, ...slices });
  const take = (batches: readonly Batch[]): void => {
    for (const batch of batches) {
      counts.applying(batch);
      for (const event of batch.events) ledger.add(event.entity, 'view', 1_000, startMs);
      position.set(batch.origin, batch.last);
      counts.applied();
    }
  };
  return { clock, counts, take, digest: () => digestOf(catalog, ledger) };
}

const isOverloaded = (error: unknown): boolean => error instanceof Refusal && error.code === 'overloaded';

describe('counts of the state', () => {
  it('an empty state is counted at once; its digest is zero', async () => {
    const { counts } = rig();
    const counted = { position: '', digest: '0'.repeat(32) };
    assert.deepEqual(counts.request({ id: 'a', covering: at(0) }), counted);
    assert.deepEqual(await counts.count(), counted);
    counts.stop();
  });

  it('begins at the first position that covers the requested one, and is of the state there', async () => {
    const { clock, counts, take, digest } = rig();
    const batches = viewsOf(5);
    assert.equal(counts.request({ id: 'a', covering: at(7) }), undefined);
    take(batches.slice(0, 1));
    assert.equal(counts.request({ id: 'a', covering: at(7) }), undefined);
    take(batches.slice(1, 2));
    const there = digest();
    take(batches.slice(2));
    assert.notEqual(digest(), there);
    await clock.advance(5);
    assert.deepEqual(counts.request({ id: 'a', covering: at(7) }), { position: `${origin}:10`, digest: there });
    counts.stop();
  });

  it('continues in the next turn, without a pause; not after a stop', () => {
    const turns: (() => void)[] = [];
    const { clock, counts, take, digest } = rig(2, (action) => void turns.push(action));
    take(viewsOf(1));
    counts.request({ id: 'a', covering: at(0) });
    for (let left = 2; left > 0; left--) {
      assert.deepEqual(counts.request({ id: 'a', covering: at(0) }), { position: `${origin}:5` });
      turns.shift()!();
    }
    assert.deepEqual(counts.request({ id: 'a', covering: at(0) }), { position: `${origin}:5`, digest: digest() });
    take(viewsOf(2).slice(1));
    counts.request({ id: 'b', covering: at(0) });
    counts.stop();
    turns.shift()!();
    assert.deepEqual([turns.length, clock.pending], [0, 0]);
  });

  it('another position begins it anew, and what was counted for it is dropped', async () => {
    const { clock, counts, take, digest } = rig(1);
    const batches = viewsOf(3);
    take(batches.slice(0, 1));
    assert.deepEqual(counts.request({ id: 'a', covering: at(0) }), { position: `${origin}:5` });
    take(batches.slice(1, 2));
    assert.deepEqual(counts.request({ id: 'a', covering: at(10) }), { position: `${origin}:10` });
    await clock.advance(100);
    assert.deepEqual(counts.request({ id: 'a', covering: at(10) }), { position: `${origin}:10`, digest: digest() });
    counts.stop();
    assert.equal(clock.pending, 0);
  });

  it('requests that begin at one position share a count, also one that is counted', async () => {
    const { clock, counts, take } = rig(2);
    take(viewsOf(4));
    for (const id of ['a', 'b'])
      assert.deepEqual(counts.request({ id, covering: at(3) }), { position: `${origin}:20` });
    await clock.advance(100);
    const counted = counts.request({ id: 'a', covering: at(3) });
    assert.notEqual(counted?.digest, undefined);
    for (const id of ['b', 'c']) assert.deepEqual(counts.request({ id, covering: at(3) }), counted);
    counts.stop();
  });

  it('is removed 15 s after the last request; the next one counts again', async () => {
    const { clock, counts, take } = rig(2);
    take(viewsOf(4));
    counts.request({ id: 'a', covering: at(0) });
    await clock.advance(14_999);
    assert.notEqual(counts.request({ id: 'a', covering: at(0) })?.digest, undefined);
    await clock.advance(30_001);
    assert.equal(clock.pending, 0);
    assert.deepEqual(counts.request({ id: 'a', covering: at(0) }), { position: `${origin}:20` });
    counts.stop();
  });

  it('has a limit; requests that are not repeated are removed', async () => {
    const { clock, counts, take } = rig(1);
    take(viewsOf(4));
    for (let n = 0; n < COUNTS_LIMIT; n++) counts.request({ id: `${n}`, covering: at(1_000) });
    assert.throws(() => counts.request({ id: 'more', covering: at(0) }), isOverloaded);
    await assert.rejects(counts.count(), isOverloaded);
    assert.equal(counts.request({ id: '3', covering: at(1_001) }), undefined);
    await clock.advance(30_001);
    assert.equal(clock.pending, 0);
    assert.deepEqual(counts.request({ id: 'more', covering: at(0) }), { position: `${origin}:20` });
    counts.stop();
  });

  it('a recount at the present position is of what is stored then; a region that stops rejects it', async () => {
    const { clock, counts, take, digest } = rig(1);
    take(viewsOf(2));
    const there = digest();
    const counted = clock.run(counts.count());
    assert.deepEqual(await counted, { position: `${origin}:10`, digest: there });
    const stopped = counts.count();
    counts.stop();
    await assert.rejects(stopped, (error) => error instanceof Refusal && error.code === 'not_ready');
  });

  /** Many entries of no memory. */
  class ManyEntries implements DigestedPart {
    described = 0;
    readonly entries: number;

    constructor(entries: number) {
      this.entries = entries;
    }

    find(): number {
      return -1;
    }

    describe(entry: number, sink: ValueSink): void {
      this.described++;
      sink.begin(entry);
      sink.end();
    }
  }

  function counting(registers: DigestedPart) {
    const clock = new ManualClock();
    const catalog = { digested: [registers] };
    const counts = createDigestCounts({ clock, catalog, ledger: { digested: [] }, position: () => new Map() });
    const isCounting = (): boolean => counts.request({ id: 'a', covering: at(0) })?.digest === undefined;
    return { clock, counts, isCounting };
  }

  it('counts no more than a slice of entries in a turn, however many there are', async () => {
    const part = new ManyEntries(25 * SLICE_ENTRIES + 1);
    const { clock, counts, isCounting } = counting(part);
    let turns = 0;
    for (let before = 0; isCounting(); before = part.described, turns++) {
      assert.ok(part.described - before <= SLICE_ENTRIES, `${part.described - before} entries in one turn`);
      await clock.advance(1);
    }
    assert.equal(part.described, part.entries);
    assert.equal(turns, 25);
    counts.stop();
  });

  it('a few very large entries end a slice as well', async () => {
    const part = new ManyEntries(100);
    const bytes = new Uint8Array(2 ** 20);
    part.describe = (entry, sink) => {
      part.described++;
      sink.begin(entry);
      sink.bytes(bytes);
      sink.end();
    };
    const { clock, counts, isCounting } = counting(part);
    for (let before = 0; isCounting(); before = part.described) {
      assert.ok(part.described - before <= 2, `${part.described - before} MiB in one turn`);
      await clock.advance(1);
    }
    assert.equal(part.described, 100);
    counts.stop();
  });

  it('has no limit at 2^24 entries of one part', async () => {
    const part = new ManyEntries(2 ** 24 + 2);
    const { clock, counts, isCounting } = counting(part);
    while (isCounting()) await clock.advance(1_000);
    assert.equal(part.described, part.entries);
    counts.stop();
  }).timeout(60_000);
});
