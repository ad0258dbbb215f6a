/** The best-first search answers exactly what scoring every item answers, whatever the ledger, the read time and the filter. */
import assert from 'node:assert/strict';
import fc from 'fast-check';
import { windows } from '../../services/region/schema/schema.ts';
import { drawBetween, drawFraction, seededRandom } from '../harness/kernel/seeded-random.ts';
import { HOUR_MS, MINUTE_MS, names, RankingWorld, type Step, steps } from '../harness/region/rank/ranking-world.ts';

describe('top-k', () => {
  it('is what scoring every item gives, at any time, for every profile, page and selection', () => {
    fc.assert(
      fc.property(steps, (list) => {
        const world = new RankingWorld();
        for (const step of list) {
          if (step.do !== 'feed') {
            world.play(step);
            continue;
          }
          const atMs = world.nowMs - step.atAgoMs;
          const scorer = world.scorer(step.profile, { window: step.window, atMs, past: step.past });
          const { divisor } = step;
          const selection = divisor === undefined ? undefined : world.selection(divisor);
          const accept = (one: number): boolean => divisor === undefined || one % divisor === 1;
          const ranking = world.topK.ranking(scorer, selection, { atMs, past: step.past });
          const all = world.scan(scorer, accept, 1_000);
          assert.equal(ranking.total, all.length);
          assert.deepEqual(ranking.after(undefined, step.limit), all.slice(0, step.limit));
          const key = all[step.after];
          if (key !== undefined) {
            assert.deepEqual(ranking.after(key, step.limit), all.slice(step.after + 1, step.after + 1 + step.limit));
          }
        }
      }),
      { numRuns: 1_000 },
    );
  });

  it('is exact with what searches of the same ranking found out before, whatever is written and however late it is', () => {
    const entity = fc.nat(40);
    const ageMs = fc.oneof(fc.constant(0), fc.nat(90 * MINUTE_MS), fc.integer({ min: -90 * MINUTE_MS, max: 0 }));
    const signal = fc.constantFrom('view', 'like', 'share', 'skip', 'skip');
    const weight = fc.integer({ min: 1, max: 4 }).map((units) => units * 1_000);
    const write: fc.Arbitrary<Exclude<Step, { do: 'feed' }>> = fc.oneof(
      { weight: 8, arbitrary: fc.record({ do: fc.constant('signal' as const), entity, signal, weight, ageMs }) },
      { weight: 3, arbitrary: fc.record({ do: fc.constant('put' as const), entity, ageMs }) },
      { weight: 1, arbitrary: fc.record({ do: fc.constant('remove' as const), entity }) },
      { weight: 2, arbitrary: fc.constant({ do: 'retract' as const }) },
      { weight: 2, arbitrary: fc.record({ do: fc.constant('wait' as const), ms: fc.nat(50 * MINUTE_MS) }) },
    );
    const read = fc.record({
      limit: fc.integer({ min: 1, max: 3 }),
      agoMs: fc.oneof({ weight: 5, arbitrary: fc.constant(0) }, fc.nat(90 * MINUTE_MS)),
      divisor: fc.option(fc.integer({ min: 2, max: 9 }), { nil: undefined, freq: 2 }),
    });
    const ranking = fc.record({ profile: fc.constantFrom(...names), window: fc.constantFrom(...windows) });
    const list = fc.array(fc.tuple(write, read), { minLength: 40, maxLength: 120 });
    fc.assert(
      fc.property(list, ranking, fc.constantFrom(0, 4_096), (list, { profile, window }, bestFirstLeast) => {
        const world = new RankingWorld({ bestFirstLeast });
        for (let one = 0; one <= 40; one += 2) world.play({ do: 'put', entity: one, ageMs: one });
        for (const [step, { limit, agoMs, divisor }] of list) {
          world.play(step);
          const atMs = world.nowMs - agoMs;
          const scorer = world.scorer(profile, { window, atMs });
          const selection = divisor === undefined ? undefined : world.selection(divisor);
          const found = world.topK.ranking(scorer, selection, { atMs }).after(undefined, limit);
          const accept = (one: number): boolean => divisor === undefined || one % divisor === 1;
          assert.deepEqual(found, world.scan(scorer, accept, limit));
        }
      }),
      { numRuns: 200 },
    );
  });

  it('finds an item that became the best of a known block: by a signal, by one that was retracted, by being put again', () => {
    const world = new RankingWorld();
    const add = (entity: number, signal: string, times: number): void => {
      for (let time = 0; time < times; time++) world.ledger.add(entity, signal, 1_000, world.nowMs);
    };
    const first = (): readonly number[] => {
      const scorer = world.scorer('top', { window: 'all', atMs: world.nowMs });
      const found = world.topK.ranking(scorer, undefined, { atMs: world.nowMs }).after(undefined, 1);
      return found.map(({ entity }) => entity);
    };
    // Two blocks of sixteen; the known best of the first is below the page before each write to it.
    for (let entity = 0; entity < 32; entity++) world.catalog.put(entity, {}, world.nowMs);
    for (const entity of [0, 1, 2]) add(entity, 'view', 9);
    for (const entity of [0, 1]) add(entity, 'skip', 9);
    add(3, 'view', 1);
    add(16, 'view', 3);
    world.catalog.remove(2);
    assert.deepEqual(first(), [16]);
    add(3, 'view', 3);
    assert.deepEqual(first(), [3]);
    add(16, 'view', 3);
    assert.deepEqual(first(), [16]);
    for (let time = 0; time < 7; time++) world.ledger.retract(1, 'skip', 1_000, world.nowMs);
    add(16, 'skip', 1);
    assert.deepEqual(first(), [1]);
    add(16, 'view', 4);
    assert.deepEqual(first(), [16]);
    world.catalog.put(2, {}, world.nowMs);
    assert.deepEqual(first(), [2]);
  });

  it('scores few of many items, also after the head of the ranking became quiet', () => {
    const world = new RankingWorld();
    const random = seededRandom(7);
    const items = 60_000;
    for (let one = 0; one < items; one++)
      world.catalog.put(one, {}, world.nowMs - drawBetween(random, 0, 30 * 24 * HOUR_MS));
    const active = Array.from({ length: 6_000 }, () => drawBetween(random, 0, items - 1));
    for (let event = 0; event < 60_000; event++) {
      const one = active[Math.floor(active.length * drawFraction(random) ** 4)]!;
      world.ledger.add(
        one,
        drawFraction(random) < 0.8 ? 'view' : 'share',
        1_000,
        world.nowMs - drawBetween(random, 0, 20 * HOUR_MS),
      );
    }
    const check = (limitScored: number): void => {
      for (const profile of ['trending', 'hot', 'new', 'top', 'rising', 'most_viewed'] as const) {
        const scorer = world.scorer(profile, { window: '24h', atMs: world.nowMs });
        const ranking = world.topK.ranking(scorer, undefined, { atMs: world.nowMs });
        assert.deepEqual(
          ranking.after(undefined, 10),
          world.scan(scorer, () => true, 10),
          profile,
        );
        // Lowered where they are looked at: a few searches more show what the upper bounds are like by then.
        for (let more = 0; more < 12; more++) ranking.after(undefined, 10);
        // A steady hour is as large as a sudden one: rising looks at whatever had a signal in it.
        const most = profile === 'rising' ? items / 4 : limitScored;
        assert.ok(world.topK.scored <= most, `${profile} scored ${world.topK.scored} of ${items}`);
      }
    };
    check(1_500);
    world.nowMs += 30 * HOUR_MS;
    for (let event = 0; event < 500; event++)
      world.ledger.add(active[5_000 + drawBetween(random, 0, 899)]!, 'view', 1_000, world.nowMs);
    check(6_500);
  });
});
