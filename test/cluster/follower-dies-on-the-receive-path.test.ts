/** kill -9 of a follower between the steps of taking a batch: back again it lacks nothing and counts nothing twice. */
import assert from 'node:assert/strict';
import { Acknowledged } from '../harness/clients/acknowledged.ts';
import { eventually } from '../harness/kernel/eventually.ts';
import { Cluster } from '../harness/processes/cluster.ts';
import type { CrashPoint } from '../harness/region/crashing-region.ts';

const points: readonly CrashPoint[] = [
  'before the commit',
  'within the transaction',
  'after the flush, before anything acts on it',
];

describe('a follower dies on the receive path', function () {
  this.timeout(90_000);

  for (const point of points) {
    it(point, async () => {
      const cluster = await Cluster.start({
        mains: { 'eu-west': { main: 'test/harness/region/crashing-region.js', env: { TIDAL_TEST_CRASH_AT: point } } },
      });
      try {
        const told = new Acknowledged();
        for (let entity = 1; entity <= 10; entity++) assert.equal(await told.view(cluster, entity), 200);
        await cluster.converged();
        const follower = cluster.process('eu-west');
        follower.signal('SIGUSR2');
        await eventually('the bomb is armed', () => follower.lines.some((line) => line.includes('"armed"')));
        for (let entity = 1; entity <= 10; entity++) assert.equal(await told.view(cluster, entity), 200);
        await eventually('the follower is dead', () => !follower.running);
        for (let entity = 1; entity <= 10; entity++) assert.equal(await told.view(cluster, entity), 200);
        await cluster.restart('eu-west');
        await cluster.settled();
        await told.check(cluster);
        assert.equal(told.count, 30);
      } finally {
        await cluster.stop();
      }
    });
  }
});
