/**
 * Checks whether a server answers at an address before the library dials it. The library never closes the socket of a dial that
 * timed out (a stopped or black-holed server accepts and sends nothing): with a try every two seconds each outage would leak
 * sockets, and a closed client would keep its process alive.
 */
import { createConnection } from 'node:net';
import { Fault } from '../errors/errors.ts';
import type { Clock } from '../kernel/kernel.ts';

export interface ProbeOptions {
  readonly url: string;
  readonly clock: Clock;
  readonly timeoutMs: number;
  readonly signal: AbortSignal;
}

/** Resolves when the server has sent its first line; rejects with `Fault('stream_unavailable')` otherwise. */
export function probe({ url, clock, timeoutMs, signal }: ProbeOptions): Promise<void> {
  const { hostname, port } = new URL(url);
  return new Promise((resolve, reject) => {
    const host = hostname.replace(/^\[|\]$/g, '');
    const socket = createConnection({ host, port: port === '' ? 4222 : Number(port) });
    const end = (why?: string): void => {
      timer.cancel();
      signal.removeEventListener('abort', aborted);
      socket.removeAllListeners();
      // A reset may still arrive for a destroyed socket and is ignored.
      socket.on('error', () => {});
      socket.destroy();
      if (why === undefined) resolve();
      else reject(new Fault('stream_unavailable', why));
    };
    const aborted = (): void => end('closed');
    const timer = clock.after(timeoutMs, () => end(`no answer within ${timeoutMs} ms`));
    socket.once('data', () => end());
    socket.once('error', (error) => end(error.message === '' ? 'refused' : error.message));
    socket.once('close', () => end('the server closed the connection'));
    if (signal.aborted) end('closed');
    else signal.addEventListener('abort', aborted, { once: true });
  });
}
