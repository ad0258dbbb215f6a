/** Faults of every kind at once, drawn from a printed seed, for a few minutes. `npm run nemesis` does it at length. */
import assert from 'node:assert/strict';
import { smallDiskObstacle } from '../harness/processes/small-disk.ts';
import { runNemesis } from '../nemesis/nemesis.ts';
import { describeReport } from '../nemesis/report.ts';

describe('nemesis', () => {
  const minutes = Number(process.env.TIDAL_NEMESIS_MINUTES ?? 3);
  const seed = Number(process.env.TIDAL_NEMESIS_SEED ?? Math.floor(Math.random() * 1e9));

  it(`mixed faults for ${minutes} min, seed ${seed}: all heals, nothing is lost or doubled, nothing goes back`, async function () {
    this.timeout(minutes * 60_000 + 300_000);
    const report = await runNemesis({ seed, minutes });
    console.log(describeReport(report).replace(/^/gm, '      '));
    assert.ok(report.acknowledged > 0);
    // What is drawn is fewer than a whole deck in a shorter run.
    if (minutes < 3) return;
    for (const name of ['clock', 'stream garbage', 'key garbage', 'request garbage', 'full disk'] as const) {
      if (name === 'full disk' && smallDiskObstacle !== undefined && process.env.CI === undefined) continue;
      assert.ok((report.faults.get(name) ?? 0) > 0, `no ${name} in it`);
    }
  });
});
