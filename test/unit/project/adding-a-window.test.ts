/** A window more is one line: with it the built code sums and bounds it like the others. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';

describe('a window more', function () {
  this.timeout(180_000);
  let folder: string;

  before(() => {
    folder = mkdtempSync(join(tmpdir(), 'tidal-window-'));
    for (const part of ['services', 'shared', 'test/harness', 'test/property']) {
      cpSync(join('dist', part), join(folder, 'dist', part), { recursive: true });
    }
    cpSync('package.json', join(folder, 'package.json'));
    symlinkSync(resolve('node_modules'), join(folder, 'node_modules'));
    const file = join(folder, 'dist/services/region/schema/schema.js');
    const code = readFileSync(file, 'utf8');
    const more = code.replace("'7d': 604_800,", "'7d': 604_800,\n    '30d': 2_592_000,");
    assert.notEqual(more, code, 'the table is where it was');
    writeFileSync(file, more);
  });

  after(() => rmSync(folder, { recursive: true, force: true }));

  for (const test of ['ledger', 'ledger-shards', 'profile-bounds']) {
    it(`holds in test/property/${test}.test.ts`, () => {
      const mocha = resolve('node_modules/mocha/bin/mocha.js');
      const args = [mocha, '--timeout', '120000', `dist/test/property/${test}.test.js`];
      const { status, stdout, stderr } = spawnSync(process.execPath, args, { cwd: folder, encoding: 'utf8' });
      assert.equal(status, 0, `${stdout}${stderr}`.slice(-4_000));
      assert.match(stdout, /\d+ passing/);
    });
  }
});
