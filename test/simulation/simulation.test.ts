/**
 * The simulation in the suite: a set of seeds that never changes, new seeds, and the runs that found something.
 * `docs/simulation.md` says what is simulated; a failure is run again with `npm run sim -- --seed S`.
 */
import assert from 'node:assert/strict';
import { availableParallelism } from 'node:os';
import { describeFault } from './faults.ts';
import { Pool } from './pool.ts';
import { regressions } from './regressions.ts';
import type { Result } from './result.ts';
import { runSeed } from './run-seed.ts';

const FIXED = 400;
const FRESH = 600;

function report({ seed, violation, faults }: Result): string {
  const list = faults.map((fault) => `  ${describeFault(fault)}`).join('\n');
  return `seed ${seed}: ${violation?.message}\n${list}\nagain: npm run sim -- --seed ${seed}`;
}

describe('simulation', function () {
  this.timeout(600_000);
  let pool: Pool;

  before(() => {
    pool = new Pool({ jobs: Math.min(4, availableParallelism()) });
  });

  after(() => pool.close());

  async function run(first: number, count: number): Promise<readonly Result[]> {
    const seeds = Array.from({ length: count }, (_, index) => String(first + index));
    const results = await Promise.all(seeds.map((seed) => pool.run({ seed, keep: 0 })));
    const failed = results.filter(({ violation }) => violation !== undefined);
    assert.equal(failed.length, 0, failed.slice(0, 3).map(report).join('\n\n'));
    return results;
  }

  it('one seed is one course of events, in whatever process and after whatever else it runs', async () => {
    const seeds = ['3', '8', '21'];
    const here: string[] = [];
    for (const seed of seeds) here.push((await runSeed(seed)).hash);
    const again: string[] = [];
    for (const seed of [...seeds].reverse()) again.unshift((await runSeed(seed, { keep: 1_000 })).hash);
    const elsewhere = await Promise.all(seeds.map((seed) => pool.run({ seed, keep: 0 })));
    assert.deepEqual(again, here);
    assert.deepEqual(
      elsewhere.map(({ hash }) => hash),
      here,
    );
    assert.equal(new Set(here).size, seeds.length);
  });

  it(`${FIXED} seeds that are always the same keep every promise`, async () => {
    const results = await run(1, FIXED);
    const sum = (of: (result: Result) => number): number => results.reduce((total, result) => total + of(result), 0);
    assert.ok(sum(({ acknowledged }) => acknowledged) > 20 * FIXED, 'clients get something done');
    assert.ok(sum(({ faults }) => faults.length) > 3 * FIXED, 'and something goes wrong');
  });

  it(`${FRESH} new seeds keep every promise`, async () => {
    const first = 1_000_000 + Math.floor(Math.random() * 1e9);
    console.log(`    seeds ${first} to ${first + FRESH - 1}`);
    await run(first, FRESH);
  });

  for (const { seed, found, theme, faults } of regressions) {
    it(`seed ${seed}, which found: ${found}`, async () => {
      const result = await pool.run({ seed, theme, faults, keep: 0 });
      assert.equal(result.violation, undefined, report(result));
    });
  }
});
