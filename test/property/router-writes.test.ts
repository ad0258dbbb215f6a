import assert from 'node:assert/strict';
import fc from 'fast-check';
import type { Submission } from '../../services/router/forward/forward.ts';
import type { Refusal } from '../../shared/errors/errors.ts';
import type { Durability } from '../../shared/protocol/internal.ts';
import { settle } from '../harness/kernel/manual-clock.ts';
import { memoryCluster, names } from '../harness/router/memory-cluster.ts';
import type { LinkState } from '../harness/router/memory-region.ts';

type Step =
  | { readonly kind: 'write'; readonly count: number; readonly atomic: boolean; readonly durability: Durability }
  | { readonly kind: 'link'; readonly region: number; readonly state: LinkState }
  | { readonly kind: 'lead'; readonly region: number }
  | { readonly kind: 'hand over'; readonly region: number }
  | { readonly kind: 'control'; readonly away: boolean }
  | { readonly kind: 'wait'; readonly ms: number };

const region = fc.nat({ max: 2 });
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({
      kind: fc.constant('write' as const),
      count: fc.integer({ min: 1, max: 12 }),
      atomic: fc.boolean(),
      durability: fc.constantFrom<Durability>('stream', 'local'),
    }),
  },
  fc.record({
    kind: fc.constant('link' as const),
    region,
    state: fc.constantFrom<LinkState>('up', 'not_sent', 'no_answer', 'answer_lost'),
  }),
  fc.record({ kind: fc.constant('lead' as const), region }),
  fc.record({ kind: fc.constant('hand over' as const), region }),
  fc.record({ kind: fc.constant('control' as const), away: fc.boolean() }),
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('wait' as const), ms: fc.integer({ min: 0, max: 4_000 }) }) },
);

const HELD_MS = 10_000;

describe('writes through any sequence of faults and changes of leader', () => {
  it('accepted means taken once, refused means not taken, and everyone is answered in time', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 30 }), async (steps) => {
        const cluster = memoryCluster({ heldWritesMs: HELD_MS, heldWritesLimit: 20 });
        const { clock, control, router } = cluster;
        const regions = [...cluster.regions.values()];
        router.start();
        await settle();
        let entity = 0;
        let epoch = 1;
        const outcomes = new Map<number, string>();
        const lateMs: number[] = [];
        const submit = (count: number, atomic: boolean, durability: Durability): void => {
          const entities = Array.from({ length: count }, () => (entity += 1));
          const startMs = clock.monotonicMs();
          const submission: Submission = {
            writes: entities.map((e) => ({ k: 'd' as const, e })),
            bytes: 40 * count,
            atomic,
            durability,
            requestId: 'r',
          };
          const note = (outcome: string): void => {
            for (const e of entities) outcomes.set(e, outcome);
            lateMs.push(clock.monotonicMs() - startMs);
          };
          router.forwarding.submit(submission).then(
            () => note('accepted'),
            (refusal: Refusal) => note(refusal.code),
          );
        };
        for (const each of steps) {
          const name = 'region' in each ? (names[each.region] as string) : '';
          if (each.kind === 'write') {
            if (each.atomic) submit(each.count, true, each.durability);
            else for (let count = 0; count < each.count; count += 1) submit(1, false, each.durability);
          } else if (each.kind === 'link') Object.assign(regions[each.region] as object, { state: each.state });
          else if (each.kind === 'lead') {
            epoch += 1;
            control.put({ leader: name, epoch, nonce: `n${epoch}` });
          } else if (each.kind === 'hand over') {
            const leader = (control.entry as { value: { leader: string } }).value.leader;
            control.put({ leader, epoch, nonce: `h${epoch}${name}`, handover: { to: name, id: 'h' } });
          } else if (each.kind === 'control') control.away = each.away;
          await clock.advance(each.kind === 'wait' ? each.ms : 1);
        }
        await clock.advance(HELD_MS + 1_000);
        assert.equal(outcomes.size, entity, 'some write was never answered');
        const taken = new Map<number, number>();
        for (const { taken: writes } of regions) for (const { e } of writes) taken.set(e!, (taken.get(e!) ?? 0) + 1);
        for (const [e, outcome] of outcomes) {
          const times = taken.get(e) ?? 0;
          if (outcome === 'accepted') assert.equal(times, 1, `write ${e} was accepted and taken ${times} times`);
          else if (outcome === 'outcome_unknown') assert.ok(times <= 1, `write ${e} was taken ${times} times`);
          else assert.equal(times, 0, `write ${e} was refused with ${outcome} and taken`);
        }
        for (const ms of lateMs) assert.ok(ms <= HELD_MS + 200, `an answer took ${ms} ms`);
        router.drain();
        await clock.run(router.close());
      }),
      { numRuns: 150 },
    );
  });
});
