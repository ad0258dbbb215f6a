/**
 * The two commands of the README on a machine with Node, npm and what a clone is: no compiler, no Python, no make, no
 * nats-server. A container of the plain Node image, and a clean copy of what git tracks.
 */
import assert from 'node:assert/strict';
import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { docker, dockerEnded, type Ended, needDocker, root, uniqueName } from '../harness/containers/docker.ts';
import { eventually } from '../harness/kernel/eventually.ts';

const IMAGE = 'node:24-bookworm-slim';
const FOLDER = '/home/node/tidal';
/** Of `npm test`, what is enough to see that it builds, runs, skips and counts as it should. */
const SOME_TESTS = '^(vector search|vector index|vector graph|rooms|shown log lines|a directory that cannot be made)';

describe('a machine with Node and npm only', function () {
  this.timeout(420_000);
  let name: string;

  before(async function () {
    await needDocker(this);
    if (spawnSync('git', ['rev-parse', '--is-inside-work-tree'], { cwd: root }).status !== 0) {
      const why = 'this is no clone, so what git tracks is not known';
      if (process.env.CI !== undefined) throw new Error(why);
      console.log(`      SKIPPED: ${why}`);
      this.skip();
    }
    name = uniqueName('bare');
    await docker(['run', '--detach', '--init', '--name', name, IMAGE, 'sleep', 'infinity'], { limitMs: 300_000 });
    const tracked = execFileSync('git', ['ls-files', '--cached', '--others', '--exclude-standard', '-z'], {
      cwd: root,
    });
    const there = execFileSync('git', ['ls-files', '--deleted', '-z'], { cwd: root, encoding: 'utf8' }).split('\0');
    const files = tracked.toString('utf8').split('\0');
    const pack = spawn('tar', ['--null', '-T', '-', '-cf', '-'], { cwd: root, stdio: ['pipe', 'pipe', 'inherit'] });
    const unpack = spawn('docker', ['exec', '-i', name, 'sh', '-c', `mkdir ${FOLDER} && tar -xf - -C ${FOLDER}`], {
      stdio: [pack.stdout, 'inherit', 'inherit'],
    });
    pack.stdin.end(files.filter((file) => file !== '' && !there.includes(file)).join('\0'));
    const [code] = await once(unpack, 'close');
    assert.equal(code, 0, 'the copy of what git tracks');
  });

  after(async () => {
    if (name !== undefined) await dockerEnded(['rm', '--force', '--volumes', name]);
  });

  /** A command in the folder of the clone, to its end. */
  function inside(command: string): Promise<Ended> {
    return dockerEnded(['exec', '--workdir', FOLDER, name, 'sh', '-c', command], '', 400_000);
  }

  it('has no compiler, no Python, no make and no nats-server', async () => {
    const { output } = await inside('for tool in python3 make cc g++ nats-server; do command -v $tool; done; true');
    assert.equal(output, '');
  });

  it('npm ci && npm start: the whole cluster runs, says that vector search has no graph, and stops in order', async () => {
    const { exitCode, output } = await inside('npm ci');
    assert.equal(exitCode, 0, output);
    const start = spawn('docker', ['exec', '--workdir', FOLDER, name, 'npm', 'start'], { stdio: 'pipe' });
    let said = '';
    for (const stream of [start.stdout, start.stderr]) {
      stream.setEncoding('utf8').on('data', (text: string) => {
        said += text;
      });
    }
    const up = (): boolean => said.includes('cluster ready') || start.exitCode !== null;
    await eventually('the cluster is up', up, 240_000);
    assert.match(said, /cluster ready/);
    assert.match(said, /us-east +warn: vector search runs without a graph/);
    const health = `fetch('http://127.0.0.1:9500/health').then((answer) => answer.text()).then(console.log)`;
    const answered = (await inside(`node -e "${health}"`)).output;
    const { status, notes } = JSON.parse(answered) as { status: string; notes: string[] };
    assert.equal(status, 'ok', answered);
    assert.match(notes.join('\n'), /us-east: vector search has no graph and compares every vector/);
    const ended = once(start, 'close');
    await inside('kill -INT $(cat .tidal/launcher.pid)');
    const [code] = await ended;
    assert.equal(code, 0, said);
    assert.match(said, /launcher +stopped/);
  });

  it('npm ci && npm test: what needs a graph is skipped aloud, and nothing fails', async () => {
    const { exitCode, output } = await inside(`env -u CI npm ci && env -u CI npm test -- --grep '${SOME_TESTS}'`);
    assert.equal(exitCode, 0, output);
    assert.match(output, /SKIPPED: no graphs: hnswlib-node is not installed here/);
    const [, passed = '', skipped = ''] = /^(\d+) passed, 0 failed, (\d+) skipped$/m.exec(output) ?? [];
    assert.ok(Number(passed) >= 20 && Number(skipped) >= 10, output.slice(-2_000));
  });

  it('with CI set the tests that need a graph fail instead of being skipped', async () => {
    const one = 'dist/test/unit/region/state/vectors/vector-file.test.js';
    const { exitCode, output } = await inside(`CI=true npx mocha ${one}`);
    assert.notEqual(exitCode, 0);
    assert.match(output, /Error: no graphs: hnswlib-node is not installed here/);
  });
});
