/** What clients do with items over HTTP: change fields, and read several at once. */
import assert from 'node:assert/strict';
import { type Answer, requestJson } from '../harness/clients/request-json.ts';
import { Cluster } from '../harness/processes/cluster.ts';

interface ShownItem {
  readonly entity_id: number;
  readonly metadata: Record<string, unknown>;
  readonly created_at: string;
}

interface Items {
  readonly items: readonly ShownItem[];
  readonly missing: readonly number[];
  readonly remaining: readonly number[];
}

describe('items', function () {
  this.timeout(60_000);
  let cluster: Cluster;

  before(async () => {
    cluster = await Cluster.start();
  });
  after(() => cluster?.stop());

  const send = (method: string, path: string, body: unknown, headers: Record<string, string> = {}) =>
    requestJson<Record<string, unknown>>(cluster.url + path, {
      method,
      headers: { 'content-type': 'application/json', ...headers },
      body: typeof body === 'string' ? body : JSON.stringify(body),
    });
  const put = async (entity_id: number, metadata: unknown): Promise<void> => {
    assert.equal((await send('POST', '/items', { entity_id, metadata })).status, 200);
  };
  const metadata = async (entity: number, more = ''): Promise<unknown> =>
    (await cluster.get<ShownItem>(`/items/${entity}${more}`)).body.metadata;
  const refused = ({ status, body }: Answer<Record<string, unknown>>): unknown[] => [status, body.code];

  it('PATCH changes the fields it names, in every region, as either content type', async () => {
    await put(1, { title: 'Alien', year: 1979, tags: ['space'] });
    const first = await send('PATCH', '/items/1', { metadata: { year: null, tags: ['space', 'horror'] } });
    assert.equal(first.status, 200, JSON.stringify(first.body));
    assert.deepEqual([first.body.accepted, first.body.entity_id], [1, 1]);
    const second = await send('PATCH', '/items/1', '{"metadata":{"seen":true}}', {
      'content-type': 'application/merge-patch+json; charset=utf-8',
    });
    assert.equal(second.status, 200, JSON.stringify(second.body));
    for (const region of ['us-east', 'eu-west', 'ap-south']) {
      const shown = await metadata(1, `?region=${region}&min_position=${second.body.position}`);
      assert.deepEqual(shown, { title: 'Alien', tags: ['space', 'horror'], seen: true });
    }
    const { body } = await cluster.get<Items>('/search?query=alien&filter=tags:horror');
    assert.deepEqual(
      body.items.map(({ entity_id }) => entity_id),
      [1],
    );
  });

  it('fifty clients change fifty fields at once, while one replaces the item at first', async () => {
    await put(2, { title: 'one' });
    const replaced = send('POST', '/items', { entity_id: 2, metadata: { title: 'two' } });
    await replaced;
    const answers = await Promise.all(
      Array.from({ length: 50 }, (_, n) => send('PATCH', '/items/2', { metadata: { [`field${n}`]: n } })),
    );
    assert.deepEqual([...new Set(answers.map(({ status }) => status))], [200]);
    assert.equal(new Set(answers.map(({ body }) => body.position)).size, 50);
    assert.equal(Object.keys((await metadata(2)) as object).length, 51);
  });

  it('a repeated PATCH under a key is answered as the first and merged once', async () => {
    await put(3, { title: 'three', n: 0 });
    const key = { 'idempotency-key': 'patch-of-three' };
    const first = await send('PATCH', '/items/3', { metadata: { n: 1 } }, key);
    await send('PATCH', '/items/3', { metadata: { n: 2 } });
    const second = await send('PATCH', '/items/3', '{ "metadata": { "n": 1.0 } }', key);
    assert.deepEqual([second.body.position, second.body.replayed], [first.body.position, true]);
    assert.deepEqual(await metadata(3), { title: 'three', n: 2 });
    assert.deepEqual(refused(await send('PATCH', '/items/3', { metadata: { n: 3 } }, key)), [
      409,
      'idempotency_conflict',
    ]);
    assert.deepEqual(refused(await send('PATCH', '/items/1', { metadata: { n: 1 } }, key)), [
      409,
      'idempotency_conflict',
    ]);
  });

  it('a PATCH that is not one is refused by name and changes nothing', async () => {
    await put(4, { title: 'four' });
    const rows: readonly (readonly [body: unknown, code: string, says: RegExp, status?: number, path?: string])[] = [
      [{}, 'invalid_request', /metadata/],
      [{ metadata: null }, 'invalid_request', /metadata/],
      [{ metadata: [] }, 'invalid_request', /metadata/],
      [[], 'invalid_request', /object/],
      [{ metadata: {}, entity_id: 4 }, 'unknown_field', /entity_id/],
      [{ metadata: { a: { b: 1 } } }, 'invalid_request', /metadata\.a/],
      [{ metadata: { a: [1] } }, 'invalid_request', /metadata\.a/],
      [{ metadata: { '': 1 } }, 'invalid_request', /1 to 128/],
      [{ metadata: { '': null } }, 'invalid_request', /1 to 128/],
      [{ metadata: { a: Array.from({ length: 1_001 }, () => 'x') } }, 'invalid_request', /metadata\.a/],
      ['{"metadata":{"a":9007199254740993}}', 'invalid_request', /9007199254740993/],
      ['{"metadata":{"a":1e999}}', 'invalid_request', /1e999/],
      ['{"metadata":', 'invalid_json', /position/],
      [{ metadata: { a: 1 } }, 'unknown_item', /no item 404/, 404, '/items/404'],
      [{ metadata: { a: 1 } }, 'invalid_request', /id/, 400, '/items/x'],
      [{ metadata: { a: 1 } }, 'invalid_request', /at is not a parameter/, 400, '/items/4?at=0'],
    ];
    for (const [body, code, says, status = 400, path = '/items/4'] of rows) {
      const answer = await send('PATCH', path, body);
      assert.deepEqual(refused(answer), [status, code], JSON.stringify([body, answer.body]));
      assert.match(JSON.stringify(answer.body), says);
    }
    const text = await send('PATCH', '/items/4', '{}', { 'content-type': 'text/plain' });
    assert.deepEqual(refused(text), [415, 'unsupported_media_type']);
    assert.equal((await requestJson(`${cluster.url}/items/4`, { method: 'DELETE' })).status, 200);
    assert.deepEqual(refused(await send('PATCH', '/items/4', { metadata: { a: 1 } })), [404, 'unknown_item']);
    assert.deepEqual(refused(await send('PUT', '/items/4', { metadata: { a: 1 } })), [405, 'method_not_allowed']);
  });

  it('several items are read at once, in the order asked for', async () => {
    for (const entity of [10, 11, 12]) await put(entity, { title: `item ${entity}` });
    const { status, body } = await cluster.get<Items>('/items?ids=12,404,10,12, 11,9007199254740991');
    assert.equal(status, 200, JSON.stringify(body));
    assert.deepEqual(
      body.items.map(({ entity_id }) => entity_id),
      [12, 10, 11],
    );
    assert.deepEqual(body.missing, [404, 9007199254740991]);
    assert.deepEqual(body.remaining, []);
    const alone = await cluster.get<ShownItem>('/items/12');
    const { entity_id, metadata: shown, created_at, updated_at, embedding, signals } = alone.body as never;
    assert.deepEqual(body.items[0], { entity_id, metadata: shown, created_at, updated_at, embedding, signals });
    const far = Array.from({ length: 200 }, (_, n) => Number.MAX_SAFE_INTEGER - n).join(',');
    assert.equal((await cluster.get<Items>(`/items?ids=${far}`)).body.missing.length, 200);
    for (const [query, says] of [
      ['', /ids is required/],
      ['?ids=', /ids is required/],
      ['?ids=1,,2', /ids\[1\]/],
      ['?ids=1,x', /ids\[1\]/],
      ['?ids=-1', /ids\[0\]/],
      ['?ids=9007199254740992', /ids\[0\]/],
      [`?ids=${far},1`, /at most 200/],
      ['?ids=1&ids=2', /more than once/],
      ['?ids=1&id=2', /id is not a parameter/],
    ] as const) {
      const answer = await cluster.get(`/items${query}`);
      assert.deepEqual(refused(answer), [400, 'invalid_request'], query);
      assert.match(JSON.stringify(answer.body), says);
    }
  });

  it('created_at is the lowest of all puts, in every region; new and hot rank by it', async () => {
    const created = async (entity: number, region = 'us-east'): Promise<string> =>
      (await cluster.get<ShownItem>(`/items/${entity}?region=${region}`)).body.created_at;
    const dated = async (entity_id: number, created_at: unknown): Promise<Answer<Record<string, unknown>>> =>
      send('POST', '/items', { entity_id, metadata: { group: 'dated' }, created_at });
    const rows = [
      [50, '2001-02-03T04:05:06+01:00', '2001-02-03T03:05:06.000Z'],
      [51, '2020-01-01T00:00:00.5Z', '2020-01-01T00:00:00.500Z'],
      [52, Date.UTC(2015, 5, 1), '2015-06-01T00:00:00.000Z'],
      [53, '1970-01-01T00:00:00Z', '1970-01-01T00:00:00.000Z'],
    ] as const;
    let position = '';
    for (const [entity, given, shown] of rows) {
      const answer = await dated(entity, given);
      assert.equal(answer.status, 200, JSON.stringify(answer.body));
      position = String(answer.body.position);
      for (const region of ['us-east', 'eu-west', 'ap-south']) {
        assert.equal(await created(entity, `${region}&min_position=${position}`), shown);
      }
    }
    const order = async (profile: string): Promise<number[]> => {
      const { body } = await cluster.get<Items>(`/feed?profile=${profile}&filter=group:dated`);
      return body.items.map(({ entity_id }) => entity_id);
    };
    for (const profile of ['new', 'hot', 'trending', 'rising'])
      assert.deepEqual(await order(profile), [51, 52, 50, 53]);
    // A later time changes nothing, an earlier one does; neither a patch nor a delete raises it.
    await dated(51, '2021-01-01T00:00:00Z');
    assert.equal(await created(51), '2020-01-01T00:00:00.500Z');
    await dated(51, '2010-01-01T00:00:00Z');
    await send('PATCH', '/items/51', { metadata: { more: 1 } });
    assert.equal(await created(51), '2010-01-01T00:00:00.000Z');
    await requestJson(`${cluster.url}/items/51`, { method: 'DELETE' });
    await put(51, { group: 'dated' });
    assert.equal(await created(51), '2010-01-01T00:00:00.000Z');
    assert.deepEqual(await order('new'), [52, 51, 50, 53]);
    const bulk = await send('POST', '/items', [
      { entity_id: 54, metadata: {}, created_at: '2012-01-01T00:00:00Z' },
      { entity_id: 55, metadata: {} },
    ]);
    assert.equal(bulk.status, 200);
    assert.equal(await created(54), '2012-01-01T00:00:00.000Z');
    for (const wrong of [
      new Date(Date.now() + 60_000).toISOString(),
      '2999-01-01T00:00:00Z',
      '2020-02-30T00:00:00Z',
      '2020-01-01',
      1_577_836_800,
      'yesterday',
      null,
      true,
    ]) {
      const answer = await dated(56, wrong);
      assert.deepEqual(refused(answer), [400, 'invalid_request'], String(wrong));
      assert.match(JSON.stringify(answer.body), /created_at/);
    }
    const inBulk = await send('POST', '/items', [
      { entity_id: 56, metadata: {} },
      { entity_id: 57, metadata: {}, created_at: '2999-01-01T00:00:00Z' },
    ]);
    assert.match(JSON.stringify(inBulk.body.errors), /\[1\]: created_at/);
    assert.equal((await cluster.get('/items/56')).status, 404);
    assert.equal((await dated(57, new Date(Date.now() + 1_000).toISOString())).status, 200, 'a clock a little ahead');
    assert.equal((await cluster.post<{ converged: boolean }>('/cluster/verify', {})).body.converged, true);
  });

  it('numbers that would change are refused by name wherever they are sent', async () => {
    const number = '9007199254740993';
    const rows: readonly (readonly [method: string, path: string, body: string, says: RegExp])[] = [
      ['POST', '/items', `{"entity_id":60,"metadata":{"n":${number}}}`, /metadata\.n/],
      ['POST', '/items', `[{"entity_id":60,"metadata":{"n":-${number}}}]`, /\[0\].*metadata\.n/],
      ['POST', '/items', '{"entity_id":60,"metadata":{"n":123456789012345678901234567890}}', /metadata\.n/],
      ['POST', '/items', '{"entity_id":60,"metadata":{"n":1e400}}', /metadata\.n/],
      ['POST', '/items', '{"entity_id":60,"metadata":{"n":-0}}', /metadata\.n/],
      ['POST', '/items', '{"entity_id":60,"metadata":{"n":1e-400}}', /metadata\.n/],
      ['POST', '/items', '{"entity_id":60,"metadata":{"n":9007199254740991.5}}', /metadata\.n/],
      ['POST', '/items', `{"entity_id":${number},"metadata":{}}`, /entity_id/],
      ['PATCH', '/items/1', `{"metadata":{"n":${number}}}`, /metadata\.n/],
      ['POST', '/signals', '{"entity_id":60,"signal":"view","weight":0.0005}', /weight/],
      ['POST', '/signals', `{"entity_id":60,"signal":"view","weight":${number}}`, /weight/],
      ['POST', '/embeddings', '{"entity_id":60,"values":[1e39,0,0,0]}', /values\[0\]/],
      ['POST', '/search', `{"query":"x","limit":${number}}`, /limit/],
      ['POST', '/feed', `{"exclude":[1,${number}]}`, /exclude\[1\]/],
      ['POST', '/feed', `{"profile":"related","entity_id":${number}}`, /entity_id/],
    ];
    for (const [method, path, body, says] of rows) {
      const answer = await send(method, path, body);
      assert.equal(answer.status, 400, `${body} ${JSON.stringify(answer.body)}`);
      assert.match(JSON.stringify(answer.body.errors), says, `${body} ${JSON.stringify(answer.body)}`);
    }
    assert.equal((await cluster.get('/items/60')).status, 404);
  });

  it('new items without reactions come newest first, one reaction counts, and no decayed sum exceeds its weights', async () => {
    for (const entity of [70, 71, 72, 73, 74]) await put(entity, { group: 'silent' });
    const order = async (profile: string): Promise<number[]> => {
      const { body } = await cluster.get<Items>(`/feed?profile=${profile}&filter=group:silent`);
      return body.items.map(({ entity_id }) => entity_id);
    };
    for (const profile of ['hot', 'trending', 'rising', 'best', 'controversial']) {
      assert.deepEqual(await order(profile), [74, 73, 72, 71, 70], profile);
    }
    await send('POST', '/signals', { entity_id: 71, signal: 'like' });
    assert.deepEqual(await order('hot'), [71, 74, 73, 72, 70]);
    assert.equal((await order('best'))[0], 71);
    for (let n = 0; n < 20; n++) await send('POST', '/signals', { entity_id: 70, signal: 'like', weight: 1.5 });
    for (const at of [0, Date.now() - 30 * 86_400_000, Date.now() - 3_600_000, Date.now()]) {
      const when = new Date(at).toISOString();
      const { status, body } = await cluster.get<{ signals: Record<string, Record<string, number>> }>(
        `/items/70?at=${when}`,
      );
      if (status === 400) continue;
      const { all = 0, decayed = 0 } = body.signals.like ?? {};
      assert.ok(decayed <= all + 1e-9 && all <= 30, `${when}: ${decayed} of ${all}`);
    }
  });

  it('feeds and searches leave out what is excluded, by URL and by body, also a thousand of the longest ids', async () => {
    for (const entity of [30, 31, 32, 33]) await put(entity, { title: 'zebra', group: 'excluded' });
    const far = Array.from({ length: 998 }, (_, n) => Number.MAX_SAFE_INTEGER - n);
    const exclude = [31, ...far, 33];
    const filter = 'filter=group:excluded';
    const body = { filter: 'group:excluded', exclude };
    const answers = [
      await cluster.get<Items>(`/feed?profile=new&${filter}&exclude=${exclude.join(',')}`),
      await cluster.get<Items>(`/feed?profile=new&${filter}&exclude=${exclude.join('%2C')}&region=eu-west`),
      await cluster.get<Items>(`/search?query=zebra&exclude=${exclude.join(',')}`),
      await cluster.post<Items>('/feed', { profile: 'new', region: 'ap-south', ...body }),
      await cluster.post<Items>('/search', { query: 'zebra', ...body }),
    ];
    for (const answer of answers) {
      assert.equal(answer.status, 200, JSON.stringify(answer.body));
      assert.deepEqual(answer.body.items.map(({ entity_id }) => entity_id).sort(), [30, 32]);
    }
    const region = await cluster.post('/feed', { region: 'mars' });
    assert.deepEqual(refused(region), [404, 'unknown_region']);
  });

  it('items larger than one answer remain to be asked for', async () => {
    const ids = Array.from({ length: 20 }, (_, n) => 100 + n);
    for (const entity of ids) await put(entity, { text: 'x'.repeat(240 * 1024) });
    const seen: number[] = [];
    let left: readonly number[] = ids;
    for (let rounds = 0; left.length > 0; rounds++) {
      const { body } = await cluster.get<Items>(`/items?ids=${left.join(',')}`);
      seen.push(...body.items.map(({ entity_id }) => entity_id));
      left = body.remaining;
      assert.ok(rounds < 3);
    }
    assert.deepEqual(seen, ids);
  });
});
