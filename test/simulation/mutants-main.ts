/** `npm run sim:mutants`: applies each deliberate bug to a copy of the build, and counts the seeds until it is found. */

import { cpSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { makeDirectory } from '../../shared/config/make-directory.ts';
import { onInterrupt } from '../../shared/kernel/ending.ts';
import { type Mutant, mutants } from './mutants.ts';
import { Pool } from './pool.ts';

const HELP = `npm run sim:mutants -- [options]

Applies each deliberate bug of test/simulation/mutants.ts to a copy of the build and runs seeds until a checker finds it.
A mutant that is not found, or that does not apply exactly once, is a failure. Ends with the table of docs/simulation.md.

  --limit N   seeds until a mutant counts as surviving (default 2000)
  --starts K  searches a mutant, each from its own first seed; the median is printed (default 3)
  --first S   the first seed (default 1)
  --jobs N    parallel searches, each in a process of its own (default: processors, at most 4)
  --only TEXT mutants whose name contains it; may be given several times
  --theme T   every run has this theme, instead of the mutant's own; "": without a theme, as in the plain mix
  --list      names only
  --help      this text

Exit code: 0 when every mutant was found and nothing failed without one, 1 otherwise, 130 when it was interrupted.
`;

const SEARCH_SPACING = 1_000_000;

const dist = dirname(dirname(dirname(fileURLToPath(import.meta.url))));
const copies = join(dist, '.mutants');

const { values } = parseArgs({
  options: {
    limit: { type: 'string', default: '2000' },
    starts: { type: 'string', default: '3' },
    first: { type: 'string', default: '1' },
    jobs: { type: 'string', default: String(Math.min(4, availableParallelism())) },
    theme: { type: 'string' },
    only: { type: 'string', multiple: true, default: [''] },
    list: { type: 'boolean', default: false },
    help: { type: 'boolean', default: false },
  },
});

/** Seeds that failed without any mutant. */
let unsound = 0;

/** Of searches under way. */
const searching = new Set<Pool>();

interface Found {
  readonly seeds: number;
  readonly check: string;
}

interface Target {
  readonly mutant: Mutant;
  /** That every run has; undefined: the plain mix. */
  readonly theme: string | undefined;
  readonly home: string;
  /** Of its searches that are over; undefined: it survived one. */
  readonly results: (Found | undefined)[];
}

/** Makes a copy of the build with the mutant; returns its folder. */
function apply({ name, file, changes }: Mutant, index: number): string {
  const home = join(copies, String(index));
  rmSync(home, { recursive: true, force: true });
  makeDirectory(home);
  for (const folder of ['services', 'shared', 'test']) {
    cpSync(join(dist, folder), join(home, folder), { recursive: true, filter: (path) => !path.endsWith('.map') });
  }
  const path = join(home, file);
  let text = readFileSync(path, 'utf8');
  for (const [find, replace] of changes) {
    const times = text.split(find).length - 1;
    if (times !== 1) throw new Error(`"${name}" applies ${times} times instead of once: ${file}: ${find}`);
    text = text.replace(find, () => replace);
  }
  writeFileSync(path, text);
  return home;
}

async function search({ home, theme }: Target, first: number, limit: number, sound: Pool): Promise<Found | undefined> {
  const pool = new Pool({ jobs: 1, worker: join(home, 'test', 'simulation', 'worker.js') });
  searching.add(pool);
  try {
    for (let seeds = 1; seeds <= limit; seeds++) {
      const seed = String(first + seeds - 1);
      const { violation } = await pool.run({ seed, theme, keep: 0 });
      if (violation === undefined) continue;
      // What fails without the mutant too says nothing about it.
      const without = await sound.run({ seed, theme, keep: 0 });
      if (without.violation === undefined) return { seeds, check: violation.check };
      const of = theme === undefined ? '' : `, theme ${theme},`;
      console.log(`seed ${seed}${of} fails without any mutant: ${without.violation.message.slice(0, 300)}`);
      unsound++;
    }
    return undefined;
  } finally {
    searching.delete(pool);
    await pool.close();
  }
}

function median(numbers: readonly number[]): number {
  return [...numbers].sort((a, b) => a - b)[(numbers.length - 1) >> 1]!;
}

/** What is known of a mutant whose searches are all over. */
function outcomeOf({ mutant, theme, results }: Target): {
  readonly found: boolean;
  readonly line: string;
  readonly row: string;
} {
  const found = results.filter((result) => result !== undefined);
  if (found.length < results.length) {
    const line = `SURVIVED ${values.limit} seeds: ${mutant.name}`;
    return { found: false, line, row: `| ${mutant.name} | ${theme ?? ''} | not found in ${values.limit} | |` };
  }
  const seeds = found.map((one) => one.seeds);
  const checks = [...new Set(found.map(({ check }) => check))].sort().join('; ');
  return {
    found: true,
    line: `found after ${String(median(seeds)).padStart(4)} seeds (${seeds}): ${mutant.name} [${checks}]`,
    row: `| ${mutant.name} | ${theme ?? ''} | ${median(seeds)} | ${checks} |`,
  };
}

async function main(): Promise<number> {
  const limit = Number(values.limit);
  const starts = Number(values.starts);
  const startMs = performance.now();
  const chosen = mutants.filter(({ name }) => values.only.some((text) => name.includes(text)));
  // Before anything runs: a mutant that does not apply is a failure of the list, not of one search.
  const themeOf = (mutant: Mutant): string | undefined =>
    values.theme === '' ? undefined : (values.theme ?? mutant.theme);
  const targets = chosen.map(
    (mutant, index): Target => ({ mutant, theme: themeOf(mutant), home: apply(mutant, index), results: [] }),
  );
  const waiting = targets.flatMap((target) => Array.from({ length: starts }, (_, start) => ({ target, start })));
  console.log(`${targets.length} mutants, ${waiting.length} searches`);
  const sound = new Pool({ jobs: 1 });
  const work = async (): Promise<void> => {
    for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) {
      const { target, start } = next;
      target.results.push(await search(target, Number(values.first) + start * SEARCH_SPACING, limit, sound));
      if (target.results.length === starts) console.log(outcomeOf(target).line);
    }
  };
  try {
    await Promise.all(Array.from({ length: Number(values.jobs) }, work));
  } finally {
    await sound.close();
    rmSync(copies, { recursive: true, force: true });
  }
  const survivors = targets.filter((target) => !outcomeOf(target).found).length;
  console.log('\n| mutant | theme | seeds | found by |\n|---|---|---|---|');
  for (const target of targets) console.log(outcomeOf(target).row);
  const minutes = ((performance.now() - startMs) / 60_000).toFixed(1);
  console.log(`\n${chosen.length} mutants, ${survivors} not found, ${minutes} minutes`);
  return survivors + unsound === 0 ? 0 : 1;
}

if (values.help) process.stdout.write(HELP);
else if (values.list) for (const { name } of mutants) console.log(name);
else {
  onInterrupt(() => {
    for (const pool of searching) pool.kill();
    rmSync(copies, { recursive: true, force: true });
  });
  process.exitCode = await main();
}
