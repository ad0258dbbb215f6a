/** A region whose schema lacks what the log uses stops there and says so; upgraded, it continues and misses nothing. */
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { eventually } from '../harness/kernel/eventually.ts';
import { Cluster } from '../harness/processes/cluster.ts';
import { NodeProcess } from '../harness/processes/node-process.ts';

describe('a region with an older schema', function () {
  this.timeout(60_000);
  let cluster: Cluster;
  let directory: string;
  const standard = readFileSync(new URL('../../../deploy/config/default-schema.yaml', import.meta.url), 'utf8');

  before(async () => {
    directory = mkdtempSync(join(tmpdir(), 'tidal-schema-'));
    const newer = standard.replace(
      /^signals:\n/m,
      'signals:\n  applause: { half_life: 12h, sentiment: positive, windows: [1h, 24h, 7d, all] }\n',
    );
    assert.notEqual(newer, standard);
    writeFileSync(join(directory, 'newer.yaml'), newer);
    writeFileSync(join(directory, 'older.yaml'), standard);
    cluster = await Cluster.start({ schemaFile: join(directory, 'newer.yaml') });
  });
  after(async () => {
    await cluster?.stop();
    rmSync(directory, { recursive: true, force: true });
  });

  /** Restarts a region on a new, empty directory: an older schema on a log written under a newer one is refused. */
  const withSchema = (name: string, file: string, data: string): NodeProcess =>
    new NodeProcess({
      name,
      main: 'services/region/main.js',
      flags: [
        '--region',
        name,
        '--listen',
        new URL(cluster.regionUrls.get(name)!).host,
        '--schema',
        join(directory, file),
        '--topology',
        join(cluster.directory, 'topology.yaml'),
        '--nats',
        cluster.nats.url,
        '--data-dir',
        join(directory, data),
      ],
    });

  it('stops at the batch it cannot read, lag visible, nothing skipped; upgraded it catches up', async () => {
    await cluster.kill('ap-south');
    const older = withSchema('ap-south', 'older.yaml', 'data');
    await older.start();
    try {
      await eventually(
        'it is caught up',
        async () => (await cluster.region('ap-south', '/health/ready')).status === 200,
      );
      await cluster.post('/items', { entity_id: 1, metadata: { title: 'One' } });
      await cluster.converged();
      const { status } = await cluster.post('/signals', { entity_id: 1, signal: 'applause' });
      assert.equal(status, 200);
      await cluster.post('/signals', { entity_id: 1, signal: 'view' });
      await eventually('it says that it stopped', async () => {
        const { body } = await cluster.region('ap-south', '/internal/status');
        return (body.stopped as { code: string } | undefined)?.code === 'schema_behind';
      });
      const behind = (await cluster.status()).regions.find(({ name }) => name === 'ap-south');
      assert.equal(behind?.lag_events, 2, 'neither the batch nor what follows was taken');
    } finally {
      await older.end('SIGTERM');
    }
    const upgraded = withSchema('ap-south', 'newer.yaml', 'data');
    await upgraded.start();
    try {
      await cluster.converged();
    } finally {
      await upgraded.end('SIGTERM');
    }
  });

  it('a schema that changes the meaning of a name is refused at start, by name', async () => {
    writeFileSync(
      join(directory, 'changed.yaml'),
      readFileSync(join(directory, 'newer.yaml'), 'utf8').replace('half_life: 12h', 'half_life: 77h'),
    );
    const changed = withSchema('ap-south', 'changed.yaml', 'data');
    try {
      await assert.rejects(changed.start(), /signals\.applause\.half_life/);
    } finally {
      assert.equal(await changed.end('SIGKILL'), 2);
    }
  });
});
