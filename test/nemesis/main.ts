/** `npm run nemesis -- --minutes N --seed S`. Exit code 1 when the nemesis won. */

import { parseArgs } from 'node:util';
import { onInterrupt } from '../../shared/kernel/ending.ts';
import { endWatched } from '../harness/processes/children-watch.ts';
import { runNemesis } from './nemesis.ts';
import { type FaultName, faultNames } from './plan.ts';
import { describeReport } from './report.ts';

const usage = `npm run nemesis -- [--minutes N] [--seed S] [--runs R] [--faults LIST] [--events]

Runs a cluster of real processes (three regions, two routers, nats-server) with clients that write all the time, and inflicts
faults of every kind on it, many at once, drawn from a seed: kills, pauses, broken and slow links, partitions, drills,
planned and forced promotions, a NATS volume wiped or restored from an older copy, one clock wrong by seconds to days, full
disks, garbage on the stream, in the leadership key and as requests to regions. Then everything is healed and checked: no
acknowledged event is lost or counted twice, no position ever decreased, no process exited by itself, every event has its true
time, all regions are identical bit for bit.

  --minutes N    how long faults are inflicted, a run (3)
  --seed S       draws the same faults again (a random one)
  --runs R       consecutive runs, with seeds S, S+1, … (1)
  --faults LIST  only these, separated by commas, of (all):
${faultNames.map((name) => `                 ${name}\n`).join('')}  --events       prints every fault and what operators were answered, when it happens
  --help         this text

Odd seeds run with automatic failover, even ones with manual. Exit code 0: nothing was found. 1: the seed, what happened, and
where the logs of all processes are, are printed.`;

const { values } = parseArgs({
  options: {
    minutes: { type: 'string', default: '3' },
    seed: { type: 'string', default: String(Math.floor(Math.random() * 1e9)) },
    runs: { type: 'string', default: '1' },
    faults: { type: 'string', default: faultNames.join(',') },
    events: { type: 'boolean', default: false },
    help: { type: 'boolean', default: false },
  },
});
onInterrupt(() => endWatched());
const [minutes, seed, runs] = [Number(values.minutes), Number(values.seed), Number(values.runs)];
const isFault = (name: string): name is FaultName => (faultNames as readonly string[]).includes(name);
const named = values.faults.split(',').map((name) => name.trim());
const faults = named.filter(isFault);
if (values.help) {
  console.log(usage);
} else if (!(minutes > 0) || !Number.isSafeInteger(seed) || seed < 0 || !Number.isSafeInteger(runs) || runs < 1) {
  console.error(`--minutes is a number above 0, --seed and --runs are whole numbers\n\n${usage}`);
  process.exitCode = 2;
} else if (faults.length < named.length) {
  console.error(`--faults names an unknown fault: ${named.find((name) => !isFault(name))}\n\n${usage}`);
  process.exitCode = 2;
} else {
  for (let run = 0; run < runs && process.exitCode === undefined; run++) {
    console.log(`seed ${seed + run}, ${minutes} minutes`);
    try {
      const say = (line: string): void => console.log(line);
      const options = { seed: seed + run, minutes, faults, say, ...(values.events ? { onEvent: say } : {}) };
      say(describeReport(await runNemesis(options)));
    } catch (error) {
      console.error((error as Error).message);
      process.exitCode = 1;
    }
  }
}
