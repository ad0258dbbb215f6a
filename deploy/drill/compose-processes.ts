/**
 * The processes of `docker compose`, through its own command: a service a region, `router` and `nats`. `COMPOSE_FILE` and
 * `COMPOSE_PROJECT_NAME` choose the project, as for any use of it.
 *
 * The engine keeps no deadlines. A guard (`compose-guard-main.ts`) outlives the program that runs the drill, and starts and resumes
 * everything when that program ends without having done so.
 */
import { execFile, spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import type { Clock, Timer } from '../../shared/kernel/kernel.ts';
import { CommandError } from '../backup/command.ts';
import type { Processes } from './surface.ts';

const execute = promisify(execFile);
const COMMAND_LIMIT_MS = 120_000;

/** Runs `docker` with these arguments; its output. Throws `CommandError` with what it said. */
export async function docker(...args: readonly string[]): Promise<string> {
  try {
    return (await execute('docker', [...args], { timeout: COMMAND_LIMIT_MS, maxBuffer: 16 * 1024 * 1024 })).stdout;
  } catch (error) {
    const { stderr, message } = error as { readonly stderr?: string; readonly message: string };
    throw new CommandError(`docker ${args.join(' ')}: ${stderr?.trim() || message}`);
  }
}

export interface ComposeOptions {
  readonly clock: Clock;
  readonly docker: (...args: readonly string[]) => Promise<string>;
}

interface Service {
  readonly Service: string;
  readonly State: string;
}

interface Project {
  readonly services: Readonly<Record<string, { readonly command?: readonly string[] | null }>>;
  readonly volumes?: Readonly<Record<string, { readonly name: string }>>;
}

export class ComposeProcesses implements Processes {
  private readonly options: ComposeOptions;
  private readonly deadlines = new Map<string, Timer>();

  constructor(options: ComposeOptions) {
    this.options = options;
  }

  kill(process: string, ms: number): Promise<void> {
    return this.hold('kill', process, ms);
  }

  stop(process: string, ms: number): Promise<void> {
    return this.hold('stop', process, ms);
  }

  pause(process: string, ms: number): Promise<void> {
    return this.hold('pause', process, ms);
  }

  async start(process: string): Promise<void> {
    this.deadlines.get(process)?.cancel();
    this.deadlines.delete(process);
    const service = (await this.services()).find((each) => each.Service === process);
    if (service?.State === 'running') return;
    // Without a container: it was removed, and not made again.
    if (service === undefined) await this.compose('up', '--detach', '--no-deps', process);
    else await this.compose(service.State === 'paused' ? 'unpause' : 'start', process);
  }

  async restart(process: string): Promise<void> {
    await this.compose('restart', process);
  }

  async wipeNats(): Promise<void> {
    const volume = (await this.project()).volumes?.nats?.name;
    if (volume === undefined) throw new CommandError('the project has no volume "nats"');
    await this.compose('rm', '--stop', '--force', 'nats');
    await this.options.docker('volume', 'rm', volume);
    await this.compose('up', '--detach', '--no-deps', 'nats');
  }

  async startAll(): Promise<void> {
    for (const timer of this.deadlines.values()) timer.cancel();
    this.deadlines.clear();
    const known = await this.project();
    const isOfCluster = (name: string): boolean =>
      name === 'router' || name === 'nats' || known.services[name]?.command?.[0] === 'region';
    // Not what an operator has stopped beside the cluster, such as the monitoring.
    const services = (await this.services()).filter(({ Service }) => isOfCluster(Service));
    const named = (states: readonly string[]): string[] =>
      services.filter(({ State }) => states.includes(State)).map(({ Service }) => Service);
    const [paused, away] = [named(['paused']), named(['exited', 'created', 'dead'])];
    if (paused.length > 0) await this.compose('unpause', ...paused);
    if (away.length > 0) await this.compose('start', ...away);
    // Removed, and not started again: a program that was killed while it wiped NATS.
    if (!services.some(({ Service }) => Service === 'nats')) await this.compose('up', '--detach', '--no-deps', 'nats');
  }

  private async hold(how: 'kill' | 'stop' | 'pause', process: string, ms: number): Promise<void> {
    await this.compose(how, process);
    this.deadlines.get(process)?.cancel();
    // A failure is found by the undoing at the end of the drill, which tries again.
    this.deadlines.set(
      process,
      this.options.clock.after(ms, () => void this.start(process).catch(() => {})),
    );
  }

  private compose(...args: readonly string[]): Promise<string> {
    return this.options.docker('compose', ...args);
  }

  private async project(): Promise<Project> {
    return JSON.parse(await this.compose('config', '--format', 'json'));
  }

  /** Containers that exist, running or not. */
  private async services(): Promise<readonly Service[]> {
    const text = (await this.compose('ps', '--all', '--format', 'json')).trim();
    if (text === '') return [];
    // One array, or an object a line, as the version of Compose has it.
    return text.startsWith('[') ? JSON.parse(text) : text.split('\n').map((line) => JSON.parse(line));
  }
}

export interface Guard {
  /** Everything was undone: it ends without doing anything. */
  release(): void;
}

/** Begins to observe this process: the pipe to the guard closes however this process ends. */
export function startGuard(): Guard {
  const main = fileURLToPath(new URL('compose-guard-main.js', import.meta.url));
  const guard = spawn(process.execPath, [main], { detached: true, stdio: ['pipe', 'ignore', 'inherit'] });
  guard.stdin.on('error', () => {});
  guard.unref();
  return { release: () => void guard.stdin.end('done\n') };
}
