/**
 * Malformed messages and requests to a real nats-server and to the regions' own ports: the cluster continues to accept writes,
 * all regions have one state, also after restarts. And logs that hold such events already: set aside, the cluster continues.
 */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { storeDirectory } from '../../deploy/backup/data-dir.ts';
import { chainHash, splitMessage } from '../../services/region/batch/batch.ts';
import { openLmdbStore } from '../../services/region/store/lmdb-store.ts';
import { openLog } from '../../services/region/wal/log.ts';
import { systemClock as clock } from '../../shared/kernel/system.ts';
import { HLC_PER_MS } from '../../shared/protocol/events.ts';
import type { RegionStatus } from '../../shared/protocol/internal.ts';
import { regionOf } from '../../shared/protocol/position.ts';
import { connectJetStream } from '../../shared/stream/jetstream.ts';
import { internalHeaders, internalKeys } from '../harness/clients/internal.ts';
import { garbageFor, rawBatch, rawItem, rawSignal } from '../harness/hostile/garbage.ts';
import { eventually } from '../harness/kernel/eventually.ts';
import { silentLog } from '../harness/observe/silent-log.ts';
import { Cluster } from '../harness/processes/cluster.ts';
import { poisonedBatches } from '../harness/region/poisoned-log.ts';

describe('hostile messages', function () {
  this.timeout(240_000);
  let cluster: Cluster;
  let nats: ReturnType<typeof connectJetStream>;

  before(async () => {
    cluster = await Cluster.start();
    nats = connectJetStream({
      url: cluster.nats.url,
      name: 'nobody',
      clock,
      settings: { maxBytes: -1 },
      log: silentLog,
    });
    await eventually('the publisher is connected', () => nats.stream.connected);
  });

  after(async () => {
    await nats?.close();
    await cluster?.stop();
  });

  /** As a region with a bug would, or as a client without the internal secret. */
  const publish = async (origin: string, bytes: Uint8Array, way: 'signed' | 'forged' = 'signed'): Promise<void> => {
    const expected = (await nats.stream.lastOf(origin))?.sequence ?? 0;
    const mac = way === 'forged' ? undefined : internalKeys.macOf(regionOf(origin), bytes);
    await nats.stream.publish(origin, bytes, expected, mac);
  };
  const write = async (entity: number): Promise<string> => {
    const { status, body } = await cluster.post<{ position: string }>('/items', {
      entity_id: entity,
      metadata: { title: `item ${entity}` },
    });
    assert.equal(status, 200, JSON.stringify(body));
    return body.position;
  };
  const verified = (): Promise<void> =>
    eventually('all regions have one state', async () => {
      const { body } = await cluster.post('/cluster/verify', {});
      if (body.converged === false) throw new Error(JSON.stringify(body));
      return body.converged === true;
    });
  /** The origin the leader extends, and what its next batch would chain to. */
  const present = async (): Promise<{ origin: string; first: number; chain: Uint8Array }> => {
    const [origin = '', last = ''] = (await write(1)).split(':');
    const leader = cluster.regionUrls.get((await cluster.status()).leader)!;
    const response = await fetch(`${leader}/internal/log/${origin}?from=${last}`, { headers: internalHeaders });
    const bytes = splitMessage(new Uint8Array(await response.arrayBuffer())).at(-1)!;
    return { origin, first: Number(last) + 1, chain: chainHash(bytes) };
  };

  it('on the stream: the cluster accepts writes as usual, nothing of it is in any log, and its regions restart', async () => {
    const { origin, first, chain } = await present();
    const idle = 'eu-west@bbbbbbbbbbbbb';
    const own = { origin, first, chain, signals: ['view'] };
    const messages = [
      ...garbageFor({ origin, first, chain }),
      ...garbageFor({ origin: idle }),
      ...garbageFor({ origin: 'evil@aaaaaaaaaaaaa' }),
      { origin, bytes: rawBatch({ ...own, chain: new Uint8Array(16), events: [rawSignal(9_000)] }) },
      {
        origin,
        bytes: rawBatch({ ...own, first: 1, chain: new Uint8Array(16), events: [rawItem('{"a":1}'), rawItem('{}')] }),
      },
      { origin: 'evil@aaaaaaaaaaaaa', bytes: rawBatch({ origin: 'evil@aaaaaaaaaaaaa', events: [rawItem('null')] }) },
    ];
    let entity = 100;
    for (const [index, { origin: subject, bytes }] of messages.entries()) {
      await publish(subject, bytes);
      if (index % 10 === 0) await write(entity++);
    }
    await write(entity);
    await verified();
    const { body } = await cluster.get<{ status: string; notes: readonly string[] }>('/health');
    assert.equal(body.status, 'degraded', 'it is named');
    assert.ok(
      body.notes.some((note) => /eu-west refused \d+ messages/.test(note)),
      JSON.stringify(body.notes),
    );
    const position = (await cluster.status()).regions.map((region) => region.position).join();
    assert.doesNotMatch(position, /evil|bbbbbbbbbbbbb/);
    for (const name of cluster.regionNames) {
      await cluster.kill(name);
      await cluster.restart(name);
    }
    await cluster.settled(60_000);
    await write(entity + 1);
    await verified();
    for (const name of cluster.regionNames) {
      const { body: status } = await cluster.region<RegionStatus>(name, '/internal/status');
      assert.equal(status.stopped, undefined, `${name}: ${JSON.stringify(status.stopped)}`);
    }
  });

  it('what only its MAC betrays is refused and counted, on every origin, and writes continue', async () => {
    const { origin, first, chain } = await present();
    const leader = regionOf(origin);
    const followers = cluster.regionNames.filter((name) => name !== leader);
    const refusals = async (name: string): Promise<number> => {
      const text = await (await fetch(`${cluster.regionUrls.get(name)}/metrics`)).text();
      return Number(/^tidal_refused_batches_total\{.*reason="forged".*\} (\d+)$/m.exec(text)?.[1]);
    };
    const before = new Map<string, number>();
    for (const name of cluster.regionNames) before.set(name, await refusals(name));
    const { body: status } = await cluster.region<{ schemaHash: string }>('eu-west', '/internal/status');
    const epoch = (await cluster.status()).epoch;
    const forgery = (claim: { origin: string; first?: number; chain?: Uint8Array }): Uint8Array =>
      rawBatch({
        ...{ epoch, hlc: Date.now() * HLC_PER_MS, schemaHash: status.schemaHash, signals: ['view'] },
        events: [rawSignal(9_000, { entity: 999 })],
        ...claim,
      });
    const genuine = forgery({ origin, first, chain });
    await publish(origin, genuine, 'forged');
    for (const [index, name] of cluster.regionNames.entries()) {
      const other = `${name}@fffffffffffff`;
      const bytes = forgery({ origin: other });
      const mac = index === 0 ? internalKeys.macOf('mars', bytes) : index === 1 ? 'aaaaaaaa.aaaa' : undefined;
      await nats.stream.publish(other, bytes, 0, mac);
    }
    await eventually('every region has refused them', async () => {
      for (const name of cluster.regionNames) {
        if ((await refusals(name)) < before.get(name)! + (followers.includes(name) ? 4 : 3)) return false;
      }
      return true;
    });
    await write(3);
    await verified();
    assert.equal((await cluster.get('/items/999')).status, 404);
    const { body } = await cluster.get<{ signals?: unknown }>('/feed?profile=trending&limit=100');
    assert.doesNotMatch(JSON.stringify(body), /"entity_id":999/);
    const position = (await cluster.status()).regions.map((region) => region.position).join();
    assert.doesNotMatch(position, /fffffffffffff/);
  });

  it('to a region’s own port: 400 and nothing else', async () => {
    const epoch = (await cluster.status()).epoch;
    const bodies = [
      'null',
      '{"epoch":1,"atomic":true,"writes":[{"k":"d","e":1e400}]}',
      ...[
        { epoch, atomic: true, writes: [{ k: 'i', e: 77, m: null }] },
        { epoch, atomic: true, writes: [{ k: 'i', e: 77, m: { a: { b: 1 }, tags: [1, null] } }] },
        { epoch, atomic: true, writes: [{ k: 's', e: 77, s: 'view', w: 1e308 }] },
        { epoch, atomic: true, writes: [{ k: 's', e: -5, s: 'view', w: -7 }] },
        { epoch, atomic: true, writes: [null] },
        { epoch, atomic: true, writes: [{ k: 'x' }] },
        { epoch, atomic: true, writes: [{ k: 'd', e: 1, key: 5 }] },
        { atomic: true, writes: [{ k: 'd', e: 1 }] },
        { epoch: '1', atomic: true, writes: [{ k: 'd', e: 1 }] },
      ].map((body) => JSON.stringify(body)),
    ];
    for (const name of cluster.regionNames) {
      for (const route of ['writes', 'handover', 'partition', 'await', 'drain', 'quarantine']) {
        for (const body of bodies) {
          const { status } = await cluster.region(name, `/internal/${route}`, body);
          assert.equal(status, 400, `${name} ${route} ${body}`);
        }
      }
    }
    await write(2);
    await verified();
  });

  it('events that cannot be applied, in the logs of all regions: one command sets them aside everywhere, nothing else is lost', async () => {
    await write(3);
    await cluster.converged();
    const before = (await cluster.status()).relay_log_len;
    for (const name of cluster.regionNames) await cluster.process(name).end('SIGTERM');
    const origin = 'ap-south@ccccccccccccc';
    const poisoned = poisonedBatches(origin, Date.now() - 60_000);
    for (const name of cluster.regionNames) {
      const store = openLmdbStore({ path: storeDirectory(join(cluster.directory, name))! });
      await openLog({ store }).append({ batches: poisoned.all });
      await store.close();
    }
    await Promise.all(cluster.regionNames.map((name) => cluster.restart(name)));
    const stopped = async (): Promise<string> => {
      const { body } = await cluster.get<{ regions: readonly { stopped?: { code: string; detail: string } }[] }>(
        '/cluster/status',
      );
      return body.regions.map((region) => `${region.stopped?.code} ${region.stopped?.detail}`).join('\n');
    };
    await eventually('the status names the event in every region', async () => {
      return (await stopped()).split(`unappliable_event ${origin}:3 `).length === 4;
    });
    assert.equal((await cluster.get('/health')).status, 503);
    const early = await cluster.post('/cluster/quarantine', { origin: 'evil@aaaaaaaaaaaaa', sequence: 1 });
    assert.deepEqual([early.status, early.body.code], [404, 'unknown_region']);
    assert.equal((await cluster.post('/cluster/quarantine', { origin, sequence: 1.5 })).status, 400);
    assert.equal((await cluster.post('/cluster/quarantine', { origin, sequence: 9 })).body.code, 'unknown_event');
    for (const body of [
      { origin, sequence: 3 },
      { origin, sequence: 5 },
      { origin, sequence: 6, last: 7 },
    ]) {
      const answer = await cluster.post('/cluster/quarantine', body);
      assert.deepEqual([answer.status, answer.body.regions], [200, cluster.regionNames], JSON.stringify(answer.body));
    }
    await cluster.settled(60_000);
    await verified();
    assert.equal((await cluster.status()).relay_log_len, before + 8);
    const { body: list } = await cluster.get('/cluster/quarantine');
    assert.deepEqual(list, {
      regions: Object.fromEntries(cluster.regionNames.map((name) => [name, [`${origin}:3-3`, `${origin}:5-7`]])),
      same: true,
      not_reached: [],
    });
    const refused = await cluster.post('/cluster/quarantine', { origin, sequence: 8 });
    assert.deepEqual([refused.status, refused.body.code], [409, 'event_applied']);
    assert.equal((await cluster.get('/items/3')).status, 200, 'what was acknowledged is there');
    assert.equal((await cluster.get('/items/7')).status, 404);
    for (const name of cluster.regionNames) {
      await cluster.kill(name);
      await cluster.restart(name);
    }
    await cluster.settled(60_000);
    await write(4);
    await verified();
  });
});
