/** What `npm run bench` prints and writes, and that every benchmark can be found by its name. */
import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { benchNames, loadBench, projectRoot } from '../../bench/benches.ts';
import { entries, PageTable, writtenContents } from '../../bench/contents.ts';
import { renderPage, renderTable } from '../../bench/page.ts';

const result = {
  columns: ['median', 'ratio'],
  rows: [
    { what: 'ours', cells: ['1.5 ms', '1'] },
    { what: 'a | b', cells: ['30 ms', '20'] },
  ],
  notes: ['seed 7'],
};

describe('benchmark pages', () => {
  it('a table is aligned, and a bar in a cell does not end the cell', () => {
    assert.equal(
      renderTable(result),
      [
        '|        | median | ratio |',
        '|--------|-------:|------:|',
        '| ours   | 1.5 ms |     1 |',
        '| a \\| b |  30 ms |    20 |',
        '',
      ].join('\n'),
    );
  });

  it('a row with a cell too few is refused', () => {
    assert.throws(() => renderTable({ ...result, rows: [{ what: 'short', cells: ['1'] }] }), /short/);
  });

  it('a page says what was run, when, where and on what', () => {
    const page = renderPage({
      title: 'Adding',
      command: 'npm run bench -- adding',
      startedMs: Date.UTC(2026, 0, 2, 3, 4),
      machine: '2 cores',
      versions: 'node 20',
      result,
    });
    for (const part of [
      '# Adding\n',
      '- seed 7\n',
      '`npm run bench -- adding`',
      '2026-01-02 03:04 UTC',
      '2 cores',
      'node 20',
    ]) {
      assert.ok(page.includes(part), `${part} in\n${page}`);
    }
  });

  it('the contents name every benchmark, each has its page, and what they say was measured is what the pages say', () => {
    assert.deepEqual(
      entries.map(({ name }) => name),
      benchNames(),
    );
    const folder = join(projectRoot, 'docs/benchmarks');
    for (const name of benchNames()) assert.ok(existsSync(join(folder, `${name}.md`)), `docs/benchmarks/${name}.md`);
    const contents = readFileSync(join(folder, 'README.md'), 'utf8');
    assert.equal(contents, writtenContents(folder), 'npm run bench -- --contents writes it');
    assert.ok(!contents.includes('…'), 'every cell is found in its page');
  });

  it('a table is found again in its page', () => {
    const page = new PageTable(`# Title\n\n${renderTable(result)}\n- note\n`);
    assert.equal(page.cell('a | b', 'rat'), '20');
    assert.equal(page.of('ours', '1.5 ms', 'ratio'), '1');
    assert.equal(page.of('ours', '30 ms', 'ratio'), '…');
    assert.equal(page.cell('theirs', 'ratio'), '…');
  });

  it('every benchmark in the folder exports itself under its file’s name', async () => {
    for (const name of benchNames()) assert.notEqual((await loadBench(name)).title, '');
  });
});
