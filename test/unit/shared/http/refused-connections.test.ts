/** Connections that end with a refusal, on real sockets: none stays open, whether its client closes and reads or not. */
import { connect, type Socket } from 'node:net';
import { Router } from '@koa/router';
import { Refusal } from '../../../../shared/errors/errors.ts';
import { readBody } from '../../../../shared/http/http-body.ts';
import { createHttpApp, type Listening, listen } from '../../../../shared/http/http-server.ts';
import { systemClock, systemRandom } from '../../../../shared/kernel/system.ts';
import { createMetrics, type Metrics } from '../../../../shared/observe/metrics.ts';
import { eventually } from '../../../harness/kernel/eventually.ts';
import { silentLog } from '../../../harness/observe/silent-log.ts';

const MAX_CONNECTIONS = 6;
const MAX_ADDRESS_CONNECTIONS = 4;
const ARRIVAL_MS = 1_000;

describe('a connection that ends with a refusal', function () {
  this.timeout(60_000);
  let server: Listening;
  let metrics: Metrics;
  let release = (): void => {};
  const sockets: Socket[] = [];

  beforeEach(async () => {
    metrics = createMetrics({ process: 'router', name: 'router', nodeMetrics: false });
    const ground = { log: silentLog, metrics, clock: systemClock, random: systemRandom };
    const app = createHttpApp({
      ...ground,
      limits: { inFlight: 16, arrivingBodies: 16, answersBytes: 1024 * 1024 },
      early: ({ url }) => (url === '/limited' ? new Refusal('rate_limited', 'too fast') : undefined),
    });
    const router = new Router();
    const held = new Promise<void>((resolve) => {
      release = resolve;
    });
    router.get('/things', (ctx) => {
      ctx.body = { things: [] };
    });
    router.get('/held', async (ctx) => {
      await held;
      ctx.body = { held: true };
    });
    router.post('/things', async (ctx) => {
      ctx.body = { bytes: (await readBody(ctx, 1_000)).length };
    });
    app.use(router.routes());
    server = await listen({
      ...{ app, ...ground, host: '127.0.0.1', port: 0, arrivalMs: ARRIVAL_MS, maxConnectionRequests: 2 },
      ...{ maxConnections: MAX_CONNECTIONS, maxAddressConnections: MAX_ADDRESS_CONNECTIONS },
    });
  });
  afterEach(async () => {
    release();
    for (const socket of sockets.splice(0)) socket.destroy();
    await server.close();
  });

  interface Client {
    readonly socket: Socket;
    got: string;
  }

  const read = (client: Client): void => {
    client.socket.on('data', (data) => {
      client.got += data;
    });
  };
  /** Closes only if it `closes` after the server has. */
  const connected = (text: string, closes: boolean, localAddress = '127.0.0.1'): Client => {
    const port = Number(new URL(server.url).port);
    const socket = connect({ host: '127.0.0.1', port, localAddress, allowHalfOpen: !closes });
    sockets.push(socket);
    const client = { socket, got: '' };
    socket.on('error', () => {});
    if (text !== '') socket.write(text);
    return client;
  };
  const open = (text: string, closes: boolean, localAddress?: string): Client => {
    const client = connected(text, closes, localAddress);
    read(client);
    return client;
  };
  const value = async (name: string): Promise<number> =>
    Number(new RegExp(`^${name}\\{[^}]*\\} (\\d+)`, 'm').exec((await metrics.render()).text)?.[1]);
  const none = async (): Promise<void> => {
    for (const name of ['connections', 'connections_paused', 'pipelined_requests', 'requests_in_flight']) {
      await eventually(`${name} is 0`, async () => (await value(`tidal_http_${name}`)) === 0, 20_000);
    }
  };

  const post = (length: number, path = '/things'): string =>
    `POST ${path} HTTP/1.1\r\nhost: x\r\ncontent-length: ${length}\r\n\r\n`;
  const things = 'GET /things HTTP/1.1\r\nhost: x\r\n\r\n';
  const cases: [what: string, text: string, expected: RegExp][] = [
    ['nothing is sent', '', /^HTTP\/1\.1 408 /],
    ['half a head', 'GET /things HTTP/1.1\r\nhost: x\r\n', /^HTTP\/1\.1 408 /],
    ['half a body', `${post(9)}1234`, /^HTTP\/1\.1 408 /],
    ['half a head after an answer', `${things}GET /th`, /^HTTP\/1\.1 200 [\s\S]*HTTP\/1\.1 408 /],
    ['no HTTP', 'no HTTP\r\n\r\n', /^HTTP\/1\.1 400 /],
    ['no HTTP, and more of it', `no HTTP\r\n\r\n${'x'.repeat(500_000)}`, /^HTTP\/1\.1 400 /],
    ['no HTTP after an answer', `${things}no HTTP\r\n\r\n`, /^HTTP\/1\.1 200 [\s\S]*HTTP\/1\.1 400 /],
    ['a head that is too long', `GET /things HTTP/1.1\r\nx: ${'x'.repeat(200_000)}\r\n\r\n`, /^HTTP\/1\.1 431 /],
    ['CONNECT', 'CONNECT x:1 HTTP/1.1\r\nhost: x\r\n\r\n', /^HTTP\/1\.1 405 /],
    ['half of a body that is too long', `${post(2_000)}1234`, /^HTTP\/1\.1 413 /],
    ['half of a body, which nobody waits for', `${post(9, '/limited')}1234`, /^HTTP\/1\.1 429 /],
    ['half of a body, on no route', `${post(9, '/nothing')}1234`, /^HTTP\/1\.1 404 /],
    ['two hosts', 'GET /things HTTP/1.1\r\nhost: x\r\nhost: y\r\n\r\n', /^HTTP\/1\.1 400 /],
  ];
  describe('whose client reads nothing until it is over', () => {
    for (const [what, text, expected] of cases) {
      it(what, async () => {
        const client = connected(text, false);
        // The answer to CONNECT is in no metric.
        if (what !== 'CONNECT') {
          await eventually(
            'it is refused',
            async () =>
              /_(requests_total\{[^}]*status="4|unparsed_requests_total\{)[^}]*\} [1-9]/.test(
                (await metrics.render()).text,
              ),
            20_000,
          );
        }
        await none();
        read(client);
        await eventually('the answer is there', () => expected.test(client.got), 20_000);
        await none();
      });
    }
  });

  for (const closes of [true, false]) {
    describe(closes ? 'whose client closes it then' : 'whose client never closes it', () => {
      for (const [what, text, expected] of cases) {
        it(what, async () => {
          const client = open(text, closes);
          await eventually('it is refused', () => expected.test(client.got), 20_000);
          await none();
        });
      }

      it('half a request behind others that are not answered', async () => {
        const client = open(`${'GET /held HTTP/1.1\r\nhost: x\r\n\r\n'.repeat(5)}GET /th`, closes);
        await eventually('it waits', async () => (await value('tidal_http_connections_paused')) === 1);
        await eventually(
          'its time is over',
          async () => /_unparsed_requests_total\{[^}]*code="overloaded"[^}]*\} 1\n/.test((await metrics.render()).text),
          20_000,
        );
        release();
        await eventually('it is refused', () => /HTTP\/1\.1 503 /.test(client.got), 20_000);
        await none();
      });

      it('over the limit of connections, and of one address', async () => {
        const held = 'GET /held HTTP/1.1\r\nhost: x\r\n\r\n';
        const kept = Array.from({ length: MAX_CONNECTIONS }, (_, index) =>
          open(held, closes, index < MAX_ADDRESS_CONNECTIONS ? '127.0.0.1' : '127.0.0.2'),
        );
        await eventually('they are held', async () => (await value('tidal_http_requests_in_flight')) === kept.length);
        const over = [open(things, closes, '127.0.0.2'), open('', closes)];
        await eventually('they are refused', () => over.every(({ got }) => /^HTTP\/1\.1 503 /.test(got)), 20_000);
        await eventually('and closed', async () => (await value('tidal_http_connections')) === MAX_CONNECTIONS, 20_000);
        const isClosed = ({ socket }: Client): boolean => {
          // A client that keeps its half open learns it by sending.
          if (!socket.destroyed) socket.write('x');
          return socket.destroyed;
        };
        await eventually('the one that is not counted too', () => over.every(isClosed), 20_000);
        release();
        await eventually(
          'the others are answered',
          () => kept.every(({ got }) => /^HTTP\/1\.1 200 /.test(got)),
          20_000,
        );
        for (const { socket } of kept) socket.destroy();
        await none();
        const later = open(things, closes);
        await eventually('the next one is served', () => /^HTTP\/1\.1 200 /.test(later.got), 20_000);
      });
    });
  }
});
