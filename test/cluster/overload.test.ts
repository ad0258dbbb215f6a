/**
 * Three times the load that a cluster can take, for ten seconds: what is admitted is answered in bounded time and is never lost, the
 * rest is refused with `overloaded`, no process ends or grows without bound, and within five seconds all is as before.
 */
import assert from 'node:assert/strict';
import { Acknowledged } from '../harness/clients/acknowledged.ts';
import { type OpenLoopDone, sendOpenLoop } from '../harness/clients/open-loop.ts';
import { eventually } from '../harness/kernel/eventually.ts';
import { Cluster } from '../harness/processes/cluster.ts';

const CONNECTIONS = 64;
/** Of the router: small, so that a slow machine that sends the load itself reaches it as well. */
const IN_FLIGHT = 512;
const ENTITIES = Array.from({ length: 100 }, (_, index) => 1 + index);
const OVERLOAD_MS = 10_000;
const NORMAL_MS = 5_000;
/**
 * Of admitted writes, with 32 requests of every connection unanswered: so many times as long as the writes take that may be in flight at
 * the rate at which they are acknowledged meanwhile, whatever else the machine does.
 */
const TURNS = 8;
const SLACK_MS = 1_000;

const quantileMs = (values: readonly number[], share: number): number =>
  [...values].sort((a, b) => a - b)[Math.min(values.length - 1, Math.floor(values.length * share))] ?? Number.NaN;

describe('three times the highest load', function () {
  this.timeout(300_000);
  let cluster: Cluster;
  const told = new Acknowledged();
  let highest: OpenLoopDone;

  before(async () => {
    const env = { TIDAL_MAX_IN_FLIGHT: String(IN_FLIGHT), TIDAL_HELD_WRITES_LIMIT: '256' };
    cluster = await Cluster.start({ mains: { router: { main: 'services/router/main.js', env } } });
  });
  after(() => cluster?.stop());

  const load = (perSecond: number, durationMs: number, outstanding: number): Promise<OpenLoopDone> =>
    sendOpenLoop({
      ...{ url: cluster.url, connections: CONNECTIONS, perSecond, durationMs, outstanding, told },
      ...{ entities: ENTITIES, drainMs: 60_000 },
    });

  it('at the highest load nothing is refused', async () => {
    await load(Number.POSITIVE_INFINITY, 2_000, IN_FLIGHT / 2);
    highest = await load(Number.POSITIVE_INFINITY, 4_000, IN_FLIGHT / 2);
    assert.deepEqual(
      [...highest.answers.keys()].filter((answer) => !answer.startsWith('200')),
      [],
    );
    assert.ok(highest.acknowledged > 100, `${highest.acknowledged} writes`);
  });

  it('at three times of it what is admitted is answered in bounded time, the rest refused by name', async () => {
    const done = await load(3 * highest.perSecond, OVERLOAD_MS, 4 * IN_FLIGHT);
    const p99 = quantileMs(done.latenciesMs, 0.99);
    const rate = Math.round(highest.perSecond);
    console.log(
      `      highest ${rate}/s, p99 ${Math.round(quantileMs(highest.latenciesMs, 0.99))} ms; offered ${Math.round(done.offered / (OVERLOAD_MS / 1_000))}/s: ${Math.round(done.perSecond)}/s acknowledged, p99 ${Math.round(p99)} ms; ${JSON.stringify([...done.answers])}`,
    );
    const known = /^(200 |503 overloaded)/;
    assert.deepEqual(
      [...done.answers.keys()].filter((answer) => !known.test(answer)),
      [],
    );
    assert.ok(done.acknowledged > 0);
    const boundMs = SLACK_MS + (TURNS * IN_FLIGHT * 1_000) / done.perSecond;
    assert.ok(p99 < boundMs, `p99 ${Math.round(p99)} ms of a bound of ${Math.round(boundMs)} ms`);
  });

  it('within five seconds a write takes as long as before', async () => {
    const usualMs = Math.max(250, quantileMs(highest.latenciesMs, 0.99));
    await eventually(
      'ten writes in a row are acknowledged in the usual time',
      async () => {
        for (let count = 0; count < 10; count += 1) {
          const startMs = performance.now();
          const status = await told.view(cluster, 1);
          const tookMs = performance.now() - startMs;
          if (status !== 200 || tookMs > usualMs) throw new Error(`${status} after ${Math.round(tookMs)} ms`);
        }
        return true;
      },
      NORMAL_MS,
    );
    await cluster.settled();
  });

  it('no acknowledged write is lost or doubled, and no process has ended', async () => {
    await told.check(cluster);
    for (const { ownEnds, running } of cluster.processes.values()) assert.deepEqual([ownEnds, running], [[], true]);
  });
});
