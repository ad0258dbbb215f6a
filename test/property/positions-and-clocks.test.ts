/** Positions are vectors; hybrid clock values grow whatever the wall clock does; the codec gives back any batch. */
import assert from 'node:assert/strict';
import fc from 'fast-check';
import { decodeBatch, NO_PREDECESSOR } from '../../services/region/batch/batch.ts';
import { BatchBuilder } from '../../services/region/intake/batch-builder.ts';
import { AHEAD_IGNORED_MS, HybridClock } from '../../services/region/intake/hybrid-clock.ts';
import type { Event, EventBody } from '../../shared/protocol/events.ts';
import { HLC_PER_MS, hlcMs, RETRACTED_AHEAD_LIMIT_MS } from '../../shared/protocol/events.ts';
import { covers, formatPosition, merge, missing, parsePosition, totalOf } from '../../shared/protocol/position.ts';
import { fromWire, toWire } from '../../shared/protocol/writes.ts';
import { ManualClock } from '../harness/kernel/manual-clock.ts';

const origin = fc.constantFrom('a@aaaaaaaaaa', 'b@bbbbbbbbbb', 'c-1@cccccccccc', 'c-1@dddddddddd');
const position = fc
  .array(fc.tuple(origin, fc.integer({ min: 0, max: 2 ** 40 })))
  .map((entries) => new Map<string, number>(entries));

const signal = fc.record({
  kind: fc.constant('signal' as const),
  entity: fc.maxSafeNat(),
  signal: fc.constantFrom('view', 'skip', 'ü'.repeat(20)),
  weight: fc.integer({ min: 0, max: 10_000_000 }),
  timeMs: fc.option(fc.integer({ min: 0, max: 2 ** 41 }), { nil: undefined }),
});
const metadata = fc.dictionary(
  fc.string({ minLength: 1, maxLength: 8 }).filter((name) => name !== '__proto__'),
  fc.oneof(
    fc.string(),
    fc.boolean(),
    fc.double({ noNaN: true, noDefaultInfinity: true }).map((n) => n + 0),
    fc.array(fc.string(), { maxLength: 3 }),
  ),
  { maxKeys: 4, noNullPrototype: true },
);
const key = { id: 'AAAAAAAAAAAAAAAAAAAAAA', bodyHash: 'AAAAAAAAAAA' };
const body: fc.Arbitrary<EventBody> = fc.oneof(
  signal,
  signal.map((values) => ({ ...values, kind: 'retraction' as const, key })),
  fc.record({ kind: fc.constant('item' as const), entity: fc.maxSafeNat(), metadata }),
  fc.record({ kind: fc.constant('delete' as const), entity: fc.maxSafeNat() }),
  fc.record({
    kind: fc.constant('embedding' as const),
    entity: fc.maxSafeNat(),
    values: fc
      .float32Array({ noNaN: true, noDefaultInfinity: true, minLength: 1, maxLength: 8 })
      .map((values) => values.map((v) => v + 0)),
  }),
);

describe('positions (schedule 29)', () => {
  it('their text gives them back, zeros apart', () => {
    fc.assert(
      fc.property(position, (p) => {
        const parsed = parsePosition(formatPosition(p));
        assert.ok(parsed !== undefined);
        assert.ok(covers(parsed, p) && covers(p, parsed));
        assert.equal(formatPosition(parsed), formatPosition(p));
      }),
    );
  });

  it('merging is a least upper bound: commutative, associative, idempotent', () => {
    fc.assert(
      fc.property(position, position, position, (a, b, c) => {
        assert.equal(formatPosition(merge(a, b)), formatPosition(merge(b, a)));
        assert.equal(formatPosition(merge(merge(a, b), c)), formatPosition(merge(a, merge(b, c))));
        assert.equal(formatPosition(merge(a, a)), formatPosition(a));
        assert.ok(covers(merge(a, b), a) && covers(merge(a, b), b));
      }),
    );
  });

  it('applied + lag = the leader’s total, unless a region is ahead (schedule 25)', () => {
    fc.assert(
      fc.property(position, position, (leader, region) => {
        assert.equal(totalOf(region) + missing(leader, region), totalOf(leader) + missing(region, leader));
        assert.equal(missing(leader, leader), 0);
        assert.equal(missing(leader, region) === 0, covers(region, leader));
      }),
    );
  });

  it('what is not a position is not one', () => {
    for (const text of [
      'x',
      ':1',
      'a@aaaaaaaaaa',
      'a@aaaaaaaaaa:',
      'a@aaaaaaaaaa:-1',
      'a@aaaaaaaaaa:1,',
      'A@aaaaaaaaaa:1',
    ])
      assert.equal(parsePosition(text), undefined, text);
    assert.equal(parsePosition(`a@aaaaaaaaaa:${2 ** 53}`), undefined);
    assert.equal(parsePosition('')?.size, 0);
  });
});

describe('hybrid clock', () => {
  it('never repeats a value and never goes back, whatever the wall clock does', () => {
    const step = fc.oneof(fc.integer({ min: -100_000, max: 100_000 }), fc.constant(0));
    fc.assert(
      fc.property(fc.array(step, { maxLength: 200 }), fc.nat(), (steps, seen) => {
        const clock = new ManualClock();
        const hlc = new HybridClock(clock);
        let above = 0;
        let before = 0;
        for (const ms of steps) {
          clock.stepWall(ms);
          if (ms === 7) above = seen;
          const stamp = hlc.read(above);
          hlc.take(stamp, 1);
          const { hlc: value, aheadMs, atMs } = stamp;
          assert.ok(value > before && Number.isSafeInteger(value));
          assert.ok(value >= clock.nowMs() * HLC_PER_MS, 'never behind the clock');
          assert.equal(hlcMs(value) - aheadMs, atMs);
          assert.ok(atMs >= clock.nowMs() && atMs - clock.nowMs() <= AHEAD_IGNORED_MS, 'the time is the wall clock’s');
          before = value;
        }
      }),
    );
  });
});

const ahead = fc.oneof(fc.constant(0), fc.integer({ min: 1, max: 1_700_000_000_000 }));

describe('codec', () => {
  it('gives back any batch, bit by bit', () => {
    fc.assert(
      fc.property(fc.array(body, { minLength: 1, maxLength: 30 }), fc.nat(5_000), ahead, (bodies, gap, aheadMs) => {
        const builder = new BatchBuilder(aheadMs);
        const extra = aheadMs === 0 ? {} : { aheadMs };
        let hlc = 1_750_000_000_000 * HLC_PER_MS;
        const events: Event[] = bodies.map((one) => {
          hlc += 1 + gap;
          const acceptedMs = hlcMs(hlc) - aheadMs;
          if (one.kind === 'retraction') {
            const { timeMs, ...values } = one;
            return { ...values, ...extra, hlc, upToMs: acceptedMs + Math.min(timeMs ?? 0, RETRACTED_AHEAD_LIMIT_MS) };
          }
          return one.kind === 'signal'
            ? { ...one, ...extra, hlc, timeMs: Math.min(one.timeMs ?? acceptedMs, acceptedMs) }
            : { ...one, ...extra, hlc };
        });
        for (const event of events) assert.ok(builder.add(event));
        const header = { origin: 'us-east@aaaaaaaaaa', epoch: 3, first: 2 ** 40, schemaHash: 'f'.repeat(16) };
        const batch = builder.build({ ...header, chain: NO_PREDECESSOR });
        const decoded = decodeBatch(batch.bytes);
        assert.deepEqual(decoded.events, asJsonCarries(events));
        assert.equal(decoded.aheadMs, aheadMs);
      }),
    );
  });

  it('a write travels to the leader unchanged', () => {
    fc.assert(
      fc.property(body, (one) => {
        const { id, bodyHash } = one.key ?? {};
        const wire = one.key === undefined ? toWire(one) : { ...toWire(one), key: [id, bodyHash] };
        const travelled = JSON.parse(JSON.stringify(wire));
        assert.deepEqual(fromWire(travelled), asJsonCarries([one])[0]);
      }),
    );
  });

  it('an embedding as earlier routers sent it is refused, not taken for other values', () => {
    const earlier = JSON.parse('{"k":"v","e":7,"f":[0.5,1]}');
    assert.throws(() => fromWire(earlier), /values in base64/);
  });
});

/** Events as JSON carries them: −0 is 0 in metadata. Intake gets its metadata from JSON as well. */
function asJsonCarries<T extends Event | EventBody>(events: readonly T[]): T[] {
  return events.map((event) =>
    event.kind === 'item' ? { ...event, metadata: JSON.parse(JSON.stringify(event.metadata)) } : { ...event },
  );
}
