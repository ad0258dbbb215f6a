/** Browsers and bandwidth: pages of other origins, compressed answers and bodies, and answers that a client has already. */
import assert from 'node:assert/strict';
import { type IncomingHttpHeaders, request } from 'node:http';
import { brotliCompressSync, deflateSync, gunzipSync, gzipSync } from 'node:zlib';
import { eventually } from '../harness/kernel/eventually.ts';
import { Cluster } from '../harness/processes/cluster.ts';

interface Raw {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: Buffer;
}

const PAGE = 'https://films.example';
const json = { 'content-type': 'application/json' };

describe('browsers and bandwidth', function () {
  this.timeout(60_000);
  let cluster: Cluster;

  before(async () => {
    cluster = await Cluster.start({
      environment: { TIDAL_API_KEY: 'the-key-of-all', TIDAL_CORS_ORIGINS: `${PAGE}, http://localhost:3000` },
    });
  });
  after(() => cluster?.stop());

  /** As it is on the wire. */
  const ask = (
    method: string,
    path: string,
    headers: Record<string, string> = {},
    body?: Uint8Array | string,
    isKeyed = true,
  ): Promise<Raw> =>
    new Promise((resolve, reject) => {
      const key = isKeyed ? { authorization: 'Bearer the-key-of-all' } : {};
      const sent = request(`${cluster.url}${path}`, { method, headers: { ...key, ...headers } }, (answer) => {
        const parts: Buffer[] = [];
        answer.on('data', (part: Buffer) => parts.push(part));
        answer.on('error', reject);
        answer.on('end', () =>
          resolve({ status: answer.statusCode ?? 0, headers: answer.headers, body: Buffer.concat(parts) }),
        );
      });
      sent.on('error', reject);
      sent.end(body);
    });
  const problem = ({ status, body }: Raw): unknown[] => [
    status,
    (JSON.parse(body.toString()) as { code: string }).code,
  ];
  const put = (entity_id: number, metadata: unknown): Promise<Raw> =>
    ask('POST', '/items', json, JSON.stringify({ entity_id, metadata }));

  it('a preflight request needs no key, and says what pages of the accepted origins may do', async () => {
    const preflight = { origin: PAGE, 'access-control-request-method': 'PATCH' };
    for (const path of ['/items/1', '/feed', '/search', '/nothing']) {
      const { status, headers, body } = await ask('OPTIONS', path, preflight, undefined, false);
      assert.deepEqual([status, body.length], [204, 0]);
      assert.equal(headers['access-control-allow-origin'], PAGE);
      assert.match(headers['access-control-allow-methods'] ?? '', /\bPATCH\b.*\bDELETE\b/);
      assert.match(headers['access-control-allow-headers'] ?? '', /Authorization.*Idempotency-Key.*If-None-Match/);
      assert.equal(headers['access-control-max-age'], '600');
      assert.equal(headers.vary, 'Origin');
      assert.equal(headers['access-control-allow-credentials'], undefined);
    }
    for (const origin of ['https://evil.example', 'null', `${PAGE}.evil.example`, PAGE.toUpperCase()]) {
      const { status, headers } = await ask('OPTIONS', '/feed', { ...preflight, origin }, undefined, false);
      assert.equal(status, 401);
      assert.equal(headers['access-control-allow-origin'], undefined);
      assert.equal(headers.vary, 'Origin');
    }
  });

  it('answers, refusals too, can be read by pages of the accepted origins alone, and still need a key', async () => {
    const shown = (answer: Raw) => [answer.status, answer.headers['access-control-allow-origin']];
    const from = (origin: string) => ({ origin });
    assert.deepEqual(shown(await ask('GET', '/feed', from(PAGE))), [200, PAGE]);
    assert.deepEqual(shown(await ask('GET', '/feed', from('http://localhost:3000'))), [200, 'http://localhost:3000']);
    assert.deepEqual(shown(await ask('GET', '/feed', from('http://localhost:3001'))), [200, undefined]);
    assert.deepEqual(shown(await ask('GET', '/feed')), [200, undefined]);
    assert.deepEqual(shown(await ask('GET', '/feed', from(PAGE), undefined, false)), [401, PAGE]);
    assert.deepEqual(shown(await ask('GET', '/items/404', from(PAGE))), [404, PAGE]);
    assert.deepEqual(shown(await ask('GET', '/nothing', from(PAGE))), [404, PAGE]);
    assert.deepEqual(shown(await ask('POST', '/items', { ...from(PAGE), ...json }, '{')), [400, PAGE]);
    assert.deepEqual(shown(await ask('GET', '/health', from(PAGE), undefined, false)), [200, PAGE]);
    const { headers } = await ask('GET', '/feed', from(PAGE));
    assert.match(headers['access-control-expose-headers'] ?? '', /ETag.*Retry-After.*X-Request-Id/);
    assert.match(headers.vary ?? '', /Origin/);
  });

  it('answers above 1 KiB are compressed for clients that accept it, by their preference', async () => {
    const words = Array.from({ length: 400 }, (_, n) => `word${n}`).join(' ');
    assert.equal((await put(1, { title: 'long', words })).status, 200);
    assert.equal((await put(2, { title: 'short' })).status, 200);
    const plain = await ask('GET', '/items/1');
    assert.equal(plain.headers['content-encoding'], undefined);
    assert.match(plain.headers.vary ?? '', /Accept-Encoding/);
    assert.ok(plain.body.length > 1_024);
    const metadataOf = (body: Buffer): unknown => (JSON.parse(body.toString()) as { metadata: unknown }).metadata;
    const gzip = [
      'gzip',
      'x-gzip',
      'gzip;q=0.5, identity;q=0.4',
      'br, gzip',
      'deflate, *;q=0.1',
      'GZIP',
      'zstd;q=0, *',
    ];
    for (const accepted of gzip) {
      const { headers, body } = await ask('GET', '/items/1', { 'accept-encoding': accepted });
      // Where Node has zstd, a client that accepts anything gets it.
      if (accepted === 'deflate, *;q=0.1' && headers['content-encoding'] === 'zstd') continue;
      assert.equal(headers['content-encoding'], 'gzip', accepted);
      assert.equal(Number(headers['content-length']), body.length);
      assert.equal(headers['content-type'], 'application/json; charset=utf-8');
      assert.ok(body.length < plain.body.length / 2);
      assert.deepEqual(metadataOf(gunzipSync(body)), metadataOf(plain.body));
    }
    for (const accepted of ['', 'identity', 'br', 'gzip;q=0', 'gzip;q=0.4, identity;q=0.5', 'gzip;q=nonsense', ';,;']) {
      const { headers, body } = await ask('GET', '/items/1', { 'accept-encoding': accepted });
      assert.equal(headers['content-encoding'], undefined, accepted);
      assert.deepEqual(metadataOf(body), metadataOf(plain.body));
    }
    const short = await ask('GET', '/items/2', { 'accept-encoding': 'gzip' });
    assert.equal(short.headers['content-encoding'], undefined);
    const head = await ask('HEAD', '/items/1', { 'accept-encoding': 'gzip' });
    assert.deepEqual([head.headers['content-encoding'], head.body.length], ['gzip', 0]);
    const metrics = await ask('GET', '/metrics', { 'accept-encoding': 'gzip' });
    assert.match(gunzipSync(metrics.body).toString(), /tidal_http_requests_total/);
  });

  it('bodies in gzip are read as those that are not compressed, in every route', async () => {
    const gzip = { ...json, 'content-encoding': 'gzip' };
    const ndjson = { 'content-type': 'application/x-ndjson', 'content-encoding': 'x-gzip' };
    const items = Array.from({ length: 500 }, (_, n) => ({ entity_id: 100 + n, metadata: { title: `zipped ${n}` } }));
    const lines = items.map(({ entity_id }) => JSON.stringify({ entity_id, signal: 'view' })).join('\n');
    const writes = [
      await ask('POST', '/items', gzip, gzipSync(JSON.stringify(items))),
      await ask('POST', '/signals', ndjson, gzipSync(lines)),
      await ask('PATCH', '/items/100', gzip, gzipSync('{"metadata":{"patched":true}}')),
      await ask('POST', '/items', { ...json, 'content-encoding': 'identity' }, '{"entity_id":3,"metadata":{}}'),
      // Several members are one body.
      await ask('POST', '/items', gzip, Buffer.concat([gzipSync('{"entity_id":4,'), gzipSync('"metadata":{}}')])),
    ];
    assert.deepEqual(
      writes.map(({ status, body }) => [status, (JSON.parse(body.toString()) as { accepted: number }).accepted]),
      [500, 500, 1, 1, 1].map((accepted) => [200, accepted]),
    );
    const search = await ask('POST', '/search', gzip, gzipSync('{"query":"zipped","limit":1}'));
    assert.equal((JSON.parse(search.body.toString()) as { total_matched: number }).total_matched, 500);
    const item = await ask('GET', '/items/100');
    const { metadata, signals } = JSON.parse(item.body.toString()) as { metadata: unknown; signals: { view: unknown } };
    assert.deepEqual(metadata, { title: 'zipped 0', patched: true });
    assert.equal((signals.view as { all: number }).all, 1);
  });

  it('the limit of a body counts what comes out: a bomb is refused, and nothing waits for it', async () => {
    const gzip = { ...json, 'content-encoding': 'gzip' };
    const fits = `{"entity_id":5,"metadata":{}}${' '.repeat(2 * 1024 * 1024 - 29)}`;
    assert.equal((await ask('POST', '/items', gzip, gzipSync(fits))).status, 200);
    assert.deepEqual(problem(await ask('POST', '/items', gzip, gzipSync(`${fits} `))), [413, 'body_too_large']);
    const bomb = gzipSync(Buffer.alloc(256 << 20));
    assert.ok(bomb.length < 2 * 1024 * 1024);
    const startMs = performance.now();
    const answers = await Promise.all(
      Array.from({ length: 8 }, (_, n) => ask('POST', n % 2 === 0 ? '/items' : '/feed', gzip, bomb)),
    );
    const live = await ask('GET', '/health/live', {}, undefined, false);
    assert.equal(live.status, 200);
    for (const answer of answers) {
      assert.deepEqual(problem(answer), [413, 'body_too_large']);
      assert.match(answer.body.toString(), /inflated/);
    }
    assert.ok(performance.now() - startMs < 5_000, 'it is not inflated whole');
    await eventually('no bytes of bodies are counted any more', async () => {
      const { body } = await ask('GET', '/metrics');
      return /^tidal_http_body_bytes\S* 0$/m.test(body.toString());
    });
  });

  it('what is not of its coding is refused, and so are other codings', async () => {
    const sent = (coding: string, body: Uint8Array | string) =>
      ask('POST', '/items', { ...json, 'content-encoding': coding }, body);
    const item = '{"entity_id":6,"metadata":{}}';
    assert.deepEqual(problem(await sent('gzip', item)), [400, 'invalid_request']);
    assert.deepEqual(problem(await sent('gzip', '')), [400, 'invalid_request']);
    assert.deepEqual(problem(await sent('gzip', gzipSync(item).subarray(0, -6))), [400, 'invalid_request']);
    assert.deepEqual(problem(await sent('gzip', deflateSync(item))), [400, 'invalid_request']);
    for (const [coding, body] of [
      ['br', brotliCompressSync(item)],
      ['deflate', deflateSync(item)],
      ['gzip, gzip', gzipSync(gzipSync(item))],
      ['utf-8', item],
    ] as const) {
      const answer = await sent(coding, body);
      assert.deepEqual(problem(answer), [415, 'unsupported_media_type'], coding);
      assert.match(answer.body.toString(), /identity, gzip/);
    }
    assert.deepEqual(problem(await ask('GET', '/items/6')), [404, 'unknown_item']);
  });

  it('an answer that the client has is not sent again, until it would be another one', async () => {
    await put(7, { title: 'seven', group: 'tagged' });
    const paths = ['/items/7', '/items?ids=7,404', '/feed?profile=new&filter=group:tagged', '/search?query=seven'];
    for (const path of paths) {
      const first = await ask('GET', path);
      const { etag } = first.headers;
      assert.match(etag ?? '', /^W\/"[\w-]{22}"$/, path);
      assert.equal(first.headers['cache-control'], 'private, no-cache');
      // Lists count what changes by the millisecond as the same within a minute, which may just end.
      const again = async (tag: string): Promise<Raw> => ask('GET', path, { 'if-none-match': tag, origin: PAGE });
      const same = await again(etag!);
      if (same.status === 200)
        assert.notEqual(new Date().getUTCMinutes(), new Date(first.headers.date!).getUTCMinutes());
      else {
        assert.deepEqual([same.status, same.body.length], [304, 0]);
        assert.equal(same.headers.etag, etag);
        assert.equal(same.headers['access-control-allow-origin'], PAGE);
        assert.equal((await again(`"other", ${etag}`)).status, 304);
        assert.equal((await ask('HEAD', path, { 'if-none-match': etag! })).status, 304);
      }
      assert.equal((await again('"other"')).status, 200);
      assert.equal((await again('*')).status, 304);
    }
    const tags = async (): Promise<(string | undefined)[]> =>
      Promise.all(paths.map(async (path) => (await ask('GET', path)).headers.etag));
    const changes: readonly (readonly [what: string, change: () => Promise<Raw>])[] = [
      ['metadata', () => ask('PATCH', '/items/7', json, '{"metadata":{"more":1}}')],
      ['signals', () => ask('POST', '/signals', json, '{"entity_id":7,"signal":"view"}')],
    ];
    for (const [what, change] of changes) {
      const before = await tags();
      assert.equal((await change()).status, 200);
      const after = await tags();
      for (const [index, tag] of after.entries()) assert.notEqual(tag, before[index], `${what} of ${paths[index]}`);
    }
    const posted = await ask('POST', '/search', { ...json, 'if-none-match': '*' }, '{"query":"seven"}');
    assert.deepEqual([posted.status, posted.headers.etag], [200, undefined]);
  });
});
