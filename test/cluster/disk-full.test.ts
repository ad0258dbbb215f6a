/**
 * A region's disk is full, really: its data lies on a small file system of its own, which shrinks to what is
 * on it. Needs the right to mount (root on Linux).
 */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Acknowledged } from '../harness/clients/acknowledged.ts';
import { internalEnvironment } from '../harness/clients/internal.ts';
import { eventually } from '../harness/kernel/eventually.ts';
import { Cluster } from '../harness/processes/cluster.ts';
import { smallDiskObstacle } from '../harness/processes/small-disk.ts';

describe('the disk of a region is full', function () {
  this.timeout(120_000);
  let cluster: Cluster;
  const standard = readFileSync(new URL('../../../deploy/config/default-schema.yaml', import.meta.url), 'utf8');
  let schemas: string;

  before(async function () {
    if (smallDiskObstacle !== undefined) {
      if (process.env.CI !== undefined) throw new Error(smallDiskObstacle);
      console.log(`SKIPPED: ${smallDiskObstacle}`);
      this.skip();
    }
    schemas = mkdtempSync(join(tmpdir(), 'tidal-schemas-'));
    writeFileSync(join(schemas, 'schema.yaml'), standard);
    cluster = await Cluster.start({ schemaFile: join(schemas, 'schema.yaml'), smallDisks: ['us-east', 'eu-west'] });
  });
  after(async () => {
    await cluster?.stop();
    if (schemas !== undefined) rmSync(schemas, { recursive: true });
  });

  afterEach(() => {
    for (const name of ['us-east', 'eu-west']) cluster?.disk(name).makeRoom();
  });

  it('the leader’s: writes are refused and change nothing, reads continue; with free space again it accepts, without a restart', async () => {
    const told = new Acknowledged();
    const { pid } = cluster.process('us-east');
    for (let n = 0; n < 20; n++) assert.equal(await told.view(cluster, 1 + (n % 5)), 200);
    cluster.disk('us-east').leave(256 * 1024);
    let refused: Record<string, unknown> | undefined;
    let accepted = 0;
    for (let entity = 100; refused === undefined && entity < 400; entity++) {
      const { status, body } = await cluster.post('/items', {
        entity_id: entity,
        metadata: { note: 'x'.repeat(100_000) },
      });
      if (status === 200) accepted++;
      else {
        assert.equal(status, 507, JSON.stringify(body));
        refused = body;
      }
    }
    assert.equal(refused?.code, 'storage_full');
    assert.ok(accepted > 0, 'some were taken before');
    const before = await cluster.status();
    const { status, body } = await cluster.post('/items', { entity_id: 999, metadata: { note: 'y'.repeat(100_000) } });
    assert.deepEqual([status, body.code], [507, 'storage_full']);
    assert.equal((await cluster.get('/items/999')).status, 404);
    assert.equal((await cluster.get('/items/100')).status, 200);
    assert.equal((await cluster.get('/feed?profile=new')).status, 200);
    assert.equal((await cluster.status()).relay_log_len, before.relay_log_len);

    cluster.disk('us-east').makeRoom();
    await eventually('the leader accepts again', async () => (await told.view(cluster, 1)) === 200, 20_000);
    assert.ok(cluster.process('us-east').running && cluster.process('us-east').pid === pid, 'not restarted');
    await told.check(cluster);

    await cluster.kill('us-east');
    await cluster.restart('us-east');
    await cluster.settled();
    await told.check(cluster);
  });

  it('the leader’s: a planned promotion hands over everything, and it can lead again once there is free space', async () => {
    const told = new Acknowledged();
    for (let n = 0; n < 20; n++) assert.equal(await told.view(cluster, 900 + (n % 5)), 200);
    const before = await cluster.status();
    assert.equal(before.leader, 'us-east');
    cluster.disk('us-east').leave(0);
    // The store reuses its own pages: ever smaller writes, until a record of a hundred bytes finds no free space either.
    let status = 200;
    for (const size of [100_000, 10_000, 1_000, 10]) {
      status = 200;
      for (let entity = 1_000; status === 200 && entity < 4_000; entity++) {
        ({ status } = await cluster.post('/items', { entity_id: entity, metadata: { note: 'x'.repeat(size) } }));
      }
      assert.equal(status, 507, `items of ${size} characters`);
    }
    assert.equal((await cluster.get('/health')).status, 503);
    const promoted = await cluster.post('/cluster/promote', { region: 'eu-west' });
    assert.deepEqual([promoted.status, promoted.body.epoch], [200, before.epoch + 1], JSON.stringify(promoted.body));
    for (let n = 0; n < 20; n++) assert.equal(await told.view(cluster, 900 + (n % 5)), 200);
    const { regions } = await cluster.status();
    assert.equal(regions.find(({ name }) => name === 'us-east')?.role, 'follower');

    cluster.disk('us-east').makeRoom();
    await told.check(cluster);
    await eventually('it can lead again', async () => {
      return (await cluster.post('/cluster/promote', { region: 'us-east' })).status === 200;
    });
    assert.equal(await told.view(cluster, 900), 200);
    await told.check(cluster);
  });

  it('a follower’s: it falls behind and says so, the leader continues; with free space again it catches up, without a restart', async () => {
    const told = new Acknowledged();
    const { pid } = cluster.process('eu-west');
    cluster.disk('eu-west').leave(64 * 1024);
    for (let entity = 500; entity < 505; entity++) {
      const { status } = await cluster.post('/items', { entity_id: entity, metadata: { note: 'z'.repeat(100_000) } });
      assert.equal(status, 200);
    }
    for (let n = 0; n < 20; n++) assert.equal(await told.view(cluster, 510 + (n % 5)), 200);
    await eventually('the follower lags', async () => {
      const { regions } = await cluster.status();
      return regions.some(({ name, lag_events }) => name === 'eu-west' && lag_events > 0);
    });
    assert.equal((await cluster.get('/items/100?region=eu-west')).status, 200);
    const drill = await cluster.post('/cluster/partition', { region: 'eu-west' });
    assert.ok(drill.status === 200 || drill.body.code === 'storage_full', JSON.stringify(drill.body));
    await cluster.post('/cluster/heal', { region: 'eu-west' });
    cluster.disk('eu-west').makeRoom();
    await cluster.post('/cluster/heal', { region: 'eu-west' });
    await told.check(cluster);
    assert.ok(cluster.process('eu-west').running && cluster.process('eu-west').pid === pid, 'not restarted');
  });

  it('a follower that is started on a full disk serves reads, and catches up when there is free space', async () => {
    const told = new Acknowledged();
    await cluster.kill('eu-west');
    for (let n = 0; n < 20; n++) assert.equal(await told.view(cluster, 600 + (n % 5)), 200);
    cluster.disk('eu-west').leave(0);
    await cluster.restart('eu-west');
    await eventually(
      'the follower serves',
      async () => (await cluster.get('/items/100?region=eu-west')).status === 200,
    );
    cluster.disk('eu-west').makeRoom();
    await told.check(cluster);
  });

  it('a follower that is started on a full disk with a schema that has grown serves reads, and stores the schema when there is free space', async () => {
    const told = new Acknowledged();
    const grown = standard.replace(
      /^signals:\n/m,
      'signals:\n  applause: { half_life: 12h, sentiment: positive, windows: [1h, 24h, 7d, all] }\n',
    );
    assert.notEqual(grown, standard);
    await cluster.kill('eu-west');
    cluster.disk('eu-west').leave(0);
    writeFileSync(join(schemas, 'schema.yaml'), grown);
    await cluster.restart('eu-west');
    assert.equal((await cluster.get('/items/100?region=eu-west')).status, 200);
    const { body } = await cluster.region<{ signals: string[] }>('eu-west', '/internal/status');
    assert.ok(body.signals.includes('applause'));
    cluster.disk('eu-west').makeRoom();
    for (let n = 0; n < 20; n++) assert.equal(await told.view(cluster, 700 + (n % 5)), 200);
    await told.check(cluster);

    await cluster.kill('eu-west');
    writeFileSync(join(schemas, 'schema.yaml'), standard);
    await assert.rejects(cluster.restart('eu-west'), /applause/, 'what was accepted once is not given up');
    writeFileSync(join(schemas, 'schema.yaml'), grown);
    await cluster.restart('eu-west');
    await told.check(cluster);
  });

  it('a backup without free space at its target fails in one line, and leaves nothing', async () => {
    const to = join(cluster.directory, 'eu-west', 'backup');
    cluster.disk('eu-west').leave(16 * 1024);
    const main = fileURLToPath(new URL('../../deploy/backup/main.js', import.meta.url));
    // ap-south has space for the copy that it serves.
    const args = [main, '--region', 'ap-south', '--to', to, '--from-url', cluster.regionUrls.get('ap-south')!];
    const ended = spawnSync(process.execPath, args, {
      encoding: 'utf8',
      timeout: 60_000,
      env: { ...process.env, ...internalEnvironment },
    });
    assert.equal(ended.status, 1, ended.stderr);
    assert.match(ended.stderr, /^backup: .*the disk is full.*\n$/);
    assert.deepEqual([`${to}.part`, to, `${to}.json`].filter(existsSync), []);
    cluster.disk('eu-west').makeRoom();
    assert.equal(cluster.process('eu-west').running, true);
  });
});
