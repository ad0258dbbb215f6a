/**
 * What drills ask of the launcher: to keep a process stopped or paused until a deadline. Each request is a file in the data
 * directory, its owner's alone, and named for the process. The launcher does what it says while the file is there and its deadline
 * is not over; so whatever happens to the program that wrote it, the process runs again.
 *
 * The launcher writes beside them what its processes do, so that a drill can wait for it.
 */
import { mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
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
  readonly children: ReadonlyMap<string, Child>;
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
    const { requests } = this.paths;
    rmSync(requests, { recursive: true, force: true });
    mkdirSync(requests, { recursive: true, mode: 0o700 });
    this.loop ??= repeat({ clock: this.options.clock, pauseMs: POLL_MS, action: async () => this.look() });
  }

  /** Every process is released. */
  async stop(): Promise<void> {
    await this.loop?.stop();
    for (const child of this.options.children.values()) child.release();
    rmSync(this.paths.state, { force: true });
  }

  /** A full disk or a removed directory ends no cluster. */
  private look(): void {
    try {
      this.act();
      this.failure = '';
    } catch (error) {
      const failure = messageOf(error);
      if (failure !== this.failure) this.options.say('launcher', `requests for processes not read: ${failure}`);
      this.failure = failure;
    }
  }

  private act(): void {
    const { children, dataDir, marker, url, storeDir } = this.options;
    const wanted = this.read();
    const processes: Record<string, ProcessState> = {};
    for (const [name, child] of children) {
      const request = wanted.get(name);
      if (request === undefined) child.release();
      else child.hold(request.do);
      if (name === 'nats') this.wiped &&= request?.wipe === true;
      if (name === 'nats' && request?.wipe === true && child.state === 'stopped' && !this.wiped) {
        rmSync(storeDir, { recursive: true, force: true });
        this.wiped = true;
      }
      processes[name] = name === 'nats' && this.wiped ? 'wiped' : child.state;
    }
    const state: LauncherState = { pid: process.pid, marker, url, processes };
    const text = JSON.stringify(state);
    if (text === this.written) return;
    writeWhole(requestPaths(dataDir).state, state);
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
