/** `docker run IMAGE`: the whole cluster in one container, as the original's image did. */
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { requestJson } from '../harness/clients/request-json.ts';
import { buildLimitMs, docker, image, needDocker, root, uniqueName } from '../harness/containers/docker.ts';
import { codeBlocks } from '../harness/docs/markdown-blocks.ts';
import { BlockRunner } from '../harness/docs/run-blocks.ts';
import { eventually } from '../harness/kernel/eventually.ts';
import { freePort } from '../harness/processes/nats-server.ts';

interface Status {
  readonly leader: string;
  readonly epoch: number;
  readonly relay_log_len: number;
  readonly regions: readonly { readonly name: string; readonly lag_events: number }[];
}

describe('docker run, the whole cluster in one container', function () {
  this.timeout(300_000);
  const containers: string[] = [];
  let directory: string | undefined;

  before(async function () {
    this.timeout(buildLimitMs);
    await needDocker(this);
    await image();
    directory = mkdtempSync(join(tmpdir(), 'tidal-single-'));
  });

  after(async () => {
    if (containers.length > 0) await docker(['rm', '--force', '--volumes', ...containers]);
    if (directory !== undefined) rmSync(directory, { recursive: true, force: true });
  });

  const healthy = (url: string): Promise<void> =>
    eventually(
      'the cluster is healthy',
      async () => (await requestJson<{ status: string }>(`${url}/health`)).body.status === 'ok',
      120_000,
    );

  const run = async (
    options: readonly string[],
    command: readonly string[],
  ): Promise<{ name: string; url: string }> => {
    const name = uniqueName('single');
    const port = await freePort();
    containers.push(name);
    const publish = ['--publish', `127.0.0.1:${port}:9500`, '--env', 'TIDAL_INSECURE=1'];
    await docker(['run', '--detach', '--name', name, ...publish, ...options, await image(), ...command]);
    const url = `http://127.0.0.1:${port}`;
    await healthy(url);
    return { name, url };
  };

  const status = async (url: string): Promise<Status> => (await requestJson<Status>(`${url}/cluster/status`)).body;

  it('serves the runbook’s commands, continues after a kill where it was, and stops with exit code 0', async () => {
    const { name, url } = await run([], []);
    const runner = new BlockRunner(url);
    try {
      for (const { language, text } of codeBlocks(readFileSync(join(root, 'docs/runbook.md'), 'utf8'))) {
        if (language === 'bash') JSON.parse(await runner.run(text));
      }
    } finally {
      runner.remove();
    }
    await eventually('no lag', async () => (await status(url)).regions.every(({ lag_events }) => lag_events === 0));
    const before = await status(url);
    assert.equal(before.leader, 'eu-west');

    await docker(['kill', name]);
    await docker(['start', name]);
    await healthy(url);
    const { leader, epoch, relay_log_len } = await status(url);
    assert.deepEqual(
      { leader, epoch, relay_log_len },
      { leader: before.leader, epoch: before.epoch, relay_log_len: before.relay_log_len },
    );

    await docker(['stop', '--time', '50', name]);
    assert.equal((await docker(['inspect', '--format', '{{.State.ExitCode}}', name])).trim(), '0');
    const logs = await docker(['logs', name]);
    assert.match(logs, /listening on http:\/\//);
    assert.match(logs, /shutdown signal received/);
  });

  it('takes the schema and topology mounted at /srv, with the command line of the original', async () => {
    const schemaFile = join(directory!, 'schema.yaml');
    const topologyFile = join(directory!, 'topology.yaml');
    const schema = readFileSync(join(root, 'deploy/config/default-schema.yaml'), 'utf8');
    writeFileSync(schemaFile, schema.replace('dimensions: 4', 'dimensions: 2'));
    writeFileSync(topologyFile, 'leader: north\nregions:\n  - name: south\n  - name: north\n');
    const mounts = [`${schemaFile}:/srv/schema.yaml:ro`, `${topologyFile}:/srv/topology.yaml:ro`];
    const flags = ['--listen', '0.0.0.0:9500', '--schema', '/srv/schema.yaml', '--topology', '/srv/topology.yaml'];
    const { url } = await run(
      mounts.flatMap((mount) => ['--volume', mount]),
      ['tidal-server', 'cluster', ...flags],
    );
    const { leader, regions } = await status(url);
    assert.equal(leader, 'north');
    assert.deepEqual(
      regions.map(({ name }) => name),
      ['south', 'north'],
    );
    const put = (values: readonly number[]) =>
      requestJson<Record<string, unknown>>(`${url}/embeddings`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ entity_id: 1, values }),
      });
    assert.equal((await put([1, 0])).status, 200);
    const refused = await put([0.1, 0.2, 0.3, 0.4]);
    assert.equal(refused.status, 400);
    assert.equal(refused.body.code, 'wrong_dimensions');
  });
});
