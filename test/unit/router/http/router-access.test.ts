/** Who may ask what of the public surface: by a real socket, with the router's own routes. */
import assert from 'node:assert/strict';
import { connect } from 'node:net';
import { digestOf } from '../../../../services/router/keys/key-access.ts';
import type { KeySettings } from '../../../../services/router/keys/keys.ts';
import type { Problem } from '../../../../shared/errors/errors.ts';
import { type Listening, listen } from '../../../../shared/http/http-server.ts';
import type { Clock, Timer } from '../../../../shared/kernel/kernel.ts';
import { systemClock, systemRandom } from '../../../../shared/kernel/system.ts';
import { createMetrics } from '../../../../shared/observe/metrics.ts';
import { eventually } from '../../../harness/kernel/eventually.ts';
import { nextMillisecond } from '../../../harness/kernel/next-millisecond.ts';
import { RecordingLog } from '../../../harness/observe/recording-log.ts';
import { silentLog } from '../../../harness/observe/silent-log.ts';
import { type MemoryCluster, memoryCluster } from '../../../harness/router/memory-cluster.ts';

const entry = (name: string, more: string): string =>
  `  - name: ${name}\n    sha256: ${digestOf(`secret-of-${name}`).toString('hex')}\n${more}`;
const text = `keys:
${entry('reader', '    scopes: [read]\n')}
${entry('writer', '    scopes: [write]\n')}
${entry('operator', '    scopes: [admin]\n')}
${entry('scraper', '    scopes: [metrics]\n')}
${entry('expired', '    scopes: [read, write, admin, metrics]\n    expires: 2020-01-01T00:00:00Z\n')}
${entry('slow', '    scopes: [read]\n    rate: 0.5\n')}`;

/** The system's clock, which a test can move on. */
class MovableClock implements Clock {
  aheadMs = 0;
  nowMs(): number {
    return systemClock.nowMs() + this.aheadMs;
  }
  monotonicMs(): number {
    return systemClock.monotonicMs() + this.aheadMs;
  }
  after(delayMs: number, action: () => void): Timer {
    return systemClock.after(delayMs, action);
  }
}

interface Started {
  readonly cluster: MemoryCluster<Clock>;
  readonly server: Listening;
  readonly log: RecordingLog;
  readonly clock: MovableClock;
}

const started: Started[] = [];

async function start(keys?: KeySettings): Promise<Started> {
  const log = new RecordingLog();
  const clock = new MovableClock();
  const cluster = memoryCluster({ log, maxLiveStreams: 2, ...(keys === undefined ? {} : { keys }) }, clock);
  await cluster.router.leadership.refresh();
  const metrics = createMetrics({ process: 'router', name: 'listening', nodeMetrics: false });
  const server = await listen({
    ...{ metrics, maxConnections: 100, app: cluster.router.app, host: '127.0.0.1', port: 0 },
    ...{ log: silentLog, clock: systemClock, random: systemRandom },
  });
  const one = { cluster, server, log, clock };
  started.push(one);
  return one;
}

const source = { path: '/keys.yaml', text, read: () => Promise.resolve(text) };

const item = '{"entity_id":1,"metadata":{"title":"Jazz"}}';
const requests: Readonly<Record<'read' | 'write' | 'admin' | 'metrics', readonly [string, string, string?][]>> = {
  read: [
    ['GET', '/feed'],
    ['HEAD', '/feed'],
    ['GET', '/FEED/'],
    ['GET', '/search?query=jazz'],
    ['POST', '/search', '{"query":"jazz"}'],
    ['POST', '/feed', '{"exclude":[1]}'],
    ['GET', '/suggest?prefix=ja'],
    ['GET', '/items/1'],
    ['GET', '/items?ids=1'],
  ],
  write: [
    ['POST', '/items', item],
    ['POST', '/Items/', item],
    ['POST', '/embeddings', '{"entity_id":1,"values":[1]}'],
    ['POST', '/signals', '{"entity_id":1,"signal":"view"}'],
    ['DELETE', '/signals', '{"entity_id":1,"signal":"view"}'],
    ['PATCH', '/items/1', '{"metadata":{}}'],
    ['DELETE', '/items/1'],
  ],
  admin: [
    ['GET', '/cluster/status'],
    ['GET', '/CLUSTER/Status/'],
    ['GET', '/cluster/live'],
    ['POST', '/cluster/promote', '{"region":"eu-west"}'],
    ['POST', '/cluster/partition', '{"region":"eu-west"}'],
    ['POST', '/cluster/heal', '{"region":"eu-west"}'],
    ['POST', '/cluster/drill', '{"id":"abcdefgh","title":"A drill"}'],
    ['POST', '/cluster/drill/end', '{"id":"abcdefgh"}'],
    ['POST', '/cluster/drill/stop'],
    ['POST', '/cluster/retire-disk', '{"disk":"aaaaaaaaaaaaaaaa"}'],
    ['POST', '/cluster/verify'],
    ['POST', '/cluster/quarantine', '{"origin":"us-east@aaaaaaaaaaaaa","sequence":1}'],
    ['GET', '/cluster/quarantine'],
  ],
  metrics: [['GET', '/metrics']],
};
const names = { read: 'reader', write: 'writer', admin: 'operator', metrics: 'scraper' } as const;
const scopes = ['read', 'write', 'admin', 'metrics'] as const;

describe('keys of the public surface', () => {
  after(async () => {
    for (const { cluster, server } of started) {
      cluster.router.drain();
      await server.close();
      await cluster.router.close();
    }
  });

  const ask = (url: string, [method, path, body]: readonly [string, string, string?], authorization?: string) =>
    fetch(`${url}${path}`, {
      method,
      headers: {
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
        ...(authorization === undefined ? {} : { authorization }),
      },
      ...(body === undefined ? {} : { body }),
    });
  const calls = ({ cluster }: Started): number =>
    [...cluster.regions.values()].reduce((sum, region) => sum + region.calls, 0);
  const as = (name: string): string => `Bearer secret-of-${name}`;

  describe('of a file', () => {
    let router: Started;
    before(async () => {
      router = await start({ source, openMetrics: false });
    });
    for (const scope of scopes) {
      for (const request of requests[scope]) {
        const [method, path] = request;
        it(`${method} ${path} needs the scope ${scope}`, async () => {
          const before = calls(router);
          for (const authorization of [undefined, 'Bearer unknown', 'Basic abc', 'Bearer', as('expired')]) {
            const answer = await ask(router.server.url, request, authorization);
            assert.equal(answer.status, 401, authorization);
            assert.match(answer.headers.get('www-authenticate') ?? '', /^Bearer realm="tidaldb"/);
            assert.equal(answer.headers.get('content-type'), 'application/problem+json');
            if (method !== 'HEAD') assert.equal(((await answer.json()) as Problem).code, 'unauthenticated');
          }
          for (const other of scopes.filter((each) => each !== scope)) {
            const answer = await ask(router.server.url, request, as(names[other]));
            assert.equal(answer.status, 403);
            assert.match(
              answer.headers.get('www-authenticate') ?? '',
              new RegExp(`insufficient_scope", scope="${scope}"`),
            );
            if (method === 'HEAD') continue;
            const { code, detail } = (await answer.json()) as Problem;
            assert.equal(code, 'forbidden');
            assert.equal(detail, `this needs the scope ${scope}; the key ${names[other]} has ${other}`);
          }
          assert.equal(calls(router), before, 'a region was called');
          for (const scheme of ['Bearer', 'bearer', 'BEARER ']) {
            const answer = await ask(router.server.url, request, `${scheme} secret-of-${names[scope]}`);
            assert.ok(![401, 403].includes(answer.status), `${answer.status}`);
            await answer.arrayBuffer();
          }
        });
      }
    }

    it('health needs none, and only clients with a key learn whether a route exists', async () => {
      for (const path of ['/health', '/health/live', '/health/ready', '/openapi.json', '/', '/console/console.js']) {
        assert.ok([200, 503].includes((await ask(router.server.url, ['GET', path])).status), path);
      }
      for (const [method, path, status] of [
        ['GET', '/nowhere', 404],
        ['PUT', '/items/1', 405],
        ['POST', '/cluster/nowhere', 404],
        ['OPTIONS', '/feed', 405],
        ['POST', '/healthy', 404],
      ] as const) {
        assert.equal((await ask(router.server.url, [method, path])).status, 401, path);
        assert.equal((await ask(router.server.url, [method, path], as('scraper'))).status, status, path);
      }
    });

    it('are checked before the body is read, and before a parameter is', async () => {
      assert.equal((await ask(router.server.url, ['POST', '/items?x=1', 'no JSON'])).status, 401);
      assert.equal((await ask(router.server.url, ['POST', '/items?x=1', 'no JSON'], as('writer'))).status, 400);
      const { port } = new URL(router.server.url);
      const socket = connect(Number(port), '127.0.0.1');
      let said = '';
      socket.on('data', (chunk) => {
        said += String(chunk);
      });
      const head = ['POST /items HTTP/1.1', 'Host: x', 'Content-Type: application/json', 'Content-Length: 1000000'];
      socket.write(`${head.join('\r\n')}\r\nExpect: 100-continue\r\n\r\n`);
      await eventually('an answer without a body', () => said.includes('"unauthenticated"'));
      assert.match(said, /^HTTP\/1\.1 401 /);
      socket.destroy();
    });

    it('with a rate get 429 beyond it, and Retry-After says when', async () => {
      const request = ['GET', '/feed'] as const;
      assert.equal((await ask(router.server.url, request, as('slow'))).status, 200);
      const refused = await ask(router.server.url, request, as('slow'));
      assert.deepEqual([refused.status, refused.headers.get('retry-after')], [429, '2']);
      assert.equal(((await refused.json()) as Problem).code, 'rate_limited');
      assert.equal((await ask(router.server.url, request, as('reader'))).status, 200);
      router.clock.aheadMs += 2_000;
      assert.equal((await ask(router.server.url, request, as('slow'))).status, 200);
    });

    it('are counted, and so is what they refuse', async () => {
      const metrics = await (await ask(router.server.url, ['GET', '/metrics'], as('scraper'))).text();
      assert.match(metrics, /^tidal_router_keys\{.*\} 5$/m);
      for (const reason of ['no_key', 'unknown_key', 'expired_key', 'scope', 'rate']) {
        assert.match(
          metrics,
          new RegExp(`^tidal_router_access_refused_total\\{.*reason="${reason}"[^}]*\\} [1-9]`, 'm'),
        );
      }
    });

    it('a drill is an audit line when it begins, not at each extension of its lease', async () => {
      const { log } = router;
      const post = async (path: string, body: unknown) => {
        const answer = await fetch(router.server.url + path, {
          method: 'POST',
          headers: { 'content-type': 'application/json', authorization: as('operator') },
          body: JSON.stringify(body),
        });
        assert.equal(answer.status, 200);
      };
      const hold = () => post('/cluster/drill', { id: 'hgfedcba', title: 'A drill' });
      const lines = () => log.lines.filter(({ message }) => message === 'admin action').length;
      await post('/cluster/drill/stop', {});
      log.lines.length = 0;
      await hold();
      assert.equal(lines(), 1);
      await nextMillisecond();
      await hold();
      assert.equal(lines(), 1);
    });

    it('every admin action is an audit line: which key, what, the outcome, the request id', async () => {
      const { log } = router;
      const post = (path: string, body: string, authorization?: string, id = 'audit-1') =>
        fetch(`${router.server.url}${path}`, {
          method: 'POST',
          headers: {
            'content-type': 'application/json',
            'x-request-id': id,
            ...(authorization === undefined ? {} : { authorization }),
          },
          body,
        });
      log.lines.length = 0;
      await post('/cluster/partition', '{"region":"ap-south","heal_after":60}', as('operator'));
      await post('/cluster/partition', '{"region":"nowhere"}', as('operator'));
      await post('/cluster/promote', '{"region":"eu-west"}', as('writer'));
      await post('/cluster/promote', '{"region":"eu-west"}');
      await ask(router.server.url, ['GET', '/cluster/status'], as('operator'));
      const lines = log.lines.filter(({ message }) => message.startsWith('admin action'));
      assert.deepEqual(lines, [
        {
          level: 'info',
          message: 'admin action',
          fields: {
            key: 'operator',
            action: '/cluster/partition',
            fields: { region: 'ap-south', heal_after: '60' },
            outcome: 'done',
            request_id: 'audit-1',
          },
        },
        {
          level: 'info',
          message: 'admin action',
          fields: {
            key: 'operator',
            action: '/cluster/partition',
            fields: { region: 'nowhere' },
            outcome: 'unknown_region',
            request_id: 'audit-1',
          },
        },
        {
          level: 'warn',
          message: 'admin action refused',
          fields: {
            key: 'writer',
            action: '/cluster/promote',
            fields: undefined,
            outcome: 'forbidden',
            request_id: 'audit-1',
          },
        },
        {
          level: 'warn',
          message: 'admin action refused',
          fields: {
            key: null,
            action: '/cluster/promote',
            fields: undefined,
            outcome: 'unauthenticated',
            request_id: 'audit-1',
          },
        },
      ]);
    });

    it('the log names the key of each request, and no secret', async () => {
      const { log } = router;
      log.lines.length = 0;
      await ask(router.server.url, requests.write[0]!, as('writer'));
      await ask(router.server.url, ['POST', '/items', '{}'], as('writer'));
      const answered = log.lines.filter(({ message }) => message.startsWith('request '));
      assert.deepEqual(
        answered.map(({ message, fields }) => [message, fields.key, fields.route, fields.status]),
        [
          ['request answered', 'writer', '/items', 200],
          ['request refused', 'writer', '/items', 400],
        ],
      );
      assert.ok(!JSON.stringify(started.map((each) => each.log.lines)).includes('secret-of'));
    });
  });

  it('TIDAL_API_KEY is one for everything, beside those of a file', async () => {
    const router = await start({ single: 'the-one', source, openMetrics: false });
    for (const request of Object.values(requests).flat()) {
      const { status } = await ask(router.server.url, request, 'bearer the-one');
      assert.ok(![401, 403].includes(status), `${request.join(' ')}: ${status}`);
    }
    assert.equal((await ask(router.server.url, ['GET', '/feed'], as('reader'))).status, 200);
    assert.equal((await ask(router.server.url, ['GET', '/feed'], 'Bearer the-one2')).status, 401);
  });

  it('/metrics can be open beside them', async () => {
    const router = await start({ single: 'the-one', openMetrics: true });
    assert.equal((await ask(router.server.url, ['GET', '/metrics'])).status, 200);
    assert.equal((await ask(router.server.url, ['GET', '/cluster/status'])).status, 401);
  });

  it('without any, everything is answered, and audit lines name no key', async () => {
    const router = await start();
    for (const request of [...requests.read, ...requests.metrics, requests.admin[0]!]) {
      assert.equal((await ask(router.server.url, request, 'Basic ignored')).status, 200, request.join(' '));
    }
    await ask(router.server.url, requests.admin[3]!);
    const [line] = router.log.lines.filter(({ message }) => message === 'admin action');
    assert.equal(line?.fields.key, null);
  });
});
