/** `tidal secrets init`: each process's own directory, what is in it, and what another run changes. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { newSecret } from '../../../../deploy/local/secrets.ts';
import { packageRoot } from '../../../../shared/config/settings-table.ts';

const main = fileURLToPath(new URL('../../../../deploy/tidal/main.js', import.meta.url));
const topology = join(packageRoot, 'deploy/config/default-cluster.yaml');

describe('tidal secrets init', function () {
  this.timeout(300_000);
  let directory: string;
  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'tidal-secrets-'));
  });
  afterEach(() => rmSync(directory, { recursive: true, force: true }));

  const init = (environment: Readonly<Record<string, string>> = {}) =>
    spawnSync(process.execPath, [main, 'secrets', 'init', '--directory', directory, '--topology', topology], {
      encoding: 'utf8',
      env: { ...process.env, ...environment },
    });
  const contents = (): Record<string, string> =>
    Object.fromEntries(
      readdirSync(directory, { recursive: true, withFileTypes: true })
        .filter((entry) => entry.isFile())
        .map((entry) => join(entry.parentPath, entry.name))
        .map((file) => [file.slice(directory.length + 1), readFileSync(file, 'utf8')])
        .sort(),
    );

  it('gives each process the internal secret and the password of its own user, and only nats-server all passwords', () => {
    const { status, stderr } = init();
    assert.deepEqual([status, stderr], [0, '']);
    const files = contents();
    const parts = ['operator', 'regions/ap-south', 'regions/eu-west', 'regions/us-east', 'router'];
    assert.deepEqual(
      Object.keys(files),
      [
        'nats/users.conf',
        'operator/nats-seed',
        ...parts.flatMap((part) => [`${part}/internal-secret`, `${part}/nats-password`]),
      ].sort(),
    );
    assert.equal(new Set(parts.map((part) => files[`${part}/internal-secret`])).size, 1);
    const passwords = parts.map((part) => files[`${part}/nats-password`]!.trim());
    assert.equal(new Set(passwords).size, parts.length);
    for (const password of passwords) assert.ok(files['nats/users.conf']!.includes(JSON.stringify(password)));
    assert.ok(!files['nats/users.conf']!.includes(files['operator/internal-secret']!.trim()));
    for (const file of Object.keys(files)) {
      const mode = statSync(join(directory, file)).mode & 0o777;
      assert.equal(mode, file === 'nats/users.conf' ? 0o644 : 0o600, file);
    }
    for (const part of [...parts, 'regions', 'nats']) {
      assert.equal(statSync(join(directory, part)).mode & 0o777, part === 'nats' ? 0o755 : 0o700, part);
    }
  });

  it('another run changes nothing, and makes again what is lost or wrong', () => {
    init();
    const files = contents();
    assert.equal(init().status, 0);
    assert.deepEqual(contents(), files);
    for (const lost of ['router', 'nats', 'regions']) rmSync(join(directory, lost), { recursive: true });
    writeFileSync(join(directory, 'operator/nats-password'), 'another\n');
    assert.equal(init().status, 0);
    assert.deepEqual(contents(), files);
  });

  it('a replacement takes three steps, each only in its turn, and reaches every process', () => {
    init();
    const step = (name: string) =>
      spawnSync(
        process.execPath,
        [main, 'secrets', 'replace', '--directory', directory, '--topology', topology, '--step', name],
        { encoding: 'utf8' },
      );
    const secretsOf = (part: string): readonly string[] => contents()[`${part}/internal-secret`]!.trim().split('\n');
    const [former] = secretsOf('router');
    for (const name of ['exchange', 'remove', 'other']) {
      const before = contents();
      assert.equal(step(name).status, 2, name);
      assert.deepEqual(contents(), before, name);
    }
    assert.equal(step('add').status, 0);
    const [kept, next] = secretsOf('regions/us-east');
    assert.deepEqual([kept, secretsOf('router')], [former, [former, next]]);
    assert.equal(step('add').status, 2);
    assert.equal(step('exchange').status, 0);
    assert.deepEqual(secretsOf('router'), [next, former]);
    assert.equal(step('remove').status, 0);
    assert.deepEqual(secretsOf('regions/ap-south'), [next]);
    const password = contents()['router/nats-password']!;
    assert.equal(step('passwords').status, 0);
    assert.notEqual(contents()['router/nats-password'], password);
    assert.ok(contents()['nats/users.conf']!.includes(contents()['router/nats-password']!.trim()));
    assert.deepEqual(secretsOf('router'), [next]);
  });

  it('hands on a replaced secret, two of them too; an unusable one is refused and nothing changes', () => {
    const [own, next] = [newSecret(), newSecret()];
    assert.equal(init({ TIDAL_INTERNAL_SECRET: own }).status, 0);
    assert.equal(contents()['router/internal-secret'], `${own}\n`);
    const file = join(directory, 'operator/internal-secret');
    writeFileSync(file, `${next}\n${own}\n`);
    assert.equal(init().status, 0);
    assert.equal(contents()['regions/us-east/internal-secret'], `${next}\n${own}\n`);
    writeFileSync(file, 'short\n');
    const before = contents();
    const { status, stderr } = init();
    assert.equal(status, 2);
    assert.match(stderr, /is no text of 32 random bytes/);
    assert.deepEqual(contents(), before);
  });
});
