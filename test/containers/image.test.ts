/** What is in the image, and what is not; what its commands answer. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { productionPackages } from '../checkers/locked-packages.ts';
import { buildLimitMs, docker, dockerEnded, image, needDocker, root } from '../harness/containers/docker.ts';

describe('the image', function () {
  this.timeout(60_000);
  let name: string;

  before(async function () {
    this.timeout(buildLimitMs);
    await needDocker(this);
    name = await image();
  });

  const inside = (script: string): Promise<string> =>
    docker(['run', '--rm', '--network', 'none', '--entrypoint', 'sh', name, '-c', script]);

  it('runs as an ordinary user who owns /data and nothing of the program', async () => {
    assert.equal((await docker(['inspect', '--format', '{{.Config.User}}', name])).trim(), 'node');
    assert.equal((await inside('touch /data/own && find /app /srv -writable | head -3')).trim(), '');
  });

  it('has no compiler, no package manager, no tests and no development dependencies', async () => {
    const tools = 'gcc g++ cc make python3 npm npx yarn corepack git curl';
    assert.equal((await inside(`for tool in ${tools}; do command -v $tool; done; true`)).trim(), '');
    const { devDependencies, dependencies } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as Record<
      'dependencies' | 'devDependencies',
      Record<string, string>
    >;
    const installed = (await inside('cd /app/node_modules && ls -d * @*/*')).split('\n');
    assert.deepEqual(
      Object.keys(devDependencies).filter((dependency) => installed.includes(dependency)),
      [],
    );
    assert.deepEqual(
      Object.keys(dependencies).filter((dependency) => !installed.includes(dependency)),
      [],
    );
    assert.equal(
      (await inside('ls /app /app/dist')).trim(),
      '/app:\ndeploy\ndist\ndrills\nnode_modules\npackage.json\nservices\n\n/app/dist:\ndeploy\nservices\nshared',
    );
  });

  it('has the production packages of the lock, and nothing else', async () => {
    const folders = (await inside('cd /app && find node_modules -type d')).split('\n');
    // node_modules/a, node_modules/@s/b, node_modules/a/node_modules/c …
    const isPackage = /^(node_modules\/(@[^/]+\/[^/]+|[^@./][^/]*)(\/(?=.)|$))+$/;
    const installed = folders.filter((folder) => isPackage.test(folder));
    const locked = productionPackages();
    const paths = new Set(locked.map(({ path }) => path));
    assert.deepEqual(
      installed.filter((path) => !paths.has(path)),
      [],
    );
    // Of the optional ones those of this platform; what every platform needs is there.
    assert.deepEqual(
      locked.filter(({ path, isOptional }) => !isOptional && !installed.includes(path)).map(({ path }) => path),
      [],
    );
    for (const name of ['hnswlib-node', '@lmdb/lmdb-linux-x64']) {
      if (name.endsWith('x64') && process.arch !== 'x64') continue;
      assert.ok(installed.includes(`node_modules/${name}`), name);
    }
  });

  it('has no program that runs as another user than the one who starts it', async () => {
    const found = await inside('find / -xdev -perm /6000 -type f 2>/dev/null; true');
    assert.equal(found.trim(), '');
  });

  it('has the default schema and topology at the paths over which one’s own are mounted', async () => {
    assert.equal(
      await inside('cat /srv/schema.yaml'),
      readFileSync(join(root, 'deploy/config/default-schema.yaml'), 'utf8'),
    );
    assert.equal(
      await inside('cat /srv/topology.yaml'),
      readFileSync(join(root, 'deploy/config/default-cluster.yaml'), 'utf8'),
    );
  });

  it('brings a nats-server of at least 2.10', async () => {
    const [, minor] = /v2\.(\d+)/.exec(await inside('$NATS_SERVER --version')) ?? [];
    assert.ok(Number(minor) >= 10);
  });

  for (const command of ['region', 'router', 'cluster']) {
    it(`${command} --help lists its settings; an unknown flag is refused by name`, async () => {
      const help = await dockerEnded(['run', '--rm', '--network', 'none', name, command, '--help']);
      assert.equal(help.exitCode, 0, help.output);
      assert.match(help.output, /--topology/);
      const wrong = await dockerEnded(['run', '--rm', '--network', 'none', name, command, '--colour', 'red']);
      assert.equal(wrong.exitCode, 2, wrong.output);
      assert.match(wrong.output, /--colour/);
    });
  }

  for (const command of ['backup', 'restore']) {
    it(`${command} --help says how; what is missing is named`, async () => {
      const help = await dockerEnded(['run', '--rm', '--network', 'none', name, command, '--help']);
      assert.equal(help.exitCode, 0, help.output);
      assert.match(help.output, /--region/);
      const wrong = await dockerEnded(['run', '--rm', '--network', 'none', name, command]);
      assert.equal(wrong.exitCode, 2, wrong.output);
      assert.match(wrong.output, /is required/);
    });
  }

  it('an unknown command is refused, naming the known ones', async () => {
    const { exitCode, output } = await dockerEnded(['run', '--rm', '--network', 'none', name, 'serve']);
    assert.equal(exitCode, 2);
    assert.match(output, /"serve".*region \| router \| cluster \| backup \| restore \| tidal/);
  });
});
