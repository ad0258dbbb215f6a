import assert from 'node:assert/strict';
import type { JournalAnswer } from '../../../../services/router/journal/journal.ts';
import type { Problem, ProblemCode } from '../../../../shared/errors/errors.ts';
import { type Listening, listen } from '../../../../shared/http/http-server.ts';
import type { Clock } from '../../../../shared/kernel/kernel.ts';
import { systemClock, systemRandom } from '../../../../shared/kernel/system.ts';
import { createMetrics } from '../../../../shared/observe/metrics.ts';
import { fromWire, toWire } from '../../../../shared/protocol/writes.ts';
import { eventually } from '../../../harness/kernel/eventually.ts';
import { silentLog } from '../../../harness/observe/silent-log.ts';
import { type MemoryCluster, memoryCluster } from '../../../harness/router/memory-cluster.ts';
import type { MemoryRegion } from '../../../harness/router/memory-region.ts';

const json = { 'content-type': 'application/json' };
const ndjson = { 'content-type': 'application/x-ndjson' };

interface Row {
  readonly what: string;
  readonly method?: string;
  readonly path: string;
  readonly headers?: Record<string, string>;
  readonly body?: string;
  readonly status: number;
  readonly code: ProblemCode;
  /** What the answer must say. */
  readonly says?: RegExp;
}

const post = (what: string, path: string, body: string, code: ProblemCode, status = 400, says?: RegExp): Row => ({
  what,
  method: 'POST',
  path,
  headers: json,
  body,
  status,
  code,
  ...(says === undefined ? {} : { says }),
});

const signal = '{"entity_id":1,"signal":"view"}';

/** Issue 2, point 10: each is refused as documented, and no region is asked. */
const rows: readonly Row[] = [
  post('broken JSON', '/items', '{"entity_id":1,', 'invalid_json', 400, /position 15/),
  post('an empty body', '/items', '', 'invalid_json', 400, /empty/),
  post('bytes that are not JSON', '/signals', '\u0000\u0001', 'invalid_json'),
  post('NaN', '/signals', '{"entity_id":1,"signal":"view","weight":NaN}', 'invalid_json', 400, /position 40/),
  post('Infinity', '/signals', '{"entity_id":1,"signal":"view","weight":Infinity}', 'invalid_json'),
  post('a number beyond 64 bits', '/signals', '{"entity_id":1,"signal":"view","weight":1e999}', 'invalid_request'),
  post(
    'an infinite embedding value',
    '/embeddings',
    '{"entity_id":1,"values":[1e999]}',
    'invalid_request',
    400,
    /values\[0\]/,
  ),
  post(
    'an embedding value beyond 32 bits',
    '/embeddings',
    '{"entity_id":1,"values":[0,1e39]}',
    'invalid_request',
    400,
    /values\[1\]/,
  ),
  post('null in an embedding', '/embeddings', '{"entity_id":1,"values":[null]}', 'invalid_request'),
  post('an empty embedding', '/embeddings', '{"entity_id":1,"values":[]}', 'invalid_request'),
  post('a text for an id', '/items', '{"entity_id":"1","metadata":{}}', 'invalid_request', 400, /entity_id/),
  post('a negative id', '/items', '{"entity_id":-1,"metadata":{}}', 'invalid_request'),
  post('an id of 2^53', '/items', '{"entity_id":9007199254740992,"metadata":{}}', 'invalid_request'),
  post('a fractional id', '/items', '{"entity_id":1.5,"metadata":{}}', 'invalid_request'),
  post('no id', '/items', '{"metadata":{}}', 'invalid_request'),
  post('no metadata', '/items', '{"entity_id":1}', 'invalid_request', 400, /metadata/),
  post('nested metadata', '/items', '{"entity_id":1,"metadata":{"a":{"b":1}}}', 'invalid_request', 400, /metadata\.a/),
  post('null in metadata', '/items', '{"entity_id":1,"metadata":{"a":null}}', 'invalid_request'),
  post('numbers in a metadata array', '/items', '{"entity_id":1,"metadata":{"a":[1]}}', 'invalid_request'),
  post('an unknown field', '/items', '{"entity_id":1,"metadata":{},"colour":1}', 'unknown_field', 400, /colour/),
  post('an unknown field called __proto__', '/items', '{"entity_id":1,"metadata":{},"__proto__":1}', 'unknown_field'),
  post('a top-level text', '/items', '"x"', 'invalid_request'),
  post('null', '/items', 'null', 'invalid_request'),
  post('no signal', '/signals', '{"entity_id":1}', 'invalid_request', 400, /signal/),
  post('a signal name of 10,000', '/signals', `{"entity_id":1,"signal":"${'x'.repeat(10_000)}"}`, 'invalid_request'),
  post('a negative weight', '/signals', '{"entity_id":1,"signal":"view","weight":-1}', 'invalid_request'),
  post('a weight beyond 10,000', '/signals', '{"entity_id":1,"signal":"view","weight":10000.5}', 'invalid_request'),
  post('a weight below its step', '/signals', '{"entity_id":1,"signal":"view","weight":0.0001}', 'invalid_request'),
  post('a time that is not one', '/signals', '{"entity_id":1,"signal":"view","timestamp":"now"}', 'invalid_request'),
  post('a user context', '/signals', '{"entity_id":1,"signal":"view","user_id":4}', 'context_not_replicated'),
  post('a creator context', '/signals', '{"entity_id":1,"signal":"view","creator_id":4}', 'context_not_replicated'),
  post(
    'a parameter of a write',
    '/signals?region=us-east',
    signal,
    'invalid_request',
    400,
    /region is not a parameter/,
  ),
  post(
    'a parameter of a drill',
    '/cluster/heal?x=1',
    '{"region":"us-east"}',
    'invalid_request',
    400,
    /x is not a parameter/,
  ),
  post('an empty array', '/signals', '[]', 'invalid_request', 400, /at least one/),
  post('an array with one bad write', '/signals', `[${signal},{"entity_id":2}]`, 'invalid_request', 400, /\[1\]/),
  post('an array in an array', '/signals', `[[${signal}]]`, 'invalid_request', 400, /\[0\]/),
  { ...post('a bad line', '/signals', `${signal}\n{"entity_id":}\n`, 'invalid_json', 400, /line 2/), headers: ndjson },
  {
    ...post(
      'a bad line behind blank ones',
      '/signals',
      `\n${signal}\n \t\r\n\n{"entity_id":2}\n`,
      'invalid_request',
      400,
      /line 5/,
    ),
    headers: ndjson,
  },
  {
    ...post('blank lines alone', '/signals', '\n \n\r\n', 'invalid_request', 400, /no lines.*at least one/),
    headers: ndjson,
  },
  {
    ...post(
      'a line with a changed number',
      '/items',
      '\n{"entity_id":1,"metadata":{"t":9007199254740993}}',
      'invalid_request',
      400,
      /line 2: metadata\.t is 9007199254740993/,
    ),
    headers: ndjson,
  },
  post(
    'a number that would change',
    '/items',
    '{"entity_id":1,"metadata":{"tweet":9007199254740993}}',
    'invalid_request',
    400,
    /metadata\.tweet is 9007199254740993/,
  ),
  post(
    'a number that would change, in an array',
    '/items',
    '[{"entity_id":1,"metadata":{}},{"entity_id":1,"metadata":{"tweet":-0}}]',
    'invalid_request',
    400,
    /\[1\]: metadata\.tweet is -0/,
  ),
  post(
    'an id that is rounded to a whole one',
    '/items',
    '{"entity_id":9007199254740990.6,"metadata":{}}',
    'invalid_request',
    400,
    /entity_id/,
  ),
  post(
    'a day that does not exist',
    '/signals',
    '{"entity_id":1,"signal":"view","timestamp":"2026-02-30T00:00:00Z"}',
    'invalid_request',
    400,
    /timestamp must be an RFC 3339 time/,
  ),
  post(
    'seconds',
    '/signals',
    '{"entity_id":1,"signal":"view","timestamp":1768507200}',
    'invalid_request',
    400,
    /timestamp must be integer milliseconds.*as seconds are/,
  ),
  {
    ...post(
      'seconds in a line',
      '/signals',
      '{"entity_id":1,"signal":"view","timestamp":1768507200}',
      'invalid_request',
      400,
      /line 1: timestamp must be integer milliseconds/,
    ),
    headers: ndjson,
  },
  {
    ...post(
      'a weight off its step in a line',
      '/signals',
      '{"entity_id":1,"signal":"view","weight":0.0005}',
      'invalid_request',
      400,
      /line 1: weight must be a multiple/,
    ),
    headers: ndjson,
  },
  post('2,000,000 brackets', '/items', '['.repeat(2_000_000), 'invalid_request', 400, /nested/),
  post('a nested query', '/search', `{"query":${'['.repeat(1_000_000)}`, 'invalid_request', 400, /nested/),
  post('a nested region', '/cluster/promote', `{"region":${'{"a":'.repeat(2_000)}`, 'invalid_request', 400, /nested/),
  post('200,000 members', '/items', `{${'"k":1,'.repeat(200_000)}"k":1}`, 'invalid_request', 400, /1024 members/),
  { ...post('no line', '/signals', '', 'invalid_request', 400, /at least one/), headers: ndjson },
  post(
    'too many writes',
    '/items',
    `[${'1,'.repeat(20_000)}1]`,
    'invalid_request',
    400,
    /limit of a bulk is 20000 writes/,
  ),
  post('a body beyond 2 MiB', '/items', `"${'x'.repeat(2 * 1024 * 1024)}"`, 'body_too_large', 413, /2097152/),
  {
    ...post('another content type', '/items', signal, 'unsupported_media_type', 415),
    headers: { 'content-type': 'text/xml' },
  },
  {
    ...post(
      'a form, as curl sends without a header',
      '/items',
      signal,
      'unsupported_media_type',
      415,
      /application\/json/,
    ),
    headers: { 'content-type': 'application/x-www-form-urlencoded' },
  },
  {
    ...post('a body in an unknown coding', '/items', signal, 'unsupported_media_type', 415, /identity, gzip/),
    headers: { ...json, 'content-encoding': 'br' },
  },
  {
    ...post('a body that is not of its coding', '/items', signal, 'invalid_request', 400, /not gzip/),
    headers: { ...json, 'content-encoding': 'gzip' },
  },
  ...[
    ['an empty idempotency key', ''],
    ['an idempotency key with a space', 'a b'],
    ['an idempotency key of 256', 'k'.repeat(256)],
    ['an idempotency key beyond ASCII', 'k\u00e9'],
  ].map(([what, key]) => ({
    ...post(what!, '/signals', signal, 'invalid_request', 400, /1 to 255 visible ASCII characters/),
    headers: { ...json, 'idempotency-key': key! },
  })),
  {
    what: 'an empty idempotency key of a delete',
    method: 'DELETE',
    path: '/items/1',
    headers: { 'idempotency-key': '' },
    status: 400,
    code: 'invalid_request',
  },
  {
    ...post('an unknown durability', '/signals', signal, 'invalid_request', 400, /stream/),
    headers: { ...json, prefer: 'durability=disk' },
  },
  { what: 'a text for an id in a path', path: '/items/abc', status: 400, code: 'invalid_request' },
  { what: 'an id of 2^53 in a path', path: '/items/9007199254740992', status: 400, code: 'invalid_request' },
  { what: 'a bad id to delete', method: 'DELETE', path: '/items/-1', status: 400, code: 'invalid_request' },
  {
    what: 'an unknown region',
    path: '/feed?region=mars',
    status: 404,
    code: 'unknown_region',
    says: /us-east, eu-west, ap-south/,
  },
  { what: 'an empty region', path: '/feed?region=', status: 404, code: 'unknown_region' },
  { what: 'two regions', path: '/feed?region=us-east&region=eu-west', status: 400, code: 'invalid_request' },
  {
    what: 'a parameter of 10,000',
    path: `/feed?profile=${'x'.repeat(10_000)}`,
    status: 400,
    code: 'invalid_request',
    says: /profile/,
  },
  { what: 'a parameter name of 10,000', path: `/search?${'x'.repeat(10_000)}=1`, status: 400, code: 'invalid_request' },
  { what: 'an unknown route', path: '/nothing', status: 404, code: 'unknown_route' },
  { what: 'a page that does not exist', path: '/index.html', status: 404, code: 'unknown_route' },
  { what: 'a path of 10,000', path: `/${'x'.repeat(10_000)}`, status: 404, code: 'unknown_route' },
  { what: 'a path that cannot be decoded', path: '/items/%E0%A4%A', status: 400, code: 'invalid_request' },
  { what: 'a wrong method', method: 'PUT', path: '/items', status: 405, code: 'method_not_allowed', says: /POST/ },
  {
    what: 'a search by PUT',
    method: 'PUT',
    path: '/search',
    status: 405,
    code: 'method_not_allowed',
    says: /GET, HEAD, POST|HEAD, GET, POST/,
  },
  post('a search with a parameter', '/search?limit=3', '{"query":"a"}', 'invalid_request', 400, /limit is not/),
  post('a search that is no JSON', '/search', '{"query"', 'invalid_json'),
  post('a search in an unknown region', '/search', '{"query":"a","region":"mars"}', 'unknown_region', 404, /us-east/),
  post('a search in a region without a name', '/search', '{"query":"a","region":7}', 'invalid_request', 400, /region/),
  post('a search beyond 2 MiB', '/search', `"${'x'.repeat(2 * 1024 * 1024)}"`, 'body_too_large', 413),
  { ...post('a search in lines', '/search', '{"query":"a"}', 'unsupported_media_type', 415), headers: ndjson },
  post('promotion of an unknown region', '/cluster/promote', '{"region":"mars"}', 'unknown_region', 404, /us-east/),
  post('promotion without a region', '/cluster/promote', '{}', 'invalid_request', 400, /region/),
  post('promotion by a text', '/cluster/promote', '"eu-west"', 'invalid_request'),
  post(
    'a force that is no boolean',
    '/cluster/promote',
    '{"region":"eu-west","force":1}',
    'invalid_request',
    400,
    /force/,
  ),
  post(
    'an unknown field of promote',
    '/cluster/promote',
    '{"region":"eu-west","when":1}',
    'unknown_field',
    400,
    /region, force/,
  ),
  ...['"soon"', '"5"', '"25h"', '""', '0', '-3', '86401', 'true', 'null', '{}'].map((value) =>
    post(
      `heal_after ${value}`,
      '/cluster/partition',
      `{"region":"eu-west","heal_after":${value}}`,
      'invalid_request',
      400,
      /heal_after must be seconds as a number, or a text such as 30s, 5m or 2h; above 0, at most 24h/,
    ),
  ),
  post(
    'a wait that is none',
    '/cluster/heal',
    '{"region":"eu-west","wait":1}',
    'invalid_request',
    400,
    /wait must be true or false/,
  ),
  post('an unknown region to cut', '/cluster/partition', '{"region":7}', 'invalid_request'),
  post('a large body to a small route', '/cluster/heal', `"${'x'.repeat(20_000)}"`, 'body_too_large', 413),
];

/** The listening part's own metrics: several servers share no registry. */
const listenOptions = () => ({
  metrics: createMetrics({ process: 'router', name: 'listening', nodeMetrics: false }),
  maxConnections: 100,
});

describe('the public HTTP surface', () => {
  let cluster: MemoryCluster<Clock>;
  let server: Listening;
  before(async () => {
    cluster = memoryCluster({}, systemClock);
    // Not started: nothing but the requests themselves can make a call.
    await cluster.router.leadership.refresh();
    server = await listen({
      ...listenOptions(),
      app: cluster.router.app,
      host: '127.0.0.1',
      port: 0,
      log: silentLog,
      clock: systemClock,
      random: systemRandom,
    });
  });
  after(async () => {
    cluster.router.drain();
    await server.close();
    await cluster.router.close();
  });
  const calls = (): number => [...cluster.regions.values()].reduce((sum, region) => sum + region.calls, 0);
  const send = (path: string, body: unknown, headers: Record<string, string> = json) =>
    fetch(`${server.url}${path}`, {
      method: 'POST',
      headers,
      body: typeof body === 'string' ? body : JSON.stringify(body),
    });

  describe('refuses, before any region hears of it,', () => {
    for (const { what, method = 'GET', path, headers, body, status, code, says } of rows) {
      it(what, async () => {
        const before = calls();
        const answer = await fetch(`${server.url}${path}`, {
          method,
          ...(headers === undefined ? {} : { headers }),
          ...(body === undefined ? {} : { body }),
        });
        const problem = (await answer.json()) as Problem;
        assert.deepEqual([answer.status, problem.code], [status, code], problem.detail);
        assert.equal(answer.headers.get('content-type'), 'application/problem+json');
        assert.equal(problem.status, status);
        assert.ok(answer.headers.get('x-request-id'));
        if (says !== undefined) assert.match(`${problem.detail} ${problem.hint ?? ''}`, says);
        assert.equal(calls(), before, 'a region was called');
      });
    }
  });

  it('takes one write, an array, NDJSON, and a delete', async () => {
    const one = await send('/items', { entity_id: 1, metadata: { title: 'Jazz Piano', tags: ['a'] } });
    assert.equal(one.status, 200);
    assert.deepEqual(await one.json(), {
      accepted: 1,
      position: 'us-east@aaaaaaaaaa:1',
      durability: 'stream',
      entity_id: 1,
    });
    const many = await send('/signals', [
      { entity_id: 1, signal: 'view' },
      { entity_id: 2, signal: 'like', weight: 0.5 },
    ]);
    assert.deepEqual(await many.json(), { accepted: 2, position: 'us-east@aaaaaaaaaa:3', durability: 'stream' });
    const lines = await send(
      '/embeddings',
      '{"entity_id":1,"values":[1,2]}\r\n{"entity_id":2,"values":[3,4]}\n',
      ndjson,
    );
    assert.deepEqual(await lines.json(), { accepted: 2, position: 'us-east@aaaaaaaaaa:5', durability: 'stream' });
    const gone = await fetch(`${server.url}/items/1`, { method: 'DELETE' });
    assert.deepEqual(await gone.json(), {
      accepted: 1,
      position: 'us-east@aaaaaaaaaa:6',
      durability: 'stream',
      entity_id: 1,
    });
    assert.deepEqual(cluster.usEast.taken, [
      { k: 'i', e: 1, m: { title: 'Jazz Piano', tags: ['a'] } },
      { k: 's', e: 1, s: 'view', w: 1_000 },
      { k: 's', e: 2, s: 'like', w: 500 },
      toWire({ kind: 'embedding', entity: 1, values: Float32Array.of(1, 2) }),
      toWire({ kind: 'embedding', entity: 2, values: Float32Array.of(3, 4) }),
      { k: 'd', e: 1 },
    ]);
  });

  it('names the line a region refuses, and takes nothing of that bulk', async () => {
    const before = cluster.usEast.taken.length;
    const answer = await send('/signals', `${signal}\n{"entity_id":1,"signal":"unknown"}\n`, ndjson);
    assert.equal(answer.status, 400);
    const problem = (await answer.json()) as Problem;
    assert.equal(problem.code, 'unknown_signal');
    assert.match(problem.detail, /^line 2: /);
    assert.equal(cluster.usEast.taken.length, before);
  });

  it('gives every keyed write an id and a body hash: of the request and of what it asks for, however it is spelled', async () => {
    const keysOf = async (
      key: string,
      body: string,
      { path = '/items', method = 'POST', headers = json as Record<string, string> } = {},
    ): Promise<readonly (readonly [string, string])[]> => {
      const before = cluster.usEast.requests.length;
      const response = await fetch(`${server.url}${path}`, {
        method,
        headers: { ...headers, 'idempotency-key': key },
        ...(method === 'POST' ? { body } : {}),
      });
      assert.equal(response.status, 200, await response.text());
      return cluster.usEast.requests.slice(before).flatMap(({ writes }) => writes.map((write) => write.key!));
    };
    const metadata = '{"entity_id":1,"metadata":{"a":1,"b":"x"}}';
    const [first] = await keysOf('k', metadata);
    assert.deepEqual(cluster.usEast.requests.at(-1)?.clients, ['the address 127.0.0.1'], 'whose key it is');
    assert.match(first![0], /^[\w-]{22}$/);
    assert.match(first![1], /^[\w-]{11}$/);
    assert.deepEqual(await keysOf('k', '{ "metadata": {"b":"\\u0078", "a":1.0}, "entity_id":1e0 }'), [first]);
    const others = [
      ...(await keysOf('l', metadata)),
      ...(await keysOf('k', `[${metadata}]`)),
      ...(await keysOf('k', '{"entity_id":1,"metadata":{"a":1,"b":"y"}}')),
      ...(await keysOf('k', '{"entity_id":1,"signal":"view"}', { path: '/signals' })),
      ...(await keysOf('k', '{"entity_id":1,"signal":"view","weight":2}', { path: '/signals' })),
      ...(await keysOf('k', '{"entity_id":1,"signal":"view","timestamp":1750000000005}', { path: '/signals' })),
      ...(await keysOf('k', '{"entity_id":1,"values":[1,2]}', { path: '/embeddings' })),
      ...(await keysOf('k', '', { path: '/items/1', method: 'DELETE', headers: {} })),
      ...(await keysOf('k', '', { path: '/items/2', method: 'DELETE', headers: {} })),
    ];
    assert.equal(new Set([first, ...others].map(String)).size, 1 + others.length);
    const [other, array, changed] = [others[0]!, others[1]!, others[2]!];
    assert.notEqual(other[0], first![0], 'another key: another write');
    for (const same of [array, changed]) assert.equal(same[0], first![0], 'the same key: a conflict');
    const lines = await keysOf('k', `${metadata}\n${metadata}\n`, { headers: ndjson });
    assert.equal(new Set(lines.map(([id]) => id)).size, 2, 'two lines are two writes');
    assert.equal(new Set(lines.map(([, bodyHash]) => bodyHash)).size, 1);
    assert.notEqual(lines[0]![1], array[1], 'the first line of two is not the array of one');
    const wire = cluster.usEast.requests.at(-1)!.writes;
    assert.deepEqual(fromWire(wire[0]!).key, { id: lines[0]![0], bodyHash: lines[0]![1] });
    for (const id of ['short', `${'k'.repeat(21)}B`]) {
      assert.throws(() => fromWire({ k: 'd', e: 1, key: [id, lines[0]![1]] }), { code: 'invalid_request' });
    }
  });

  it('says that a write was accepted before, and that the same key may be sent again if the outcome is unknown', async () => {
    const send = async (): Promise<Record<string, unknown>> => {
      const response = await fetch(`${server.url}/signals`, {
        method: 'POST',
        headers: { ...json, 'idempotency-key': 'again' },
        body: signal,
      });
      return { status: response.status, ...((await response.json()) as Record<string, unknown>) };
    };
    cluster.usEast.state = 'answer_lost';
    const unknown = await send();
    cluster.usEast.state = 'up';
    assert.deepEqual([unknown.status, unknown.code], [504, 'outcome_unknown']);
    assert.match(String(unknown.hint), /again with the same Idempotency-Key/);
    const taken = cluster.usEast.taken.length;
    const { status, replayed, accepted, entity_id } = await send();
    assert.deepEqual(
      { status, replayed, accepted, entity_id },
      { status: 200, replayed: true, accepted: 1, entity_id: 1 },
    );
    assert.equal(cluster.usEast.taken.length, taken);
  });

  it('passes the wish for durability on', async () => {
    await send('/signals', signal, { ...json, prefer: 'return=minimal, durability=stream' });
    assert.equal(cluster.usEast.requests.at(-1)?.durability, 'stream');
  });

  it('passes reads on to the leader, or to the region that was asked for', async () => {
    const headers = { 'x-tidal-position': 'us-east@aaaaaaaaaa:1', 'x-request-id': 'read-1' };
    const answer = await fetch(`${server.url}/feed?profile=hot&limit=5&filter=a:b&filter=c:d`, { headers });
    assert.equal(answer.status, 200);
    assert.deepEqual(cluster.usEast.reads.at(-1), {
      path: '/feed',
      query: 'profile=hot&limit=5&filter=a:b&filter=c:d',
      headers,
    });
    await fetch(`${server.url}/search?query=jazz%20piano&region=eu-west`);
    assert.deepEqual(
      [cluster.euWest.reads.at(-1)?.path, cluster.euWest.reads.at(-1)?.query],
      ['/search', 'query=jazz+piano'],
    );
    await fetch(`${server.url}/items/7?region=ap-south`);
    assert.equal(cluster.apSouth.reads.at(-1)?.path, '/items/7');
    await fetch(`${server.url}/suggest?prefix=ja&region=ap-south`);
    assert.deepEqual(
      [cluster.apSouth.reads.at(-1)?.path, cluster.apSouth.reads.at(-1)?.query],
      ['/suggest', 'prefix=ja'],
    );
    const head = await fetch(`${server.url}/feed`, { method: 'HEAD' });
    assert.deepEqual([head.status, await head.text()], [200, '']);
  });

  it('passes a search on with its body unchanged, and returns the region’s answer', async () => {
    const headers = { ...json, 'x-tidal-position': 'us-east@aaaaaaaaaa:1', 'x-request-id': 'read-2' };
    const body = '{"query": "jazz", "vector": [1, 0.5], "nonsense": {"a": []}}';
    const answer = await fetch(`${server.url}/search`, { method: 'POST', headers, body });
    assert.equal(answer.status, 200);
    const { 'content-type': _, ...passed } = headers;
    assert.deepEqual(cluster.usEast.reads.at(-1), { path: '/search', query: '', headers: passed, body });
    const elsewhere = '{"query":"jazz","region":"eu-west"}';
    await fetch(`${server.url}/search`, { method: 'POST', headers: json, body: elsewhere });
    assert.equal(cluster.euWest.reads.at(-1)?.body, elsewhere);
    for (const odd of ['[1,2]', 'null', '7', '"text"']) {
      await fetch(`${server.url}/search`, { method: 'POST', headers: json, body: odd });
      assert.equal(cluster.usEast.reads.at(-1)?.body, odd);
    }
  });

  it("answers with the region's problem unchanged", async () => {
    cluster.usEast.readAnswer = {
      status: 404,
      headers: { 'content-type': 'application/problem+json' },
      body: Buffer.from('{"code":"unknown_profile"}'),
    };
    const answer = await fetch(`${server.url}/feed?profile=x`);
    assert.equal(answer.status, 404);
    assert.equal(answer.headers.get('content-type'), 'application/problem+json');
    assert.equal(await answer.text(), '{"code":"unknown_profile"}');
    cluster.usEast.readAnswer = { ...cluster.euWest.readAnswer };
  });

  it('reads from the most advanced region that answers when the leader does not; a pinned read is 503', async () => {
    cluster.usEast.state = 'not_sent';
    cluster.euWest.peers = [];
    cluster.euWest.position = new Map([['us-east@aaaaaaaaaa', 3]]);
    for (const name of cluster.regions.keys()) await cluster.router.regions.ask(name);
    const before = cluster.apSouth.reads.length;
    assert.equal((await fetch(`${server.url}/feed`)).status, 200);
    assert.equal(cluster.apSouth.reads.length, before + 1);
    const pinned = await fetch(`${server.url}/feed?region=us-east`);
    assert.equal(pinned.status, 503);
    assert.equal(((await pinned.json()) as Problem).code, 'region_unreachable');
    assert.ok(pinned.headers.get('retry-after'));
    cluster.usEast.state = 'up';
    await cluster.router.regions.ask('us-east');
  });

  it('promotes, partitions, heals and shows it', async () => {
    const promoted = (await (await send('/cluster/promote', { region: 'ap-south' })).json()) as Record<string, unknown>;
    assert.deepEqual(Object.keys(promoted), ['leader', 'previous', 'epoch', 'handed_over_events', 'took_ms']);
    assert.equal(promoted.leader, 'ap-south');
    assert.deepEqual(await (await send('/cluster/partition', { region: 'eu-west' })).json(), {
      region: 'eu-west',
      partitioned: true,
    });
    const refused = await send('/cluster/promote', { region: 'eu-west' });
    assert.equal(refused.status, 409);
    const status = (await (await fetch(`${server.url}/cluster/status`)).json()) as {
      leader: string;
      regions: { partitioned: boolean }[];
    };
    assert.equal(status.leader, 'ap-south');
    assert.deepEqual(
      status.regions.map(({ partitioned }) => partitioned),
      [false, true, false],
    );
    const healed = (await (await send('/cluster/heal', { region: 'eu-west' })).json()) as Record<string, unknown>;
    assert.deepEqual(Object.keys(healed), ['region', 'partitioned', 'missed_events']);
    await send('/cluster/promote', { region: 'us-east' });
    await eventually('the journal has all of it', async () => {
      const { events } = (await (await fetch(`${server.url}/cluster/events?limit=4`)).json()) as JournalAnswer;
      return (
        events.map(({ kind, region, how, key }) => [kind, region, how, key].join()).join(' ') ===
        'leader_changed,us-east,planned, healed,eu-west,, partitioned,eu-west,, leader_changed,ap-south,planned,'
      );
    });
    const { events } = (await (await fetch(`${server.url}/cluster/events`)).json()) as JournalAnswer;
    assert.ok(events.slice(0, 4).every(({ request_id: id }) => /^[a-z0-9]+$/.test(id ?? '')));
    const later = await fetch(`${server.url}/cluster/events?after=${events[1]?.id}`);
    assert.deepEqual(
      ((await later.json()) as JournalAnswer).events.map(({ id }) => id),
      [events[0]?.id],
    );
  });

  for (const query of ['limit=0', 'limit=257', 'limit=a', 'limit=1&limit=2', 'after=-1', 'after=1e3', 'from=2']) {
    it(`refuses the journal with ${query}`, async () => {
      const answer = await fetch(`${server.url}/cluster/events?${query}`);
      assert.equal(answer.status, 400);
      assert.equal(((await answer.json()) as Problem).code, 'invalid_request');
    });
  }

  it('reports its health, with and without a leader that answers', async () => {
    const answer = await fetch(`${server.url}/health`);
    assert.equal(answer.status, 200);
    assert.deepEqual(Object.keys((await answer.json()) as object).slice(0, 3), ['status', 'leader', 'items']);
    assert.equal((await fetch(`${server.url}/health/ready`)).status, 200);
    cluster.usEast.state = 'not_sent';
    const sick = await fetch(`${server.url}/health`);
    assert.equal(sick.status, 503);
    assert.equal(((await sick.json()) as { status: string }).status, 'unavailable');
    assert.equal((await fetch(`${server.url}/health/ready`)).status, 503);
    assert.equal((await fetch(`${server.url}/health/live`)).status, 200);
    cluster.usEast.state = 'up';
  });

  it('bounds what all bodies together take, and gives it back', async () => {
    const small = memoryCluster({ maxBodiesBytes: 100_000 }, systemClock);
    await small.router.leadership.refresh();
    const listening = await listen({
      ...listenOptions(),
      app: small.router.app,
      host: '127.0.0.1',
      port: 0,
      log: silentLog,
      clock: systemClock,
      random: systemRandom,
    });
    const used = async (bytes: number): Promise<boolean> =>
      (await small.metrics.render()).text.includes(`tidal_http_body_bytes{process="router",name="router"} ${bytes}\n`);
    let open: () => void = () => {};
    small.usEast.barrier = new Promise((resolve) => {
      open = resolve;
    });
    const body = JSON.stringify({ entity_id: 1, metadata: { title: 'x'.repeat(80_000 - 45) } }).padEnd(80_000);
    const write = () => fetch(`${listening.url}/items`, { method: 'POST', headers: json, body });
    const first = write();
    await eventually('the first body is in memory', () => used(80_000));
    const second = await write();
    assert.equal(second.status, 503);
    assert.equal(((await second.json()) as Problem).code, 'overloaded');
    assert.ok(await used(80_000), 'a refused request keeps nothing');
    open();
    assert.equal((await first).status, 200);
    assert.ok(await used(0));
    await listening.close();
    await small.router.close();
  });

  describe('a read without region=', () => {
    const counts = (): number[] => [...cluster.regions.values()].map(({ reads }) => reads.length);
    /** How many reads each region has got from the request. */
    const readsOf = async (
      path = '/feed',
    ): Promise<{ readonly status: number; readonly problem: Problem; readonly got: number[] }> => {
      const before = counts();
      const answer = await fetch(`${server.url}${path}`);
      const problem = (await answer.json()) as Problem;
      return { status: answer.status, problem, got: counts().map((count, index) => count - before[index]!) };
    };
    const callsOf = (): number => [...cluster.regions.values()].reduce((sum, region) => sum + region.calls, 0);
    const firstAsked = async (): Promise<MemoryRegion> => {
      const { got } = await readsOf();
      return [...cluster.regions.values()][got.indexOf(1)]!;
    };
    afterEach(() => {
      for (const region of cluster.regions.values()) region.state = 'up';
    });

    for (const state of ['not_sent', 'no_answer'] as const) {
      it(`is asked of the next region where the first one could not be reached: ${state}`, async () => {
        (await firstAsked()).state = state;
        const { status, got } = await readsOf();
        assert.deepEqual([status, got.toSorted()], [200, [0, 0, 1]]);
      });
    }

    it('that took too long in one region is not repeated in the others, and the hint names what helps', async () => {
      (await firstAsked()).state = 'timed_out';
      const before = callsOf();
      const { status, problem } = await readsOf();
      assert.deepEqual([status, problem.code, problem.hint], [503, 'region_unreachable', 'ask again, or for less']);
      assert.equal(callsOf(), before + 1);
    });

    it('that no region answers is refused with what each of them said, without a hint at region=', async () => {
      for (const region of cluster.regions.values()) region.state = 'not_sent';
      const { status, problem } = await readsOf();
      assert.equal(status, 503);
      for (const name of cluster.regions.keys())
        assert.ok(problem.detail.includes(`${name} is not_sent`), problem.detail);
      assert.ok(!problem.hint?.includes('region='), problem.hint);
    });

    it('with region= gets the hint to omit it', async () => {
      cluster.usEast.state = 'not_sent';
      const { status, problem } = await readsOf('/feed?region=us-east');
      assert.deepEqual([status, problem.hint], [503, 'leave out region= to be answered by any region that can']);
    });
  });

  it('answers /metrics as Prometheus text', async () => {
    const answer = await fetch(`${server.url}/metrics`);
    assert.match(answer.headers.get('content-type') ?? '', /^text\/plain; version=0.0.4/);
    assert.match(await answer.text(), /tidal_http_requests_total\{route="\/items\/:id",method="DELETE",status="200"/);
  });

  it('serves /health/live while NATS and every region are away', async () => {
    const alone = memoryCluster({ led: false, heldWritesMs: 50 }, systemClock);
    alone.control.away = true;
    for (const region of alone.regions.values()) region.state = 'not_sent';
    alone.router.start();
    const listening = await listen({
      ...listenOptions(),
      app: alone.router.app,
      host: '127.0.0.1',
      port: 0,
      log: silentLog,
      clock: systemClock,
      random: systemRandom,
    });
    assert.equal((await fetch(`${listening.url}/health/live`)).status, 200);
    assert.equal((await fetch(`${listening.url}/health`)).status, 503);
    const write = await fetch(`${listening.url}/signals`, { method: 'POST', headers: json, body: signal });
    assert.equal(write.status, 503);
    assert.equal(((await write.json()) as Problem).code, 'no_leader');
    const status = (await (await fetch(`${listening.url}/cluster/status`)).json()) as { leader: string | null };
    assert.equal(status.leader, null);
    for (const region of alone.regions.values()) region.state = 'up';
    alone.control.away = false;
    await eventually('a leader', async () => (await fetch(`${listening.url}/health`)).status === 200);
    alone.router.drain();
    await listening.close();
    await alone.router.close();
  });
});
