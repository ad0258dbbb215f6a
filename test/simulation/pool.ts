/** Processes that run seeds side by side. A run that never ends is ended with its process, and is a failure. */
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { watchChild } from '../harness/processes/children-watch.ts';
import type { Result, SeedRequest } from './result.ts';

/** Real time: a hundred times what a run takes on a quiet machine. */
const RUN_LIMIT_MS = 60_000;

interface Waiting {
  readonly request: SeedRequest;
  readonly resolve: (result: Result) => void;
}

export interface PoolOptions {
  readonly jobs: number;
  /** The built `worker.js` to run; this build's own when absent. */
  readonly worker?: string;
}

export class Pool {
  private readonly queue: Waiting[] = [];
  private readonly idle: ChildProcess[] = [];
  private readonly all = new Set<ChildProcess>();
  private readonly worker: string;
  private readonly jobs: number;

  constructor({ jobs, worker = fileURLToPath(new URL('worker.js', import.meta.url)) }: PoolOptions) {
    this.jobs = jobs;
    this.worker = worker;
  }

  run(request: SeedRequest): Promise<Result> {
    return new Promise((resolve) => {
      this.queue.push({ request, resolve });
      this.next();
    });
  }

  async close(): Promise<void> {
    const exits = [...this.all].map((child) => once(child, 'exit'));
    this.kill();
    await Promise.all(exits);
  }

  kill(): void {
    for (const child of this.all) child.kill('SIGKILL');
  }

  private next(): void {
    if (this.queue.length === 0) return;
    const child = this.idle.pop() ?? (this.all.size < this.jobs ? this.open() : undefined);
    if (child === undefined) return;
    this.give(child, this.queue.shift()!);
  }

  private open(): ChildProcess {
    const child = fork(this.worker, { execArgv: ['--enable-source-maps'], serialization: 'advanced' });
    watchChild('simulation worker', child);
    this.all.add(child);
    child.once('exit', () => this.all.delete(child));
    return child;
  }

  private give(child: ChildProcess, { request, resolve }: Waiting): void {
    const end = (result: Result): void => {
      clearTimeout(timer);
      child.off('message', answered);
      child.off('exit', died);
      resolve(result);
      this.next();
    };
    const answered = (result: Result): void => {
      this.idle.push(child);
      end(result);
    };
    const died = (code: number | null): void => {
      this.all.delete(child);
      end(hung(request, code === null ? `did not end within ${RUN_LIMIT_MS} ms` : `ended its process with ${code}`));
    };
    const timer = setTimeout(() => child.kill('SIGKILL'), RUN_LIMIT_MS);
    child.on('message', answered);
    child.on('exit', died);
    // One that has died already, interrupted before it could refuse, is reported by its exit.
    child.send(request, () => {});
  }
}

function hung({ seed, faults = [] }: SeedRequest, how: string): Result {
  return {
    seed,
    violation: { check: 'liveness', message: `liveness: the run ${how}` },
    hash: '',
    trace: [],
    faults,
    virtualMs: 0,
    steps: 0,
    acknowledged: 0,
    events: 0,
    healedMs: 0,
    longestTurnMs: 0,
    cpuMs: 0,
  };
}
