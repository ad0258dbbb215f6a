import assert from 'node:assert/strict';
import type { Batch } from '../../../../../services/region/batch/batch.ts';
import { createRegisters } from '../../../../../services/region/state/catalog/registers.ts';
import type { DigestedPart, ValueSink } from '../../../../../services/region/state/digest/digest.ts';
import { createKeptDigest, SLICE_ENTRIES } from '../../../../../services/region/state/digest/kept-digest.ts';
import { createLedger } from '../../../../../services/region/state/ledger/signal-ledger.ts';
import { formatPosition, parsePosition } from '../../../../../shared/protocol/position.ts';
import { ManualClock } from '../../../../harness/kernel/manual-clock.ts';
import { startMs, viewChain } from '../../../../harness/region/batches.ts';
import { oldOrigins } from '../../../../harness/region/old-origins.ts';
import { schemaOf } from '../../../../harness/region/rank/signals-schema.ts';

const origin = 'us-east@aaaaaaaaaa';

function rig(clock = new ManualClock(), position = new Map<string, number>()) {
  const ledger = createLedger({ schema: schemaOf(['view', 'positive', 3_600]) });
  const keptDigest = createKeptDigest({ clock, catalog: createRegisters(), ledger, position: () => position });
  const take = (batches: readonly Batch[]): void => {
    for (const batch of batches) {
      keptDigest.applying(batch);
      for (const event of batch.events) ledger.add(event.entity, 'view', 1_000, startMs);
      position.set(batch.origin, batch.last);
      keptDigest.applied(batch);
    }
  };
  return { clock, keptDigest, take };
}

describe('keeping the digest', () => {
  it('an empty state is counted at once; its digest is zero', () => {
    const { keptDigest } = rig();
    assert.deepEqual(keptDigest.watch(9), { counting: false, kept: [{ position: '', digest: '0'.repeat(32) }] });
    keptDigest.stop();
  });

  it('notes every batch, the newest first, at most as many as asked for', () => {
    const { keptDigest, take } = rig();
    keptDigest.watch(9);
    take(viewChain(origin, 5));
    assert.deepEqual(
      keptDigest.watch(3).kept.map(({ position }) => position),
      [25, 20, 15].map((last) => `${origin}:${last}`),
    );
    keptDigest.stop();
  });

  it('keeps the last 4,096 positions and more only until it tidies up', () => {
    const { keptDigest, take } = rig();
    keptDigest.watch(9);
    take(viewChain(origin, 10_000, 1));
    const { kept } = keptDigest.watch(100_000);
    assert.ok(kept.length >= 4_096 && kept.length <= 8_192, String(kept.length));
    assert.equal(kept[0]?.position, `${origin}:10000`);
    assert.equal(kept[4_095]?.position, `${origin}:${10_000 - 4_095}`);
    keptDigest.stop();
  });

  it('with 2,000 origins an answer stays small, but has every position', () => {
    const before = new Map(oldOrigins().map(({ origin: name, last }) => [name, last]));
    const { keptDigest, take } = rig(new ManualClock(), new Map(before));
    keptDigest.watch(9);
    const other = 'eu-west@bbbbbbbbbb';
    const after: string[] = [];
    const at = new Map(before);
    for (const name of [origin, other]) {
      for (const batch of viewChain(name, 150)) {
        take([batch]);
        at.set(name, batch.last);
        after.push(formatPosition(at));
      }
    }
    const { kept, former = [] } = keptDigest.watch(256);
    assert.equal(kept.length + former.length, 256);
    assert.ok(JSON.stringify({ kept, former }).length < 400_000);
    const told = kept.map(({ position }) => position);
    const walk = parsePosition(told.at(-1)!)!;
    for (const { origin: name, sequence } of former) {
      if (sequence === 0) walk.delete(name);
      else walk.set(name, sequence);
      told.push(formatPosition(walk));
    }
    assert.deepEqual(told, after.reverse().slice(0, 256));
    assert.equal(new Set([...kept, ...former].map(({ digest }) => digest)).size, 256);
    keptDigest.stop();
  });

  it('ends 15 s after the last request, and begins anew with the next', async () => {
    const { clock, keptDigest, take } = rig();
    keptDigest.watch(9);
    const batches = viewChain(origin, 4);
    take(batches.slice(0, 2));
    await clock.advance(14_999);
    assert.equal(keptDigest.watch(9).kept.length, 3);
    await clock.advance(15_000);
    assert.equal(clock.pending, 0);
    take(batches.slice(2));
    assert.deepEqual(
      keptDigest.watch(9).kept.map(({ position }) => position),
      [`${origin}:20`],
    );
    keptDigest.stop();
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
    return {
      clock,
      keptDigest: createKeptDigest({ clock, catalog, ledger: { digested: [] }, position: () => new Map() }),
    };
  }

  it('counts no more than a slice of entries in a turn, however many there are', async () => {
    const part = new ManyEntries(25 * SLICE_ENTRIES + 1);
    const { clock, keptDigest } = counting(part);
    let turns = 0;
    for (let before = 0; keptDigest.watch(1).counting; before = part.described, turns++) {
      assert.ok(part.described - before <= SLICE_ENTRIES, `${part.described - before} entries in one turn`);
      await clock.advance(1);
    }
    assert.equal(part.described, part.entries);
    assert.equal(turns, 25);
    keptDigest.stop();
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
    const { clock, keptDigest } = counting(part);
    for (let before = 0; keptDigest.watch(1).counting; before = part.described) {
      assert.ok(part.described - before <= 2, `${part.described - before} MiB in one turn`);
      await clock.advance(1);
    }
    assert.equal(part.described, 100);
    keptDigest.stop();
  });

  it('has no limit at 2^24 entries of one part', async () => {
    const part = new ManyEntries(2 ** 24 + 2);
    const { clock, keptDigest } = counting(part);
    while (keptDigest.watch(1).counting) await clock.advance(1_000);
    assert.equal(part.described, part.entries);
    keptDigest.stop();
  }).timeout(60_000);
});
