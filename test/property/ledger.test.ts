import assert from 'node:assert/strict';
import fc from 'fast-check';
import { byWindow, windowSeconds, windows } from '../../services/region/schema/schema.ts';
import { digestOf } from '../../services/region/state/digest/value-hash.ts';
import { type Ledger, SHARDS } from '../../services/region/state/ledger/ledger.ts';
import { createLedger } from '../../services/region/state/ledger/signal-ledger.ts';
import { schemaOf } from '../harness/region/rank/signals-schema.ts';
import type { LedgerEvent } from '../harness/region/state/reference-ledger.ts';
import { ReferenceLedger } from '../harness/region/state/reference-ledger.ts';
import { forEachValue } from '../harness/region/state/stored-values.ts';

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
const START_MS = 1_700_000_000_000;
/** A short half-life exercises several decay buckets, a long one a shared bucket. */
const halfLives: Readonly<Record<string, number>> = { view: 3_600, like: 86_400, share: 77.7 };
const schema = schemaOf(['view', 'positive', 3_600], ['like', 'positive', 86_400], ['share', 'positive', 77.7]);

/** Times that meet in one minute, straddle the rings' ends, or lie 40 half-lives apart. */
const times = fc.oneof(
  { weight: 4, arbitrary: fc.integer({ min: 0, max: 90 * MINUTE_MS }) },
  { weight: 2, arbitrary: fc.integer({ min: 0, max: 180 }).map((hours) => hours * HOUR_MS) },
  { weight: 2, arbitrary: fc.integer({ min: 0, max: 40 * 24 * HOUR_MS }) },
  { weight: 1, arbitrary: fc.integer({ min: 0, max: 2_000 * 24 * HOUR_MS }) },
);
const weights = fc.oneof(
  fc.constant(1_000),
  fc.integer({ min: 0, max: 5_000 }),
  fc.integer({ min: 9_990_000, max: 10_000_000 }),
);
const events = fc.array(
  fc.record<LedgerEvent>({
    entity: fc.constantFrom(1, 2, Number.MAX_SAFE_INTEGER),
    signal: fc.constantFrom('view', 'view', 'like', 'share'),
    weight: weights,
    timeMs: times.map((offset) => START_MS + offset),
  }),
  { minLength: 1, maxLength: 80 },
);

function ledgerOf(list: readonly LedgerEvent[]): Ledger {
  const ledger = createLedger({ schema });
  for (const { entity, signal, weight, timeMs } of list) ledger.add(entity, signal, weight, timeMs);
  return ledger;
}

function described(ledger: Ledger): { parts: string; digest: string } {
  const lines: string[] = [];
  forEachValue(ledger, (entity, parts) => {
    lines.push(JSON.stringify([entity, ...parts.map((part) => `${typeof part} ${part}`)]));
  });
  return { parts: lines.join('\n'), digest: digestOf(ledger) };
}

function pairsOf(list: readonly LedgerEvent[]): Map<string, LedgerEvent> {
  return new Map(list.map((event) => [`${event.entity} ${event.signal}`, event]));
}

describe('a ledger without its future', () => {
  const upToMs = START_MS + 200 * HOUR_MS + 17 * MINUTE_MS;

  it('keeps every sum of all time and every count, has nothing later than the given time, and is done once', () => {
    fc.assert(
      fc.property(events, (list) => {
        const ledger = ledgerOf(list);
        const before = [...pairsOf(list).values()].map(({ entity, signal }) => ledger.read(entity, signal, upToMs)!);
        const future = new Set(
          list.filter(({ timeMs }) => timeMs > upToMs).map((one) => `${one.entity} ${one.signal}`),
        );
        assert.equal(ledger.withoutFuture(upToMs), future.size);
        for (const [index, { entity, signal }] of [...pairsOf(list).values()].entries()) {
          const after = ledger.read(entity, signal, upToMs)!;
          assert.deepEqual([after.sums.all, after.count], [before[index]!.sums.all, before[index]!.count]);
          assert.ok(after.lastMs <= upToMs);
          for (const window of ['1h', '24h', '7d'] as const) assert.ok(after.sums[window]! <= after.sums.all!);
          if (!future.has(`${entity} ${signal}`)) assert.deepEqual(after, before[index]);
        }
        const once = described(ledger).digest;
        assert.equal(ledger.withoutFuture(upToMs), 0);
        assert.equal(described(ledger).digest, once);
      }),
    );
  });

  it('is the same however its events interleaved, is restored from its shards, and counts later events', () => {
    fc.assert(
      fc.property(
        events.chain((list) => fc.tuple(fc.constant(list), fc.shuffledSubarray(list, { minLength: list.length }))),
        ([list, shuffled]) => {
          const [one, other] = [ledgerOf(list), ledgerOf(shuffled)];
          for (const ledger of [one, other]) ledger.withoutFuture(upToMs);
          assert.equal(described(one).parts, described(other).parts);
          const loaded = createLedger({ schema });
          const pass = one.pass();
          while (!pass.prepare(1_000));
          for (let shard = 0; shard < SHARDS; shard++) loaded.load(shard, pass.encode(shard));
          const { entity, signal } = list[0]!;
          for (const ledger of [one, other, loaded]) ledger.add(entity, signal, 1_000, upToMs + 1_000);
          assert.equal(described(loaded).parts, described(one).parts);
          assert.equal(described(other).parts, described(one).parts);
          assert.ok(one.read(entity, signal, upToMs + 2_000)!.sums['1h']! >= 1);
        },
      ),
    );
  });

  it('keeps in its minute what the rings still have from before the given time', () => {
    const ledger = createLedger({ schema });
    const at = (hours: number, weight = 1_000): void => ledger.add(1, 'view', weight, START_MS + hours * HOUR_MS);
    for (const hours of [100, 190, 199]) at(hours);
    at(202);
    at(201, 5_000);
    ledger.withoutFuture(upToMs);
    const { sums, count } = ledger.read(1, 'view', upToMs)!;
    assert.deepEqual([sums['24h'], sums['7d'], sums.all, count], [2, 3, 9, 5]);
  });
});

describe('ledger properties', () => {
  it('holds the same bits whatever the order and interleaving of the events', () => {
    const shuffled = events.chain((list) =>
      fc.tuple(fc.constant(list), fc.shuffledSubarray(list, { minLength: list.length, maxLength: list.length })),
    );
    fc.assert(
      fc.property(shuffled, ([list, other]) => {
        assert.deepEqual(described(ledgerOf(other)), described(ledgerOf(list)));
      }),
      { numRuns: 400 },
    );
  });

  it('describes exactly what a reference that keeps every event computes', () => {
    fc.assert(
      fc.property(events, (list) => {
        const reference = new ReferenceLedger();
        for (const event of list) reference.add(event);
        let pairs = 0;
        forEachValue(ledgerOf(list), (entity, [signal, ...parts]) => {
          pairs += 1;
          assert.ok(typeof signal === 'string');
          assert.deepEqual(parts, reference.describe(entity, signal, halfLives[signal]!));
        });
        assert.equal(pairs, pairsOf(list).size);
      }),
      { numRuns: 400 },
    );
  });

  it('holds the same bits as if what was retracted or noted had never been added, but for its time', () => {
    const fates = events.chain((list) =>
      fc.tuple(
        fc.constant(list),
        fc.array(fc.constantFrom('added' as const, 'retracted' as const, 'noted' as const), {
          minLength: list.length,
          maxLength: list.length,
        }),
        // A place among all steps for each adding and each retracting; an adding goes before its retracting.
        fc.array(fc.tuple(fc.nat(1_000), fc.nat(1_000)), { minLength: list.length, maxLength: list.length }),
      ),
    );
    fc.assert(
      fc.property(fates, ([list, fate, places]) => {
        const ledger = createLedger({ schema });
        const reference = new ReferenceLedger();
        const steps: { readonly at: number; readonly run: () => void }[] = [];
        for (const [index, event] of list.entries()) {
          const { entity, signal, weight, timeMs } = event;
          const [one, other] = places[index]!;
          const [first, second] = [Math.min(one, other), Math.max(one, other)];
          if (fate[index] === 'noted') {
            steps.push({ at: first, run: () => ledger.note(entity, signal, timeMs) });
          } else {
            steps.push({ at: first, run: () => ledger.add(entity, signal, weight, timeMs) });
          }
          if (fate[index] === 'retracted') {
            steps.push({ at: second, run: () => ledger.retract(entity, signal, weight, timeMs) });
          }
          if (fate[index] === 'added') reference.add(event);
          else reference.note(event);
        }
        // The sort is stable: an adding stays before its retracting.
        for (const { run } of steps.sort((a, b) => a.at - b.at)) run();
        forEachValue(ledger, (entity, [signal, ...parts]) => {
          assert.ok(typeof signal === 'string');
          assert.deepEqual(parts, reference.describe(entity, signal, halfLives[signal]!));
        });
      }),
      { numRuns: 1_000 },
    );
  });

  it('is the same ledger whether quiet rings are packed in between or not, also written and read back', () => {
    const breaks = fc.array(fc.tuple(fc.nat(79), fc.integer({ min: -2 * HOUR_MS, max: 3 * HOUR_MS })), {
      maxLength: 8,
    });
    fc.assert(
      fc.property(events, breaks, (list, packs) => {
        const kept = createLedger({ schema });
        const packed = createLedger({ schema });
        for (const [index, { entity, signal, weight, timeMs }] of list.entries()) {
          kept.add(entity, signal, weight, timeMs);
          packed.add(entity, signal, weight, timeMs);
          for (const [at, beforeMs] of packs) {
            if (at !== index) continue;
            for (let calls = 0; calls < schema.signals.size; calls++) packed.pack(100, timeMs + beforeMs);
          }
        }
        assert.deepEqual(described(packed), described(kept));
        const back = createLedger({ schema });
        const [pass, same] = [packed.pass(), kept.pass()];
        while (!pass.prepare(1_000));
        while (!same.prepare(1_000));
        for (let shard = 0; shard < SHARDS; shard++) {
          const bytes = pass.encode(shard);
          assert.deepEqual(bytes, same.encode(shard));
          back.load(shard, bytes);
        }
        assert.deepEqual(described(back), described(kept));
        for (const { entity, signal, timeMs } of list) {
          for (const atMs of [timeMs, timeMs + HOUR_MS]) {
            assert.deepEqual(packed.read(entity, signal, atMs), kept.read(entity, signal, atMs));
            assert.deepEqual(back.read(entity, signal, atMs), kept.read(entity, signal, atMs));
          }
        }
      }),
      { numRuns: 300 },
    );
  });

  it('distinguishes different event sets', () => {
    fc.assert(
      fc.property(events, fc.nat(), (list, choice) => {
        const index = choice % list.length;
        const fewer = list.filter((_, at) => at !== index);
        assert.notEqual(described(ledgerOf(fewer)).digest, described(ledgerOf(list)).digest);
      }),
      { numRuns: 100 },
    );
  });

  it('sums windows exactly as a reference that keeps every event', () => {
    fc.assert(
      fc.property(events, fc.array(times, { minLength: 1, maxLength: 8 }), (list, offsets) => {
        const ledger = ledgerOf(list);
        const reference = new ReferenceLedger();
        for (const event of list) reference.add(event);
        for (const { entity, signal } of pairsOf(list).values()) {
          const { firstMs, lastMs } = reference.times(entity, signal);
          for (const atMs of [...offsets.map((offset) => START_MS + offset), lastMs, lastMs + HOUR_MS]) {
            const reading = ledger.read(entity, signal, atMs);
            assert.ok(reading !== undefined);
            assert.equal(reading.count, reference.count(entity, signal));
            assert.deepEqual([reading.firstMs, reading.lastMs], [firstMs, lastMs]);
            for (const window of windows) {
              const expected = Number(reference.thousandths(entity, signal, window, atMs)) / 1000;
              assert.equal(reading.sums[window], expected, `${window} at ${atMs}`);
              assert.equal(ledger.sum(entity, signal, window, atMs), expected);
              const past = Number(reference.pastThousandths(entity, signal, window, atMs)) / 1000;
              const known = reference.knows(entity, signal, window, atMs);
              const pastReading = ledger.past.read(entity, signal, atMs);
              assert.equal(pastReading?.sums[window], known ? past : undefined, `past ${window} at ${atMs}`);
              assert.equal(ledger.past.sum(entity, signal, window, atMs), past, `past ${window} at ${atMs}`);
            }
          }
        }
      }),
      { numRuns: 300 },
    );
  });

  it('counts no event after the requested time, or reports within which minute or hour it is not exact', () => {
    const spanMs = byWindow((window) => (window === 'all' ? Number.POSITIVE_INFINITY : windowSeconds[window] * 1_000));
    fc.assert(
      fc.property(events, fc.array(times, { minLength: 1, maxLength: 8 }), (list, offsets) => {
        const ledger = ledgerOf(list);
        for (const { entity, signal } of pairsOf(list).values()) {
          const own = list.filter((event) => event.entity === entity && event.signal === signal);
          for (const offset of offsets) {
            const askedMs = START_MS + offset;
            const read = (atMs: number) =>
              ledger.past.watch(() => ({
                atMs,
                sums: windows.map((window) => [window, ledger.past.sum(entity, signal, window, atMs)] as const),
                decayed: ledger.past.decayed(entity, signal, atMs),
              }));
            const first = read(askedMs);
            const { withinMs } = first.doubt;
            const { value, doubt } = withinMs === 0 ? first : read(Math.floor(askedMs / withinMs) * withinMs - 1);
            assert.ok([0, MINUTE_MS, HOUR_MS].includes(withinMs));
            assert.equal(withinMs === 0 ? 0 : doubt.withinMs, 0, 'the end of a minute or hour leaves no doubt');
            const { atMs } = value;
            const earlier = own.filter(({ timeMs }) => timeMs <= atMs);
            const weight = earlier.reduce((sum, event) => sum + event.weight, 0);
            for (const [window, sum] of value.sums) {
              if (doubt.knownSince.has(window)) continue;
              assert.ok(Math.round(sum * 1000) <= weight, `${window} at ${atMs}: ${sum}`);
              const bucketMs = spanMs[window] <= HOUR_MS ? MINUTE_MS : HOUR_MS;
              const from = Math.floor(atMs / bucketMs) * bucketMs + bucketMs - spanMs[window];
              const inside = earlier.filter(({ timeMs }) => timeMs >= from);
              const expected = inside.reduce((total, event) => total + event.weight, 0);
              assert.equal(Math.round(sum * 1000), expected, `${window} at ${atMs}`);
            }
            if (doubt.knownSince.has('all')) continue;
            // Each event is rounded once, by 4.9e-7 at most (`decay.ts`).
            const most = (weight / 1000) * (1 + 1e-6) + 5e-7 * earlier.length;
            assert.ok(value.decayed <= most, `decayed ${value.decayed} of ${weight / 1000}`);
          }
        }
      }),
      {
        numRuns: 500,
        // A time in the hour before the oldest one kept: later events of that hour have left the rings.
        examples: [
          [
            [
              { entity: 1, signal: 'view', weight: 1, timeMs: 1_700_002_800_001 },
              { entity: 1, signal: 'view', weight: 9_990_000, timeMs: START_MS },
              { entity: 1, signal: 'view', weight: 0, timeMs: 1_700_614_800_000 },
            ],
            [2_800_000, 2_799_999],
          ],
        ],
      },
    );
  });

  it('a decayed score of the last hour is the closed form over the earlier events, within half a minute of decay', () => {
    const recent = events.map((list) =>
      list.map((event) => ({ ...event, signal: 'like', timeMs: START_MS + (event.timeMs % (60 * MINUTE_MS)) })),
    );
    fc.assert(
      fc.property(recent, fc.integer({ min: 1, max: 60 }), (list, minutesAgo) => {
        const ledger = ledgerOf(list);
        for (const { entity } of pairsOf(list).values()) {
          const own = list.filter((event) => event.entity === entity);
          const newestMs = Math.max(...own.map(({ timeMs }) => timeMs));
          const atMs = Math.floor((newestMs - minutesAgo * MINUTE_MS) / MINUTE_MS) * MINUTE_MS - 1;
          const closed = own
            .filter(({ timeMs }) => timeMs <= atMs)
            .reduce((sum, { weight, timeMs }) => sum + (weight / 1000) * 2 ** ((timeMs - atMs) / 86_400_000), 0);
          const everything = own.reduce((sum, { weight }) => sum + weight / 1000, 0);
          const actual = ledger.past.decayed(entity, 'like', atMs);
          const allowed = everything * (2 ** (MINUTE_MS / 86_400_000) - 1) + 1e-6 * everything;
          assert.ok(Math.abs(actual - closed) <= allowed, `${actual}, closed form ${closed}`);
        }
      }),
      { numRuns: 300 },
    );
  });

  it('decays within 1e-6 of the closed form at weights from 1, and drops less than 2^-24 of a weight', () => {
    const heavy = events.map((list) => list.map((event) => ({ ...event, weight: Math.max(1_000, event.weight) })));
    fc.assert(
      fc.property(heavy, fc.integer({ min: 0, max: 30 * 24 * HOUR_MS }), (list, delayMs) => {
        const ledger = ledgerOf(list);
        const reference = new ReferenceLedger();
        for (const event of list) reference.add(event);
        for (const { entity, signal } of pairsOf(list).values()) {
          const halfLifeSeconds = halfLives[signal]!;
          const { lastMs } = reference.times(entity, signal);
          const atMs = lastMs + (delayMs % (100 * halfLifeSeconds * 1000));
          const { kept, dropped } = reference.decayed(entity, signal, halfLifeSeconds, atMs);
          const actual = ledger.decayed(entity, signal, atMs);
          assert.ok(Math.abs(actual - kept) <= 1e-6 * kept, `${actual}, closed form ${kept}`);
          assert.equal(ledger.read(entity, signal, atMs)?.decayed, actual);
          const heaviest = Math.max(...list.map((event) => event.weight)) / 1000;
          const atNewest = 2 ** (-(atMs - lastMs) / (halfLifeSeconds * 1000));
          assert.ok(dropped <= list.length * heaviest * 2 ** -24 * atNewest * (1 + 1e-9));
        }
      }),
      { numRuns: 300 },
    );
  });
});
