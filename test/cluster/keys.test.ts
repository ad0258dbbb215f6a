/** A router process with keys: its file changes while it runs, and no secret is printed. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { digestOf } from '../../services/router/keys/key-access.ts';
import { eventually } from '../harness/kernel/eventually.ts';
import { freePort } from '../harness/processes/nats-server.ts';
import { NodeProcess } from '../harness/processes/node-process.ts';

const entry = (name: string): string =>
  `  - name: ${name}\n    scopes: [read, admin]\n    sha256: ${digestOf(`secret-of-${name}`).toString('hex')}\n`;

describe('a router with keys', function () {
  this.timeout(60_000);
  let folder: string;
  let file: string;
  let url: string;
  let router: NodeProcess;

  const write = (text: string): void => {
    writeFileSync(`${file}.new`, text);
    renameSync(`${file}.new`, file);
  };

  before(async () => {
    folder = mkdtempSync(join(tmpdir(), 'tidal-keys-'));
    file = join(folder, 'keys.yaml');
    write(`keys:\n${entry('first')}`);
    const topology = join(folder, 'topology.yaml');
    writeFileSync(topology, `leader: a\nregions:\n  - name: a\n    url: http://127.0.0.1:${await freePort()}\n`);
    const address = `0.0.0.0:${await freePort()}`;
    url = `http://${address}`;
    router = new NodeProcess({
      name: 'router',
      main: 'services/router/main.js',
      flags: ['--listen', address, '--topology', topology, '--nats', `nats://127.0.0.1:${await freePort()}`],
      env: { TIDAL_API_KEY: 'secret-of-everything', TIDAL_API_KEYS_FILE: file, TIDAL_LOG_LEVEL: 'error' },
    });
    // Its log level hides the line that says it listens.
    void router.start().catch(() => {});
    await eventually('it serves', async () => (await fetch(`${url}/health/live`)).status === 200, 30_000);
  });

  after(async () => {
    await router?.end('SIGKILL');
    rmSync(folder, { recursive: true, force: true });
  });

  const statusOf = async (name: string): Promise<number> => {
    const { status } = await fetch(`${url}/nowhere`, { headers: { authorization: `Bearer secret-of-${name}` } });
    return status;
  };

  it('reads its file again when it changes, and at once on SIGHUP', async () => {
    assert.deepEqual(
      [await statusOf('first'), await statusOf('second'), await statusOf('everything')],
      [404, 401, 404],
    );
    write(`keys:\n${entry('second')}`);
    await eventually('the new key is valid', async () => (await statusOf('second')) === 404);
    assert.deepEqual([await statusOf('first'), await statusOf('everything')], [401, 404]);
    write(`keys:\n${entry('first')}`);
    router.signal('SIGHUP');
    await eventually('the former key is valid again', async () => (await statusOf('first')) === 404);
    assert.ok(router.running);
  });

  it('writes audit lines whatever the level of its log, and no secret', async () => {
    await fetch(`${url}/cluster/verify`, { method: 'POST', headers: { authorization: 'Bearer secret-of-first' } });
    await fetch(`${url}/cluster/verify`, { method: 'POST', headers: { authorization: 'Bearer secret-of-another' } });
    write('keys:\n  - secret-of-first\n');
    router.signal('SIGHUP');
    const logged = (what: RegExp) => eventually(String(what), () => router.lines.some((line) => what.test(line)));
    await logged(/"key":"first","action":"\/cluster\/verify",.*"msg":"admin action"/);
    await logged(/"key":null,"action":"\/cluster\/verify","outcome":"unauthenticated",.*"msg":"admin action refused"/);
    await logged(/keys\[0\].*must be a mapping with the keys name, scopes, sha256.*"msg":"keys file cannot be used/);
    assert.equal(await statusOf('first'), 404);
    assert.deepEqual(
      router.lines.filter((line) => /secret-of-(everything|another)/.test(line)),
      [],
    );
  });

  it('does not start on a public address without one, and says what to do', () => {
    const main = fileURLToPath(new URL('../../services/router/main.js', import.meta.url));
    const { status, stderr } = spawnSync(process.execPath, [main, '--listen', '0.0.0.0:0'], { encoding: 'utf8' });
    assert.equal(status, 2);
    assert.match(stderr, /0\.0\.0\.0 is a public address[\s\S]*TIDAL_API_KEY[\s\S]*--insecure/);
  });
});
