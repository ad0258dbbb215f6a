/**
 * A wire that can fail: a TCP proxy on loopback, in the test's own process, between one part of a cluster and another.
 * Bytes of a connection always arrive in order and none is invented; what a fault does is hold them, slow them or break
 * the connection.
 */
import { once } from 'node:events';
import { createConnection, createServer, type Server, type Socket } from 'node:net';
import type { Random } from '../../../shared/kernel/kernel.ts';
import { eventually } from '../kernel/eventually.ts';
import { chance, drawBetween } from '../kernel/seeded-random.ts';

/** `there`: from the client to the target; `back`: the answers. */
export type Direction = 'there' | 'back';
const bothWays: readonly Direction[] = ['there', 'back'];

export interface Delay {
  /** Of each chunk: 0.3 delays three in ten. What follows a delayed chunk on its connection waits behind it. */
  readonly probability: number;
  readonly leastMs: number;
  readonly mostMs: number;
}

export interface TcpLinkOptions {
  readonly targetPort: number;
  /** Draws the delays. */
  readonly random: Random;
}

interface Pair {
  readonly sockets: readonly [client: Socket, target: Socket];
  readonly lanes: Readonly<Record<Direction, Lane>>;
}

export class TcpLink {
  readonly port: number;
  private readonly options: TcpLinkOptions;
  private readonly held = new Set<Direction>();
  private readonly delays = new Map<Direction, Delay>();
  private readonly pairs = new Set<Pair>();
  private server: Server | undefined;

  private constructor(port: number, server: Server, options: TcpLinkOptions) {
    this.port = port;
    this.server = server;
    this.options = options;
    server.on('connection', (client) => this.accept(client));
  }

  static async open(options: TcpLinkOptions): Promise<TcpLink> {
    const server = await listenOn(0);
    return new TcpLink((server.address() as { port: number }).port, server, options);
  }

  /** A black hole: connections stay open and are even taken, but no byte goes through until `heal`. */
  pause(directions: readonly Direction[] = bothWays): void {
    for (const direction of directions) this.held.add(direction);
    this.tellLanes();
  }

  /** Every connection is reset, and new ones are refused, until `heal`. */
  async cut(): Promise<void> {
    const { server } = this;
    if (server === undefined) return;
    this.server = undefined;
    const closed = once(server, 'close');
    server.close();
    this.reset();
    await closed;
  }

  /** Draws a delay for each chunk from now on. */
  delay(delay: Delay, directions: readonly Direction[] = bothWays): void {
    for (const direction of directions) this.delays.set(direction, delay);
  }

  /** Forwards everything at once again; held chunks first. */
  async heal(): Promise<void> {
    this.held.clear();
    this.delays.clear();
    this.tellLanes();
    if (this.server !== undefined) return;
    // Another process may briefly hold the port: it was free meanwhile.
    await eventually(`port ${this.port} is free again`, async () => {
      const server = await listenOn(this.port);
      server.on('connection', (client) => this.accept(client));
      this.server = server;
      return true;
    });
  }

  close(): Promise<void> {
    return this.cut();
  }

  private reset(): void {
    for (const pair of this.pairs) breakOff(pair);
    this.pairs.clear();
  }

  private accept(client: Socket): void {
    const target = createConnection({ host: '127.0.0.1', port: this.options.targetPort, allowHalfOpen: true });
    const lane = (direction: Direction, from: Socket, to: Socket): Lane =>
      new Lane({ from, to, held: () => this.held.has(direction), delayMs: () => this.draw(direction) });
    const lanes = { there: lane('there', client, target), back: lane('back', target, client) };
    const pair: Pair = { sockets: [client, target], lanes };
    this.pairs.add(pair);
    for (const socket of pair.sockets) {
      socket.setNoDelay(true);
      // One end broke: the other one sees a reset, as through a real wire. A polite end travels in its lane.
      socket.on('error', () => breakOff(pair));
      socket.on('close', () => {
        if (pair.sockets.every(({ closed }) => closed)) this.pairs.delete(pair);
      });
    }
  }

  private draw(direction: Direction): number {
    const delay = this.delays.get(direction);
    const { random } = this.options;
    if (delay === undefined || !chance(random, delay.probability)) return 0;
    return drawBetween(random, delay.leastMs, delay.mostMs);
  }

  private tellLanes(): void {
    for (const { lanes } of this.pairs) for (const direction of bothWays) lanes[direction].look();
  }
}

function breakOff({ sockets, lanes }: Pair): void {
  lanes.there.end();
  lanes.back.end();
  for (const socket of sockets) {
    // Node cannot reset what is still connecting, has an end or bytes on their way: it would keep the descriptor for ever.
    if (socket.connecting || socket.writableEnded || socket.writableLength > 0) socket.destroy();
    else socket.resetAndDestroy();
  }
}

interface LaneOptions {
  readonly from: Socket;
  readonly to: Socket;
  readonly held: () => boolean;
  readonly delayMs: () => number;
}

/** One direction of one connection: a queue of chunks, each with the time from which it may be sent. */
class Lane {
  private readonly options: LaneOptions;
  private readonly queue: { readonly chunk: Buffer | 'end'; readonly dueMs: number }[] = [];
  private timer: NodeJS.Timeout | undefined;
  private full = false;
  private ended = false;

  constructor(options: LaneOptions) {
    this.options = options;
    const { from, to } = options;
    from.on('data', (chunk) => this.take(chunk));
    from.on('end', () => this.take('end'));
    to.on('drain', () => {
      this.full = false;
      this.look();
    });
    this.look();
  }

  /** Nothing more is sent. */
  end(): void {
    this.ended = true;
    clearTimeout(this.timer);
  }

  /** Sends what may be sent, and reads only while it may. */
  look(): void {
    if (this.ended) return;
    const { from, to, held } = this.options;
    clearTimeout(this.timer);
    while (!held() && !this.full && this.queue.length > 0) {
      const { chunk, dueMs } = this.queue[0]!;
      const leftMs = dueMs - performance.now();
      if (leftMs > 0) {
        this.timer = setTimeout(() => this.look(), leftMs);
        break;
      }
      this.queue.shift();
      if (chunk === 'end') to.end();
      else this.full = !to.write(chunk);
    }
    if (held() || this.full) from.pause();
    else from.resume();
  }

  private take(chunk: Buffer | 'end'): void {
    const dueMs = Math.max(performance.now() + this.options.delayMs(), this.queue.at(-1)?.dueMs ?? 0);
    this.queue.push({ chunk, dueMs });
    this.look();
  }
}

async function listenOn(port: number): Promise<Server> {
  const server = createServer({ allowHalfOpen: true });
  server.listen(port, '127.0.0.1');
  await once(server, 'listening');
  return server;
}
