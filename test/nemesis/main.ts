/** `npm run nemesis -- --minutes N --seed S`. Exit code 1 when the nemesis won. */

import { parseArgs } from 'node:util';
import { onInterrupt } from '../../shared/kernel/ending.ts';
import { endWatched } from '../harness/children-watch.ts';
import { describeReport, runNemesis } from './nemesis.ts';

const usage = `npm run nemesis -- [--minutes N] [--seed S] [--runs R] [--events]

Runs a cluster of real processes (three regions, two routers, nats-server) with clients that write all the time, and inflicts
faults of every kind on it, many at once, drawn from a seed: kills, standstills, cut and slow wires, partitions, drills,
planned and forced promotions, a NATS volume wiped or put back from an older copy, wrong clocks. Then everything is healed and
checked: nothing acknowledged is lost, nothing counted twice, nothing ever went back, all regions are the same bit for bit.

  --minutes N  how long faults are inflicted, a run (3)
  --seed S     draws the same faults again (a fresh one)
  --runs R     runs one behind the other, with seeds S, S+1, … (1)
  --events     prints every fault and what operators were answered, when it happens
  --help       this text

Odd seeds run with automatic failover, even ones with manual. Exit code 0: nothing was found. 1: the seed, what happened, and
where the logs of all processes are, are printed.`;

const { values } = parseArgs({
  options: {
    minutes: { type: 'string', default: '3' },
    seed: { type: 'string', default: String(Math.floor(Math.random() * 1e9)) },
    runs: { type: 'string', default: '1' },
    events: { type: 'boolean', default: false },
    help: { type: 'boolean', default: false },
  },
});
onInterrupt(() => endWatched());
const [minutes, seed, runs] = [Number(values.minutes), Number(values.seed), Number(values.runs)];
if (values.help) {
  console.log(usage);
} else if (!(minutes > 0) || !Number.isSafeInteger(seed) || seed < 0 || !Number.isSafeInteger(runs) || runs < 1) {
  console.error(`--minutes is a number above 0, --seed and --runs are whole numbers\n\n${usage}`);
  process.exitCode = 2;
} else {
  for (let run = 0; run < runs && process.exitCode === undefined; run++) {
    console.log(`seed ${seed + run}, ${minutes} minutes`);
    try {
      const say = (line: string): void => console.log(line);
      const options = { seed: seed + run, minutes, say, ...(values.events ? { onEvent: say } : {}) };
      say(describeReport(await runNemesis(options)));
    } catch (error) {
      console.error((error as Error).message);
      process.exitCode = 1;
    }
  }
}
