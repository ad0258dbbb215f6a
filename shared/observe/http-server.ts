/**
 * The HTTP ground under router and region: request ids, problem+json, unknown routes and methods, metrics, structured
 * logs, and a server that drains before it closes.
 *
 * Promise: every failure is answered as RFC 9457 problem details with a code of the one table; nothing of an internal
 * error reaches the client but its request id.
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse, STATUS_CODES } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import Koa, { type Context, type Next } from 'koa';
import { ConfigError } from '../config/config-error.ts';
import { messageOf, Refusal } from '../errors/errors.ts';
import { type Clock, type Random, randomName, sleep } from '../kernel/kernel.ts';
import type { Log } from './log.ts';
import type { Metrics } from './metrics.ts';

/** A request that takes longer is logged as slow. */
const SLOW_MS = 1_000;
/** How long a client may take to send its whole request. */
const REQUEST_LIMIT_MS = 30_000;
const KEEP_ALIVE_MS = 30_000;
/** All headers but the one that may hold a position. */
const HEADER_LIMIT_BYTES = 32 * 1024;
/** With it, or with the query: a position of 2,000 origins is 128 KiB at most, and a tenth more where it is percent-encoded. */
const HEAD_LIMIT_BYTES = 192 * 1024;
const POSITION_HEADER = 'x-tidal-position';

const requestIdPattern = /^[A-Za-z0-9._:/+=@-]{1,128}$/;

export interface HttpAppOptions {
  readonly log: Log;
  readonly metrics: Metrics;
  readonly clock: Clock;
  readonly random: Random;
  /** Requests answered at one time; more are refused with `overloaded`. `/health*` and `/metrics*` are exempt. */
  readonly inFlightLimit: number;
}

/** The id under which this request is logged, here and in the region it is forwarded to. */
export function requestIdOf(ctx: Context): string {
  return String(ctx.state.requestId);
}

/** A Koa application with the ground laid; add `@koa/router` routes to it. */
export function createHttpApp({ log, metrics, clock, random, inFlightLimit }: HttpAppOptions): Koa {
  const requests = metrics.counter({
    name: 'tidal_http_requests_total',
    help: 'HTTP requests answered, by route pattern, method and status.',
    labels: ['route', 'method', 'status'],
  });
  const latency = metrics.histogram({
    name: 'tidal_http_request_duration_seconds',
    help: 'Time from the request to its answer, by route pattern and method.',
    labels: ['route', 'method'],
  });
  let inFlight = 0;
  metrics.gauge({
    name: 'tidal_http_requests_in_flight',
    help: 'HTTP requests being answered now.',
    collect: (gauge) => gauge.set(inFlight),
  });

  const app = new Koa();
  app.on('error', (error: unknown, ctx?: Context) => {
    // The client hung up; nothing of ours failed.
    if (isHangUp(error)) return;
    log.error('an answer could not be sent', { error, request_id: ctx === undefined ? undefined : requestIdOf(ctx) });
  });
  app.use(async (ctx: Context, next: Next) => {
    const startMs = clock.monotonicMs();
    const given = ctx.get('x-request-id');
    const requestId = requestIdPattern.test(given) ? given : randomName(random, 16);
    ctx.state.requestId = requestId;
    ctx.set('x-request-id', requestId);
    const exempt = isExempt(ctx.path);
    inFlight += 1;
    let failure: unknown;
    try {
      if (inFlight > inFlightLimit && !exempt) {
        throw new Refusal('overloaded', `${inFlightLimit} requests are being answered already`);
      }
      await next();
      refuseUnmatched(ctx);
    } catch (error) {
      failure = error;
      answerProblem(ctx, error);
    } finally {
      inFlight -= 1;
      const durationMs = clock.monotonicMs() - startMs;
      const route = routeOf(ctx);
      requests.inc({ route, method: ctx.method, status: String(ctx.status) });
      latency.observe({ route, method: ctx.method }, durationMs / 1_000);
      report(log, ctx, { route, durationMs, failure });
    }
  });
  return app;
}

function routeOf(ctx: Context): string {
  const route: unknown = ctx._matchedRoute;
  return typeof route === 'string' ? route : 'unknown';
}

function refuseUnmatched(ctx: Context): void {
  if (ctx._matchedRoute !== undefined) return;
  if (ctx.body !== undefined && ctx.body !== null) return;
  const layers = (ctx.matched ?? []) as readonly { readonly methods: readonly string[] }[];
  const allow = [...new Set(layers.flatMap((layer) => layer.methods))].sort();
  const path = ctx.path.length > 100 ? `${ctx.path.slice(0, 100)}…` : ctx.path;
  if (allow.length === 0) throw new Refusal('unknown_route', `there is no route ${path}`);
  throw new Refusal('method_not_allowed', `${path} takes ${allow.join(', ')}, not ${ctx.method}`, { allow });
}

function answerProblem(ctx: Context, error: unknown): void {
  const refusal =
    error instanceof Refusal
      ? error
      : new Refusal('internal', 'the server made a mistake; the log has it under this request id', {
          hint: `request id ${requestIdOf(ctx)}`,
        });
  ctx.status = refusal.status;
  ctx.body = JSON.stringify(refusal.toProblem());
  ctx.set('content-type', 'application/problem+json');
  if (refusal.status === 429 || refusal.status === 503) {
    ctx.set('retry-after', String(refusal.extras.retryAfterSeconds ?? 1));
  }
  if (refusal.extras.allow !== undefined) ctx.set('allow', refusal.extras.allow.join(', '));
}

interface Outcome {
  readonly route: string;
  readonly durationMs: number;
  readonly failure: unknown;
}

function report(log: Log, ctx: Context, { route, durationMs, failure }: Outcome): void {
  const unexpected = failure !== undefined && !(failure instanceof Refusal);
  const slow = durationMs > SLOW_MS;
  if (failure === undefined && !slow) return;
  const fields = {
    request_id: requestIdOf(ctx),
    method: ctx.method,
    route,
    status: ctx.status,
    duration_ms: Math.round(durationMs * 100) / 100,
    ...(failure instanceof Refusal ? { code: failure.code, detail: failure.message } : {}),
  };
  if (unexpected) log.error('request failed', { ...fields, error: failure });
  else if (ctx.status >= 500) log.warn('request refused', fields);
  else if (slow) log.warn('slow request', fields);
  else log.debug('request refused', fields);
}

function isHangUp(error: unknown): boolean {
  const code = (error as { code?: unknown } | null)?.code;
  return code === 'ECONNRESET' || code === 'EPIPE' || code === 'ERR_STREAM_PREMATURE_CLOSE';
}

export interface ListenOptions {
  /** A Koa application, or what stands in for one. */
  readonly app: { callback(): (request: IncomingMessage, response: ServerResponse) => Promise<unknown> };
  readonly metrics: Metrics;
  /**
   * Open connections from which on requests are refused with `overloaded` (`/health*` and `/metrics*` excepted) and their
   * connections closed; twice as many are not accepted at all.
   */
  readonly maxConnections: number;
  readonly host: string;
  /** 0: any free port. */
  readonly port: number;
  readonly log: Log;
  readonly clock: Clock;
  /** How long requests under way may take after `close`; then their connections are cut. */
  readonly drainLimitMs?: number;
}

export interface Listening {
  /** `http://host:port`, with the real port. */
  readonly url: string;
  /** Stops accepting, lets requests under way finish, closes every connection. Idempotent. */
  close(): Promise<void>;
}

/** Resolves when the port is open; throws `ConfigError` when it cannot be. */
export async function listen(options: ListenOptions): Promise<Listening> {
  const { app, host, port, log, clock, metrics, maxConnections, drainLimitMs = 5_000 } = options;
  const handler = app.callback();
  let closing: Promise<void> | undefined;
  const refused = metrics.counter({
    name: 'tidal_http_connections_refused_total',
    help: 'Connections over the limit: closed after a refusal, or not accepted.',
  });
  const open = new Set<Socket>();
  /** Those that came when there were enough already. */
  const over = new WeakSet<Socket>();
  metrics.gauge({
    name: 'tidal_http_connections',
    help: 'Open connections.',
    collect: (gauge) => gauge.set(open.size),
  });
  const server = createServer(
    { maxHeaderSize: HEAD_LIMIT_BYTES, requestTimeout: REQUEST_LIMIT_MS, keepAliveTimeout: KEEP_ALIVE_MS },
    (request, response) => {
      // A kept connection would outlive the drain.
      if (closing !== undefined) response.setHeader('connection', 'close');
      if (over.has(request.socket)) {
        response.setHeader('connection', 'close');
        if (!isExempt(request.url ?? '')) {
          refuse(request, response, new Refusal('overloaded', `${maxConnections} connections are open already`));
          return;
        }
      }
      if (headerBytes(request) > HEADER_LIMIT_BYTES) {
        response.setHeader('connection', 'close');
        refuse(request, response, headersTooLarge(HEADER_LIMIT_BYTES, 'headers'));
        return;
      }
      void handler(request, response);
    },
  );
  server.maxConnections = 2 * maxConnections;
  server.on('drop', () => refused.inc());
  server.on('connection', (socket) => {
    if (open.size >= maxConnections) {
      over.add(socket);
      refused.inc();
    }
    open.add(socket);
    socket.on('close', () => open.delete(socket));
  });
  server.on('clientError', answerBrokenRequest);
  await new Promise<void>((resolve, reject) => {
    server.once('error', (error) => reject(translate(error, host, port)));
    server.listen({ host, port }, resolve);
  });
  server.on('error', (error) => log.error('the listening socket failed', { error }));
  const { port: bound } = server.address() as AddressInfo;
  const url = `http://${host.includes(':') ? `[${host}]` : host}:${bound}`;
  log.info(`listening on ${url}`);
  return {
    url,
    close() {
      closing ??= drain(server, clock, drainLimitMs, log);
      return closing;
    },
  };
}

function headerBytes({ rawHeaders }: IncomingMessage): number {
  let bytes = 0;
  for (let at = 0; at < rawHeaders.length; at += 2) {
    const name = rawHeaders[at]!;
    if (name.toLowerCase() !== POSITION_HEADER) bytes += name.length + rawHeaders[at + 1]!.length;
  }
  return bytes;
}

function headersTooLarge(limitBytes: number, what: string): Refusal {
  return new Refusal('headers_too_large', `the ${what} may have at most ${limitBytes} bytes`);
}

/** Answers what does not reach the application. */
function refuse(request: IncomingMessage, response: ServerResponse, refusal: Refusal): void {
  request.resume();
  const answer = bareProblem(refusal);
  response.writeHead(refusal.status, answer.headers).end(answer.body);
}

/** What cannot be parsed as a request never reaches the application; it is answered like everything else. */
function answerBrokenRequest(error: NodeJS.ErrnoException, socket: Duplex): void {
  if (error.code === 'ECONNRESET' || !socket.writable) {
    socket.destroy();
    return;
  }
  const refusal = refusalOf(error);
  const { headers, body } = bareProblem(refusal);
  const lines = Object.entries({ ...headers, connection: 'close' }).map(([name, value]) => `${name}: ${value}\r\n`);
  const reason = STATUS_CODES[refusal.status] ?? '';
  socket.end(`HTTP/1.1 ${refusal.status} ${reason}\r\n${lines.join('')}\r\n${body}`);
}

function refusalOf({ code, message }: NodeJS.ErrnoException): Refusal {
  switch (code) {
    case 'HPE_HEADER_OVERFLOW':
      return headersTooLarge(HEAD_LIMIT_BYTES, 'request line and headers');
    case 'ERR_HTTP_REQUEST_TIMEOUT':
      return new Refusal(
        'request_timeout',
        `the request was not here ${REQUEST_LIMIT_MS / 1_000} s after its beginning`,
      );
    default:
      return new Refusal('invalid_request', `this is no HTTP request: ${message}`);
  }
}

/** A refusal as it is sent where no context of the application is at hand. */
function bareProblem(refusal: Refusal): { headers: Record<string, string>; body: string } {
  const body = JSON.stringify(refusal.toProblem());
  const headers: Record<string, string> = {
    'content-type': 'application/problem+json',
    'content-length': String(Buffer.byteLength(body)),
  };
  if (refusal.status === 503) headers['retry-after'] = '1';
  return { headers, body };
}

function isExempt(path: string): boolean {
  return path.startsWith('/health') || path.startsWith('/metrics');
}

async function drain(server: Server, clock: Clock, limitMs: number, log: Log): Promise<void> {
  const closed = new AbortController();
  const done = new Promise<void>((resolve) => {
    server.close(() => {
      closed.abort();
      resolve();
    });
  });
  const endMs = clock.monotonicMs() + limitMs;
  while (!closed.signal.aborted && clock.monotonicMs() < endMs) {
    server.closeIdleConnections();
    await sleep(clock, 20, closed.signal);
  }
  if (!closed.signal.aborted) {
    log.warn('requests were still under way when the drain ended', { limit_ms: limitMs });
    server.closeAllConnections();
  }
  await done;
}

function translate(error: NodeJS.ErrnoException, host: string, port: number): ConfigError {
  const address = `${host}:${port}`;
  switch (error.code) {
    case 'EADDRINUSE':
      return new ConfigError(`cannot listen on ${address}: the port is taken by another process; choose another one`);
    case 'EACCES':
      return new ConfigError(`cannot listen on ${address}: not permitted; ports below 1024 need privileges`);
    case 'EADDRNOTAVAIL':
    case 'ENOTFOUND':
      return new ConfigError(`cannot listen on ${address}: this machine does not have that address`);
    default:
      return new ConfigError(`cannot listen on ${address}: ${messageOf(error)}`);
  }
}
