/** The OpenAPI document and the code: neither has a route, a parameter, a header or an error code that the other has not. */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { createConfig, lintFromString } from '@redocly/openapi-core';
import { windows } from '../../../services/region/schema/schema.ts';
import { matchings, syntaxes } from '../../../services/region/state/text/query/text-query.ts';
import { forms } from '../../../services/region/state/text/statistics/statistics.ts';
import { journalParameters } from '../../../services/router/journal/journal.ts';
import type { Operation, Parameter, Response } from '../../../services/router/openapi/document.ts';
import {
  bodyFieldsOf,
  type OperationName,
  openApiDocument,
  operations,
} from '../../../services/router/openapi/openapi.ts';
import * as documented from '../../../services/router/openapi/parameters.ts';
import { elsewhere, problemResponses } from '../../../services/router/openapi/problem-responses.ts';
import { matches } from '../../../services/router/openapi/read-schemas.ts';
import { problems } from '../../../shared/errors/errors.ts';
import * as readParameters from '../../../shared/protocol/read-parameters.ts';
import { writeFields } from '../../../shared/protocol/writes.ts';
import { openApiFiles } from '../../docs/openapi/openapi-files.ts';
import { memoryCluster } from '../../harness/router/memory-cluster.ts';

const root = fileURLToPath(new URL('../../../../', import.meta.url));
const WHERE = 'services/router/openapi has the document; docs/changing.md, “A route”, says what to add';

interface Layer {
  readonly path: unknown;
  readonly methods: readonly string[];
}

/** `METHOD /pattern` of the router's own table. HEAD, which every GET answers, is left out. */
function routesOfRouter(): string[] {
  const broker = { render: () => Promise.resolve({ contentType: 'text/plain', text: '' }) };
  const { app } = memoryCluster({ broker, maxLiveStreams: 1 }).router as unknown as {
    readonly app: { readonly middleware: readonly { readonly router?: { readonly stack: readonly Layer[] } }[] };
  };
  return (
    app.middleware
      .flatMap(({ router }) => router?.stack ?? [])
      .flatMap(({ path, methods }) =>
        methods.filter((method) => method !== 'HEAD').map((method) => `${method} ${path}`),
      )
      // The files of the page that `GET /` answers.
      .filter((route) => route !== 'GET /console/:file')
      .map((route) => route.replace(/:(\w+)/g, '{$1}'))
  );
}

const all = Object.entries(operations) as [OperationName, Operation][];

function parametersOf({ parameters }: Operation, where: Parameter['in']): string[] {
  return parameters
    .map((each) => {
      if (!('$ref' in each)) return each;
      const name = each.$ref.split('/').at(-1) as keyof typeof documented.parameters;
      return documented.parameters[name] as Parameter;
    })
    .filter((each) => each.in === where)
    .map(({ name }) => name);
}

describe('the OpenAPI document', () => {
  it('has every route of the router, and no other', () => {
    assert.deepEqual(Object.keys(operations).sort(), routesOfRouter().sort(), WHERE);
  });

  it('has the parameters and fields that requests are checked by, in their order', () => {
    const { itemParameters, itemsParameters, feedParameters, searchParameters, searchFields, suggestParameters } =
      readParameters;
    const query = {
      'GET /items/{id}': itemParameters,
      'GET /items': itemsParameters,
      'GET /feed': feedParameters,
      'GET /search': searchParameters,
      'GET /suggest': suggestParameters,
      'GET /cluster/events': journalParameters,
    } as Partial<Record<OperationName, readonly string[]>>;
    for (const [name, operation] of all) assert.deepEqual(parametersOf(operation, 'query'), query[name] ?? [], name);
    assert.deepEqual(bodyFieldsOf('POST /feed'), feedParameters);
    assert.deepEqual(bodyFieldsOf('POST /search'), searchFields);
    const { schemas } = openApiDocument.components;
    for (const [kind, schema] of [
      ['items', 'Item'],
      ['embeddings', 'Embedding'],
      ['signals', 'Signal'],
    ] as const)
      assert.deepEqual(Object.keys(schemas[schema]!.properties!), writeFields[kind], WHERE);
  });

  it('has the windows, syntaxes, matchings and matches that there are', () => {
    assert.deepEqual(
      [documented.windows, documented.syntaxes, documented.matchings, matches.toSorted()],
      [windows, syntaxes, matchings, [...new Set(Object.values(forms).map(({ match }) => match))].sort()],
    );
  });

  it('has every error code with an operation, or says where it is answered', () => {
    const codes = Object.values(problemResponses).flatMap(codesOf);
    assert.deepEqual([...new Set([...codes, ...Object.keys(elsewhere)])].sort(), Object.keys(problems).sort(), WHERE);
    assert.deepEqual(
      codes.filter((code) => code in elsewhere),
      [],
    );
  });

  it('has every header that the code reads or sets, but for those of HTTP itself', () => {
    const given = new Set(all.flatMap(([, operation]) => parametersOf(operation, 'header')));
    const answered = Object.keys(documented.headers);
    const known = new Set([...given, ...answered].map((name) => name.toLowerCase()));
    const folders = ['services/router/http', 'services/router/keys', 'services/region/http/reads', 'shared/http'];
    const text = folders.flatMap(sourcesIn).join('\n');
    const named = [...text.matchAll(/(?:ctx\.[gs]et|setHeader|\bset)\(\s*'([A-Za-z-]+)'|\bheaders\['([a-z-]+)'\]/g)];
    const used = new Set(named.map(([, got, member]) => (got ?? member)!.toLowerCase()));
    assert.ok(used.size > 10, [...used].join(', '));
    assert.deepEqual([...used].filter((name) => !known.has(name) && !ofHttp.test(name)).sort(), [], WHERE);
    // `ctx.fresh` and `ctx.etag` are Koa's.
    assert.deepEqual(
      [...known].filter((name) => !used.has(name) && !['etag', 'if-none-match'].includes(name)),
      [],
      WHERE,
    );
  });

  it('names each operation once, and its scope as the keys have them', () => {
    const ids = all.map(([, { operationId }]) => operationId);
    assert.equal(new Set(ids).size, ids.length);
    const scopes: Readonly<Record<string, string>> = { writes: 'write', reads: 'read', cluster: 'admin' };
    for (const [name, { tags, security }] of all) {
      if (tags[0] !== 'process') assert.deepEqual(security, [{ key: [scopes[tags[0]]] }], name);
    }
  });

  it('has no operation without a method of the typed client', () => {
    const client = readFileSync(join(root, 'shared/client/client.ts'), 'utf8');
    // Others ask the same, or are for probes, scrapers, generators and browsers.
    const without = ['getFeed', 'getSearch', 'getLive', 'getBrokerMetrics', 'getOpenApi', 'getConsole'];
    assert.deepEqual(
      all.map(([, { operationId }]) => operationId).filter((id) => client.includes(`'${id}'`) === without.includes(id)),
      [],
      'add a method to shared/client/client.ts, and a call of it to test/unit/shared/client/client.test.ts',
    );
  });

  it('is accepted by the linter, its examples included', async function () {
    this.timeout(60_000);
    const rules = {
      'no-invalid-media-type-examples': 'error',
      'no-invalid-parameter-examples': 'error',
      'no-invalid-schema-examples': 'error',
    } as const;
    const config = await createConfig({ extends: ['recommended-strict'], rules });
    const found = await lintFromString({ source: JSON.stringify(openApiDocument), config });
    assert.deepEqual(
      found.map(({ ruleId, message, location }) => `${ruleId} at ${location[0]?.pointer}: ${message}`),
      [],
    );
  });

  for (const [file, text] of openApiFiles()) {
    it(`${file} is what it generates`, () => {
      assert.ok(readFileSync(join(root, file), 'utf8') === text, `run npm run docs:openapi and commit ${file}`);
    });
  }
});

/** Of bodies, connections, codings and origins: the surface's own say nothing more about them than HTTP does. */
const ofHttp =
  /^(accept-encoding|access-control-.+|allow|authorization|connection|content-(encoding|length|type)|expect|host|origin|transfer-encoding|vary)$/;

function codesOf({ content = {} }: Response): string[] {
  return Object.values(content).flatMap(({ schema }) => (schema.properties?.code?.enum ?? []) as string[]);
}

function sourcesIn(folder: string): string[] {
  return readdirSync(join(root, folder), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && entry.name.endsWith('.ts'))
    .map((entry) => readFileSync(join(entry.parentPath, entry.name), 'utf8'));
}
