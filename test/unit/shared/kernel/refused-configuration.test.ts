/**
 * An invalid configuration: exit code 2, or, under a supervisor that would restart it in a loop, a process that reports the
 * reason on its own port; and a router that passes it on.
 */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { Refusal } from '../../../../shared/errors/errors.ts';
import type { WireWrite } from '../../../../shared/protocol/writes.ts';
import { requestJson } from '../../../harness/clients/request-json.ts';
import { eventually } from '../../../harness/kernel/eventually.ts';
import { settle } from '../../../harness/kernel/manual-clock.ts';
import { watchChild } from '../../../harness/processes/children-watch.ts';
import { freePort } from '../../../harness/processes/nats-server.ts';
import { memoryCluster } from '../../../harness/router/memory-cluster.ts';

const built = (path: string): string => fileURLToPath(new URL(`../../../../${path}`, import.meta.url));

function start(program: string, flags: readonly string[], environment: Readonly<Record<string, string>> = {}) {
  const child = spawn(process.execPath, [built(program), ...flags], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, ...environment },
  });
  watchChild(program, child);
  const said = { text: '' };
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    said.text += text;
  });
  return { child, said };
}

const refusals: readonly (readonly [string, string, readonly string[], RegExp])[] = [
  [
    'a flag nobody knows',
    'services/region/main.js',
    ['--region', 'us-east', '--colour', 'red'],
    /unknown argument "--colour"/,
  ],
  [
    'a schema that is not there',
    'services/region/main.js',
    ['--region', 'us-east', '--schema', '/nowhere.yaml'],
    /nowhere/,
  ],
  ['a region the topology does not have', 'services/region/main.js', ['--region', 'mars'], /there is no region mars/],
  ['a topology that is not there', 'services/router/main.js', ['--topology', '/nowhere.yaml'], /nowhere/],
];

describe('a refused configuration', function () {
  this.timeout(30_000);

  for (const [what, program, flags, reason] of refusals) {
    it(`${what}: exit code 2 and the reason`, async () => {
      const { child, said } = start(program, flags);
      const [code] = await once(child, 'close');
      assert.equal(code, 2);
      assert.match(said.text, reason);
    });

    it(`${what}: held, it is unhealthy and says why on its own port, until it is stopped`, async () => {
      const url = `http://127.0.0.1:${await freePort()}`;
      const { child, said } = start(program, flags, {
        TIDAL_HOLD_REFUSED: '1',
        TIDAL_LISTEN: new URL(url).host,
      });
      await eventually('it says so', () => said.text.includes('only says so until it is started again'), 20_000);
      for (const path of ['/health/ready', '/health', '/internal/status', '/feed']) {
        const { status, body } = await requestJson<{ code: string; detail: string }>(url + path);
        assert.deepEqual([status, body.code], [503, 'configuration_refused'], path);
        assert.match(body.detail, /^configuration refused: /);
        assert.match(body.detail, reason);
        assert.doesNotMatch(body.detail, /\n|Try --help/);
      }
      child.kill('SIGTERM');
      const [code] = await once(child, 'close');
      assert.equal(code, 2);
    });
  }

  it('npm start names what is wrong in the topology and in the schema at once, and starts nothing', async () => {
    const { child, said } = start('deploy/local/main.js', [
      '--topology',
      '/no-topology.yaml',
      '--schema',
      '/no-schema.yaml',
    ]);
    const [code] = await once(child, 'close');
    assert.equal(code, 2);
    assert.match(said.text, /no-topology\.yaml[\s\S]*no-schema\.yaml/);
  });

  it('a router says in /health why a region does not serve, and holds writes for a leader of which that is true', async () => {
    const cluster = memoryCluster({ heldWritesMs: 5_000 });
    const detail = 'configuration refused: /srv/schema.yaml: line 3: no such signal';
    const status = cluster.usEast.status.bind(cluster.usEast);
    const refuse = async (): Promise<never> => {
      throw new Refusal('configuration_refused', detail);
    };
    cluster.router.start();
    await settle();
    await cluster.clock.advance(1_000);
    cluster.usEast.status = refuse;
    const writes = cluster.usEast.writes.bind(cluster.usEast);
    cluster.usEast.writes = refuse;
    const health = await cluster.clock.run(cluster.router.reports.health());
    assert.deepEqual([health.status, health.notes[0]], ['unavailable', `us-east: ${detail}`]);
    const write: WireWrite = { k: 'd', e: 1 };
    const written = cluster.router.forwarding.submit({
      ...{ writes: [write], bytes: 20 },
      ...{ atomic: false, durability: 'local', requestId: 'r' },
    });
    await cluster.clock.advance(1_000);
    cluster.usEast.status = status;
    cluster.usEast.writes = writes;
    await cluster.clock.advance(1_000);
    assert.equal((await cluster.clock.run(written)).durability, 'stream');
    assert.deepEqual((await cluster.clock.run(cluster.router.reports.health())).notes, []);
    cluster.router.drain();
    await cluster.clock.run(cluster.router.close());
  });
});
