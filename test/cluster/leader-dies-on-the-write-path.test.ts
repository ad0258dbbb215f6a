/** kill -9 of the leader between each two steps of the write path: acknowledged writes exist everywhere, once. */
import assert from 'node:assert/strict';
import { Acknowledged } from '../harness/clients/acknowledged.ts';
import { eventually } from '../harness/kernel/eventually.ts';
import { Cluster } from '../harness/processes/cluster.ts';
import { crashPoints } from '../harness/region/crashing-region.ts';

describe('the leader dies on the write path', function () {
  this.timeout(90_000);

  for (const point of crashPoints) {
    it(point, async () => {
      const cluster = await Cluster.start({
        mains: { 'us-east': { main: 'test/harness/region/crashing-region.js', env: { TIDAL_TEST_CRASH_AT: point } } },
      });
      try {
        const told = new Acknowledged();
        for (let entity = 1; entity <= 20; entity++) assert.equal(await told.view(cluster, entity), 200);
        const leader = cluster.process('us-east');
        leader.signal('SIGUSR2');
        await eventually('the bomb is armed', () => leader.lines.some((line) => line.includes('"armed"')));
        const inFlight = Array.from({ length: 10 }, (_, index) => told.view(cluster, index + 1));
        await eventually('the leader is dead', () => !leader.running);
        await cluster.restart('us-east');
        await Promise.all(inFlight);
        await cluster.settled();
        for (let entity = 1; entity <= 20; entity++) assert.equal(await told.view(cluster, entity), 200);
        await told.check(cluster);
        const { leader: name, epoch } = await cluster.status();
        assert.deepEqual({ name, epoch }, { name: 'us-east', epoch: 1 });
      } finally {
        await cluster.stop();
      }
    });
  }
});
