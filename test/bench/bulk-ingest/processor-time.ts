/** Processor time of processes, user and system, as the kernel counts it (`/proc/<pid>/stat`, in hundredths of a second). */
import { readFileSync } from 'node:fs';

const TICK_MS = 10;
const LOOK_MS = 200;
const REST_MS = 3_000;
/** Of one core, all processes together: less than this is nothing but their heartbeats. */
const QUIET_SHARE = 0.15;
const QUIET_LIMIT_MS = 20_000;

/** By a name: each process's id. Several may go by one name. */
export type Processes = readonly (readonly [name: string, pid: number])[];

/** ms by name. */
export type Times = ReadonlyMap<string, number>;

function timeOf(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
  // The name in brackets may hold anything; the fields behind it begin with the third.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return (Number(fields[11]) + Number(fields[12])) * TICK_MS;
}

export function timesOf(processes: Processes): Times {
  const times = new Map<string, number>();
  for (const [name, pid] of processes) times.set(name, (times.get(name) ?? 0) + timeOf(pid));
  return times;
}

/** What was spent since `before`, ms by name. */
export function spentSince(before: Times, processes: Processes): Times {
  return new Map([...timesOf(processes)].map(([name, ms]) => [name, ms - (before.get(name) ?? 0)]));
}

export function total(times: Times): number {
  return [...times.values()].reduce((sum, ms) => sum + ms, 0);
}

/** What they spend at rest, ms a ms by name: heartbeats and looks at each other. */
export async function spentAtRest(processes: Processes): Promise<Times> {
  const before = timesOf(processes);
  const startMs = performance.now();
  await new Promise((resolve) => setTimeout(resolve, REST_MS));
  const tookMs = performance.now() - startMs;
  return new Map([...spentSince(before, processes)].map(([name, ms]) => [name, ms / tookMs]));
}

/** Resolves when these processes have done what they had to do after the last request: checkpoints, flushes. */
export async function quiet(processes: Processes): Promise<void> {
  const endMs = performance.now() + QUIET_LIMIT_MS;
  for (let calm = 0; calm < 3 && performance.now() < endMs; ) {
    const before = timesOf(processes);
    await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
    calm = total(spentSince(before, processes)) <= QUIET_SHARE * LOOK_MS ? calm + 1 : 0;
  }
}
