/** A pair's sum that outgrows its limb, 2^52 thousandths: more than events can add in a test, so it is loaded from a shard. */
import assert from 'node:assert/strict';
import type { Ledger } from '../../../../../services/region/state/ledger/ledger.ts';
import { ShardWriter } from '../../../../../services/region/state/ledger/shards/shards.ts';
import { createLedger } from '../../../../../services/region/state/ledger/signal-ledger.ts';
import { schemaOf } from '../../../../harness/region/rank/signals-schema.ts';
import { forEachValue } from '../../../../harness/region/state/stored-values.ts';

const MINUTE_MS = 60_000;
const NOON_MS = 1_000_000 * 60 * MINUTE_MS;
const MINUTE = NOON_MS / MINUTE_MS;
const HOUR = MINUTE / 60;
const LIMB = 2 ** 52;
/** Thousandths below the limb's end. */
const BELOW = 3_000;
const ENTITY = 5;
const HAS_SPARSE = 4;
const schema = schemaOf(['view', 'positive', 3_600]);

/** A pair with `LIMB − BELOW`: all at noon, or from so long ago that its rings are empty. */
function almostWide(when: 'at noon' | 'long ago'): Ledger {
  const ledger = createLedger({ schema });
  const shard = ledger.shardOf(ENTITY);
  const writer = new ShardWriter(shard, 256);
  writer.varint(1);
  writer.name('view');
  writer.reserve(128);
  writer.varint(1);
  writer.varint(ENTITY);
  writer.byte(when === 'at noon' ? 0 : HAS_SPARSE);
  for (const value of [1, LIMB - BELOW, NOON_MS, 0, 0]) writer.varint(value);
  if (when === 'long ago') writer.varint(0);
  ledger.load(shard, writer.take());
  return ledger;
}

function described(ledger: Ledger): { sum: unknown; rings: unknown[] } {
  let found: { sum: unknown; rings: unknown[] } | undefined;
  forEachValue(ledger, (_, [, , sum, , , , , , , ...rings]) => {
    found = { sum, rings };
  });
  return found!;
}

describe('a sum beyond its limb', () => {
  it('carries while events of the newest minute are pending, and back when they are retracted', () => {
    const ledger = almostWide('long ago');
    for (let event = 1; event <= 5; event++) {
      ledger.add(ENTITY, 'view', 1_000, NOON_MS + event);
      assert.equal(ledger.sum(ENTITY, 'view', '1h', NOON_MS), event);
    }
    assert.equal(ledger.sum(ENTITY, 'view', 'all', NOON_MS), (LIMB + 2_000) / 1_000);
    ledger.add(ENTITY, 'view', 7, NOON_MS + MINUTE_MS);
    const added = { sum: LIMB + 2_007, rings: [2, MINUTE, 5_000, MINUTE + 1, 7, 1, HOUR, 5_007] };
    assert.deepEqual(described(ledger), added);
    for (let event = 1; event <= 3; event++) ledger.retract(ENTITY, 'view', 1_000, NOON_MS + event);
    assert.equal(ledger.sum(ENTITY, 'view', 'all', NOON_MS), (LIMB - 993) / 1_000);
    assert.equal(ledger.sum(ENTITY, 'view', '24h', NOON_MS + MINUTE_MS), 2.007);
    ledger.add(ENTITY, 'view', 2_000, NOON_MS + MINUTE_MS);
    const again = { sum: LIMB + 1_007, rings: [2, MINUTE, 2_000, MINUTE + 1, 2_007, 1, HOUR, 4_007] };
    assert.deepEqual(described(ledger), again);
  });

  it('is exact in its windows if all of it is in one minute', () => {
    const ledger = almostWide('at noon');
    for (let event = 0; event < 5; event++) ledger.add(ENTITY, 'view', 1_000, NOON_MS);
    const noon = LIMB - BELOW + 5_000;
    assert.equal(ledger.sum(ENTITY, 'view', '1h', NOON_MS), noon / 1_000);
    ledger.add(ENTITY, 'view', 1, NOON_MS + MINUTE_MS);
    ledger.add(ENTITY, 'view', 1, NOON_MS + MINUTE_MS);
    assert.equal(ledger.sum(ENTITY, 'view', '1h', NOON_MS + MINUTE_MS), (noon + 2) / 1_000);
    assert.equal(ledger.sum(ENTITY, 'view', '1h', NOON_MS + 60 * MINUTE_MS), 0.002);
    assert.deepEqual(described(ledger), {
      sum: noon + 2,
      rings: [2, MINUTE, noon, MINUTE + 1, 2, 1, HOUR, noon + 2],
    });
  });
});
