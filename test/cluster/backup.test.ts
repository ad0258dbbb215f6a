/** A backup of a running and of a stopped region, its check, and its way back, by the programs an operator runs. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { AbsentDisk } from '../../services/router/cluster/cluster.ts';
import type { RegionStatus } from '../../shared/protocol/internal.ts';
import { Acknowledged } from '../harness/clients/acknowledged.ts';
import { internalEnvironment } from '../harness/clients/internal.ts';
import { keepWriting } from '../harness/clients/keep-writing.ts';
import { eventually } from '../harness/kernel/eventually.ts';
import { Cluster, type StatusRegion } from '../harness/processes/cluster.ts';

interface Ended {
  readonly code: number;
  readonly output: string;
}

function run(program: 'main' | 'restore', args: readonly string[]): Promise<Ended> {
  const main = fileURLToPath(new URL(`../../deploy/backup/${program}.js`, import.meta.url));
  return new Promise((resolve) => {
    execFile(
      process.execPath,
      [main, ...args],
      { timeout: 120_000, env: { ...process.env, ...internalEnvironment } },
      (error, stdout, stderr) => {
        resolve({ code: error === null ? 0 : Number(error.code ?? 1), output: stdout + stderr });
      },
    );
  });
}

describe('backup and restore', function () {
  this.timeout(240_000);
  let cluster: Cluster;
  let directory: string;
  const told = new Acknowledged();
  const file = (name: string): string => join(directory, name);
  const dataDir = (region: string): string => join(cluster.directory, region);

  before(async () => {
    cluster = await Cluster.start();
    directory = mkdtempSync(join(tmpdir(), 'tidal-backups-'));
    for (let count = 0; count < 40; count++) await told.view(cluster, 1 + (count % 8));
    await cluster.post('/items', { entity_id: 1, metadata: { title: 'kept' } });
    await cluster.converged();
  });
  after(async () => {
    await cluster?.stop();
    rmSync(directory, { recursive: true, force: true });
  });

  it('of a running region while writes continue; the check finds it whole', async () => {
    const stop = keepWriting(cluster, told);
    const url = cluster.regionUrls.get('eu-west')!;
    const taken = await run('main', ['--region', 'eu-west', '--to', file('live'), '--from-url', url]);
    await stop();
    assert.equal(taken.code, 0, taken.output);
    assert.match(taken.output, /\d+ of \d+ bytes/);
    const manifest = JSON.parse(readFileSync(file('live.json'), 'utf8')) as Record<string, unknown>;
    assert.deepEqual([manifest.region, manifest.format], ['eu-west', 'tidaldb-backup-1']);
    const { body } = await cluster.region<RegionStatus & Record<string, unknown>>('eu-west', '/internal/status');
    assert.equal(manifest.schema_hash, body.schemaHash);
    const checked = await run('main', ['verify', '--from', file('live')]);
    assert.equal(checked.code, 0, checked.output);
    assert.match(checked.output, /is whole: region eu-west/);
    assert.deepEqual(readdirSync(directory).sort(), ['live', 'live.json'], 'nothing else is left');
  });

  it('the address is read from the topology if none is given', async () => {
    const topology = join(cluster.directory, 'topology.yaml');
    const taken = await run('main', ['--region', 'us-east', '--to', file('by-topology'), '--topology', topology]);
    assert.equal(taken.code, 0, taken.output);
  });

  it('says what cannot be: a running region’s directory, another region’s address, a file that exists, unknown arguments', async () => {
    const url = cluster.regionUrls.get('eu-west')!;
    for (const [args, says] of [
      [
        ['--region', 'eu-west', '--to', file('x'), '--data-dir', dataDir('eu-west')],
        /in use by process \d+: stop that region/,
      ],
      [
        ['--region', 'us-east', '--to', file('x'), '--from-url', url],
        /the address of us-east answers as the region eu-west/,
      ],
      [['--region', 'eu-west', '--to', file('live'), '--from-url', url], /exists already/],
      [['--region', 'eu-west', '--to', file('x'), '--from-url', url, '--data-dir', '/x'], /give one of them/],
      [['--region', 'eu-west', '--to', file('x'), '--data-dir', directory], /holds no region's store/],
      [['--to', file('x')], /--region is required/],
      [['--colour', 'red'], /--colour/],
      [['verify', '--from', file('x')], /does not exist/],
    ] as const) {
      const { code, output } = await run('main', args);
      assert.match(output, says);
      assert.equal(code, 2, output);
    }
    assert.ok(!existsSync(file('x')) && !existsSync(file('x.part')));
    const restored = await run('restore', ['--from', file('live'), '--data-dir', dataDir('eu-west'), '--replace']);
    assert.match(restored.output, /in use by process \d+/);
    assert.equal(restored.code, 2);
    const refused = await run('restore', ['--from', file('live'), '--data-dir', dataDir('eu-west')]);
    assert.match(refused.output, /is not empty; --replace/);
    assert.equal((await cluster.region('eu-west', '/internal/status')).status, 200, 'it runs on as before');
    assert.equal((await run('main', ['--help'])).code, 0);
    assert.equal((await run('restore', ['--help'])).code, 0);
  });

  it('one damaged byte, a truncated end and another manifest are found, and nothing of it is restored', async () => {
    const whole = readFileSync(file('live'));
    const manifest = readFileSync(file('live.json'), 'utf8');
    const damaged = Buffer.from(whole);
    damaged[Math.floor(damaged.length / 2)]! ^= 1;
    const other = JSON.stringify({ ...(JSON.parse(manifest) as object), position: 'us-east@aaaaaaaaaa:1' });
    for (const [bytes, text, says] of [
      [damaged, manifest, /has a checksum mismatch: its SHA-256/],
      [whole.subarray(0, -1), manifest, /has \d+ bytes, not \d+/],
      [whole, other, /position is/],
    ] as const) {
      writeFileSync(file('damaged'), bytes);
      writeFileSync(file('damaged.json'), text);
      const checked = await run('main', ['verify', '--from', file('damaged')]);
      assert.match(checked.output, says);
      assert.equal(checked.code, 1);
      const restored = await run('restore', ['--from', file('damaged'), '--data-dir', file('nowhere')]);
      assert.match(restored.output, says);
      assert.equal(restored.code, 1);
      assert.ok(!existsSync(file('nowhere')));
    }
  });

  it('is restored from a stopped region’s directory, in place of its store, and the region catches up', async () => {
    await cluster.process('eu-west').end('SIGTERM');
    const args = ['--region', 'eu-west', '--to', file('cold'), '--data-dir', dataDir('eu-west')];
    const taken = await run('main', args);
    assert.equal(taken.code, 0, taken.output);
    for (let count = 0; count < 16; count++) assert.equal(await told.view(cluster, 1 + (count % 8)), 200);
    const { disk } = (await cluster.status()).regions.find(({ name }) => name === 'eu-west')!;
    assert.match(String(disk), /^[a-z2-7]{13}$/);
    const restored = await run('restore', ['--from', file('live'), '--data-dir', dataDir('eu-west'), '--replace']);
    assert.equal(restored.code, 0, restored.output);
    const names = readdirSync(dataDir('eu-west'));
    assert.ok(names.length === 2 && names.includes('CURRENT'), `only the restored store is left: ${names.join(', ')}`);
    assert.doesNotMatch(restored.output, /retire-disk|warning/, 'the store it was made of is the one that is gone');
    await cluster.restart('eu-west');
    await cluster.settled();
    await told.check(cluster);
    const { regions, absent_disks } = await cluster.status();
    assert.equal(regions.find(({ name }) => name === 'eu-west')!.disk, disk, 'what replaces a store has its disk');
    assert.deepEqual(absent_disks, []);
  });

  it('a backup of one region starts another one, under its own name', async () => {
    await cluster.process('ap-south').end('SIGTERM');
    rmSync(dataDir('ap-south'), { recursive: true });
    const args = ['--from', file('cold'), '--data-dir', dataDir('ap-south'), '--region', 'ap-south'];
    const restored = await run('restore', args);
    assert.equal(restored.code, 0, restored.output);
    await cluster.restart('ap-south');
    await cluster.settled();
    await told.check(cluster);
  });

  it('a disk that was lost is named until an operator retires it; one that a region runs on is not retired', async () => {
    const retire = (disk: unknown) => cluster.post('/cluster/retire-disk', { disk });
    let regions: readonly StatusRegion[] = [];
    let absent: readonly AbsentDisk[] = [];
    await eventually('every region knows how far the disk is known that lay in the removed directory', async () => {
      const status = await cluster.status();
      regions = status.regions;
      absent = status.absent_disks;
      return absent.length > 0 && absent.every(({ known_until }) => known_until !== null);
    });
    assert.deepEqual(
      absent.map(({ region }) => region),
      ['ap-south'],
    );
    const [{ disk, known_until }] = absent as [AbsentDisk];
    assert.ok(!regions.some((region) => region.disk === disk));
    assert.ok(Date.parse(String(known_until)) > 0);
    for (const region of regions) {
      const refused = await retire(region.disk);
      assert.deepEqual([refused.status, refused.body.code], [409, 'disk_in_use']);
    }
    for (const [wrong, status, code] of [
      ['nosuchdisk234', 404, 'unknown_disk'],
      ['No Disk', 400, 'invalid_request'],
      [undefined, 400, 'invalid_request'],
    ] as const) {
      const refused = await retire(wrong);
      assert.deepEqual([refused.status, refused.body.code], [status, code]);
    }
    for (let time = 0; time < 2; time++) {
      const { status, body } = await retire(disk);
      assert.equal(status, 200, JSON.stringify(body));
      assert.deepEqual([body.disk, body.region, body.not_reached], [disk, 'ap-south', []]);
      assert.ok((body.retired_by as string[]).length > 0);
    }
    assert.deepEqual((await cluster.status()).absent_disks, []);
    await eventually('all regions know', async () => {
      const statuses = await Promise.all(
        cluster.regionNames.map((name) => cluster.region<RegionStatus>(name, '/internal/status')),
      );
      return statuses.every(({ body }) => body.disks?.find(({ id }) => id === disk)?.retired === true);
    });
  });

  it('a backup of more than eight days that may hold what no other region had is restored with a warning', async () => {
    const manifest = JSON.parse(readFileSync(file('cold.json'), 'utf8')) as Record<string, unknown>;
    const created = new Date(Date.now() - 9 * 86_400_000).toISOString();
    for (const [name, unshipped_events, warns] of [
      ['unknown', undefined, /warning: it is 9 days old and may hold events that no other region had/],
      ['some', 3, /warning: it is 9 days old and holds 3 events/],
      ['none', 0, undefined],
    ] as const) {
      writeFileSync(file('cold.json'), JSON.stringify({ ...manifest, created, unshipped_events }));
      const restored = await run('restore', ['--from', file('cold'), '--data-dir', file(name)]);
      assert.equal(restored.code, 0, restored.output);
      if (warns === undefined) assert.doesNotMatch(restored.output, /warning/);
      else assert.match(restored.output, warns);
      assert.match(restored.output, /it was made of the disk [a-z2-7]{13}: if that one will not come back/);
    }
  });
});
