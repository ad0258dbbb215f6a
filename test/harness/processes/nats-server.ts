/** A private nats-server on loopback with a store of its own, to be killed, paused, wiped and started again. */
import { type ChildProcess, spawn } from 'node:child_process';
import { randomInt } from 'node:crypto';
import { once } from 'node:events';
import { cpSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createConnection, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect } from 'nats';
import { type NatsUser, usersBlock } from '../../../deploy/local/nats-users.ts';
import { eventually } from '../kernel/eventually.ts';
import { watchChild } from './children-watch.ts';
import { natsBinary } from './nats-binary.ts';

/**
 * Below the ports that systems give to outgoing connections: one of those could be taken by a connection before the process that is to
 * listen on it has started.
 */
const FIRST_PORT = 10_000;
const PORTS_END = 20_000;
const given = new Set<number>();

/** A loopback port that was free just now; each is given once. */
export async function freePort(): Promise<number> {
  for (;;) {
    const port = randomInt(FIRST_PORT, PORTS_END);
    if (given.has(port) || !(await isFree(port))) continue;
    given.add(port);
    return port;
  }
}

async function isFree(port: number): Promise<boolean> {
  const server = createServer();
  const isListening = new Promise<boolean>((resolve) => {
    server.once('listening', () => resolve(true));
    server.once('error', () => resolve(false));
  });
  server.listen(port, '127.0.0.1');
  if (!(await isListening)) return false;
  server.close();
  await once(server, 'close');
  return true;
}

export class NatsServer {
  readonly port: number;
  /** As the other servers of its cluster call it; undefined: it is alone. */
  readonly name: string | undefined;
  private readonly directory: string;
  /** Up to the inside of the block of JetStream. */
  private readonly settings: string;
  private child: ChildProcess | undefined;

  private constructor(port: number, directory: string, settings: string, name?: string) {
    this.port = port;
    this.name = name;
    this.directory = directory;
    this.settings = settings;
  }

  /** `users`: only they may connect. `syncAlways`: acknowledges what is on the disk, as the server of `npm start` does; without it tests are faster. */
  static async start({
    syncAlways = false,
    users = [],
    cluster,
    settings: more = [],
  }: {
    syncAlways?: boolean;
    users?: readonly NatsUser[];
    /** The server is one of several: the ports on which they talk to each other, its own first. */
    cluster?: readonly number[];
    /** More lines of its configuration. */
    settings?: readonly string[];
  } = {}): Promise<NatsServer> {
    const settings = [
      ...(cluster === undefined ? [] : clusterBlock(cluster)),
      ...(users.length === 0 ? [] : usersBlock(users)),
      ...more,
      'jetstream {',
      ...(syncAlways ? [' sync_interval: always'] : []),
    ].join('\n');
    const server = new NatsServer(
      await freePort(),
      mkdtempSync(join(tmpdir(), 'tidal-nats-')),
      settings,
      cluster && nameOf(cluster[0]!),
    );
    await server.run();
    return server;
  }

  get pid(): number | undefined {
    return this.child?.pid;
  }

  get url(): string {
    return `nats://127.0.0.1:${this.port}`;
  }

  /** What the server keeps, to be copied or replaced while it is killed. */
  get storeDirectory(): string {
    return join(this.directory, 'store');
  }

  /** Starts a server that was killed, on the same port; with `wiped` its store is empty. */
  async restart({ wiped = false } = {}): Promise<void> {
    await this.kill();
    if (wiped) rmSync(this.storeDirectory, { recursive: true, force: true });
    await this.run();
  }

  /** Copies the store of the stopped server aside, as an operator's backup, and starts it again. */
  async backUp(): Promise<void> {
    await this.end('SIGTERM');
    rmSync(this.backup, { recursive: true, force: true });
    cpSync(this.storeDirectory, this.backup, { recursive: true });
    await this.run();
  }

  /** Starts the server on the copy of the last `backUp`: everything since then never happened, for it. */
  async restoreBackup(): Promise<void> {
    await this.kill();
    rmSync(this.storeDirectory, { recursive: true, force: true });
    cpSync(this.backup, this.storeDirectory, { recursive: true });
    await this.run();
  }

  private get backup(): string {
    return join(this.directory, 'backup');
  }

  /** SIGKILL; resolves when the process has ended. */
  kill(): Promise<void> {
    return this.end('SIGKILL');
  }

  /** Returns once the process has really stopped: a signal takes effect shortly after it was sent. */
  pause(): void {
    this.child?.kill('SIGSTOP');
    const stat = `/proc/${this.child?.pid}/stat`;
    while (existsSync(stat) && !/\) T /.test(readFileSync(stat, 'utf8'))) {
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1);
    }
  }

  resume(): void {
    this.child?.kill('SIGCONT');
  }

  /** Ends the server and removes its store. */
  async stop(): Promise<void> {
    await this.kill();
    rmSync(this.directory, { recursive: true, force: true });
  }

  private async end(signal: NodeJS.Signals): Promise<void> {
    const { child } = this;
    this.child = undefined;
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const exited = once(child, 'exit');
    child.kill(signal);
    await exited;
  }

  private async run(): Promise<void> {
    const file = join(this.directory, 'nats.conf');
    const store = JSON.stringify(this.storeDirectory);
    writeFileSync(file, `listen: "127.0.0.1:${this.port}"\n${this.settings}\n store_dir: ${store}\n}\n`);
    const child = spawn(await natsBinary(), ['--config', file], { stdio: 'ignore' });
    this.child = child;
    watchChild('nats-server', child);
    await once(child, 'spawn');
    await eventually('the server listens', () => answers(this.port));
  }
}

function nameOf(port: number): string {
  return `server-${port}`;
}

function clusterBlock([own, ...others]: readonly number[]): string[] {
  const routes = others.map((port) => `"nats://127.0.0.1:${port}"`).join(', ');
  return [`server_name: "${nameOf(own!)}"`, `cluster { name: tidal, listen: "127.0.0.1:${own}", routes: [${routes}] }`];
}

function answers(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = createConnection({ host: '127.0.0.1', port });
    socket.once('data', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => resolve(false));
  });
}

const CLUSTER_SERVERS = 3;

/** Three nats-servers of one cluster on loopback. */
export class NatsCluster {
  readonly servers: readonly NatsServer[];

  private constructor(servers: readonly NatsServer[]) {
    this.servers = servers;
  }

  /** Resolves when all servers know the one of them that leads. */
  static async start(): Promise<NatsCluster> {
    const ports = await Promise.all(Array.from({ length: CLUSTER_SERVERS }, () => freePort()));
    const servers = await Promise.all(
      ports.map((port) => NatsServer.start({ cluster: [port, ...ports.filter((other) => other !== port)] })),
    );
    const cluster = new NatsCluster(servers);
    for (const [index, { name }] of servers.entries()) {
      await eventually(`${name} answers for the cluster`, () => cluster.streams(index).then(() => true), 30_000);
    }
    return cluster;
  }

  /** As `NATS_URL` takes them, this server first. */
  urls(first: number): string {
    return [...this.servers.slice(first), ...this.servers.slice(0, first)].map(({ url }) => url).join(',');
  }

  /** By name of stream: which server leads it, and how many keep a copy. */
  async streams(
    through = 0,
  ): Promise<ReadonlyMap<string, { readonly leader: NatsServer | undefined; readonly replicas: number }>> {
    const connection = await connect({ servers: this.servers[through]!.url, timeout: 2_000 });
    try {
      const answer = (await connection.request('$JS.API.STREAM.LIST', '', { timeout: 2_000 })).json<{
        readonly error?: { readonly description: string };
        readonly streams?: readonly {
          readonly config: { readonly name: string; readonly num_replicas: number };
          readonly cluster?: { readonly leader?: string };
        }[];
      }>();
      if (answer.error !== undefined) throw new Error(answer.error.description);
      return new Map(
        (answer.streams ?? []).map(({ config: { name, num_replicas: replicas }, cluster }) => [
          name,
          { leader: this.servers.find((server) => server.name === cluster?.leader), replicas },
        ]),
      );
    } finally {
      await connection.close();
    }
  }

  async stop(): Promise<void> {
    await Promise.all(this.servers.map((server) => server.stop()));
  }
}
