/** `npm run sim:mutants`: applies each deliberate bug to a copy of the build, and counts the seeds until it is found. */
import { cpSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { type Mutant, mutants } from './mutants.ts';
import { Pool } from './pool.ts';

const HELP = `npm run sim:mutants -- [options]

Applies each deliberate bug of test/simulation/mutants.ts to a copy of the build and runs seeds until a checker finds it.
A mutant that is not found, or that does not apply exactly once, is a failure.

  --limit N   seeds until a mutant counts as surviving (default 2000)
  --starts K  searches a mutant, each from its own first seed; the median is printed (default 3)
  --first S   the first seed (default 1)
  --only TEXT mutants whose name contains it
  --list      names only
  --help      this text
`;

/** One search after the other in each of these. */
const PROCESSES = 2;
const SEARCH_SPACING = 1_000_000;

const dist = dirname(dirname(dirname(fileURLToPath(import.meta.url))));

const { values } = parseArgs({
  options: {
    limit: { type: 'string', default: '2000' },
    starts: { type: 'string', default: '3' },
    first: { type: 'string', default: '1' },
    only: { type: 'string', default: '' },
    list: { type: 'boolean', default: false },
    help: { type: 'boolean', default: false },
  },
});

interface Found {
  readonly seeds: number;
  readonly check: string;
}

/** A copy of the build with the mutant in it; answers its folder. */
function apply({ name, file, changes }: Mutant, index: number): string {
  const home = join(dist, '.mutants', String(index));
  rmSync(home, { recursive: true, force: true });
  mkdirSync(home, { recursive: true });
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

async function search(home: string, first: number, limit: number): Promise<Found | undefined> {
  const pool = new Pool({ jobs: 1, worker: join(home, 'test', 'simulation', 'worker.js') });
  const sound = new Pool({ jobs: 1 });
  try {
    for (let seeds = 1; seeds <= limit; seeds++) {
      const seed = String(first + seeds - 1);
      const { violation } = await pool.run({ seed, keep: 0 });
      if (violation === undefined) continue;
      // What fails without the mutant too says nothing about it.
      const without = await sound.run({ seed, keep: 0 });
      if (without.violation === undefined) return { seeds, check: violation.check };
      throw new Error(`seed ${seed} fails without any mutant: ${without.violation.message}`);
    }
    return undefined;
  } finally {
    pool.close();
    sound.close();
  }
}

function median(numbers: readonly number[]): number {
  return [...numbers].sort((a, b) => a - b)[(numbers.length - 1) >> 1]!;
}

async function main(): Promise<number> {
  const limit = Number(values.limit);
  const starts = Number(values.starts);
  const chosen = mutants.filter(({ name }) => name.includes(values.only));
  // Before anything runs: a mutant that does not apply is a failure of the list, not of one search.
  const homes = chosen.map(apply);
  const waiting = chosen.map((mutant, index) => ({ mutant, home: homes[index]! }));
  let survivors = 0;
  const work = async (): Promise<void> => {
    for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) {
      const found: Found[] = [];
      for (let start = 0; start < starts; start++) {
        const one = await search(next.home, Number(values.first) + start * SEARCH_SPACING, limit);
        if (one === undefined) break;
        found.push(one);
      }
      rmSync(next.home, { recursive: true, force: true });
      if (found.length < starts) {
        survivors++;
        console.log(`SURVIVED ${limit} seeds: ${next.mutant.name}`);
        continue;
      }
      const seeds = found.map((one) => one.seeds);
      const checks = [...new Set(found.map(({ check }) => check))].join('; ');
      console.log(`found after ${String(median(seeds)).padStart(4)} seeds (${seeds}): ${next.mutant.name} [${checks}]`);
    }
  };
  await Promise.all(Array.from({ length: PROCESSES }, work));
  rmSync(join(dist, '.mutants'), { recursive: true, force: true });
  console.log(`${chosen.length} mutants, ${survivors} not found`);
  return survivors === 0 ? 0 : 1;
}

if (values.help) process.stdout.write(HELP);
else if (values.list) for (const { name } of mutants) console.log(name);
else process.exitCode = await main();
