/**
 * One child process kept alive: started, watched, started again with a growing pause when it dies by itself, stopped in
 * order when asked.
 *
 * Children run in process groups of their own, so that Ctrl+C reaches the launcher alone and the order of stopping is
 * the launcher's. They hold the other end of a pipe on their standard input: when the launcher dies, however it dies,
 * the pipe closes and they leave.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { type Clock, sleep, within } from '../../shared/kernel/kernel.ts';
import { messageIn } from './show.ts';

export interface ChildOptions {
  readonly name: string;
  readonly command: string;
  readonly args: readonly string[];
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly clock: Clock;
  /** Every line of its standard output. */
  readonly onLine: (line: string) => void;
  /** Every line of its standard error, and what happens to it. */
  readonly onEvent: (text: string) => void;
  /** An orderly stop that takes longer ends with SIGKILL. */
  readonly stopLimitMs: number;
}

const firstPauseMs = 1_000;
const longestPauseMs = 30_000;
/** Having run this long, a process that dies did not die of its start. */
const settledMs = 60_000;
/** What the services exit with when their flags or files cannot be used: starting again cannot help. */
const unusableConfiguration = 2;

export class Child {
  private readonly options: ChildOptions;
  private readonly stopping = new AbortController();
  private readonly hurrying = new AbortController();
  private child: ChildProcess | undefined;
  private running: Promise<void> = Promise.resolve();
  private started = false;

  constructor(options: ChildOptions) {
    this.options = options;
  }

  /** Resolves true once it says `listening on`; false when it never can, or was stopped before. */
  start(): Promise<boolean> {
    return new Promise((resolve) => {
      this.running = this.run(() => resolve(true)).then(() => resolve(false));
    });
  }

  /**
   * SIGTERM, a bounded wait, SIGKILL. Resolves when it is gone and stays gone. The pipe is closed as well: it says that
   * this is no stop of one process while the others go on, and that nothing is to be handed to them.
   */
  async stop(): Promise<void> {
    const { clock, stopLimitMs, onEvent } = this.options;
    this.stopping.abort();
    this.child?.kill('SIGTERM');
    this.child?.stdin?.end();
    const stopped = this.running.then(() => true);
    const hurry = new Promise<boolean>((resolve) => {
      if (this.hurrying.signal.aborted) resolve(false);
      else this.hurrying.signal.addEventListener('abort', () => resolve(false), { once: true });
    });
    if (await within(clock, stopLimitMs, Promise.race([stopped, hurry]), false)) return;
    onEvent(this.hurrying.signal.aborted ? 'killed' : `did not stop within ${stopLimitMs} ms: killed`);
    this.child?.kill('SIGKILL');
    await this.running;
  }

  /** Cuts the wait of a present or coming `stop` short. */
  hurry(): void {
    this.hurrying.abort();
  }

  private async run(onReady: () => void): Promise<void> {
    const { clock, onEvent } = this.options;
    let pauseMs = firstPauseMs;
    while (!this.stopping.signal.aborted) {
      const began = clock.monotonicMs();
      const { code, text } = await this.once(onReady);
      if (this.stopping.signal.aborted) return;
      if (code === unusableConfiguration && !this.started) {
        onEvent(`cannot start (${text})`);
        return;
      }
      if (clock.monotonicMs() - began > settledMs) pauseMs = firstPauseMs;
      onEvent(`died (${text}); starting it again in ${pauseMs / 1000} s`);
      await sleep(clock, pauseMs, this.stopping.signal);
      pauseMs = Math.min(longestPauseMs, pauseMs * 2);
    }
  }

  private once(onReady: () => void): Promise<{ readonly code: number | null; readonly text: string }> {
    const { command, args, environment, onLine, onEvent } = this.options;
    return new Promise((resolve) => {
      const child = spawn(command, [...args], {
        detached: true,
        stdio: ['pipe', 'pipe', 'pipe'],
        env: { ...environment, TIDAL_PARENT_PIPE: '1' },
      });
      this.child = child;
      // The pipe is held, never written to; a child that died closes it first.
      child.stdin.on('error', () => {});
      createInterface({ input: child.stdout }).on('line', (line) => {
        onLine(line);
        if (messageIn(line)?.startsWith('listening on ') !== true) return;
        this.started = true;
        onReady();
      });
      createInterface({ input: child.stderr }).on('line', (line) => onEvent(line));
      let failure: string | undefined;
      child.once('error', (error) => {
        failure = error.message;
        // A program that could not be started at all never closes.
        if (child.pid === undefined) resolve({ code: null, text: failure });
      });
      // Not `exit`: what it said last is still to be read.
      child.once('close', (code, signal) => {
        resolve({ code, text: failure ?? (signal === null ? `exit code ${code}` : signal) });
      });
    });
  }
}
