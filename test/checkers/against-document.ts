/**
 * Checks answers against the OpenAPI document, and draws requests from it. Stricter than a client should be: an answer may have no
 * field, header or status that the document does not have.
 */
import { Ajv2020, type ValidateFunction } from 'ajv/dist/2020.js';
import formats from 'ajv-formats';
import type { Operation, Parameter, Response, Schema } from '../../services/router/openapi/document.ts';
import { type OperationName, openApiDocument, operations } from '../../services/router/openapi/openapi.ts';

export interface Answered {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
}

const ajv = new Ajv2020({ strict: false, multipleOfPrecision: 9, allErrors: true });
formats.default(ajv);
/** A body with another field than the document has is refused by `closed`, and by nothing else. */
const [open, closed] = ['open', 'closed'];
ajv.addSchema({ $id: open, components: at(openApiDocument.components, open) });
ajv.addSchema({ $id: closed, components: at(openApiDocument.components, closed) });

/** The same with its references within this document; for `closed`, objects have no other properties than the named ones. */
function at(value: unknown, document: string): unknown {
  if (Array.isArray(value)) return value.map((each) => at(each, document));
  if (typeof value !== 'object' || value === null) return value;
  const schema = value as Schema & Record<string, unknown>;
  const inner = Object.fromEntries(Object.entries(schema).map(([name, each]) => [name, at(each, document)]));
  if (typeof schema.$ref === 'string') inner.$ref = `${document}${schema.$ref}`;
  const isObject = schema.type === 'object' && schema.properties !== undefined;
  return isObject && document === closed ? { additionalProperties: false, ...inner } : inner;
}

const compiled = new Map<string, ValidateFunction>();

function validatorOf(schema: Schema, document: string): ValidateFunction {
  const name = `${document} ${JSON.stringify(schema)}`;
  const known = compiled.get(name) ?? ajv.compile(at(schema, document) as object);
  compiled.set(name, known);
  return known;
}

/** Whether a request may have this value. */
export function allows(schema: Schema, value: unknown): boolean {
  return validatorOf(schema, open!)(value) === true;
}

/** What a reference within the document leads to. */
export function resolved<T extends object>(value: T | { readonly $ref: string }): T {
  if (!('$ref' in value) || typeof value.$ref !== 'string') return value as T;
  const { $ref, ...beside } = value;
  const path = $ref.slice('#/'.length).split('/');
  const target = path.reduce<unknown>((at, part) => (at as Record<string, unknown>)[part], openApiDocument);
  return { ...resolved(target as T), ...beside };
}

export function parametersOf(name: OperationName, where: Parameter['in']): readonly Parameter[] {
  const { parameters } = operations[name] as Operation;
  return parameters.map((each) => resolved<Parameter>(each)).filter((each) => each.in === where);
}

/** What of the answer the document does not have, worded; empty: nothing. */
export function flawsOf(name: OperationName, { status, headers, text }: Answered): readonly string[] {
  const { responses } = operations[name] as Operation;
  const found = responses[status];
  const said = `${name} answered ${status} ${text.slice(0, 300)}`;
  if (found === undefined) return [`${said}: the status is not documented`];
  const { headers: known = {}, content } = resolved<Response>(found);
  return [...headerFlaws(known, headers), ...bodyFlaws(content, headers, text)].map((flaw) => `${said}: ${flaw}`);
}

/** Of every answer, as HTTP has them. */
const ofHttp = /^(connection|content-(encoding|length|type)|date|keep-alive|transfer-encoding|vary)$/;

function headerFlaws(known: NonNullable<Response['headers']>, headers: Headers): string[] {
  const flaws: string[] = [];
  const names = new Map(Object.entries(known).map(([name, header]) => [name.toLowerCase(), header]));
  for (const name of headers.keys()) if (!names.has(name) && !ofHttp.test(name)) flaws.push(`header ${name}`);
  for (const [name, reference] of names) {
    const { required, schema } = resolved<{ readonly required?: boolean; readonly schema: Schema }>(reference);
    const value = headers.get(name);
    if (value === null && required === true) flaws.push(`no header ${name}`);
    const read = schema.type === 'integer' ? Number(value) : value;
    if (value !== null && !allows(schema, read)) flaws.push(`header ${name}: ${value}`);
  }
  return flaws;
}

function bodyFlaws(content: Response['content'], headers: Headers, text: string): string[] {
  if (content === undefined) return text === '' ? [] : ['a body'];
  const type = (headers.get('content-type') ?? '').split(';')[0]!;
  const schema = content[type]?.schema;
  if (schema === undefined) return [`content type ${type}`];
  if (type.startsWith('text/')) return [];
  const validate = validatorOf(schema, closed!);
  if (validate(JSON.parse(text))) return [];
  return [ajv.errorsText(validate.errors)];
}

const text = (length: number): string => 'x'.repeat(length);

/** Values at, within and beyond the bounds of a schema, and of other types; `allows` says which of them it accepts. */
export function probesOf(schema: Schema): readonly unknown[] {
  const known = resolved<Schema>(schema);
  const { minimum, maximum, exclusiveMinimum, multipleOf, maxLength, minLength, maxItems, items } = known;
  const { additionalProperties, maxProperties, propertyNames, properties, anyOf = [], enum: values = [] } = known;
  const probes: unknown[] = [null, true, 'x', '', 0, 1.5, -1, [], {}, ...values, ...anyOf.flatMap(probesOf)];
  const step = multipleOf ?? 1;
  for (const bound of [minimum, maximum, exclusiveMinimum]) {
    if (bound === undefined) continue;
    probes.push(bound);
    if (Math.abs(bound) < 1e15) probes.push(bound - step, bound + step);
    else probes.push(bound + Math.sign(bound) * Math.abs(bound));
  }
  if (multipleOf !== undefined) probes.push(multipleOf, multipleOf / 2);
  if (maxLength !== undefined) probes.push(text(maxLength), text(maxLength + 1));
  if (minLength !== undefined) probes.push(text(minLength));
  if (items !== undefined) {
    probes.push(...probesOf(items).map((item) => [item]));
    const one = probesOf(items).find((probe) => allows(items, probe));
    if (maxItems !== undefined) {
      const list = (length: number): unknown[] =>
        Array.from({ length }, (_, index) => (typeof one === 'number' ? index : one));
      probes.push(list(maxItems), list(maxItems + 1));
    }
  }
  if (typeof additionalProperties === 'object') {
    probes.push(...probesOf(additionalProperties).map((value) => ({ a: value })));
    const fields = (count: number): object =>
      Object.fromEntries(Array.from({ length: count }, (_, index) => [`f${index}`, 'x']));
    if (maxProperties !== undefined) probes.push(fields(maxProperties), fields(maxProperties + 1));
    if (propertyNames !== undefined)
      probes.push(...probesOf(propertyNames).flatMap((name) => (typeof name === 'string' ? [{ [name]: 'x' }] : [])));
  }
  if (properties !== undefined) probes.push({ no_such_field: 1 });
  return probes;
}
