/**
 * The network between all parts: routers, regions, clients and the stream's server. Every link has two directions, and each may
 * be slow, lossy or broken separately. Calls are HTTP requests below the parsing; a caller gets the failures that undici would
 * throw.
 */

import type { HttpCall, HttpReply, OpenHttpPool } from '../../shared/http/http-pool.ts';
import { HEAD_LIMIT_BYTES } from '../../shared/http/request-flaws.ts';
import type { Wire } from '../harness/stream/memory-stream.ts';
import type { Chance } from './chance.ts';
import { type ExchangeReply, type ExchangeRequest, exchange, type Handler } from './exchange.ts';
import type { Life } from './life.ts';
import type { Scheduler } from './scheduler.ts';

export const BROKER = 'nats';

export type Trouble = 'cut' | 'slow' | 'lossy';

interface Way {
  readonly latencyMs: number;
  cut: number;
  slow: number;
  lossy: number;
  /** When any of these changed last. */
  changedMs: number;
  /** What is sent later does not arrive earlier, where the way is one connection. */
  lastArrivalMs: number;
}

interface Server {
  readonly life: Life;
  readonly handler: Handler;
  /** Of requests without an answer: the connection is reset. */
  readonly resets: Set<() => void>;
}

/** A connection without data is only noticed by the caller's own time limit. */
/** What the other headers of a request take, at most. */
const HEADERS_BYTES = 1_024;
const LOSS = 0.3;
const SLOW_MS = 2_500;

export interface NetworkOptions {
  readonly scheduler: Scheduler;
  readonly chance: Chance;
  /** Sees every request as it leaves its process. */
  readonly onCall: (from: string, call: HttpCall, to: string) => void;
  /** Sees every request as it arrives. */
  readonly onRequest: (to: string, request: ExchangeRequest) => void;
  /** Sees every answer of a process that was reached under the address of another, `way`: from whom, and whom it took it for. */
  readonly onMisled: (way: string, request: ExchangeRequest, reply: ExchangeReply) => void;
  /** Sees every answer as it leaves its process. */
  readonly onAnswer: (from: string, request: ExchangeRequest, reply: ExchangeReply) => void;
}

export class Network {
  private readonly options: NetworkOptions;
  private readonly ways = new Map<string, Way>();
  private readonly servers = new Map<string, Server>();
  /** Whom a name leads to, where it leads to another; by `from>to`. */
  private readonly leads = new Map<string, string>();

  constructor(options: NetworkOptions) {
    this.options = options;
  }

  private way(from: string, to: string): Way {
    const name = `${from}>${to}`;
    let way = this.ways.get(name);
    if (way === undefined) {
      const chance = this.options.chance.fork([from, to].sort().join());
      way = { latencyMs: chance.between(0.2, 6), cut: 0, slow: 0, lossy: 0, changedMs: 0, lastArrivalMs: 0 };
      this.ways.set(name, way);
    }
    return way;
  }

  begin(trouble: Trouble, from: string, to: string): void {
    const way = this.way(from, to);
    way[trouble]++;
    way.changedMs = this.options.scheduler.nowMs;
  }

  end(trouble: Trouble, from: string, to: string): void {
    const way = this.way(from, to);
    way[trouble] = Math.max(0, way[trouble] - 1);
    way.changedMs = this.options.scheduler.nowMs;
  }

  /** From then on `from` reaches `instead` under the address it has for `to`. */
  lead(from: string, to: string, instead: string): void {
    this.leads.set(`${from}>${to}`, instead);
  }

  healAll(): void {
    this.leads.clear();
    for (const way of this.ways.values()) way.cut = way.slow = way.lossy = 0;
  }

  /** Whether nothing was wrong between two since then. */
  wasWhole(a: string, b: string, sinceMs: number): boolean {
    return [this.way(a, b), this.way(b, a)].every(
      ({ cut, slow, lossy, changedMs }) => cut + slow + lossy === 0 && changedMs < sinceMs,
    );
  }

  /** When what is sent now arrives, ms from now; undefined: never. */
  private delay(from: string, to: string): number | undefined {
    const { chance } = this.options;
    const way = this.way(from, to);
    if (way.cut > 0 || (way.lossy > 0 && chance.chance(LOSS))) return undefined;
    const usual = way.latencyMs * chance.between(0.8, 1.4) * (chance.chance(0.02) ? 10 : 1);
    return way.slow > 0 ? usual + chance.between(0, SLOW_MS) : usual;
  }

  private orderedDelay(from: string, to: string): number | undefined {
    const { nowMs } = this.options.scheduler;
    const delayMs = this.delay(from, to);
    if (delayMs === undefined) return undefined;
    const way = this.way(from, to);
    way.lastArrivalMs = Math.max(way.lastArrivalMs, nowMs + delayMs);
    return way.lastArrivalMs - nowMs;
  }

  readonly wire: Wire = {
    toServer: (client) => this.orderedDelay(client, BROKER),
    toClient: (client) => this.orderedDelay(BROKER, client),
    open: (client) => this.way(client, BROKER).cut === 0 && this.way(BROKER, client).cut === 0,
  };

  listen(name: string, life: Life, handler: Handler): void {
    this.servers.set(name, { life, handler, resets: new Set() });
  }

  /** With `reset`, the machine still runs and answers with a reset; otherwise it sends nothing. */
  unlisten(name: string, reset: boolean): void {
    const server = this.servers.get(name);
    this.servers.delete(name);
    if (server !== undefined && reset) for (const end of server.resets) end();
  }

  poolsOf(life: Life): OpenHttpPool {
    return ({ url, connectMs }) => {
      const to = new URL(url).hostname;
      return {
        request: async (call) => {
          const reply = await life.ask(() => this.call(life.name, to, call, connectMs));
          // A region's report may replace the leadership record.
          if (reply.statusCode === 200 && call.path === '/internal/status') life.confirmed = true;
          return reply;
        },
        close: async () => {},
        destroy: async () => {},
      };
    };
  }

  call(from: string, to: string, call: HttpCall, connectMs: number): Promise<HttpReply> {
    const { scheduler, chance, onCall } = this.options;
    onCall(from, call, to);
    return new Promise((resolve, reject) => {
      let over = false;
      const end = (settle: () => void): void => {
        if (over) return;
        over = true;
        call.signal.removeEventListener('abort', abort);
        settle();
      };
      const fail = (code: string): void => end(() => reject(Object.assign(new Error(code), { code })));
      const abort = (): void =>
        end(() => reject(Object.assign(new Error('This operation was aborted'), { name: 'AbortError' })));
      call.signal.addEventListener('abort', abort);
      const back = (arrive: () => void): void => {
        const delayMs = this.delay(to, from);
        if (delayMs !== undefined) scheduler.after(delayMs, arrive);
      };
      const delayMs = this.delay(from, to);
      if (delayMs === undefined) {
        // An open connection delivers nothing; opening a new one fails.
        if (chance.chance(0.5)) scheduler.after(connectMs, () => fail('UND_ERR_CONNECT_TIMEOUT'));
        return;
      }
      const listened = this.servers.has(to);
      scheduler.after(delayMs, () => {
        const reached = this.leads.get(`${from}>${to}`) ?? to;
        const server = this.servers.get(reached);
        // The receiver has closed the connection meanwhile: whether the request was read is unknown.
        if (server === undefined) return back(() => fail(listened ? 'UND_ERR_SOCKET' : 'ECONNREFUSED'));
        const reset = (): void => back(() => fail('UND_ERR_SOCKET'));
        server.resets.add(reset);
        this.serve(reached, server, call, (reply) => {
          server.resets.delete(reset);
          if (reached !== to) this.options.onMisled(`${from}>${to}`, call, reply);
          back(() => end(() => resolve(asHttp(reply))));
        });
      });
    });
  }

  private serve(
    name: string,
    server: Server,
    request: ExchangeRequest,
    answered: (reply: ExchangeReply) => void,
  ): void {
    const { life, handler } = server;
    // The server of a process answers so before its handler runs.
    if (request.path.length + HEADERS_BYTES > HEAD_LIMIT_BYTES) {
      answered({ status: 431, headers: {}, body: Buffer.alloc(0) });
      return;
    }
    life.enter(() => {
      this.options.onRequest(name, request);
      exchange(handler, request, (reply) =>
        life.act(() => {
          this.options.onAnswer(name, request, reply);
          answered(reply);
        }),
      );
    });
  }

  /** Calls a process directly, bypassing the network. Undefined if it is not running or does not answer at once. */
  async look(name: string, request: ExchangeRequest): Promise<ExchangeReply | undefined> {
    const server = this.servers.get(name);
    if (server === undefined) return undefined;
    let reply: ExchangeReply | undefined;
    exchange(server.handler, request, (given) => {
      reply = given;
    });
    for (let turn = 0; turn < 50 && reply === undefined; turn++) await Promise.resolve();
    return reply;
  }
}

function asHttp({ status, headers, body }: ExchangeReply): HttpReply {
  const bytes = body.buffer.slice(body.byteOffset, body.byteOffset + body.length) as ArrayBuffer;
  return { statusCode: status, headers, body: { arrayBuffer: () => Promise.resolve(bytes) } };
}
