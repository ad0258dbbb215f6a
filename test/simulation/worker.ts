/** One of the processes that run seeds: `pool.ts` assigns them. */
import { resultOf, type SeedRequest } from './result.ts';
import { runSeed } from './run-seed.ts';

process.on('message', (request: SeedRequest) => {
  const { seed, faults, theme, keep } = request;
  const started = process.cpuUsage();
  void runSeed(seed, { keep, theme, ...(faults === undefined ? {} : { faults }) }).then((run) => {
    const { user, system } = process.cpuUsage(started);
    process.send?.(resultOf(run, (user + system) / 1_000));
  });
});
// A terminal interrupts the whole group; when this one ends is for the process that has the results to say.
process.on('SIGINT', () => {});
process.on('disconnect', () => process.exit(0));
