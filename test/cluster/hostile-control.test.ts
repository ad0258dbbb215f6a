/**
 * A client of the NATS server writes malformed records into the control bucket and changes settings of the stream; and a region
 * starts with an absurd record that an earlier release stored. The cluster continues, `/health` names it.
 */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { connect, headers, type NatsConnection } from 'nats';
import { createLmdbStoreHome } from '../../services/region/store/lmdb-store-home.ts';
import { openLog } from '../../services/region/wal/log.ts';
import { systemClock } from '../../shared/kernel/system.ts';
import { HLC_PER_MS } from '../../shared/protocol/events.ts';
import { regionOf } from '../../shared/protocol/position.ts';
import { MAC_HEADER } from '../../shared/stream/settings.ts';
import { subjectOf } from '../../shared/stream/stream.ts';
import { Acknowledged } from '../harness/clients/acknowledged.ts';
import { internalKeys } from '../harness/clients/internal.ts';
import { keepWriting } from '../harness/clients/keep-writing.ts';
import { rawBatch, rawSignal } from '../harness/hostile/garbage.ts';
import { hostileRecords } from '../harness/hostile/hostile-records.ts';
import { eventually } from '../harness/kernel/eventually.ts';
import { Cluster } from '../harness/processes/cluster.ts';

interface Health {
  readonly status: string;
  readonly notes: readonly string[];
}

/** `TIDAL_TEST_CONSUMERS` for more. */
const CONSUMERS = Number(process.env.TIDAL_TEST_CONSUMERS ?? 1_000);

describe('garbage in the control bucket', function () {
  this.timeout(180_000);
  let cluster: Cluster;
  let nats: NatsConnection;
  const told = new Acknowledged();

  before(async () => {
    cluster = await Cluster.start();
    nats = await connect({ servers: cluster.nats.url });
  });
  after(async () => {
    await nats?.close();
    await cluster?.stop();
  });

  const health = async (): Promise<Health> => (await cluster.get<Health & Record<string, unknown>>('/health')).body;
  const api = async (what: string, body: object = {}): Promise<Record<string, unknown>> =>
    (await nats.request(`$JS.API.${what}`, JSON.stringify(body), { timeout: 20_000 })).json();
  /** `as`: the key under whose MAC it is; null: without one. */
  const put = async (value: unknown, as: string | null = 'leadership'): Promise<void> => {
    const text = typeof value === 'string' ? value : JSON.stringify(value);
    const signature = headers();
    if (as !== null) signature.set(MAC_HEADER, internalKeys.controlMacOf(as, Buffer.from(text))!);
    const written = await nats.request('$KV.TIDAL_CONTROL.leadership', text, { timeout: 2_000, headers: signature });
    const { error } = written.json<{ error?: unknown }>();
    assert.equal(error, undefined);
  };
  const named = (reason: RegExp): Promise<void> =>
    eventually(`/health names ${reason}`, async () => (await health()).notes.some((note) => reason.test(note)));
  /** As an earlier release would have: stores a record on the disk of a region that is not running. */
  const remember = async (name: string, record: object): Promise<void> => {
    const home = createLmdbStoreHome({ path: join(cluster.directory, name), clock: systemClock });
    const wal = openLog({ store: home.open() });
    await wal.storeMark('leadership', record);
    await wal.close();
  };
  const inKey = async (): Promise<unknown> => {
    const { message } = await api('STREAM.MSG.GET.KV_TIDAL_CONTROL', {
      last_by_subj: '$KV.TIDAL_CONTROL.leadership',
    });
    const { data } = message as { data: string };
    return JSON.parse(Buffer.from(data, 'base64').toString('utf8'));
  };

  for (const [what, value, reason] of hostileRecords) {
    it(`${what}: writes continue, the health names it, the key is corrected, and a promotion works as usual`, async () => {
      const stop = keepWriting(cluster, told);
      const refused = told.refused.length;
      const before = await cluster.status();
      await put(value);
      await named(reason);
      await eventually('the key is put right', async () => {
        const record = (await inKey()) as { leader?: string; epoch?: number };
        return record.leader === before.leader && record.epoch === before.epoch;
      });
      await stop();
      assert.deepEqual(told.refused.slice(refused), []);
      const after = await cluster.status();
      assert.deepEqual([after.leader, after.epoch], [before.leader, before.epoch]);
      const target = before.leader === 'us-east' ? 'eu-west' : 'us-east';
      const promoted = await cluster.post('/cluster/promote', { region: target });
      assert.deepEqual([promoted.status, promoted.body.epoch], [200, before.epoch + 1], JSON.stringify(promoted.body));
      assert.equal(await told.view(cluster, 1), 200);
      await told.check(cluster);
    });
  }

  for (const [what, as, reason] of [
    ['without a MAC', null, /it carries no MAC/],
    ['with the MAC of another key', 'lease', /it carries a MAC that is not of a process of this cluster/],
  ] as const) {
    it(`a promotion that the cluster itself could have written, ${what}: no process follows it, and the key is corrected`, async () => {
      const stop = keepWriting(cluster, told);
      const refused = told.refused.length;
      const before = await cluster.status();
      const forged = { leader: 'ap-south', epoch: before.epoch + 1, nonce: 'abcdefghijklm' };
      await put(forged, as);
      await named(reason);
      // After those before it a router waits longer from one repair to the next.
      await eventually(
        'the key is put right',
        async () => {
          const record = (await inKey()) as { leader?: string; epoch?: number };
          return record.leader === before.leader && record.epoch === before.epoch;
        },
        60_000,
      );
      await stop();
      assert.deepEqual(told.refused.slice(refused), []);
      const after = await cluster.status();
      assert.deepEqual([after.leader, after.epoch], [before.leader, before.epoch]);
      await told.check(cluster);
    });
  }

  it('an earlier record of the cluster, with its MAC: it is replaced under a new epoch, as after a restored copy, and nothing is lost', async () => {
    const stop = keepWriting(cluster, told);
    const before = await cluster.status();
    assert.ok(before.epoch > 1);
    const other = before.leader === 'ap-south' ? 'us-east' : 'ap-south';
    await put({ leader: other, epoch: 1, nonce: 'abcdefghijklm' });
    await eventually(
      'a later epoch is in the key',
      async () => ((await inKey()) as { epoch?: number }).epoch! > before.epoch,
      120_000,
    );
    await stop();
    assert.equal(await told.view(cluster, 1), 200);
    await told.check(cluster);
  });

  for (const [what, epochOf] of [
    ['the largest epoch', () => Number.MAX_SAFE_INTEGER],
    ['an epoch a million and one above the known one', (known: number) => known + 1_000_001],
  ] as const) {
    it(`a batch of ${what} on the stream: it is refused and named, the epoch stays, and a promotion is as usual`, async () => {
      const stop = keepWriting(cluster, told);
      const refused = told.refused.length;
      const before = await cluster.status();
      const { body } = await cluster.region<{ schemaHash: string }>('eu-west', '/internal/status');
      const origin = `us-east@${'a'.repeat(12)}${epochOf(1) === Number.MAX_SAFE_INTEGER ? 'a' : 'b'}`;
      const bytes = rawBatch({
        origin,
        epoch: epochOf(before.epoch),
        hlc: Date.now() * HLC_PER_MS,
        schemaHash: body.schemaHash,
        signals: ['view'],
        events: [rawSignal(1_000, { entity: 9 })],
      });
      const signature = headers();
      signature.set(MAC_HEADER, internalKeys.macOf(regionOf(origin), bytes)!);
      const ack = (await nats.request(subjectOf(origin), bytes, { timeout: 2_000, headers: signature })).json<{
        error?: unknown;
      }>();
      assert.equal(ack.error, undefined);
      await named(new RegExp(`of ${origin}.*epoch ${epochOf(before.epoch)} is beyond`));
      await stop();
      assert.deepEqual(told.refused.slice(refused), []);
      const after = await cluster.status();
      assert.deepEqual([after.leader, after.epoch], [before.leader, before.epoch]);
      const target = before.leader === 'us-east' ? 'eu-west' : 'us-east';
      const promoted = await cluster.post('/cluster/promote', { region: target });
      assert.deepEqual([promoted.status, promoted.body.epoch], [200, before.epoch + 1], JSON.stringify(promoted.body));
      await told.check(cluster);
    });
  }

  it('settings of stream and bucket that were changed are named and put right, and writes reach the stream again', async () => {
    for (const [stream, change, reason] of [
      ['TIDAL_WAL', { max_msg_size: 10, max_bytes: 1_000 }, /max_msg_size of TIDAL_WAL is 10, not -1/],
      ['TIDAL_WAL', { discard: 'new' }, /discard of TIDAL_WAL is "new", not "old"/],
      ['KV_TIDAL_CONTROL', { max_msgs_per_subject: 1 }, /max_msgs_per_subject of KV_TIDAL_CONTROL is 1, not 16/],
    ] as const) {
      const { config } = await api(`STREAM.INFO.${stream}`);
      assert.equal((await api(`STREAM.UPDATE.${stream}`, { ...(config as object), ...change })).error, undefined);
      await named(reason);
      await eventually('all is well', async () => (await health()).status === 'ok', 90_000);
      const written = await cluster.post('/signals', { entity_id: 3, signal: 'view' });
      assert.deepEqual([written.status, written.body.durability], [200, 'stream'], JSON.stringify(written.body));
      told.acknowledge(3, written.body);
    }
    await told.check(cluster);
  });

  it('a setting that the server refuses to change is named while it lasts; recreating the stream loses nothing', async () => {
    const { config } = await api('STREAM.INFO.TIDAL_WAL');
    const { error } = await api('STREAM.UPDATE.TIDAL_WAL', { ...(config as object), deny_purge: true });
    assert.equal(error, undefined);
    await named(/deny_purge of TIDAL_WAL is true, not false; it cannot be put right: .+/);
    assert.equal(await told.view(cluster, 1), 200);
    assert.equal((await health()).status, 'degraded');
    // What the runbook says: the regions recreate it.
    assert.equal((await api('STREAM.DELETE.TIDAL_WAL')).error, undefined);
    await eventually('all is well', async () => (await health()).status === 'ok', 60_000);
    assert.equal(await told.view(cluster, 1), 200);
    await told.check(cluster);
  });

  it('a thousand consumers of another client: it is named, regions restart, and every write arrives', async () => {
    const create = async (index: number): Promise<void> => {
      const config = {
        durable_name: `intruder-${index}`,
        ack_policy: 'none',
        deliver_policy: 'all',
        mem_storage: true,
      };
      const request = { stream_name: 'TIDAL_WAL', config };
      const { error } = await api(`CONSUMER.DURABLE.CREATE.TIDAL_WAL.intruder-${index}`, request);
      assert.equal(error, undefined);
    };
    for (let first = 0; first < CONSUMERS; first += 100) {
      await Promise.all(Array.from({ length: 100 }, (_, index) => create(first + index)));
    }
    await named(/TIDAL_WAL has more than 100 consumers/);
    const { leader } = await cluster.status();
    const follower = cluster.regionNames.find((region) => region !== leader)!;
    const { ownEnds } = cluster.process(follower);
    await cluster.kill(follower);
    for (let count = 0; count < 20; count += 1) assert.equal(await told.view(cluster, 1 + (count % 5)), 200);
    await cluster.restart(follower);
    const ready = async (): Promise<boolean> => (await cluster.region(follower, '/health/ready')).status === 200;
    await eventually('the region is ready', ready, 60_000);
    await told.check(cluster);
    assert.deepEqual(ownEnds, []);
    for (let first = 0; first < CONSUMERS; first += 100) {
      await Promise.all(
        Array.from({ length: 100 }, (_, index) => api(`CONSUMER.DELETE.TIDAL_WAL.intruder-${first + index}`)),
      );
    }
    await eventually('all is well', async () => (await health()).status === 'ok', 60_000);
  });

  it('a region starts with an absurd record that an earlier release stored: it refuses it, and takes the cluster’s', async () => {
    const { leader, epoch } = await cluster.status();
    const name = cluster.regionNames.find((region) => region !== leader)!;
    await cluster.kill(name);
    await remember(name, { leader: name, epoch: Number.MAX_SAFE_INTEGER, nonce: 'absurd' });
    await cluster.restart(name);
    await named(new RegExp(`${name}: .*the record on the disk of ${name}.*epoch 9007199254740991 is beyond`));
    await eventually('it knows who leads', async () => {
      const { body } = await cluster.region<{ leadership?: { leader: string; epoch: number } }>(
        name,
        '/internal/status',
      );
      return body.leadership?.leader === leader && body.leadership.epoch === epoch;
    });
    const promoted = await cluster.post('/cluster/promote', { region: name });
    assert.deepEqual([promoted.status, promoted.body.epoch], [200, epoch + 1], JSON.stringify(promoted.body));
    await told.check(cluster);
  });

  it('every region and the key hold an absurd record: the first leader leads again by itself, and the runbook’s step names another one', async () => {
    assert.equal(await told.view(cluster, 1), 200);
    const before = await cluster.status();
    for (const name of cluster.regionNames) await cluster.kill(name);
    for (const name of cluster.regionNames) await remember(name, { leader: 'eu-west', epoch: 2 ** 53 - 1, nonce: 'z' });
    await put({ leader: 'eu-west', epoch: 2 ** 53 - 1, nonce: 'z' });
    // A router remembers the record it has seen; one that has just started knows what the regions say.
    await cluster.kill('router');
    for (const name of [...cluster.regionNames, 'router']) await cluster.restart(name);
    await eventually('it takes writes', async () => (await cluster.get('/health')).status === 200, 60_000);
    const after = await cluster.status();
    assert.equal(after.leader, 'us-east');
    assert.ok(
      after.epoch > before.epoch && after.epoch < before.epoch + 10,
      `epoch ${after.epoch} after ${before.epoch}`,
    );
    const promoted = await cluster.post('/cluster/promote', { region: 'eu-west' });
    assert.deepEqual([promoted.status, promoted.body.epoch], [200, after.epoch + 1], JSON.stringify(promoted.body));
    assert.equal(await told.view(cluster, 1), 200);
    await told.check(cluster);
  });
});
