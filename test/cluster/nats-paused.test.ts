/** nats-server is paused under load, as on a machine that ran out of memory or a frozen disk, and wakes up again. */
import assert from 'node:assert/strict';
import { setTimeout as pause } from 'node:timers/promises';
import { Watch } from '../checkers/watch.ts';
import { checkWholeCluster } from '../checkers/whole-cluster.ts';
import { Workload } from '../harness/clients/workload.ts';
import { eventually } from '../harness/kernel/eventually.ts';
import { Cluster } from '../harness/processes/cluster.ts';

const STANDSTILL_MS = 8_000;

describe('nats-server is paused under load', function () {
  this.timeout(120_000);
  let cluster: Cluster;

  before(async () => {
    cluster = await Cluster.start({ routers: 2 });
  });
  after(async () => {
    cluster?.nats.resume();
    await cluster?.stop();
  });

  it('for 8 s: no write fails, they are answered as local, and all of them ship after it', async () => {
    const before = await cluster.status();
    const watch = new Watch(cluster);
    const load = new Workload({ urls: cluster.routerUrls, writers: 16, perSecond: 200, keyed: 4 });
    try {
      await load.flows();
      const since = load.told.acknowledgements.length;
      cluster.nats.pause();
      await pause(STANDSTILL_MS);
      const during = load.told.acknowledgements.slice(since);
      cluster.nats.resume();
      assert.ok(during.length > 100, `${during.length} writes in ${STANDSTILL_MS} ms`);
      assert.ok(during.at(-1)?.durability === 'local', 'the stream confirms nothing meanwhile');
      await eventually(
        'the stream confirms again',
        () => load.told.acknowledgements.at(-1)?.durability === 'stream',
        30_000,
      );
    } finally {
      cluster.nats.resume();
      await load.stop();
    }
    assert.deepEqual([...load.failures], []);
    await checkWholeCluster(cluster, load.told);
    await watch.stop();
    const after = await cluster.status();
    assert.deepEqual([after.leader, after.epoch], [before.leader, before.epoch]);
  });
});
