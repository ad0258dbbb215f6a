/** The typed client behind proxies: what they answer instead of a router is never taken for an answer or a refusal of the cluster. */
import assert from 'node:assert/strict';
import { createServer, type RequestListener, type Server } from 'node:http';
import { operations as documented } from '../../../../services/router/openapi/openapi.ts';
import { TidalClient, TidalUnanswered } from '../../../../shared/client/client.ts';
import { operations } from '../../../../shared/client/operations.ts';
import {
  clientOf,
  failed,
  ok,
  problemOf,
  type Reply,
  refused,
  routers,
  written,
} from '../../../harness/clients/answered-client.ts';

const json = (text: string | null, status = 200): Response =>
  new Response(text, { status, headers: { 'content-type': 'application/json' } });
const html = (status: number): Response =>
  new Response('<html>', { status, headers: { 'content-type': 'text/html; charset=utf-8' } });

const noUpstream = '{"message":"no healthy upstream"}';

/** What may pass: it is asked for again where that is safe. */
const passing: Readonly<Record<string, Reply>> = {
  '503 in JSON': json(noUpstream, 503),
  '503 with a code and a status of its own': json('{"code":"UNAVAILABLE","status":503}', 503),
  '503 without a body': new Response(null, { status: 503 }),
  '502 in HTML': html(502),
  '504 in JSON': json('{}', 504),
  '200 in HTML': html(200),
  '200 with a list': json('[1]'),
  '200 with null': json('null'),
  '200 cut off': json('{"accepted":1,'),
  '200 without a body': json(null),
  '204': new Response(null, { status: 204 }),
};
/** What another router may answer better, and the same one will not. */
const lasting: Readonly<Record<string, Reply>> = {
  '404 in HTML': html(404),
  '403 in JSON': json('{"message":"denied"}', 403),
  '308': new Response(null, { status: 308, headers: { location: 'https://one:9500/' } }),
};

async function unansweredOf(call: Promise<unknown>): Promise<TidalUnanswered> {
  const error = await call.then(
    (answer) => assert.fail(`it succeeded with ${JSON.stringify(answer)}`),
    (thrown: unknown) => thrown,
  );
  assert.ok(error instanceof TidalUnanswered, String(error));
  assert.equal(error.notSent, false);
  return error;
}

describe('the typed client, if a proxy answers', () => {
  it('asks the other router at once for what may be sent twice', async () => {
    for (const [name, reply] of Object.entries({ ...passing, ...lasting })) {
      for (const call of [
        (client: TidalClient) => client.addSignal({ entity_id: 1, signal: 'view' }),
        (client: TidalClient) => client.feed(),
        (client: TidalClient) => client.heal({ region: 'eu-west' }),
        (client: TidalClient) => client.stopDrill(),
      ]) {
        const { client, clock, seen } = clientOf([reply, ok(written)], { urls: routers });
        assert.deepEqual(await call(client), written, name);
        assert.equal(new Set(seen.map(({ url }) => url)).size, 2, name);
        assert.deepEqual(clock.sleptMs, [], name);
      }
    }
  });

  it('sends nothing again that may have been carried out', async () => {
    for (const [name, reply] of Object.entries({ ...passing, ...lasting })) {
      for (const call of [
        (client: TidalClient) => client.promote({ region: 'eu-west' }),
        (client: TidalClient) => client.putItem({ entity_id: 1, metadata: {} }, { idempotencyKey: false }),
      ]) {
        const { client, seen } = clientOf([reply, ok(written)], { urls: routers });
        await unansweredOf(call(client));
        assert.equal(seen.length, 1, name);
      }
    }
  });

  it('fails in the end without an answer: after all tries, or when each router was asked', async () => {
    for (const [name, reply] of Object.entries(passing)) {
      const { client, seen } = clientOf([reply], { urls: routers, attempts: 5 });
      const { message, attempts } = await unansweredOf(client.addSignal({ entity_id: 1, signal: 'view' }));
      assert.match(message, /answered \d{3}, and not as a router does, after 5 attempts$/);
      assert.deepEqual([attempts, seen.length], [5, 5], name);
    }
    for (const [name, reply] of Object.entries(lasting)) {
      const { client, seen } = clientOf([reply], { urls: routers, attempts: 5 });
      await unansweredOf(client.addSignal({ entity_id: 1, signal: 'view' }));
      assert.equal(seen.length, 2, name);
    }
  });

  it('takes no answer to a write without the position that its reads wait for', async () => {
    for (const answer of [{}, { accepted: 1 }, { position: null }]) {
      const { client, seen } = clientOf([ok(answer), ok(written)]);
      assert.deepEqual(await client.addSignal({ entity_id: 1, signal: 'view' }), written);
      assert.equal(seen.length, 2);
    }
  });

  it('takes 503 for an answer about health only, and only with a status', async () => {
    const starting = { status: 'starting', leader: null };
    for (const call of [(client: TidalClient) => client.health(), (client: TidalClient) => client.ready()]) {
      assert.deepEqual(await call(clientOf([json(JSON.stringify(starting), 503)]).client), starting);
      const behind = clientOf([json(noUpstream, 503), json('{"status":503}', 503), ok(starting)]);
      assert.deepEqual(await call(behind.client), starting);
      assert.equal(behind.seen.length, 3);
      assert.equal((await problemOf(call(clientOf([refused('overloaded')], { attempts: 2 }).client))).attempts, 2);
    }
    const { client } = clientOf([json(JSON.stringify(starting), 503)], { attempts: 2 });
    await unansweredOf(client.status());
    await unansweredOf(client.verify());
  });

  it('knows all operations that the document answers with 503 and a body of their own', () => {
    const answered = Object.values(documented).filter(
      ({ responses: { 503: refusal } }) =>
        'content' in (refusal ?? {}) && 'application/json' in Object(refusal).content,
    );
    assert.deepEqual(answered.map(({ operationId }) => operationId).sort(), ['getHealth', 'getReady']);
    assert.ok(answered.every(({ operationId }) => operationId in operations));
  });

  it('takes a refusal for one of the cluster by its type', async () => {
    const call = (reply: Reply) => {
      const { client, seen } = clientOf([reply, ok(written)]);
      return { answer: client.promote({ region: 'eu-west' }), seen };
    };
    const repeated = call(refused('control_unavailable'));
    assert.deepEqual(await repeated.answer, written);
    assert.equal(repeated.seen.length, 2);
    await unansweredOf(call(json(await refused('control_unavailable').text(), 503)).answer);
  });

  it('does not follow redirects, to which it would show its key', async () => {
    const asked: string[] = [];
    const listening = async (answer: RequestListener): Promise<[Server, string]> => {
      const server = createServer(answer);
      await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
      return [server, `http://127.0.0.1:${(server.address() as { readonly port: number }).port}`];
    };
    const [target, to] = await listening(({ method, headers }, response) => {
      asked.push(`${method} ${headers.authorization}`);
      response.setHeader('content-type', 'application/json');
      response.end('{}');
    });
    const statuses = [301, 302, 303, 307, 308];
    const [proxy, url] = await listening((_, response) => {
      response.writeHead(statuses[0]!, { location: to }).end();
    });
    try {
      for (const client = new TidalClient({ urls: [url], key: 'secret' }); statuses.length > 0; statuses.shift()) {
        const answered = new RegExp(`answered ${statuses[0]}, a redirect, which is not followed$`);
        assert.match((await unansweredOf(client.stopDrill())).message, answered);
        assert.match((await unansweredOf(client.feed())).message, answered);
      }
      assert.deepEqual(asked, []);
    } finally {
      for (const server of [target, proxy]) server.close();
    }
  });

  it('ends pages that would never end', async () => {
    const page = (next_cursor?: string | null): Reply => ok({ items: [{ entity_id: 1 }], next_cursor });
    for (const [replies, requests] of [
      [[page('c1'), page('c1')], 2],
      [[page('c1'), page('c2'), page('c2')], 3],
      [[page()], 1],
      [[page('c1'), page()], 2],
      [[ok({})], 1],
    ] as const) {
      const { client, seen } = clientOf(replies);
      const all = async (): Promise<void> => {
        for await (const _ of client.searchItems({ query: 'jazz' }));
      };
      await assert.rejects(all(), /a page does not say which one follows/);
      assert.equal(seen.length, requests);
    }
    const { client } = clientOf([page('c7')]);
    await assert.rejects(client.feedPages({ cursor: 'c7' }).next(), /which one follows/);
  });
});

describe('what the typed client is given', () => {
  it('is refused if it is no address, and a secret in it is not shown', () => {
    const refusedUrls = ['user:pw@router:9500', 'http://pw@router', 'http://user:pw@router', 'http://:pw@router'];
    const others = [
      'http://router?key=pw',
      'http://router#pw',
      'http://router/?',
      'http://user:pw@',
      'ftp://u:pw@r',
      '',
    ];
    for (const url of [...refusedUrls, ...others])
      assert.throws(
        () => new TidalClient({ urls: [routers[0]!, url] }),
        (error) => {
          assert.ok(error instanceof TypeError, url);
          assert.match(error.message, /^TidalClient: urls\[1\] must be an http or https address/);
          assert.doesNotMatch(String(error.stack), /pw/);
          return true;
        },
      );
  });

  it('is refused if it is no key, without being shown', async () => {
    for (const key of ['tidal_pw\nx', 'tidal_pw\n', 'tidal pw', 'tidal_pw\u00e9', 'tidal_pw\0', '\ttidal_pw', ''])
      assert.throws(
        () => clientOf([], { key }),
        (error) => {
          assert.ok(error instanceof TypeError, key);
          assert.match(error.message, /^TidalClient: key must be visible ASCII/);
          assert.doesNotMatch(String(error.stack), /tidal.pw/);
          return true;
        },
      );
    const { client } = clientOf([failed('ECONNRESET'), refused('unauthenticated')], { key: 'tidal_pw' });
    assert.doesNotMatch(String((await problemOf(client.feed())).stack), /tidal_pw/);
  });

  it('may have a path, and slashes at its end', async () => {
    for (const [url, base] of [
      ['http://one:9500//', 'http://one:9500/feed'],
      ['HTTPS://One/tidal/', 'https://one/tidal/feed'],
    ] as const) {
      const { client, seen } = clientOf([ok({})], { urls: [url] });
      await client.feed();
      assert.equal(seen[0]!.url + seen[0]!.path, base);
    }
  });

  it('is refused before it is sent if no header can carry it, and if a parameter is a list', async () => {
    const { client, seen } = clientOf([ok(written)]);
    const id = { idempotencyKey: 'a\nb' };
    await assert.rejects(client.deleteItem(1, id), /TidalClient: idempotency-key must have ASCII characters only/);
    await assert.rejects(client.verify({ requestId: '\u65e5' }), /TidalClient: x-request-id must/);
    await assert.rejects(client.metrics({ requestId: 'a\r\nb' }), /TidalClient: x-request-id must/);
    const fields = { fields: ['title', 'a,b'] as unknown as string };
    await assert.rejects(client.getItem(1, fields), /TidalClient: fields must be one value, not a list/);
    await assert.rejects(client.getItems([1], { at: null as unknown as string }), /TidalClient: at must be one value/);
    assert.deepEqual(seen, []);
  });

  it('has lists in the form of the document', async () => {
    const { client, seen } = clientOf([ok({})]);
    await client.getItems([3, 1]);
    assert.equal(new URLSearchParams(seen[0]!.path.split('?')[1]).get('ids'), '3,1');
    const lists = (['GET /items', 'GET /items/{id}', 'GET /suggest', 'GET /cluster/events'] as const).flatMap((name) =>
      documented[name].parameters.flatMap((each) =>
        'schema' in each && each.in === 'query' && each.schema.type === 'array' ? [each] : [],
      ),
    );
    assert.deepEqual(
      lists.map(({ name, style, explode }) => ({ name, style, explode })),
      [{ name: 'ids', style: 'form', explode: false }],
    );
  });
});
