/** Checks of the documents: invariants name tests, all codes are listed, links have targets. */
import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { problems } from '../../../shared/errors/errors.ts';

const root = fileURLToPath(new URL('../../../../', import.meta.url));
const read = (file: string): string => readFileSync(join(root, file), 'utf8');
const documents = ['README.md', 'SECURITY.md', 'CHANGELOG.md', 'test/README.md']
  .concat(readdirSync(join(root, 'docs')).map((name) => `docs/${name}`))
  .concat(readdirSync(join(root, 'docs/adr')).map((name) => `docs/adr/${name}`))
  .filter((name) => name.endsWith('.md'));

describe('the documents', () => {
  it('docs/INVARIANTS.md: every invariant names at least one test, and every test named exists and has tests', () => {
    const invariants = read('docs/INVARIANTS.md')
      .split(/^(?=\d+\. )/m)
      .slice(1);
    assert.equal(invariants.length, 10);
    for (const [index, text] of invariants.entries()) {
      assert.match(text, new RegExp(`^${index + 1}\\. `), 'numbered in order');
      const tests = [...text.matchAll(/`(test\/[^`]+\.test\.ts)`/g)].map((match) => match[1]!);
      assert.ok(tests.length > 0, `invariant ${index + 1} names no test`);
      for (const test of tests) {
        assert.ok(existsSync(join(root, test)), `${test} does not exist`);
        assert.match(read(test), /\bit\(/, `${test} has no tests`);
      }
    }
  });

  it('SECURITY.md: every test that it names exists', () => {
    const tests = [...read('SECURITY.md').matchAll(/`(test\/[^`]+\.test\.ts)`/g)].map((match) => match[1]!);
    assert.ok(tests.length > 10);
    for (const test of tests) assert.ok(existsSync(join(root, test)), `${test} does not exist`);
  });

  it('docs/adr: no two decisions have one number, and each has its own in its title', () => {
    const files = readdirSync(join(root, 'docs/adr'));
    const numbers = files.map((name) => Number(name.slice(0, 4)));
    assert.equal(new Set(numbers).size, files.length, files.join(', '));
    for (const [index, name] of files.entries())
      assert.match(read(`docs/adr/${name}`), new RegExp(`^# ${numbers[index]}\\. `));
  });

  it('docs/schedules.md: every row names a test that exists, and every test that carries a number has its row', () => {
    const rows = read('docs/schedules.md')
      .split('\n')
      .filter((line) => /^\| \d/.test(line));
    const numbers = new Set<number>();
    for (const row of rows) {
      const [, number] = /^\| (\d+)(?: [iv]+)? \|/.exec(row) ?? assert.fail(`no number: ${row}`);
      numbers.add(Number(number));
      const [, file, title] = /`(test\/[^`]+\.ts)`: `([^`]+)` \|$/.exec(row) ?? assert.fail(`no test: ${row}`);
      assert.ok(existsSync(join(root, file!)), `${file} does not exist`);
      assert.ok(
        titles(read(file!)).some((each) => each.includes(title!)),
        `${file} has no test “${title}”`,
      );
    }
    assert.deepEqual(
      Array.from({ length: 34 }, (_, index) => index + 1).filter((number) => !numbers.has(number)),
      [],
    );
    for (const file of files(join(root, 'test'))) {
      for (const [, text] of readFileSync(file, 'utf8').matchAll(/\(schedules? (\d[^)]*)\)/g)) {
        for (const number of text!.match(/\d+/g) ?? []) {
          assert.ok(numbers.has(Number(number)), `${file} is of schedule ${number}, which has no row`);
        }
      }
    }
  });

  it('docs/api.md lists every error code with its status, and no other', () => {
    const rows = [...read('docs/api.md').matchAll(/^\| `([a-z_]+)` \| (\d{3}) \|/gm)].map((match) => [
      match[1],
      Number(match[2]),
    ]);
    assert.deepEqual(
      rows,
      Object.entries(problems).map(([code, [status]]) => [code, status]),
    );
  });

  it('every error code is one the program can answer', () => {
    const sources = ['services', 'shared', 'deploy']
      .flatMap((folder) => files(join(root, folder)))
      .filter((file) => !file.endsWith('errors.ts'));
    const text = sources.map((file) => readFileSync(file, 'utf8')).join('\n');
    // Where one is made, not where it is met: `stopped` in a status has codes of its own. That none is made which the table lacks is its type.
    const made = new Set([...text.matchAll(/(?:new Refusal|refused\w*)\(\s*'([a-z_]+)'/g)].map(([, code]) => code));
    assert.deepEqual(
      Object.keys(problems).filter((code) => !made.has(code)),
      [],
    );
  });

  it('docs/failure-modes.md: every fault names tests that exist', () => {
    const rows = read('docs/failure-modes.md')
      .split('\n')
      .filter((line) => line.startsWith('| ') && !line.startsWith('| fault'));
    assert.ok(rows.length >= 20, `${rows.length} rows`);
    for (const row of rows) {
      assert.equal(row.split(' | ').length, 5, row);
      const tests = [...row.matchAll(/`(test\/[^`]+\.test\.ts)`/g)].map(([, file]) => file!);
      assert.ok(tests.length > 0, `no test: ${row}`);
      for (const test of tests) assert.ok(existsSync(join(root, test)), `${test} does not exist`);
    }
  });

  it('docs/limits.md names every setting that is a number, and only settings and metrics that exist', () => {
    const limits = read('docs/limits.md');
    const sources = ['region', 'router'].map((process) => read(`services/${process}/${process}-config.ts`)).join('\n');
    const numbers = [...sources.matchAll(/env: '(\w+)',\s+flag: '[\w-]+',\s+kind: 'integer'/g)].map(
      ([, name]) => name!,
    );
    assert.ok(numbers.length >= 12, `${numbers.length} settings found`);
    const named = new Set([...limits.matchAll(/`(TIDAL_[A-Z_]+)`/g)].map(([, name]) => name!));
    assert.deepEqual([...named].sort(), [...new Set(numbers)].sort());
    const metrics = read('docs/metrics.md');
    for (const [, metric] of limits.matchAll(/`(tidal_[a-z_]+)`/g)) {
      assert.ok(metrics.includes(`| \`${metric}\` |`), `${metric} is not in docs/metrics.md`);
    }
  });

  for (const document of documents) {
    it(`${document}: every relative link leads to a file`, () => {
      for (const [, target] of read(document).matchAll(/\]\(([^)#:]+)(?:#[^)]*)?\)/g)) {
        const file = resolve(root, dirname(document), target!);
        assert.ok(existsSync(file), `${target} does not exist`);
      }
    });
  }
});

/** The titles of `it` and `describe`, as far as they are on one line. */
function titles(source: string): string[] {
  return [...source.matchAll(/\b(?:it|describe)\(\s*[`'"]([^\n]*)/g)].map((match) => match[1]!);
}

function files(folder: string): string[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && entry.name.endsWith('.ts'))
    .map((entry) => join(entry.parentPath, entry.name));
}
