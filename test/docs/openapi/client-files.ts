/** The types and the table of operations of the typed client, as source text, from the OpenAPI document. */

import { clusterSchemas } from '../../../services/router/openapi/cluster-schemas.ts';
import type { MediaType, Operation, Parameter, Response, Schema } from '../../../services/router/openapi/document.ts';
import type { OpenApiDocument } from '../../../services/router/openapi/openapi.ts';

const HEAD = 'Generated from the OpenAPI document by `npm run docs:openapi`.';
const identifier = /^[A-Za-z_]\w*$/;

/** Path → content, as it is before it is formatted. */
export function clientFiles({ paths, components }: OpenApiDocument): ReadonlyMap<string, string> {
  const { Problem: _problem, ...schemas } = components.schemas;
  const operations = Object.entries(paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => ({ method: method.toUpperCase(), path, operation })),
  );
  const declaredOf = (isCluster: boolean): string[] =>
    Object.entries(schemas)
      .filter(([name]) => name in clusterSchemas === isCluster)
      .map(([name, schema]) => declared(name, schema));
  const clusterTypes = declaredOf(true);
  const requests = operations.flatMap(({ operation }) => requestTypes(operation, components));
  const usedBy = (texts: readonly string[]): string =>
    Object.keys(schemas)
      .filter((name) => !(name in clusterSchemas) && texts.some((text) => new RegExp(`\\b${name}\\b`).test(text)))
      .sort()
      .join(', ');
  const table = operations.map(({ method, path, operation }) => {
    const answer = Object.entries(operation.responses).find(([status]) => status === '200')![1] as Response;
    const accept = Object.keys(answer.content ?? {})[0];
    const fields = [`method: '${method}'`, `path: '${path}'`, `repeatable: '${operation['x-repeatable']}'`];
    return [
      `  ${operation.operationId}: {`,
      ...[...fields, `accept: '${accept}'`].map((field) => `    ${field},`),
      '  },',
    ];
  });
  const files: readonly (readonly [path: string, lines: readonly string[]])[] = [
    [
      'shared/client/api-types.ts',
      [`/** What writes take, and what writes and reads are answered. ${HEAD} */`, ...declaredOf(false)],
    ],
    [
      'shared/client/cluster-types.ts',
      [
        `/** What the operations on the cluster, and health, are answered. ${HEAD} */`,
        `import type { ${usedBy(clusterTypes)} } from './api-types.ts';`,
        ...clusterTypes,
      ],
    ],
    [
      'shared/client/request-types.ts',
      [
        `/** The parameters and bodies of the operations. ${HEAD} */`,
        `import type { ${usedBy(requests)} } from './api-types.ts';`,
        ...requests.map((text) => `\n${text}`),
      ],
    ],
    [
      'shared/client/operations.ts',
      [
        `/** The operations of the surface, and when they may be sent again. ${HEAD} */`,
        'export const operations = {',
        ...table.flat(),
        '} as const;',
      ],
    ],
  ];
  return new Map(files.map(([path, lines]) => [path, `${lines.join('\n')}\n`]));
}

function declared(name: string, schema: Schema): string {
  const { properties } = schema;
  if (properties === undefined) return `\n${comment(schema, '')}export type ${name} = ${typeOf(schema, '')};`;
  return `\n${comment(schema, '')}export interface ${name} ${typeOf(schema, '')}`;
}

/** Of the parameters in the request line, and of a JSON body that no component names. */
function requestTypes({ operationId, parameters, requestBody }: Operation, components: OpenApiDocument['components']) {
  const name = operationId.replace(/^./, (first) => first.toUpperCase());
  const inQuery = parameters
    .map((each) => ('$ref' in each ? (components.parameters![each.$ref.split('/').at(-1)!] as Parameter) : each))
    .filter((each) => each.in === 'query');
  const found: string[] = [];
  if (inQuery.length > 0) {
    const properties = Object.fromEntries(
      inQuery.map(({ name, description, schema }) => [name, { ...schema, description }]),
    );
    const required = inQuery.filter((each) => each.required === true).map((each) => each.name);
    found.push(`export interface ${name}Query ${typeOf({ type: 'object', properties, required }, '')}`);
  }
  const schema = (requestBody?.content['application/json'] as MediaType | undefined)?.schema;
  if (schema?.properties !== undefined && Object.keys(schema.properties).length > 0)
    found.push(`export interface ${name}Body ${typeOf(schema, '')}`);
  return found;
}

function comment({ description }: Schema, indent: string): string {
  return description === undefined ? '' : `${indent}/** ${description.replaceAll('*/', '*\\/')} */\n`;
}

function typeOf(schema: Schema, indent: string): string {
  const { $ref, type, properties, required = [], additionalProperties, items, anyOf, enum: values } = schema;
  if ($ref !== undefined) return $ref.split('/').at(-1)!;
  if (anyOf !== undefined) return anyOf.map((each) => typeOf(each, indent)).join(' | ');
  if (values !== undefined) return values.map(literal).join(' | ');
  if (schema.const !== undefined) return literal(schema.const);
  if (Array.isArray(type)) return type.map((each) => typeOf({ ...schema, type: each }, indent)).join(' | ');
  switch (type) {
    case 'string':
    case 'boolean':
      return type;
    case 'null':
      return 'null';
    case 'integer':
    case 'number':
      return 'number';
    case 'array': {
      const each = typeOf(items!, indent);
      return `readonly ${each.includes(' ') ? `(${each})` : each}[]`;
    }
    case 'object': {
      if (properties === undefined)
        return typeof additionalProperties === 'object'
          ? `Readonly<Record<string, ${typeOf(additionalProperties, indent)}>>`
          : 'Readonly<Record<string, unknown>>';
      const inner = `${indent}  `;
      const lines = Object.entries(properties).map(([name, each]) => {
        const key = identifier.test(name) ? name : `'${name}'`;
        return `${comment(each, inner)}${inner}readonly ${key}${required.includes(name) ? '' : '?'}: ${typeOf(each, inner)};\n`;
      });
      return lines.length === 0 ? '{}' : `{\n${lines.join('')}${indent}}`;
    }
    default:
      throw new Error(`no type for ${JSON.stringify(schema)}`);
  }
}

function literal(value: unknown): string {
  return typeof value === 'string' ? `'${value}'` : JSON.stringify(value);
}
