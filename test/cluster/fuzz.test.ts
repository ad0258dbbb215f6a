/** A short run of `npm run fuzz`: nothing that is sent to a cluster fails it, or changes anything but what was accepted. */
import assert from 'node:assert/strict';
import { randomInt } from 'node:crypto';
import { fuzz } from '../fuzz/fuzz.ts';

const REQUESTS = 20_000;
/** A bound for machines that do other things as well; `npm run fuzz` has its own. */
const TURN_LIMIT_MS = 2_000;

describe('20,000 drawn requests, and what else can be sent', function () {
  this.timeout(900_000);

  it('cause no failure, no change that was not accepted, no crash, and no growth', async () => {
    const seed = Number(process.env.TIDAL_FUZZ_SEED ?? randomInt(1e9));
    const lines: string[] = [];
    const report = await fuzz({
      ...{ seed, requests: REQUESTS, raw: 200, messages: 200, turnLimitMs: TURN_LIMIT_MS, memoryLimitMiB: 256 },
      say: (line) => lines.push(line),
    });
    const { turns, tookMs, accepted } = report;
    const [longest] = turns;
    console.log(
      `      seed ${seed}, ${Math.round(tookMs / 1_000)} s, ${accepted} events accepted, longest turn ${Math.round(longest?.ms ?? 0)} ms (${longest?.process}, ${longest?.activity})`,
    );
    assert.deepEqual(report.findings, [], `seed ${seed}`);
    assert.equal(report.requests, REQUESTS);
    // It is no run of refusals alone, nor one that misses a route.
    assert.ok(accepted > 1_000);
    assert.ok((report.answers.get('200') ?? 0) > REQUESTS / 5);
  });
});
