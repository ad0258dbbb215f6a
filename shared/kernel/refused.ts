/**
 * A start that is refused because the configuration is invalid. The reason is written to standard error, the exit code is 2.
 *
 * Under a supervisor that restarts everything, whatever its exit code (`restart: unless-stopped`), that would be a loop without a
 * visible reason. With `TIDAL_HOLD_REFUSED=1` the process stays instead, on its configured address, and answers every request
 * with 503 `configuration_refused` and the reason: the container is unhealthy, and a router's `/health` shows the reason. A
 * restart reads the configuration again.
 */
import { createServer } from 'node:http';
import { Refusal } from '../errors/errors.ts';
import { onEndAsked } from './ending.ts';

const DETAIL_LIMIT = 2_000;

/** The process exits inside. */
export async function leaveRefused(message: string): Promise<never> {
  process.stderr.write(`${message}\n`);
  const [, host, port] = /^\[?(.+?)\]?:(\d{1,5})$/.exec(process.env.TIDAL_LISTEN ?? '') ?? [];
  if (process.env.TIDAL_HOLD_REFUSED !== '1' || host === undefined || Number(port) > 65_535) process.exit(2);
  const detail = message
    .replace(/\n+Try --help\.$/, '')
    .replaceAll('\n', '; ')
    .slice(0, DETAIL_LIMIT);
  const body = JSON.stringify(new Refusal('configuration_refused', `configuration refused: ${detail}`).toProblem());
  const headers = {
    'content-type': 'application/problem+json',
    'content-length': String(Buffer.byteLength(body)),
    'retry-after': '1',
    connection: 'close',
  };
  const server = createServer((request, response) => {
    request.resume();
    response.writeHead(503, headers).end(body);
  });
  onEndAsked(() => process.exit(2));
  server.on('error', () => process.exit(2));
  server.listen({ host, port: Number(port) }, () => {
    process.stderr.write('the configuration is refused: this process only says so until it is started again\n');
  });
  return new Promise<never>(() => {});
}

/** The result of `load`; a `ConfigError` that it throws refuses the start. */
export async function configured<T>(load: () => T): Promise<T> {
  try {
    return load();
  } catch (error) {
    if (error instanceof Error && error.name === 'ConfigError') return leaveRefused(error.message);
    throw error;
  }
}
