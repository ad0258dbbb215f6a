/** A leader whose log has reached its limit refuses writes with 507; reads continue; with a higher limit it accepts again. */
import assert from 'node:assert/strict';
import { Cluster } from '../harness/processes/cluster.ts';

describe('the log has reached its limit', function () {
  this.timeout(60_000);
  let cluster: Cluster;

  before(async () => {
    // 16 MiB is the smallest limit a region takes.
    const env = { TIDAL_LOG_MAX_BYTES: String(16 * 1024 * 1024) };
    cluster = await Cluster.start({ mains: { 'us-east': { main: 'services/region/main.js', env } } });
  });
  after(() => cluster?.stop());

  it('writes are refused and change nothing; reads continue; another leader accepts', async () => {
    const text = 'x'.repeat(100_000);
    let refused: Record<string, unknown> | undefined;
    let accepted = 0;
    for (let entity = 1; refused === undefined && entity < 400; entity++) {
      const { status, body } = await cluster.post('/items', { entity_id: entity, metadata: { note: text } });
      if (status === 200) accepted = entity;
      else {
        assert.equal(status, 507);
        refused = body;
      }
    }
    assert.equal(refused?.code, 'storage_full');
    const before = await cluster.status();
    assert.equal((await cluster.post('/signals', { entity_id: 1, signal: 'view' })).status, 507);
    assert.equal((await cluster.get('/items/1')).status, 200);
    const { relay_log_len } = await cluster.status();
    assert.equal(relay_log_len, before.relay_log_len);
    assert.equal(relay_log_len, accepted);
    const { status } = await cluster.post('/cluster/promote', { region: 'eu-west' });
    assert.equal(status, 200);
    assert.equal((await cluster.post('/signals', { entity_id: 1, signal: 'view' })).status, 200);
    await cluster.converged();
  });
});
