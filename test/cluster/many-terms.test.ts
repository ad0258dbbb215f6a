/**
 * A cluster after 2,000 terms of leadership, their batches long trimmed: it takes writes, answers reads at the positions it
 * returned, gets over an outage of NATS, and its regions return, emptied or behind the trimmed log.
 */
import assert from 'node:assert/strict';
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { loadSchema } from '../../services/region/schema/parse-schema.ts';
import type { RegionStatus } from '../../shared/protocol/internal.ts';
import { parsePosition } from '../../shared/protocol/position.ts';
import { checkAcknowledged } from '../checkers/acknowledged-writes.ts';
import { Acknowledged } from '../harness/clients/acknowledged.ts';
import { eventually } from '../harness/kernel/eventually.ts';
import { type Answer, Cluster, defaultRegions } from '../harness/processes/cluster.ts';
import { directoryOfOldOrigins } from '../harness/region/old-origins.ts';

const COUNT = 2_000;
const LIMIT_MS = 90_000;
const MEBIBYTE = 1024 * 1024;

interface Read {
  readonly position: string;
  readonly code?: string;
}

describe('a cluster after 2,000 terms', function () {
  this.timeout(400_000);
  let cluster: Cluster;
  const told = new Acknowledged();

  before(async () => {
    const schema = loadSchema(fileURLToPath(new URL('../../../deploy/config/default-schema.yaml', import.meta.url)));
    const env = {
      TIDAL_LOG_RETENTION_BYTES: String(MEBIBYTE),
      TIDAL_CHECKPOINT_EVENTS: '1000',
      TIDAL_CHECKPOINT_INTERVAL_MS: '1000',
      TIDAL_STREAM_MAX_BYTES: String(MEBIBYTE),
    };
    const main = 'services/region/main.js';
    cluster = await Cluster.start({
      mains: Object.fromEntries(defaultRegions.map((name) => [name, { main, env }])),
      fill: (dataDir) => directoryOfOldOrigins(dataDir, { count: COUNT, trimmed: true, schema }),
    });
  });
  after(() => cluster?.stop());

  const statusOf = async (region: string): Promise<RegionStatus> =>
    (await cluster.region<RegionStatus & Record<string, unknown>>(region, '/internal/status')).body;
  const read = (path: string): Promise<Answer<Read>> => cluster.get<Read>(path);
  const lines = (from: string, text: string): number =>
    cluster.process(from).lines.filter((line) => line.includes(text)).length;

  it('takes writes, and the position of a read or write is the next read’s min_position, in each region and each form', async () => {
    for (let count = 0; count < 20; count++) assert.equal(await told.view(cluster, 101 + (count % 4)), 200);
    const { body, status } = await read('/feed?profile=new&limit=1');
    assert.equal(status, 200);
    assert.equal(parsePosition(body.position)!.size, COUNT + 1);
    const last = told.acknowledgements.at(-1)!.position;
    for (const region of defaultRegions) {
      for (const token of [body.position, last]) {
        for (const query of [`min_position=${token}`, `min_position=${encodeURIComponent(token)}`]) {
          const answer = await read(`/feed?profile=new&limit=1&region=${region}&${query}`);
          assert.equal(answer.status, 200, JSON.stringify(answer.body).slice(0, 300));
          assert.ok(parsePosition(answer.body.position)!.size > COUNT);
        }
        const inHeader = await fetch(`${cluster.url}/feed?profile=new&limit=1&region=${region}`, {
          headers: { 'x-tidal-position': token },
        });
        assert.equal(inHeader.status, 200);
        await inHeader.arrayBuffer();
        const inBody = await cluster.post('/search', { query: 'x', region, min_position: token });
        assert.equal(inBody.status, 200);
      }
    }
    const beyond = body.position.replace(/(us-east@[a-z2-7]+):\d+/, '$1:999');
    const late = await read(`/feed?profile=new&limit=1&min_position=${beyond}`);
    assert.deepEqual([late.status, late.body.code], [504, 'position_not_reached']);
    assert.ok(JSON.stringify(late.body).length < 2_000);
  });

  it('NATS is killed and restarted: writes with durability stream are confirmed at once, and nothing is reported as unshipped', async () => {
    await cluster.nats.kill();
    for (let count = 0; count < 10; count++) assert.equal(await told.view(cluster, 101 + (count % 4)), 200);
    await cluster.nats.restart();
    await eventually('the stream is back', async () => (await statusOf('us-east')).streamConnected, LIMIT_MS);
    const startMs = performance.now();
    const signal = { entity_id: 200, signal: 'view' };
    await eventually(
      'a write with durability stream is confirmed',
      async () => (await cluster.post('/signals', signal, { prefer: 'durability=stream' })).status === 200,
      5_000,
    );
    assert.ok(performance.now() - startMs < 5_000);
    for (const region of defaultRegions) {
      await eventually('nothing is unshipped', async () => (await statusOf(region)).unshipped === 0, LIMIT_MS);
    }
  });

  // A region that has served a snapshot trims nothing for minutes, so this is first.
  it('a region that is behind what was trimmed, having trimmed 2,000 origins itself, returns by a snapshot', async () => {
    await cluster.kill('ap-south');
    const before = (await statusOf('us-east')).durable;
    const bulk = Array.from({ length: 5_000 }, (_, index) => ({ entity_id: 300 + (index % 50), signal: 'view' }));
    const [origin] = [...parsePosition(told.acknowledgements.at(-1)!.position)!.keys()] as [string];
    const from = parsePosition(before)!.get(origin)! + 1;
    await eventually(
      'what it lacks is trimmed',
      async () => {
        for (let count = 0; count < 10; count++) assert.equal((await cluster.post('/signals', bulk)).status, 200);
        const gone = await Promise.all(
          ['us-east', 'eu-west'].map((name) =>
            cluster.region(name, `/internal/log/${encodeURIComponent(origin)}?from=${from}`),
          ),
        );
        return gone.every(({ status }) => status === 410);
      },
      LIMIT_MS,
    );
    await cluster.restart('ap-south');
    await eventually(
      'a snapshot is installed',
      () => lines('ap-south', 'switched to the fetched store') === 1,
      LIMIT_MS,
    );
    await cluster.converged(LIMIT_MS);
    assert.ok(lines('ap-south', 'no peer keeps') >= 1);
  });

  it('so does an emptied one', async () => {
    await cluster.kill('eu-west');
    rmSync(join(cluster.directory, 'eu-west'), { recursive: true });
    await cluster.restart('eu-west');
    await eventually('it is ready', async () => (await statusOf('eu-west')).ready, LIMIT_MS);
    assert.equal(lines('eu-west', 'switched to the fetched store'), 1);
    await cluster.converged(LIMIT_MS);
  });

  it('the regions are compared, also while writes continue', async () => {
    let writing = true;
    const writes = (async () => {
      while (writing) await told.view(cluster, 101);
    })();
    const { status, body } = await cluster.post('/cluster/verify', {});
    writing = false;
    await writes;
    assert.equal(status, 200);
    assert.equal(body.converged, true, JSON.stringify(body).slice(0, 500));
    await checkAcknowledged(cluster, told);
  });
});
