/** The processes of `npm start` on this machine, through requests to its launcher (`deploy/local/process-requests.ts`). */
import { existsSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { type Clock, sleep } from '../../shared/kernel/kernel.ts';
import { CommandError } from '../backup/command.ts';
import { runsAs } from '../local/own-process.ts';
import { type LauncherState, requestPaths, stateIn, writeWhole } from '../local/process-requests.ts';
import type { Hold, ProcessState } from '../local/supervise.ts';
import type { Processes } from './surface.ts';

const POLL_MS = 100;
/** For a stop in order, or a start; both have their own limits in the launcher. */
const LIMIT_MS = 60_000;

export interface LocalOptions {
  readonly dataDir: string;
  readonly clock: Clock;
}

/** Undefined if no launcher runs there. */
export function launcherAt(dataDir: string): LauncherState | undefined {
  const launcher = stateIn(dataDir);
  return launcher !== undefined && runsAs(launcher.pid, launcher.marker) ? launcher : undefined;
}

export class LocalProcesses implements Processes {
  private readonly options: LocalOptions;
  private readonly requests: string;

  constructor(options: LocalOptions) {
    this.options = options;
    this.requests = requestPaths(options.dataDir).requests;
  }

  kill(process: string, ms: number): Promise<void> {
    return this.hold(process, 'kill', ms);
  }

  stop(process: string, ms: number): Promise<void> {
    return this.hold(process, 'stop', ms);
  }

  pause(process: string, ms: number): Promise<void> {
    return this.hold(process, 'pause', ms);
  }

  async start(process: string): Promise<void> {
    rmSync(this.fileOf(process), { force: true });
    await this.until(process, 'running');
  }

  async restart(process: string): Promise<void> {
    await this.hold(process, 'stop', 2 * LIMIT_MS);
    await this.start(process);
  }

  async wipeNats(): Promise<void> {
    await this.hold('nats', 'stop', 2 * LIMIT_MS, true);
    await this.start('nats');
  }

  async startAll(): Promise<void> {
    // The launcher makes a removed directory again, and releases everything.
    if (!existsSync(this.requests)) return;
    for (const file of readdirSync(this.requests)) rmSync(join(this.requests, file), { force: true });
  }

  private async hold(process: string, how: Hold, ms: number, wipe = false): Promise<void> {
    const untilMs = this.options.clock.nowMs() + ms;
    writeWhole(this.fileOf(process), { do: how, wipe, untilMs });
    await this.until(process, how === 'pause' ? 'paused' : wipe ? 'wiped' : 'stopped', ms);
  }

  private fileOf(process: string): string {
    return join(this.requests, `${process}.json`);
  }

  private async until(process: string, state: ProcessState, limitMs = LIMIT_MS): Promise<void> {
    const { clock, dataDir } = this.options;
    const endMs = clock.monotonicMs() + Math.min(limitMs, LIMIT_MS);
    for (;;) {
      const launcher = launcherAt(dataDir);
      if (launcher === undefined) throw new CommandError(`no launcher runs on ${dataDir} any more`);
      if (launcher.processes[process] === state) return;
      if (clock.monotonicMs() >= endMs)
        throw new CommandError(`${process} is ${launcher.processes[process] ?? 'not a process here'}, not ${state}`);
      await sleep(clock, POLL_MS);
    }
  }
}
