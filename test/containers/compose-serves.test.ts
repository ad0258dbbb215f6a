/** `docker compose up`: healthy, closed to the outside, and serving the runbook; drills and promotion between containers. */
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { documentedMetrics, exposedMetrics } from '../checkers/documented-metrics.ts';
import { ComposeCluster, composeServices } from '../harness/containers/compose-cluster.ts';
import { buildLimitMs, docker, dockerEnded, needDocker, root } from '../harness/containers/docker.ts';
import { codeBlocks } from '../harness/docs/markdown-blocks.ts';
import { BlockRunner, missingProgram } from '../harness/docs/run-blocks.ts';
import { eventually } from '../harness/kernel/eventually.ts';

interface Items {
  readonly region: string;
  readonly items: readonly { readonly entity_id: number; readonly signals: Record<string, { readonly all: number }> }[];
}

const regions = ['us-east', 'eu-west', 'ap-south'] as const;
/** Where each process answers its metrics, as seen from its own container. */
const metricsUrls = [
  ...regions.map((name) => [name, 'http://127.0.0.1:9510/metrics'] as const),
  ['router', 'http://127.0.0.1:9500/metrics'] as const,
  ['router', 'http://127.0.0.1:9500/metrics/nats'] as const,
];

describe('compose.yaml, up', function () {
  this.timeout(120_000);
  let directory: string;
  let cluster: ComposeCluster;

  before(async function () {
    this.timeout(buildLimitMs);
    await needDocker(this);
    directory = mkdtempSync(join(tmpdir(), 'tidal-schema-'));
    const schemaFile = join(directory, 'schema.yaml');
    const schema = readFileSync(join(root, 'deploy/config/default-schema.yaml'), 'utf8');
    const bookmark = '\n  bookmark:\n    sentiment: positive\n    half_life: 7d\n    windows: [24h, all]\n';
    writeFileSync(schemaFile, schema.replace(/\nsignals:\n/, `\nsignals:${bookmark}`), { mode: 0o644 });
    cluster = await ComposeCluster.up({ TIDAL_SCHEMA_FILE: schemaFile });
    await cluster.settled();
  });

  after(async function () {
    this.timeout(60_000);
    await cluster?.down();
    if (directory !== undefined) rmSync(directory, { recursive: true, force: true });
  });

  const feed = async (query: string): Promise<Items> => {
    const { status, body } = await cluster.get<Items>(`/feed?${query}`);
    assert.equal(status, 200, JSON.stringify(body));
    return body;
  };
  const lagOf = async (name: string): Promise<number | undefined> =>
    (await cluster.status()).regions.find((region) => region.name === name)?.lag_events;

  it('every service is healthy', async () => {
    for (const service of composeServices) {
      assert.equal(await cluster.inspect(service, '{{.State.Health.Status}}'), 'healthy', service);
    }
  });

  it('only the router and Prometheus are published, on loopback', async () => {
    const published: string[] = [];
    for (const service of composeServices) {
      const ports = JSON.parse(await cluster.inspect(service, '{{json .HostConfig.PortBindings}}')) as Record<
        string,
        { HostIp: string }[]
      >;
      for (const [port, bindings] of Object.entries(ports)) {
        for (const { HostIp } of bindings) published.push(`${service} ${port} ${HostIp}`);
      }
    }
    assert.deepEqual(published, ['router 9500/tcp 127.0.0.1', 'prometheus 9090/tcp 127.0.0.1']);
  });

  it('regions and NATS are on internal networks alone, and only regions on two', async () => {
    for (const service of ['nats', ...regions] as const) {
      const networks = Object.keys(
        JSON.parse(await cluster.inspect(service, '{{json .NetworkSettings.Networks}}')) as object,
      );
      assert.equal(networks.length, service === 'nats' ? 1 : 2, service);
      for (const network of networks) {
        assert.equal((await docker(['network', 'inspect', '--format', '{{.Internal}}', network])).trim(), 'true');
      }
    }
  });

  it('every root file system is read-only, nothing may gain privileges, memory is limited, an init reaps', async () => {
    for (const service of composeServices) {
      const host = JSON.parse(await cluster.inspect(service, '{{json .HostConfig}}')) as {
        ReadonlyRootfs: boolean;
        CapDrop: string[];
        SecurityOpt: string[];
        Memory: number;
        Init: boolean;
        RestartPolicy: { Name: string };
      };
      assert.equal(host.ReadonlyRootfs, true, service);
      assert.deepEqual(host.CapDrop, ['ALL'], service);
      assert.deepEqual(host.SecurityOpt, ['no-new-privileges:true'], service);
      assert.ok(host.Memory > 0, service);
      assert.equal(host.Init, true, service);
      assert.equal(host.RestartPolicy.Name, 'unless-stopped', service);
    }
    for (const service of ['router', ...regions] as const) {
      const { exitCode, output } = await dockerEnded(['exec', cluster.container(service), 'touch', '/app/written']);
      assert.notEqual(exitCode, 0, service);
      assert.match(output, /Read-only file system/, service);
      assert.equal((await cluster.exec(service, 'id', '-un')).trim(), 'node', service);
    }
  });

  it('the commands of docs/runbook.md give what it shows', async () => {
    const program = await missingProgram();
    if (program !== undefined) throw new Error(`${program} is needed to run the runbook`);
    const runner = new BlockRunner(cluster.url, cluster.key);
    try {
      for (const { language, text } of codeBlocks(readFileSync(join(root, 'docs/runbook.md'), 'utf8'))) {
        if (language === 'bash') JSON.parse(await runner.run(text));
      }
    } finally {
      runner.remove();
    }
    await cluster.converged();
    const { leader, relay_log_len, regions: shown } = await cluster.status();
    assert.equal(leader, 'eu-west');
    const applied_events = relay_log_len;
    assert.deepEqual(
      shown.map(({ name, applied_events, lag_events, partitioned }) => ({
        name,
        applied_events,
        lag_events,
        partitioned,
      })),
      regions.map((name) => ({ name, applied_events, lag_events: 0, partitioned: false })),
    );
    for (const region of regions) {
      assert.deepEqual(
        (await feed(`profile=trending&region=${region}`)).items.map(({ entity_id }) => entity_id),
        [1],
      );
      const { body } = await cluster.get<Items>(`/search?query=jazz%20piano&region=${region}`);
      assert.deepEqual(
        body.items.map(({ entity_id }) => entity_id),
        [1],
      );
    }
  });

  it('the schema file named by TIDAL_SCHEMA_FILE takes effect', async () => {
    const known = await cluster.post('/signals', { entity_id: 1, signal: 'bookmark' });
    assert.equal(known.status, 200, JSON.stringify(known.body));
    const unknown = await cluster.post('/signals', { entity_id: 1, signal: 'applause' });
    assert.equal(unknown.status, 400);
    assert.equal(unknown.body.code, 'unknown_signal');
    assert.match(JSON.stringify(unknown.body), /bookmark/);
  });

  it('the lag of a partitioned region grows; after the heal it returns to 0 without a further write, and nothing is missing', async () => {
    await cluster.converged();
    const cut = await cluster.post('/cluster/partition', { region: 'ap-south' });
    assert.equal(cut.status, 200, JSON.stringify(cut.body));
    await cluster.post('/items', { entity_id: 2, metadata: { title: 'During the cut' } });
    for (let count = 1; count <= 3; count += 1) {
      assert.equal((await cluster.post('/signals', { entity_id: 2, signal: 'like' })).status, 200);
      assert.equal(await lagOf('ap-south'), count + 1);
    }
    const ids = async (): Promise<number[]> =>
      (await feed('profile=new&region=ap-south')).items.map(({ entity_id }) => entity_id);
    assert.deepEqual(await ids(), [1]);
    const healed = await cluster.post('/cluster/heal', { region: 'ap-south' });
    assert.deepEqual(healed.body, { region: 'ap-south', partitioned: false, missed_events: 4 });
    await eventually('no lag', async () => (await lagOf('ap-south')) === 0);
    assert.deepEqual(await ids(), [2, 1]);
    assert.equal((await feed('profile=new&region=ap-south')).items[0]?.signals.like?.all, 3);
    await cluster.converged();
  });

  it('a promotion under writes fails none of them', async () => {
    const answers: Promise<{ status: number }>[] = [];
    const write = (): void => {
      answers.push(cluster.post('/signals', { entity_id: 1, signal: 'view' }));
    };
    for (let count = 0; count < 50; count += 1) write();
    const promotion = cluster.post<{ leader: string; previous: string }>('/cluster/promote', { region: 'us-east' });
    for (let count = 0; count < 50; count += 1) write();
    const { status, body } = await promotion;
    assert.equal(status, 200, JSON.stringify(body));
    assert.deepEqual([body.leader, body.previous], ['us-east', 'eu-west']);
    for (const answer of await Promise.all(answers)) assert.equal(answer.status, 200);
    assert.equal((await cluster.status()).leader, 'us-east');
    await cluster.converged();
  });

  it('the first start makes keys, which others can be added to; without one nothing is answered', async () => {
    const statusWith = async (secret: string, path = '/cluster/status'): Promise<number> => {
      const { status } = await fetch(cluster.url + path, { headers: { authorization: `Bearer ${secret.trim()}` } });
      return status;
    };
    assert.equal((await fetch(`${cluster.url}/feed`)).status, 401);
    const operator = await cluster.exec('router', 'cat', '/keys/operator.key');
    assert.equal(await statusWith(operator), 200);
    const prometheus = await cluster.exec('prometheus', 'cat', '/etc/tidal/prometheus.key');
    assert.deepEqual([await statusWith(prometheus), await statusWith(prometheus, '/metrics')], [403, 200]);
    await assert.rejects(cluster.exec('prometheus', 'cat', '/etc/tidal/operator.key'), /Permission denied/);

    const command = ['keys', 'new', '--name', 'reader', '--scope', 'read', '--file', '/keys/keys.yaml'];
    const said = await cluster.exec('router', 'entrypoint.sh', 'tidal', ...command);
    const [secret = ''] = /tidal_[\w-]+/.exec(said) ?? [];
    await eventually('the new key is valid', async () => (await statusWith(secret, '/feed')) === 200);
    assert.equal(await statusWith(secret), 403);
    assert.equal(await statusWith(operator), 200);

    await docker(['restart', cluster.container('router')]);
    await cluster.healthy('router');
    assert.equal(await cluster.exec('router', 'cat', '/keys/operator.key'), operator);
    assert.equal(await statusWith(operator), 200);
    const logs = await cluster.logs('router');
    for (const each of [operator, prometheus, secret]) assert.ok(!logs.includes(each.trim()));
    await cluster.settled();
  });

  it('Prometheus reaches every process, has loaded the rules, and sees one leader', async () => {
    interface Target {
      readonly health: string;
      readonly lastError: string;
      readonly scrapeUrl: string;
    }
    const targets = async (): Promise<readonly Target[]> => {
      const response = await fetch(`${cluster.prometheusUrl}/api/v1/targets`);
      return ((await response.json()) as { data: { activeTargets: Target[] } }).data.activeTargets;
    };
    await eventually(
      'every target is up',
      async () => (await targets()).every(({ health }) => health === 'up'),
      30_000,
    );
    assert.deepEqual((await targets()).map(({ scrapeUrl }) => scrapeUrl).sort(), [
      'http://127.0.0.1:9090/metrics',
      'http://ap-south:9510/metrics',
      'http://eu-west:9510/metrics',
      'http://router:9500/metrics',
      'http://router:9500/metrics/nats',
      'http://us-east:9510/metrics',
    ]);
    const query = async (text: string): Promise<unknown> => {
      const response = await fetch(`${cluster.prometheusUrl}/api/v1/query?query=${encodeURIComponent(text)}`);
      const { data } = (await response.json()) as { data: { result: { value: [number, string] }[] } };
      return data.result[0]?.value[1];
    };
    await eventually('one leader', async () => (await query('sum(tidal_leader)')) === '1', 30_000);
    await eventually(
      'the stream is there',
      async () => Number(await query('sum(tidal_nats_stream_messages)')) > 0,
      30_000,
    );
    const rules = await fetch(`${cluster.prometheusUrl}/api/v1/rules`);
    const { data } = (await rules.json()) as { data: { groups: { rules: { health: string }[] }[] } };
    assert.ok(data.groups.flatMap((group) => group.rules).length > 10);
  });

  it('no container has a capability, a way to more privileges or a writable root; each has its limits', async () => {
    const format =
      '{{json .HostConfig.CapDrop}} {{json .HostConfig.CapAdd}} {{json .HostConfig.SecurityOpt}} {{.HostConfig.ReadonlyRootfs}} {{.HostConfig.Privileged}}';
    for (const service of composeServices) {
      assert.equal(
        await cluster.inspect(service, format),
        '["ALL"] null ["no-new-privileges:true"] true false',
        service,
      );
      const limits = await cluster.inspect(
        service,
        '{{.HostConfig.PidsLimit}} {{.HostConfig.NanoCpus}} {{.HostConfig.Memory}}',
      );
      assert.match(limits, /^256 [12]000000000 [1-9]\d+$/, service);
    }
    for (const service of [...regions, 'router'] as const) {
      const status = await docker(['exec', cluster.container(service), 'cat', '/proc/1/status']);
      const fields = new Map(status.split('\n').map((line) => line.split(/:\s+/) as [string, string]));
      assert.deepEqual(
        ['CapEff', 'CapPrm', 'CapBnd', 'NoNewPrivs'].map((name) => Number.parseInt(fields.get(name) ?? '', 16)),
        [0, 0, 0, 1],
        service,
      );
      assert.match(fields.get('Uid') ?? '', /^1000\b/, service);
      const threads = Number(
        await docker([
          'exec',
          cluster.container(service),
          'sh',
          '-c',
          'cat /sys/fs/cgroup/pids/pids.current /sys/fs/cgroup/pids.current 2>/dev/null | head -1',
        ]),
      );
      assert.ok(threads > 0 && threads < 128, `${service}: ${threads} of 256 threads and processes`);
    }
  });

  it('promtool finds nothing to say about any process’s metrics', async () => {
    for (const [service, url] of metricsUrls) {
      const text = await cluster.fromInside(service, url);
      assert.match(text, /^tidal_/m, url);
      const { exitCode, output } = await dockerEnded(
        ['run', '--rm', '--interactive', '--entrypoint', 'promtool', 'prom/prometheus:latest', 'check', 'metrics'],
        text,
      );
      assert.deepEqual({ exitCode, output }, { exitCode: 0, output: '' }, `${service} ${url}`);
    }
  });

  it('docs/metrics.md lists what the processes expose, no more and no less', async () => {
    const documented = documentedMetrics(readFileSync(join(root, 'docs/metrics.md'), 'utf8'));
    const exposed = {
      region: new Map<string, string>(),
      router: new Map<string, string>(),
      nats: new Map<string, string>(),
    };
    for (const [service, url] of metricsUrls) {
      const kind = url.endsWith('/nats') ? 'nats' : service === 'router' ? 'router' : 'region';
      for (const [name, type] of exposedMetrics(await cluster.fromInside(service, url))) exposed[kind].set(name, type);
    }
    for (const kind of ['region', 'router', 'nats'] as const) {
      assert.deepEqual(Object.fromEntries([...exposed[kind]].sort()), Object.fromEntries(documented[kind]), kind);
    }
  });

  it('SIGTERM ends every process in order, with exit code 0', async () => {
    for (const service of ['router', ...regions] as const) {
      await docker(['stop', cluster.container(service)]);
      assert.equal(await cluster.inspect(service, '{{.State.ExitCode}}'), '0', service);
      assert.match(await cluster.logs(service), /shutdown signal received/, service);
    }
  });
});
