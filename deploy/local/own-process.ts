/**
 * Checks whether a process id of an earlier run still belongs to the same process. Ids are reused, in a container after every
 * restart, so the id alone is not enough: the command line must have a part that only our process has.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { type Clock, sleep } from '../../shared/kernel/kernel.ts';

export interface Orphans {
  /** By name. */
  readonly pids: Readonly<Record<string, number>>;
  /** A part of the command line of each. */
  readonly marker: string;
  readonly clock: Clock;
  readonly limitMs: number;
}

/** Whether `pid` runs, is not this process, and has `marker` in its command line. */
export function runsAs(pid: number, marker: string): boolean {
  if (!Number.isSafeInteger(pid) || pid < 1 || pid === process.pid) return false;
  return commandOf(pid)?.includes(marker) ?? false;
}

/**
 * Ends the process of the pid file of a killed run, if it is still the same: SIGTERM first, then SIGKILL. True if there was one.
 */
export async function endLeftover(pidFile: string, marker: string, clock: Clock): Promise<boolean> {
  if (!existsSync(pidFile)) return false;
  const pid = Number(readFileSync(pidFile, 'utf8').trim());
  if (!runsAs(pid, marker)) return false;
  for (const signal of ['SIGTERM', 'SIGKILL'] as const) {
    if (!runsAs(pid, marker)) break;
    process.kill(pid, signal);
    for (let waited = 0; waited < 5_000 && runsAs(pid, marker); waited += 50) await sleep(clock, 50);
  }
  return true;
}

/**
 * Ends the processes of a killed launcher, by the ids of their groups, if they are still the same. One that was paused would stay so
 * without end, with its port: continued, it sees that its pipe is closed, and ends in order; SIGKILL after `limitMs`. The names of
 * those that there were.
 */
export async function endOrphans({ pids, marker, clock, limitMs }: Orphans): Promise<readonly string[]> {
  const all = Object.entries(pids).filter(([, pid]) => runsAs(pid, marker));
  const running = () => all.filter(([, pid]) => runsAs(pid, marker));
  const signal = (name: 'SIGCONT' | 'SIGKILL'): void => {
    for (const [, pid] of running()) {
      try {
        process.kill(-pid, name);
      } catch {
        // It has just ended.
      }
    }
  };
  signal('SIGCONT');
  for (let waited = 0; waited < limitMs && running().length > 0; waited += 50) await sleep(clock, 50);
  signal('SIGKILL');
  return all.map(([name]) => name);
}

function commandOf(pid: number): string | undefined {
  try {
    if (existsSync('/proc/self/cmdline')) {
      // Threads have ids of the same numbers and the command line of their process, this one's too.
      const isProcess = readFileSync(`/proc/${pid}/status`, 'utf8').includes(`\nTgid:\t${pid}\n`);
      return isProcess ? readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ') : undefined;
    }
  } catch {
    return undefined;
  }
  const { status, stdout } = spawnSync('ps', ['-o', 'command=', '-p', String(pid)], { encoding: 'utf8' });
  return status === 0 ? stdout : undefined;
}
