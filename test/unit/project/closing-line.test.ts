import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { longSuites } from '../../harness/reporter/closing-line-reporter.ts';

const root = fileURLToPath(new URL('../../../../', import.meta.url));

describe('the closing line of a test run', function () {
  this.timeout(20_000);
  let directory: string;
  before(() => {
    directory = mkdtempSync(join(tmpdir(), 'tidal-closing-'));
  });
  after(() => rmSync(directory, { recursive: true, force: true }));

  /** Runs mocha on `suite` as `npm test` does. */
  const run = (suite: string): Promise<{ exitCode: number; lastLine: string | undefined }> => {
    const file = join(directory, 'suite.cjs');
    writeFileSync(file, suite);
    return new Promise((resolve) => {
      execFile(process.execPath, ['node_modules/mocha/bin/mocha.js', file], { cwd: root }, (error, stdout) => {
        const exitCode = typeof error?.code === 'number' ? error.code : 0;
        resolve({ exitCode, lastLine: stdout.trimEnd().split('\n').at(-1) });
      });
    });
  };

  it('counts what passed', async () => {
    assert.deepEqual(await run('it("a", () => {}); it("b", () => {})'), {
      exitCode: 0,
      lastLine: '2 passed, 0 failed',
    });
  });

  it('counts failures, hooks among them, and what was skipped; the exit code stays mocha’s', async () => {
    const suite = `
      it('a', () => {});
      it('b', () => { throw new Error('b'); });
      it.skip('c', () => {});
      describe('d', () => { before(() => { throw new Error('hook'); }); it('e', () => {}); });`;
    assert.deepEqual(await run(suite), { exitCode: 2, lastLine: '1 passed, 2 failed, 1 skipped' });
  });

  it('stands below the suites that took long, the longest first', () => {
    const tookMs = new Map([
      [join(root, 'a.test.js'), 9_999],
      [join(root, 'b.test.js'), 10_400],
      [join(root, 'c/d.test.js'), 200_000],
    ]);
    assert.deepEqual(longSuites(tookMs), [
      'suites that took longest:',
      '  200 s  c/d.test.js',
      '   10 s  b.test.js',
      '',
    ]);
  });
});
