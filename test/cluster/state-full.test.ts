/**
 * A leader whose state has reached its limit refuses writes that would add to it; everything else continues, and followers apply
 * it.
 */
import assert from 'node:assert/strict';
import { requestJson } from '../harness/clients/request-json.ts';
import { Cluster } from '../harness/processes/cluster.ts';

describe('the state has reached its limit', function () {
  this.timeout(60_000);
  let cluster: Cluster;

  before(async () => {
    const main = 'services/region/main.js';
    cluster = await Cluster.start({
      mains: {
        'us-east': { main, env: { TIDAL_MAX_ENTITIES: '4', TIDAL_MAX_PAIRS: '6' } },
        // A follower with smaller limits applies what the leader accepts.
        'eu-west': { main, env: { TIDAL_MAX_ENTITIES: '1', TIDAL_MAX_PAIRS: '1', TIDAL_MAX_MEMORY_BYTES: '1' } },
      },
    });
  });
  after(() => cluster?.stop());

  const view = (entity_id: number) => ({ entity_id, signal: 'view' });
  const signal = (entity: number) => cluster.post('/signals', view(entity));

  it('single writes are refused one by one, a bulk whole, and a refused request changes nothing', async () => {
    const entities = [1, 2, 3, 4, 5, 6];
    const first = await Promise.all(entities.map(signal));
    const refused = first.filter(({ status }) => status !== 200);
    assert.equal(refused.length, 2);
    for (const { status, body } of refused) assert.deepEqual([status, body.code], [507, 'state_full']);
    assert.match(String(refused[0]!.body.detail), /^us-east has 4 of at most 4 entities; the request would add 1$/);
    assert.match(String(refused[0]!.body.hint), /TIDAL_MAX_ENTITIES/);

    const before = await cluster.status();
    const known = entities.filter((_, index) => first[index]!.status === 200);
    const bulk = await cluster.post('/signals', [...known.map(view), view(7)]);
    assert.deepEqual([bulk.status, bulk.body.code], [507, 'state_full']);
    const items = [...known, 7].map((entity_id) => ({ entity_id, metadata: { title: 'x' } }));
    assert.equal((await cluster.post('/items', items)).status, 507);
    assert.equal((await cluster.status()).relay_log_len, before.relay_log_len);
    assert.equal((await cluster.get(`/items/${known[0]}`)).status, 404);

    assert.equal((await cluster.post('/signals', known.map(view))).status, 200);
    assert.equal((await cluster.post('/items', items.slice(0, -1))).status, 200);
    const more = ['like', 'like', 'share', 'like'];
    const pairs = await cluster.post(
      '/signals',
      more.map((name, index) => ({ entity_id: known[index < 2 ? index : 0]!, signal: name })),
    );
    assert.match(
      String(pairs.body.detail),
      /^us-east has 4 of at most 6 \(item, signal\) pairs; the request would add 3$/,
    );
    assert.equal((await requestJson(`${cluster.url}/items/${known[0]}`, { method: 'DELETE' })).status, 200);
    await cluster.converged();
  });
});
