/** POST /cluster/verify on real processes: at rest, under writes, through a drill, and against the slow recount. */
import assert from 'node:assert/strict';
import { covers, parsePosition } from '../../shared/protocol/position.ts';
import { Acknowledged } from '../harness/clients/acknowledged.ts';
import { Cluster } from '../harness/processes/cluster.ts';

interface Verified {
  readonly converged: boolean | null;
  readonly position: string | null;
  readonly digests: Readonly<Record<string, string>>;
  readonly reason?: string;
}

describe('verification of the regions', function () {
  this.timeout(90_000);
  let cluster: Cluster;

  before(async () => {
    cluster = await Cluster.start();
  });
  after(() => cluster?.stop());

  const verify = async (): Promise<Verified> => {
    const { status, body } = await cluster.post<Verified>('/cluster/verify', {});
    assert.equal(status, 200, JSON.stringify(body));
    return body;
  };

  it('an empty cluster is converged', async () => {
    const { converged, position } = await verify();
    assert.deepEqual([converged, position], [true, '']);
  });

  it('at rest it names the digest that a recount finds', async () => {
    const items = Array.from({ length: 300 }, (_, id) => ({ entity_id: id, metadata: { title: `item ${id}` } }));
    assert.equal((await cluster.post('/items', items)).status, 200);
    const signals = items.map(({ entity_id }) => ({ entity_id, signal: 'view', weight: 1 + (entity_id % 7) }));
    assert.equal((await cluster.post('/signals', signals)).status, 200);
    const recount = await cluster.converged();
    const { converged, digests } = await verify();
    assert.equal(converged, true);
    for (const name of cluster.regionNames) assert.equal(digests[name], recount, name);
  });

  it('while eight clients write it finds a position all regions passed, again and again', async () => {
    const told = new Acknowledged();
    let stopping = false;
    const clients = Array.from({ length: 8 }, async (_, client) => {
      while (!stopping) await told.view(cluster, client + 1_001);
    });
    try {
      for (let round = 0; round < 5; round++) {
        const before = parsePosition((await cluster.status()).regions[0]!.position);
        const { converged, position, reason } = await verify();
        assert.equal(converged, true, reason);
        const at = parsePosition(String(position));
        assert.ok(before !== undefined && at !== undefined && covers(at, before), 'it has what was there when asked');
      }
      assert.ok(told.count > 0, 'writes went on meanwhile');
    } finally {
      stopping = true;
      await Promise.all(clients);
    }
    await told.check(cluster);
  });

  it('a partitioned region is named; after the heal, and a restart, all are compared again', async () => {
    await cluster.post('/cluster/partition', { region: 'eu-west' });
    await cluster.post('/signals', { entity_id: 1, signal: 'like' });
    const during = await verify();
    assert.equal(during.converged, null);
    assert.match(during.reason ?? '', /eu-west is partitioned/);
    await cluster.post('/cluster/heal', { region: 'eu-west', wait: true });
    assert.equal((await verify()).converged, true);
    await cluster.kill('ap-south');
    await cluster.restart('ap-south');
    await cluster.settled();
    const { converged, digests } = await verify();
    assert.equal(converged, true);
    assert.equal(digests['ap-south'], await cluster.converged(), 'what was replayed is what was applied');
  });

  it('takes no fields, and no body at all', async () => {
    const unknown = await cluster.post('/cluster/verify', { region: 'eu-west' });
    assert.deepEqual([unknown.status, unknown.body.code], [400, 'unknown_field']);
    const bare = await fetch(`${cluster.url}/cluster/verify`, { method: 'POST' });
    assert.equal(bare.status, 200);
  });
});
