/** A server that gets more requests than it can answer, on real sockets: many on one connection, and many at a time. */
import assert from 'node:assert/strict';
import { connect, type Socket } from 'node:net';
import { Router } from '@koa/router';
import { Refusal } from '../../../../shared/errors/errors.ts';
import { BodyBudget } from '../../../../shared/http/body-budget.ts';
import { readBody } from '../../../../shared/http/http-body.ts';
import { createHttpApp, type HttpLimits, type Listening, listen } from '../../../../shared/http/http-server.ts';
import { systemClock, systemRandom } from '../../../../shared/kernel/system.ts';
import { createMetrics, type Metrics } from '../../../../shared/observe/metrics.ts';
import { AnswerReader } from '../../../fuzz/answers.ts';
import { eventually } from '../../../harness/kernel/eventually.ts';
import { unreadMetrics } from '../../../harness/observe/counted-metrics.ts';
import { RecordingLog } from '../../../harness/observe/recording-log.ts';

const LONG = 64 * 1024;

interface ServeOptions {
  readonly limits?: Partial<HttpLimits>;
  readonly maxConnectionRequests?: number;
  readonly arrivalMs?: number;
  readonly early?: () => Refusal | undefined;
}

describe('more requests than can be answered', () => {
  const closers: (() => Promise<void>)[] = [];
  const sockets: Socket[] = [];
  let metrics: Metrics;
  let log: RecordingLog;
  /** Requests that reached a route, by their number. */
  let reached: number[] = [];
  /** They wait until it is called. */
  let release: () => void = () => {};

  async function serve({ limits, early, ...options }: ServeOptions = {}): Promise<Listening> {
    metrics = createMetrics({ process: 'router', name: 'router', nodeMetrics: false });
    log = new RecordingLog();
    reached = [];
    const held = new Promise<void>((resolve) => {
      release = resolve;
    });
    const ground = { log, metrics, clock: systemClock, random: systemRandom };
    const app = createHttpApp({
      ...ground,
      limits: { inFlight: 1_000, arrivingBodies: 16, answersBytes: 64 * 1024 * 1024, ...limits },
      early,
      begin: (_request, response) => {
        response.setHeader('x-begun', 'yes');
        return false;
      },
    });
    const router = new Router();
    router.get('/health', (ctx) => {
      ctx.body = { status: 'ok' };
    });
    router.get('/at-once', (ctx) => {
      ctx.body = { at: 'once' };
    });
    router.get('/held/:number', async (ctx) => {
      reached.push(Number(ctx.params.number));
      await held;
      ctx.body = { number: Number(ctx.params.number) };
    });
    router.get('/long/:number', (ctx) => {
      reached.push(Number(ctx.params.number));
      ctx.body = Buffer.alloc(LONG, 'x');
    });
    router.delete('/held/:number', async (ctx) => {
      reached.push(Number(ctx.params.number));
      await held;
      ctx.body = { number: Number(ctx.params.number) };
    });
    router.post('/held/:number', async (ctx) => {
      const body = await readBody(ctx, 1_000_000);
      reached.push(Number(ctx.params.number));
      await held;
      ctx.body = { number: Number(ctx.params.number), bytes: body.length };
    });
    app.use(router.routes());
    const server = await listen({ ...ground, app, maxConnections: 100, host: '127.0.0.1', port: 0, ...options });
    closers.push(() => server.close());
    return server;
  }

  afterEach(async () => {
    release();
    for (const socket of sockets.splice(0)) socket.destroy();
    for (const close of closers.splice(0)) await close();
  });

  interface Got {
    readonly status: number;
    readonly headers: Readonly<Record<string, string | undefined>>;
    readonly body: Readonly<Record<string, unknown>>;
  }

  /** A connection that does not wait for answers. */
  class Client {
    readonly got: Got[] = [];
    readonly socket: Socket;
    closed = false;

    constructor(url: string, localAddress = '127.0.0.1') {
      this.socket = connect({ port: Number(new URL(url).port), host: '127.0.0.1', localAddress });
      sockets.push(this.socket);
      const reader = new AnswerReader();
      this.socket.on('data', (data: Buffer) => {
        reader.add(data);
        for (let answer = reader.next(false); answer !== undefined; answer = reader.next(false)) {
          const { status, headers } = answer;
          const text = answer.body.toString();
          const body = text.startsWith('{') ? (JSON.parse(text) as Record<string, unknown>) : {};
          this.got.push({ status, headers: Object.fromEntries(headers), body });
        }
      });
      this.socket.on('error', () => {});
      this.socket.on('close', () => {
        this.closed = true;
      });
    }

    send(text: string): this {
      this.socket.write(text);
      return this;
    }

    async answers(count: number): Promise<readonly Got[]> {
      await eventually(`${count} answers, not ${this.got.length}`, async () => this.got.length >= count, 20_000);
      return this.got;
    }
  }

  const get = (path: string): string => `GET ${path} HTTP/1.1\r\nhost: x\r\n\r\n`;
  const post = (path: string, body: string): string =>
    `POST ${path} HTTP/1.1\r\nhost: x\r\ncontent-length: ${body.length}\r\n\r\n${body}`;
  const numbers = (count: number): readonly number[] => Array.from({ length: count }, (_, index) => index);
  const value = async (name: string): Promise<number> =>
    Number(new RegExp(`^${name}\\{[^}]*\\} (\\d+)`, 'm').exec((await metrics.render()).text)?.[1]);
  const sees = (name: string, expected: number): Promise<unknown> =>
    eventually(`${name} is ${expected}`, async () => (await value(name)) === expected, 15_000);

  describe('on one connection', () => {
    it('a few are handled at a time, the others wait in order, and all are answered', async () => {
      const { url } = await serve({ maxConnectionRequests: 4 });
      const client = new Client(url).send(
        numbers(40)
          .map((number) => (number % 2 === 0 ? get(`/held/${number}`) : post(`/held/${number}`, 'x'.repeat(100))))
          .join(''),
      );
      await sees('tidal_http_connections_paused', 1);
      assert.deepEqual([...reached].sort(), [0, 1, 2, 3]);
      assert.equal(await value('tidal_http_pipelined_requests'), 36);
      assert.equal(await value('tidal_http_requests_in_flight'), 4);
      assert.equal((await new Client(url).send(get('/at-once')).answers(1))[0]?.status, 200);
      release();
      const got = await client.answers(40);
      assert.deepEqual(
        got.map(({ status, body }) => [status, body.number]),
        numbers(40).map((number) => [200, number]),
      );
      await sees('tidal_http_connections_paused', 0);
      assert.equal(await value('tidal_http_pipelined_requests'), 0);
      client.send(get('/at-once'));
      assert.equal((await client.answers(41))[40]?.body.at, 'once');
    });

    it('nothing more is read meanwhile, whatever bodies were read', async () => {
      const { url } = await serve({ maxConnectionRequests: 2 });
      const count = 400;
      const body = 'x'.repeat(50_000);
      const client = new Client(url).send(
        numbers(count)
          .map((number) => post(`/held/${number}`, body))
          .join(''),
      );
      await sees('tidal_http_connections_paused', 1);
      await eventually('the first are handled', async () => reached.length === 2);
      // What the buffers of both sockets take is far less than 20 MB.
      assert.ok(client.socket.writableLength > 5_000_000, `${client.socket.writableLength} bytes are not sent`);
      assert.ok((await value('tidal_http_pipelined_requests')) < 50);
      release();
      const got = await client.answers(count);
      assert.ok(got.every(({ status, body: { bytes } }) => status === 200 && bytes === 50_000));
      assert.deepEqual(reached, numbers(count));
    });

    it('a malformed one is refused after the whole ones before it are answered', async () => {
      const { url } = await serve({ maxConnectionRequests: 2 });
      const client = new Client(url).send(
        `${numbers(5)
          .map((number) => get(`/held/${number}`))
          .join('')}no HTTP\r\n\r\n`,
      );
      await eventually('the first are handled', async () => reached.length === 2);
      release();
      const got = await client.answers(6);
      assert.deepEqual(
        got.map(({ status, body }) => [status, body.number ?? body.code]),
        [...numbers(5).map((number) => [200, number]), [400, 'invalid_request']],
      );
      await eventually('it is closed', async () => client.closed);
    });

    it('half of one that is not read on is not late: the whole ones are answered, then it is refused as overload', async () => {
      const { url } = await serve({ maxConnectionRequests: 2, arrivalMs: 1_000 });
      const client = new Client(url).send(
        `${numbers(3)
          .map((number) => get(`/held/${number}`))
          .join('')}GET /at-on`,
      );
      await sees('tidal_http_connections_paused', 1);
      const startMs = performance.now();
      await eventually('its time is over', async () => performance.now() - startMs > 2_500, 10_000);
      assert.deepEqual(client.got, []);
      release();
      const got = await client.answers(4);
      assert.deepEqual(
        got.map(({ status, body }) => [status, body.number ?? body.code]),
        [
          [200, 0],
          [200, 1],
          [200, 2],
          [503, 'overloaded'],
        ],
      );
    });

    it('of a client that disconnects no answer that is behind another one is kept', async () => {
      const { url } = await serve({ maxConnectionRequests: 8 });
      const client = new Client(url).send(
        get('/held/0') +
          numbers(7)
            .map((number) => get(`/long/${number}`))
            .join(''),
      );
      await sees('tidal_http_answer_bytes', 7 * LONG);
      client.socket.resetAndDestroy();
      await sees('tidal_http_answer_bytes', 0);
      release();
      await sees('tidal_http_requests_in_flight', 0);
      assert.equal(await value('tidal_http_answer_bytes'), 0);
    });

    it('of a client that disconnects while nothing is read those that wait are dropped with the next answer', async () => {
      const { url } = await serve({ maxConnectionRequests: 4 });
      const client = new Client(url).send(
        numbers(1_000)
          .map((number) => get(`/held/${number}`))
          .join(''),
      );
      await sees('tidal_http_connections_paused', 1);
      client.socket.resetAndDestroy();
      release();
      await sees('tidal_http_connections', 0);
      await sees('tidal_http_requests_in_flight', 0);
      assert.equal(await value('tidal_http_pipelined_requests'), 0);
    });

    it('those of all connections together are bounded: the one with the most is closed', async () => {
      const { url } = await serve({ maxConnectionRequests: 1 });
      const modest = new Client(url).send(
        numbers(50)
          .map((number) => get(`/held/${number}`))
          .join(''),
      );
      await sees('tidal_http_pipelined_requests', 49);
      // As short as a request can be, so that the last read before the pause has many.
      const greedy = numbers(30).map(() =>
        new Client(url).send('GET /held/1 HTTP/1.0\r\nconnection: keep-alive\r\n\r\n'.repeat(3_000)),
      );
      await eventually('some are closed', async () => greedy.some(({ closed }) => closed), 20_000);
      assert.ok((await value('tidal_http_pipelines_ended_total')) >= 1);
      assert.ok((await value('tidal_http_pipelined_requests')) <= 16_384);
      assert.equal(modest.closed, false);
      for (const { socket } of greedy) socket.destroy();
      release();
      assert.equal((await modest.answers(50)).length, 50);
    });
  });

  describe('at a time', () => {
    it('are refused before any part of the application runs, as problems; the connection is kept', async () => {
      const { url } = await serve({ limits: { inFlight: 2 } });
      new Client(url).send(get('/held/0') + get('/held/1'));
      await sees('tidal_http_requests_in_flight', 2);
      const client = new Client(url).send(post('/held/2', 'x'.repeat(500)) + get('/health'));
      const got = await client.answers(2);
      assert.equal(got[1]?.body.status, 'ok');
      const head = await fetch(`${url}/held/3`, { method: 'HEAD', headers: { 'x-request-id': 'mine' } });
      assert.deepEqual([head.status, await head.text()], [503, '']);
      assert.equal(got[0]?.status, 503);
      assert.deepEqual(got[0]?.body, {
        type: 'urn:tidaldb:problem:overloaded',
        title: 'A limit on queued work was reached',
        status: 503,
        code: 'overloaded',
        detail: '2 requests are already in flight',
      });
      const { headers } = got[0]!;
      assert.equal(headers['content-type'], 'application/problem+json');
      assert.equal(headers['retry-after'], '1');
      assert.equal(headers['x-begun'], 'yes');
      assert.match(headers['x-request-id'] ?? '', /^[a-z0-9]{16}$/);
      assert.deepEqual(reached, [0, 1]);
      release();
      await sees('tidal_http_requests_in_flight', 0);
      assert.equal((await client.send(post('/held/4', 'y')).answers(3))[2]?.body.number, 4);
      const { text } = await metrics.render();
      assert.match(text, /tidal_http_requests_total\{route="unknown",method="POST",status="503"[^}]*\} 1\n/);
      assert.match(text, /tidal_http_requests_total\{route="unknown",method="HEAD",status="503"[^}]*\} 1\n/);
      const lines = log.lines.filter(({ message }) => message === 'request refused');
      assert.deepEqual(
        lines.map(({ level, fields }) => [level, fields?.status, fields?.code, fields?.method]),
        [
          ['warn', 503, 'overloaded', 'POST'],
          ['warn', 503, 'overloaded', 'HEAD'],
        ],
      );
      assert.equal(lines[1]?.fields?.request_id, 'mine');
    });

    it('count whether or not their body arrives: a byte that is withheld evades no limit', async () => {
      const { url } = await serve({ limits: { inFlight: 2 } });
      const withheld = (method: string): string =>
        `${method} /held/1 HTTP/1.1\r\nhost: x\r\ncontent-length: 5\r\n\r\nab`;
      const first = [new Client(url).send(withheld('GET')), new Client(url).send(withheld('DELETE'))];
      await sees('tidal_http_requests_in_flight', 2);
      const others = numbers(6).map((number) => new Client(url).send(withheld(number % 2 === 0 ? 'GET' : 'DELETE')));
      for (const other of others) {
        const [{ status, body } = {}] = await other.answers(1);
        assert.deepEqual([status, body?.code], [503, 'overloaded']);
      }
      assert.deepEqual(reached, [1, 1]);
      release();
      for (const client of first) assert.equal((await client.answers(1))[0]?.status, 200);
      await sees('tidal_http_requests_in_flight', 0);
    });

    it('do not count while their body is being received, and count again from then on', async () => {
      const { url } = await serve({ limits: { inFlight: 1 } });
      const slow = new Client(url).send('POST /held/1 HTTP/1.1\r\nhost: x\r\ncontent-length: 3\r\n\r\na');
      await sees('tidal_http_bodies_arriving', 1);
      await sees('tidal_http_requests_in_flight', 0);
      assert.equal((await new Client(url).send(get('/at-once')).answers(1))[0]?.status, 200);
      slow.send('bc');
      await sees('tidal_http_requests_in_flight', 1);
      assert.equal((await new Client(url).send(get('/at-once')).answers(1))[0]?.status, 503);
      release();
      assert.equal((await slow.answers(1))[0]?.body.bytes, 3);
      await sees('tidal_http_requests_in_flight', 0);
    });

    it('of one address are refused beyond its share; another address is served', async () => {
      const { url } = await serve({ limits: { inFlight: 4, addressInFlight: 2 } });
      new Client(url).send(get('/held/0') + get('/held/1'));
      await sees('tidal_http_address_requests_in_flight', 2);
      const [refused] = await new Client(url).send(get('/at-once')).answers(1);
      assert.equal(refused?.status, 503);
      assert.match(String(refused?.body.detail), /^2 requests of this address/);
      const [served] = await new Client(url, '127.0.0.2').send(get('/at-once')).answers(1);
      assert.equal(served?.status, 200);
      release();
      await sees('tidal_http_address_requests_in_flight', 0);
      const [again] = await new Client(url).send(get('/at-once')).answers(1);
      assert.equal(again?.status, 200);
    });

    it('answers that one address does not read leave half for others', async () => {
      const { url } = await serve({ limits: { answersBytes: 8 * LONG, addressAnswersBytes: 4 * LONG } });
      const idle = new Client(url).send(
        get('/held/0') +
          numbers(4)
            .map((number) => get(`/long/${number}`))
            .join(''),
      );
      await sees('tidal_http_answer_bytes', 4 * LONG);
      const [refused] = await new Client(url).send(get('/long/5')).answers(1);
      assert.equal(refused?.status, 503);
      assert.match(String(refused?.body.detail), /to this address/);
      const [served] = await new Client(url, '127.0.0.2').send(get('/long/6')).answers(1);
      assert.equal(served?.status, 200);
      idle.socket.resetAndDestroy();
      await sees('tidal_http_answer_bytes', 0);
      assert.equal((await new Client(url).send(get('/long/7')).answers(1))[0]?.status, 200);
    });

    it('bodies of one address leave a part for others', () => {
      const budget = new BodyBudget({ limitBytes: 100, addressLimitBytes: 50, metrics: unreadMetrics });
      const first = budget.share('a');
      first.take(50);
      assert.throws(() => budget.share('a').take(1), { code: 'overloaded' });
      budget.share('b').take(50);
      first.giveBack();
      budget.share('a').take(50);
    });

    it('a refusal that the head alone shows is answered before the body arrives', async () => {
      const refusal = new Refusal('rate_limited', 'too fast', { retryAfterSeconds: 7 });
      const { url } = await serve({ early: () => refusal });
      const client = new Client(url).send('POST /held/1 HTTP/1.1\r\nhost: x\r\ncontent-length: 900000\r\n\r\n{');
      const [got] = await client.answers(1);
      assert.equal(got?.status, 429);
      assert.equal(got?.headers['retry-after'], '7');
      client.send(`${'x'.repeat(899_999)}${get('/health')}`);
      assert.equal((await client.answers(2))[1]?.body.status, 'ok');
      assert.deepEqual(reached, []);
    });

    it('one that waits for "100 Continue" is refused without it, and its connection closed', async () => {
      const { url } = await serve({ limits: { inFlight: 1 } });
      new Client(url).send(get('/held/0'));
      await sees('tidal_http_requests_in_flight', 1);
      const client = new Client(url).send(
        'POST /held/1 HTTP/1.1\r\nhost: x\r\nexpect: 100-continue\r\ncontent-length: 5\r\n\r\n',
      );
      const [got] = await client.answers(1);
      assert.equal(got?.status, 503);
      assert.equal(got?.headers.connection, 'close');
      await eventually('it is closed', async () => client.closed);
    });
  });
});
