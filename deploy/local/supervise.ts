/**
 * Supervises one child process: starts it, watches it, restarts it with a growing pause when it dies, stops it in order on
 * request.
 *
 * Children run in process groups of their own, so that Ctrl+C reaches only the launcher, which decides the order of stopping.
 * They read a pipe on their standard input: however the launcher dies, the pipe closes and they end.
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
  /** Every line of its standard error, and events of its life cycle. */
  readonly onEvent: (text: string) => void;
  /** An orderly stop that takes longer ends with SIGKILL. */
  readonly stopLimitMs: number;
}

/** How a drill keeps a process from running: ended at once, stopped in order, or paused. */
export type Hold = 'kill' | 'stop' | 'pause';

/** `wiped`: stopped, and what it has stored is removed. */
export type ProcessState = 'starting' | 'running' | 'stopping' | 'stopped' | 'paused' | 'wiped';

const firstPauseMs = 1_000;
const longestPauseMs = 30_000;
/** A process that dies after this long did not fail at its start. */
const settledMs = 60_000;
/** Exit code of the services for invalid flags or files: a restart cannot help. */
const unusableConfiguration = 2;

export class Child {
  private readonly options: ChildOptions;
  private readonly stopping = new AbortController();
  private readonly hurrying = new AbortController();
  private child: ChildProcess | undefined;
  private running: Promise<void> = Promise.resolve();
  private started = false;
  /** In its present life it has said `listening on`. */
  private listens = false;
  private held: { readonly how: Hold; readonly released: AbortController } | undefined;

  constructor(options: ChildOptions) {
    this.options = options;
  }

  /** Resolves true once it says `listening on`; false if it never can, or was stopped before. */
  start(): Promise<boolean> {
    return new Promise((resolve) => {
      this.running = this.run(() => resolve(true)).then(() => resolve(false));
    });
  }

  get state(): ProcessState {
    const { held } = this;
    // Also one that was not running: it is started when it is released.
    if (held?.how === 'pause') return 'paused';
    if (this.child === undefined) return held === undefined ? 'starting' : 'stopped';
    if (held !== undefined) return 'stopping';
    return this.listens ? 'running' : 'starting';
  }

  /** Of the process that runs or is paused; it leads a process group. */
  get pid(): number | undefined {
    return this.child?.pid;
  }

  /** It does not run until `release`. The same hold again changes nothing, another one takes the place of the first. */
  hold(how: Hold): void {
    if (this.held?.how === how) return;
    this.release();
    const { clock, stopLimitMs, onEvent } = this.options;
    const held = { how, released: new AbortController() };
    this.held = held;
    onEvent(`${how === 'pause' ? 'paused' : how === 'kill' ? 'killed' : 'stopped'} for a drill`);
    const { child } = this;
    if (how !== 'stop') this.signal(how === 'kill' ? 'SIGKILL' : 'SIGSTOP');
    else if (child !== undefined) {
      child.kill('SIGTERM');
      clock.after(stopLimitMs, () => {
        if (this.child === child && this.held === held) this.signal('SIGKILL');
      });
    }
  }

  /** Idempotent. */
  release(): void {
    const { held } = this;
    if (held === undefined) return;
    this.held = undefined;
    if (held.how === 'pause') this.signal('SIGCONT');
    held.released.abort();
  }

  /** To its process group: nats-server belongs to that of its guard. */
  private signal(signal: 'SIGKILL' | 'SIGSTOP' | 'SIGCONT'): void {
    const pid = this.child?.pid;
    if (pid === undefined) return;
    try {
      process.kill(-pid, signal);
    } catch {
      // It has just ended.
    }
  }

  /**
   * SIGTERM, a bounded wait, SIGKILL. Resolves when it has ended for good. The pipe is closed as well, which means that
   * everything stops and nothing has to be handed over.
   */
  async stop(): Promise<void> {
    const { clock, stopLimitMs, onEvent } = this.options;
    this.stopping.abort();
    this.release();
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

  /** Ends the wait of a present or later `stop`. */
  hurry(): void {
    this.hurrying.abort();
  }

  private async run(onReady: () => void): Promise<void> {
    const { clock, onEvent } = this.options;
    let pauseMs = firstPauseMs;
    while (!this.stopping.signal.aborted) {
      const { held } = this;
      // A process that is paused before it was started is started when it is released.
      if (held !== undefined) {
        await aborted(held.released.signal);
        pauseMs = firstPauseMs;
        continue;
      }
      const began = clock.monotonicMs();
      const { code, text } = await this.once(onReady);
      if (this.stopping.signal.aborted) return;
      if (this.held !== undefined) continue;
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
      this.listens = false;
      // The pipe is kept open, never written to; a child that died closes it first.
      child.stdin.on('error', () => {});
      createInterface({ input: child.stdout }).on('line', (line) => {
        onLine(line);
        if (messageIn(line)?.startsWith('listening on ') !== true) return;
        this.started = true;
        this.listens = true;
        onReady();
      });
      createInterface({ input: child.stderr }).on('line', (line) => onEvent(line));
      let failure: string | undefined;
      child.once('error', (error) => {
        failure = error.message;
        // A program that could not be started at all never closes.
        if (child.pid !== undefined) return;
        this.child = undefined;
        resolve({ code: null, text: failure });
      });
      // Not `exit`: its last output has to be read first.
      child.once('close', (code, signal) => {
        if (this.child === child) this.child = undefined;
        resolve({ code, text: failure ?? (signal === null ? `exit code ${code}` : signal) });
      });
    });
  }
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener('abort', () => resolve(), { once: true });
  });
}
