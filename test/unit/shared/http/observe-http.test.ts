import assert from 'node:assert/strict';
import { connect, type Socket } from 'node:net';
import { Router } from '@koa/router';
import { Refusal } from '../../../../shared/errors/errors.ts';
import { readBody, requireType } from '../../../../shared/http/http-body.ts';
import { createHttpApp, type Listening, listen, requestIdOf } from '../../../../shared/http/http-server.ts';
import { parseJson } from '../../../../shared/http/json-text.ts';
import { HEAD_LIMIT_BYTES } from '../../../../shared/http/request-flaws.ts';
import { systemClock, systemRandom } from '../../../../shared/kernel/system.ts';
import { createMetrics, type Metrics } from '../../../../shared/observe/metrics.ts';
import { eventually } from '../../../harness/kernel/eventually.ts';
import { silentLog } from '../../../harness/observe/silent-log.ts';

describe('the HTTP ground', () => {
  let server: Listening;
  let metrics: Metrics;
  const logged: [string, unknown][] = [];
  const waiting: (() => void)[] = [];
  let arrived: () => void = () => {};

  before(async () => {
    metrics = createMetrics({ process: 'router', name: 'router' });
    const log = { ...silentLog, error: (message: string, fields?: unknown) => logged.push([message, fields]) };
    const app = createHttpApp({
      log: log as never,
      metrics,
      clock: systemClock,
      random: systemRandom,
      limits: { inFlight: 2, arrivingBodies: 64, answersBytes: 64 * 1024 * 1024 },
    });
    const router = new Router();
    router.get('/things/:id', (ctx) => {
      ctx.body = { id: ctx.params.id, request: requestIdOf(ctx) };
    });
    router.post('/things', async (ctx) => {
      requireType(ctx, ['application/json']);
      ctx.body = { got: parseJson((await readBody(ctx, 100)).toString()) };
    });
    router.get('/busy', () => {
      throw new Refusal('overloaded', 'too much', { retryAfterSeconds: 7 });
    });
    router.get('/broken', () => {
      throw new TypeError('secret detail');
    });
    router.get('/wait', async (ctx) => {
      await new Promise<void>((resolve) => {
        waiting.push(resolve);
        arrived();
      });
      ctx.body = {};
    });
    app.use(router.routes());
    server = await listen({
      app,
      metrics,
      maxConnections: 100,
      host: '127.0.0.1',
      port: 0,
      log: silentLog,
      clock: systemClock,
      random: systemRandom,
    });
  });
  after(() => server.close());

  const post = (body: string, headers: Record<string, string> = { 'content-type': 'application/json' }) =>
    fetch(`${server.url}/things`, { method: 'POST', body, headers });

  it('takes a sane request id and makes one otherwise', async () => {
    const taken = await fetch(`${server.url}/things/1`, { headers: { 'x-request-id': 'abc-1' } });
    assert.equal(taken.headers.get('x-request-id'), 'abc-1');
    assert.deepEqual(await taken.json(), { id: '1', request: 'abc-1' });
    for (const bad of ['a b', 'x'.repeat(129), '{}']) {
      const made = await fetch(`${server.url}/things/1`, { headers: { 'x-request-id': bad } });
      assert.match(made.headers.get('x-request-id') ?? '', /^[a-z2-7]{16}$/);
    }
  });

  it('answers problems for unknown routes and methods', async () => {
    const missing = await fetch(`${server.url}/nothing`);
    assert.equal(missing.status, 404);
    assert.equal(missing.headers.get('content-type'), 'application/problem+json');
    assert.equal(((await missing.json()) as { code: string }).code, 'unknown_route');
    const wrong = await fetch(`${server.url}/things/1`, { method: 'PUT' });
    assert.equal(wrong.status, 405);
    assert.equal(wrong.headers.get('allow'), 'GET, HEAD');
    assert.equal(((await wrong.json()) as { code: string }).code, 'method_not_allowed');
    assert.equal((await fetch(`${server.url}/things/1`, { method: 'HEAD' })).status, 200);
  });

  it('says when to retry and never shows an internal error', async () => {
    const busy = await fetch(`${server.url}/busy`);
    assert.equal(busy.status, 503);
    assert.equal(busy.headers.get('retry-after'), '7');
    const broken = await fetch(`${server.url}/broken`);
    const text = await broken.text();
    assert.equal(broken.status, 500);
    assert.equal(JSON.parse(text).code, 'internal');
    assert.ok(!text.includes('secret'));
    const [message, fields] = logged.at(-1) ?? [];
    assert.equal(message, 'request failed');
    assert.equal((fields as { error: Error }).error.message, 'secret detail');
  });

  it('bounds bodies with and without a declared length', async () => {
    assert.equal((await post('[1]')).status, 200);
    const declared = await post(`"${'x'.repeat(200)}"`);
    assert.equal(declared.status, 413);
    assert.match(((await declared.json()) as { detail: string }).detail, /100 bytes/);
    const chunked = await fetch(`${server.url}/things`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: new Blob(['x'.repeat(5_000)]).stream(),
      duplex: 'half',
    } as RequestInit);
    assert.equal(chunked.status, 413);
    assert.equal((await post('[1]')).status, 200, 'the server goes on');
  });

  it('checks content types', async () => {
    for (const headers of [
      { 'content-type': 'text/plain' },
      { 'content-type': 'application/json; charset=latin1' },
      { 'content-type': 'application/json', 'content-encoding': 'br' },
      { 'content-type': 'application/json', 'content-encoding': 'gzip, gzip' },
    ] as Record<string, string>[]) {
      const answer = await post('[1]', headers);
      assert.equal(answer.status, 415, JSON.stringify(headers));
    }
    assert.equal((await post('[1]', { 'content-type': 'Application/JSON; charset=UTF-8' })).status, 200);
  });

  it('refuses beyond the in-flight limit', async () => {
    const answers: Promise<Response>[] = [];
    for (let count = 0; count < 2; count += 1) {
      const inside = new Promise<void>((resolve) => {
        arrived = resolve;
      });
      answers.push(fetch(`${server.url}/wait`));
      await inside;
    }
    const refused = await fetch(`${server.url}/things/1`);
    assert.equal(refused.status, 503);
    assert.equal(((await refused.json()) as { code: string }).code, 'overloaded');
    for (const release of waiting) release();
    for (const answer of answers) assert.equal((await answer).status, 200);
  });

  it('counts by route pattern, never by path', async () => {
    const rendered = (await metrics.render()).text;
    assert.match(rendered, /tidal_http_requests_total\{route="\/things\/:id",method="GET",status="200"/);
    assert.match(rendered, /tidal_http_request_duration_seconds_bucket\{le="0.0001"/);
    assert.ok(!rendered.includes('/things/1'));
  });
});

describe('listening', () => {
  const options = (maxConnections = 100) => {
    const metrics = createMetrics({ process: 'router', name: 'router', nodeMetrics: false });
    const app = createHttpApp({
      log: silentLog,
      metrics,
      clock: systemClock,
      random: systemRandom,
      limits: { inFlight: 10, arrivingBodies: 64, answersBytes: 64 * 1024 * 1024 },
    });
    const router = new Router();
    router.get('/health', (ctx) => {
      ctx.body = { status: 'ok' };
    });
    app.use(router.routes());
    return { app, metrics, maxConnections, host: '127.0.0.1', clock: systemClock, random: systemRandom };
  };
  const opened: Socket[] = [];
  const open = (url: string): Promise<Socket> =>
    new Promise((resolve, reject) => {
      const socket = connect(Number(new URL(url).port), '127.0.0.1');
      opened.push(socket);
      socket.once('connect', () => resolve(socket));
      socket.once('error', reject);
    });
  /** Sends, and returns what is received until the other side closes, or until `enough`. */
  const exchange = (socket: Socket, sent: string, enough = (_: string): boolean => false): Promise<string> =>
    new Promise((resolve) => {
      let got = '';
      socket.on('data', (chunk: Buffer) => {
        got += chunk.toString();
        if (enough(got)) resolve(got);
      });
      socket.once('close', () => resolve(got));
      socket.on('error', () => {});
      socket.write(sent);
    });
  afterEach(() => {
    for (const socket of opened.splice(0)) socket.destroy();
  });

  it('heads on their way that hold too much together: the longest are closed, the others end as usual', async () => {
    const under = options();
    const server = await listen({ ...under, port: 0, log: silentLog, headsBytes: 300_000 });
    const answers = [];
    for (const bytes of [60_000, 150_000, 90_000, 120_000]) {
      const socket = await open(server.url);
      // A request before it is no part of it.
      await exchange(socket, 'GET /health HTTP/1.1\r\nhost: x\r\n\r\n', (got) => got.includes('}'));
      const answer = exchange(socket, `GET /health?x=${'a'.repeat(bytes)}`, (got) => got.split('}').length > 1);
      answers.push({ socket, answer });
    }
    assert.equal(await answers[1]!.answer, '', 'the longest is closed');
    for (const at of [0, 2, 3]) answers[at]!.socket.write(' HTTP/1.1\r\nhost: x\r\n\r\n');
    for (const at of [0, 2, 3]) assert.match(await answers[at]!.answer, /^HTTP\/1.1 200 /);
    const { text } = await under.metrics.render();
    assert.match(text, /tidal_http_heads_ended_total\{[^}]*\} 1\n/);
    assert.match(text, /tidal_http_head_bytes\{[^}]*\} 0\n/);
    await server.close();
  });

  it('connections over the limit are refused at their first request, twice as many not accepted', async () => {
    const under = options(16);
    const server = await listen({ ...under, port: 0, log: silentLog });
    const get = (path: string): string => `GET ${path} HTTP/1.1\r\nhost: x\r\n\r\n`;
    const first = await open(server.url);
    for (let count = 1; count < 16; count++) await open(server.url);
    const over = await open(server.url);
    const refused = await exchange(over, get('/things'));
    assert.match(refused, /^HTTP\/1.1 503 /);
    assert.match(refused, /application\/problem\+json/);
    assert.match(refused, /"code":"overloaded".*16 connections are already open/);
    const looking = await open(server.url);
    assert.match(await exchange(looking, get('/health')), /^HTTP\/1.1 200 /);
    assert.match(await exchange(first, get('/health'), (got) => got.includes('}')), /^HTTP\/1.1 200 .*keep-alive/s);
    while (opened.filter((socket) => !socket.destroyed).length < 32) await open(server.url);
    const dropped = await open(server.url);
    assert.equal(await exchange(dropped, get('/health')), '');
    const { text } = await under.metrics.render();
    assert.match(text, /tidal_http_connections\{[^}]*\} 32\n/);
    assert.match(text, /tidal_http_connections_refused_total\{[^}]*\} 19\n/);
    await server.close();
  });

  it('of one address so many connections are served; further ones are answered before they ask, and closed, until one ends', async () => {
    const under = options();
    const server = await listen({ ...under, port: 0, log: silentLog, maxAddressConnections: 3 });
    const request = 'GET /health HTTP/1.1\r\nhost: x\r\n\r\n';
    const whole = (got: string): boolean => got.includes('}');
    const kept = [await open(server.url), await open(server.url), await open(server.url)];
    for (const socket of kept) assert.match(await exchange(socket, request, whole), /^HTTP\/1.1 200 /);
    for (const sent of ['', request, `POST /things HTTP/1.1\r\nhost: x\r\ncontent-length: 9\r\n\r\n`]) {
      const got = await exchange(await open(server.url), sent);
      const [head = '', body = ''] = got.split('\r\n\r\n');
      assert.match(head, /^HTTP\/1.1 503 .*application\/problem\+json.*retry-after: 1/s);
      assert.match(body, /"code":"overloaded".*3 connections of this address/);
    }
    const other = connect({ port: Number(new URL(server.url).port), host: '127.0.0.1', localAddress: '127.0.0.2' });
    opened.push(other);
    assert.match(await exchange(other, request, whole), /^HTTP\/1.1 200 /, 'another address has its own');
    for (const socket of kept) assert.match(await exchange(socket, request, whole), /^HTTP\/1.1 200 /);
    kept[0]!.destroy();
    await eventually('another one is served', async () => {
      return (await exchange(await open(server.url), request, whole)).startsWith('HTTP/1.1 200 ');
    });
    const { text } = await under.metrics.render();
    assert.match(text, /tidal_http_address_connections_refused_total\{[^}]*\} [3-9]\n/);
    await server.close();
  });

  for (const [what, sent, status, code] of [
    ['no HTTP at all', 'hello\r\n\r\n', 400, 'invalid_request'],
    [
      'headers beyond the limit',
      `GET / HTTP/1.1\r\nhost: x\r\nx: ${'a'.repeat(40_000)}\r\n\r\n`,
      431,
      'headers_too_large',
    ],
    [
      'a request line beyond the limit',
      `GET /?x=${'a'.repeat(HEAD_LIMIT_BYTES + 1)} HTTP/1.1\r\nhost: x\r\n\r\n`,
      431,
      'headers_too_large',
    ],
    ['a method nobody knows', 'FETCH / HTTP/1.1\r\nhost: x\r\n\r\n', 400, 'invalid_request'],
  ] as const) {
    it(`${what} is answered with a problem too`, async () => {
      const server = await listen({ ...options(), port: 0, log: silentLog });
      const answer = await exchange(await open(server.url), sent);
      const [head = '', body = ''] = answer.split('\r\n\r\n');
      assert.match(head, new RegExp(`^HTTP/1.1 ${status} `));
      assert.match(head, /content-type: application\/problem\+json/);
      assert.equal((JSON.parse(body) as { code: string }).code, code);
      await server.close();
    });
  }

  it('logs the address and names a taken port', async () => {
    const lines: string[] = [];
    const first = await listen({ ...options(), port: 0, log: { ...silentLog, info: (line) => lines.push(line) } });
    assert.deepEqual(lines, [`listening on ${first.url}`]);
    const port = Number(new URL(first.url).port);
    await assert.rejects(listen({ ...options(), port, log: silentLog }), (error: Error) => {
      assert.equal(error.name, 'ConfigError');
      assert.match(error.message, /taken by another process/);
      return true;
    });
    await first.close();
  });

  it('closes kept connections instead of waiting for them', async () => {
    const server = await listen({ ...options(), port: 0, log: silentLog });
    const socket = connect(Number(new URL(server.url).port), '127.0.0.1');
    const ended = new Promise((resolve) => socket.once('close', resolve));
    socket.write('GET /nothing HTTP/1.1\r\nhost: x\r\n\r\n');
    await new Promise((resolve) => socket.once('data', resolve));
    const startMs = Date.now();
    await server.close();
    await ended;
    assert.ok(Date.now() - startMs < 2_000);
  });
});
