/** What `npm run bench` prints and writes, and that every benchmark can be found by its name. */
import assert from 'node:assert/strict';
import { benchNames, loadBench } from '../bench/benches.ts';
import { renderPage, renderTable } from '../bench/page.ts';

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

  it('every benchmark in the folder exports itself under its file’s name', async () => {
    for (const name of benchNames()) assert.notEqual((await loadBench(name)).title, '');
  });
});
