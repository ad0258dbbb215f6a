/**
 * The structure of the code: folders use each other only by their contracts, clock and randomness are passed in, and files and
 * folders stay small.
 */
import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { basename, dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = findRoot(dirname(fileURLToPath(import.meta.url)));

/** Files that join implementations: nothing but these, programs (`main.ts`) and tests may import one. */
const joiners = new Set([
  'services/region/start-region.ts',
  'services/region/region.ts',
  'services/region/region-options.ts',
  'services/region/region-host.ts',
  'services/region/rebuild/gatherers.ts',
  'services/region/wiring/state.ts',
  'services/region/wiring/replication.ts',
  'services/region/wiring/upkeep.ts',
  'services/region/wiring/serving.ts',
  'services/router/start-router.ts',
  'services/router/router.ts',
]);

/** The one door to NATS is `stream.ts`; its implementation is joined in the mains only. */
const implementationsInShared = /^shared\/stream\/jetstream[a-z-]*\.ts$/;

/** Where clock, randomness and the environment may be used directly. */
const surroundings = /^(shared\/kernel|shared\/config)\/|(^|\/)main\.ts$/;
const surroundingCalls =
  /\bDate\.now\b|\bnew Date\(\s*\)|\bMath\.random\b|\bsetTimeout\b|\bsetInterval\b|\bsetImmediate\b|\bprocess\.env\b|\bperformance\.now\b/;

const LINES = 450;
const FILES = 14;

interface Source {
  readonly path: string;
  readonly text: string;
  /** Without comments. */
  readonly code: string;
  /** Paths from the root of what it imports by a relative path. */
  readonly imports: readonly string[];
}

function findRoot(from: string): string {
  for (let at = from; ; at = dirname(at)) if (existsSync(join(at, 'biome.json'))) return at;
}

function sourcesIn(folder: string): string[] {
  return readdirSync(join(root, folder)).flatMap((name) => {
    const path = `${folder}/${name}`;
    if (statSync(join(root, path)).isDirectory()) return sourcesIn(path);
    return path.endsWith('.ts') ? [path] : [];
  });
}

function read(path: string): Source {
  const text = readFileSync(join(root, path), 'utf8');
  const code = text.replace(/\/\*[\s\S]*?\*\//g, '').replace(/(^|[^:'"`])\/\/.*$/gm, '$1');
  const imports = [...code.matchAll(/(?:from|import)\s*\(?\s*'(\.[^']+)'/g)].map(([, target]) =>
    relative(root, join(root, dirname(path), target!)),
  );
  return { path, text, code, imports };
}

const sources = ['services', 'shared'].flatMap(sourcesIn).map(read);
const programs = sourcesIn('deploy').map(read);

/** By path: what imports it, the programs of `deploy` included. */
const importers = new Map<string, string[]>();
for (const { path, imports } of [...sources, ...programs]) {
  for (const to of imports) importers.set(to, [...(importers.get(to) ?? []), path]);
}

/** `services/region/wal` for a file in it; undefined for a file of `shared` or directly in a service's folder. */
function roomOf(path: string): string | undefined {
  const room = dirname(path);
  return /^services\/[^/]+\//.test(room) ? room : undefined;
}

function isContract(path: string): boolean {
  const room = roomOf(path);
  return room !== undefined && basename(path) === `${basename(room)}.ts`;
}

/** Every import that `allowed` says no to, worded. */
function offences(allowed: (from: Source, to: string) => boolean): string[] {
  return sources.flatMap((from) => from.imports.filter((to) => !allowed(from, to)).map((to) => `${from.path} → ${to}`));
}

/** Every path that leads back to itself, worded. */
function circlesIn(importsOf: ReadonlyMap<string, readonly string[]>): string[] {
  const circles: string[] = [];
  const finished = new Set<string>();
  const visit = (path: string, trail: readonly string[]): void => {
    if (trail.includes(path)) {
      circles.push([...trail.slice(trail.indexOf(path)), path].join(' → '));
      return;
    }
    if (finished.has(path)) return;
    for (const next of importsOf.get(path) ?? []) visit(next, [...trail, path]);
    finished.add(path);
  };
  for (const path of importsOf.keys()) visit(path, []);
  return circles;
}

describe('rooms', () => {
  it('the check sees the code: every relative import names an existing file', () => {
    assert.ok(sources.length > 50, `${sources.length} files`);
    assert.deepEqual(
      offences((_, to) => existsSync(join(root, to))),
      [],
    );
  });

  it('a folder is imported only by its contract', () => {
    const found = offences((from, to) => {
      const room = roomOf(to);
      if (room === undefined || room === roomOf(from.path) || joiners.has(from.path)) return true;
      return isContract(to);
    });
    assert.deepEqual(found, []);
  });

  it('every joiner joins something', () => {
    const idle = [...joiners].filter((path) => {
      const from = sources.find((source) => source.path === path);
      return !from?.imports.some(
        (to) => implementationsInShared.test(to) || (roomOf(to) !== undefined && !isContract(to)),
      );
    });
    assert.deepEqual(idle, []);
  });

  it('every folder below a service that others import from has its contract', () => {
    const rooms = new Set(sources.flatMap(({ imports }) => imports.map(roomOf)).filter((room) => room !== undefined));
    const without = [...rooms].filter((room) => !existsSync(join(root, room, `${basename(room)}.ts`)));
    const outside = without.filter((room) =>
      sources.some(
        ({ path, imports }) => roomOf(path) !== room && !joiners.has(path) && imports.some((to) => roomOf(to) === room),
      ),
    );
    assert.deepEqual(outside, []);
  });

  it('shared knows no service, and no service knows the other', () => {
    const found = offences((from, to) => {
      if (from.path.startsWith('shared/')) return to.startsWith('shared/');
      const service = from.path.split('/')[1];
      return to.startsWith('shared/') || to.startsWith(`services/${service}/`);
    });
    assert.deepEqual(found, []);
  });

  it('what one service alone uses lives in that service', () => {
    const users = (path: string): ReadonlySet<string> => {
      const found = new Set<string>();
      const visited = new Set<string>();
      const visit = (to: string): void => {
        for (const from of importers.get(to) ?? []) {
          if (visited.has(from)) continue;
          visited.add(from);
          if (from.startsWith('shared/')) visit(from);
          else found.add(from.split('/').slice(0, 2).join('/'));
        }
      };
      visit(path);
      return found;
    };
    const shared = sources.filter(({ path }) => path.startsWith('shared/'));
    assert.deepEqual(
      shared.filter(({ path }) => users(path).size < 2).map(({ path }) => `${path}: ${[...users(path)].join(', ')}`),
      [],
    );
  });

  it('the implementation of the stream is joined in the mains only', () => {
    const found = offences(
      (from, to) =>
        !implementationsInShared.test(to) || joiners.has(from.path) || implementationsInShared.test(from.path),
    );
    assert.deepEqual(found, []);
  });

  it('clock, randomness, timers and the environment are used through the kernel', () => {
    const found = sources
      .filter(({ path }) => !surroundings.test(path))
      .flatMap(({ path, code }) => {
        const call = surroundingCalls.exec(code)?.[0];
        return call === undefined ? [] : [`${path}: ${call}`];
      });
    assert.deepEqual(found, []);
  });

  it('no imports run in a circle, those of types included', () => {
    assert.deepEqual(circlesIn(new Map(sources.map(({ path, imports }) => [path, imports]))), []);
  });

  it('no folders of the router or of shared import each other in a circle', () => {
    const folders = new Map<string, string[]>();
    for (const { path, imports } of sources) {
      const from = dirname(path);
      if (!/^(services\/router|shared)\//.test(from)) continue;
      const others = imports.map((to) => dirname(to)).filter((to) => to !== from);
      folders.set(from, [...(folders.get(from) ?? []), ...others]);
    }
    assert.deepEqual(circlesIn(folders), []);
  });

  it(`no file has more than ${LINES} lines, no folder more than ${FILES} files, those of unit tests and harness included`, () => {
    const long = sources.filter(({ text }) => text.split('\n').length > LINES + 1).map(({ path }) => path);
    assert.deepEqual(long, []);
    const folders = new Map<string, number>();
    const tests = ['test/unit', 'test/harness'].flatMap(sourcesIn).map((path) => ({ path }));
    for (const { path } of [...sources, ...tests]) folders.set(dirname(path), (folders.get(dirname(path)) ?? 0) + 1);
    assert.deepEqual(
      [...folders].filter(([, count]) => count > FILES),
      [],
    );
  });

  it('there are no folders or files without a subject', () => {
    const drawers = sources.filter(({ path }) => /\/(utils?|helpers?|common|misc|index)(\/|\.ts$)/.test(path));
    assert.deepEqual(
      drawers.map(({ path }) => path),
      [],
    );
  });
});
