/** `npm run fuzz -- --seed S --requests N`. Exit code 1 for findings. */
import { parseArgs } from 'node:util';
import { onInterrupt } from '../../shared/kernel/ending.ts';
import { endWatched } from '../harness/processes/children-watch.ts';
import { Cluster } from '../harness/processes/cluster.ts';
import { sendAll } from './client.ts';
import { type FuzzReport, fuzz } from './fuzz.ts';
import { Judge } from './judge.ts';
import { drawFuzzRequest } from './mutate.ts';

const usage = `npm run fuzz -- [--seed S] [--requests N] [--raw N] [--messages N] [--turn-ms N] [--memory-mib N] [--only I]

Runs a cluster of real processes (three regions, a router, nats-server) and sends it requests that are drawn from a grammar of
every public route and mutated; raw bytes on the router's socket (slow, torn, half-closed, pipelined, smuggling shapes, oversized,
other protocols); garbage on the stream, in the leadership key and to the regions' own ports. Then it checks that

  - no answer was a 5xx, but 503 with a code that asks for patience, and 504 for a position that no region has reached; another 503 or
    504, or no answer, counts if it is the same when the request is sent again alone
  - the log has grown by what was accepted, and by nothing else; leader, epoch, quarantine and a sentinel item are as before
  - no process ended or logged an error, no turn was longer than --turn-ms and the longest stall of the machine, no process grew by more than --memory-mib
  - all regions have one state

  --seed S        draws the same requests again (a random one)
  --requests N    requests (200000)
  --raw N         raw connections (a hundredth of the requests)
  --messages N    messages of garbage (a hundredth of the requests)
  --turn-ms N     longest turn of an event loop (100)
  --memory-mib N  growth of a process after the first fifth of the requests (256)
  --only I        sends request I of the seed alone, prints it and its answer
  --help          this text

Exit code 0: nothing was found. 1: the findings, each with what sends its request again, are printed.`;

const { values } = parseArgs({
  options: {
    seed: { type: 'string', default: String(Math.floor(Math.random() * 1e9)) },
    requests: { type: 'string', default: '200000' },
    raw: { type: 'string' },
    messages: { type: 'string' },
    'turn-ms': { type: 'string', default: '100' },
    'memory-mib': { type: 'string', default: '256' },
    only: { type: 'string' },
    help: { type: 'boolean', default: false },
  },
});
onInterrupt(() => endWatched());

function print({ findings, tookMs, requests, ...report }: FuzzReport): void {
  const list = (counts: ReadonlyMap<string, number>): string =>
    [...counts]
      .sort(([, a], [, b]) => b - a)
      .map(([what, count]) => `  ${String(count).padStart(8)}  ${what}`)
      .join('\n');
  console.log(`answers:\n${list(report.answers)}\nby route:\n${list(report.byRoute)}\nraw bytes:\n${list(report.raw)}`);
  console.log(`longest turns:`);
  for (const { process, activity, ms } of report.turns.slice(0, 8))
    console.log(`  ${ms.toFixed(1)} ms  ${process}, ${activity}`);
  console.log(`the machine let an idle thread wait up to ${report.stallMs.toFixed(1)} ms`);
  console.log(`growth of memory, MiB: ${[...report.growth].map(([name, mib]) => `${name} ${mib}`).join(', ')}`);
  console.log(`slowest answer ${report.slowest}`);
  const seconds = Math.round(tookMs / 1_000);
  console.log(
    `${requests} requests and ${report.messages} messages in ${seconds} s; ${report.accepted} events accepted`,
  );
  for (const finding of findings) console.error(`FOUND ${finding}`);
  console.log(findings.length === 0 ? 'nothing was found' : `${findings.length} findings`);
}

async function sendOne(seed: number, index: number): Promise<void> {
  const cluster = await Cluster.start();
  const judge = new Judge(seed);
  try {
    await sendAll({
      port: Number(new URL(cluster.url).port),
      count: 1,
      draw: () => drawFuzzRequest(seed, index),
      judge(outcome) {
        judge.judge(outcome);
        console.log(outcome.request.bytes.toString('latin1'));
        const { answer, reason } = outcome;
        console.log(answer === undefined ? `no answer: ${reason}` : `${answer.status} ${answer.body.toString()}`);
      },
    });
  } finally {
    await cluster.stop();
  }
}

const numbers = [
  values.seed,
  values.requests,
  values.raw ?? '0',
  values.messages ?? '0',
  values['turn-ms'],
  values['memory-mib'],
  values.only ?? '0',
].map(Number);
const [seed = 0, requests = 0, raw = 0, messages = 0, turnLimitMs = 0, memoryLimitMiB = 0, only = 0] = numbers;
if (values.help) {
  console.log(usage);
} else if (!numbers.every((value) => Number.isSafeInteger(value) && value >= 0)) {
  console.error(`every number is a whole one, 0 or above\n\n${usage}`);
  process.exitCode = 2;
} else if (values.only !== undefined) {
  await sendOne(seed, only);
} else {
  console.log(`seed ${seed}, ${requests} requests`);
  const share = Math.ceil(requests / 100);
  const report = await fuzz({
    ...{ seed, requests, turnLimitMs, memoryLimitMiB, say: (line) => console.log(line) },
    raw: values.raw === undefined ? share : raw,
    messages: values.messages === undefined ? share : messages,
  });
  print(report);
  if (report.findings.length > 0) process.exitCode = 1;
}
