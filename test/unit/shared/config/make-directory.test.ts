/** A directory that cannot be made: one line that says which and why, exit code 2, at once, in every program that makes one. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { makeDirectory } from '../../../../shared/config/make-directory.ts';
import { ConfigError } from '../../../../shared/errors/config-error.ts';

const built = (path: string): string => fileURLToPath(new URL(`../../../../${path}`, import.meta.url));
/** Answers ENOENT for a name in an existing directory. */
const nowhere = '/proc/tidal-nope';

describe('a directory that cannot be made', () => {
  let folder: string;

  before(() => {
    folder = mkdtempSync(join(tmpdir(), 'tidal-make-'));
    writeFileSync(join(folder, 'file'), '');
    symlinkSync('round', join(folder, 'round'));
  });

  after(() => rmSync(folder, { recursive: true, force: true }));

  it('one that can be is created with its parents, and an existing one is not changed', () => {
    const path = join(folder, 'a', 'b', 'c');
    makeDirectory(path);
    const { ino } = statSync(path);
    makeDirectory(path);
    assert.equal(statSync(path).ino, ino);
  });

  for (const [what, path, reason] of [
    ['a file on its path', 'file/below', /cannot be made: something on its path is no directory \(ENOTDIR\)$/],
    ['a file in its place', 'file', /cannot be made: there is something of that name that is no directory \(EEXIST\)$/],
    ['links in a circle', 'round/below', /cannot be made: the symbolic links on its path .* \(ELOOP\)$/],
    ['a name too long', 'n'.repeat(300), /cannot be made: a name on its path is too long \(ENAMETOOLONG\)$/],
  ] as const) {
    it(`${what} is named`, () => {
      assert.throws(
        () => makeDirectory(join(folder, path)),
        (error: unknown) => error instanceof ConfigError && reason.test(error.message) && !error.message.includes('\n'),
      );
    });
  }

  for (const [code, reason] of [
    ['EACCES', 'not permitted to this user'],
    ['EROFS', 'the file system is read-only'],
    ['ENOSPC', 'the disk is full'],
    ['EDQUOT', 'the quota of this user is used up'],
  ] as const) {
    it(`${code}: ${reason}`, () => {
      const fails = (): void => {
        throw Object.assign(new Error('raw'), { code });
      };
      assert.throws(() => makeDirectory(join(folder, 'new'), fails), {
        name: 'ConfigError',
        message: `the directory ${join(folder, 'new')} cannot be made: ${reason} (${code})`,
      });
    });
  }

  const programs: readonly (readonly [string, string, readonly string[]])[] = [
    ['npm start', 'deploy/local/main.js', ['--data-dir', nowhere, '--listen', '127.0.0.1:29500']],
    [
      'a region',
      'services/region/main.js',
      ['--region', 'us-east', '--insecure-internal', '--data-dir', `${nowhere}/deep`],
    ],
    ['a backup', 'deploy/backup/main.js', ['--region', 'us-east', '--to', `${nowhere}/file`]],
  ];
  for (const [name, program, flags] of programs) {
    it(`${name} says so in one line and ends with exit code 2`, function () {
      if (process.platform !== 'linux') return this.skip();
      const { status, stderr } = spawnSync(process.execPath, [built(program), ...flags], {
        timeout: 15_000,
        killSignal: 'SIGKILL',
        encoding: 'utf8',
      });
      assert.equal(status, 2, stderr);
      const [line = '', ...rest] = stderr.trimEnd().split('\n');
      assert.match(
        line,
        /the directory \/proc\/tidal-nope\S* cannot be made: the file system there takes no directories/,
      );
      assert.ok(
        rest.every((other) => other === 'Try --help.'),
        stderr,
      );
    });
  }

  it('a backup whose files cannot be read or written ends in a sentence, not in a stack trace', () => {
    const from = join(folder, 'backup');
    mkdirSync(join(from, 'inside'), { recursive: true });
    mkdirSync(`${from}.json`);
    const to = join(folder, 'n'.repeat(300));
    for (const [program, flags, says] of [
      ['deploy/backup/restore.js', ['--from', from, '--data-dir', join(folder, 'restored')], /EISDIR/],
      ['deploy/backup/main.js', ['--region', 'us-east', '--data-dir', folder, '--to', to], /ENAMETOOLONG/],
    ] as const) {
      const { status, stderr } = spawnSync(process.execPath, [built(program), ...flags], {
        timeout: 15_000,
        encoding: 'utf8',
      });
      assert.ok(status === 1 || status === 2, stderr);
      assert.match(stderr, says);
      assert.doesNotMatch(stderr, /\n\s+at /);
      assert.ok(stderr.trimEnd().split('\n').length <= 2, stderr);
    }
  });
});
