/** A service of this repository as a real child process: its log lines, its kill, its restart. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { internalEnvironment } from '../clients/internal.ts';
import { eventually } from '../kernel/eventually.ts';
import { watchChild } from './children-watch.ts';

/** dist/, where the built services lie beside the built tests. */
const built = new URL('../../../', import.meta.url);

/** A suite that is about stopping says otherwise: the others stop a process to have it away, and nothing handed over. */
const shortStops = { TIDAL_PARENT_PIPE: '1', TIDAL_DRAIN_MS: '0', TIDAL_HAND_OVER_MS: '0' };

export interface NodeProcessOptions {
  readonly name: string;
  /** Relative to the root of the build: `services/region/main.js`; or absolute, of another build. */
  readonly main: string;
  readonly flags: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  /** How long it may take to listen, ms; absent: a minute. */
  readonly startLimitMs?: number | undefined;
}

export class NodeProcess {
  readonly name: string;
  /** Every line it printed, over all its lives. */
  readonly lines: string[] = [];
  /** Its unexpected ends: how it ended, and its last lines. */
  readonly ownEnds: string[] = [];
  private readonly options: NodeProcessOptions;
  private child: ChildProcess | undefined;
  private listening = false;
  private ending = false;

  constructor(options: NodeProcessOptions) {
    this.options = options;
    this.name = options.name;
  }

  get running(): boolean {
    return this.child !== undefined && this.child.exitCode === null && this.child.signalCode === null;
  }

  /** It runs and has logged `listening on`. */
  get serving(): boolean {
    return this.running && this.listening;
  }

  get pid(): number | undefined {
    return this.child?.pid;
  }

  /** Resolves when it logged `listening on`; fails with its output when it ended before. */
  async start(): Promise<void> {
    const { main, flags, env = {}, startLimitMs = 60_000 } = this.options;
    const child = spawn(process.execPath, ['--enable-source-maps', fileURLToPath(new URL(main, built)), ...flags], {
      // However this process dies, its children notice.
      stdio: ['pipe', 'pipe', 'pipe'],
      env: { ...process.env, ...shortStops, ...internalEnvironment, ...env },
    });
    this.child = child;
    this.listening = false;
    this.ending = false;
    watchChild(this.name, child);
    child.once('exit', (code, signal) => {
      if (this.ending) return;
      this.ownEnds.push(
        `${this.name} ended by itself, ${signal ?? `code ${code}`}: ${this.lines.slice(-8).join('\n')}`,
      );
    });
    const from = this.lines.length;
    for (const stream of [child.stdout, child.stderr]) {
      createInterface({ input: stream! }).on('line', (line) => this.lines.push(line));
    }
    const listening = (): boolean => this.lines.slice(from).some((line) => /listening on https?:\/\//.test(line));
    await eventually(`${this.name} listens or ends`, () => listening() || !this.running, startLimitMs);
    if (!this.running) throw new Error(`${this.name} ended: ${this.lines.slice(from).join('\n')}`);
    this.listening = true;
  }

  /** Signals the process and answers its exit code; null after a kill. */
  async end(signal: NodeJS.Signals): Promise<number | null> {
    const { child } = this;
    if (child === undefined || !this.running) return child?.exitCode ?? null;
    const exited = once(child, 'exit');
    this.ending = true;
    child.kill(signal);
    await exited;
    return child.exitCode;
  }

  /** The same process with another program, not started. */
  withMain(main: string): NodeProcess {
    return new NodeProcess({ ...this.options, main });
  }

  signal(signal: NodeJS.Signals): void {
    this.child?.kill(signal);
  }
}
