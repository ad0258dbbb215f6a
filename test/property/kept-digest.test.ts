/** The kept digest is, at every position, what a recount there says - also while it is still being counted in slices. */
import assert from 'node:assert/strict';
import fc from 'fast-check';
import { createApplier } from '../../services/region/apply/applier.ts';
import { NOTHING_YET } from '../../services/region/apply/apply.ts';
import { createRegisters } from '../../services/region/state/catalog/registers.ts';
import { createKeptDigest } from '../../services/region/state/digest/kept-digest.ts';
import { digestOf } from '../../services/region/state/digest/value-hash.ts';
import { type Copy, copyOf } from '../../services/region/state/keys/keys.ts';
import { createLedger } from '../../services/region/state/ledger/signal-ledger.ts';
import { type Event, HLC_PER_MS } from '../../shared/protocol/events.ts';
import { formatPosition } from '../../shared/protocol/position.ts';
import { ManualClock } from '../harness/kernel/manual-clock.ts';
import { unreadMetrics } from '../harness/observe/counted-metrics.ts';
import { chainOf, startMs } from '../harness/region/batches.ts';
import { schemaOf } from '../harness/region/rank/signals-schema.ts';

const schema = schemaOf(['view', 'positive', 3_600], ['like', 'positive', 86_400]);

type Magnitude = readonly [kind: Event['kind'], entity: number, minutes: number];
const magnitude: fc.Arbitrary<Magnitude> = fc.tuple(
  fc.constantFrom<Event['kind'][]>('signal', 'signal', 'signal', 'item', 'delete', 'embedding'),
  fc.integer({ min: 0, max: 150 }),
  fc.integer({ min: 0, max: 20_000 }),
);

function eventOf([kind, entity, minutes]: Magnitude, n: number): Event {
  const hlc = startMs * HLC_PER_MS + n;
  if (kind === 'signal') {
    const timeMs = startMs - minutes * 60_000;
    return { kind, hlc, entity, signal: n % 3 === 0 ? 'like' : 'view', weight: n, timeMs };
  }
  if (kind === 'item') return { kind, hlc, entity, metadata: { n } };
  if (kind === 'delete') return { kind, hlc, entity };
  return { kind, hlc, entity, values: Float32Array.of(n, entity) };
}

interface RigOptions {
  readonly copies?: (id: string) => readonly Copy[];
  readonly sliceEntries?: number;
}

function rig(clock: ManualClock, { copies = () => [], ...slices }: RigOptions = {}) {
  const catalog = createRegisters();
  const ledger = createLedger({ schema });
  const recounts = new Map<string, string>();
  const recount = (): void => {
    recounts.set(formatPosition(apply.applied), digestOf(catalog, ledger));
  };
  const apply = createApplier({
    metrics: unreadMetrics,
    clock,
    catalog,
    ledger,
    filterIndex: { put() {}, remove() {} },
    text: { put() {}, remove() {} },
    vectors: { changed() {}, touched() {} },
    copies,
    applied: new Map(),
    newest: NOTHING_YET,
  });
  const keptDigest = createKeptDigest({ ...slices, clock, catalog, ledger, position: () => apply.applied });
  apply.onApplying((batch) => keptDigest.applying(batch));
  apply.onApplied((batch) => {
    keptDigest.applied(batch);
    recount();
  });
  return { ledger, apply, keptDigest, recounts };
}

describe('kept digest', () => {
  it('equals the recount at every position, whenever the watch begins and however counting is sliced', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.array(magnitude, { minLength: 1, maxLength: 60 }), { minLength: 2, maxLength: 8 }),
        fc.nat({ max: 7 }),
        fc.integer({ min: 1, max: 60 }),
        async (groups, watchFrom, sliceEntries) => {
          const clock = new ManualClock();
          const { ledger, apply, keptDigest, recounts } = rig(clock, { sliceEntries });
          let n = 0;
          const batches = chainOf(
            { origin: 'us-east@aaaaaaaaaa' },
            groups.map((group) => group.map((each) => eventOf(each, ++n))),
          );
          const begin = watchFrom % batches.length;
          for (const [index, batch] of batches.entries()) {
            apply.apply([batch]);
            if (index === begin) keptDigest.watch(10_000);
            // Another form of what is stored is no other state.
            ledger.pack(50, startMs);
            // A slice or two between two batches.
            await clock.advance(2);
          }
          await clock.advance(2_000);
          const { counting, kept } = keptDigest.watch(10_000);
          assert.equal(counting, false);
          assert.equal(kept[0]?.position, formatPosition(apply.applied));
          for (const { position, digest } of kept) assert.equal(digest, recounts.get(position), position);
          keptDigest.stop();
          assert.equal(clock.pending, 0);
        },
      ),
      { numRuns: 150 },
    );
  });

  it('follows the retraction by a keyed duplicate, at every position, in either order of two origins', async () => {
    const clock = new ManualClock();
    const keyed = (from: number): Event[][] =>
      [0, 1, 2, 3].map((group) =>
        [0, 1].map((index): Event => {
          const number = group * 2 + index;
          const key = { id: Buffer.alloc(16, number).toString('base64url'), bodyHash: 'AAAAAAAAAAA' };
          const hlc = startMs * HLC_PER_MS + from + number;
          const timeMs = startMs - from * 60_000;
          return { kind: 'signal', hlc, entity: number % 3, signal: 'view', weight: 1_000 + number, timeMs, key };
        }),
      );
    const a = chainOf({ origin: 'us-east@aaaaaaaaaa' }, keyed(1));
    const b = chainOf({ origin: 'eu-west@bbbbbbbbbb', epoch: 2 }, keyed(101));
    // The log may know more than the state contains.
    const copies = (id: string): Copy[] =>
      [...a, ...b].flatMap((batch) =>
        batch.events.flatMap((event, index) =>
          event.key?.id === id ? [copyOf(event, event.key, { ...batch, sequence: batch.first + index })] : [],
        ),
      );
    const ends: (string | undefined)[] = [];
    for (const order of [
      [...a, ...b],
      [...b, ...a],
      [b[0]!, a[0]!, a[1]!, b[1]!, b[2]!, a[2]!, a[3]!, b[3]!],
    ]) {
      const { apply, keptDigest, recounts } = rig(clock, { copies });
      keptDigest.watch(1);
      await clock.advance(1_000);
      apply.apply(order);
      const { kept } = keptDigest.watch(100);
      assert.equal(kept.length, 1 + order.length);
      for (const { position, digest } of kept) {
        if (position !== '') assert.equal(digest, recounts.get(position), position);
      }
      ends.push(kept[0]?.digest);
      keptDigest.stop();
    }
    assert.equal(new Set(ends).size, 1);
  });

  it('of two regions that interleave origins differently agrees wherever they passed one position', () => {
    const clock = new ManualClock();
    const [one, other] = [rig(clock), rig(clock)];
    one.keptDigest.watch(1);
    other.keptDigest.watch(1);
    const events = (from: number): Event[][] =>
      [0, 1, 2].map((group) => [0, 1].map((index) => eventOf(['signal', 1, group], from + group * 2 + index)));
    const a = chainOf({ origin: 'us-east@aaaaaaaaaa' }, events(1));
    const b = chainOf({ origin: 'eu-west@bbbbbbbbbb' }, events(101));
    one.apply.apply([...a, ...b]);
    other.apply.apply([a[0]!, b[0]!, a[1]!, a[2]!, b[1]!, b[2]!]);
    const noted = new Map(one.keptDigest.watch(100).kept.map(({ position, digest }) => [position, digest]));
    const common = other.keptDigest.watch(100).kept.filter(({ position }) => noted.has(position));
    assert.deepEqual(
      common.map(({ position }) => position),
      [6, 4, 2].map((last) => `eu-west@bbbbbbbbbb:${last},us-east@aaaaaaaaaa:6`).concat('us-east@aaaaaaaaaa:2', ''),
    );
    for (const { position, digest } of common) assert.equal(noted.get(position), digest, position);
  });
});
