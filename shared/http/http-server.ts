/**
 * The HTTP base of router and region: request ids, problem+json, unknown routes and methods, metrics, structured logs, and a
 * server that drains before it closes.
 *
 * Promise: every failure is answered as RFC 9457 problem details with a code of the one table; of an internal error only the
 * request id reaches the client.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import Koa, { type Context, type Next } from 'koa';
import { clip, Refusal } from '../errors/errors.ts';
import { type Clock, type Random, randomName } from '../kernel/kernel.ts';
import type { Log } from '../observe/log.ts';
import type { Metrics } from '../observe/metrics.ts';
import { AnswerBudget } from './answer-budget.ts';
import { ArrivingBodies, arrivingBodyOf } from './arriving-bodies.ts';
import { ArrivingHeads } from './arriving-heads.ts';
import { answerBare, EarlyRefusals, problemHeaders } from './bare-answer.ts';
import { expectsContinue } from './http-body.ts';
import { listenError } from './listen-error.ts';
import { AddressLimit } from './overload/address-limit.ts';
import { InFlight } from './overload/in-flight.ts';
import { UnansweredRequests } from './overload/unanswered-requests.ts';
import { flawOf, HEAD_LIMIT_BYTES, refusalOf } from './request-flaws.ts';
import { logRequest } from './request-log.ts';
import { createServerSocket, drain, type ServerTls } from './server-socket.ts';

/** How long a client may take to send its whole request. */
const ARRIVAL_MS = 15_000;
/** Common balancers keep a connection for 60 s. */
export const KEEP_ALIVE_MS = 75_000;
/** Limit of all heads being received together. */
const HEADS_LIMIT_BYTES = 64 * 1024 * 1024;
/** Answers up to this size are not counted: those of all connections together are below the budget. */
const SMALL_BYTES = 4 * 1024;
/** Few clients send a request before the answer to the one before. */
export const CONNECTION_REQUESTS = 16;
/** How often Node checks for expired requests: they are ended at most this much later. */
const LOOK_EVERY_MS = 1_000;

const requestIdPattern = /^[A-Za-z0-9._:/+=@-]{1,128}$/;

export interface HttpAppOptions {
  readonly log: Log;
  readonly metrics: Metrics;
  readonly clock: Clock;
  readonly random: Random;
  readonly limits: HttpLimits;
  /** Throws the refusal of a request that may not be made at all, before anything of it is read. Absent: all may be made. */
  readonly admit?: ((ctx: Context) => void) | undefined;
  /** The refusal of a request whose head alone shows that it has to wait; undefined: none. Health and metrics are not asked about. */
  readonly early?: ((request: IncomingMessage) => Refusal | undefined) | undefined;
  /** Called before anything can be refused: sets headers of every answer. True: that is the whole answer, a 204. */
  readonly begin?: ((request: IncomingMessage, response: ServerResponse) => boolean) | undefined;
  /** Called with an answer that is no problem, once its body is a text or bytes: may encode it. */
  readonly finish?: ((ctx: Context) => Promise<void>) | undefined;
}

/** Limits of one process. Beyond them requests are refused with `overloaded`, except `/health*` and `/metrics*`. */
export interface HttpLimits {
  /** Requests in progress: all but those whose body is being received. */
  readonly inFlight: number;
  /** Of one client address. Absent or 0: no such limit. */
  readonly addressInFlight?: number;
  readonly arrivingBodies: number;
  /** Answers in memory, all together. */
  readonly answersBytes: number;
  /** Of one client address. Absent or 0: no such limit. */
  readonly addressAnswersBytes?: number;
}

/** Of requests that are refused by the listener itself. */
const unparsedCodes = ['invalid_request', 'headers_too_large', 'request_timeout', 'overloaded'] as const;

/** A refusal found by the listener, to be answered by the application. */
const refusedUpFront = new WeakMap<IncomingMessage, Refusal>();

/** The id under which this request is logged, here and in the region it is forwarded to. */
export function requestIdOf(ctx: Context): string {
  return String(ctx.state.requestId);
}

/** A Koa application with this base; add `@koa/router` routes to it. */
export function createHttpApp(options: HttpAppOptions): Koa {
  const { log, metrics, clock, random, limits, admit: mayAsk, early, begin, finish } = options;
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
  const inFlight = new InFlight({ limit: limits.inFlight, addressLimit: limits.addressInFlight ?? 0, metrics });
  const bodies = new ArrivingBodies({ limit: limits.arrivingBodies, metrics });
  const answers = new AnswerBudget({
    limitBytes: limits.answersBytes,
    addressLimitBytes: limits.addressAnswersBytes,
    metrics,
  });
  const idOf = ({ headers }: IncomingMessage): string => {
    const given = headers['x-request-id'];
    return typeof given === 'string' && requestIdPattern.test(given) ? given : randomName(random, 16);
  };

  const app = new Koa();
  app.on('error', (error: unknown, ctx?: Context) => {
    // The client hung up; nothing of ours failed.
    if (isHangUp(error)) return;
    log.error('response not sent', { error, request_id: ctx === undefined ? undefined : requestIdOf(ctx) });
  });
  app.use(async (ctx: Context, next: Next) => {
    const startMs = clock.monotonicMs();
    const requestId = idOf(ctx.req);
    ctx.state.requestId = requestId;
    ctx.set('x-request-id', requestId);
    const exempt = isExempt(ctx.path);
    const address = addressOf(ctx.req);
    let end: (() => void) | undefined;
    const leave = (): void => {
      end?.();
      end = undefined;
    };
    const admit = (): void => {
      const refusal = exempt ? undefined : inFlight.refusalOf(address);
      if (refusal !== undefined) throw refusal;
      end = inFlight.begin(address);
    };
    const answer = answers.share(address);
    ctx.state.answerShare = answer;
    let failure: unknown;
    try {
      if (begin?.(ctx.req, ctx.res) === true) {
        ctx.status = 204;
        return;
      }
      mayAsk?.(ctx);
      admit();
      // Nothing but reading it ends the count: most routes read none.
      if (!ctx.req.complete) ctx.state.arrivingBody = bodies.of(address, { leave, admit });
      await next();
      refuseUnmatched(ctx);
      serialize(ctx);
      const length = ctx.length ?? 0;
      if (length > SMALL_BYTES && !exempt) answer.grow(length);
      await finish?.(ctx);
    } catch (error) {
      failure = error;
      answerProblem(ctx, error);
    } finally {
      arrivingBodyOf(ctx)?.left();
      // The client has disconnected, and no further event will report it.
      if (ctx.res.destroyed) answer.giveBack();
      else if (answer.taken > 0) {
        ctx.res.once('finish', answer.giveBack);
        ctx.res.once('close', answer.giveBack);
      }
      // The client got no "100 Continue", so what it sends next may be a body or a request.
      if (expectsContinue(ctx.req) && ctx.state.continued !== true) ctx.set('connection', 'close');
      leave();
      const durationMs = clock.monotonicMs() - startMs;
      const route = routeOf(ctx) ?? 'unknown';
      requests.inc({ route, method: ctx.method, status: String(ctx.status) });
      latency.observe({ route, method: ctx.method }, durationMs / 1_000);
      logRequest(log, ctx, { requestId, route, durationMs, failure, exempt });
    }
  });
  const refusals = new EarlyRefusals({
    log,
    count(method, status) {
      requests.inc({ route: 'unknown', method, status: String(status) });
      latency.observe({ route: 'unknown', method }, 0);
    },
  });
  const callback = app.callback.bind(app);
  const withRefusals = () => {
    const handle = callback();
    return async (request: IncomingMessage, response: ServerResponse) => {
      const flaw = refusedUpFront.get(request);
      const refusal =
        flaw ??
        (isExempt(request.url ?? '') ? undefined : (inFlight.refusalOf(addressOf(request)) ?? early?.(request)));
      if (refusal === undefined) return handle(request, response);
      // A preflight request needs nothing, and without its answer a page cannot read why the next one is refused.
      if (begin?.(request, response) === true && flaw === undefined) return handle(request, response);
      refusals.answer(request, response, refusal, idOf(request));
    };
  };
  app.callback = withRefusals as typeof app.callback;
  return app;
}

function addressOf({ socket }: IncomingMessage): string {
  return socket.remoteAddress ?? '';
}

/** As Koa would later, when its size is known too late for a refusal. */
function serialize(ctx: Context): void {
  const { body } = ctx;
  if (typeof body !== 'object' || body === null || Buffer.isBuffer(body)) return;
  // Before the body, which would set another one.
  ctx.type = 'json';
  ctx.body = JSON.stringify(body);
}

interface MatchedLayer {
  readonly path: string | RegExp;
  /** None of a router's middleware. */
  readonly methods: readonly string[];
}

function matchedLayers(ctx: Context): readonly MatchedLayer[] {
  return (ctx.matched ?? []) as readonly MatchedLayer[];
}

/** The pattern of the route that answers the request; undefined if there is none. */
export function routeOf(ctx: Context): string | undefined {
  const route = matchedLayers(ctx).find(({ methods }) => methods.includes(ctx.method));
  return route === undefined ? undefined : String(route.path);
}

function refuseUnmatched(ctx: Context): void {
  if (routeOf(ctx) !== undefined) return;
  if (ctx.body !== undefined && ctx.body !== null) return;
  const allow = [...new Set(matchedLayers(ctx).flatMap(({ methods }) => methods))].sort();
  const path = clip(ctx.path, 100);
  if (allow.length === 0) throw new Refusal('unknown_route', `there is no route ${path}`);
  throw new Refusal('method_not_allowed', `${path} takes ${allow.join(', ')}, not ${ctx.method}`, { allow });
}

function answerProblem(ctx: Context, error: unknown): void {
  const refusal =
    error instanceof Refusal
      ? error
      : new Refusal('internal', 'internal error; the log has the details under this request id', {
          hint: `request id ${requestIdOf(ctx)}`,
        });
  ctx.status = refusal.status;
  ctx.body = JSON.stringify(refusal.toProblem());
  ctx.set(problemHeaders(refusal));
}

function isHangUp(error: unknown): boolean {
  const code = (error as { code?: unknown } | null)?.code;
  return code === 'ECONNRESET' || code === 'EPIPE' || code === 'ERR_STREAM_PREMATURE_CLOSE';
}

export interface ListenOptions {
  /** A Koa application, or a replacement for one. */
  readonly app: { callback(): (request: IncomingMessage, response: ServerResponse) => Promise<unknown> };
  readonly metrics: Metrics;
  /**
   * Open connections from which on requests are refused with `overloaded` (`/health*` and `/metrics*` excepted) and their
   * connections closed; twice as many are not accepted at all.
   */
  readonly maxConnections: number;
  /** Limit for one client address; further ones are answered `overloaded` and closed at once. Absent or 0: no such limit. */
  readonly maxAddressConnections?: number;
  /** Requests of one connection being handled at a time; while more are received, nothing is read from it. */
  readonly maxConnectionRequests?: number;
  readonly host: string;
  /** 0: any free port. */
  readonly port: number;
  readonly log: Log;
  readonly clock: Clock;
  readonly random: Random;
  /** How long a kept connection may be idle: longer than balancers keep theirs, or they would use one that is being closed. */
  readonly keepAliveMs?: number;
  /** How long a client may take to send a whole request. Does not count while a kept connection is idle. */
  readonly arrivalMs?: number;
  /** Limit of all request heads being received, bytes. */
  readonly headsBytes?: number;
  /**
   * Whether a client that closes its half after a request still wants the answer. Between processes it does not: there it means
   * that the caller no longer waits.
   */
  readonly halfOpen?: boolean;
  /** Absent: plain HTTP. */
  readonly tls?: ServerTls | undefined;
  /** How long requests in progress may take after `close`; then their connections are closed. */
  readonly drainLimitMs?: number;
}

export interface Listening {
  /** `http://host:port` or `https://host:port`, with the real port. */
  readonly url: string;
  /** Stops accepting, lets requests in progress finish, closes every connection. Idempotent. */
  close(): Promise<void>;
}

/** Resolves when the port is open; throws `ConfigError` if it cannot be opened. */
export async function listen(options: ListenOptions): Promise<Listening> {
  const { app, host, port, log, clock, metrics, maxConnections } = options;
  const { drainLimitMs = 5_000, keepAliveMs = KEEP_ALIVE_MS, arrivalMs = ARRIVAL_MS, halfOpen = true } = options;
  const { headsBytes = HEADS_LIMIT_BYTES, maxAddressConnections = 0 } = options;
  const { maxConnectionRequests = CONNECTION_REQUESTS } = options;
  const handler = app.callback();
  let closing: Promise<void> | undefined;
  const refused = metrics.counter({
    name: 'tidal_http_connections_refused_total',
    help: 'Connections over the limit: closed after a refusal, or not accepted.',
  });
  const unparsed = metrics.counter({
    name: 'tidal_http_unparsed_requests_total',
    help: 'Requests refused because they could not be parsed or did not arrive in time, by code.',
    labels: ['code'],
    series: unparsedCodes.map((code) => ({ code })),
  });
  const addresses = new AddressLimit({ limit: maxAddressConnections, metrics });
  const open = new Set<Socket>();
  /** Connections answered before their request: data received on them is ignored. */
  const answered = new WeakSet<Socket>();
  /** Connections opened beyond the limit. */
  const over = new WeakSet<Socket>();
  metrics.gauge({
    name: 'tidal_http_connections',
    help: 'Open connections.',
    read: () => open.size,
  });
  const heads = new ArrivingHeads({ clock, metrics, open, limitBytes: headsBytes, headBytes: HEAD_LIMIT_BYTES });
  const handle = (request: IncomingMessage, response: ServerResponse): void => {
    const isOver = over.has(request.socket);
    // A kept connection would outlive the drain.
    if (closing !== undefined || isOver || isFormer(request.socket)) response.setHeader('connection', 'close');
    const refusal =
      isOver && !isExempt(request.url ?? '')
        ? new Refusal('overloaded', `${maxConnections} connections are already open`)
        : (flawOf(request) ?? withoutCertificate(request));
    if (refusal !== undefined) {
      // A client that sends such a request is not trusted with the next one.
      response.setHeader('connection', 'close');
      refusedUpFront.set(request, refusal);
      request.resume();
    }
    void handler(request, response);
  };
  const unanswered = new UnansweredRequests({ metrics, limit: maxConnectionRequests, handle });
  const onRequest = (request: IncomingMessage, response: ServerResponse): void => {
    const { socket } = request;
    if (answered.has(socket)) return void request.resume();
    heads.began(socket);
    response.once('close', () => heads.answered(socket));
    unanswered.add(request, response);
  };
  const {
    server,
    scheme,
    opened,
    isFormer,
    refusalOf: withoutCertificate,
    closeAll,
  } = createServerSocket(
    {
      maxHeaderSize: HEAD_LIMIT_BYTES,
      requestTimeout: arrivalMs,
      headersTimeout: arrivalMs,
      keepAliveTimeout: keepAliveMs,
      connectionsCheckingInterval: Math.min(LOOK_EVERY_MS, arrivalMs),
      // Refused by the application instead, like everything else.
      requireHostHeader: false,
    },
    onRequest,
    { tls: options.tls, log, metrics, handshakeMs: arrivalMs },
  );
  // All headers are kept: a dropped one could be the idempotency key.
  server.maxHeadersCount = 0;
  Object.assign(server, { httpAllowHalfOpen: halfOpen });
  // Without a listener Node sends "100 Continue" before the request is checked, or answers 417 by itself.
  server.on('checkContinue', onRequest);
  server.on('checkExpectation', onRequest);
  server.on('connect', (_request: IncomingMessage, socket: Duplex) => {
    answerBare(
      socket,
      new Refusal('method_not_allowed', 'CONNECT is not supported: this is not a proxy', { allow: ['GET'] }),
      options,
    );
  });
  server.maxConnections = 2 * maxConnections;
  server.on('drop', () => refused.inc());
  server.on('connection', (socket) => {
    if (!addresses.admits(socket)) {
      answered.add(socket);
      // An answer would need a handshake.
      if (options.tls !== undefined) return void socket.destroy();
      const detail = `${maxAddressConnections} connections of this address are already open`;
      answerBare(socket, new Refusal('overloaded', detail), options);
    }
  });
  server.on(opened, (socket: Socket) => {
    if (answered.has(socket)) return;
    if (open.size >= maxConnections) {
      over.add(socket);
      refused.inc();
    }
    open.add(socket);
    unanswered.watch(socket);
    socket.on('close', () => open.delete(socket));
  });
  server.on('clientError', (error: NodeJS.ErrnoException, stream: Duplex) => {
    const socket = stream as Socket;
    // What follows the last answer is no request.
    if (answered.has(socket) && error.code !== 'ECONNRESET') return;
    // In a handshake there is nothing to answer.
    if (error.code === 'ECONNRESET' || !socket.writable || !open.has(socket)) {
      socket.destroy();
      return;
    }
    // What is half received while nothing is read is not late.
    const refusal = unanswered.isPaused(socket)
      ? new Refusal('overloaded', 'the connection has too many requests without an answer')
      : refusalOf(error, arrivalMs);
    unparsed.inc({ code: refusal.code });
    answered.add(socket);
    // Its answer must not be taken for that of an earlier request.
    unanswered.afterAll(socket, () => answerBare(socket, refusal, options));
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', (error) => reject(listenError(error, host, port)));
    server.listen({ host, port }, resolve);
  });
  heads.start();
  server.on('error', (error) => log.error('listening socket failed', { error }));
  const { port: bound } = server.address() as AddressInfo;
  const url = `${scheme}://${host.includes(':') ? `[${host}]` : host}:${bound}`;
  log.info(`listening on ${url}`);
  return {
    url,
    close() {
      heads.stop();
      closing ??= drain({ server, closeAll }, clock, drainLimitMs, log);
      return closing;
    },
  };
}

function isExempt(path: string): boolean {
  return path.startsWith('/health') || path.startsWith('/metrics');
}
