/** The typed client against answers that a test makes up: what it sends again, when, and to whom. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import type { OperationName } from '../../../../services/router/openapi/openapi.ts';
import { operations } from '../../../../services/router/openapi/openapi.ts';
import { type ReadOptions, TidalClient, TidalUnanswered } from '../../../../shared/client/client.ts';
import { allows, parametersOf } from '../../../checkers/against-document.ts';
import {
  clientOf,
  failed,
  ok,
  problemOf,
  refused,
  routers,
  written,
} from '../../../harness/clients/answered-client.ts';

describe('the typed client', () => {
  it('sends a refused write again after Retry-After, under the same random key', async () => {
    const { client, clock, seen } = clientOf([
      refused('no_leader', { 'retry-after': '3' }),
      refused('overloaded', { 'retry-after': '1' }),
      ok(written),
    ]);
    assert.deepEqual(await client.addSignal({ entity_id: 1, signal: 'view' }), written);
    const keys = seen.map(({ headers }) => headers['idempotency-key']);
    assert.equal(new Set(keys).size, 1);
    assert.match(keys[0]!, /^[\w-]{22}$/);
    const [first = 0, second = 0] = clock.sleptMs;
    assert.ok(first >= 3_000 && first <= 3_100 && second >= 1_000 && second <= 1_200, clock.sleptMs.join(', '));
    await client.addSignal({ entity_id: 1, signal: 'view' });
    assert.notEqual(seen.at(-1)!.headers['idempotency-key'], keys[0]);
  });

  it('sends again what may have been carried out only under a key or by position', async () => {
    for (const lost of [
      failed('ECONNRESET'),
      refused('outcome_unknown'),
      refused('internal'),
      new Response('bad gateway', { status: 502 }),
    ]) {
      const keyed = clientOf([lost, ok(written)]);
      await keyed.client.putItem({ entity_id: 1, metadata: {} });
      assert.equal(keyed.seen.length, 2);
      const plain = clientOf([lost, ok(written)]);
      await assert.rejects(plain.client.putItem({ entity_id: 1, metadata: {} }, { idempotencyKey: false }));
      assert.equal(plain.seen.length, 1);
      assert.equal(plain.seen[0]!.headers['idempotency-key'], undefined);
      const retracted = clientOf([lost, ok(written)]);
      await retracted.client.takeBackSignalAt('us-east@aaaaaaaaaaaaa:7');
      assert.equal(retracted.seen.length, 2);
      assert.equal(retracted.seen[1]!.headers['idempotency-key'], undefined);
      const promoted = clientOf([lost, ok({})]);
      await assert.rejects(promoted.client.promote({ region: 'eu-west' }));
      assert.equal(promoted.seen.length, 1);
      const read = clientOf([lost, ok({})]);
      await read.client.feed();
      assert.equal(read.seen.length, 2);
    }
  });

  it('sends again without a key what was refused or never sent', async () => {
    for (const nothing of [
      failed('ECONNREFUSED'),
      refused('not_leader'),
      refused('rate_limited', { 'retry-after': '1' }),
    ]) {
      const { client, seen } = clientOf([nothing, ok(written)]);
      await client.putItem({ entity_id: 1, metadata: {} }, { idempotencyKey: false });
      assert.equal(seen.length, 2);
    }
  });

  it('fails at once with what the cluster says of a request that is wrong', async () => {
    const errors = [{ path: 'weight', message: 'must be a multiple of 0.001' }];
    const { client, seen } = clientOf([refused('invalid_request', {}, { hint: 'try 0.5', errors })]);
    const problem = await problemOf(client.addSignal({ entity_id: 1, signal: 'view', weight: 0.0001 }));
    const { status, code, detail, hint, requestId, url, attempts } = problem;
    assert.deepEqual(
      { status, code, detail, hint, requestId, url, attempts, errors: problem.errors },
      {
        status: 400,
        code: 'invalid_request',
        detail: 'said so',
        hint: 'try 0.5',
        requestId: 'id-1',
        url: routers[0],
        attempts: 1,
        errors,
      },
    );
    assert.match(problem.message, /said so \(invalid_request\); try 0\.5/);
    assert.equal(seen.length, 1);
    for (const code of ['storage_full', 'unauthenticated', 'idempotency_conflict', 'unknown_item'] as const) {
      const other = clientOf([refused(code)]);
      assert.equal((await problemOf(other.client.deleteItem(1))).code, code);
      assert.equal(other.seen.length, 1, code);
    }
  });

  it('asks the next router at once when one is away, and stays with it', async () => {
    const { client, clock, seen } = clientOf([failed('ECONNREFUSED'), ok({ items: [] })], { urls: routers });
    await client.feed();
    await client.feed();
    const [first, second, third] = seen.map(({ url }) => url);
    assert.notEqual(first, second);
    assert.equal(second, third);
    assert.deepEqual(clock.sleptMs, []);
  });

  it('backs off when no router answers: twice as long each time, with jitter, until the tries or the time are over', async () => {
    const { client, clock, seen } = clientOf([failed('ECONNREFUSED')], { urls: routers, attempts: 6 });
    await assert.rejects(client.feed(), (error: unknown) => {
      assert.ok(error instanceof TidalUnanswered && error.notSent && error.attempts === 6);
      assert.match(error.message, /ECONNREFUSED, after 6 attempts/);
      return true;
    });
    assert.deepEqual([seen.filter(({ url }) => url === routers[0]).length, seen.length], [3, 6]);
    assert.equal(clock.sleptMs.length, 4);
    for (const [index, ms] of clock.sleptMs.entries()) {
      const full = 100 * 2 ** (index + 1);
      assert.ok(ms >= full / 2 && ms <= full, `${index}: ${ms}`);
    }
    const late = clientOf([refused('not_ready', { 'retry-after': '1' })], { deadlineMs: 3_500 });
    assert.equal((await problemOf(late.client.feed())).code, 'not_ready');
    assert.ok(late.clock.timeMs <= 3_500, `${late.clock.timeMs}`);
    assert.ok(late.seen.length > 2);
  });

  it('does not ask other routers for what one refuses by rate', async () => {
    const { client, seen } = clientOf([refused('rate_limited', { 'retry-after': '1' }), ok({ items: [] })], {
      urls: routers,
    });
    await client.feed();
    assert.equal(seen[0]!.url, seen[1]!.url);
  });

  it('gives one try up after its limit, and everything when the caller does', async () => {
    const { client, clock, seen } = clientOf(['silence', ok({ items: [] })], { urls: routers, attemptMs: 5_000 });
    await client.feed();
    assert.deepEqual([seen.length, clock.sleptMs], [2, [5_000]]);
    const aborted = clientOf(['silence']);
    const controller = new AbortController();
    const never = aborted.client.feed({}, { signal: controller.signal });
    controller.abort(new Error('enough'));
    await assert.rejects(never, /enough/);
    assert.equal(aborted.seen.length, 1);
    await assert.rejects(aborted.client.feed({}, { signal: controller.signal }), /enough/);
    assert.equal(aborted.seen.length, 1);
  });

  it('reads wait for what it has written, in every term of leadership, unless asked not to', async () => {
    const at = (position: string): Response => ok({ ...written, position });
    const { client, seen } = clientOf([
      at('b@aaaaaaaaaaaaa:7'),
      at('b@aaaaaaaaaaaaa:5'),
      at('a@bbbbbbbbbbbbb:2'),
      ok({ items: [] }),
    ]);
    assert.equal(client.position, undefined);
    for (let count = 0; count < 3; count++) await client.deleteItem(1);
    const asked = async (options?: ReadOptions): Promise<string | undefined> => {
      await client.feed({}, options);
      return seen.at(-1)!.headers['x-tidal-position'];
    };
    assert.equal(client.position, 'a@bbbbbbbbbbbbb:2,b@aaaaaaaaaaaaa:7');
    assert.equal(await asked(), client.position);
    assert.equal(await asked({ minPosition: null }), undefined);
    assert.equal(await asked({ minPosition: 'c@aaaaaaaaaaaaa:1' }), 'c@aaaaaaaaaaaaa:1');
    client.follow('a@bbbbbbbbbbbbb:9');
    assert.equal(await asked(), 'a@bbbbbbbbbbbbb:9,b@aaaaaaaaaaaaa:7');
    client.forget();
    assert.equal(await asked(), undefined);
    const careless = clientOf([ok(written), ok({ items: [] })], { readYourWrites: false });
    await careless.client.deleteItem(1);
    await careless.client.feed();
    assert.equal(careless.seen[1]!.headers['x-tidal-position'], undefined);
  });

  it('walks through pages until there are no more', async () => {
    const page = (id: number, next_cursor: string | null): Response => ok({ items: [{ entity_id: id }], next_cursor });
    const { client, seen } = clientOf([page(1, 'c1'), page(2, 'c2'), page(3, null)]);
    const found: number[] = [];
    for await (const { entity_id } of client.searchItems({ query: 'jazz', limit: 1 })) found.push(entity_id);
    assert.deepEqual(found, [1, 2, 3]);
    assert.deepEqual(
      seen.map(({ body }) => JSON.parse(body!).cursor),
      [undefined, 'c1', 'c2'],
    );
  });

  it('answers health also while the cluster is unavailable', async () => {
    const health = { status: 'unavailable', leader: null };
    const { client, seen } = clientOf([Response.json(health, { status: 503 })]);
    assert.deepEqual(await client.health(), health);
    assert.equal(seen.length, 1);
  });

  it('is what the package exports as tidaldb-cluster/client, with its types', async () => {
    const name = 'tidaldb-cluster/client';
    assert.equal(((await import(name)) as { readonly TidalClient: unknown }).TidalClient, TidalClient);
    const declarations = new URL('../../../../shared/client/client.d.ts', import.meta.url);
    assert.match(readFileSync(declarations, 'utf8'), /export declare class TidalClient/);
  });

  it('refuses to be made without a usable address', () => {
    for (const urls of [[], ['router:9500'], ['ftp://router'], ['http://']])
      assert.throws(() => new TidalClient({ urls }), /TidalClient/);
  });

  it('sends only what the OpenAPI document has, with the key', async () => {
    const { client, seen } = clientOf([ok({ ...written, next_cursor: null, items: [] })], { key: 'secret' });
    const [item, embedding, signal] = [
      { entity_id: 1, metadata: { title: 'x' } },
      { entity_id: 1, values: [1, 2, 3, 4] },
      { entity_id: 1, signal: 'view', timestamp: 1_714_564_800_000 },
    ];
    await client.putItem(item, { durability: 'stream', requestId: 'r' });
    await client.putItems([item, item]);
    await client.patchItem(1, { a: null });
    await client.deleteItem(1);
    await client.putEmbedding(embedding);
    await client.putEmbeddings([embedding]);
    await client.addSignal(signal);
    await client.addSignals([signal]);
    await client.takeBackSignal(signal, 'order-17');
    await client.takeBackSignals([signal], 'order-18');
    await client.takeBackSignalAt('us-east@aaaaaaaaaaaaa:7');
    await client.getItem(1, { fields: 'title', at: '2024-01-01T00:00:00Z' });
    await client.getItems([3, 1]);
    await client.feed({ profile: 'new', filter: ['a:b'], exclude: [1] });
    await client.search({ query: 'x', facets: ['year'] });
    await client.suggest('ja', { limit: 5 });
    await client.status();
    await client.promote({ region: 'eu-west' });
    await client.partition({ region: 'eu-west', heal_after: '5m' });
    await client.heal({ region: 'eu-west', wait: true });
    await client.holdDrill({ id: 'k3qv5m2xw7abc', title: 'A follower is partitioned' });
    await client.endDrill({ id: 'k3qv5m2xw7abc' });
    await client.stopDrill();
    await client.retireDisk({ disk: 'aaaaaaaaaaaaa' });
    await client.verify();
    await client.quarantine();
    await client.addQuarantine({ origin: 'us-east@aaaaaaaaaaaaa', sequence: 1 });
    await client.events({ limit: 5 });
    await client.live();
    await client.health();
    await client.ready();
    const scraping = clientOf(
      [new Response('tidal_up 1', { headers: { 'content-type': 'text/plain; version=0.0.4' } })],
      { key: 'secret' },
    );
    assert.equal(await scraping.client.metrics(), 'tidal_up 1');
    for (const { method, path, headers, body } of [...seen, ...scraping.seen]) {
      const { pathname, searchParams } = new URL(path, routers[0]);
      const name = `${method} ${pathname.replace(/^\/items\/1$/, '/items/{id}')}` as OperationName;
      assert.ok(name in operations, name);
      assert.equal(headers.authorization, 'Bearer secret');
      const known = (where: 'query' | 'header') => parametersOf(name, where).map((each) => each.name.toLowerCase());
      for (const each of searchParams.keys()) assert.ok(known('query').includes(each), `${name}: ${each}`);
      for (const each of Object.keys(headers).filter(
        (other) => !['authorization', 'accept', 'content-type'].includes(other),
      ))
        assert.ok(known('header').includes(each), `${name}: ${each}`);
      if (body === undefined) continue;
      const { requestBody } = operations[name] as (typeof operations)['POST /items'];
      const type = headers['content-type']!;
      const value = type === 'application/json' ? JSON.parse(body) : body;
      assert.ok(allows(requestBody!.content[type]!.schema, value), `${name}: ${body}`);
    }
  });
});
