/**
 * The server below the requests: plain HTTP, or TLS with certificates that may be replaced while it runs.
 *
 * Promise: once certificates are replaced, every connection that was opened before is closed after its next answer, so that no
 * connection outlives an authority that is no longer valid, and no request is lost.
 */
import { constants } from 'node:crypto';
import { createServer, type IncomingMessage, type Server, type ServerOptions, type ServerResponse } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { Socket } from 'node:net';
import type { SecureContextOptions, TLSSocket } from 'node:tls';
import type { CertificateSet, Certificates } from '../certificates/certificate-watch.ts';
import { Refusal } from '../errors/errors.ts';
import { type Clock, sleep } from '../kernel/kernel.ts';
import type { Log } from '../observe/log.ts';
import type { Metrics } from '../observe/metrics.ts';

/** In `WWW-Authenticate` of an answer to a request without the certificate that it needs. */
export const CERTIFICATE_CHALLENGE = 'Certificate';

export interface ServerTls {
  readonly certificates: Certificates;
  /** Absent: clients need no certificate. */
  readonly clients?: {
    /** Paths that are answered without one. */
    readonly openPaths: readonly string[];
  };
}

export interface ServerSocketOptions {
  /** Absent: plain HTTP. */
  readonly tls: ServerTls | undefined;
  readonly log: Log;
  readonly metrics: Metrics;
  /** How long a handshake may take, ms. */
  readonly handshakeMs: number;
}

export interface ServerSocket {
  readonly server: Server;
  readonly scheme: 'http' | 'https';
  /** Event of a connection on which requests arrive. */
  readonly opened: 'connection' | 'secureConnection';
  /** True if the connection was opened with certificates that were replaced since. */
  isFormer(socket: Socket): boolean;
  /** Of a request that needs a certificate and comes without one. */
  refusalOf(request: IncomingMessage): Refusal | undefined;
  /** Closes every connection, those in a handshake too, of which the server knows nothing yet. */
  closeAll(): void;
}

export function createServerSocket(
  options: ServerOptions,
  onRequest: (request: IncomingMessage, response: ServerResponse) => void,
  { tls, log, metrics, handshakeMs }: ServerSocketOptions,
): ServerSocket {
  const refused = metrics.counter({
    name: 'tidal_tls_refused_total',
    help: 'TLS handshakes that failed, and requests without the certificate that they need.',
    labels: ['reason'],
    series: [{ reason: 'handshake' }, { reason: 'certificate' }],
  });
  if (tls === undefined) {
    const server = createServer(options, onRequest);
    return {
      ...{ server, scheme: 'http', opened: 'connection', isFormer: () => false, refusalOf: () => undefined },
      closeAll: () => server.closeAllConnections(),
    };
  }
  const { certificates, clients } = tls;
  const server = createTlsServer(
    {
      ...options,
      ...secureContext(certificates.current),
      handshakeTimeout: handshakeMs,
      // Without a valid one the handshake succeeds: the request is refused, with a reason.
      requestCert: clients !== undefined,
      rejectUnauthorized: false,
    },
    onRequest,
  );
  const openedWith = new WeakMap<Socket, CertificateSet>();
  certificates.onReplaced(() => server.setSecureContext(secureContext(certificates.current)));
  /** In a handshake, by the client's address and port. */
  const handshakes = new Map<string, Socket>();
  server.on('connection', (socket: Socket) => {
    const client = clientOf(socket);
    handshakes.set(client, socket);
    socket.once('close', () => {
      if (handshakes.get(client) === socket) handshakes.delete(client);
    });
  });
  server.on('secureConnection', (socket) => {
    handshakes.delete(clientOf(socket));
    openedWith.set(socket, certificates.current);
  });
  server.on('tlsClientError', (error: NodeJS.ErrnoException, socket) => {
    // Probes of balancers connect and say nothing.
    if (error.code === 'ECONNRESET') return;
    refused.inc({ reason: 'handshake' });
    log.warn('TLS handshake failed', { address: socket.remoteAddress, error: error.code ?? error.message });
  });
  return {
    server,
    scheme: 'https',
    opened: 'secureConnection',
    isFormer: (socket) => openedWith.get(socket) !== certificates.current,
    refusalOf(request) {
      if (clients === undefined || isProven(request.socket as TLSSocket)) return undefined;
      if (clients.openPaths.includes((request.url ?? '').replace(/\?.*$/s, ''))) return undefined;
      refused.inc({ reason: 'certificate' });
      const reason = (request.socket as TLSSocket).authorizationError;
      log.warn('request without a certificate of the cluster refused', {
        address: request.socket.remoteAddress,
        error: String(reason),
      });
      return new Refusal('unauthenticated', 'this port serves processes with a certificate of their cluster only', {
        challenge: CERTIFICATE_CHALLENGE,
        hint: 'processes of the cluster need TIDAL_TLS_CERT_FILE, TIDAL_TLS_KEY_FILE and TIDAL_TLS_CA_FILE',
      });
    },
    closeAll() {
      server.closeAllConnections();
      for (const socket of handshakes.values()) socket.destroy();
    },
  };
}

function clientOf({ remoteAddress, remotePort }: Socket): string {
  return `${remoteAddress} ${remotePort}`;
}

/** Node calls a client without a certificate authorized if it resumes a session of its own in TLS 1.3. */
function isProven(socket: TLSSocket): boolean {
  return socket.authorized && !socket.isSessionReused();
}

/** Without tickets no session is resumed: each handshake verifies certificates. */
function secureContext({ cert, key, ca }: CertificateSet): SecureContextOptions {
  const secureOptions = constants.SSL_OP_NO_TICKET;
  return { cert, key, ...(ca === undefined ? {} : { ca }), minVersion: 'TLSv1.2', secureOptions };
}

/** Stops accepting, and lets requests in progress finish within the limit. */
export async function drain(
  { server, closeAll }: Pick<ServerSocket, 'server' | 'closeAll'>,
  clock: Clock,
  limitMs: number,
  log: Log,
): Promise<void> {
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
    log.warn('requests still in flight when the drain ended', { limit_ms: limitMs });
    closeAll();
  }
  await done;
}
