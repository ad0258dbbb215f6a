/** A router relieves a leader that is about to stop: planned, by the most advanced region that can lead. */
import assert from 'node:assert/strict';
import { listen } from '../../../../shared/http/http-server.ts';
import { systemClock, systemRandom } from '../../../../shared/kernel/system.ts';
import type { Leadership } from '../../../../shared/leadership/leadership.ts';
import { createMetrics } from '../../../../shared/observe/metrics.ts';
import type { WireWrite } from '../../../../shared/protocol/writes.ts';
import { eventually } from '../../../harness/kernel/eventually.ts';
import { type ManualClock, settle } from '../../../harness/kernel/manual-clock.ts';
import { silentLog } from '../../../harness/observe/silent-log.ts';
import { type MemoryCluster, memoryCluster } from '../../../harness/router/memory-cluster.ts';

const write: WireWrite = { k: 'd', e: 1 };

describe('a leader that is about to stop', () => {
  let cluster: MemoryCluster<ManualClock>;
  const record = () => cluster.control.entry?.value as Leadership;
  beforeEach(async () => {
    cluster = memoryCluster();
    cluster.router.start();
    await settle();
  });
  afterEach(async () => {
    cluster.router.drain();
    await cluster.clock.run(cluster.router.close());
  });

  it('is relieved within two seconds by the region that has most, with manual failover too', async () => {
    cluster.euWest.peers = [];
    for (let count = 0; count < 3; count += 1) cluster.usEast.accept(write);
    let handovers = 0;
    cluster.usEast.onHandover = () => {
      handovers += 1;
    };
    cluster.usEast.draining = true;
    await cluster.clock.advance(2_000);
    assert.deepEqual([record().leader, record().epoch, handovers], ['ap-south', 2, 1]);
    // It reports so until it has ended, without further effect.
    await cluster.clock.advance(5_000);
    assert.deepEqual([record().leader, record().epoch, handovers], ['ap-south', 2, 1]);
  });

  it('is not replaced by one that is about to stop as well', async () => {
    cluster.usEast.draining = true;
    for (const region of [cluster.euWest, cluster.apSouth]) {
      region.draining = true;
      region.writeBlocker = { code: 'shutting_down', detail: 'it is about to stop' };
    }
    await cluster.clock.advance(5_000);
    assert.deepEqual([record().leader, record().epoch], ['us-east', 1]);
    cluster.apSouth.draining = false;
    cluster.apSouth.writeBlocker = undefined;
    await cluster.clock.advance(2_000);
    assert.deepEqual([record().leader, record().epoch], ['ap-south', 2]);
  });

  it('is tried again when a handover did not work', async () => {
    cluster.euWest.peers = [];
    cluster.apSouth.peers = [];
    cluster.usEast.accept(write);
    cluster.usEast.draining = true;
    await cluster.clock.advance(12_000);
    assert.equal(record().leader, 'us-east', 'nobody gets to its position');
    cluster.euWest.peers = [cluster.usEast];
    cluster.apSouth.peers = [cluster.usEast];
    await cluster.clock.advance(15_000);
    assert.equal(record().epoch, 2);
  });

  it('is a note of health', async () => {
    cluster.usEast.draining = true;
    const { notes } = await cluster.clock.run(cluster.router.reports.health());
    assert.deepEqual(notes, ['us-east is stopping']);
  });
});

describe('a router that is about to stop', () => {
  it('says that it is not ready and serves on, until it closes', async () => {
    const cluster = memoryCluster({}, systemClock);
    const metrics = createMetrics({ process: 'router', name: 'router', nodeMetrics: false });
    const options = { log: silentLog, clock: systemClock, metrics, random: systemRandom, maxConnections: 10 };
    const server = await listen({ app: cluster.router.app, host: '127.0.0.1', port: 0, ...options });
    cluster.router.start();
    const ask = async (path: string, body?: string): Promise<number> => {
      const headers = { 'content-type': 'application/json' };
      const init = body === undefined ? {} : { method: 'POST', body, headers };
      const answer = await fetch(server.url + path, init);
      await answer.arrayBuffer();
      return answer.status;
    };
    await eventually('it is ready', async () => (await ask('/health/ready')) === 200);
    cluster.router.leave();
    assert.equal(await ask('/health/ready'), 503);
    assert.equal(await ask('/health/live'), 200);
    assert.equal(await ask('/signals', '{"entity_id":1,"signal":"view"}'), 200);
    assert.equal(await ask('/feed'), 200);
    cluster.router.drain();
    await server.close();
    await cluster.router.close();
  });
});
