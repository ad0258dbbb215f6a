/** What the OpenAPI document says and what a cluster does are the same: examples, bounds, refusals, and every answer. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { digestOf } from '../../services/router/keys/key-access.ts';
import type { MediaType, Operation, Parameter, Schema } from '../../services/router/openapi/document.ts';
import { type OperationName, operations } from '../../services/router/openapi/openapi.ts';
import { type ProblemCode, problems } from '../../shared/errors/errors.ts';
import { type Answered, allows, flawsOf, parametersOf, probesOf, resolved } from '../checkers/against-document.ts';
import { Cluster } from '../harness/processes/cluster.ts';

const names = Object.keys(operations) as OperationName[];
const operation = (name: OperationName): Operation => operations[name];
const json = 'application/json';

interface Request {
  readonly id?: string;
  readonly query?: Readonly<Record<string, unknown>>;
  readonly headers?: Readonly<Record<string, string>>;
  readonly type?: string;
  readonly body?: string | undefined;
}

/** Parameters and fields that mean something beside another one only. */
const companions: Readonly<Record<string, Readonly<Record<string, unknown>>>> = {
  profile_weight: { profile: 'hot' },
  facet_limit: { facets: 'category' },
  snippet_length: { highlight: 'title' },
  entity_id: { profile: 'related' },
};
function companionsOf(name: string, known: object): Readonly<Record<string, unknown>> {
  return Object.fromEntries(Object.entries(companions[name] ?? {}).filter(([other]) => other in known));
}

/** Operations whose examples cannot succeed in a new cluster: there is no lost disk, no event to set aside, and no write of that name. */
const refusedExamples: Partial<Record<OperationName, ProblemCode>> = {
  'POST /cluster/retire-disk': 'unknown_disk',
  'POST /cluster/quarantine': 'unknown_event',
  'POST /cluster/trace': 'unknown_event',
};
/** Values that a schema allows and a check refuses for another reason than their form. */
const judged = ['at', 'created_at', 'last', 'heal_after', 'highlight', 'retract', 'PATCH /items/{id} metadata'];
const semantic: ReadonlySet<string> = new Set<ProblemCode>([
  ...(['wrong_dimensions', 'unknown_item', 'unknown_disk', 'unknown_event', 'unknown_region'] as const),
  ...(['unknown_profile', 'unknown_signal', 'no_embedding', 'invalid_filter', 'invalid_query'] as const),
  'nothing_to_retract',
]);

/** With `If-None-Match` alone, `fetch` asks for a new answer. */
const ifChanged = { 'cache-control': 'max-age=0' };

function examplesOf({ examples = {} }: Pick<Parameter | MediaType, 'examples'>): unknown[] {
  return Object.values(examples).map((example) => (example as { readonly value: unknown }).value);
}

/** As the parameter's style has it. */
function pairs(name: string, value: unknown, { explode = true }: Partial<Parameter> = {}): [string, string][] {
  if (!Array.isArray(value)) return [[name, String(value)]];
  return explode ? value.map((each): [string, string] => [name, String(each)]) : [[name, value.join(',')]];
}

describe('the OpenAPI document and a cluster', function () {
  this.timeout(240_000);
  let cluster: Cluster;
  let directory: string;

  before(async () => {
    directory = mkdtempSync(join(tmpdir(), 'tidal-openapi-'));
    const entry = (name: string, more: string): string =>
      `  - name: ${name}\n    sha256: ${digestOf(name).toString('hex')}\n    ${more}\n`;
    const file = join(directory, 'keys.yaml');
    writeFileSync(
      file,
      `keys:\n${entry('reader', 'scopes: [read]')}${entry('writer', 'scopes: [write]')}${entry('slow', 'scopes: [read, write, admin, metrics]\n    rate: 0.001')}`,
    );
    const keyed = { main: 'services/router/main.js', env: { TIDAL_API_KEYS_FILE: file } };
    cluster = await Cluster.start({ routers: 2, startLimitMs: 120_000, mains: { 'router-2': keyed } });
  });
  after(async () => {
    await cluster?.stop();
    rmSync(directory, { recursive: true, force: true });
  });

  async function send(name: OperationName, request: Request, url = cluster.url): Promise<Answered> {
    const [method = '', pattern = ''] = name.split(' ');
    const known = new Map(parametersOf(name, 'query').map((parameter) => [parameter.name, parameter]));
    const query = Object.entries(request.query ?? {}).flatMap(([each, value]) => pairs(each, value, known.get(each)));
    const path = pattern.replace('{id}', encodeURIComponent(request.id ?? '1'));
    const response = await fetch(`${url}${path}${query.length === 0 ? '' : `?${new URLSearchParams(query)}`}`, {
      ...{ method, signal: AbortSignal.timeout(60_000) },
      headers: { ...(request.body === undefined ? {} : { 'content-type': request.type ?? json }), ...request.headers },
      ...(request.body === undefined ? {} : { body: request.body }),
    });
    return { status: response.status, headers: response.headers, text: await response.text() };
  }

  /** Sends it; the answer is as documented, and this one. */
  async function expect(
    name: OperationName,
    request: Request,
    wanted: 'success' | 'refusal' | ProblemCode,
    url?: string,
  ) {
    const answer = await send(name, request, url);
    assert.deepEqual(flawsOf(name, answer), []);
    const said = `${name} ${JSON.stringify(request).slice(0, 400)} answered ${answer.status} ${answer.text.slice(0, 300)}`;
    if (wanted === 'success') assert.ok(answer.status < 300, said);
    else if (wanted === 'refusal') assert.ok(answer.status >= 400 && answer.status < 500, said);
    else assert.equal((JSON.parse(answer.text) as { code: string }).code, wanted, said);
    return answer;
  }

  const contentOf = (name: OperationName) => operation(name).requestBody?.content ?? {};
  const exampleBody = (name: OperationName): Record<string, unknown> | undefined => {
    const media = contentOf(name)[json];
    return media && (examplesOf(media)[0] as Record<string, unknown>);
  };
  /** A retraction needs a key; each body has one of its own. */
  const keyed = (name: OperationName, body: string): Request => {
    const isKeyed = name === 'DELETE /signals' && !body.includes('"position"');
    return { headers: isKeyed ? { 'Idempotency-Key': digestOf(body).toString('hex') } : {}, body };
  };
  /** The smallest request that succeeds; a retraction, once its signal is given. */
  const base = (name: OperationName): Request => {
    const required = parametersOf(name, 'query').filter((parameter) => parameter.required === true);
    // POST /signals has given its own example under the key of the document.
    const body = exampleBody(name === 'DELETE /signals' ? 'POST /signals' : name);
    return {
      query: Object.fromEntries(required.map((parameter) => [parameter.name, examplesOf(parameter)[0]])),
      ...(body === undefined ? {} : keyed(name, JSON.stringify(body))),
    };
  };
  /** What later operations need, whatever the ones before have changed. */
  const refill = async (): Promise<void> => {
    for (const name of ['POST /items', 'POST /embeddings', 'POST /signals'] as const)
      await expect(
        name,
        { body: JSON.stringify(examplesOf(contentOf(name)[json]!).findLast(Array.isArray)) },
        'success',
      );
  };

  for (const name of names) {
    if (name === 'GET /metrics/nats') continue;
    describe(name, () => {
      before(refill);

      it('succeeds with every example, and answers as documented', async () => {
        const check = async (request: Request): Promise<void> => {
          if (request.body?.includes('"position"') && name !== 'POST /cluster/trace') {
            await expect(name, request, 'nothing_to_retract');
            return;
          }
          if (name === 'DELETE /signals') await expect('POST /signals', request, 'success');
          await expect(name, request, refusedExamples[name] ?? 'success');
        };
        await check(base(name));
        const known = Object.fromEntries(parametersOf(name, 'query').map((each) => [each.name, each]));
        for (const parameter of parametersOf(name, 'query')) {
          for (const value of examplesOf(parameter)) {
            const query = { ...base(name).query, ...companionsOf(parameter.name, known), [parameter.name]: value };
            await check({ ...base(name), query });
          }
        }
        for (const parameter of parametersOf(name, 'header')) {
          for (const value of examplesOf(parameter))
            await check({ ...base(name), headers: { ...base(name).headers, [parameter.name]: String(value) } });
        }
        for (const [type, media] of Object.entries(contentOf(name))) {
          for (const value of examplesOf(media)) {
            const body = typeof value === 'string' ? value : JSON.stringify(value);
            await check({ ...base(name), type, ...keyed(name, body) });
          }
        }
        if (name === 'DELETE /items/{id}') await refill();
      });

      it('accepts what the schemas allow, and refuses what they do not', async () => {
        const known = Object.fromEntries(parametersOf(name, 'query').map((each) => [each.name, each]));
        for (const parameter of parametersOf(name, 'query')) {
          if (parameter.name === 'cursor') continue;
          for (const value of probesOf(parameter.schema)) {
            const isText = resolved(parameter.schema).type === 'string';
            // What a request line cannot say: null, an empty list, an object; a number where a text is expected is one.
            if (value === null || (typeof value === 'object' && (!Array.isArray(value) || value.length === 0)))
              continue;
            if (isText && typeof value !== 'string') continue;
            if (Array.isArray(value) && value.some((each) => typeof each === 'object' || each === '')) continue;
            const isList = resolved(parameter.schema).type === 'array';
            if (isList && !Array.isArray(value)) continue;
            if (isList && resolved(parameter.schema.items!).type === 'string' && value !== null) continue;
            const query = { ...base(name).query, ...companionsOf(parameter.name, known), [parameter.name]: value };
            await probe(name, { ...base(name), query }, { of: parameter.name, schema: parameter.schema, value });
          }
        }
        for (const { name: header, schema } of parametersOf(name, 'header')) {
          for (const value of probesOf(schema)) {
            if (typeof value !== 'string') continue;
            await probe(name, { ...base(name), headers: { [header]: value } }, { of: header, schema, value });
          }
        }
        for (const { name: of, schema } of parametersOf(name, 'path')) {
          for (const value of probesOf(schema)) {
            if (typeof value === 'object' || value === '') continue;
            await probe(name, { ...base(name), id: String(value) }, { of, schema, value });
          }
        }
        const media = contentOf(name)[json];
        const whole = media && resolved<Schema>(media.schema);
        const { properties = {} } = whole?.anyOf === undefined ? (whole ?? {}) : resolved<Schema>(whole.anyOf[0]!);
        for (const [field, schema] of Object.entries(properties)) {
          for (const value of probesOf(schema)) {
            const body = JSON.stringify({ ...exampleBody(name), ...companionsOf(field, properties), [field]: value });
            if (field !== 'cursor')
              await probe(name, { ...base(name), ...keyed(name, body) }, { of: field, schema, value });
          }
        }
        if (name === 'POST /cluster/partition')
          await expect('POST /cluster/heal', base('POST /cluster/heal'), 'success');
      });

      async function probe(
        of: OperationName,
        request: Request,
        { of: field, schema, value }: { readonly of: string; readonly schema: Schema; readonly value: unknown },
      ): Promise<void> {
        if (!allows(schema, value)) {
          await expect(of, request, 'refusal');
          return;
        }
        const answer = await send(of, request);
        assert.deepEqual(flawsOf(of, answer), []);
        if (
          answer.status < 400 ||
          typeof value === 'string' ||
          judged.some((each) => each === field || each === `${of} ${field}`)
        )
          return;
        const { code } = JSON.parse(answer.text) as { code: string };
        assert.ok(semantic.has(code), `${of} ${field}=${JSON.stringify(value).slice(0, 100)}: ${answer.text}`);
      }
    });
  }

  describe('refusals', () => {
    const large = 'x'.repeat(2 * 1024 * 1024 + 1);
    const of = (path: string) => (name: OperationName) => name.endsWith(path);
    const with_ = (change: (name: OperationName) => Request) => change;
    const fields = (more: object) => with_((name) => keyed(name, JSON.stringify({ ...exampleBody(name), ...more })));
    const inLine = (query: Request['query']) =>
      with_((name) =>
        exampleBody(name) === undefined
          ? { ...base(name), query: { ...base(name).query, ...query } }
          : { body: JSON.stringify({ ...exampleBody(name), ...query }) },
      );
    /** By code: a request that is refused with it, of each operation that documents it, or of those that `of` chooses. */
    const cases: Partial<
      Record<ProblemCode, readonly [request: (name: OperationName) => Request, of?: (name: OperationName) => boolean]>
    > = {
      invalid_json: [() => ({ body: '{' })],
      invalid_request: [
        (name) => ({
          ...base(name),
          headers: { 'x-tidal-position': 'x', 'idempotency-key': 'a b', prefer: 'durability=disk' },
          query: { ...base(name).query, no_such: 1 },
        }),
        (name) => operation(name).tags[0] !== 'process',
      ],
      unknown_field: [fields({ no_such_field: 1 })],
      unsupported_media_type: [(name) => ({ ...base(name), type: 'text/plain' })],
      body_too_large: [() => ({ body: JSON.stringify({ metadata: large }) })],
      event_too_large: [fields({ metadata: { a: 'x'.repeat(300_000) } })],
      headers_too_large: [(name) => ({ ...base(name), headers: { 'x-filler': 'x'.repeat(40_000) } })],
      unknown_signal: [fields({ signal: 'no_such_signal' })],
      wrong_dimensions: [
        (name) => ({ body: JSON.stringify(name === 'POST /search' ? { vector: [1] } : { entity_id: 1, values: [1] }) }),
      ],
      context_not_replicated: [fields({ user_id: 1 })],
      invalid_query: [inLine({ query: '~', syntax: 'lunr' })],
      invalid_filter: [inLine({ filter: 'category' })],
      unknown_profile: [inLine({ profile: 'no_such_profile' })],
      unknown_region: [
        (name) =>
          name === 'POST /cluster/quarantine'
            ? { body: JSON.stringify({ origin: 'no-such@aaaaaaaaaaaaa', sequence: 1 }) }
            : inLine({ region: 'no-such' })(name),
      ],
      unknown_item: [
        (name) =>
          of('/feed')(name) ? inLine({ profile: 'related', entity_id: 404 })(name) : { ...base(name), id: '404' },
      ],
      no_embedding: [inLine({ profile: 'related', entity_id: 3 })],
      unknown_disk: [base],
      unknown_event: [base],
      disk_in_use: [() => ({ body: JSON.stringify({ disk: '' }) })],
      event_applied: [() => ({ body: '' })],
      nothing_to_retract: [() => ({ body: JSON.stringify({ position: 'us-east@aaaaaaaaaaaaa:1', retract: true }) })],
      not_retractable: [() => ({ body: '' })],
      drill_in_progress: [base],
      drill_ended: [base],
      target_partitioned: [() => ({ body: JSON.stringify({ region: 'ap-south' }) })],
      position_not_reached: [
        (name) => ({ ...base(name), headers: { 'x-tidal-position': 'us-east@aaaaaaaaaaaaa:1' } }),
        (name) => operation(name).tags[0] === 'reads',
      ],
      idempotency_conflict: [
        (name) => ({ ...base(name), headers: { 'idempotency-key': `another-body:${name.replace(' ', ':')}` } }),
      ],
      unauthenticated: [base],
      forbidden: [
        (name) => ({
          ...base(name),
          headers: { authorization: `Bearer ${operation(name).security[0]?.key[0] === 'read' ? 'writer' : 'reader'}` },
        }),
      ],
      rate_limited: [(name) => ({ ...base(name), headers: { authorization: 'Bearer slow' } })],
    };
    /** Refusals that no request provokes alone, each with a test of its own. */
    const elsewhere: readonly ProblemCode[] = [
      ...(['internal', 'overloaded', 'request_timeout', 'expectation_failed', 'not_leader', 'handing_over'] as const),
      ...(['not_ready', 'no_leader', 'region_unreachable', 'control_unavailable', 'shutting_down'] as const),
      ...(['version_mismatch', 'configuration_refused', 'stream_unavailable', 'clock_unsafe', 'storage_full'] as const),
      ...([
        'state_full',
        'client_keys_full',
        'quarantine_full',
        'stream_unconfirmed',
        'handover_timeout',
        'outcome_unknown',
      ] as const),
      ...(['promotion_in_progress', 'target_unreachable', 'target_not_ready', 'leader_partitioned'] as const),
      ...(['leader_unreachable', 'stale_epoch', 'log_trimmed', 'log_damaged'] as const),
    ];
    const codesOf = (name: OperationName): ProblemCode[] =>
      Object.values(operation(name).responses).flatMap((response) => {
        const { content = {} } = resolved<{ readonly content?: Readonly<Record<string, MediaType>> }>(response);
        return (content['application/problem+json']?.schema.properties?.code?.enum ?? []) as ProblemCode[];
      });

    it('each documented code is provoked, or named as one that a request cannot provoke', () => {
      const documented = new Set(names.flatMap(codesOf));
      assert.deepEqual([...documented].filter((code) => !(code in cases) && !elsewhere.includes(code)).sort(), []);
      assert.deepEqual(
        [...Object.keys(cases), ...elsewhere].filter((code) => !documented.has(code as ProblemCode)),
        [],
      );
    });

    for (const code of Object.keys(cases) as ProblemCode[]) {
      it(`${problems[code][0]} ${code}`, async () => {
        await refill();
        const [request, chosen = () => true] = cases[code]!;
        const asked = names.filter(
          (name) => codesOf(name).includes(code) && chosen(name) && name !== 'GET /metrics/nats',
        );
        assert.ok(asked.length > 0);
        const isKeyed = ['unauthenticated', 'forbidden', 'rate_limited'].includes(code);
        if (code === 'target_partitioned')
          await expect('POST /cluster/partition', base('POST /cluster/partition'), 'success');
        // Refused if the drill of the example was ended before.
        if (code === 'drill_ended') {
          await send('POST /cluster/drill', base('POST /cluster/drill'));
          await expect('POST /cluster/drill/end', base('POST /cluster/drill/end'), 'success');
        }
        if (code === 'drill_in_progress')
          await expect('POST /cluster/drill', fields({ id: 'drill2in2progress' })('POST /cluster/drill'), 'success');
        if (code === 'rate_limited')
          await send('GET /feed', { headers: { authorization: 'Bearer slow' } }, cluster.routerUrls[1]);
        for (const name of asked) {
          if (code === 'idempotency_conflict') {
            const { headers } = request(name);
            const other = name.includes('{id}')
              ? { ...base(name), id: '2', headers: headers! }
              : { headers: headers!, body: JSON.stringify({ ...exampleBody(name), entity_id: 7 }) };
            if (name === 'DELETE /signals') await expect('POST /signals', other, 'success');
            await expect(name, other, 'success');
          }
          const made = await (code === 'disk_in_use'
            ? ofPresentDisk()
            : code === 'event_applied'
              ? ofAppliedEvent()
              : code === 'not_retractable'
                ? { body: JSON.stringify({ position: await signalPosition(), retract: true }) }
                : request(name));
          await expect(name, made, code, isKeyed ? cluster.routerUrls[1] : undefined);
        }
        if (code === 'target_partitioned') await expect('POST /cluster/heal', base('POST /cluster/heal'), 'success');
        if (code === 'drill_in_progress')
          await expect('POST /cluster/drill/stop', base('POST /cluster/drill/stop'), 'success');
      });
    }

    /** Of a signal without a key. */
    async function signalPosition(): Promise<string> {
      const { text } = await expect('POST /signals', base('POST /signals'), 'success');
      return (JSON.parse(text) as { position: string }).position;
    }

    async function ofPresentDisk(): Promise<Request> {
      const disk = (await cluster.status()).regions[0]!.disk!;
      return { body: JSON.stringify({ disk }) };
    }

    async function ofAppliedEvent(): Promise<Request> {
      const [origin, sequence] = (await signalPosition()).split(':');
      return { body: JSON.stringify({ origin, sequence: Number(sequence) }) };
    }
  });

  describe('answers that a request leads to', () => {
    before(refill);

    it('304 with the entity tag of an answer, and the next page with its cursor', async () => {
      for (const name of ['GET /feed', 'GET /search', 'GET /items', 'GET /items/{id}'] as const) {
        const first = await expect(
          name,
          { ...base(name), query: { ...base(name).query, at: '2040-01-01T00:00:00Z' } },
          'success',
        );
        const etag = first.headers.get('etag');
        assert.ok(etag !== null, name);
        const again = await send(name, {
          ...base(name),
          query: { ...base(name).query, at: '2040-01-01T00:00:00Z' },
          headers: { 'if-none-match': etag, ...ifChanged },
        });
        assert.equal(again.status, 304, name);
        assert.deepEqual(flawsOf(name, again), []);
      }
      for (const name of ['POST /feed', 'POST /search'] as const) {
        const asked = { limit: 1, ...(name === 'POST /search' ? { query: '*' } : {}) };
        const { text } = await expect(name, { body: JSON.stringify(asked) }, 'success');
        const { next_cursor: cursor } = JSON.parse(text) as { next_cursor: string };
        assert.equal(typeof cursor, 'string');
        await expect(name, { body: JSON.stringify({ ...asked, cursor }) }, 'success');
      }
    });

    it('replayed under the same idempotency key', async () => {
      const request = { ...base('POST /signals'), headers: { 'idempotency-key': 'replayed' } };
      await expect('POST /signals', request, 'success');
      const { text } = await expect('POST /signals', request, 'success');
      assert.equal((JSON.parse(text) as { replayed?: boolean }).replayed, true);
    });
  });
});
