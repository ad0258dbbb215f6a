/**
 * Requests that were received on one connection and are not answered. A client may send many without waiting for the answers
 * (pipelining); only a few of a connection are handled at a time. While others wait, nothing more is read from it, so that the
 * client is slowed down instead of refused, and cannot displace the requests of other connections.
 *
 * What was read with the last bytes waits here, in order. All connections together are limited: beyond it the one with the most
 * requests waiting is closed. A connection whose client disconnects, or sends something malformed after whole requests, ends only after
 * these were released or answered.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import type { Metrics } from '../../observe/metrics.ts';

/** Of all connections: some 4 KB each. */
const WAITING_LIMIT = 16_384;

type Handle = (request: IncomingMessage, response: ServerResponse) => void;

export interface UnansweredRequestsOptions {
  readonly metrics: Metrics;
  /** Requests of one connection being handled at a time. */
  readonly limit: number;
  /** Limit of the requests of all connections that wait. */
  readonly waitingLimit?: number;
  readonly handle: Handle;
}

export class UnansweredRequests {
  private readonly options: UnansweredRequestsOptions;
  private readonly pipelines = new Map<Socket, Pipeline>();
  private readonly ended;
  /** Of all pipelines. */
  private waiting = 0;

  constructor(options: UnansweredRequestsOptions) {
    this.options = options;
    const { metrics } = options;
    metrics.gauge({
      name: 'tidal_http_pipelined_requests',
      help: 'Requests received that wait until earlier ones of their connection are answered.',
      read: () => this.waiting,
    });
    metrics.gauge({
      name: 'tidal_http_connections_paused',
      help: 'Connections not read from until some of their requests are answered.',
      read: () => [...this.pipelines.values()].filter(({ isPaused }) => isPaused).length,
    });
    this.ended = metrics.counter({
      name: 'tidal_http_pipelines_ended_total',
      help: 'Connections closed because too many requests waited, most of them on these.',
    });
  }

  /** Called before anything is read from the connection. */
  watch(socket: Socket): void {
    const pipeline = new Pipeline(socket, this.options, {
      changed: (by) => {
        this.waiting += by;
      },
      mustWait: () => this.limitAll(),
    });
    this.pipelines.set(socket, pipeline);
    socket.once('close', () => {
      this.pipelines.delete(socket);
      pipeline.release();
    });
  }

  /** Handles it now or, if the connection has too many that are not answered, later. */
  add(request: IncomingMessage, response: ServerResponse): void {
    this.pipelines.get(request.socket)?.add(request, response);
  }

  /** Whether nothing is read from the connection at present. */
  isPaused(socket: Socket): boolean {
    return this.pipelines.get(socket)?.isPaused === true;
  }

  /** Calls `end` once all that was received whole on the connection is answered; nothing further is read meanwhile. */
  afterAll(socket: Socket, end: () => void): void {
    const pipeline = this.pipelines.get(socket);
    if (pipeline === undefined) end();
    else pipeline.endAfterAll(end);
  }

  private limitAll(): void {
    const { waitingLimit = WAITING_LIMIT } = this.options;
    if (this.waiting <= waitingLimit) return;
    const [socket] = [...this.pipelines].reduce((a, b) => (b[1].waiting.length > a[1].waiting.length ? b : a));
    this.ended.inc();
    socket.destroy();
  }
}

interface Waits {
  /** More requests wait by this number, or fewer. */
  changed(by: number): void;
  /** Some could not be handled now. */
  mustWait(): void;
}

class Pipeline {
  private readonly socket: Socket;
  private readonly limit: number;
  private readonly handle: Handle;
  private readonly waits: Waits;
  private readonly handled = new Map<ServerResponse, IncomingMessage>();
  private isScheduled = false;
  private end: (() => void) | undefined;
  waiting: (readonly [IncomingMessage, ServerResponse])[] = [];
  isPaused = false;

  constructor(socket: Socket, { limit, handle }: UnansweredRequestsOptions, waits: Waits) {
    this.socket = socket;
    this.limit = limit;
    this.handle = handle;
    this.waits = waits;
    // Node resumes it for every body that is read.
    socket.on('resume', () => {
      if (this.isPaused) socket.pause();
    });
  }

  add(request: IncomingMessage, response: ServerResponse): void {
    this.waiting.push([request, response]);
    this.waits.changed(1);
    if (this.isScheduled) return;
    this.isScheduled = true;
    // After what was read is parsed: a small body is complete by then, and all requests that arrived together are known.
    process.nextTick(() => {
      this.isScheduled = false;
      this.advance();
    });
  }

  endAfterAll(end: () => void): void {
    this.end ??= end;
    this.keep(this.waiting.filter(([request]) => request.complete));
    this.advance();
  }

  /** The client has disconnected. Node does not report that to answers that are behind another one. */
  release(): void {
    this.keep([]);
    this.end = undefined;
    for (const response of this.handled.keys()) {
      if (response.destroyed) continue;
      response.destroy();
      response.emit('close');
    }
  }

  private keep(waiting: Pipeline['waiting']): void {
    this.waits.changed(waiting.length - this.waiting.length);
    this.waiting = waiting;
  }

  private advance(): void {
    while (this.waiting.length > 0 && this.handled.size < this.limit) {
      const [request, response] = this.waiting.shift()!;
      this.waits.changed(-1);
      this.handled.set(response, request);
      response.once('close', () => {
        this.handled.delete(response);
        this.advance();
      });
      this.handle(request, response);
    }
    const { socket, waiting, isPaused, end } = this;
    this.isPaused = waiting.length > 0 || end !== undefined;
    if (this.isPaused) socket.pause();
    else if (isPaused) socket.resume();
    if (waiting.length > 0) this.waits.mustWait();
    // What did not arrive whole is the last one, and is answered by `end`.
    if (end === undefined || waiting.length > 0 || [...this.handled.values()].some(({ complete }) => complete)) return;
    this.end = undefined;
    this.isPaused = false;
    end();
    // Only reading shows that the client has closed.
    socket.resume();
  }
}
