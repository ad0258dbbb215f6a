/** `failover: automatic`, chosen as an operator does: a topology file of their own, named by `TIDAL_TOPOLOGY_FILE`. */
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { more, underWrites } from '../harness/clients/under-writes.ts';
import { ComposeCluster, type RegionService, servingServices } from '../harness/containers/compose-cluster.ts';
import { buildLimitMs, needDocker, root } from '../harness/containers/docker.ts';
import { eventually } from '../harness/kernel/eventually.ts';
import { writeInside } from '../harness/region/write-inside.ts';

describe('automatic failover between containers', function () {
  this.timeout(120_000);
  let directory: string;
  let cluster: ComposeCluster;

  before(async function () {
    this.timeout(buildLimitMs);
    await needDocker(this);
    directory = mkdtempSync(join(tmpdir(), 'tidal-topology-'));
    const topologyFile = join(directory, 'topology.yaml');
    const manual = readFileSync(join(root, 'deploy/config/default-cluster.yaml'), 'utf8');
    const automatic = manual.replace(/^failover: manual$/m, 'failover: automatic');
    assert.notEqual(automatic, manual);
    writeFileSync(topologyFile, automatic, { mode: 0o644 });
    cluster = await ComposeCluster.up({ TIDAL_TOPOLOGY_FILE: topologyFile }, servingServices);
    await cluster.settled();
  });

  after(async function () {
    this.timeout(120_000);
    await cluster?.down();
    if (directory !== undefined) rmSync(directory, { recursive: true, force: true });
  });

  it('is what the status says', async () => {
    const { body } = await cluster.get('/cluster/status');
    assert.equal(body.failover, 'automatic');
  });

  it('a leader killed under load is replaced by itself; it returns as a follower and merges', async () => {
    const [leader, { epoch }] = [await cluster.leader(), await cluster.status()];
    const told = await underWrites(cluster, async (writes) => {
      await cluster.kill(leader);
      await eventually('another leads', async () => (await cluster.leader()) !== leader, 30_000);
      await more(writes);
      await cluster.start(leader);
      await more(writes);
      await cluster.settled();
    });
    await replacedOnce(leader, epoch);
    await told.check(cluster);
  });

  it('a leader that loses its network is replaced by itself; what it took alone meanwhile is merged', async () => {
    const [leader, { epoch }] = [await cluster.leader(), await cluster.status()];
    const told = await underWrites(cluster, async (writes) => {
      const address = await cluster.address(leader);
      await cluster.disconnect(leader);
      await writeInside(cluster, leader, epoch, writes);
      await eventually('another leads', async () => (await cluster.leader()) !== leader, 30_000);
      await more(writes);
      await writeInside(cluster, leader, epoch, writes);
      await cluster.reconnect(leader, address);
      await more(writes);
      await cluster.settled();
    });
    await replacedOnce(leader, epoch);
    await told.check(cluster);
  });

  it('a router that loses its own network replaces no leader', async () => {
    const [leader, { epoch }] = [await cluster.leader(), await cluster.status()];
    const told = await underWrites(cluster, async (writes) => {
      const address = await cluster.address('router');
      await cluster.disconnect('router');
      // Longer than a leader may be unresponsive.
      await eventually('the loss is told', () => writes.refused.length + writes.unknown.size > 0, 30_000);
      assert.equal((await cluster.get('/health')).status, 503);
      await cluster.reconnect('router', address);
      await more(writes);
      await cluster.settled();
    });
    for (const answer of told.answers.keys()) {
      assert.match(answer, /^(200 (stream|local)|503 no_leader|504 outcome_unknown)$/);
    }
    const after = await cluster.status();
    assert.deepEqual([after.leader, after.epoch], [leader, epoch]);
    await told.check(cluster);
  });

  const replacedOnce = async (leader: RegionService, epoch: number): Promise<void> => {
    const after = await cluster.status();
    assert.notEqual(after.leader, leader);
    assert.equal(after.epoch, epoch + 1);
    await eventually('it follows', async () => (await cluster.region(leader)).role === 'follower');
  };
});
