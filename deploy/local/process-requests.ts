/**
 * What drills ask of the launcher: to keep a process stopped or paused until a deadline. Each request is a file in the data
 * directory, its owner's alone, and named for the process. The launcher does what it says while the file is there and its deadline
 * is not over; so whatever happens to the program that wrote it, the process runs again.
 *
 * The launcher writes beside them what its processes do, so that a drill can wait for it.
 */
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { messageOf } from '../../shared/errors/errors.ts';
import type { Clock } from '../../shared/kernel/kernel.ts';
import { type Repetition, repeat } from '../../shared/kernel/repeat.ts';
import type { Child, Hold, ProcessState } from './supervise.ts';

const POLL_MS = 200;

const holds: readonly Hold[] = ['kill', 'stop', 'pause'];

/** The content of a request's file. */
export interface ProcessRequest {
  readonly do: Hold;
  /** Removes what NATS has stored, once it has stopped. */
  readonly wipe: boolean;
  /** Epoch ms. */
  readonly untilMs: number;
}

/** The content of `state.json`. */
export interface LauncherState {
  /** Of the launcher, with a part of its command line. */
  readonly pid: number;
  readonly marker: string;
  /** Of the router. */
  readonly url: string;
  readonly processes: Readonly<Record<string, ProcessState>>;
  /** Of those that run or are paused; each leads its process group. */
  readonly pids: Readonly<Record<string, number>>;
}

/** Paths below the data directory; no region has a name with an underscore. */
export function requestPaths(dataDir: string): { readonly requests: string; readonly state: string } {
  const folder = join(dataDir, '_processes');
  return { requests: join(folder, 'requests'), state: join(folder, 'state.json') };
}

/** Undefined if it is not a request. */
export function parseRequest(text: string): ProcessRequest | undefined {
  try {
    const { do: hold, wipe, untilMs } = JSON.parse(text) as Partial<ProcessRequest>;
    if (!holds.includes(hold as Hold) || typeof wipe !== 'boolean' || typeof untilMs !== 'number') return undefined;
    return { do: hold as Hold, wipe, untilMs };
  } catch {
    return undefined;
  }
}

/** Of the launcher that runs or has run on this data directory; undefined if it has written none. */
export function stateIn(dataDir: string): LauncherState | undefined {
  try {
    return JSON.parse(readFileSync(requestPaths(dataDir).state, 'utf8')) as LauncherState;
  } catch {
    // None, or removed meanwhile.
    return undefined;
  }
}

/** The file is whole whenever it is read. */
export function writeWhole(file: string, value: unknown): void {
  const partial = `${file}.${process.pid}.part`;
  writeFileSync(partial, JSON.stringify(value), { mode: 0o600 });
  renameSync(partial, file);
}

export interface ProcessRequestsOptions {
  readonly dataDir: string;
  readonly marker: string;
  readonly url: string;
  readonly children: ReadonlyMap<string, Pick<Child, 'hold' | 'release' | 'state' | 'pid'>>;
  /** Of nats-server. */
  readonly storeDir: string;
  readonly clock: Clock;
  readonly say: (name: string, text: string) => void;
}

export class ProcessRequests {
  private readonly options: ProcessRequestsOptions;
  private readonly paths: ReturnType<typeof requestPaths>;
  private loop: Repetition | undefined;
  private written = '';
  private wiped = false;
  /** Why the last look failed; empty if it did not. */
  private failure = '';

  constructor(options: ProcessRequestsOptions) {
    this.options = options;
    this.paths = requestPaths(options.dataDir);
  }

  /** Requests to an earlier launcher are forgotten. */
  start(): void {
    rmSync(this.paths.requests, { recursive: true, force: true });
    this.makeDirectory();
    this.loop ??= repeat({ clock: this.options.clock, pauseMs: POLL_MS, action: async () => this.look() });
  }

  /** Every process is released. */
  async stop(): Promise<void> {
    await this.loop?.stop();
    for (const child of this.options.children.values()) child.release();
    rmSync(this.paths.state, { force: true });
  }

  private makeDirectory(): void {
    mkdirSync(this.paths.requests, { recursive: true, mode: 0o700 });
  }

  /** A full disk or a removed directory ends no cluster, and holds no process: what cannot be read is no request. */
  private look(): void {
    const { children, say } = this.options;
    const failures: string[] = [];
    const attempt = (action: () => void): void => {
      try {
        action();
      } catch (error) {
        failures.push(messageOf(error));
      }
    };
    let wanted: ReadonlyMap<string, ProcessRequest> = new Map();
    attempt(() => {
      wanted = this.read();
    });
    if (failures.length > 0) attempt(() => this.makeDirectory());
    for (const [name, child] of children) {
      const request = wanted.get(name);
      if (request === undefined) child.release();
      else child.hold(request.do);
    }
    attempt(() => this.wipe(wanted.get('nats')));
    attempt(() => this.writeState());
    const failure = failures.join('; ');
    if (failure !== '' && failure !== this.failure) say('launcher', `requests for processes: ${failure}`);
    this.failure = failure;
  }

  private wipe(request: ProcessRequest | undefined): void {
    const { children, storeDir } = this.options;
    this.wiped &&= request?.wipe === true;
    if (request?.wipe !== true || this.wiped || children.get('nats')?.state !== 'stopped') return;
    rmSync(storeDir, { recursive: true, force: true });
    this.wiped = true;
  }

  private writeState(): void {
    const { children, marker, url } = this.options;
    const { state: file } = this.paths;
    const processes: Record<string, ProcessState> = {};
    const pids: Record<string, number> = {};
    for (const [name, { state, pid }] of children) {
      processes[name] = name === 'nats' && this.wiped ? 'wiped' : state;
      if (pid !== undefined) pids[name] = pid;
    }
    const state: LauncherState = { pid: process.pid, marker, url, processes, pids };
    const text = JSON.stringify(state);
    if (text === this.written && existsSync(file)) return;
    writeWhole(file, state);
    this.written = text;
  }

  /** By process; files that are over or make no sense are removed. */
  private read(): ReadonlyMap<string, ProcessRequest> {
    const { children, clock, say } = this.options;
    const found = new Map<string, ProcessRequest>();
    for (const file of readdirSync(this.paths.requests)) {
      if (!file.endsWith('.json')) continue;
      const path = join(this.paths.requests, file);
      const name = file.slice(0, -'.json'.length);
      const request = parseRequest(textIn(path));
      if (request !== undefined && children.has(name) && clock.nowMs() < request.untilMs) {
        found.set(name, request);
        continue;
      }
      if (request === undefined || !children.has(name)) say('launcher', `no request for a process: ${path}`);
      rmSync(path, { force: true });
    }
    return found;
  }
}

/** Empty if it was removed meanwhile. */
function textIn(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}
