/**
 * From `kill -9` to serving. The region's whole store is in the page cache, as it is after the death of a process; reading
 * the same file from disk past the cache, and from the cache, is timed beside it.
 */
import { spawnSync } from 'node:child_process';
import { cpSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { freePort, NatsServer } from '../harness/processes/nats-server.ts';
import { NodeProcess } from '../harness/processes/node-process.ts';
import { type Bench, type BenchSettings, median } from './bench.ts';
import { type BuiltWorld, builtWorld } from './world/built-world.ts';
import { type ServingTimes, untilServing } from './world/until-serving.ts';
import { describeWorld } from './world/world.ts';

const ROUNDS = 5;
const MEBIBYTE = 1024 * 1024;

/** One start, ms from spawning the process; and what it took then. */
interface Start extends ServingTimes {
  /** Of the process, all threads, when it was ready. */
  readonly processorMs: number;
  readonly phases: Readonly<Record<string, number>>;
  readonly residentBytes: number;
  /** Without pages of the store's file, which the system may take back at any time. */
  readonly ownBytes: number;
  readonly directReadMs: number;
  readonly cachedReadMs: number;
}

async function run(report: (progress: string) => void, settings: BenchSettings): ReturnType<Bench['run']> {
  const world = await builtWorld(settings, report);
  const directory = mkdtempSync(join(tmpdir(), 'tidal-bench-restart-'));
  const nats = await NatsServer.start();
  try {
    const storeBytes = statSync(join(world.directory, 'data.mdb')).size;
    const starts: Start[] = [];
    for (let round = 0; round <= ROUNDS; round++) {
      cpSync(world.directory, join(directory, 'run'), { recursive: true });
      const start = await startOnce(directory, world.schemaFile, nats);
      report(`start ${round}: ready after ${ms(start.readyMs)}, ${JSON.stringify(start.phases)}`);
      if (round > 0) starts.push(start);
      rmSync(join(directory, 'run'), { recursive: true });
    }
    return result(world, storeBytes, starts);
  } finally {
    await nats.stop();
    rmSync(directory, { recursive: true, force: true });
  }
}

async function startOnce(directory: string, schemaFile: string, nats: NatsServer): Promise<Start> {
  const port = await freePort();
  const topology = join(directory, 'topology.yaml');
  writeFileSync(topology, `leader: us-east\nregions:\n  - name: us-east\n    url: http://127.0.0.1:${port}\n`);
  const file = join(directory, 'run', 'data.mdb');
  const region = new NodeProcess({
    name: 'us-east',
    main: 'services/region/main.js',
    flags: [
      ...['--region', 'us-east', '--listen', `127.0.0.1:${port}`, '--topology', topology, '--nats', nats.url],
      ...['--schema', schemaFile],
      // Every start replays the same events: none begins a checkpoint.
      ...['--data-dir', join(directory, 'run'), '--checkpoint-events', '1000000000'],
    ],
  });
  const url = `http://127.0.0.1:${port}`;
  const startMs = performance.now();
  try {
    await region.start();
    let processorMs = 0;
    const times = await untilServing(url, startMs, () => {
      processorMs = processorTimeMs(region.pid!);
    });
    const status = readFileSync(`/proc/${region.pid}/status`, 'utf8');
    return {
      ...times,
      processorMs,
      phases: phasesOf(region.lines),
      residentBytes: kilobytes(status, 'VmRSS') * 1024,
      ownBytes: kilobytes(status, 'RssAnon') * 1024,
      directReadMs: readOnce(file, ['iflag=direct']),
      cachedReadMs: readOnce(file, []),
    };
  } finally {
    await region.end('SIGKILL');
  }
}

function phasesOf(lines: readonly string[]): Record<string, number> {
  const line = lines.findLast((one) => one.includes('log replayed')) ?? '';
  return Object.fromEntries(
    [...line.matchAll(/"?(\w+_ms)"?[=:]\s*(\d+)/g)].map(([, name, value]) => [name!, Number(value)]),
  );
}

/** Ticks of user and system time, 100 a second on every Linux that Node runs on. */
function processorTimeMs(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]!.split(' ');
  return (Number(fields[11]) + Number(fields[12])) * 10;
}

function kilobytes(status: string, field: string): number {
  return Number(new RegExp(`^${field}:\\s+(\\d+) kB`, 'm').exec(status)?.[1]);
}

/** Reads a file once with `dd`, ms. */
function readOnce(file: string, options: readonly string[]): number {
  const startMs = performance.now();
  const { status, stderr } = spawnSync('dd', [`if=${file}`, 'of=/dev/null', 'bs=4M', ...options]);
  if (status !== 0) throw new Error(`dd: ${String(stderr)}`);
  return performance.now() - startMs;
}

function result(
  { size, since, built }: BuiltWorld,
  storeBytes: number,
  starts: readonly Start[],
): Awaited<ReturnType<Bench['run']>> {
  const middle = (of: (start: Start) => number): number => median(starts.map(of));
  const directReadMs = middle((start) => start.directReadMs);
  const row = (what: string, of: (start: Start) => number) => ({
    what,
    cells: [
      ms(middle(of)),
      `${ms(Math.min(...starts.map(of)))} … ${ms(Math.max(...starts.map(of)))}`,
      (middle(of) / directReadMs).toFixed(1),
    ],
  });
  const phases = Object.keys(starts[0]!.phases);
  const mebibytes = (bytes: number): string => `${Math.round(bytes / MEBIBYTE)} MiB`;
  return {
    columns: ['median', 'range', '× reading the file from disk'],
    rows: [
      row('`/health/ready` answers', (start) => start.readyMs),
      row('processor time of the process until then', (start) => start.processorMs),
      row('`/feed` (trending) has answered', (start) => start.feedMs),
      row('`/search` (a wildcard) has answered', (start) => start.searchMs),
      row('a filter, `max_per`, a text and `/suggest` have answered too', (start) => start.allMs),
      ...phases.map((phase) => row(`of this: \`${phase}\``, (start) => start.phases[phase] ?? 0)),
      row('reading the store’s file from disk, past the cache', (start) => start.directReadMs),
      row('reading it from the page cache', (start) => start.cachedReadMs),
    ],
    notes: [
      `Time from spawning the process, ${ROUNDS} starts after one that does not count, each on a fresh copy of the store.`,
      `${describeWorld(size)}: ${built.pairs.toLocaleString('en')} pairs; a checkpoint; ${since.toLocaleString('en')} events since, one in a hundred an item; \`kill -9\`.`,
      `The store's file: ${mebibytes(storeBytes)}, of which ${mebibytes(built.logBytes)} batches and ${mebibytes(built.shardBytes)} shards of the ledger. One region, a real nats-server, no peers.`,
      `Memory when it serves: ${mebibytes(middle((start) => start.ownBytes))} of its own, ${mebibytes(middle((start) => start.residentBytes))} resident with the pages of the store's file that it has mapped.`,
    ],
  };
}

function ms(value: number): string {
  return value < 10 ? `${value.toFixed(1)} ms` : `${Math.round(value)} ms`;
}

export const bench: Bench = {
  name: 'restart',
  title: 'Restart after kill -9',
  run,
};
