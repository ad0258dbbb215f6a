/** The launcher's flags, the plan of processes they make, and the look at the ports. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { parse } from 'yaml';
import { parseLauncherConfig } from '../../../../deploy/local/launcher-config.ts';
import { natsConfig } from '../../../../deploy/local/nats-config.ts';
import { planCluster, urlOf } from '../../../../deploy/local/plan.ts';
import { takenPorts } from '../../../../deploy/local/ports.ts';
import { packageRoot } from '../../../../shared/config/settings-table.ts';
import { ConfigError } from '../../../../shared/errors/config-error.ts';
import type { Topology } from '../../../../shared/topology/topology.ts';
import { freePort } from '../../../harness/processes/nats-server.ts';

const topology: Topology = {
  firstLeader: 'eu-west',
  regions: [
    { name: 'us-east', url: 'http://us-east:9510' },
    { name: 'eu-west', url: 'http://eu-west:9510' },
    { name: 'ap-south', url: 'http://ap-south:9510' },
  ],
};

function configOf(args: readonly string[], env: Record<string, string> = {}) {
  const parsed = parseLauncherConfig({ args, env });
  assert.ok('config' in parsed);
  return parsed.config;
}

describe('launcher configuration', () => {
  it('defaults need no flag; default files count from the package, given ones from the working directory', () => {
    const config = configOf([]);
    assert.deepEqual(config.listen, { host: '127.0.0.1', port: 9500 });
    assert.equal(config.schemaFile, join(packageRoot, 'deploy/config/default-schema.yaml'));
    assert.equal(config.dataDir, join(process.cwd(), '.tidal'));
    assert.equal(config.verbose, false);
    assert.equal(config.natsServer, undefined);
    const given = configOf(
      ['--insecure', '--listen', '0.0.0.0:7000', '--schema=s.yaml', '--verbose', '--data-dir', '/d'],
      {
        A: 'b',
      },
    );
    assert.deepEqual([given.listen, given.dataDir, given.verbose], [{ host: '0.0.0.0', port: 7000 }, '/d', true]);
    assert.equal(given.schemaFile, join(process.cwd(), 's.yaml'));
    assert.deepEqual(given.environment, { A: 'b' });
    assert.equal(configOf([], { NATS_SERVER: '/opt/nats-server' }).natsServer, '/opt/nats-server');
  });

  it('refuses what it does not know or cannot use, naming it', () => {
    for (const [args, named] of [
      [['--lisen', 'x'], /--lisen/],
      [['--listen'], /--listen/],
      [['--listen', 'nowhere'], /--listen.*nowhere/],
      [['--listen', '127.0.0.1:0'], /1 to 65515/],
      [['--listen', '127.0.0.1:65530'], /1 to 65515/],
    ] as const) {
      assert.throws(
        () => parseLauncherConfig({ args, env: {} }),
        (error) => error instanceof ConfigError && named.test(error.message),
      );
    }
  });

  it('--help lists every flag', () => {
    const parsed = parseLauncherConfig({ args: ['--help'], env: {} });
    assert.ok('help' in parsed);
    for (const flag of ['--listen', '--schema', '--topology', '--data-dir', '--verbose', 'NATS_SERVER']) {
      assert.ok(parsed.help.includes(flag), flag);
    }
  });
});

describe('launcher plan', () => {
  it('counts every port from the router, keeps order and leader, and puts the urls of this machine', () => {
    const plan = planCluster({ listen: { host: '0.0.0.0', port: 9500 }, dataDir: '/d' }, topology);
    assert.deepEqual(
      plan.regions.map(({ name, listen, dataDir }) => [name, listen.host, listen.port, dataDir]),
      [
        ['us-east', '127.0.0.1', 9501, '/d/us-east'],
        ['eu-west', '127.0.0.1', 9502, '/d/eu-west'],
        ['ap-south', '127.0.0.1', 9503, '/d/ap-south'],
      ],
    );
    assert.equal(plan.nats.url, 'nats://127.0.0.1:9520');
    assert.deepEqual(parse(plan.topologyText), {
      leader: 'eu-west',
      regions: [
        { name: 'us-east', url: 'http://127.0.0.1:9501' },
        { name: 'eu-west', url: 'http://127.0.0.1:9502' },
        { name: 'ap-south', url: 'http://127.0.0.1:9503' },
      ],
    });
    assert.equal(urlOf(plan.router), 'http://127.0.0.1:9500');
    assert.equal(urlOf({ host: '::1', port: 1 }), 'http://[::1]:1');
  });

  it('no region can have the folder of nats-server or of the fetched programs', () => {
    const names = ['nats', 'bin', '-', 'store'];
    const regions = names.map((name) => ({ name, url: `http://${name}:1` }));
    const plan = planCluster({ listen: { host: 'h', port: 1 }, dataDir: '/d' }, { firstLeader: 'nats', regions });
    for (const { dataDir } of plan.regions) {
      for (const used of [plan.nats.storeDir, plan.nats.configFile, plan.nats.cacheDir, plan.topologyFile]) {
        assert.ok(used !== dataDir && !used.startsWith(`${dataDir}/`), `${used} in ${dataDir}`);
      }
    }
  });

  it('a server that knows how syncs what it acknowledges, here and in the container (schedule 31)', () => {
    const options = { port: 1, storeDir: '/d', pidFile: '/p' };
    assert.match(natsConfig({ ...options, users: [], syncAlways: true }), /sync_interval: always/);
    assert.doesNotMatch(natsConfig({ ...options, users: [], syncAlways: false }), /sync_interval/);
    const container = new URL('../../../../../deploy/nats/nats.conf', import.meta.url);
    assert.match(readFileSync(container, 'utf8'), /^ {2}sync_interval: always$/m);
  });

  it('a taken port is named with its process and flag; free ones are not', async () => {
    const port = await freePort();
    const plan = planCluster({ listen: { host: '127.0.0.1', port }, dataDir: '/d' }, topology);
    const blocker = createServer().listen(port + 2, '127.0.0.1');
    await once(blocker, 'listening');
    try {
      const taken = await takenPorts(plan);
      const named = taken.find(({ address }) => address.port === port + 2);
      assert.match(named?.text ?? '', new RegExp(`port ${port + 2} is taken .*region eu-west.*--listen`));
      assert.ok(taken.every(({ address }) => address.port !== port));
    } finally {
      blocker.close();
      await once(blocker, 'close');
    }
    assert.ok((await takenPorts(plan)).every(({ address }) => address.port !== port + 2));
  });
});
