/**
 * Small retention, frequent checkpoints: the log's beginning is trimmed, a region killed at any point of a checkpoint run starts
 * from its shards and replays only the tail, and all regions still have the same bits and every acknowledged write once.
 */
import assert from 'node:assert/strict';
import { setTimeout as pause } from 'node:timers/promises';
import { positionOf } from '../../shared/protocol/position.ts';
import { eventually } from '../harness/kernel/eventually.ts';
import { seededRandom } from '../harness/kernel/seeded-random.ts';
import { Cluster } from '../harness/processes/cluster.ts';

const EVENTS = 60_000;
const BULK = 1_000;
const ENTITIES = 100;
const KILLS = 3;
const RETENTION_BYTES = 1024 * 1024;

describe('checkpoints and trimming on real processes', function () {
  this.timeout(600_000);
  let cluster: Cluster;
  const seed = Date.now() % 1_000_000;
  const random = seededRandom(seed);
  const below = (limit: number): number => {
    const [a, b, c] = random.bytes(3);
    return (a! + 256 * b! + 65_536 * c!) % limit;
  };
  const counts = new Map<number, number>();

  before(async () => {
    const env = {
      TIDAL_LOG_RETENTION_BYTES: String(RETENTION_BYTES),
      TIDAL_CHECKPOINT_EVENTS: '5000',
      TIDAL_CHECKPOINT_INTERVAL_MS: '2000',
    };
    const main = 'services/region/main.js';
    const mains = { 'us-east': { main, env }, 'eu-west': { main, env }, 'ap-south': { main, env } };
    cluster = await Cluster.start({ mains });
  });
  after(() => cluster?.stop());

  /** One bulk under a key, sent again until its outcome is known. */
  async function write(bulk: number): Promise<void> {
    const entities = Array.from({ length: BULK }, () => 1 + below(ENTITIES));
    const body = entities.map((entity_id) => ({ entity_id, signal: 'view' }));
    await eventually(
      'the bulk is taken',
      async () => {
        const { status } = await cluster.post('/signals', body, { 'idempotency-key': `bulk-${seed}-${bulk}` });
        return status === 200;
      },
      60_000,
    );
    for (const entity of entities) counts.set(entity, (counts.get(entity) ?? 0) + 1);
  }

  async function metric(region: string, name: string): Promise<number> {
    const { body } = await cluster.region<string>(region, '/metrics');
    const line = String(body)
      .split('\n')
      .find((one) => one.startsWith(`${name}{`) || one.startsWith(`${name} `));
    return Number(line?.split(' ').at(-1));
  }

  /** The newest start's line, of an origin's whole log. */
  function replayed(region: string): { events: number; after: number; shards: number } {
    const line = cluster.process(region).lines.findLast((one) => one.includes('log replayed'));
    const number = (field: string): number => Number(new RegExp(`"?${field}"?[=:]\\s*(\\d+)`).exec(line ?? '')?.[1]);
    return { events: number('events'), after: number('after'), shards: number('shards') };
  }

  it(`writes ${EVENTS} events, kills followers in the middle of checkpoint runs, and trims (seed ${seed})`, async () => {
    let bulk = 0;
    let stopping = false;
    const killer = (async () => {
      for (let kill = 0; kill < KILLS; kill++) {
        const victim = ['eu-west', 'ap-south'][kill % 2]!;
        const { lines } = cluster.process(victim);
        const from = lines.length;
        await eventually(
          `${victim} writes checkpoints`,
          () => lines.slice(from).some((line) => line.includes('checkpoint written')),
          60_000,
        );
        // Checkpoint runs follow one another within a few seconds while writes continue.
        await pause(below(1_500));
        await cluster.kill(victim);
        await cluster.restart(victim);
        const { after, shards } = replayed(victim);
        assert.ok(after > 0 && shards > 50, `${victim}: ${shards} shards, ${after} events before the tail`);
      }
    })();
    const killed = killer.finally(() => {
      stopping = true;
    });
    killed.catch(() => undefined);
    // Writes continue until the last one was killed.
    while (bulk < EVENTS / BULK || !stopping) await write(bulk++);
    await killed;
    await cluster.converged(120_000);
    for (const name of cluster.regionNames) {
      await eventually(
        `the log of ${name} is trimmed`,
        async () => (await metric(name, 'tidal_log_bytes')) <= RETENTION_BYTES,
        60_000,
      );
      assert.ok(
        cluster.process(name).lines.some((line) => line.includes('log trimmed')),
        `${name} trimmed`,
      );
    }
  });

  it('the leader killed as well: every region restarts from its shards and the tail, and shows what was acknowledged', async () => {
    const digest = await cluster.converged();
    for (const name of cluster.regionNames) {
      await eventually(
        `${name} has written its last checkpoint`,
        async () => (await metric(name, 'tidal_checkpoint_behind_events')) === 0,
        30_000,
      );
      await cluster.kill(name);
      await cluster.restart(name);
      const { events, after, shards } = replayed(name);
      assert.equal(events, 0, `${name} replays nothing`);
      assert.ok(after >= EVENTS && shards > 50, `${name}: ${after} events before the tail, ${shards} shards`);
    }
    await cluster.settled();
    assert.equal(await cluster.converged(), digest);
    const sample = Array.from({ length: 40 }, () => 1 + below(ENTITIES));
    for (const entity of sample) {
      await cluster.post('/items', { entity_id: entity, metadata: { title: `item ${entity}` } });
    }
    await cluster.converged();
    for (const entity of sample) {
      const { body } = await cluster.get<{ signals: { view?: { all: number } } }>(`/items/${entity}?region=ap-south`);
      assert.equal(body.signals.view?.all ?? 0, counts.get(entity) ?? 0, `entity ${entity}`);
    }
    // The leader that was killed has opened another origin since: the one with the bulks is longer.
    const position = positionOf((await cluster.status()).regions[0]!.position);
    const [origin] = [...position].sort(([, a], [, b]) => b - a)[0]!;
    const { status, body } = await cluster.region<{ code: string }>('us-east', `/internal/log/${origin}?from=1`);
    assert.deepEqual([status, body.code], [410, 'log_trimmed']);
  });
});
