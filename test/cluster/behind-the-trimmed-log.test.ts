/**
 * A leader is isolated with acknowledged writes that no other region has, until the others and the stream have trimmed past its
 * position. It returns by a snapshot and keeps its tail (schedule 6). Whether the tail has left it before the copy is made, or is
 * appended to the copy, is a race here; `test/unit/region/snapshot/snapshot-merge.test.ts` holds the second.
 */
import assert from 'node:assert/strict';
import type { RegionStatus } from '../../shared/protocol/internal.ts';
import { parsePosition } from '../../shared/protocol/position.ts';
import { Acknowledged } from '../harness/clients/acknowledged.ts';
import { eventually } from '../harness/kernel/eventually.ts';
import { Cluster } from '../harness/processes/cluster.ts';

const LIMIT_MS = 90_000;
const MEBIBYTE = 1024 * 1024;

describe('a region returns behind the trimmed log', function () {
  this.timeout(400_000);
  let cluster: Cluster;
  const told = new Acknowledged();

  before(async () => {
    const env = {
      TIDAL_LOG_RETENTION_BYTES: String(MEBIBYTE),
      TIDAL_CHECKPOINT_EVENTS: '1000',
      TIDAL_CHECKPOINT_INTERVAL_MS: '1000',
      TIDAL_STREAM_MAX_BYTES: String(MEBIBYTE),
    };
    const main = 'services/region/main.js';
    cluster = await Cluster.start({
      mains: { 'us-east': { main, env }, 'eu-west': { main, env }, 'ap-south': { main, env } },
    });
  });
  after(() => cluster?.stop());

  const statusOf = async (region: string): Promise<RegionStatus> =>
    (await cluster.region<RegionStatus & Record<string, unknown>>(region, '/internal/status')).body;

  /** The lowest sequence from which a region keeps an origin, by asking it for the first one. */
  const keeps = async (region: string, origin: string, from: number): Promise<boolean> => {
    const answer = await cluster.region(region, `/internal/log/${encodeURIComponent(origin)}?from=${from}`);
    return answer.status !== 410;
  };

  it('by a snapshot, with its unshipped tail; everything acknowledged exists once', async () => {
    for (let count = 0; count < 40; count++) assert.equal(await told.view(cluster, 1 + (count % 8)), 200);
    await cluster.converged(LIMIT_MS);
    assert.equal((await cluster.post('/cluster/partition', { region: 'us-east' })).status, 200);
    // The isolated leader continues to accept: no other region has these.
    for (let count = 0; count < 24; count++) assert.equal(await told.view(cluster, 1 + (count % 8)), 200);
    const tail = await statusOf('us-east');
    assert.ok(Number(tail.unshipped) >= 24, `${tail.unshipped} unshipped`);
    assert.equal((await cluster.post('/cluster/promote', { region: 'eu-west', force: true })).status, 200);

    // First a few events to be trimmed, then enough to trim them, here and in the stream.
    for (let count = 0; count < 16; count++) assert.equal(await told.view(cluster, 1 + (count % 8)), 200);
    const [first] = [...parsePosition((await statusOf('eu-west')).durable)!.keys()].filter((origin) =>
      origin.startsWith('eu-west@'),
    );
    assert.ok(first !== undefined);
    const filler = 'x'.repeat(4_000);
    for (let round = 0; round < 6; round++) {
      const items = Array.from({ length: 250 }, (_, index) => ({
        entity_id: 100_000 + round * 250 + index,
        metadata: { title: `number ${index}`, filler },
      }));
      assert.equal((await cluster.post('/items', items)).status, 200);
    }
    for (const region of ['eu-west', 'ap-south']) {
      await eventually(`${region} has trimmed it`, async () => !(await keeps(region, first, 1)), LIMIT_MS);
    }
    assert.equal((await statusOf('us-east')).durable, tail.durable, 'it was away all the time');

    assert.equal((await cluster.post('/cluster/heal', { region: 'us-east' })).status, 200);
    const lines = (text: string): string[] => cluster.process('us-east').lines.filter((line) => line.includes(text));
    await eventually('it changes to a snapshot', () => lines('switched to the fetched store').length === 1, LIMIT_MS);
    assert.match(lines('snapshot needed')[0]!, /no peer keeps eu-west@/);
    await cluster.settled();
    await cluster.converged(LIMIT_MS);
    for (const region of cluster.regionNames) {
      const durable = parsePosition((await statusOf(region)).durable)!;
      for (const [origin, sequence] of parsePosition(tail.durable)!) {
        assert.ok((durable.get(origin) ?? 0) >= sequence, `${region} has ${origin} up to ${sequence}`);
      }
    }
    await told.check(cluster);
  });

  it('it starts again from what it changed to', async () => {
    await cluster.process('us-east').end('SIGTERM');
    await cluster.restart('us-east');
    await cluster.settled();
    await cluster.converged(LIMIT_MS);
    await told.check(cluster);
  });
});
