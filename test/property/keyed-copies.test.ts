/**
 * Duplicates of keyed writes in several origins, and retractions: in any order and interleaving of the origins, each request counts
 * once, or not if it was taken back, and the bits are the same.
 */
import assert from 'node:assert/strict';
import fc from 'fast-check';
import {
  type Copy,
  copyOf,
  countSignal,
  type KeyedSignal,
  recall,
  recallForRetraction,
} from '../../services/region/state/keys/keys.ts';
import { createLedger } from '../../services/region/state/ledger/signal-ledger.ts';
import { HLC_PER_MS } from '../../shared/protocol/events.ts';
import { schemaOf } from '../harness/region/rank/signals-schema.ts';
import { ReferenceLedger } from '../harness/region/state/reference-ledger.ts';
import { forEachValue } from '../harness/region/state/stored-values.ts';
import { type PlacedSignal as Placed, winners } from '../harness/region/winning-copies.ts';

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;
const START_MS = 1_700_000_000_000;
const halfLifeSeconds = 3_600;
const schema = schemaOf(['view', 'positive', halfLifeSeconds]);

/** Origins in epochs that need not grow with their names; what each accepted, at times that may lie weeks apart. */
const log = fc
  .array(
    fc.record({
      epoch: fc.integer({ min: 1, max: 3 }),
      accepted: fc.array(
        fc.record({
          id: fc.constantFrom('a', 'b', 'c'),
          body: fc.constantFrom(1, 1, 1, 2),
          gapMs: fc.oneof(
            fc.integer({ min: 0, max: 2 * 60_000 }),
            fc.integer({ min: 0, max: 3 * DAY_MS }),
            fc.constantFrom(7 * DAY_MS, 7 * DAY_MS - 1, 14 * DAY_MS),
          ),
          /** The client named a time this long ago, or none. */
          agoMs: fc.oneof(fc.constant(0), fc.integer({ min: 0, max: 8 * DAY_MS })),
          isRetraction: fc.constantFrom(false, false, true),
          /** Of a retraction: how far what it takes back was ahead of its clock. */
          aheadMs: fc.constantFrom(0, 0, 1, 30_000, DAY_MS),
        }),
        { maxLength: 6 },
      ),
    }),
    { minLength: 1, maxLength: 4 },
  )
  .map((origins) =>
    origins.map(({ epoch, accepted }, index) => {
      const origin = `us-east@${'abcd'[index]!.repeat(10)}`;
      let acceptedMs = START_MS;
      return accepted.map(({ id, body, gapMs, agoMs, isRetraction, aheadMs }, at): Placed => {
        acceptedMs += gapMs;
        const hlc = acceptedMs * HLC_PER_MS;
        const key = { id, bodyHash: `body ${body}` };
        const values = { hlc, entity: 1, signal: 'view', weight: body * 1_000, key };
        const event: KeyedSignal = isRetraction
          ? { kind: 'retraction', ...values, upToMs: acceptedMs + aheadMs }
          : { kind: 'signal', ...values, timeMs: acceptedMs - agoMs };
        return { event, place: { origin, epoch, sequence: at + 1 } };
      });
    }),
  );

function copiesIn(placed: readonly Placed[], id: string): Copy[] {
  return placed.filter(({ event }) => event.key.id === id).map(({ event, place }) => copyOf(event, event.key, place));
}

function described(fill: (ledger: ReturnType<typeof createLedger>) => void): unknown {
  const ledger = createLedger({ schema });
  fill(ledger);
  const parts: unknown[] = [];
  forEachValue(ledger, (entity, values) => parts.push([entity, ...values]));
  return parts;
}

function applied(order: readonly Placed[]): unknown {
  return described((ledger) => {
    for (const [index, { event, place }] of order.entries()) {
      countSignal(ledger, event, place, copiesIn(order.slice(0, index), event.key.id));
    }
  });
}

/** The origins dealt into one order, each in its own. */
const dealt = log.chain((origins) =>
  fc.tuple(
    fc.constant(origins),
    fc.array(fc.nat(), { minLength: 24, maxLength: 24 }).map((choices) => {
      const left = origins.map((one) => [...one]);
      const order: Placed[] = [];
      for (const choice of choices) {
        const open = left.filter((one) => one.length > 0);
        const next = open[choice % Math.max(1, open.length)]?.shift();
        if (next !== undefined) order.push(next);
      }
      return order;
    }),
  ),
);

type PlacedGiven = Placed & { readonly event: KeyedSignal & { readonly kind: 'signal' } };

function isSignal(one: Placed): one is PlacedGiven {
  return one.event.kind === 'signal';
}

describe('duplicates of keyed writes, and retractions', () => {
  it('end in the same bits in any interleaving: those of a reference that counts each request once, or not if it was taken back', () => {
    let retracted = 0;
    let early = 0;
    fc.assert(
      fc.property(dealt, ([origins, order]) => {
        const all = origins.flat();
        assert.equal(order.length, all.length);
        const won = winners(all);
        const reference = new ReferenceLedger();
        const signals = all.filter(isSignal);
        for (const one of signals) {
          if (won.has(one)) reference.add(one.event);
          else reference.note(one.event);
        }
        const expected = signals.length === 0 ? [] : [[1, 'view', ...reference.describe(1, 'view', halfLifeSeconds)]];
        assert.deepEqual(applied(all), expected, 'one origin after another');
        assert.deepEqual(applied([...origins].reverse().flat()), expected, 'the other way round');
        assert.deepEqual(applied(order), expected, 'interleaved');
        const passing = order.filter((_, index) => winners(order.slice(0, index + 1)).has(order[index]!));
        retracted += passing.filter((one) => !won.has(one)).length;
        const plain = winners<Placed>(order.filter(isSignal));
        early += order.filter(
          (one, index) => plain.has(one) && !won.has(one) && !winners(order.slice(0, index + 1)).has(one),
        ).length;
      }),
      { numRuns: 1_500 },
    );
    assert.ok(early > 100, `${early} signals were applied after their retraction`);
    assert.ok(retracted > 500, `${retracted} copies counted for a while and were retracted: enough to mean something`);
  });

  it('what intake finds is the duplicate that counts, and what it accepts as new counts', () => {
    fc.assert(
      fc.property(log, fc.integer({ min: 0, max: 30 * DAY_MS }), (origins, laterMs) => {
        const all = origins.flat();
        const newestMs = Math.max(START_MS, ...all.map(({ event }) => Math.floor(event.hlc / HLC_PER_MS)));
        const newestMsUpTo = Math.max(
          newestMs,
          ...all.map(({ event }) => (event.kind === 'signal' ? 0 : event.upToMs)),
        );
        const nowMs = newestMsUpTo + 1 + laterMs;
        const known = all.map(({ event, place }) => copyOf(event, event.key, place));
        const won = winners(all.filter(isSignal));
        for (const { event } of all.filter(isSignal)) {
          const copies = copiesIn(all, event.key.id);
          const met = recall(copies, event.key, nowMs);
          const place = { origin: 'us-east@zzzzzzzzzz', epoch: 9, sequence: 1 };
          const again: Placed = { event: { ...event, hlc: nowMs * HLC_PER_MS }, place };
          const counts = winners([...all, again]).has(again);
          if (met === undefined || met === 'conflict') {
            assert.equal(counts, true, 'a write that is not known would count');
          } else {
            assert.equal(counts, false, 'a write that is known would not');
            assert.ok([...won].some((one) => one.place.origin === met.origin && one.place.sequence === met.sequence));
          }
        }
        assert.equal(recall(known, { bodyHash: 'body 3' }, newestMs + 7 * DAY_MS), undefined);
        const newest = known.filter(({ isRetraction }) => isRetraction !== true);
        const lastMs = Math.max(0, ...newest.map(({ acceptedMs }) => acceptedMs));
        if (newest.length > 0) assert.equal(recall(known, { bodyHash: 'body 3' }, lastMs), 'conflict');
      }),
      { numRuns: 500 },
    );
  });

  it('a retraction that intake accepts takes back the request that it knows, and only that body; another one is known', () => {
    let [accepted, known] = [0, 0];
    fc.assert(
      fc.property(log, fc.integer({ min: -DAY_MS, max: 8 * DAY_MS }), (origins, laterMs) => {
        const all = origins.flat();
        const nowMs = Math.max(START_MS, ...all.map(({ event }) => Math.floor(event.hlc / HLC_PER_MS))) + laterMs;
        for (const { event } of all) {
          const { key } = event;
          const copies = copiesIn(all, key.id);
          const request = recall(copies, key, nowMs);
          const met = recallForRetraction(copies, key, nowMs);
          if (met === undefined || typeof met === 'string') {
            const isOver = met === undefined && recall(copies, key, nowMs + 60_000) !== request;
            assert.ok(met === request || isOver, 'known to intake, but for its last minute');
            continue;
          }
          const isOfRequest = (one: Placed): boolean =>
            one.place.origin === (request as Copy).origin && one.place.sequence === (request as Copy).sequence;
          if ('origin' in met) {
            known++;
            assert.ok(met.isRetraction && !Array.from(winners(all)).some(isOfRequest), 'it is taken back already');
            continue;
          }
          accepted++;
          const { hlc: _, timeMs: __, ...values } = { timeMs: 0, ...event };
          const one: Placed = {
            event: {
              ...{ ...values, kind: 'retraction', hlc: nowMs * HLC_PER_MS },
              upToMs: Math.max(met.upToMs, nowMs),
            },
            place: { origin: 'us-east@zzzzzzzzzz', epoch: 9, sequence: 1 },
          };
          const [before, after] = [winners(all), winners([...all, one])];
          assert.ok(Array.from(before).some(isOfRequest) && !Array.from(after).some(isOfRequest));
          const isOther = ({ event: { key: other } }: Placed): boolean =>
            other.id !== key.id || other.bodyHash !== key.bodyHash;
          assert.deepEqual(Array.from(after).filter(isOther), Array.from(before).filter(isOther));
          const again = copyOf(one.event, key, one.place);
          assert.deepEqual(recallForRetraction([...copies, again], key, nowMs), again, 'exactly once');
          assert.deepEqual(
            recall([...copies, again], key, nowMs),
            request,
            'a repetition of the signal is answered as before',
          );
        }
      }),
      { numRuns: 2_000 },
    );
    assert.ok(accepted > 100 && known > 100, `${accepted} accepted, ${known} known`);
  });
});
