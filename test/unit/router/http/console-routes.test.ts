/** The page, its files and its stream by a real socket. */
import assert from 'node:assert/strict';
import { createServer, type IncomingMessage, request } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Router } from '@koa/router';
import Koa from 'koa';
import type { LiveClient } from '../../../../services/router/console/console.ts';
import { addLiveRoute } from '../../../../services/router/http/live-route.ts';
import type { Problem } from '../../../../shared/errors/errors.ts';
import { type Listening, listen } from '../../../../shared/http/http-server.ts';
import { systemClock, systemRandom } from '../../../../shared/kernel/system.ts';
import { createMetrics } from '../../../../shared/observe/metrics.ts';
import { eventually } from '../../../harness/kernel/eventually.ts';
import type { ManualClock } from '../../../harness/kernel/manual-clock.ts';
import { silentLog } from '../../../harness/observe/silent-log.ts';
import { type MemoryCluster, memoryCluster } from '../../../harness/router/memory-cluster.ts';

const stream = { accept: 'text/event-stream' };

interface Opened {
  readonly answer: IncomingMessage;
  /** All that has arrived. */
  text(): string;
  ended: boolean;
}

function open(url: string, headers: Readonly<Record<string, string>> = stream): Promise<Opened> {
  return new Promise((resolve, reject) => {
    const sent = request(url, { headers, agent: false }, (answer) => {
      let text = '';
      const opened: Opened = { answer, text: () => text, ended: false };
      answer.setEncoding('utf8');
      answer.on('data', (part: string) => {
        text += part;
      });
      answer.on('error', () => {});
      answer.on('end', () => {
        opened.ended = true;
      });
      resolve(opened);
    });
    sent.on('error', reject);
    sent.end();
  });
}

describe('the console’s routes', () => {
  let cluster: MemoryCluster<ManualClock>;
  let server: Listening;

  beforeEach(async () => {
    cluster = memoryCluster({ maxLiveStreams: 2 });
    await cluster.router.leadership.refresh();
    const metrics = createMetrics({ process: 'router', name: 'listening', nodeMetrics: false });
    server = await listen({
      ...{ metrics, maxConnections: 100, app: cluster.router.app, host: '127.0.0.1', port: 0 },
      ...{ log: silentLog, clock: systemClock, random: systemRandom },
    });
  });
  afterEach(async () => {
    cluster.router.drain();
    await server.close();
    const closed = cluster.router.close();
    await cluster.clock.run(closed);
  });

  it('the page and its files have a strict policy, an entity tag, and are sent once', async () => {
    for (const [path, type] of [
      ['/', 'text/html; charset=utf-8'],
      ['/console/console.js', 'text/javascript; charset=utf-8'],
      ['/console/console.css', 'text/css; charset=utf-8'],
      ['/console/icon.svg', 'image/svg+xml'],
    ] as const) {
      const { status, headers } = await fetch(server.url + path);
      assert.deepEqual([status, headers.get('content-type')], [200, type], path);
      const policy = headers.get('content-security-policy') ?? '';
      assert.match(
        policy,
        /^default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'; /,
      );
      assert.match(policy, /base-uri 'none'; form-action 'none'; frame-ancestors 'none'$/);
      assert.doesNotMatch(policy, /unsafe|\*|data:|https?:/);
      assert.equal(headers.get('x-content-type-options'), 'nosniff');
      assert.equal(headers.get('referrer-policy'), 'no-referrer');
      assert.equal(headers.get('cache-control'), 'no-cache');
      const again = await open(server.url + path, { 'if-none-match': headers.get('etag')! });
      assert.equal(again.answer.statusCode, 304);
      const head = await fetch(server.url + path, { method: 'HEAD' });
      assert.deepEqual([head.status, await head.text()], [200, '']);
    }
  });

  it('there is nothing else below /console/', async () => {
    for (const path of [
      '/console/',
      '/console/none.js',
      '/console/..%2Fconsole.ts',
      '/console/tsconfig.json',
      '/console/a/b',
    ]) {
      const answer = await fetch(server.url + path);
      assert.equal(answer.status, 404, path);
      assert.equal(((await answer.json()) as Problem).code, 'unknown_route');
    }
    const posted = await fetch(server.url, { method: 'POST', body: '{}' });
    assert.deepEqual([posted.status, posted.headers.get('allow')], [405, 'GET, HEAD']);
  });

  it('without asking for a stream one reading is answered', async () => {
    for (const accept of ['*/*', 'application/json', 'application/json, text/event-stream']) {
      const answer = await fetch(`${server.url}/cluster/live`, { headers: { accept } });
      assert.deepEqual([answer.status, answer.headers.get('cache-control')], [200, 'no-store']);
      const { now } = (await answer.json()) as { now: { status: { leader: string } } };
      assert.equal(now.status.leader, 'us-east');
    }
    assert.equal((await fetch(`${server.url}/cluster/live?x=1`)).status, 400);
    assert.equal((await fetch(`${server.url}/cluster/live`, { method: 'HEAD', headers: stream })).status, 200);
  });

  it('a stream has its events as they are; its end is the client’s, and beyond the limit it is refused', async () => {
    cluster.router.start();
    const first = await open(`${server.url}/cluster/live`);
    assert.equal(first.answer.headers['content-type'], 'text/event-stream');
    assert.match(String(first.answer.headers['x-request-id']), /./);
    const events = (name: string, { text }: Opened) => text().split(`event: ${name}\n`).length - 1;
    await eventually('the first events', () => events('now', first) === 1);
    assert.equal(events('past', first), 1);
    await cluster.clock.advance(4_000);
    await eventually('two more', () => events('now', first) >= 3);
    const second = await open(`${server.url}/cluster/live`);
    const third = await open(`${server.url}/cluster/live`);
    assert.equal(third.answer.statusCode, 503);
    await eventually('a refusal', () => third.ended);
    assert.equal((JSON.parse(third.text()) as Problem).code, 'overloaded');
    second.answer.destroy();
    await eventually('its place is free', async () => {
      // A client that has closed its half may still read: only what is sent to it shows that it does not.
      await cluster.clock.advance(2_000);
      const next = await open(`${server.url}/cluster/live`);
      next.answer.destroy();
      return next.answer.statusCode === 200;
    });
  });

  it('a router that is about to stop ends its streams, and its server closes without waiting for them', async () => {
    cluster.router.start();
    const opened = await open(`${server.url}/cluster/live`);
    cluster.router.leave();
    await eventually('the end', () => opened.ended);
    const refused = await open(`${server.url}/cluster/live`);
    assert.equal(refused.answer.statusCode, 503);
    await eventually('a refusal', () => refused.ended);
    assert.equal((JSON.parse(refused.text()) as Problem).code, 'shutting_down');
    await server.close();
  });

  it('a client that does not read is behind until it reads, and can be dropped', async () => {
    let client: LiveClient | undefined;
    const closed: LiveClient[] = [];
    const live = {
      ...{ read: () => assert.fail(), countRead: () => assert.fail() },
      open: (opened: LiveClient) => {
        client = opened;
        opened.send('event: past\ndata: {}\n\n');
      },
      close: (one: LiveClient) => void closed.push(one),
    };
    const router = new Router();
    addLiveRoute(router, { live, mayRead: () => true });
    const app = new Koa().use(router.routes());
    const plain = createServer(app.callback());
    await new Promise<void>((resolve) => plain.listen(0, '127.0.0.1', resolve));
    try {
      const opened = await open(`http://127.0.0.1:${(plain.address() as AddressInfo).port}/cluster/live`);
      await eventually('it has taken the first event', () => opened.text().includes('past') && !client!.isBehind);
      opened.answer.pause();
      // More than the buffers of a connection hold.
      client!.send(`data: ${'x'.repeat(32 * 1024 * 1024)}\n\n`);
      assert.ok(client!.isBehind);
      opened.answer.resume();
      await eventually('it has taken all', () => !client!.isBehind);
      client!.drop();
      await eventually('it is closed', () => closed.includes(client!));
    } finally {
      plain.closeAllConnections();
      plain.close();
    }
  });
});
