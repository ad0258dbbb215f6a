/** The alert rules are valid, and each fires in the situation it is for (`alerts-cases.yml`). */
import assert from 'node:assert/strict';
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { buildLimitMs, dockerEnded, fetchImage, needDocker, root } from '../harness/containers/docker.ts';

describe('deploy/prometheus', function () {
  this.timeout(30_000);
  let keys: string | undefined;

  before(async function () {
    this.timeout(buildLimitMs);
    await needDocker(this);
    await fetchImage('prom/prometheus:latest');
    // The configuration names the key that a router's first start makes.
    keys = mkdtempSync(join(tmpdir(), 'tidal-keys-'));
    chmodSync(keys, 0o755);
    writeFileSync(join(keys, 'prometheus.key'), 'a key\n', { mode: 0o644 });
  });
  after(() => {
    if (keys !== undefined) rmSync(keys, { recursive: true, force: true });
  });

  const promtool = (...args: readonly string[]) =>
    dockerEnded([
      ...['run', '--rm', '--network', 'none', '--entrypoint', 'promtool'],
      ...['--volume', `${join(root, 'deploy/prometheus')}:/etc/prometheus:ro`],
      ...['--volume', `${join(root, 'test/containers')}:/cases:ro`, '--volume', `${keys}:/etc/tidal:ro`],
      'prom/prometheus:latest',
      ...args,
    ]);

  it('the configuration and the rules are valid', async () => {
    const { exitCode, output } = await promtool('check', 'config', '/etc/prometheus/prometheus.yml');
    assert.equal(exitCode, 0, output);
  });

  it('every alert fires in its situation, alone', async () => {
    const { exitCode, output } = await promtool('test', 'rules', '/cases/alerts-cases.yml');
    assert.equal(exitCode, 0, output);
  });
});
