/** What the nemesis draws: the same from the same seed, and in a few minutes something of every kind. */
import assert from 'node:assert/strict';
import { drawPlan, faultNames, type PlanOptions, resourcesOf } from '../../nemesis/plan.ts';

describe('the plan of the nemesis', () => {
  const options = (seed: number): PlanOptions => ({
    seed,
    lengthMs: 180_000,
    regions: ['us-east', 'eu-west', 'ap-south'],
    routers: ['router', 'router-2'],
    wires: ['us-east > nats', 'us-east > eu-west', 'router > us-east'],
    disks: ['us-east', 'eu-west'],
  });
  /** As they are counted in the report: wires are broken in several ways. */
  const namesOf = (seed: number, change: Partial<PlanOptions> = {}): Set<string> =>
    new Set(drawPlan({ ...options(seed), ...change }).map(({ fault }) => fault.kind));

  it('the same seed draws the same faults, another one others', () => {
    assert.deepEqual(drawPlan(options(7)), drawPlan(options(7)));
    assert.notDeepEqual(drawPlan(options(7)), drawPlan(options(8)));
  });

  it('three minutes have every kind, whatever the seed', () => {
    const broken = ['cut', 'black hole', 'black hole there', 'black hole back'];
    for (let seed = 0; seed < 200; seed++) {
      const names = namesOf(seed);
      for (const name of faultNames) {
        const there = name === 'wire' || name === 'split' ? broken.some((kind) => names.has(kind)) : names.has(name);
        assert.ok(there, `seed ${seed}: no ${name}`);
      }
    }
  });

  it('only those that were chosen', () => {
    assert.deepEqual([...namesOf(7, { faults: ['clock', 'stream garbage'] })].sort(), ['clock', 'stream garbage']);
  });

  it('no disk is full that cannot be', () => {
    assert.ok(!namesOf(7, { disks: [] }).has('full disk'));
  });

  it('one clock is wrong at a time, forward or back, by seconds to days', () => {
    const clocks = drawPlan({ ...options(7), faults: ['clock'] }).map(({ fault }) => fault);
    const steps = clocks.map((fault) => (fault.kind === 'clock' ? fault.offMs : 0));
    assert.deepEqual([...new Set(clocks.flatMap((fault) => resourcesOf(fault, [])))], ['clock']);
    assert.ok(Math.max(...steps) > 86_400_000 && Math.min(...steps) < -86_400_000, `${steps}`);
    assert.ok(
      steps.some((step) => Math.abs(step) < 60_000),
      `${steps}`,
    );
  });
});
