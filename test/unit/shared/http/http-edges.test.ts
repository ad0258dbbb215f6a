/**
 * What happens at the edge of HTTP, on real sockets: requests node would answer by itself, clients that send slowly, half, too much
 * or nothing, and those that do not read.
 */
import assert from 'node:assert/strict';
import { connect, type Socket } from 'node:net';
import { Router } from '@koa/router';
import type { Problem } from '../../../../shared/errors/errors.ts';
import { readBody, requireType } from '../../../../shared/http/http-body.ts';
import { createHttpApp, type HttpLimits, type Listening, listen } from '../../../../shared/http/http-server.ts';
import { systemClock, systemRandom } from '../../../../shared/kernel/system.ts';
import { createMetrics, type Metrics } from '../../../../shared/observe/metrics.ts';
import { eventually } from '../../../harness/kernel/eventually.ts';
import { silentLog } from '../../../harness/observe/silent-log.ts';

/** More than the buffers of two sockets take. */
const BIG = 16 * 1024 * 1024;

interface ServerOptions {
  readonly limits?: Partial<HttpLimits>;
  readonly keepAliveMs?: number;
  readonly arrivalMs?: number;
  readonly halfOpen?: boolean;
}

describe('the edge of HTTP', () => {
  const closers: (() => Promise<void>)[] = [];
  const sockets: Socket[] = [];
  let metrics: Metrics;
  let answered = 0;
  let answerLater: () => void = () => {};

  async function serve({ limits, ...options }: ServerOptions = {}): Promise<Listening> {
    metrics = createMetrics({ process: 'router', name: 'router', nodeMetrics: false });
    const app = createHttpApp({
      log: silentLog,
      metrics,
      clock: systemClock,
      random: systemRandom,
      limits: { inFlight: 4, arrivingBodies: 16, answersBytes: 64 * 1024 * 1024, ...limits },
    });
    const router = new Router();
    router.get('/small', (ctx) => {
      answered++;
      ctx.body = { small: true };
    });
    router.get('/big', (ctx) => {
      ctx.body = Buffer.alloc(BIG, 'x');
    });
    router.get('/later', async (ctx) => {
      await new Promise<void>((resolve) => {
        answerLater = resolve;
      });
      ctx.body = Buffer.alloc(BIG, 'x');
    });
    router.post('/things', async (ctx) => {
      requireType(ctx, ['application/json']);
      ctx.body = { bytes: (await readBody(ctx, 1_000)).length };
    });
    router.get('/health', (ctx) => {
      ctx.body = { status: 'ok' };
    });
    app.use(router.routes());
    const server = await listen({
      app,
      metrics,
      maxConnections: 2_000,
      host: '127.0.0.1',
      port: 0,
      log: silentLog,
      clock: systemClock,
      random: systemRandom,
      ...options,
    });
    closers.push(() => server.close());
    return server;
  }

  afterEach(async () => {
    for (const socket of sockets.splice(0)) socket.destroy();
    for (const close of closers.splice(0)) await close();
  });

  /** A connection whose answers are kept as text. */
  class Client {
    got = '';
    closed = false;
    readonly socket: Socket;

    constructor(url: string, { reads = true, allowHalfOpen = true } = {}) {
      this.socket = connect({ port: Number(new URL(url).port), host: '127.0.0.1', allowHalfOpen });
      sockets.push(this.socket);
      if (reads) this.read();
      this.socket.on('error', () => {});
      this.socket.on('close', () => {
        this.closed = true;
      });
    }

    read(): void {
      this.socket.on('data', (chunk: Buffer) => {
        this.got += chunk.toString('latin1');
      });
      this.socket.on('end', () => {
        this.closed = true;
      });
    }

    send(text: string): this {
      this.socket.write(text);
      return this;
    }

    async until(what: RegExp | 'closed', limitMs = 5_000): Promise<string> {
      await eventually(
        `${what} in ${JSON.stringify(this.got.slice(0, 300))}`,
        () => Promise.resolve(what === 'closed' ? this.closed : what.test(this.got)),
        limitMs,
      );
      return this.got;
    }
  }

  const get = (path: string): string => `GET ${path} HTTP/1.1\r\nhost: x\r\n\r\n`;
  const post = (headers: string, body = ''): string =>
    `POST /things HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n${headers}\r\n\r\n${body}`;

  /** Reads one answer and checks that it is a problem with a request id. */
  function problemOf(answer: string, status: number): Problem {
    const [head = '', body = ''] = answer.split('\r\n\r\n');
    assert.match(head, new RegExp(`^HTTP/1.1 ${status} `));
    assert.match(head, /content-type: application\/problem\+json/i);
    assert.match(head, /x-request-id: \S+/i);
    return JSON.parse(body) as Problem;
  }

  const cases: readonly (readonly [what: string, sent: string, status: number, code: string])[] = [
    ['an unknown expectation', post('expect: tea\r\ncontent-length: 2', '{}'), 417, 'expectation_failed'],
    [
      'an unknown expectation beside a known one',
      post('expect: 100-continue, tea\r\ncontent-length: 2'),
      417,
      'expectation_failed',
    ],
    ['HTTP/1.1 without a Host header', 'GET /small HTTP/1.1\r\n\r\n', 400, 'invalid_request'],
    ['two Host headers', 'GET /small HTTP/1.1\r\nhost: a\r\nHOST: b\r\n\r\n', 400, 'invalid_request'],
    ['two equal Host headers', 'GET /small HTTP/1.1\r\nhost: a\r\nhost: a\r\n\r\n', 400, 'invalid_request'],
    ['a Host header that is none', 'GET /small HTTP/1.1\r\nhost: a b\r\n\r\n', 400, 'invalid_request'],
    ['a Host header with a path', 'GET /small HTTP/1.1\r\nhost: a/b\r\n\r\n', 400, 'invalid_request'],
    ['CONNECT', 'CONNECT x:1 HTTP/1.1\r\nhost: x:1\r\n\r\n', 405, 'method_not_allowed'],
    [
      'a websocket',
      'GET /socket HTTP/1.1\r\nhost: x\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n',
      404,
      'unknown_route',
    ],
    ['a method nobody knows', 'FETCH / HTTP/1.1\r\nhost: x\r\n\r\n', 400, 'invalid_request'],
    ['no HTTP', 'hello\r\n\r\n', 400, 'invalid_request'],
    ['HTTP/2', 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', 400, 'invalid_request'],
    ['a TLS hello', '\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03', 400, 'invalid_request'],
    ['two lengths', post('content-length: 2\r\ncontent-length: 3', '{}'), 400, 'invalid_request'],
    [
      'a length and chunks',
      post('content-length: 2\r\ntransfer-encoding: chunked', '0\r\n\r\n'),
      400,
      'invalid_request',
    ],
    ['a broken chunk', post('transfer-encoding: chunked', 'zz\r\n'), 400, 'invalid_request'],
    ['a header of 40 KB', `GET / HTTP/1.1\r\nhost: x\r\nx: ${'a'.repeat(40_000)}\r\n\r\n`, 431, 'headers_too_large'],
    ['1,001 headers', `GET /small HTTP/1.1\r\nhost: x\r\n${'a: b\r\n'.repeat(1_000)}\r\n`, 431, 'headers_too_large'],
    [
      '2,100 headers',
      `GET /small HTTP/1.1\r\nhost: x\r\n${'a1: b\r\n'.repeat(2_100)}idempotency-key: late\r\n\r\n`,
      431,
      'headers_too_large',
    ],
  ];
  for (const [what, sent, status, code] of cases) {
    it(`${what}: ${status}, as a problem with a request id`, async () => {
      const before = answered;
      const client = new Client((await serve()).url).send(sent);
      const problem = problemOf(await client.until(/\r\n\r\n\{.*\}$/s), status);
      assert.equal(problem.code, code);
      assert.equal(answered, before);
      const { text } = await metrics.render();
      const [unparsed, asRequest] = [
        new RegExp(`tidal_http_unparsed_requests_total\\{code="${code}"[^}]*\\} 1\n`).test(text),
        new RegExp(`tidal_http_requests_total\\{[^}]*status="${status}"[^}]*\\} 1\n`).test(text),
      ];
      assert.equal(Number(unparsed) + Number(asRequest), what === 'CONNECT' ? 0 : 1, 'it is counted once');
    });
  }

  it('a request id of the client is in a refusal that Node would have answered by itself', async () => {
    const client = new Client((await serve()).url).send('GET /small HTTP/1.1\r\nx-request-id: mine\r\n\r\n');
    assert.match(await client.until(/\}$/), /x-request-id: mine/);
  });

  it('HTTP/1.0 needs no Host header and has no expectations', async () => {
    const client = new Client((await serve()).url).send('GET /small HTTP/1.0\r\nexpect: tea\r\n\r\n');
    assert.match(await client.until('closed'), /^HTTP\/1.1 200 /);
  });

  it('1,000 headers are read, the last one too', async () => {
    const headers = `${'a: b\r\n'.repeat(998)}x-request-id: last\r\n`;
    const client = new Client((await serve()).url).send(`GET /small HTTP/1.1\r\nhost: x\r\n${headers}\r\n`);
    assert.match(await client.until(/\}$/), /^HTTP\/1.1 200 .*x-request-id: last/s);
  });

  describe('a client that waits for "100 Continue"', () => {
    it('is refused at once for a declared length over the limit, without 100 Continue', async () => {
      const client = new Client((await serve()).url).send(post('expect: 100-continue\r\ncontent-length: 1001'));
      const answer = await client.until('closed');
      assert.equal(problemOf(answer, 413).code, 'body_too_large');
      assert.match(answer, /connection: close/i);
    });

    it('is refused at once for a wrong type, a wrong route and a wrong method', async () => {
      const { url } = await serve();
      for (const [line, status] of [
        ['POST /things HTTP/1.1\r\ncontent-type: text/plain', 415],
        ['POST /nothing HTTP/1.1', 404],
        ['PUT /things HTTP/1.1', 405],
      ] as const) {
        const client = new Client(url).send(`${line}\r\nhost: x\r\nexpect: 100-continue\r\ncontent-length: 2\r\n\r\n`);
        problemOf(await client.until('closed'), status);
      }
    });

    it('gets 100 Continue if its body is wanted, and its connection is kept', async () => {
      const client = new Client((await serve()).url).send(post('expect: 100-Continue\r\ncontent-length: 2'));
      assert.match(await client.until(/\r\n\r\n$/), /^HTTP\/1.1 100 Continue\r\n\r\n$/);
      client.send(`{}${get('/small')}`);
      const answer = await client.until(/"small"/);
      assert.match(answer, /100 Continue.*HTTP\/1.1 200 .*\{"bytes":2\}.*HTTP\/1.1 200 /s);
    });
  });

  describe('a kept connection', () => {
    it('is idle for as long as the setting says, longer than a request may take to arrive, and is answered', async () => {
      const client = new Client((await serve({ keepAliveMs: 3_000, arrivalMs: 300 })).url).send(get('/small'));
      const first = await client.until(/\}$/);
      assert.match(first, /keep-alive: timeout=3/i);
      const startMs = performance.now();
      await eventually('it was idle', () => Promise.resolve(performance.now() - startMs > 1_500), 5_000);
      assert.equal(client.closed, false);
      client.send(get('/small'));
      assert.equal((await client.until(/\}.*\}$/s)).match(/HTTP\/1.1 200/g)?.length, 2);
      await client.until('closed', 10_000);
    });

    it('gets the default of 75 s', async () => {
      const client = new Client((await serve()).url).send(get('/small'));
      assert.match(await client.until(/\}$/), /keep-alive: timeout=75/i);
    });
  });

  describe('a client that closes its half', () => {
    it('after a whole request gets its answer', async () => {
      const client = new Client((await serve()).url);
      client.socket.end(post('content-length: 2', '{}'));
      assert.match(await client.until('closed'), /^HTTP\/1.1 200 .*\{"bytes":2\}$/s);
    });

    it('is closed between processes', async () => {
      const client = new Client((await serve({ halfOpen: false })).url).send(get('/later'));
      await eventually('it is being answered', async () =>
        /tidal_http_requests_in_flight\{[^}]*\} 1\n/.test((await metrics.render()).text),
      );
      client.socket.end();
      await eventually('it is gone', async () =>
        /tidal_http_connections\{[^}]*\} 0\n/.test((await metrics.render()).text),
      );
      answerLater();
    });

    it('after several whole requests gets all answers', async () => {
      const client = new Client((await serve()).url);
      client.socket.end(get('/small').repeat(3));
      assert.equal((await client.until('closed')).match(/HTTP\/1.1 200/g)?.length, 3);
    });

    it('within a request is refused with the reason', async () => {
      const { url } = await serve();
      for (const part of [post('content-length: 5', '{}'), 'GET /small HT', 'GET /small HTTP/1.1\r\nhost: x\r\n']) {
        const client = new Client(url);
        client.socket.end(part);
        problemOf(await client.until('closed'), 400);
      }
    });

    it('without a request is closed', async () => {
      const client = new Client((await serve()).url);
      client.socket.end();
      assert.equal(await client.until('closed'), '');
    });
  });

  describe('a request that does not arrive in time', () => {
    for (const [what, part] of [
      ['without a byte', ''],
      ['with half a header', 'GET /small HTTP/1.1\r\nhost: x\r\nx-a'],
      ['with half a body', post('content-length: 5', '{}')],
      ['with half a chunk', post('transfer-encoding: chunked', '5\r\n{}')],
    ] as const) {
      it(`${what}: 408 when its time is over, and no second later than it is looked for`, async () => {
        const arrivalMs = 1_000;
        const client = new Client((await serve({ arrivalMs })).url);
        const startMs = performance.now();
        if (part !== '') client.send(part);
        const problem = problemOf(await client.until('closed', 10_000), 408);
        const tookMs = performance.now() - startMs;
        assert.equal(problem.code, 'request_timeout');
        assert.match(problem.detail, /1 s/);
        assert.ok(tookMs >= arrivalMs - 50, `${tookMs} ms`);
        // Node looks once a second; the rest is for a busy machine.
        assert.ok(tookMs < arrivalMs + 4_000, `${tookMs} ms`);
      });
    }
  });

  describe('uploads that never end', () => {
    const stalled = post('content-length: 900', '{');
    const arriving = async (): Promise<number> =>
      Number(/tidal_http_bodies_arriving\{[^}]*\} (\d+)/.exec((await metrics.render()).text)?.[1]);

    it('close nothing for others, reads and writes of the same address included', async () => {
      const { url } = await serve();
      const uploads = Array.from({ length: 300 }, () => new Client(url).send(stalled));
      await eventually('the limit is reached', async () => (await arriving()) === 16);
      await eventually('the others gave way', () =>
        Promise.resolve(uploads.filter(({ closed }) => closed).length === 284),
      );
      for (let count = 0; count < 20; count++) {
        assert.equal((await fetch(`${url}/small`)).status, 200);
        const written = await fetch(`${url}/things`, {
          method: 'POST',
          headers: { 'content-type': 'application/json' },
          body: '{"entity_id":1}',
        });
        assert.equal(written.status, 200);
      }
      const ended = uploads.filter(({ closed }) => closed);
      assert.equal(problemOf(ended[0]!.got, 503).code, 'overloaded');
      assert.match(ended[0]!.got, /retry-after: 1/i);
      assert.match((await metrics.render()).text, /tidal_http_bodies_ended_total\{[^}]*\} 285\n/);
      assert.match((await metrics.render()).text, /tidal_http_requests_in_flight\{[^}]*\} 0\n/);
    });

    it('are forgotten when their client disconnects', async () => {
      const { url } = await serve();
      const uploads = Array.from({ length: 10 }, () => new Client(url).send(stalled));
      await eventually('they arrive', async () => (await arriving()) === 10);
      for (const { socket } of uploads) socket.destroy();
      await eventually('they are gone', async () => (await arriving()) === 0);
    });

    it('of one address give way before those of another', async () => {
      const { url } = await serve();
      const port = Number(new URL(url).port);
      const other = connect({ port, host: '127.0.0.1', localAddress: '127.0.0.2' });
      sockets.push(other);
      let got = '';
      other.on('data', (chunk: Buffer) => {
        got += chunk.toString();
      });
      other.write(stalled);
      await eventually('it arrives', async () => (await arriving()) === 1);
      const uploads = Array.from({ length: 40 }, () => new Client(url).send(stalled));
      await eventually('most gave way', () => Promise.resolve(uploads.filter(({ closed }) => closed).length === 25));
      other.write('}'.padStart(899));
      await eventually('the other one is answered', () => Promise.resolve(got.includes('{"bytes":900}')));
    });
  });

  it('an answer to a disconnected client releases its share of the budget', async () => {
    const client = new Client((await serve()).url);
    client.send(get('/later'));
    await eventually('it is being answered', async () =>
      /tidal_http_requests_in_flight\{[^}]*\} 1\n/.test((await metrics.render()).text),
    );
    client.socket.resetAndDestroy();
    await eventually('it is gone', async () =>
      /tidal_http_connections\{[^}]*\} 0\n/.test((await metrics.render()).text),
    );
    answerLater();
    await eventually('nothing is being answered', async () =>
      /tidal_http_requests_in_flight\{[^}]*\} 0\n/.test((await metrics.render()).text),
    );
    assert.match((await metrics.render()).text, /tidal_http_answer_bytes\{[^}]*\} 0\n/);
  });

  describe('answers that are not read', () => {
    const statusOfBig = async (url: string): Promise<number> => {
      const answer = await fetch(`${url}/big`);
      await answer.body?.cancel();
      return answer.status;
    };

    it('are bounded in bytes; more are refused, health excepted, until some are read or given up', async () => {
      const { url } = await serve({ limits: { answersBytes: 4 * BIG } });
      const clients = Array.from({ length: 4 }, () => new Client(url, { reads: false }).send(get('/big')));
      await eventually('there is no more room', async () => (await statusOfBig(url)) === 503, 10_000);
      const refused = await fetch(`${url}/big`);
      assert.equal(((await refused.json()) as Problem).code, 'overloaded');
      assert.equal((await fetch(`${url}/health`)).status, 200);
      for (const { socket } of clients) socket.destroy();
      await eventually('there is room again', async () => (await statusOfBig(url)) === 200);
      await eventually('all of it', async () =>
        /tidal_http_answer_bytes\{[^}]*\} 0\n/.test((await metrics.render()).text),
      );
    });
  });
});
