import assert from 'node:assert/strict';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { type AddressInfo, connect, createServer as createTcpServer, type Socket } from 'node:net';
import { createHttpRegionLink } from '../../../../services/router/links/http-region-link.ts';
import type { RegionLink } from '../../../../services/router/links/links.ts';
import { Fault, Refusal } from '../../../../shared/errors/errors.ts';
import type { Clock } from '../../../../shared/kernel/kernel.ts';
import { systemClock } from '../../../../shared/kernel/system.ts';

/** Time limits a hundred times shorter. */
const hasty: Clock = { ...systemClock, after: (delayMs, action) => systemClock.after(delayMs / 100, action) };

const status = {
  region: 'us-east',
  role: 'leader',
  ready: true,
  partitioned: false,
  durable: 'us-east@aaaaaaaaaa:3',
  applied: '',
};

describe('the HTTP link to a region', () => {
  let server: Server;
  let link: RegionLink;
  let answer: (request: IncomingMessage, response: ServerResponse, body: string) => void;
  const seen: { method: string; url: string; body: string; headers: IncomingMessage['headers'] }[] = [];

  const open = (url: string, clock: Clock = systemClock): RegionLink =>
    createHttpRegionLink({ entry: { name: 'us-east', url }, clock, router: 'router-1' });
  const url = (): string => `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const json =
    (value: unknown, code = 200): typeof answer =>
    (_request, response) => {
      response.writeHead(code, { 'content-type': 'application/json' });
      response.end(JSON.stringify(value));
    };
  const faultCode = (code: string) => (error: Error) => {
    assert.ok(error instanceof Fault, String(error));
    assert.equal(error.code, code, error.message);
    return true;
  };

  before((done) => {
    server = createServer((request, response) => {
      let body = '';
      request.on('data', (chunk) => {
        body += chunk;
      });
      request.on('end', () => {
        seen.push({ method: request.method ?? '', url: request.url ?? '', body, headers: request.headers });
        answer(request, response, body);
      });
    });
    server.listen(0, '127.0.0.1', () => {
      link = open(url());
      done();
    });
  });
  after(async () => {
    await link.close();
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  });

  it('speaks the internal API', async () => {
    answer = json({ results: [{ position: 'us-east@aaaaaaaaaa:4', durability: 'local' }] });
    const reply = await link.writes({ epoch: 3, atomic: false, writes: [{ k: 'd', e: 7 }] }, 'req-1');
    assert.equal(reply.results.length, 1);
    answer = json(status);
    assert.deepEqual((await link.status()).durable, new Map([['us-east@aaaaaaaaaa', 3]]));
    await link.refreshLeadership();
    await link.setPartitioned({ partitioned: true });
    answer = json({ durable: '' });
    await link.handover({ id: 'h' }, 1_000);
    answer = json({ reached: true, applied: '' });
    await link.await({ position: new Map(), limitMs: 5 });
    answer = json({ drained: true, durable: '' });
    assert.equal(await link.drain({ limitMs: 5 }), true);
    answer = json({ region: 'us-east', schemaHash: '0', applied: 'us-east@aaaaaaaaaa:3', position: '', digest: '0' });
    const counted = await link.countDigest({ id: 'i', covering: new Map([['us-east@aaaaaaaaaa', 2]]) });
    assert.deepEqual(counted.applied, new Map([['us-east@aaaaaaaaaa', 3]]));
    assert.deepEqual(
      seen.map(({ method, url, body }) => [method, url, body]),
      [
        ['POST', '/internal/writes', '{"epoch":3,"atomic":false,"writes":[{"k":"d","e":7}]}'],
        ['GET', '/internal/status', ''],
        ['POST', '/internal/leadership', '{}'],
        ['POST', '/internal/partition', '{"partitioned":true}'],
        ['POST', '/internal/handover', '{"id":"h"}'],
        ['POST', '/internal/await', '{"position":"","limitMs":5}'],
        ['POST', '/internal/drain', '{"limitMs":5}'],
        ['POST', '/internal/digest-counts', '{"id":"i","covering":"us-east@aaaaaaaaaa:2"}'],
      ],
    );
    assert.equal(seen[0]?.headers['x-request-id'], 'req-1');
    assert.equal(seen[0]?.headers['content-type'], 'application/json');
  });

  it('passes reads through, problems included', async () => {
    answer = (_request, response) => {
      response.writeHead(503, { 'content-type': 'application/problem+json', 'retry-after': '1', 'x-secret': 'no' });
      response.end('{"code":"not_ready"}');
    };
    const read = await link.read({ path: '/feed', query: 'a=1&a=2', headers: { 'x-tidal-position': 'p' } });
    assert.equal(seen.at(-1)?.url, '/feed?a=1&a=2');
    assert.equal(seen.at(-1)?.headers['x-tidal-position'], 'p');
    assert.equal(read.status, 503);
    assert.deepEqual(read.headers, { 'content-type': 'application/problem+json', 'retry-after': '1' });
    assert.equal(read.body.toString(), '{"code":"not_ready"}');
  });

  it("throws the region's refusal as it was", async () => {
    answer = json(new Refusal('handing_over', 'to eu-west', { hint: 'wait' }).toProblem(), 503);
    await assert.rejects(link.writes({ epoch: 1, atomic: false, writes: [] }, 'r'), (error: Refusal) => {
      assert.deepEqual(
        [error.name, error.code, error.message, error.extras.hint],
        ['Refusal', 'handing_over', 'to eu-west', 'wait'],
      );
      return true;
    });
  });

  it('no connection means not sent', async () => {
    const closed = createServer();
    await new Promise<void>((resolve) => closed.listen(0, '127.0.0.1', resolve));
    const { port } = closed.address() as AddressInfo;
    await new Promise((resolve) => closed.close(resolve));
    for (const address of [`http://127.0.0.1:${port}`, `http://localhost:${port}`, 'http://no-such-host.invalid:1']) {
      const nowhere = open(address);
      await assert.rejects(nowhere.status(), faultCode('not_sent'), address);
      await nowhere.close();
    }
  });

  it('everything after that means no answer; an unreadable one, one of another region and a time-out have codes of their own', async () => {
    const cases: [string, typeof answer, string?][] = [
      ['broken connection', (request) => request.socket.destroy()],
      [
        'broken in the middle of the answer',
        (request, response) => {
          response.writeHead(200, { 'content-length': '100' });
          response.write('{"resu', () => request.socket.destroy());
        },
      ],
      ['not JSON', (_request, response) => response.end('hello'), 'malformed_answer'],
      ['an unknown code', json({ code: 'surprise' }, 500), 'malformed_answer'],
      ['another region', json({ ...status, region: 'eu-west' }), 'wrong_region'],
      ['a position that is not one', json({ ...status, durable: 'x' }), 'malformed_answer'],
    ];
    for (const [what, reaction, code = 'no_answer'] of cases) {
      answer = reaction;
      await assert.rejects(link.status(), faultCode(code), what);
    }
    const impatient = open(url(), hasty);
    answer = () => {};
    await assert.rejects(impatient.status(), faultCode('timed_out'));
    await assert.rejects(impatient.writes({ epoch: 1, atomic: false, writes: [] }, 'r'), faultCode('timed_out'));
    await impatient.close();
  });

  it('an answer beyond the budget is not read, one without a waiting client is abandoned, and other connections are kept', async () => {
    const fresh = open(url());
    const sockets = new Set<unknown>();
    server.on('connection', (socket) => sockets.add(socket));
    const reads = { path: '/feed', query: '', headers: {} };
    answer = (_request, response) => {
      response.writeHead(200, { 'content-length': '4000000' });
      response.write('x'.repeat(1_000));
    };
    const noRoom = new Refusal('overloaded', 'no room');
    const reserved: number[] = [];
    const reserve = (bytes: number): void => {
      reserved.push(bytes);
      throw noRoom;
    };
    await assert.rejects(fresh.read({ ...reads, reserve }), noRoom);
    assert.deepEqual(reserved, [4_000_000]);
    const unwanted = new AbortController();
    let closed: Promise<unknown> = Promise.resolve();
    answer = (request) => {
      closed = new Promise((resolve) => request.socket.once('close', resolve));
      unwanted.abort();
    };
    await assert.rejects(fresh.read({ ...reads, unwanted: unwanted.signal }), faultCode('no_answer'));
    await closed;
    answer = json(status);
    const before = sockets.size;
    await fresh.read(reads);
    await fresh.read(reads);
    assert.ok(sockets.size <= before + 1);
    await fresh.close();
  });

  it('keeps its connections', async () => {
    answer = json(status);
    const sockets = new Set<unknown>();
    server.on('connection', (socket) => sockets.add(socket));
    const fresh = open(url());
    for (let count = 0; count < 20; count += 1) await fresh.status();
    // The second one opens if a request arrives while the first connection is being freed.
    assert.ok(sockets.size <= 2, `${sockets.size} connections for 20 requests in a row`);
    await fresh.close();
  });

  it('trusts no kept connection after a question that got no answer', async () => {
    answer = json(status);
    const vanishing = await openVanishingRoute(Number(new URL(url()).port));
    let clock = systemClock;
    const kept = open(vanishing.url, { ...systemClock, after: (delayMs, action) => clock.after(delayMs, action) });
    try {
      for (let count = 0; count < 4; count += 1) {
        await kept.read({ path: '/feed', query: '', headers: {} });
        await kept.status();
      }
      vanishing.vanish();
      clock = hasty;
      await assert.rejects(kept.status(), faultCode('timed_out'));
      clock = systemClock;
      vanishing.comeBack();
      // On a connection of before each would end in its own time limit.
      for (let count = 0; count < 4; count += 1) {
        assert.equal((await kept.read({ path: '/feed', query: '', headers: {} })).status, 200);
        await kept.status();
      }
    } finally {
      await kept.close();
      await vanishing.close();
    }
  });
});

/** A way to a local port that can vanish: connections stay open and lead nowhere, those opened before for ever. */
async function openVanishingRoute(
  port: number,
): Promise<{ readonly url: string; vanish(): void; comeBack(): void; close(): Promise<void> }> {
  const ways: { readonly near: Socket; readonly far: Socket }[] = [];
  let vanished = false;
  const route = createTcpServer((near) => {
    const far = connect(port, '127.0.0.1');
    ways.push({ near, far });
    for (const socket of [near, far]) socket.on('error', () => {});
    if (vanished) near.resume();
    else near.pipe(far).pipe(near);
  });
  await new Promise<void>((resolve) => route.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${(route.address() as AddressInfo).port}`,
    vanish() {
      vanished = true;
      for (const { near, far } of ways) {
        near.unpipe(far);
        far.unpipe(near);
        near.resume();
      }
    },
    comeBack() {
      vanished = false;
    },
    async close() {
      for (const { near, far } of ways) {
        near.destroy();
        far.destroy();
      }
      await new Promise((resolve) => route.close(resolve));
    },
  };
}
