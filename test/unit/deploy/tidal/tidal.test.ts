/** The operator's commands, as processes: what they print, and how they end. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { accessSync, constants, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { digestOf } from '../../../../services/router/keys/key-access.ts';
import { parseKeys } from '../../../../services/router/keys/parse-keys.ts';
import { packageRoot } from '../../../../shared/config/settings-table.ts';

const main = fileURLToPath(new URL('../../../../deploy/tidal/main.js', import.meta.url));

describe('tidal', function () {
  this.timeout(30_000);
  let folder: string;
  before(() => {
    folder = mkdtempSync(join(tmpdir(), 'tidal-command-'));
  });
  after(() => rmSync(folder, { recursive: true, force: true }));

  const tidal = (...args: readonly string[]) => {
    const { status, stdout, stderr } = spawnSync(process.execPath, [main, ...args], { cwd: folder, encoding: 'utf8' });
    return { status, stdout, stderr };
  };
  const secretIn = (stdout: string): string =>
    /^secret: (tidal_[\w-]{43})$/m.exec(stdout)?.[1] ?? assert.fail(`no secret: ${stdout}`);

  it('is the program npm runs by that name', () => {
    const { bin } = JSON.parse(readFileSync(join(packageRoot, 'package.json'), 'utf8')) as {
      bin: Record<string, string>;
    };
    assert.deepEqual(Object.keys(bin), ['tidal']);
    accessSync(join(packageRoot, bin.tidal!), constants.X_OK);
  });

  it('lists its commands, explains each, and refuses others by name', () => {
    for (const args of [[], ['--help'], ['keys', '--help']]) {
      const { status, stdout } = tidal(...args);
      assert.equal(status, 0);
      assert.match(stdout, /keys new +makes/);
    }
    assert.match(tidal('keys', 'new', '--help').stdout, /--scope {4}read, write, admin, metrics/);
    for (const args of [['kes', 'new'], ['keys'], ['keys', 'old'], ['--colour']]) {
      const { status, stderr } = tidal(...args);
      assert.equal(status, 2, args.join(' '));
      assert.match(stderr, new RegExp(`"${args.join(' ')}"; commands: keys new, keys init`));
    }
  });

  it('completes commands and options in a shell', () => {
    const complete = (...words: readonly string[]): readonly string[] => {
      const { stdout: script, status } = tidal('completion', 'bash');
      assert.equal(status, 0);
      const quoted = words.map((word) => `'${word}'`).join(' ');
      const ask = `COMP_CWORD=${words.length - 1} COMP_WORDS=(${quoted}); _tidal; printf '%s\\n' "\${COMPREPLY[@]}"`;
      const { stdout, stderr } = spawnSync('bash', ['-c', `${script}\n${ask}`], { encoding: 'utf8' });
      assert.equal(stderr, '');
      return stdout.trim().split('\n');
    };
    assert.deepEqual(complete('tidal', 'p'), ['promote', 'partition']);
    assert.deepEqual(complete('tidal', 'keys', ''), [
      'new',
      'init',
      '--name',
      '--scope',
      '--expires',
      '--rate',
      '--file',
      '--directory',
      '--help',
    ]);
    assert.deepEqual(complete('tidal', 'heal', '--w'), ['--wait']);
    assert.match(tidal('completion', 'zsh').stdout, /bashcompinit/);
    assert.match(tidal('completion', 'fish').stderr, /completion takes one of bash, zsh, not "fish"/);
  });

  it('keys new prints a secret once, and an entry that accepts it', () => {
    const { status, stdout } = tidal(
      ...['keys', 'new', '--name', 'web', '--scope', 'read', '--scope', 'write,metrics'],
      ...['--rate', '0.5', '--expires', '1d'],
    );
    assert.equal(status, 0);
    const secret = secretIn(stdout);
    assert.equal(stdout.split(secret).length, 2, 'printed once');
    const [key, ...others] = parseKeys(stdout.slice(stdout.indexOf('keys:\n')), 'output');
    assert.deepEqual(others, []);
    assert.deepEqual(
      { ...key, expiresMs: undefined },
      {
        name: 'web',
        scopes: ['read', 'write', 'metrics'],
        digest: digestOf(secret),
        expiresMs: undefined,
        rate: 0.5,
      },
    );
    const inMs = key!.expiresMs! - Date.now();
    assert.ok(inMs > 86_000_000 && inMs <= 86_400_000, `${inMs}`);
    assert.notEqual(secretIn(tidal('keys', 'new', '--name', 'web', '--scope', 'read').stdout), secret);
  });

  it('keys new --file adds the entry to a file, which keeps its comments and its mode', () => {
    const file = join(folder, 'keys.yaml');
    const add = (name: string) => tidal('keys', 'new', '--name', name, '--scope', 'read', '--file', 'keys.yaml');
    const first = add('first');
    assert.equal(first.status, 0, first.stderr);
    assert.equal(statSync(file).mode & 0o777, 0o600);
    writeFileSync(file, `# ours\n${readFileSync(file, 'utf8')}`);
    const second = add('second');
    const text = readFileSync(file, 'utf8');
    assert.match(text, /^# ours\n/);
    assert.doesNotMatch(text, /tidal_/);
    assert.deepEqual(
      parseKeys(text, file).map(({ name, digest }) => [name, digest]),
      [
        ['first', digestOf(secretIn(first.stdout))],
        ['second', digestOf(secretIn(second.stdout))],
      ],
    );
    const again = add('first');
    assert.equal(again.status, 2);
    assert.match(again.stderr, /has the name of another key, first/);
    assert.doesNotMatch(again.stdout, /tidal_/);
    assert.equal(readFileSync(file, 'utf8'), text);
  });

  it('keys init makes the first keys of a directory, once', () => {
    const directory = mkdtempSync(join(folder, 'keys-'));
    const init = () => tidal('keys', 'init', '--directory', directory);
    const read = (name: string): string => readFileSync(join(directory, name), 'utf8');
    writeFileSync(join(directory, 'operator.key'), 'left by a start that was interrupted');
    assert.equal(init().status, 0);
    const files = ['keys.yaml', 'operator.key', 'prometheus.key'].map(read);
    assert.deepEqual(
      parseKeys(files[0]!, 'keys.yaml').map(({ name, scopes, digest }) => [name, scopes, digest]),
      [
        ['operator', ['read', 'write', 'admin', 'metrics'], digestOf(files[1]!.trim())],
        ['prometheus', ['metrics'], digestOf(files[2]!.trim())],
      ],
    );
    const modes = ['keys.yaml', 'operator.key', 'prometheus.key'].map((name) => statSync(join(directory, name)).mode);
    assert.deepEqual(
      modes.map((mode) => mode & 0o777),
      [0o600, 0o600, 0o644],
    );
    assert.deepEqual([init().stdout, ...['keys.yaml', 'operator.key', 'prometheus.key'].map(read)], ['', ...files]);
  });

  it('keys new refuses what the router would refuse', () => {
    for (const [args, says] of [
      [['--scope', 'read'], /--name is required/],
      [['--name', 'web'], /--scope is required: read, write, admin, metrics/],
      [['--name', 'Web', '--scope', 'read'], /name.*lower-case/],
      [['--name', 'web', '--scope', 'all'], /one of read, write, admin, metrics, not "all"/],
      [['--name', 'web', '--scope', 'read', '--rate', 'x'], /--rate must be a number/],
      [['--name', 'web', '--scope', 'read', '--rate', '0'], /rate.*from 0\.001/],
      [['--name', 'web', '--scope', 'read', '--expires', 'soon'], /RFC 3339/],
      [['--name', 'web', '--scope', 'read', '--secret', 'x'], /--secret/],
    ] as const) {
      const { status, stdout, stderr } = tidal('keys', 'new', ...args);
      assert.deepEqual([status, stdout], [2, ''], args.join(' '));
      assert.match(stderr, says);
    }
  });
});
