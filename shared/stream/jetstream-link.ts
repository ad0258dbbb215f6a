/**
 * The connection to the server, reconnecting without end.
 *
 * Every connection is a new one of the library's, with the library's reconnecting switched off. So nothing written to one
 * connection can be sent on the next; a lost connection fails every request in flight at once; and a stale connection is
 * destroyed rather than closed, which would wait for a peer that no longer reads.
 */
import { connect, DebugEvents, ErrorCode, headers, type NatsConnection } from 'nats';
import { Fault, messageOf } from '../errors/errors.ts';
import { type Clock, sleep } from '../kernel/kernel.ts';
import type { BrokerAccess } from './broker-access.ts';
import { accessOptions, type DialFailure, dialFailure } from './jetstream-access.ts';
import { type ApiError, faultOfTimeout } from './jetstream-errors.ts';
import { probe } from './jetstream-probe.ts';
import { Servers, serversOf } from './servers.ts';
import { connection as limits, MAC_HEADER } from './settings.ts';

/** Where the link reports outages and recoveries; a pino logger fits. */
export interface LinkLog {
  info(message: string): void;
  warn(message: string): void;
}

export interface LinkOptions {
  /** Of one server, or of several of one cluster with commas between them. */
  readonly url: string;
  /** The client's name as the server lists it. */
  readonly name: string;
  readonly clock: Clock;
  /** Absent: the server takes anyone. */
  readonly access?: BrokerAccess | undefined;
  readonly log?: LinkLog;
}

/** The parsed answer of a JetStream request. */
export type Answer = { readonly error?: ApiError } & Readonly<Record<string, unknown>>;

/** `code` of a request that the server does not permit to this user. */
export const NOT_PERMITTED = 403;

interface Dialled {
  readonly url: string;
  readonly connection: NatsConnection;
}

export class Link {
  private readonly options: LinkOptions;
  private readonly closing = new AbortController();
  private readonly listeners = new Set<(connected: boolean) => void>();
  private readonly running: Promise<void>;
  private current: NatsConnection | undefined;
  /** Number of connections so far: another count means another connection. */
  connections = 0;
  private payloadLimit = 0;
  private outageReported = false;
  /** The last reported refusal of credentials, by this process or the server. */
  private refusalReported: string | undefined;
  private readonly servers: Servers;

  /** Starts to connect in the background. */
  constructor(options: LinkOptions) {
    this.options = options;
    this.servers = new Servers(serversOf('stream', options.url));
    this.running = this.run();
  }

  get connected(): boolean {
    return this.current !== undefined;
  }

  /** The server's `max_payload`, bytes, headers included; 0 before the first connection. */
  get payloadLimitBytes(): number {
    return this.payloadLimit;
  }

  onConnection(listener: (connected: boolean) => void): () => void {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }

  /** The present connection; throws `Fault('stream_unavailable')` when there is none. */
  connection(): NatsConnection {
    if (this.current === undefined) throw new Fault('stream_unavailable', 'not connected to the stream');
    return this.current;
  }

  /** One JetStream API request, `STREAM.INFO.X` or so. The answer may carry an `error`; no answer throws a `Fault`. */
  api(what: string, body?: unknown): Promise<Answer> {
    const payload = body === undefined ? new Uint8Array() : new TextEncoder().encode(JSON.stringify(body));
    return this.request(`$JS.API.${what}`, payload);
  }

  /** A message into a stream. The answer is the acknowledgement or carries an `error`; no answer throws a `Fault`. */
  publish(subject: string, payload: Uint8Array, expectedLast: number, mac?: string): Promise<Answer> {
    return this.request(subject, payload, {
      'Nats-Expected-Last-Subject-Sequence': String(expectedLast),
      ...(mac === undefined ? {} : { [MAC_HEADER]: mac }),
    });
  }

  /** No timer, socket or callback of the link is left after it. Idempotent. */
  async close(): Promise<void> {
    this.closing.abort();
    await this.current?.close();
    await this.running;
  }

  private async request(subject: string, payload: Uint8Array, header: Record<string, string> = {}): Promise<Answer> {
    const connection = this.connection();
    const sent = headers();
    for (const [key, value] of Object.entries(header)) sent.set(key, value);
    try {
      const reply = await connection.request(subject, payload, { timeout: limits.requestTimeoutMs, headers: sent });
      return reply.json<Answer>();
    } catch (error) {
      // The server answers it at once, to the connection instead of the request.
      if ((error as { code?: unknown }).code === ErrorCode.PermissionsViolation) {
        return { error: { code: NOT_PERMITTED, description: `this user of the server may not publish to ${subject}` } };
      }
      // The library also reports a time-out if the connection was lost during the request.
      if (connection.isClosed()) throw new Fault('stream_unavailable', `${subject}: the connection was lost`);
      throw faultOfTimeout(error, subject);
    }
  }

  private async run(): Promise<void> {
    const { signal } = this.closing;
    while (!signal.aborted) {
      const dialled = await this.dial();
      if (dialled !== undefined) await this.hold(dialled);
      await sleep(this.options.clock, limits.reconnectTimeWaitMs, signal);
    }
  }

  /** The first server that answers. */
  private async dial(): Promise<Dialled | undefined> {
    const { log, access = {} } = this.options;
    const failures: (DialFailure & { readonly url: string })[] = [];
    for (const url of this.servers.inOrder) {
      try {
        return { url, connection: await this.dialOne(url) };
      } catch (error) {
        failures.push({ url, ...dialFailure(error, access) });
      }
      if (this.closing.signal.aborted) return undefined;
    }
    const text = failures.map((each) => `${each.url}: ${each.text}`).join('; ');
    const refusal = failures.some(({ credentials }) => credentials) ? text : undefined;
    // An outage is one line; a refusal, which an operator has to end, is one more.
    if (!this.outageReported || (refusal !== undefined && refusal !== this.refusalReported)) {
      this.outageReported = true;
      this.refusalReported = refusal;
      log?.warn(`stream cannot be reached, trying on: ${text}`);
    }
    return undefined;
  }

  private async dialOne(url: string): Promise<NatsConnection> {
    const { name, clock, access = {} } = this.options;
    await probe({ url, clock, timeoutMs: limits.probeTimeoutMs, signal: this.closing.signal });
    return await connect({
      servers: url,
      name,
      reconnect: false,
      timeout: limits.connectTimeoutMs,
      pingInterval: limits.pingIntervalMs,
      maxPingOut: limits.maxPingOut,
      // Which server is next is decided here, not by the library.
      ignoreClusterUpdates: true,
      // The system's resolver, not DNS alone, because of container and host files; every dial resolves again.
      resolve: false,
      noAsyncTraces: true,
      // One for each user, so that a server can refuse others' answers to him.
      inboxPrefix: `_INBOX.${inboxNameOf(this.options)}`,
      ...accessOptions(access, url),
    });
  }

  /** Until the connection is lost or this link is closed. */
  private async hold({ url, connection }: Dialled): Promise<void> {
    const { log } = this.options;
    if (this.closing.signal.aborted) return connection.close();
    void this.destroyWhenStale(connection);
    this.current = connection;
    this.connections++;
    this.payloadLimit = connection.info?.max_payload ?? 0;
    this.outageReported = false;
    this.refusalReported = undefined;
    log?.info(`connected to the stream at ${url}`);
    this.tell(true);
    const why = await connection.closed();
    this.current = undefined;
    this.servers.lost(url, connection.info?.connect_urls);
    if (!this.closing.signal.aborted) {
      this.outageReported = true;
      log?.warn(`connection to the stream lost, trying on: ${why === undefined ? 'closed' : messageOf(why)}`);
    }
    this.tell(false);
  }

  private async destroyWhenStale(connection: NatsConnection): Promise<void> {
    for await (const status of connection.status()) {
      if (status.type === DebugEvents.StaleConnection) await connection.close();
    }
  }

  private tell(connected: boolean): void {
    for (const listener of [...this.listeners]) listener(connected);
  }
}

/** Subjects of answers begin with `_INBOX.<user>`, or with the client's name if the server has no users. */
function inboxNameOf({ name, access }: LinkOptions): string {
  const { identity } = access ?? {};
  return identity !== undefined && 'user' in identity ? identity.user : name;
}
