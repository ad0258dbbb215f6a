/** Two routers with automatic failover, through any sequence of faults: never two leaders in one epoch. */
import assert from 'node:assert/strict';
import fc from 'fast-check';
import { createRouter } from '../../services/router/router.ts';
import { DRILL_KEY, JOURNAL_KEY, type Leadership } from '../../shared/leadership/leadership.ts';
import { createMetrics } from '../../shared/observe/metrics.ts';
import { settle } from '../harness/kernel/manual-clock.ts';
import { seededRandom } from '../harness/kernel/seeded-random.ts';
import { silentLog } from '../harness/observe/silent-log.ts';
import { memoryCluster, names, topology } from '../harness/router/memory-cluster.ts';

type Step =
  | { readonly kind: 'down' | 'up'; readonly region: number }
  /** The process lives, and its answers do not arrive. */
  | { readonly kind: 'unheard'; readonly region: number }
  | { readonly kind: 'cut'; readonly region: number; readonly cut: boolean }
  | { readonly kind: 'promote'; readonly router: number; readonly region: number; readonly force: boolean }
  | { readonly kind: 'lease'; readonly failure: 'lost' | 'acknowledgement_lost' }
  | { readonly kind: 'control'; readonly failure: 'lost' | 'acknowledgement_lost' }
  | { readonly kind: 'away'; readonly away: boolean }
  | { readonly kind: 'wait'; readonly ms: number };

const region = fc.nat({ max: 2 });
const failure = fc.constantFrom('lost' as const, 'acknowledgement_lost' as const);
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 4, arbitrary: fc.record({ kind: fc.constantFrom('down' as const, 'up' as const), region }) },
  fc.record({ kind: fc.constant('unheard' as const), region }),
  fc.record({ kind: fc.constant('cut' as const), region, cut: fc.boolean() }),
  fc.record({ kind: fc.constant('promote' as const), router: fc.nat({ max: 1 }), region, force: fc.boolean() }),
  fc.record({ kind: fc.constantFrom('control' as const, 'lease' as const), failure }),
  fc.record({ kind: fc.constant('away' as const), away: fc.boolean() }),
  { weight: 4, arbitrary: fc.record({ kind: fc.constant('wait' as const), ms: fc.integer({ min: 0, max: 8_000 }) }) },
);

describe('failover by two routers through any sequence of faults', () => {
  it('one leader an epoch, epochs only grow, a living leader stays, a dead one is replaced once all is quiet', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 3, maxLength: 20, size: 'max' }), async (steps) => {
        const cluster = memoryCluster({ failoverAfterMs: 3_000 });
        const { clock, control, regions, keys, hearts } = cluster;
        const other = createRouter({
          clock,
          random: seededRandom(99),
          log: silentLog,
          metrics: createMetrics({ process: 'router', name: 'other', nodeMetrics: false }),
          control,
          journal: keys.key(JOURNAL_KEY),
          drillKey: keys.key(DRILL_KEY),
          failover: { afterMs: 3_000, keys: keys.key },
          topology,
          links: regions,
          maxBodyBytes: 1_000,
          maxBodiesBytes: 10_000,
          httpLimits: { inFlight: 100, arrivingBodies: 512, answersBytes: 128 * 1024 * 1024 },
          heldWritesLimit: 100,
          heldWritesMs: 1_000,
        });
        const routers = [cluster.router, other];
        const violations: string[] = [];
        const record = () => control.entry?.value as Leadership;
        const put = control.put.bind(control);
        control.put = (value) => {
          const [next, last] = [value as Leadership, record()];
          if (next.epoch < last.epoch) violations.push('an epoch went back');
          if (next.leader !== last.leader && next.epoch === last.epoch) violations.push('two leaders in one epoch');
          put(value);
        };
        const dead = new Set<string>();
        const beat = async (name: string): Promise<void> => {
          // A dead process sends no heartbeat; a restarted one does.
          const key = keys.key(`alive.${name}`);
          const cut = regions.get(name)?.isCut === true;
          if (!dead.has(name)) key.put({ region: name, cut, clockMs: clock.nowMs() });
        };
        for (const heart of hearts.values()) void heart.stop();
        const beats = setIntervalOn(clock, 1_000, () => names.forEach((name) => void beat(name)));
        for (const router of routers) router.start();
        await settle();
        const open: Promise<unknown>[] = [];
        for (const each of steps) {
          const name = 'region' in each ? (names[each.region] as string) : '';
          const target = regions.get(name);
          if (each.kind === 'down' || each.kind === 'up') {
            if (each.kind === 'down') dead.add(name);
            else dead.delete(name);
            Object.assign(target as object, { state: each.kind === 'down' ? 'not_sent' : 'up' });
          } else if (each.kind === 'unheard') Object.assign(target as object, { state: 'no_answer' });
          else if (each.kind === 'cut') Object.assign(target as object, { isCut: each.cut });
          else if (each.kind === 'promote') {
            const promoted = routers[each.router]?.promote({ region: name, force: each.force });
            open.push((promoted as Promise<unknown>).catch(() => undefined));
          } else if (each.kind === 'control') control.failures.push(each.failure);
          else if (each.kind === 'lease') keys.key('lease').failures.push(each.failure);
          else if (each.kind === 'away') keys.away = each.away;
          await clock.advance(each.kind === 'wait' ? each.ms : 1);
        }
        // All faults end but one: the leader is dead.
        keys.away = false;
        control.failures = [];
        for (const target of regions.values()) Object.assign(target, { state: 'up', isCut: false });
        dead.clear();
        await clock.run(Promise.all(open));
        await clock.advance(20_000);
        const before = record();
        await clock.advance(20_000);
        assert.equal(record().nonce, before.nonce, 'a living leader stays');
        dead.add(before.leader);
        Object.assign(regions.get(before.leader) as object, { state: 'not_sent' });
        await clock.advance(12_000);
        const after = record();
        assert.notEqual(after.leader, before.leader, 'a dead one is replaced');
        assert.equal(after.epoch, before.epoch + 1, 'once');
        for (const router of routers) assert.equal(router.leadership.current?.leader, after.leader, 'both follow');
        assert.deepEqual(violations, []);
        beats();
        for (const router of routers) router.drain();
        await clock.run(Promise.all(routers.map((router) => router.close())));
      }),
      { numRuns: 60 },
    );
  }).timeout(120_000);
});

/** Answers how to end it. */
function setIntervalOn(
  clock: { after(ms: number, action: () => void): { cancel(): void } },
  ms: number,
  action: () => void,
) {
  let timer = clock.after(ms, run);
  function run(): void {
    action();
    timer = clock.after(ms, run);
  }
  return () => timer.cancel();
}
