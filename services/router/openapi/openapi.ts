/**
 * The OpenAPI 3.1 document of the public surface: every route, parameter, field, header, error code and example. Contract of this folder.
 *
 * It is derived from what the program checks by: the parameters of reads, the fields of writes, limits and error codes are the tables
 * that refuse requests. What has no such table is compared by a test, which sends every example and every documented error and checks
 * each answer against the document ([ADR 29](../../../docs/adr/0029-hand-written-checks.md)).
 */
import { problems } from '../../../shared/errors/errors.ts';
import { PROGRAM_VERSION } from '../../../shared/protocol/version.ts';
import { clusterOperations } from './cluster-operations.ts';
import { clusterSchemas } from './cluster-schemas.ts';
import type { Operation, Schema } from './document.ts';
import { openOperations } from './open-operations.ts';
import { headers, parameters } from './parameters.ts';
import { elsewhere, problemExamples, problemResponses, problemSchemas } from './problem-responses.ts';
import { readOperations } from './read-operations.ts';
import { readSchemas } from './read-schemas.ts';
import { writeOperations } from './write-operations.ts';
import { writeSchemas } from './write-schemas.ts';

export type { Operation, Schema };

/** Where it is served; read by code generators, so it needs no key: it holds no data. */
export const DOCUMENT_PATH = '/openapi.json';

export interface OpenApiDocument {
  readonly openapi: '3.1.1';
  readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>;
  readonly components: {
    readonly schemas: Readonly<Record<string, Schema>>;
    readonly [kind: string]: Readonly<Record<string, unknown>>;
  };
  readonly [member: string]: unknown;
}

/** By `METHOD /path`, in the order of the document. */
export const operations = {
  ...writeOperations,
  ...readOperations,
  ...clusterOperations,
  ...openOperations,
} as const satisfies Readonly<Record<string, Operation>>;

export type OperationName = keyof typeof operations;

const description = `Ranked feeds and search over items, their embeddings and signals, replicated to several regions. docs/api.md explains it.

Errors are \`application/problem+json\` (RFC 9457) with a stable \`code\`. A refusal (4xx, 503, 507) has changed nothing; a 504 may have.
Unknown fields and parameters are refused by name. Answers may gain fields in later versions.

Without keys every request is accepted; with keys a request needs the scope that its operation names, as \`Authorization: Bearer <key>\`.

Codes that are not listed with an operation: ${Object.entries(elsewhere)
  .map(([code, when]) => `\`${code}\` (${problems[code as keyof typeof elsewhere][0]}): ${when}`)
  .join('; ')}.`;

export const openApiDocument: OpenApiDocument = {
  openapi: '3.1.1',
  info: {
    title: 'tidalDB Cluster',
    version: PROGRAM_VERSION,
    description,
    license: { name: 'Apache-2.0', identifier: 'Apache-2.0' },
  },
  servers: [{ url: 'http://127.0.0.1:9500', description: 'a router with its default address; any router will do' }],
  tags: [
    {
      name: 'writes',
      description: 'Items, embeddings and signals; accepted by the leader, replicated to every region.',
    },
    { name: 'reads', description: 'Answered by one region: the leader, or the one that `region` names.' },
    { name: 'cluster', description: 'What operators do: leadership, drills, comparisons, quarantine.' },
    { name: 'process', description: 'Health, metrics and this document.' },
  ],
  paths: pathsOf(operations),
  components: {
    schemas: { ...writeSchemas, ...readSchemas, ...clusterSchemas, ...problemSchemas },
    parameters: parameters,
    headers,
    responses: problemResponses,
    examples: problemExamples,
    securitySchemes: {
      key: {
        type: 'http',
        scheme: 'bearer',
        description:
          'A key with scopes: `read`, `write`, `admin`, `metrics` (docs/keys.md). A cluster without keys needs none.',
      },
    },
  },
};

function pathsOf(all: Readonly<Record<string, Operation>>): OpenApiDocument['paths'] {
  const paths: Record<string, Record<string, Operation>> = {};
  for (const [name, operation] of Object.entries(all)) {
    const [method = '', path = ''] = name.split(' ');
    paths[path] = { ...paths[path], [method.toLowerCase()]: operation };
  }
  return paths;
}

/** The fields of the JSON body of an operation, in the order in which refusals list them. */
export function bodyFieldsOf(name: OperationName): readonly string[] {
  const schema = (operations[name] as Operation).requestBody?.content['application/json']?.schema;
  return Object.keys(schema?.properties ?? {});
}
