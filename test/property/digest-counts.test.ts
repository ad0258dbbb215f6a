/** A count is of the state at the position at which it began, whatever is applied while it is counted in slices. */
import assert from 'node:assert/strict';
import fc from 'fast-check';
import { createApplier } from '../../services/region/apply/applier.ts';
import { NOTHING_YET } from '../../services/region/apply/apply.ts';
import { createRegisters } from '../../services/region/state/catalog/registers.ts';
import { createDigestCounts } from '../../services/region/state/digest/digest-counts.ts';
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

const origin = 'us-east@aaaaaaaaaa';

type Kind = Exclude<Event['kind'], 'retraction'>;
type Magnitude = readonly [kind: Kind, entity: number, minutes: number];
const magnitude: fc.Arbitrary<Magnitude> = fc.tuple(
  fc.constantFrom<Kind[]>('signal', 'signal', 'signal', 'item', 'delete', 'embedding'),
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
    indexQueue: { wake() {}, room: async () => {} },
    vectors: { changed() {}, touched() {} },
    copies,
    applied: new Map(),
    newest: NOTHING_YET,
  });
  const counts = createDigestCounts({ ...slices, clock, catalog, ledger, position: () => apply.applied });
  apply.onApplying((batch) => counts.applying(batch));
  apply.onApplied(() => {
    counts.applied();
    recount();
  });
  recount();
  return { ledger, apply, counts, recounts };
}

describe('counts of the state under writes', () => {
  it('equal the digest of the state where they began, whenever that is and however they are sliced', async () => {
    let sliced = 0;
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.array(magnitude, { minLength: 1, maxLength: 60 }), { minLength: 2, maxLength: 8 }),
        fc.array(fc.nat({ max: 300 }), { minLength: 1, maxLength: 4 }),
        fc.integer({ min: 1, max: 60 }),
        async (groups, wanted, sliceEntries) => {
          const clock = new ManualClock();
          const { ledger, apply, counts, recounts } = rig(clock, { sliceEntries });
          let n = 0;
          const batches = chainOf(
            { origin },
            groups.map((group) => group.map((each) => eventOf(each, ++n))),
          );
          const requests = wanted.map((sequence, index) => ({
            id: `${index}`,
            covering: new Map([[origin, sequence % (n + 1)]]),
          }));
          const ask = () => requests.map((request) => counts.request(request));
          ask();
          for (const batch of batches) {
            // Another form of what is stored is no other state.
            ledger.pack(50, startMs);
            apply.apply([batch]);
            if (ask().some((counted) => counted !== undefined && counted.digest === undefined)) sliced++;
            // A slice or two between two batches.
            await clock.advance(2);
          }
          await clock.advance(2_000);
          for (const [index, counted] of ask().entries()) {
            const { id, covering } = requests[index]!;
            const from = [0, ...batches.map(({ last }) => last)].find((last) => last >= covering.get(origin)!)!;
            assert.equal(counted?.position, from === 0 ? '' : `${origin}:${from}`, id);
            assert.equal(counted?.digest, recounts.get(counted!.position), id);
          }
          counts.stop();
          assert.equal(clock.pending, 0);
        },
      ),
      { numRuns: 150 },
    );
    assert.ok(sliced > 100, `batches were applied beside ${sliced} counts`);
  });

  it('have what a keyed duplicate retracts as it was before, in either order of two origins', async () => {
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
      const { apply, counts, recounts } = rig(clock, { copies, sliceEntries: 1 });
      const begun: (() => ReturnType<typeof counts.request>)[] = [];
      for (const [index, batch] of order.entries()) {
        apply.apply([batch]);
        const request = { id: `${index}`, covering: new Map(apply.applied) };
        counts.request(request);
        begun.push(() => counts.request(request));
      }
      await clock.advance(1_000);
      for (const request of begun) {
        const { position, digest } = request()!;
        assert.equal(digest, recounts.get(position), position);
      }
      ends.push(begun.at(-1)!()?.digest);
      counts.stop();
    }
    assert.notEqual(ends[0], undefined);
    assert.equal(new Set(ends).size, 1);
  });
});
