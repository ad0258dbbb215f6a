/**
 * `npm start` under a supervisor, a terminal and a kill: the whole cluster ends with it. Real npm, real processes; the preceding
 * build is omitted, because the tests run on one.
 */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { eventually } from '../harness/kernel/eventually.ts';
import { natsBinary } from '../harness/processes/nats-binary.ts';
import { freePort } from '../harness/processes/nats-server.ts';
import { processesOf } from '../harness/processes/processes-of.ts';

const root = fileURLToPath(new URL('../../../', import.meta.url));

describe('npm start', function () {
  this.timeout(90_000);
  let folder: string;
  let npm: ChildProcess;
  let said: string;
  let port: number;

  beforeEach(async () => {
    folder = mkdtempSync(join(tmpdir(), 'tidal-npm-start-'));
    said = '';
    port = 21_000 + ((await freePort()) % 400) * 25;
    const flags = ['--data-dir', join(folder, 'data'), '--listen', `127.0.0.1:${port}`];
    npm = spawn('npm', ['start', '--ignore-scripts', '--', ...flags], {
      cwd: root,
      // A process group of its own, as a shell gives it.
      detached: true,
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { ...process.env, NATS_SERVER: await natsBinary(), TIDAL_API_KEY: 'secret-of-a-test' },
    });
    for (const stream of [npm.stdout!, npm.stderr!]) {
      stream.setEncoding('utf8').on('data', (chunk: string) => {
        said += chunk;
      });
    }
    const up = (): boolean => said.includes('cluster ready') || npm.exitCode !== null;
    await eventually('the cluster is up', up, 60_000);
    assert.match(said, /cluster ready/);
  });

  afterEach(async () => {
    try {
      process.kill(-npm.pid!, 'SIGKILL');
    } catch {
      // It has ended, as it should.
    }
    await eventually('every process has left', () => processesOf(folder).length === 0, 25_000);
    rmSync(folder, { recursive: true, force: true });
  });

  it('gives the router the key of its environment', async () => {
    const url = `http://127.0.0.1:${port}/cluster/status`;
    assert.equal((await fetch(url)).status, 401);
    const authorization = 'Bearer secret-of-a-test';
    assert.equal((await fetch(url, { headers: { authorization } })).status, 200);
    assert.doesNotMatch(said, /secret-of/);
  });

  it('SIGTERM to npm alone stops everything in order before npm ends, with exit code 0', async () => {
    npm.kill('SIGTERM');
    const [code] = await once(npm, 'close');
    assert.equal(code, 0, said);
    assert.match(said, /launcher +stopped/);
    assert.deepEqual(processesOf(folder), []);
    assert.doesNotMatch(said, /killed|leadership epoch=2/);
  });

  it('Ctrl+C, which reaches npm and the launcher both, stops everything in order with exit code 0', async () => {
    process.kill(-npm.pid!, 'SIGINT');
    const [code] = await once(npm, 'close');
    assert.equal(code, 0, said);
    assert.match(said, /launcher +stopped/);
    assert.doesNotMatch(said, /killed/);
    assert.deepEqual(processesOf(folder), []);
  });

  it('kill -9 of npm leaves no process behind', async () => {
    npm.kill('SIGKILL');
    await eventually('the launcher has stopped', () => /launcher +stopped/.test(said), 30_000);
    await eventually('every process has left', () => processesOf(folder).length === 0, 10_000);
  });
});
