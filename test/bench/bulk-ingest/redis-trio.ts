/** A Redis primary with two replicas, processes of this machine on free ports, appending to their files once a second. */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { eventually } from '../../harness/kernel/eventually.ts';
import { watchChild } from '../../harness/processes/children-watch.ts';
import { freePort } from '../../harness/processes/nats-server.ts';
import { COMMANDS, command } from './events.ts';
import type { Processes } from './processor-time.ts';

const LIMIT_MS = 120_000;
const LF = 10;
const MINUS = 0x2d;

/** Why there is none on this machine; undefined: there is. */
export function withoutRedis(): string | undefined {
  const { status } = spawnSync('redis-server', ['--version']);
  return status === 0 ? undefined : 'this benchmark needs Redis 7: apt-get install redis-server';
}

export class RedisTrio {
  readonly version: string;
  private readonly directory: string;
  private readonly children: readonly ChildProcess[];
  private client!: Client;
  /** Events sent so far. */
  sent = 0;

  private constructor(directory: string, ports: readonly number[]) {
    this.version = spawnSync('redis-server', ['--version'], { encoding: 'utf8' }).stdout.match(/v=(\S+)/)?.[1] ?? '';
    this.directory = directory;
    this.children = ports.map((port, index) => {
      const flags = ['--port', String(port), '--bind', '127.0.0.1', '--dir', directory, '--save', ''];
      const log = ['--appendonly', 'yes', '--appendfsync', 'everysec', '--appenddirname', `log-${index}`];
      // A rewrite in the middle of a round would be Redis's loss.
      const still = ['--auto-aof-rewrite-percentage', '0', '--client-output-buffer-limit', 'replica 0 0 0'];
      const replica = index === 0 ? [] : ['--replicaof', '127.0.0.1', String(ports[0])];
      const child = spawn('redis-server', [...flags, ...log, ...still, ...replica], { stdio: 'ignore' });
      watchChild(`redis-server ${index}`, child);
      return child;
    });
  }

  static async start(): Promise<RedisTrio> {
    const ports = [await freePort(), await freePort(), await freePort()];
    const trio = new RedisTrio(mkdtempSync(join(tmpdir(), 'tidal-redis-')), ports);
    try {
      for (const port of ports) await eventually(`redis-server answers on ${port}`, () => answers(port), 30_000);
      trio.client = new Client(connect(ports[0]!, '127.0.0.1'));
      await eventually('both replicas are there', async () => {
        const info = await trio.client.ask('INFO', 'replication');
        return info.match(/state=online/g)?.length === 2;
      });
    } catch (error) {
      await trio.stop();
      throw error;
    }
    return trio;
  }

  get processes(): Processes {
    const names = ['Redis primary', 'Redis replicas', 'Redis replicas'];
    return this.children.map(({ pid }, index) => [names[index]!, pid!] as const);
  }

  /** Sends pipelines of whole events, at most `ahead` of them unanswered; resolves when both replicas have all of it. */
  async send(pipelines: readonly Buffer[], eventsEach: number, events: number, ahead: number): Promise<void> {
    await this.client.pipeline(pipelines, eventsEach * COMMANDS, events * COMMANDS, ahead);
    this.sent += events;
    const reached = await this.client.ask('WAIT', '2', String(LIMIT_MS));
    if (reached !== ':2') throw new Error(`WAIT answered ${reached}`);
  }

  /** Entries of the stream. */
  async length(): Promise<number> {
    return Number((await this.client.ask('XLEN', 'events')).slice(1));
  }

  async stop(): Promise<void> {
    this.client?.close();
    await Promise.all(
      this.children.map(async (child) => {
        if (child.exitCode !== null || child.signalCode !== null || child.pid === undefined) return;
        const exited = once(child, 'exit');
        child.kill('SIGKILL');
        await exited;
      }),
    );
    rmSync(this.directory, { recursive: true, force: true });
  }
}

/** One connection that counts the lines of its answers and looks at little else: it shall cost as little as it can. */
class Client {
  private readonly socket: Socket;
  private onData: (data: Buffer) => void = () => {};

  constructor(socket: Socket) {
    this.socket = socket;
    socket.setNoDelay(true);
    socket.on('data', (data) => this.onData(data));
    socket.on('error', () => {});
  }

  /** One command whose answer is one line, or one text. */
  ask(...words: readonly string[]): Promise<string> {
    return new Promise((resolve) => {
      let text = '';
      this.onData = (data) => {
        text += data.toString('latin1');
        const bulk = /^\$(\d+)\r\n/.exec(text);
        if (bulk === null ? text.endsWith('\r\n') : text.length >= bulk[0].length + Number(bulk[1]) + 2) {
          resolve(text.slice(bulk?.[0].length ?? 0).trimEnd());
        }
      };
      this.socket.write(command(...words));
    });
  }

  /** `commands` in all, `each` in every pipeline but perhaps the last; every one answers a text: two lines. */
  pipeline(pipelines: readonly Buffer[], each: number, commands: number, ahead: number): Promise<void> {
    return new Promise((resolve, reject) => {
      let lines = 0;
      let sent = 0;
      const send = (): void => {
        for (; sent < pipelines.length && sent * each * 2 - lines < ahead * each * 2; sent++) {
          this.socket.write(pipelines[sent]!);
        }
      };
      let ended = true;
      this.onData = (data) => {
        if (ended && data[0] === MINUS) reject(new Error(data.toString('latin1', 0, 200)));
        for (let at = data.indexOf(LF); at >= 0; at = data.indexOf(LF, at + 1)) {
          lines++;
          if (data[at + 1] === MINUS) reject(new Error(data.toString('latin1', at + 1, at + 200)));
        }
        ended = data[data.length - 1] === LF;
        if (lines >= commands * 2) resolve();
        else send();
      };
      send();
    });
  }

  close(): void {
    this.socket.destroy();
  }
}

function answers(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1', () => socket.write(command('PING')));
    const end = (answer: boolean): void => {
      socket.destroy();
      resolve(answer);
    };
    socket.once('data', (data) => end(data.toString('latin1').startsWith('+PONG')));
    socket.once('error', () => end(false));
  });
}
