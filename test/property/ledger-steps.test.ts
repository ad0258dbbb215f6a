/**
 * A ledger puts the events of a pair's newest minute into its buckets late. None of that shows: whatever is done to it in
 * the middle of a minute, it answers at every step as a reference that keeps every event.
 */
import assert from 'node:assert/strict';
import fc from 'fast-check';
import { windows } from '../../services/region/schema/schema.ts';
import type { Ledger } from '../../services/region/state/ledger/ledger.ts';
import { createLedger } from '../../services/region/state/ledger/signal-ledger.ts';
import { schemaOf } from '../harness/region/rank/signals-schema.ts';
import { type LedgerEvent, ReferenceLedger } from '../harness/region/state/reference-ledger.ts';
import { forEachValue } from '../harness/region/state/stored-values.ts';

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
const START_MS = 1_700_000_040_000;
const HALF_LIFE_SECONDS = 3_600;
/** Of different shards. */
const entities = [1, 2];
const schema = schemaOf(['view', 'positive', HALF_LIFE_SECONDS]);

type Step =
  | { readonly do: 'add' | 'note'; readonly entity: number; readonly weight: number; readonly timeMs: number }
  /** Takes back one of the events that were added. */
  | { readonly do: 'retract'; readonly choice: number }
  | { readonly do: 'pack' }
  /** The ledger is written, read back, and replaced by the result. */
  | { readonly do: 'restart' }
  | { readonly do: 'describe' };

/** Mostly a minute or two in which events meet, now and then hours or weeks on. */
const times = fc.oneof(
  { weight: 4, arbitrary: fc.integer({ min: 0, max: 3 * MINUTE_MS }) },
  { weight: 6, arbitrary: fc.integer({ min: 0, max: 70 }).map((minutes) => minutes * MINUTE_MS) },
  { weight: 1, arbitrary: fc.integer({ min: 0, max: 400 }).map((hours) => hours * HOUR_MS) },
);
const atTime = times.map((offset) => START_MS + offset);
const event = {
  entity: fc.constantFrom(1, 1, 1, 2),
  weight: fc.oneof(fc.constant(1_000), fc.constant(0), fc.integer({ min: 0, max: 10_000_000 })),
  timeMs: atTime,
};
const steps = fc.array(
  fc.oneof<fc.WeightedArbitrary<Step>[]>(
    { weight: 10, arbitrary: fc.record({ do: fc.constant('add' as const), ...event }) },
    { weight: 1, arbitrary: fc.record({ do: fc.constant('note' as const), ...event }) },
    { weight: 2, arbitrary: fc.record({ do: fc.constant('retract' as const), choice: fc.nat() }) },
    { weight: 1, arbitrary: fc.constant({ do: 'pack' as const }) },
    { weight: 1, arbitrary: fc.constant({ do: 'restart' as const }) },
    { weight: 1, arbitrary: fc.constant({ do: 'describe' as const }) },
  ),
  { minLength: 1, maxLength: 80, size: 'max' },
);

function restarted(ledger: Ledger): Ledger {
  const back = createLedger({ schema });
  const pass = ledger.pass();
  while (!pass.prepare(1_000));
  for (const shard of new Set(entities.map(ledger.shardOf))) back.load(shard, pass.encode(shard));
  return back;
}

/** The events as they are after a retraction: noted is what was taken back. */
function referenceOf(standing: readonly LedgerEvent[], noted: readonly LedgerEvent[]): ReferenceLedger {
  const reference = new ReferenceLedger();
  for (const one of standing) reference.add(one);
  for (const one of noted) reference.note(one);
  return reference;
}

describe('a ledger at every step', function () {
  this.timeout(120_000);

  it('reads and describes as a reference that keeps every event, also in the middle of a minute', () => {
    fc.assert(
      fc.property(steps, fc.array(atTime, { minLength: 1, maxLength: 4 }), (list, moments) => {
        let ledger = createLedger({ schema });
        const standing: LedgerEvent[] = [];
        const noted: LedgerEvent[] = [];
        for (const step of list) {
          if (step.do === 'add' || step.do === 'note') {
            const { entity, weight, timeMs } = step;
            if (step.do === 'add') ledger.add(entity, 'view', weight, timeMs);
            else ledger.note(entity, 'view', timeMs);
            (step.do === 'add' ? standing : noted).push({ entity, signal: 'view', weight, timeMs });
          } else if (step.do === 'retract') {
            const [taken] = standing.splice(step.choice % Math.max(1, standing.length), 1);
            if (taken === undefined) continue;
            ledger.retract(taken.entity, taken.signal, taken.weight, taken.timeMs);
            noted.push(taken);
          } else if (step.do === 'pack') {
            ledger.pack(100, Number.POSITIVE_INFINITY);
          } else if (step.do === 'restart') {
            ledger = restarted(ledger);
          }
          const reference = referenceOf(standing, noted);
          for (const entity of new Set([...standing, ...noted].map((one) => one.entity))) {
            const { lastMs } = reference.times(entity, 'view');
            for (const atMs of [...moments, lastMs, lastMs + 50 * MINUTE_MS]) {
              for (const window of windows) {
                const expected = Number(reference.thousandths(entity, 'view', window, atMs)) / 1000;
                assert.equal(ledger.sum(entity, 'view', window, atMs), expected, `${window} at ${atMs}`);
              }
            }
          }
          if (step.do !== 'describe') continue;
          forEachValue(ledger, (entity, [signal, ...parts]) => {
            assert.equal(signal, 'view');
            assert.deepEqual(parts, reference.describe(entity, 'view', HALF_LIFE_SECONDS));
          });
        }
        forEachValue(ledger, (entity, [, ...parts]) => {
          assert.deepEqual(parts, referenceOf(standing, noted).describe(entity, 'view', HALF_LIFE_SECONDS));
        });
      }),
      { numRuns: 300 },
    );
  });
});
