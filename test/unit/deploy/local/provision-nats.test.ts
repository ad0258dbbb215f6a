/** Sources of nats-server: the order, what is accepted, and what each failure reports. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { downloadRelease, releaseVersion } from '../../../../deploy/local/nats-sources/download.ts';
import { unpackPackage } from '../../../../deploy/local/nats-sources/package.ts';
import { natsSources } from '../../../../deploy/local/nats-sources/sources.ts';
import type { RunResult, Tools } from '../../../../deploy/local/nats-sources/tools.ts';
import { type NatsSource, provisionNats } from '../../../../deploy/local/provision-nats.ts';
import { Fault } from '../../../../shared/errors/errors.ts';

const missing: RunResult = { code: 127, output: 'not found' };
const done: RunResult = { code: 0, output: '' };

/** A machine on which nothing is installed and nothing can be reached by default. */
function machine(overrides: Partial<Tools> = {}): Tools & { readonly calls: string[] } {
  const calls: string[] = [];
  const { run, ...rest } = overrides;
  return {
    calls,
    platform: 'linux',
    arch: 'x64',
    isRoot: false,
    download: (url) => Promise.reject(new Fault('download_failed', `${url} cannot be fetched`)),
    ...rest,
    run: (command, args, options) => {
      calls.push([command, ...args].join(' '));
      return run === undefined ? Promise.resolve(missing) : run(command, args, options);
    },
  };
}

function source(name: string, result: string | undefined | Error, demanded = false): NatsSource {
  const find = () => (result instanceof Error ? Promise.reject(result) : Promise.resolve(result));
  return { name, demanded, find };
}

describe('provisioning nats-server', () => {
  let folder: string;

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'tidal-provision-'));
  });

  afterEach(() => rmSync(folder, { recursive: true, force: true }));

  async function provision(sources: readonly NatsSource[], versions: Record<string, string>) {
    const lines: string[] = [];
    const version = async (path: string): Promise<string> => {
      const printed = versions[path];
      if (printed === undefined) throw new Fault('nats_server_unusable', `${path} cannot be run`);
      return printed;
    };
    const binary = await provisionNats({ sources, version, say: (line) => lines.push(line) });
    return { binary, lines };
  }

  it('takes the first source that gives a usable server, and says one line about each before it', async () => {
    const sources = [
      source('a', undefined),
      source('b', new Error('no network')),
      source('c', '/c'),
      source('d', '/d'),
      source('e', '/e'),
      source('f', '/f'),
    ];
    const versions = {
      '/c': 'something else 1.0',
      '/d': 'nats-server: v2.8.4',
      '/e': 'nats-server: v2.10.27',
      '/f': '',
    };
    const { binary, lines } = await provision(sources, versions);
    assert.deepEqual(binary, { path: '/e', version: '2.10.27', syncAlways: true });
    assert.deepEqual(lines, [
      'a: not there',
      'b: no network',
      'c: /c is no nats-server: it says "something else 1.0"',
      'd: version 2.8.4 is too old; 2.10 or newer is wanted',
      'e: /e, version 2.10.27',
    ]);
  });

  it('runs a 2.9 without syncing every write, and warns what that costs', async () => {
    const { binary, lines } = await provision([source('a', '/a')], { '/a': 'nats-server: v2.9.10' });
    assert.deepEqual([binary.version, binary.syncAlways], ['2.9.10', false]);
    assert.match(lines[1] ?? '', /2\.9\.10 is older than 2\.10.*power loss/);
    assert.equal((await provision([source('a', '/a')], { '/a': 'nats-server: v2.11.0' })).binary.syncAlways, true);
  });

  it('a server the operator named is used or refused, never replaced silently', async () => {
    const sources = [source('NATS_SERVER', '/typo', true), source('b', '/b')];
    await assert.rejects(provision(sources, { '/b': 'nats-server: v2.10.27' }), /NATS_SERVER cannot be used.*\/typo/);
  });

  it('when nothing helps the error lists what to install', async () => {
    await assert.rejects(provision([source('a', undefined)], {}), (error) => {
      assert.equal((error as Fault).code, 'nats_server_missing');
      for (const way of ['PATH', 'apt-get install', 'NATS_SERVER=', 'Docker']) {
        assert.ok((error as Fault).message.includes(way), way);
      }
      return true;
    });
  });

  it('checks installed programs before it fetches: named, PATH, cache, package, release, image', async () => {
    const tools = machine();
    const sources = natsSources({ tools, cacheDir: join(folder, 'bin'), natsServer: '/named' });
    assert.deepEqual(
      sources.map(({ name, demanded }) => [name, demanded === true]),
      [
        ['NATS_SERVER', true],
        ['nats-server on the PATH', false],
        ['nats-server fetched earlier', false],
        ['the package of this distribution', false],
        ['the release on GitHub', false],
        ['the image nats:2-alpine', false],
      ],
    );
    const found = [];
    for (const { find } of sources.slice(0, 4)) found.push(await find());
    assert.deepEqual(found, ['/named', undefined, undefined, undefined]);
    await assert.rejects(sources[4]!.find(), /cannot be fetched/);
    assert.equal(await sources[5]!.find(), undefined);
    assert.deepEqual(tools.calls, [
      'nats-server --version',
      'apt-get download nats-server',
      'docker create nats:2-alpine',
    ]);
    writeFileSync(join(folder, 'bin', 'nats-server'), '');
    assert.equal(await sources[2]!.find(), join(folder, 'bin', 'nats-server'));
  });

  describe('the package', () => {
    it('is unpacked, not installed; without an index it is refreshed once, without a password', async () => {
      const target = join(folder, 'nats-server');
      let refreshed = false;
      const tools = machine({
        run: async (command, args, options) => {
          const inside = options?.folder ?? '';
          if (command === 'sudo') refreshed = true;
          if (command === 'apt-get' && args[0] === 'download') {
            if (!refreshed) return { code: 100, output: 'E: Unable to locate package nats-server' };
            writeFileSync(join(inside, 'nats-server_2.10.27_amd64.deb'), '');
          }
          if (command === 'dpkg-deb') {
            mkdirSync(join(inside, 'usr', 'sbin'), { recursive: true });
            writeFileSync(join(inside, 'usr', 'sbin', 'nats-server'), 'program');
          }
          return done;
        },
      });
      assert.equal(await unpackPackage(tools, target), true);
      assert.equal(readFileSync(target, 'utf8'), 'program');
      assert.deepEqual(tools.calls, [
        'apt-get download nats-server',
        'sudo -n apt-get update',
        'apt-get download nats-server',
        'dpkg-deb -x nats-server_2.10.27_amd64.deb .',
      ]);
    });

    it("that does not exist is a failure with apt's own words, and leaves nothing", async () => {
      const target = join(folder, 'nats-server');
      const tools = machine({
        isRoot: true,
        run: async () => ({ code: 100, output: 'W: x\nE: Unable to locate package' }),
      });
      await assert.rejects(unpackPackage(tools, target), /apt-get download: E: Unable to locate package/);
      assert.deepEqual(tools.calls[1], 'apt-get update');
      assert.equal(existsSync(target), false);
      assert.equal(await unpackPackage(machine({ platform: 'darwin' }), target), false);
    });
  });

  describe('the release', () => {
    const name = `nats-server-v${releaseVersion}-linux-amd64`;
    const archive = new TextEncoder().encode('an archive');
    const sum = createHash('sha256').update(archive).digest('hex');

    function release(sums: string): Tools & { readonly calls: string[] } {
      return machine({
        download: async (url) => (url.endsWith('/SHA256SUMS') ? new TextEncoder().encode(sums) : archive),
        run: async (_, __, options) => {
          const inside = join(options?.folder ?? '', name);
          mkdirSync(inside, { recursive: true });
          writeFileSync(join(inside, 'nats-server'), 'program');
          chmodSync(join(inside, 'nats-server'), 0o755);
          return done;
        },
      });
    }

    it('is unpacked when its checksum is the one of SHA256SUMS', async () => {
      const target = join(folder, 'nats-server');
      const tools = release(`${'0'.repeat(64)}  other.tar.gz\n${sum}  ${name}.tar.gz\n`);
      assert.equal(await downloadRelease(tools, target), true);
      assert.equal(readFileSync(target, 'utf8'), 'program');
      assert.deepEqual(tools.calls, ['tar -xzf archive.tar.gz']);
    });

    it('is refused, before anything is unpacked, with another checksum or none', async () => {
      const target = join(folder, 'nats-server');
      for (const [sums, says] of [
        [`${'0'.repeat(64)}  ${name}.tar.gz\n`, /has SHA-256 .* the release says 0000/],
        [`${sum}  other.tar.gz\n`, /does not name/],
        ['<html>sign in</html>', /does not name/],
      ] as const) {
        const tools = release(sums);
        await assert.rejects(downloadRelease(tools, target), says);
        assert.deepEqual(tools.calls, []);
        assert.equal(existsSync(target), false);
      }
    });

    it('does not exist for every machine', async () => {
      assert.equal(await downloadRelease(machine({ platform: 'win32' }), join(folder, 'x')), false);
      assert.equal(await downloadRelease(machine({ arch: 's390x' }), join(folder, 'x')), false);
    });
  });

  it('the image is copied from a container that is removed again, also when the copy fails', async () => {
    for (const copied of [done, { code: 1, output: 'no such file' }]) {
      const tools = machine({
        run: async (_, [verb]) => {
          if (verb === 'create') return { code: 0, output: 'Pulling\nabc123' };
          return verb === 'cp' ? copied : done;
        },
      });
      const image = natsSources({ tools, cacheDir: folder }).at(-1)!;
      if (copied === done) assert.equal(await image.find(), join(folder, 'nats-server'));
      else await assert.rejects(image.find(), /docker: no such file/);
      assert.deepEqual(tools.calls.slice(1), [
        `docker cp abc123:/usr/local/bin/nats-server ${join(folder, 'nats-server')}`,
        'docker rm abc123',
      ]);
    }
  });
});
