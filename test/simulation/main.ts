/** `npm run sim`: many seeds, or one again. */
import { availableParallelism } from 'node:os';
import { parseArgs } from 'node:util';
import { onInterrupt } from '../../shared/kernel/ending.ts';
import { describeFault } from './faults.ts';
import { Pool } from './pool.ts';
import type { Result } from './result.ts';
import { shrink } from './shrink.ts';
import { themeNames } from './themes.ts';

const HELP = `npm run sim -- [options]

Runs the whole system - three regions, two routers, the stream, clients - in one process on a virtual clock, with
faults drawn from a seed, and checks every promise of docs/INVARIANTS.md (docs/simulation.md).

  --seeds N   how many seeds (default 1000)
  --first S   the first of them (default: a random one, printed)
  --seed S    one seed again, exactly, with its whole trace
  --theme T   every run has this theme (test/simulation/themes.ts); an unknown name lists them
  --jobs N    parallel processes (default: processors, at most 4)
  --lines N   lines of the trace to print for a failure (default 60)
  --turns     print how long the longest turns of the event loop took, in real time: with --theme "hostile items", what
              one request can make every region compute
  --no-shrink do not reduce a failure to the faults it needs
  --help      this text

Interrupted, it reports its findings so far.

Exit code: 0 when no seed failed, 1 otherwise, 130 when it was interrupted.
`;

const { values } = parseArgs({
  options: {
    seeds: { type: 'string', default: '1000' },
    first: { type: 'string' },
    seed: { type: 'string' },
    theme: { type: 'string' },
    jobs: { type: 'string', default: String(Math.min(4, availableParallelism())) },
    lines: { type: 'string', default: '60' },
    turns: { type: 'boolean', default: false },
    'no-shrink': { type: 'boolean', default: false },
    help: { type: 'boolean', default: false },
  },
});

const { theme } = values;
if (theme !== undefined && !themeNames.includes(theme)) {
  process.stderr.write(`--theme must be one of: ${themeNames.join(', ')}\n`);
  process.exit(2);
}
const again = (seed: string): string =>
  `npm run sim -- --seed ${seed}${theme === undefined ? '' : ` --theme "${theme}"`}`;

function numberOf(name: 'seeds' | 'jobs' | 'lines' | 'first', low: number): number {
  const value = Number(values[name]);
  if (Number.isSafeInteger(value) && value >= low) return value;
  process.stderr.write(`--${name} must be an integer of at least ${low}\n`);
  process.exit(2);
}

async function report(pool: Pool, failed: Result, lines: number): Promise<void> {
  const { seed, violation, faults } = failed;
  console.log(`\nseed ${seed} failed: ${violation!.message}`);
  let needed = faults;
  if (!values['no-shrink']) {
    needed = await shrink(faults, async (candidate) => {
      const shrunk = await pool.run({ seed, faults: candidate, keep: 0 });
      return shrunk.violation?.check === violation!.check;
    });
  }
  const last = await pool.run({ seed, faults: needed, keep: lines });
  console.log(`it takes ${needed.length} of its ${faults.length} faults:`);
  for (const fault of needed) console.log(`  ${describeFault(fault)}`);
  console.log(`the last of its trace with these:`);
  for (const line of last.trace.slice(-lines)) console.log(`  ${line}`);
  console.log(`again, with all its faults: ${again(seed)}\n`);
}

async function one(seed: string): Promise<number> {
  const pool = new Pool({ jobs: 1 });
  const result = await pool.run({ seed, theme, keep: 1_000_000 });
  for (const line of result.trace) console.log(line);
  console.log(`\nfaults of seed ${seed}:`);
  for (const fault of result.faults) console.log(`  ${describeFault(fault)}`);
  console.log(
    `${result.steps} steps, ${Math.round(result.virtualMs)} virtual ms, ${result.events} events, ` +
      `${result.acknowledged} writes acknowledged, well ${Math.round(result.healedMs)} ms after the last fault, hash ${result.hash}`,
  );
  if (result.violation !== undefined) await report(pool, result, numberOf('lines', 1));
  await pool.close();
  return result.violation === undefined ? 0 : 1;
}

async function many(): Promise<number> {
  const seeds = numberOf('seeds', 1);
  const first = values.first === undefined ? Math.floor(Math.random() * 1e9) : numberOf('first', 0);
  const pool = new Pool({ jobs: numberOf('jobs', 1) });
  console.log(`seeds ${first} to ${first + seeds - 1}`);
  const startMs = performance.now();
  const failures: Result[] = [];
  const turns: Result[] = [];
  let done = 0;
  let cpuMs = 0;
  let virtualMs = 0;
  let acknowledged = 0;
  let shownMs = startMs;
  const progress = (): string => {
    const seconds = (performance.now() - startMs) / 1_000;
    return (
      `${done} seeds, ${(done / seconds).toFixed(1)} seeds/s, ${(cpuMs / Math.max(1, done)).toFixed(0)} ms of processor a seed, ` +
      `${(virtualMs / 3_600_000).toFixed(1)} virtual hours, ${acknowledged} writes acknowledged, ${failures.length} failed`
    );
  };
  onInterrupt(() => console.log(`interrupted: ${progress()}`));
  await Promise.all(
    Array.from({ length: seeds }, async (_, index) => {
      const result = await pool.run({ seed: String(first + index), theme, keep: 0 });
      done++;
      cpuMs += result.cpuMs;
      virtualMs += result.virtualMs;
      acknowledged += result.acknowledged;
      turns.push({ ...result, trace: [] });
      if (result.violation !== undefined) {
        failures.push(result);
        console.log(`seed ${result.seed}: ${result.violation.message.slice(0, 300)}`);
      }
      if (performance.now() - shownMs < 5_000) return;
      shownMs = performance.now();
      console.log(progress());
    }),
  );
  console.log(progress());
  if (values.turns) {
    const longest = turns.sort((a, b) => b.longestTurnMs - a.longestTurnMs).slice(0, 5);
    for (const { seed, longestTurnMs } of longest)
      console.log(`seed ${seed}: a turn of ${longestTurnMs.toFixed(1)} ms`);
  }
  failures.sort((a, b) => Number(a.seed) - Number(b.seed));
  for (const failed of failures.slice(0, 3)) await report(pool, failed, numberOf('lines', 1));
  await pool.close();
  return failures.length === 0 ? 0 : 1;
}

if (values.help) process.stdout.write(HELP);
else process.exitCode = values.seed === undefined ? await many() : await one(values.seed);
