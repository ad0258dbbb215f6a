/** A ledger written shard by shard while it changes, and read back, is the same ledger: now, and after further events. */
import assert from 'node:assert/strict';
import { crc32 } from 'node:zlib';
import fc from 'fast-check';
import { digestOf } from '../../services/region/state/digest/value-hash.ts';
import { type Ledger, SHARDS } from '../../services/region/state/ledger/ledger.ts';
import { checkShard } from '../../services/region/state/ledger/shards/shards.ts';
import { createLedger } from '../../services/region/state/ledger/signal-ledger.ts';
import { schemaOf } from '../harness/region/rank/signals-schema.ts';
import { forEachValue } from '../harness/region/state/stored-values.ts';

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
const START_MS = 1_700_000_000_000;
const CELL_END_MS = Math.floor(START_MS / (8 * HOUR_MS)) * 8 * HOUR_MS - 1;
const schema = schemaOf(['view', 'positive', 3_600], ['like', 'positive', 86_400], ['share', 'positive', 77.7]);

/** Past 2^32 in a bucket, and past 2^52 in a decay bucket at its end. */
const MANY = 2_000;

/** `many` of the heaviest events at once bring sums beyond every limb. */
type Step =
  | { readonly do: 'add'; readonly entity: number; readonly signal: string; readonly weight: number; timeMs: number }
  | { readonly do: 'many'; readonly entity: number; readonly signal: string; readonly weight: number; timeMs: number }
  | { readonly do: 'note'; readonly entity: number; readonly signal: string; readonly weight: number; timeMs: number }
  /** Takes back one that was added before, if there is one. */
  | {
      readonly do: 'retract';
      readonly entity: number;
      readonly signal: string;
      readonly weight: number;
      timeMs: number;
    };

const times = fc.oneof(
  { weight: 4, arbitrary: fc.integer({ min: 0, max: 90 * MINUTE_MS }) },
  { weight: 2, arbitrary: fc.integer({ min: 0, max: 180 }).map((hours) => hours * HOUR_MS) },
  { weight: 2, arbitrary: fc.integer({ min: 0, max: 40 * 24 * HOUR_MS }) },
  { weight: 1, arbitrary: fc.integer({ min: 0, max: 2_000 * 24 * HOUR_MS }) },
  { weight: 1, arbitrary: fc.constantFrom(CELL_END_MS - START_MS, CELL_END_MS + 24 * HOUR_MS - START_MS) },
);
const step = fc.record({
  do: fc.constantFrom<Step['do']>('add', 'add', 'add', 'note', 'retract', 'many'),
  entity: fc.constantFrom(0, 1, 2, 3, 77, Number.MAX_SAFE_INTEGER),
  signal: fc.constantFrom('view', 'view', 'like', 'share'),
  weight: fc.oneof(fc.constant(1_000), fc.integer({ min: 0, max: 5_000 }), fc.constant(10_000_000)),
  timeMs: times.map((offset) => START_MS + offset),
});
const steps = fc.array(step, { minLength: 1, maxLength: 60 });

/** Events that were added and not retracted yet. */
class Player {
  private readonly standing: Step[] = [];

  play(ledgers: readonly Ledger[], list: readonly Step[]): void {
    for (const one of list) {
      const { entity, signal, weight, timeMs } = one;
      if (one.do === 'note') for (const ledger of ledgers) ledger.note(entity, signal, timeMs);
      if (one.do === 'retract') {
        const taken = this.standing.splice(timeMs % Math.max(1, this.standing.length), 1)[0];
        if (taken === undefined) continue;
        for (const ledger of ledgers) ledger.retract(taken.entity, taken.signal, taken.weight, taken.timeMs);
      }
      if (one.do === 'add' || one.do === 'many') {
        const times = one.do === 'add' ? 1 : MANY;
        for (let n = 0; n < times; n++) {
          for (const ledger of ledgers) ledger.add(entity, signal, weight, timeMs);
        }
        this.standing.push(one, ...(one.do === 'add' ? [] : [one, one]));
      }
    }
  }
}

function described(ledger: Ledger): string[] {
  const lines: string[] = [];
  forEachValue(ledger, (entity, parts) => {
    lines.push(JSON.stringify([entity, ...parts.map((part) => `${typeof part} ${part}`)]));
  });
  return [...lines, digestOf(ledger)];
}

function encodeAll(ledger: Ledger, limitPairs = 3): Map<number, Uint8Array> {
  const pass = ledger.pass();
  while (!pass.prepare(limitPairs));
  const shards = new Map(Array.from({ length: SHARDS }, (_, shard) => [shard, pass.encode(shard)]));
  // Written shards pass the check of received shards.
  for (const [shard, bytes] of shards)
    checkShard(shard, bytes, { hasSignal: (name) => schema.signals.has(name), events: 1e9 });
  return shards;
}

function loaded(shards: ReadonlyMap<number, Uint8Array>): Ledger {
  const ledger = createLedger({ schema });
  for (const [shard, bytes] of shards) ledger.load(shard, bytes);
  return ledger;
}

const hex = (shards: ReadonlyMap<number, Uint8Array>): string[] =>
  [...shards].map(([shard, bytes]) => `${shard} ${Buffer.from(bytes).toString('hex')}`);

describe('ledger shards', function () {
  this.timeout(120_000);

  it('what was written and read back half-way continues as if it never had been', () => {
    fc.assert(
      fc.property(steps, steps, (before, after) => {
        const kept = createLedger({ schema });
        const player = new Player();
        player.play([kept], before);
        const shards = encodeAll(kept);
        const restored = loaded(shards);
        assert.deepEqual(described(restored), described(kept));
        assert.deepEqual(hex(encodeAll(restored)), hex(shards), 'the order of opening does not matter');
        player.play([kept, restored], after);
        assert.deepEqual(described(restored), described(kept));
        assert.deepEqual(hex(encodeAll(restored)), hex(encodeAll(kept)));
        for (const atMs of [START_MS, START_MS + 3 * HOUR_MS, START_MS + 200 * HOUR_MS]) {
          for (const signal of schema.signals.keys()) {
            for (const entity of [0, 1, 77]) {
              assert.deepEqual(restored.read(entity, signal, atMs), kept.read(entity, signal, atMs));
            }
          }
        }
      }),
      { numRuns: 300 },
    );
  });

  it('a shard written in the middle of a run has everything up to then, and counts as changed by later events', () => {
    const entity = fc.integer({ min: 0, max: 400 });
    const event = fc.record({ entity, weight: fc.nat(5_000), timeMs: times.map((offset) => START_MS + offset) });
    fc.assert(
      fc.property(fc.array(fc.array(event, { maxLength: 30 }), { minLength: 2, maxLength: 12 }), (rounds) => {
        const ledger = createLedger({ schema });
        const add = (events: (typeof rounds)[number]): void => {
          for (const { entity: one, weight, timeMs } of events) ledger.add(one, 'view', weight, timeMs);
        };
        add(rounds[0]!);
        const pass = ledger.pass();
        while (!pass.prepare(7)) add(rounds[1]!);
        const shards = new Map<number, Uint8Array>();
        for (let shard = 0; shard < SHARDS; shard++) {
          if (shard % 24 === 0) add(rounds[(shard / 24) % rounds.length]!);
          shards.set(shard, pass.encode(shard));
          assert.equal(ledger.changed(shard), false);
        }
        add(rounds[0]!);
        const changed = new Set(rounds[0]!.map(({ entity: one }) => ledger.shardOf(one)));
        for (const one of changed) assert.equal(ledger.changed(one), true);
        const second = ledger.pass();
        while (!second.prepare(1_000));
        for (let shard = 0; shard < SHARDS; shard++) if (ledger.changed(shard)) shards.set(shard, second.encode(shard));
        assert.deepEqual(described(loaded(shards)), described(ledger));
      }),
      { numRuns: 100 },
    );
  });

  it('no changed bit of a shard is taken for one, and nothing of it is loaded', () => {
    const ledger = createLedger({ schema });
    new Player().play(
      [ledger],
      [
        { do: 'many', entity: 5, signal: 'view', weight: 10_000_000, timeMs: CELL_END_MS },
        { do: 'add', entity: 5, signal: 'like', weight: 1_000, timeMs: START_MS },
        { do: 'add', entity: 5, signal: 'like', weight: 1_000, timeMs: START_MS - HOUR_MS },
      ],
    );
    const shard = ledger.shardOf(5);
    const bytes = encodeAll(ledger).get(shard)!;
    const target = createLedger({ schema });
    const refused = { name: 'Fault', code: 'damaged_checkpoint' };
    for (let at = 0; at < bytes.length; at++) {
      const harmed = Buffer.from(bytes);
      harmed[at]! ^= 1 << (at % 8);
      assert.throws(() => target.load(shard, harmed), refused, `byte ${at}`);
      assert.throws(() => target.load(shard, bytes.subarray(0, at)), refused, `${at} bytes`);
    }
    assert.throws(() => target.load((shard + 1) % SHARDS, bytes), refused, 'another shard');
    const narrower = createLedger({ schema: schemaOf(['view', 'positive', 3_600]) });
    assert.throws(() => narrower.load(shard, bytes), { ...refused, message: /"like"/ });
    assert.deepEqual([target.pairs, narrower.pairs], [0, 0]);
    target.load(shard, bytes);
    assert.deepEqual(described(target), described(ledger));
  });

  it('a shard of rings of another length is refused; one that does not say keeps 170 hours', () => {
    const ledger = createLedger({ schema });
    ledger.add(5, 'view', 1_000, START_MS);
    const shard = ledger.shardOf(5);
    const bytes = Buffer.from(encodeAll(ledger).get(shard)!);
    const keeps = (hours: number): Buffer => {
      const other = Buffer.from(bytes);
      other.writeUInt16LE(hours, 2);
      other.writeUInt32LE(crc32(other.subarray(8), crc32(other.subarray(0, 4))), 4);
      return other;
    };
    const target = createLedger({ schema });
    const message = /keep 100 hours, not \d+/;
    assert.throws(() => target.load(shard, keeps(100)), { code: 'damaged_checkpoint', message });
    assert.equal(target.pairs, 0);
    const own = bytes.readUInt16LE(2);
    if (own !== 170) assert.throws(() => target.load(shard, keeps(0)), { code: 'damaged_checkpoint' });
    else target.load(shard, keeps(0));
    assert.equal(target.pairs, own === 170 ? 1 : 0);
  });

  it('an entity’s shard is the same for ever, and entities spread over all of them', () => {
    const ledger = createLedger({ schema });
    assert.deepEqual([0, 1, 2, 1_000, 2 ** 32, Number.MAX_SAFE_INTEGER].map(ledger.shardOf), [0, 81, 48, 102, 17, 44]);
    const sizes = new Uint32Array(SHARDS);
    for (let entity = 0; entity < 256_000; entity++) sizes[ledger.shardOf(entity)]! += 1;
    assert.ok(Math.min(...sizes) > 800 && Math.max(...sizes) < 1_200, `${Math.min(...sizes)} … ${Math.max(...sizes)}`);
  });
});
