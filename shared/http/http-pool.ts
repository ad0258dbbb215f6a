/**
 * Kept-alive connections to one HTTP server, through which routers and regions call each other. A simulation replaces it by a
 * network of its own; nothing else about the links differs there.
 */
import { buildConnector, Pool } from 'undici';
import type { CertificateSet, Certificates } from '../certificates/certificate-watch.ts';
import { isCredentialFailure, tlsFailureText } from '../certificates/tls-failure.ts';

export interface HttpCall {
  readonly method: 'GET' | 'POST';
  readonly path: string;
  readonly headers?: Record<string, string>;
  readonly body?: string;
  /** Ends the call; the pool itself has no time limits but the one to connect. */
  readonly signal: AbortSignal;
}

export interface HttpReply {
  readonly statusCode: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly body: { arrayBuffer(): Promise<ArrayBuffer> };
}

export interface HttpPool {
  /** Throws undici's errors: their `code` distinguishes a failed connection from a missing answer. */
  request(call: HttpCall): Promise<HttpReply>;
  /** Lets requests in flight finish. */
  close(): Promise<void>;
  destroy(): Promise<void>;
}

export interface HttpPoolOptions {
  readonly url: string;
  readonly connections: number;
  readonly connectMs: number;
  readonly answerLimitBytes?: number;
}

export type OpenHttpPool = (options: HttpPoolOptions) => HttpPool;

/** No connection was made, so nothing was sent. `credentials`: because one side does not accept the other's certificate. */
export class ConnectFailure extends Error {
  override readonly name = 'ConnectFailure';
  readonly credentials: boolean;

  constructor(message: string, credentials: boolean, cause: unknown) {
    super(message, { cause });
    this.credentials = credentials;
  }
}

/** Pools whose connections to `https:` present these certificates and believe their authorities. */
export function httpPoolsWith(certificates: Certificates | undefined): OpenHttpPool {
  return ({ url, connections, connectMs, answerLimitBytes }) =>
    new Pool(url, {
      connections,
      connect: certificates === undefined ? { timeout: connectMs } : secureConnector(certificates, connectMs),
      // Below the regions' own keep-alive, so that a request is never sent on a connection that is being closed.
      keepAliveTimeout: 10_000,
      keepAliveMaxTimeout: 20_000,
      // Every request has its own limit.
      headersTimeout: 0,
      bodyTimeout: 0,
      ...(answerLimitBytes === undefined ? {} : { maxResponseSize: answerLimitBytes }),
    });
}

export const openHttpPool: OpenHttpPool = httpPoolsWith(undefined);

/** Each connection is made with the present certificates. */
function secureConnector(certificates: Certificates, timeout: number): buildConnector.connector {
  let made: CertificateSet | undefined;
  let connect: buildConnector.connector;
  return (options, callback) => {
    if (made !== certificates.current) {
      made = certificates.current;
      const { cert, key, ca } = made;
      // A resumed session would not check certificates again.
      const fresh = { maxCachedSessions: 0, minVersion: 'TLSv1.2' } as const;
      connect = buildConnector({ timeout, ...fresh, cert, key, ...(ca === undefined ? {} : { ca }) });
    }
    connect(options, (...[error, socket]) => {
      if (error === null) return callback(null, socket);
      const text = tlsFailureText(error, { cert: 'TIDAL_TLS_CERT_FILE', ca: 'TIDAL_TLS_CA_FILE' });
      callback(new ConnectFailure(text, isCredentialFailure(error), error), null);
    });
  };
}
