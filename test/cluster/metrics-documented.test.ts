/** docs/metrics.md and what router and regions really expose are the same list. (With NATS: test/containers.) */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { documentedMetrics, exposedMetrics, type MetricTypes } from '../checkers/documented-metrics.ts';
import { requestJson } from '../harness/clients/request-json.ts';
import { Cluster } from '../harness/processes/cluster.ts';

describe('docs/metrics.md', function () {
  this.timeout(60_000);
  let cluster: Cluster;

  before(async () => {
    cluster = await Cluster.start();
    await cluster.post('/items', { entity_id: 1, metadata: { title: 'Measured' } });
    await cluster.converged();
  });
  after(() => cluster?.stop());

  const documented = documentedMetrics(readFileSync(new URL('../../../docs/metrics.md', import.meta.url), 'utf8'));
  const text = async (url: string): Promise<string> => (await requestJson<string>(`${url}/metrics`)).body;

  /** Some of the standard metrics of a process are read from /proc. */
  const comparable = (metrics: MetricTypes): Record<string, string> =>
    Object.fromEntries(
      [...metrics].filter(([name]) => process.platform === 'linux' || !name.startsWith('process_')).sort(),
    );

  it('lists the router’s metrics, no more and no less', async () => {
    assert.deepEqual(comparable(exposedMetrics(await text(cluster.url))), comparable(documented.router));
  });

  it('lists a region’s metrics, no more and no less', async () => {
    for (const name of cluster.regionNames) {
      const exposed = exposedMetrics(await text(cluster.regionUrls.get(name)!));
      assert.deepEqual(comparable(exposed), comparable(documented.region), name);
    }
  });

  it('without a monitoring port of NATS there is no /metrics/nats', async () => {
    const { status, body } = await cluster.get('/metrics/nats');
    assert.equal(status, 404);
    assert.equal(body.code, 'unknown_route');
  });
});
