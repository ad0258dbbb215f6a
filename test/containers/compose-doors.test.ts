/** The doors between the containers of `compose.yaml`: what a process needs to pass them, and what it has of others. */
import assert from 'node:assert/strict';
import { docker, dockerEnded, image } from '../harness/containers/docker.ts';
import { sharedComposeCluster } from '../harness/containers/shared-compose-cluster.ts';
import { eventually } from '../harness/kernel/eventually.ts';

const regions = ['us-east', 'eu-west', 'ap-south'] as const;
const processes = [...regions, 'router'] as const;

describe('the inner doors of docker compose', function () {
  this.timeout(180_000);
  const shared = sharedComposeCluster();

  /** Runs a program of Node's on the network of the regions, as a stranger with nothing but the image. */
  const stranger = async (program: string): Promise<string> => {
    const network = Object.keys(
      JSON.parse(await shared().inspect('nats', '{{json .NetworkSettings.Networks}}')) as object,
    )[0]!;
    const { output } = await dockerEnded([
      ...['run', '--rm', '--network', network, '--entrypoint', 'node', await image()],
      ...['--input-type=module', '--eval', program],
    ]);
    return output.trim();
  };

  it('no secret is in an environment or on a command line', async () => {
    const cluster = shared();
    const secrets: string[] = [];
    for (const service of processes) {
      const text = await cluster.exec(service, 'cat', '/secrets/own/internal-secret', '/secrets/own/nats-password');
      secrets.push(...text.trim().split('\n'));
    }
    assert.equal(new Set(secrets).size, 1 + processes.length, 'one secret, and a password each');
    for (const service of [...processes, 'nats'] as const) {
      const shown = await docker(['inspect', cluster.container(service)]);
      for (const secret of secrets) assert.ok(!shown.includes(secret), service);
      const logs = await cluster.logs(service);
      for (const secret of secrets) assert.ok(!logs.includes(secret), service);
    }
    for (const service of processes) {
      assert.equal(
        (await cluster.exec(service, 'ls', '/secrets/own')).trim().split(/\s+/).join(' '),
        'internal-secret nats-password',
      );
      const { exitCode } = await dockerEnded(['exec', cluster.container(service), 'touch', '/secrets/own/x']);
      assert.notEqual(exitCode, 0, service);
    }
  });

  it('a stranger on the inner network is refused by regions and by NATS, and that is counted', async () => {
    const answers = await stranger(`
      import { connect } from 'node:net';
      const out = [];
      for (const [path, init] of [['/internal/status', {}], ['/feed', {}], ['/internal/writes', { method: 'POST', body: '{}' }]])
        out.push((await fetch('http://us-east:9510' + path, init)).status);
      out.push((await fetch('http://us-east:9510/health/ready')).status);
      const socket = connect(4222, 'nats');
      let text = '';
      socket.on('data', (data) => { text += data; });
      socket.write('CONNECT {"verbose":false}\\r\\nPUB tidal.wal.us-east.x 1\\r\\nx\\r\\nPING\\r\\n');
      await new Promise((resolve) => { socket.on('close', resolve); setTimeout(resolve, 5000).unref(); });
      out.push(/Authorization Violation/.test(text));
      process.stdout.write(JSON.stringify(out));
    `);
    assert.deepEqual(JSON.parse(answers), [401, 401, 401, 200, true]);
    const metrics = await shared().fromInside('us-east', 'http://127.0.0.1:9510/metrics');
    assert.ok(Number(/^tidal_internal_requests_refused_total\{[^}]*\} (\d+)$/m.exec(metrics)?.[1]) >= 3);
  });

  it('messages carry a MAC, and the stream confirms', async () => {
    const cluster = shared();
    await eventually('the stream confirms', async () => {
      const { body } = await cluster.post('/signals', { entity_id: 990_007, signal: 'view' });
      return body.durability === 'stream';
    });
    const metrics = await cluster.fromInside('eu-west', 'http://127.0.0.1:9510/metrics');
    assert.match(metrics, /^tidal_internal_secrets\{[^}]*\} 1$/m);
    assert.doesNotMatch(metrics, /^tidal_refused_batches_total\{[^}]*"forged"[^}]*\} [1-9]/m);
  });

  it('Prometheus’ network has no NATS and no way out', async () => {
    const cluster = shared();
    const project = cluster.container('nats').replace(/-nats-1$/, '');
    const names = JSON.parse(
      await docker(['network', 'inspect', '--format', '{{json .Containers}}', `${project}_metrics`]),
    ) as Record<string, { Name: string }>;
    assert.deepEqual(
      Object.values(names)
        .map(({ Name }) => Name)
        .sort(),
      regions.map((name) => cluster.container(name)).sort(),
    );
    assert.equal(
      (await docker(['network', 'inspect', '--format', '{{.Internal}}', `${project}_metrics`])).trim(),
      'true',
    );
  });

  it('the secret is replaced while the cluster runs', async () => {
    const cluster = shared();
    const secretsOf = async (service: (typeof processes)[number]): Promise<number> => {
      const port = service === 'router' ? 9500 : 9510;
      const metrics = await cluster.fromInside(service, `http://127.0.0.1:${port}/metrics`);
      return Number(/^tidal_internal_secrets\{[^}]*\} (\d)$/m.exec(metrics)?.[1]);
    };
    const before = await cluster.exec('us-east', 'cat', '/secrets/own/internal-secret');
    for (const [step, valid] of [
      ['add', 2],
      ['exchange', 2],
      ['remove', 1],
    ] as const) {
      await cluster.compose(
        'run',
        '--rm',
        'secrets',
        'tidal',
        'secrets',
        'replace',
        '--directory',
        '/secrets',
        '--step',
        step,
      );
      await eventually(`${step}: seen by all`, async () => {
        const counts = await Promise.all(processes.map(secretsOf));
        return counts.every((count) => count === valid);
      });
      assert.equal((await cluster.post('/signals', { entity_id: 990_007, signal: 'view' })).status, 200, step);
      await cluster.settled();
    }
    assert.notEqual(await cluster.exec('us-east', 'cat', '/secrets/own/internal-secret'), before);
    await cluster.converged();
  });

  it('the operator’s commands have the right to change the stream', async () => {
    await shared().compose('run', '--rm', 'operator', 'tidal', 'stream', 'settings');
    await shared().settled();
  });
});
