/** Answers to requests that never reach the application. */
import { STATUS_CODES } from 'node:http';
import type { Duplex } from 'node:stream';
import type { Refusal } from '../errors/errors.ts';
import { type Random, randomName } from '../kernel/kernel.ts';

/** Input that cannot be parsed as a request never reaches the application; it is answered like everything else. */
export function answerBare(socket: Duplex, refusal: Refusal, random: Random): void {
  const body = JSON.stringify(refusal.toProblem());
  const headers = {
    'content-type': 'application/problem+json',
    'content-length': Buffer.byteLength(body),
    'x-request-id': randomName(random, 16),
    connection: 'close',
    ...(refusal.status === 503 ? { 'retry-after': '1' } : {}),
    ...(refusal.extras.allow === undefined ? {} : { allow: refusal.extras.allow.join(', ') }),
  };
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`);
  const reason = STATUS_CODES[refusal.status] ?? '';
  socket.end(`HTTP/1.1 ${refusal.status} ${reason}\r\n${lines.join('')}\r\n${body}`);
}
