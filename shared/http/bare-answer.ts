/** Answers to requests that never reach the application. */
import { type IncomingMessage, type ServerResponse, STATUS_CODES } from 'node:http';
import type { Duplex } from 'node:stream';
import type { Refusal } from '../errors/errors.ts';
import { type Clock, type Random, randomName } from '../kernel/kernel.ts';
import type { Log } from '../observe/log.ts';
import { expectsContinue } from './http-body.ts';

/** A client may take this long to close after the last answer: closed earlier by this side, the answer might be lost. */
const LAST_OPEN_MS = 1_000;

export interface BareGround {
  readonly clock: Clock;
  readonly random: Random;
}

/**
 * Input that cannot be parsed as a request never reaches the application; it is answered like everything else. That is the last
 * answer: what arrives after it is thrown away, and the connection ends with its client's, or soon.
 */
export function answerBare(socket: Duplex, refusal: Refusal, { clock, random }: BareGround): void {
  const body = JSON.stringify(refusal.toProblem());
  const headers = {
    ...problemHeaders(refusal),
    'content-length': Buffer.byteLength(body),
    'x-request-id': randomName(random, 16),
    connection: 'close',
  };
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`);
  const reason = STATUS_CODES[refusal.status] ?? '';
  socket.end(`HTTP/1.1 ${refusal.status} ${reason}\r\n${lines.join('')}\r\n${body}`);
  // Only reading shows that the client has closed.
  socket.resume();
  const timer = clock.after(LAST_OPEN_MS, () => socket.destroy());
  socket.once('close', () => timer.cancel());
}

export interface EarlyRefusalsOptions {
  readonly log: Log;
  /** Called for each, with its method and status. */
  readonly count: (method: string, status: number) => void;
}

/**
 * Answers refusals that are known when a request's head is: without the application, in a fraction of its time, so that under
 * overload refusing does not use up what admitted requests need. They are answered, counted and logged like all others.
 */
export class EarlyRefusals {
  private readonly options: EarlyRefusalsOptions;

  constructor(options: EarlyRefusalsOptions) {
    this.options = options;
  }

  answer(request: IncomingMessage, response: ServerResponse, refusal: Refusal, requestId: string): void {
    const { log, count } = this.options;
    const { status, code } = refusal;
    const method = request.method ?? '';
    const body = JSON.stringify(refusal.toProblem());
    // The client got no "100 Continue", so what it sends next may be a body or a request.
    const close = expectsContinue(request) ? { connection: 'close' } : undefined;
    response.writeHead(status, {
      ...problemHeaders(refusal),
      'content-length': Buffer.byteLength(body),
      'x-request-id': requestId,
      ...close,
    });
    // A body is discarded as it arrives, until the limit of its time.
    request.resume();
    response.end(method === 'HEAD' ? undefined : body);
    count(method, status);
    const fields = { request_id: requestId, method, route: 'unknown', status, code, detail: refusal.message };
    if (status >= 500 || status === 429) log.warn('request refused', fields);
    else log.debug('request refused', fields);
  }
}

/** The headers of a refusal's answer that do not depend on its request. */
export function problemHeaders({ status, extras }: Refusal): Record<string, string> {
  const { challenge = status === 401 ? 'Bearer' : undefined, allow, retryAfterSeconds = 1 } = extras;
  const headers: Record<string, string> = {};
  const set = (name: string, value: string): void => {
    headers[name] = value;
  };
  set('content-type', 'application/problem+json');
  if (status === 429 || status === 503) set('retry-after', String(retryAfterSeconds));
  if (challenge !== undefined) set('www-authenticate', challenge);
  if (allow !== undefined) set('allow', allow.join(', '));
  return headers;
}
