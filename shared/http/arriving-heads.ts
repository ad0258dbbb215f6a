/**
 * Request heads being received. Node keeps each until it is complete, and a position makes one long: thousands of connections
 * that send all but its end would fill the memory. So their total is limited, and beyond it the connections that hold most are
 * closed. Bytes that follow a request in progress are counted from its answer on.
 */
import type { Socket } from 'node:net';
import type { Clock, Timer } from '../kernel/kernel.ts';
import type { Metrics } from '../observe/metrics.ts';

const LOOK_MS = 250;

export interface ArrivingHeadsOptions {
  readonly clock: Clock;
  readonly metrics: Metrics;
  /** The open connections. */
  readonly open: ReadonlySet<Socket>;
  /** Limit of all together, bytes. */
  readonly limitBytes: number;
  /** Limit of one, bytes: Node refuses more. */
  readonly headBytes: number;
}

export class ArrivingHeads {
  private readonly options: ArrivingHeadsOptions;
  /** Bytes read of a connection when its newest request was answered. */
  private readonly answeredAt = new WeakMap<Socket, number>();
  /** Requests in progress of a connection. */
  private readonly underWay = new WeakMap<Socket, number>();
  private readonly ended;
  private timer: Timer | undefined;

  constructor(options: ArrivingHeadsOptions) {
    this.options = options;
    const { metrics } = options;
    metrics.gauge({
      name: 'tidal_http_head_bytes',
      help: 'Bytes of request heads on their way.',
      read: () => [...options.open].reduce((sum, socket) => sum + this.held(socket), 0),
    });
    this.ended = metrics.counter({
      name: 'tidal_http_heads_ended_total',
      help: 'Connections closed because the heads on their way had too many bytes together.',
    });
  }

  start(): void {
    this.timer = this.later();
  }

  /** Called when a head is complete. */
  began(socket: Socket): void {
    this.underWay.set(socket, (this.underWay.get(socket) ?? 0) + 1);
  }

  answered(socket: Socket): void {
    this.underWay.set(socket, (this.underWay.get(socket) ?? 1) - 1);
    this.answeredAt.set(socket, socket.bytesRead);
  }

  stop(): void {
    this.timer?.cancel();
  }

  private held(socket: Socket): number {
    if ((this.underWay.get(socket) ?? 0) > 0) return 0;
    return Math.max(0, socket.bytesRead - (this.answeredAt.get(socket) ?? 0));
  }

  private later(): Timer {
    return this.options.clock.after(LOOK_MS, () => {
      this.look();
      this.timer = this.later();
    });
  }

  private look(): void {
    const { open, limitBytes, headBytes } = this.options;
    // This few connections cannot hold that much.
    if (open.size * headBytes <= limitBytes) return;
    const heads = [...open].map((socket) => ({ socket, bytes: this.held(socket) })).filter(({ bytes }) => bytes > 0);
    let total = heads.reduce((sum, { bytes }) => sum + bytes, 0);
    if (total <= limitBytes) return;
    for (const { socket, bytes } of heads.sort((a, b) => b.bytes - a.bytes)) {
      if (total <= limitBytes) break;
      total -= bytes;
      this.ended.inc();
      socket.destroy();
    }
  }
}
