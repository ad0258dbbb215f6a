import assert from 'node:assert/strict';
import fc from 'fast-check';
import { createRouter } from '../../services/router/router.ts';
import { Refusal } from '../../shared/errors/errors.ts';
import { DRILL_KEY, JOURNAL_KEY, type Leadership } from '../../shared/leadership/leadership.ts';
import { createMetrics } from '../../shared/observe/metrics.ts';
import { covers } from '../../shared/protocol/position.ts';
import { settle } from '../harness/kernel/manual-clock.ts';
import { seededRandom } from '../harness/kernel/seeded-random.ts';
import { silentLog } from '../harness/observe/silent-log.ts';
import { memoryCluster, names, topology } from '../harness/router/memory-cluster.ts';
import type { LinkState } from '../harness/router/memory-region.ts';

type Step =
  | { readonly kind: 'promote'; readonly router: number; readonly region: number; readonly force: boolean }
  | { readonly kind: 'write'; readonly router: number; readonly count: number }
  | { readonly kind: 'link'; readonly region: number; readonly state: LinkState }
  | { readonly kind: 'replication'; readonly region: number; readonly on: boolean }
  | { readonly kind: 'cut'; readonly region: number; readonly cut: boolean }
  | { readonly kind: 'control'; readonly failure: 'lost' | 'acknowledgement_lost' }
  | { readonly kind: 'away'; readonly away: boolean }
  | { readonly kind: 'wait'; readonly ms: number };

const region = fc.nat({ max: 2 });
const router = fc.nat({ max: 1 });
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      kind: fc.constant('promote' as const),
      router,
      region,
      force: fc.oneof({ weight: 3, arbitrary: fc.constant(false) }, fc.boolean()),
    }),
  },
  {
    weight: 5,
    arbitrary: fc.record({ kind: fc.constant('write' as const), router, count: fc.integer({ min: 1, max: 5 }) }),
  },
  fc.record({ kind: fc.constant('link' as const), region, state: fc.constantFrom<LinkState>('up', 'up', 'no_answer') }),
  { weight: 4, arbitrary: fc.record({ kind: fc.constant('replication' as const), region, on: fc.boolean() }) },
  fc.record({ kind: fc.constant('cut' as const), region, cut: fc.boolean() }),
  fc.record({
    kind: fc.constant('control' as const),
    failure: fc.constantFrom('lost' as const, 'acknowledgement_lost' as const),
  }),
  fc.record({ kind: fc.constant('away' as const), away: fc.boolean() }),
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('wait' as const), ms: fc.integer({ min: 0, max: 6_000 }) }) },
);

describe('promotions by two routers through any sequence of faults', () => {
  it('one leader an epoch, epochs only grow, and a planned one leaves nothing behind', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 5, maxLength: 30, size: 'max' }), async (steps) => {
        const cluster = memoryCluster();
        const { clock, control, regions, keys } = cluster;
        const other = createRouter({
          clock,
          random: seededRandom(99),
          log: silentLog,
          metrics: createMetrics({ process: 'router', name: 'other', nodeMetrics: false }),
          control,
          journal: cluster.keys.key(JOURNAL_KEY),
          drillKey: keys.key(DRILL_KEY),
          topology,
          links: regions,
          maxBodyBytes: 1_000,
          maxBodiesBytes: 10_000,
          httpLimits: { inFlight: 100, arrivingBodies: 512, answersBytes: 128 * 1024 * 1024 },
          heldWritesLimit: 100,
          heldWritesMs: 1_000,
        });
        const routers = [cluster.router, other];
        const history: Leadership[] = [control.entry?.value as Leadership];
        const put = control.put.bind(control);
        const violations: string[] = [];
        let forcing = 0;
        let open = 0;
        control.put = (value) => {
          const next = value as Leadership;
          const last = history.at(-1) as Leadership;
          if (next.epoch < last.epoch) violations.push('an epoch went back');
          if (next.leader !== last.leader && next.epoch === last.epoch) violations.push('two leaders in one epoch');
          if (forcing === 0 && next.leader !== last.leader) {
            const [from, to] = [regions.get(last.leader), regions.get(next.leader)];
            if (from === undefined || to === undefined || !covers(to.position, from.position)) {
              violations.push('the new leader lacks events of the old one');
            }
          }
          history.push(next);
          put(value);
        };
        for (const each of routers) each.start();
        await settle();
        for (const each of steps) {
          if (each.kind === 'promote') {
            open += 1;
            if (each.force) forcing += 1;
            const to = names[each.region] as string;
            routers[each.router]
              ?.promote({ region: to, force: each.force })
              .then(
                ({ leader, epoch }) => {
                  const recorded = history.some((record) => record.leader === to && record.epoch === epoch);
                  if (leader !== to || !recorded) violations.push(`${to} was answered and never recorded`);
                },
                (error: unknown) => {
                  if (!(error instanceof Refusal)) violations.push(String(error));
                },
              )
              .finally(() => {
                open -= 1;
                if (each.force) forcing -= 1;
              });
          } else if (each.kind === 'write') {
            for (let count = 0; count < each.count; count += 1) {
              routers[each.router]?.forwarding
                .submit({
                  writes: [{ k: 'd', e: count }],
                  bytes: 40,
                  atomic: false,
                  durability: 'local',
                  requestId: 'r',
                })
                .catch((error: unknown) => {
                  if (!(error instanceof Refusal)) violations.push(String(error));
                });
            }
          } else if (each.kind === 'link') {
            Object.assign(regions.get(names[each.region] as string) as object, { state: each.state });
          } else if (each.kind === 'replication') {
            const peers = each.on ? [...regions.values()] : [];
            Object.assign(regions.get(names[each.region] as string) as object, { peers });
          } else if (each.kind === 'cut') {
            Object.assign(regions.get(names[each.region] as string) as object, { isCut: each.cut });
          } else if (each.kind === 'control') control.failures.push(each.failure);
          else if (each.kind === 'away') control.away = each.away;
          await clock.advance(each.kind === 'wait' ? each.ms : 1);
        }
        await clock.advance(30_000);
        assert.deepEqual(violations, []);
        assert.equal(open, 0, 'a promotion never ended');
        for (const each of routers) {
          each.drain();
          await clock.run(each.close());
        }
      }),
      { numRuns: 200 },
    );
  });
});
