/** `npm run sim`: many seeds, or one again. */
import { describeFault } from './faults.ts';
import { runSeed } from './run-seed.ts';

const seed = process.argv[2]!;
const count = Number(process.argv[3] ?? 1);
let failed = 0;
const t0 = process.cpuUsage();
for (let n = 0; n < count; n++) {
  const name = String(Number(seed) + n);
  const run = await runSeed(name, { keep: count === 1 ? 100_000 : 0 });
  if (count === 1) {
    console.log(run.faults.map(describeFault).join('\n'));
    console.log(run.trace.join('\n'));
  }
  if (run.violation) {
    failed++;
    console.log(name, run.violation.message.slice(0, 400));
  }
  if (count <= 5)
    console.log(name, run.hash, Math.round(run.virtualMs), run.steps, run.acknowledged, run.events, run.healedMs);
}
const cpu = process.cpuUsage(t0);
console.log(`${count} seeds, ${failed} failed, ${((cpu.user + cpu.system) / 1000 / count).toFixed(1)} ms cpu a seed`);
