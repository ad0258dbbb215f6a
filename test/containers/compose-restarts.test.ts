/**
 * Planned work on the containers, under 64 writers: `docker compose restart` of every service, and stop and start of all of them;
 * and a region that cannot start, which prevents no other from starting and reports the reason.
 */
import assert from 'node:assert/strict';
import { Workload } from '../harness/clients/workload.ts';
import { composeServices } from '../harness/containers/compose-cluster.ts';
import { docker, dockerEnded, image, uniqueName } from '../harness/containers/docker.ts';
import { sharedComposeCluster } from '../harness/containers/shared-compose-cluster.ts';
import { eventually } from '../harness/kernel/eventually.ts';

const KEYED = 24;
const regions = ['us-east', 'eu-west', 'ap-south'] as const;

describe('docker compose', function () {
  this.timeout(300_000);
  const shared = sharedComposeCluster();

  for (const service of ['eu-west', 'us-east', 'ap-south', 'nats', 'router'] as const) {
    const spared = service === 'router' ? 'no write under a key' : 'no write';
    it(`restart ${service} under 64 writers: ${spared} fails, and nothing is lost or doubled`, async () => {
      const cluster = shared();
      await cluster.settled();
      const firstEntity = 900_000 + composeServices.indexOf(service) * 1_000;
      const load = new Workload({ urls: [cluster.url], writers: 64, perSecond: 100, keyed: KEYED, firstEntity });
      try {
        await load.flows(100);
        const before = await cluster.status();
        await cluster.compose('restart', service);
        await cluster.settled();
        await load.flows(100);
        const { leader, epoch } = await cluster.status();
        if (before.leader === service) assert.notEqual(leader, service);
        else assert.deepEqual([leader, epoch], [before.leader, before.epoch]);
      } finally {
        await load.stop();
      }
      // A writer with a key repeats until it is answered; all its writes are acknowledged by now.
      if (service !== 'router') assert.deepEqual([...load.failures], []);
      await load.told.check(cluster);
    });
  }

  it('stop hands over no leadership and takes less than a minute, and start continues where it was', async () => {
    const cluster = shared();
    await cluster.settled();
    const relieved = async (): Promise<number> => {
      const logs = await Promise.all(regions.map((name) => cluster.logs(name)));
      return logs.join('').split('leadership handed over before stopping').length - 1;
    };
    const before = await relieved();
    const startMs = performance.now();
    await cluster.compose('stop');
    const tookMs = performance.now() - startMs;
    for (const service of [...regions, 'router'] as const) {
      assert.equal(await cluster.inspect(service, '{{.State.ExitCode}}'), '0', service);
    }
    assert.ok(tookMs < 45_000, `${Math.round(tookMs)} ms`);
    await cluster.compose('start');
    await cluster.settled();
    assert.ok((await relieved()) <= before + 1, 'leadership went round');
  });

  it('a region whose configuration is refused: unhealthy and not restarted, named in /health; all others start and serve', async () => {
    const cluster = shared();
    await cluster.settled();
    const [refused] = await cluster.followers();
    await cluster.compose('stop');
    const volume = await cluster.inspect(
      refused,
      '{{range .Mounts}}{{if eq .Destination "/data"}}{{.Name}}{{end}}{{end}}',
    );
    const chmod = async (mode: string): Promise<void> => {
      const options = ['run', '--rm', '--user', 'root', '--volume', `${volume}:/data`, '--entrypoint', 'chmod'];
      await docker([...options, await image(), mode, '/data']);
    };
    await chmod('000');
    try {
      await cluster.compose('up', '--detach', '--no-build');
      await Promise.all((['router', 'prometheus'] as const).map((service) => cluster.healthy(service)));
      const health = async () => (await cluster.get<{ status: string; notes: string[] }>('/health')).body;
      const named = `${refused}: configuration refused: the directory /data cannot be `;
      await eventually(
        'the router says why',
        async () => (await health()).notes.some((note) => note.startsWith(named)),
        60_000,
      );
      assert.equal((await health()).status, 'degraded');
      assert.equal((await cluster.post('/signals', { entity_id: 990_001, signal: 'view' })).status, 200);
      const state = '{{.State.Health.Status}} {{.RestartCount}}';
      await eventually(
        'it is unhealthy',
        async () => (await cluster.inspect(refused, state)) === 'unhealthy 0',
        90_000,
      );
      assert.match(
        await cluster.inspect(refused, '{{json .State.Health.Log}}'),
        /configuration refused: the directory/,
      );
    } finally {
      await chmod('755');
    }
    await cluster.compose('restart', refused);
    await cluster.settled();
  });

  it('a container without an init handles signals from the start', async () => {
    const name = uniqueName('first-moment');
    try {
      await docker([
        'run',
        '--detach',
        '--name',
        name,
        '--env',
        'TIDAL_INSECURE_INTERNAL=1',
        await image(),
        'region',
        '--region',
        'us-east',
      ]);
      const startMs = performance.now();
      await docker(['stop', '--time', '60', name]);
      assert.ok(performance.now() - startMs < 30_000, 'it was not killed');
      assert.notEqual((await docker(['inspect', '--format', '{{.State.ExitCode}}', name])).trim(), '137');
    } finally {
      await dockerEnded(['rm', '--force', '--volumes', name]);
    }
  });

  it('the health check is bash alone, and says what was answered', async () => {
    const cluster = shared();
    const check = await cluster.exec('us-east', 'sh', '-c', 'cat "$(command -v health-check)"');
    assert.doesNotMatch(check, /^[^#]*\b(node|curl|wget)\b/m);
    await cluster.exec('us-east', 'health-check', '9510');
    const { exitCode } = await dockerEnded(['exec', cluster.container('us-east'), 'health-check', '9511']);
    assert.notEqual(exitCode, 0);
  });
});
