/** `npm run bench`: runs benchmarks one after another, prints their tables and writes their pages. */

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { makeDirectory } from '../../shared/config/make-directory.ts';
import { messageOf } from '../../shared/errors/errors.ts';
import { onInterrupt } from '../../shared/kernel/ending.ts';
import { endWatched } from '../harness/processes/children-watch.ts';
import type { BenchSettings } from './bench.ts';
import { benchNames, loadBench, projectRoot } from './benches.ts';
import { writtenContents } from './contents.ts';
import { describeMachine, describeVersions } from './machine.ts';
import { type Run, renderPage, renderTable } from './page.ts';
import { runApart } from './run-apart.ts';
import { worldSize } from './world/world.ts';

const HELP = `npm run bench -- [options] [name…]

Runs the benchmarks of test/bench (all of them without a name), each in a process of its own, prints each table and writes
it with the machine, the versions and the date to docs/benchmarks/<name>.md. The ratios between measurements
of one run are what counts.

  --list      names and titles
  --no-write  print only
  --json      prints one line of JSON a benchmark in place of the tables
  --remark    a text for the pages: what else ran on the machine
  --contents  runs nothing, writes docs/benchmarks/README.md from the pages
  --help      this text

Those of the realistic world (test/bench/world) take

  --items       of it (1000000)
  --signals     of the last 48 hours (ten times the items)
  --embeddings  of 128 dimensions (a fifth of the items)
  --seconds     length of each phase of isolation (60)

Exit code: 0 when every benchmark ran, 1 when one failed, 2 for an unknown name or option.
`;

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    list: { type: 'boolean', default: false },
    'no-write': { type: 'boolean', default: false },
    json: { type: 'boolean', default: false },
    remark: { type: 'string' },
    contents: { type: 'boolean', default: false },
    items: { type: 'string' },
    signals: { type: 'string' },
    embeddings: { type: 'string' },
    seconds: { type: 'string' },
    help: { type: 'boolean', default: false },
  },
});

const numbers = ['items', 'signals', 'embeddings', 'seconds'] as const;

/** Absent where it was not given. Throws where it is no count. */
function numberOf(name: (typeof numbers)[number]): number | undefined {
  const text = values[name];
  if (text !== undefined && !/^[1-9]\d{0,8}$/.test(text)) throw new Error(`--${name} must be a count, not ${text}`);
  return text === undefined ? undefined : Number(text);
}

async function list(): Promise<void> {
  const names = benchNames();
  const width = Math.max(...names.map((name) => name.length));
  for (const name of names) console.log(`${name.padEnd(width)}  ${(await loadBench(name)).title}`);
}

async function runAll(names: readonly string[], settings: BenchSettings): Promise<number> {
  const given = numbers.flatMap((name) => (values[name] === undefined ? [] : [` --${name} ${values[name]}`])).join('');
  let failed = 0;
  for (const name of names) {
    const { title, nodeFlags = [] } = await loadBench(name);
    const startedMs = Date.now();
    process.stderr.write(`${name}: ${title}\n`);
    try {
      const machine = describeMachine();
      const result = await runApart(name, nodeFlags, settings);
      const command = `npm run bench -- ${name}${given}`;
      const run: Run = {
        title,
        command,
        startedMs,
        machine,
        versions: describeVersions(projectRoot),
        remark: values.remark,
        result,
      };
      if (values.json) console.log(JSON.stringify({ name, ...run }));
      else console.log(`\n${title}\n\n${renderTable(result)}\n${result.notes.map((note) => `- ${note}\n`).join('')}`);
      if (!values['no-write']) write(name, renderPage(run));
    } catch (error) {
      failed++;
      process.stderr.write(`${name} failed: ${messageOf(error)}\n`);
    }
  }
  return failed === 0 ? 0 : 1;
}

function write(name: string, page: string): void {
  const folder = join(projectRoot, 'docs/benchmarks');
  makeDirectory(folder);
  writeFileSync(join(folder, `${name}.md`), page);
  process.stderr.write(`written: docs/benchmarks/${name}.md\n`);
  writeContents();
}

function writeContents(): void {
  const folder = join(projectRoot, 'docs/benchmarks');
  writeFileSync(join(folder, 'README.md'), writtenContents(folder));
}

async function main(): Promise<number> {
  if (values.help) {
    process.stdout.write(HELP);
    return 0;
  }
  if (values.list) {
    await list();
    return 0;
  }
  if (values.contents) {
    writeContents();
    return 0;
  }
  const known = benchNames();
  const unknown = positionals.filter((name) => !known.includes(name));
  if (unknown.length > 0) {
    process.stderr.write(`no benchmark ${unknown.join(', ')}; there are: ${known.join(', ')}\n`);
    return 2;
  }
  let settings: Omit<BenchSettings, 'worldsDirectory'>;
  try {
    const [items, signals, embeddings, seconds] = numbers.map(numberOf);
    settings = { size: worldSize({ items, signals, embeddings }), seconds };
  } catch (error) {
    process.stderr.write(`${messageOf(error)}\n`);
    return 2;
  }
  const worldsDirectory = mkdtempSync(join(tmpdir(), 'tidal-bench-worlds-'));
  try {
    return await runAll(positionals.length > 0 ? positionals : known, { ...settings, worldsDirectory });
  } finally {
    rmSync(worldsDirectory, { recursive: true, force: true });
  }
}

onInterrupt(() => endWatched('SIGTERM'));
process.exitCode = await main();
