/** The archive of `npm pack`: the console is in it, and a project in which nothing else is installed can import the client from it, and compile with its types. */
import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { readConsoleFiles } from '../../../services/router/console/console-files.ts';

const program = `
import { type api, TidalClient, TidalProblem } from 'tidaldb-cluster/client';

const tidal = new TidalClient({ urls: ['http://127.0.0.1:9500'] });
export const feed = async (): Promise<readonly api.RankedItem[]> => (await tidal.feed({ profile: 'trending', limit: 3 })).items;
// @ts-expect-error there is no such profile parameter
export const wrong = (): Promise<unknown> => tidal.feed({ profil: 'trending' });
console.log(tidal.constructor.name, TidalProblem.name);
`;

describe('the archive of npm pack', function () {
  this.timeout(120_000);
  const folder = mkdtempSync(join(tmpdir(), 'tidal-package-'));
  after(() => rmSync(folder, { recursive: true, force: true }));
  const run = (file: string, args: readonly string[]): string =>
    execFileSync(file, args, { cwd: folder, encoding: 'utf8' });

  it('has the client, which needs no other package, its types, the files of the console, and no tests', () => {
    const packed = execFileSync('npm', ['pack', '--ignore-scripts', '--json', '--pack-destination', folder], {
      encoding: 'utf8',
    });
    const [{ filename, files }] = JSON.parse(packed) as [
      { readonly filename: string; readonly files: readonly { readonly path: string }[] },
    ];
    assert.deepEqual(
      files.filter(({ path }) => path.startsWith('dist/test/')),
      [],
    );
    const paths = new Set(files.map(({ path }) => path));
    for (const name of readConsoleFiles().keys()) assert.ok(paths.has(`services/router/console/static/${name}`), name);
    const installed = join(folder, 'node_modules', 'tidaldb-cluster');
    mkdirSync(installed, { recursive: true });
    run('tar', ['-xzf', filename, '-C', installed, '--strip-components=1']);
    writeFileSync(join(folder, 'package.json'), '{"type":"module"}');
    writeFileSync(join(folder, 'program.ts'), program);
    const options = [
      '--strict',
      '--exactOptionalPropertyTypes',
      '--module',
      'nodenext',
      '--target',
      'es2023',
      '--types',
      '',
    ];
    const tsc = [resolve('node_modules/typescript/bin/tsc'), ...options, 'program.ts'];
    const { stdout } = spawnSync(process.execPath, tsc, { cwd: folder, encoding: 'utf8' });
    assert.equal(stdout, '');
    assert.equal(run(process.execPath, ['program.js']), 'TidalClient TidalProblem\n');
  });
});
