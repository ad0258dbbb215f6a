/** `docs/dependencies.md`, the lock and the base images: nothing is in production that is not named with its reason. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parse } from 'yaml';
import { releaseVersion } from '../../../deploy/local/nats-sources/download.ts';
import { lockedPackages, productionPackages } from '../../checkers/locked-packages.ts';

const fileText = (path: string): string => readFileSync(new URL(`../../../../${path}`, import.meta.url), 'utf8');

interface PackageFile {
  readonly dependencies: Readonly<Record<string, string>>;
  readonly optionalDependencies: Readonly<Record<string, string>>;
  readonly allowScripts: Readonly<Record<string, boolean>>;
}

const packageFile = JSON.parse(fileText('package.json')) as PackageFile;
const direct = Object.keys({ ...packageFile.dependencies, ...packageFile.optionalDependencies }).sort();

/** The rows of the table under a heading, their text alone. */
function rows(heading: string): string[][] {
  const section = fileText('docs/dependencies.md').split(`\n## ${heading}\n`)[1]?.split('\n## ')[0] ?? '';
  const lines = section.split('\n').filter((line) => line.startsWith('| `'));
  assert.ok(lines.length > 0, `a table under “${heading}”`);
  return lines.map((line) =>
    line
      .split('|')
      .slice(1, -1)
      .map((cell) => cell.trim().replaceAll('`', '')),
  );
}

function licencesOf(name: string): string {
  const all = productionPackages().filter((each) => each.name === name);
  return [...new Set(all.map(({ licence }) => licence))].sort().join(', ');
}

describe('dependencies', () => {
  it('every package that the code imports is listed with its licence and its reason, by its exact version', () => {
    const listed = rows('What the code imports');
    assert.deepEqual(
      listed.map(([name, licence]) => [name, licence]),
      direct.map((name) => [name, licencesOf(name)]),
    );
    for (const [name, , why] of listed) assert.ok(why !== undefined && why.length > 20, `why ${name}`);
    for (const version of Object.values({ ...packageFile.dependencies, ...packageFile.optionalDependencies }))
      assert.match(version, /^\d+\.\d+\.\d+$/);
  });

  it('so is every package that these require, with what requires it; no other is installed in production', () => {
    const packages = productionPackages();
    const names = [...new Set(packages.map(({ name }) => name))].filter((name) => !direct.includes(name)).sort();
    const requiredBy = (name: string): string =>
      [...new Set(packages.filter(({ requires }) => requires.includes(name)).map((each) => each.name))]
        .sort()
        .join(', ');
    assert.deepEqual(
      rows('What these require'),
      names.map((name) => [name, licencesOf(name), requiredBy(name)]),
    );
  });

  it('licences are ones that allow this use', () => {
    // MPL-1.1 asks for the source of the package's own files, which is unchanged and public; it does not extend to this code.
    const allowed = ['MIT', 'MPL-1.1', 'ISC', 'Apache-2.0', 'BSD-2-Clause', 'BSD-3-Clause', 'Unlicense', '0BSD'];
    for (const { name, licence } of productionPackages()) assert.ok(allowed.includes(licence), `${name}: ${licence}`);
  });

  it('every package of the lock has the hash of its contents', () => {
    assert.deepEqual(
      lockedPackages()
        .filter(({ integrity }) => integrity === undefined || !integrity.startsWith('sha512-'))
        .map(({ path }) => path),
      [],
    );
  });

  it('scripts at installation are allowed or refused by name, and listed', () => {
    const scripted = new Set(lockedPackages().flatMap(({ name, hasScript }) => (hasScript ? [name] : [])));
    const { allowScripts } = packageFile;
    assert.deepEqual(
      [...scripted].filter((name) => !(name in allowScripts)).filter((name) => name !== 'fsevents'),
      [],
    );
    const production = new Set(productionPackages().map(({ name }) => name));
    for (const [name, allowed] of Object.entries(allowScripts)) assert.equal(allowed, production.has(name), name);
    assert.deepEqual(
      rows('Scripts at installation').map(([name, allowed]) => [name, allowed === 'yes']),
      Object.entries(allowScripts),
    );
  });

  it('npm run sbom lists the production packages, from the lock alone, and marks those of development', function () {
    this.timeout(60_000);
    const text = execFileSync('npm', ['run', '--silent', 'sbom'], { encoding: 'utf8', maxBuffer: 64 * 1024 * 1024 });
    const { bomFormat, components } = JSON.parse(text) as {
      readonly bomFormat: string;
      readonly components: readonly Component[];
    };
    assert.equal(bomFormat, 'CycloneDX');
    const key = ({ name, version }: Pick<Component, 'name' | 'version'>): string => `${name}@${version}`;
    const isProduction = ({ properties = [] }: Component): boolean =>
      !properties.some(({ name }) => name === 'cdx:npm:package:development');
    const unique = (keys: readonly string[]): string[] => [...new Set(keys)].sort();
    assert.deepEqual(unique(components.filter(isProduction).map(key)), unique(productionPackages().map(key)));
  });
});

interface Component {
  readonly name: string;
  readonly version: string;
  readonly properties?: readonly { readonly name: string }[];
}

interface Service {
  readonly image: string;
  readonly read_only?: boolean;
  readonly cap_drop?: readonly string[];
  readonly cap_add?: unknown;
  readonly privileged?: unknown;
  readonly security_opt?: readonly string[];
  readonly pids_limit?: number;
  readonly cpus?: string;
  readonly mem_limit?: string;
  readonly build?: { readonly args?: Readonly<Record<string, string>> };
}

describe('the images', () => {
  const compose = parse(fileText('compose.yaml'), { merge: true }) as { readonly services: Record<string, Service> };
  const dockerfile = fileText('deploy/Dockerfile');
  const pinned = fileText('deploy/pin-images');

  it('every service of compose.yaml is confined and limited', () => {
    for (const [name, service] of Object.entries(compose.services)) {
      const { read_only, cap_drop, security_opt, cap_add, privileged } = service;
      assert.deepEqual([read_only, cap_drop, security_opt], [true, ['ALL'], ['no-new-privileges:true']], name);
      assert.deepEqual([cap_add, privileged], [undefined, undefined], name);
      for (const limit of ['pids_limit', 'cpus', 'mem_limit'] as const)
        assert.ok(service[limit] !== undefined, `${name}: ${limit}`);
    }
  });

  it('base images are named by the same variable and tag wherever they are used, nats-server by one version', () => {
    const used = new Map<string, Set<string>>();
    const note = (name: string, image: string): void => {
      used.set(name, (used.get(name) ?? new Set()).add(image));
    };
    for (const service of Object.values(compose.services)) {
      for (const text of [service.image, ...Object.values(service.build?.args ?? {})]) {
        const [, name, image] = /^\$\{(\w+_IMAGE):-([^}]+)\}$/.exec(text) ?? assert.fail(`${text} has no variable`);
        if (name !== 'TIDAL_IMAGE') note(name!, image!);
      }
    }
    for (const [, name, image] of dockerfile.matchAll(/^ARG (\w+_IMAGE)=(.+)$/gm)) note(name!, image!);
    for (const [, name, image] of pinned.matchAll(/\$\{(\w+_IMAGE):-([^}]+)\}/g)) note(name!, image!);
    assert.deepEqual([...used.keys()].sort(), ['GRAFANA_IMAGE', 'NATS_IMAGE', 'NODE_IMAGE', 'PROMETHEUS_IMAGE']);
    for (const [name, images] of used) assert.equal(images.size, 1, `${name}: ${[...images].join(', ')}`);
    assert.deepEqual([...used.get('NATS_IMAGE')!], [`nats:${releaseVersion}-alpine`]);
    // Nothing is built on an image that is named otherwise.
    for (const [, from] of dockerfile.matchAll(/^FROM (\S+)/gm)) assert.match(from!, /^\$\{\w+_IMAGE\}$/);
    for (const [, from] of dockerfile.matchAll(/COPY --from=(\S+)/g)) assert.match(from!, /^(build|nats)$/);
  });

  it('deploy/pin-images prints every base image by the digest that its registry answers, or fails', () => {
    const directory = mkdtempSync(join(tmpdir(), 'tidal-pins-'));
    const pins = (docker: string, ...args: string[]): string => {
      writeFileSync(join(directory, 'docker'), `#!/bin/sh\n${docker}\n`, { mode: 0o755 });
      const path = fileURLToPath(new URL('../../../../deploy/pin-images', import.meta.url));
      const env = { PATH: `${directory}:${process.env.PATH}` };
      return execFileSync(path, args, { encoding: 'utf8', env, stdio: ['ignore', 'pipe', 'pipe'] });
    };
    try {
      const digest = `sha256:${'a'.repeat(64)}`;
      const lines = pins(`echo ${digest}`, 'NODE_IMAGE=node:26').trim().split('\n');
      assert.deepEqual(lines, [
        `NODE_IMAGE=node:26@${digest}`,
        `NATS_IMAGE=nats:${releaseVersion}-alpine@${digest}`,
        `PROMETHEUS_IMAGE=prom/prometheus:latest@${digest}`,
        `GRAFANA_IMAGE=grafana/grafana:latest@${digest}`,
      ]);
      assert.throws(() => pins('exit 1'), { status: 1 });
      assert.throws(() => pins('echo nothing'), { status: 1 });
      assert.throws(() => pins(`echo ${digest}`, 'OTHER=x'), { status: 2 });
    } finally {
      rmSync(directory, { recursive: true, force: true });
    }
  });
});
