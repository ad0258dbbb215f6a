/**
 * What one client can do to a cluster of real processes by what it sends: nothing. Each input is refused, or answered, as it
 * should be; the log grows by what was accepted and by nothing else; others are served meanwhile; memory and log stay small.
 */
import assert from 'node:assert/strict';
import { connect, type Socket } from 'node:net';
import type { Problem } from '../../shared/errors/errors.ts';
import { internalHeaders } from '../harness/clients/internal.ts';
import { eventually } from '../harness/kernel/eventually.ts';
import { Cluster } from '../harness/processes/cluster.ts';

const LEADER = 'us-east';
const QUEUE_LIMIT = 1_000;
const MIB = 1024 * 1024;
const signal = '{"entity_id":1,"signal":"view"}';
const json = 'application/json';
const ndjson = 'application/x-ndjson';

interface Page {
  readonly items: readonly { readonly entity_id: number }[];
  readonly next_cursor: string | null;
}

describe('hostile requests', function () {
  this.timeout(180_000);
  let cluster: Cluster;
  const sockets: Socket[] = [];

  before(async () => {
    const env = { TIDAL_INTAKE_QUEUE_LIMIT: String(QUEUE_LIMIT) };
    cluster = await Cluster.start({ mains: { [LEADER]: { main: 'services/region/main.js', env } } });
    assert.equal((await cluster.post('/items', { entity_id: 1, metadata: { title: 'Blue Train' } })).status, 200);
  });
  afterEach(() => {
    for (const socket of sockets.splice(0)) socket.destroy();
  });
  after(() => cluster?.stop());

  const logLength = async (): Promise<number> => (await cluster.status()).relay_log_len;
  const urls = (): string[] => [cluster.url, ...cluster.regionUrls.values()];
  const gauge = async (url: string, name: string): Promise<number> => {
    const text = await (await fetch(`${url}/metrics`)).text();
    return Number(new RegExp(`^${name}\\{[^}]*\\} (\\S+)$`, 'm').exec(text)?.[1]);
  };
  const memory = (): Promise<number[]> => Promise.all(urls().map((url) => gauge(url, 'process_resident_memory_bytes')));

  /** A connection, and the data received on it until it is closed or `enough`. */
  const raw = (text: string, enough?: RegExp, localAddress = '127.0.0.1'): Promise<string> =>
    new Promise((resolve) => {
      const socket = connect({ port: Number(new URL(cluster.url).port), host: '127.0.0.1', localAddress });
      sockets.push(socket);
      let got = '';
      socket.on('data', (chunk: Buffer) => {
        got += chunk.toString('latin1');
        if (enough?.test(got) === true) resolve(got);
      });
      socket.on('close', () => resolve(got));
      socket.on('error', () => {});
      socket.write(text);
    });

  const send = (path: string, type: string, body: string, headers: Readonly<Record<string, string>> = {}) =>
    cluster.post<Problem>(path, body, { 'content-type': type, ...headers });

  const refused: readonly (readonly [what: string, path: string, type: string, body: string, status: number])[] = [
    ['2,000,000 brackets', '/items', json, '['.repeat(2_000_000), 400],
    ['a nested query', '/search', json, `{"query":${'['.repeat(1_000_000)}`, 400],
    ['a nested drill', '/cluster/partition', json, `{"region":${'['.repeat(10_000)}`, 400],
    ['nested lines', '/signals', ndjson, `${'['.repeat(1_000)}\n`.repeat(2_000), 400],
    ['200,000 members', '/items', json, `{${'"k":1,'.repeat(200_000)}"k":1}`, 400],
    ['690,000 arrays', '/items', json, `[${'[],'.repeat(690_000)}[]]`, 400],
    ['2,000,000 blank lines', '/signals', ndjson, '\n'.repeat(2_000_000), 400],
    [
      'a day that does not exist',
      '/signals',
      json,
      '{"entity_id":1,"signal":"view","timestamp":"2026-02-30T00:00:00Z"}',
      400,
    ],
    ['seconds for milliseconds', '/signals', ndjson, '{"entity_id":1,"signal":"view","timestamp":1768507200}', 400],
    ['an integer that changes', '/items', json, '{"entity_id":2,"metadata":{"tweet":9007199254740993}}', 400],
    [
      'an integer that changes, in a line',
      '/items',
      ndjson,
      '{"entity_id":2,"metadata":{"tweet":9007199254740993}}',
      400,
    ],
    ['a number beyond all', '/items', json, '[{"entity_id":2,"metadata":{"n":1e400}}]', 400],
    ['an id that is rounded', '/items', json, '{"entity_id":9007199254740990.6,"metadata":{}}', 400],
    ['a weight off its step', '/signals', ndjson, '{"entity_id":1,"signal":"view","weight":0.0005}', 400],
    ['a bulk that never finds room', '/signals', ndjson, `${signal}\n`.repeat(QUEUE_LIMIT + 1), 413],
    ['a keyed bulk that never finds room', '/signals', json, `[${`${signal},`.repeat(QUEUE_LIMIT)}${signal}]`, 413],
    ['a body beyond the limit', '/items', json, ' '.repeat(2 * MIB + 1), 413],
  ];
  for (const [what, path, type, body, status] of refused) {
    it(`${what}: ${status}, and nothing is changed`, async () => {
      const before = await logLength();
      const answer = await send(path, type, body, what.includes('keyed') ? { 'idempotency-key': 'hostile' } : {});
      assert.equal(answer.status, status, JSON.stringify(answer.body));
      assert.match(answer.headers.get('content-type') ?? '', /problem\+json/);
      assert.equal(await logLength(), before);
    });
  }

  it('the limit is named if a bulk can never be accepted', async () => {
    const { body } = await send('/signals', ndjson, `${signal}\n`.repeat(QUEUE_LIMIT + 1));
    assert.match(body.detail, new RegExp(`at most ${QUEUE_LIMIT} `));
    assert.equal((await send('/signals', ndjson, `${signal}\n`.repeat(QUEUE_LIMIT))).status, 200);
  });

  it('a region refuses what is nested too deeply as its router does', async () => {
    for (const path of ['/internal/writes', '/internal/partition', '/search']) {
      const answer = await fetch(`${cluster.regionUrls.get(LEADER)}${path}`, {
        method: 'POST',
        headers: { 'content-type': json, ...internalHeaders },
        body: `{"epoch":${'['.repeat(500_000)}`,
      });
      assert.equal(answer.status, 400);
      assert.match(await answer.text(), /nested more than 16 deep/);
    }
  });

  const raws: readonly (readonly [what: string, sent: string, status: number])[] = [
    ['an unknown expectation', `POST /signals HTTP/1.1\r\nhost: x\r\nexpect: tea\r\ncontent-length: 2\r\n\r\n{}`, 417],
    ['no Host', 'GET /feed HTTP/1.1\r\n\r\n', 400],
    ['two Hosts', 'GET /feed HTTP/1.1\r\nhost: a\r\nhost: b\r\n\r\n', 400],
    ['CONNECT', 'CONNECT x:1 HTTP/1.1\r\nhost: x:1\r\n\r\n', 405],
    [
      'a declared length over the limit',
      'POST /signals HTTP/1.1\r\nhost: x\r\nexpect: 100-continue\r\ncontent-type: application/json\r\ncontent-length: 99999999\r\n\r\n',
      413,
    ],
    [
      'a key behind 2,100 headers',
      `POST /signals HTTP/1.1\r\nhost: x\r\n${'a1: b\r\n'.repeat(2_100)}idempotency-key: late\r\ncontent-type: application/json\r\ncontent-length: ${signal.length}\r\n\r\n${signal}`,
      431,
    ],
  ];
  for (const [what, sent, status] of raws) {
    it(`${what}: ${status} at once, as a problem with a request id, and nothing is changed`, async () => {
      const before = await logLength();
      const answer = await raw(sent, /\}$/);
      assert.match(answer, new RegExp(`^HTTP/1.1 ${status} `));
      assert.match(answer, /application\/problem\+json/);
      assert.match(answer, /x-request-id: \S/);
      assert.equal(await logLength(), before);
    });
  }

  it('a client that closes its half after a keyed write gets its answer, and the write counts once', async () => {
    const before = await logLength();
    const request = `POST /signals HTTP/1.1\r\nhost: x\r\nidempotency-key: half\r\ncontent-type: application/json\r\ncontent-length: ${signal.length}\r\n\r\n${signal}`;
    for (const replayed of [false, true]) {
      const answer = await new Promise<string>((resolve) => {
        const socket = connect({ port: Number(new URL(cluster.url).port), host: '127.0.0.1', allowHalfOpen: true });
        sockets.push(socket);
        let got = '';
        socket.on('data', (chunk: Buffer) => {
          got += chunk.toString();
        });
        socket.on('end', () => resolve(got));
        socket.end(request);
      });
      assert.match(answer, /^HTTP\/1.1 200 /);
      assert.equal(answer.includes('"replayed":true'), replayed);
    }
    assert.equal(await logLength(), before + 1);
  });

  it('4,200 uploads of one byte close nothing for others', async () => {
    const before = await logLength();
    const upload =
      'POST /items HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 2000000\r\n\r\n{';
    // Of addresses that each have as many as they may.
    for (let count = 0; count < 4_200; count++) void raw(upload, undefined, `127.0.0.${2 + (count % 2)}`);
    await eventually(
      'they are on their way',
      async () => (await gauge(cluster.url, 'tidal_http_bodies_arriving')) > 500,
      60_000,
    );
    for (let count = 0; count < 10; count++) {
      for (const path of ['/feed', '/items/1', '/cluster/status', '/health']) {
        assert.equal((await cluster.get(path)).status, 200, path);
      }
      assert.equal((await send('/signals', json, signal)).status, 200);
    }
    assert.ok((await gauge(cluster.url, 'tidal_http_bodies_arriving')) <= 1_024);
    for (const socket of sockets.splice(0)) socket.destroy();
    // One whose end got lost as it was accepted goes with its 15 s.
    const arriving = (): Promise<number> => gauge(cluster.url, 'tidal_http_bodies_arriving');
    await eventually('they are forgotten', async () => (await arriving()) === 0, 25_000);
    assert.equal(await logLength(), before + 10);
    const warnings = cluster.process('router').lines.filter((line) => line.includes('"level":"warn"'));
    assert.ok(warnings.length < 100, `${warnings.length} warnings`);
  });

  it('pages of large items are bounded, and sixteen at once are all answered', async () => {
    const text = 'x'.repeat(250_000);
    for (let entity = 100; entity < 160; entity++) {
      assert.equal(
        (await cluster.post('/items', { entity_id: entity, metadata: { title: 'large', text } })).status,
        200,
      );
    }
    const before = await memory();
    for (let round = 0; round < 3; round++) {
      const pages = await Promise.all(
        Array.from({ length: 16 }, async () => {
          const answer = await fetch(`${cluster.url}/feed?profile=new&limit=200`);
          assert.equal(answer.status, 200);
          const body = await answer.text();
          assert.ok(body.length <= 4 * MIB, `${body.length} bytes`);
          return JSON.parse(body) as Page;
        }),
      );
      for (const { items, next_cursor } of pages) {
        assert.ok(items.length >= 15);
        assert.notEqual(next_cursor, null);
      }
    }
    await eventually('no answer is in memory', async () => (await gauge(cluster.url, 'tidal_http_answer_bytes')) === 0);
    const grown = (await memory()).map((bytes, index) => Math.round((bytes - before[index]!) / MIB));
    // 48 answers of 50 MB would be 2.4 GB.
    assert.ok(Math.max(...grown) < 400, `${grown.join(', ')} MiB`);
  });

  it('broken-off uploads are lines of the log by the minute, not by the request', async () => {
    const { lines } = cluster.process('router');
    const before = lines.length;
    for (let round = 0; round < 10; round++) {
      const broken = Array.from({ length: 50 }, () =>
        raw('POST /items HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 50\r\n\r\n{'),
      );
      for (const socket of sockets.splice(0)) socket.end();
      await Promise.all(broken);
    }
    assert.ok(lines.length - before < 20, `${lines.length - before} lines`);
  });

  it('after all of it the cluster is whole: healthy, converged, its counts those of what was accepted', async () => {
    await cluster.settled();
    await cluster.converged();
    const { body } = await cluster.get<{ signals: { view: { all: number } } }>('/items/1');
    // A whole queue, the keyed one, and those beside the uploads.
    assert.equal(body.signals.view.all, QUEUE_LIMIT + 1 + 10);
    for (const url of urls()) assert.equal((await fetch(`${url}/health/live`)).status, 200);
  });
});
