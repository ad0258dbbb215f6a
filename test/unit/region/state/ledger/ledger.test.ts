import assert from 'node:assert/strict';
import { Entities } from '../../../../../services/region/state/entities/entities.ts';
import { type Ledger, SHARDS } from '../../../../../services/region/state/ledger/ledger.ts';
import { createLedger } from '../../../../../services/region/state/ledger/signal-ledger.ts';
import {
  DAY_HOURS_KEPT,
  HOURS_KEPT,
  MINUTES_KEPT,
  windowSpans,
} from '../../../../../services/region/state/ledger/spans/spans.ts';
import {
  FAN_OUT_BITS,
  HOUR_SLACK,
  MINUTE_SLACK,
} from '../../../../../services/region/state/upper-bounds/upper-bounds.ts';
import { BrokenInvariant } from '../../../../../shared/kernel/kernel.ts';
import { signalColumns } from '../../../../../shared/protocol/signal-columns.ts';
import { schemaOf } from '../../../../harness/region/rank/signals-schema.ts';
import { forEachValue } from '../../../../harness/region/state/stored-values.ts';

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
/** Hour 1,000,000 since the epoch: 2084. */
const NOON_MS = 1_000_000 * HOUR_MS;

type Description = [number, ...unknown[]][];

function describeLedger(ledger: Ledger): Description {
  const described: Description = [];
  forEachValue(ledger, (entity, parts) => described.push([entity, ...parts]));
  return described;
}

function viewLedger(): Ledger {
  return createLedger({ schema: schemaOf(['view', 'positive', 3600], ['like', 'positive', 86_400]) });
}

describe('ledger', () => {
  it('answers nothing for what it never saw', () => {
    const ledger = viewLedger();
    assert.equal(ledger.read(1, 'view', NOON_MS), undefined);
    assert.equal(ledger.read(1, 'unheard', NOON_MS), undefined);
    assert.equal(ledger.sum(1, 'view', 'all', NOON_MS), 0);
    assert.equal(ledger.decayed(1, 'view', NOON_MS), 0);
    assert.equal(ledger.pairs, 0);
    assert.deepEqual(describeLedger(ledger), []);
  });

  it('reads one event', () => {
    const ledger = viewLedger();
    ledger.add(7, 'view', 1500, NOON_MS);
    assert.deepEqual(ledger.read(7, 'view', NOON_MS), {
      sums: { '1h': 1.5, '24h': 1.5, '7d': 1.5, all: 1.5 },
      count: 1,
      decayed: 1.5,
      firstMs: NOON_MS,
      lastMs: NOON_MS,
    });
    assert.equal(ledger.decayed(7, 'view', NOON_MS + HOUR_MS), 0.75);
    assert.equal(ledger.read(7, 'like', NOON_MS), undefined);
    assert.equal(ledger.pairs, 1);
  });

  it('retracts exactly what it added, also across the limbs of wide sums, and what a newer event cleared', () => {
    const cellMs = 8 * HOUR_MS;
    const late = Math.floor(NOON_MS / cellMs) * cellMs - 1;
    const fill = (ledger: Ledger, count: number): void => {
      // 2,000 of the heaviest at the end of a decay bucket: past 2^32 in a ring's bucket and past 2^52 in the decay bucket.
      for (let n = 0; n < count; n++) ledger.add(1, 'view', 10_000_000, late);
    };
    const [wide, narrow] = [viewLedger(), viewLedger()];
    for (const ledger of [wide, narrow]) {
      ledger.add(1, 'view', 7, late - HOUR_MS);
      // Enough minutes for dense rings.
      for (let n = 1; n <= 10; n++) ledger.add(1, 'view', n, late - n * MINUTE_MS);
    }
    fill(wide, 2_000);
    for (let n = 0; n < 1_999; n++) wide.retract(1, 'view', 10_000_000, late);
    fill(narrow, 1);
    assert.deepEqual(describeLedger(wide), describeLedger(narrow));
    for (const ledger of [wide, narrow]) ledger.note(1, 'view', late + 400 * HOUR_MS);
    wide.retract(1, 'view', 10_000_000, late);
    narrow.retract(1, 'view', 10_000_000, late);
    const fresh = viewLedger();
    fresh.note(1, 'view', late + 400 * HOUR_MS);
    fresh.add(1, 'view', 7, late - HOUR_MS);
    for (let n = 1; n <= 10; n++) fresh.add(1, 'view', n, late - n * MINUTE_MS);
    fresh.note(1, 'view', late);
    assert.deepEqual(describeLedger(wide), describeLedger(fresh));
    assert.deepEqual(describeLedger(narrow), describeLedger(fresh));
    assert.equal(fresh.read(1, 'view', late)?.sums.all, (7 + 55) / 1_000);
  });

  it('a retraction of what was never added is a broken invariant', () => {
    const ledger = viewLedger();
    assert.throws(() => ledger.retract(1, 'view', 1, NOON_MS), BrokenInvariant);
    ledger.note(1, 'view', NOON_MS);
    assert.throws(() => ledger.retract(1, 'view', 1, NOON_MS), BrokenInvariant);
  });

  it('counts events of weight 0 without adding to any sum', () => {
    const ledger = viewLedger();
    ledger.add(1, 'view', 0, NOON_MS);
    ledger.add(1, 'view', 0, NOON_MS + MINUTE_MS);
    assert.deepEqual(ledger.read(1, 'view', NOON_MS + MINUTE_MS), {
      sums: { '1h': 0, '24h': 0, '7d': 0, all: 0 },
      count: 2,
      decayed: 0,
      firstMs: NOON_MS,
      lastMs: NOON_MS + MINUTE_MS,
    });
  });

  it('moves each window by its bucket', () => {
    const ledger = viewLedger();
    ledger.add(1, 'view', 1000, NOON_MS);
    const sums = (atMs: number): number[] =>
      (['1h', '24h', '7d', 'all'] as const).map((window) => ledger.sum(1, 'view', window, atMs));
    assert.deepEqual(sums(NOON_MS - 1), [0, 0, 0, 1]);
    assert.deepEqual(sums(NOON_MS), [1, 1, 1, 1]);
    // The last millisecond of the 60th minute, of the 24th hour, of the 168th hour, and the next one.
    assert.deepEqual(sums(NOON_MS + 60 * MINUTE_MS - 1), [1, 1, 1, 1]);
    assert.deepEqual(sums(NOON_MS + 60 * MINUTE_MS), [0, 1, 1, 1]);
    assert.deepEqual(sums(NOON_MS + 24 * HOUR_MS - 1), [0, 1, 1, 1]);
    assert.deepEqual(sums(NOON_MS + 24 * HOUR_MS), [0, 0, 1, 1]);
    assert.deepEqual(sums(NOON_MS + 168 * HOUR_MS - 1), [0, 0, 1, 1]);
    assert.deepEqual(sums(NOON_MS + 168 * HOUR_MS), [0, 0, 0, 1]);
  });

  it('reads windows the same from few and from many buckets', () => {
    const few = viewLedger();
    const many = viewLedger();
    for (const ledger of [few, many]) {
      ledger.add(1, 'view', 1000, NOON_MS);
      ledger.add(1, 'view', 2000, NOON_MS + 30 * MINUTE_MS);
      ledger.add(1, 'view', 4000, NOON_MS + 90 * MINUTE_MS);
    }
    // A ten-minute visit at weight 0.001 each fills more minutes than the compact form holds.
    for (let minute = 100; minute < 110; minute++) many.add(1, 'view', 1, NOON_MS + minute * MINUTE_MS);
    const atMs = NOON_MS + 109 * MINUTE_MS;
    assert.equal(few.sum(1, 'view', '1h', atMs), 4);
    assert.equal(many.sum(1, 'view', '1h', atMs), 4.01);
    assert.equal(few.sum(1, 'view', '24h', atMs), 7);
    assert.equal(many.sum(1, 'view', '24h', atMs), 7.01);
    // The minute ring of `few` covers (24, 90], that of `many` (43, 109]: minute 30 is in the one only.
    assert.equal(few.sum(1, 'view', '1h', NOON_MS + 59 * MINUTE_MS), 2);
    assert.equal(many.sum(1, 'view', '1h', NOON_MS + 59 * MINUTE_MS), 0);
    assert.equal(many.sum(1, 'view', '24h', NOON_MS + 24 * HOUR_MS), 4.01);
  });

  it('adds an event older than the ring to `all` alone', () => {
    const ledger = viewLedger();
    ledger.add(1, 'view', 1000, NOON_MS);
    ledger.add(1, 'view', 1000, NOON_MS - 65 * MINUTE_MS);
    ledger.add(1, 'view', 1000, NOON_MS - 66 * MINUTE_MS);
    // Read 65 minutes back, the ring of 66 still shows the one and has never held the other.
    assert.equal(ledger.sum(1, 'view', '1h', NOON_MS - 65 * MINUTE_MS), 1);
    assert.equal(ledger.sum(1, 'view', '24h', NOON_MS), 3);
    ledger.add(1, 'view', 1000, NOON_MS - 169 * HOUR_MS);
    ledger.add(1, 'view', 1000, NOON_MS - 170 * HOUR_MS);
    assert.equal(ledger.sum(1, 'view', '7d', NOON_MS - 3 * HOUR_MS), 1);
    assert.equal(ledger.sum(1, 'view', 'all', NOON_MS), 5);
  });

  it('drops everything behind an event far ahead, and never brings it back', () => {
    const ledger = viewLedger();
    for (let minute = 0; minute < 20; minute++) ledger.add(1, 'view', 1000, NOON_MS + minute * MINUTE_MS);
    const laterMs = NOON_MS + 400 * HOUR_MS;
    ledger.add(1, 'view', 1000, laterMs);
    assert.equal(ledger.sum(1, 'view', '7d', NOON_MS + HOUR_MS), 0);
    assert.equal(ledger.sum(1, 'view', '7d', laterMs), 1);
    assert.equal(ledger.sum(1, 'view', 'all', laterMs), 21);
    // 20 events, all in the hour of NOON_MS, are more than 24 half-lives behind.
    assert.equal(ledger.decayed(1, 'view', laterMs), 1);
  });

  it('describes values in one canonical form', () => {
    const ledger = viewLedger();
    ledger.add(9, 'view', 1000, NOON_MS);
    ledger.add(9, 'like', 2000, NOON_MS);
    ledger.add(3, 'view', 1000, NOON_MS - HOUR_MS);
    ledger.add(3, 'view', 1000, NOON_MS);
    const minute = NOON_MS / MINUTE_MS;
    const hour = NOON_MS / HOUR_MS;
    // NOON_MS is hour 1,000,000 = 125,000 decay buckets of eight hours: at the start of one. The event an hour before is seven
    // half-lives into the previous one. For `like` a bucket is 192 hours, and 1,000,000 = 5208 · 192 + 64.
    assert.deepEqual(describeLedger(ledger), [
      [3, 'view', 2, 2000, NOON_MS - HOUR_MS, NOON_MS, 1_024_000, 131_072_000, 0, 0]
        .concat([2, minute - 60, 1000, minute, 1000])
        .concat([2, hour - 1, 1000, hour, 1000]),
      [9, 'like', 1, 2000, NOON_MS, NOON_MS, Math.round(2_048_000 * 2 ** (64 / 24)), 0, 0, 0]
        .concat([1, minute, 2000])
        .concat([1, hour, 2000]),
      [9, 'view', 1, 1000, NOON_MS, NOON_MS, 1_024_000, 0, 0, 0].concat([1, minute, 1000]).concat([1, hour, 1000]),
    ]);
  });

  it('carries sums into a second limb instead of rounding', () => {
    const ledger = viewLedger();
    // The last millisecond of a decay bucket: 10,000 thousand-fold at the greatest factor, 2^7.9999.
    const timeMs = NOON_MS - 1;
    const events = 5_000;
    for (let index = 0; index < events; index++) ledger.add(1, 'view', 10_000_000, timeMs);
    const each = BigInt(Math.round(10_000_000 * 1024 * 2 ** (8 - 1 / HOUR_MS)));
    const cell = each * BigInt(events);
    assert.ok(cell > 2n ** 53n);
    const [view] = describeLedger(ledger);
    assert.ok(view !== undefined);
    assert.equal(view[3], 50_000_000_000);
    assert.equal(view[6], cell);
    // A minute's word holds less than 2^32: these, too, are exact once the pair is spread over minutes.
    for (let minute = 1; minute <= 10; minute++) ledger.add(1, 'view', 1, timeMs + minute * MINUTE_MS);
    assert.equal(ledger.sum(1, 'view', '1h', timeMs + 10 * MINUTE_MS), 50_000_000.01);
    for (let index = 0; index < 1_000; index++) ledger.add(1, 'view', 10_000_000, timeMs + 10 * MINUTE_MS);
    assert.equal(ledger.sum(1, 'view', '1h', timeMs + 10 * MINUTE_MS), 60_000_000.01);
    assert.equal(ledger.sum(1, 'view', '1h', timeMs + 60 * MINUTE_MS), 10_000_000.01);
    // The wide buckets leave the ring, carries and all.
    ledger.add(1, 'view', 1, timeMs + 120 * MINUTE_MS);
    assert.equal(ledger.sum(1, 'view', '1h', timeMs + 120 * MINUTE_MS), 0.001);
    assert.equal(ledger.sum(1, 'view', '24h', timeMs + 120 * MINUTE_MS), 60_000_000.011);
    ledger.add(1, 'view', 1, timeMs + 300 * HOUR_MS);
    assert.equal(ledger.sum(1, 'view', '7d', timeMs + 300 * HOUR_MS), 0.001);
    // What the closed ring left behind is not found by the next pair that takes its place.
    for (let minute = 0; minute < 10; minute++) ledger.add(2, 'view', 1, timeMs + minute * MINUTE_MS);
    assert.equal(ledger.sum(2, 'view', '24h', timeMs + HOUR_MS), 0.01);
  });

  it('keeps many pairs apart', () => {
    const ledger = viewLedger();
    const entities = Array.from({ length: 5_000 }, (_, index) =>
      index % 2 === 0 ? index : Number.MAX_SAFE_INTEGER - index * 4_294_967_296,
    );
    for (const [index, entity] of entities.entries()) {
      ledger.add(entity, 'view', index, NOON_MS);
      // Any earlier one, also while the table grows.
      const earlier = (index * 7_919) % (index + 1);
      assert.equal(ledger.sum(entities[earlier]!, 'view', 'all', NOON_MS), earlier / 1000);
    }
    assert.equal(ledger.pairs, 5_000);
    for (const [index, entity] of entities.entries()) {
      assert.equal(ledger.sum(entity, 'view', 'all', NOON_MS), index / 1000);
    }
    const described = describeLedger(ledger).map(([entity]) => entity);
    assert.deepEqual(
      described,
      [...entities].sort((a, b) => a - b),
    );
  });

  it('adds signals by column as it adds them one by one', () => {
    const [one, bulk] = [viewLedger(), viewLedger()];
    const columns = signalColumns(300, ['like', 'view']);
    for (let index = 0; index < columns.count; index++) {
      columns.entities[index] = index % 7 === 0 ? Number.MAX_SAFE_INTEGER - index : index % 20;
      columns.kinds[index] = index % 2;
      columns.weights[index] = index;
      columns.timesMs[index] = NOON_MS + (index % 11) * 13_000;
      one.add(columns.entities[index]!, index % 2 === 0 ? 'like' : 'view', index, columns.timesMs[index]!);
    }
    bulk.addColumns(columns);
    assert.deepEqual(describeLedger(bulk), describeLedger(one));
    for (let shard = 0; shard < SHARDS; shard++) assert.equal(bulk.changed(shard), one.changed(shard));
    columns.weights[0] = 0.5;
    assert.throws(() => bulk.addColumns(columns), BrokenInvariant);
    assert.throws(() => bulk.addColumns(signalColumns(1, ['unheard'])), BrokenInvariant);
  });

  it('stops the process rather than take what intake refuses', () => {
    const ledger = viewLedger();
    assert.throws(() => ledger.add(1, 'unheard', 1, NOON_MS), BrokenInvariant);
    assert.throws(() => ledger.add(1, 'view', 10_000_001, NOON_MS), BrokenInvariant);
    assert.throws(() => ledger.add(1, 'view', 0.5, NOON_MS), BrokenInvariant);
    assert.throws(() => ledger.add(1, 'view', -1, NOON_MS), BrokenInvariant);
    assert.throws(() => ledger.add(1, 'view', 1, -1), BrokenInvariant);
    assert.throws(() => ledger.add(-1, 'view', 1, NOON_MS), BrokenInvariant);
    assert.equal(ledger.pairs, 0);
  });
});

describe('upperBounds', () => {
  it('hold a little longer than the windows: totals are wider than they are by what is relied on', () => {
    const minutes = windowSpans['1h'].count;
    const [day, week] = [windowSpans['24h'].count, windowSpans['7d'].count];
    assert.ok(MINUTES_KEPT - minutes >= MINUTE_SLACK);
    assert.ok(DAY_HOURS_KEPT - day >= HOUR_SLACK);
    assert.ok(HOURS_KEPT - week >= HOUR_SLACK);
  });

  it('an event is retracted before any upper bound has capacity for its entity', () => {
    const entities = new Entities();
    const many = 200_000;
    for (let entity = 0; entity < many; entity++) entities.ordinal(entity);
    const ledger = createLedger({ schema: schemaOf(['view', 'positive', 3600]), entities });
    const last = many - 1;
    ledger.add(last, 'view', 2_000, 1_000);
    ledger.add(last, 'view', 5_000, 2_000);
    ledger.retract(last, 'view', 5_000, 2_000);
    assert.equal(ledger.sum(last, 'view', 'all', 2_000), 2);
    const { upperBounds } = ledger;
    upperBounds.catchUp();
    const block = last >> FAN_OUT_BITS;
    assert.equal(upperBounds.sum(upperBounds.page(0, block), block, 0, upperBounds.columnOf('all', 2_000)), 2);
    assert.equal(upperBounds.lowest(upperBounds.page(0, block), block, 0), 2);
  });
});
