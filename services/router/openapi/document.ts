/** The shapes of the document that are used here, and how its schemas are put together. */

/** A JSON schema (2020-12), as far as the document uses it. */
export interface Schema {
  readonly $ref?: string;
  readonly description?: string;
  readonly type?: string | readonly string[];
  readonly format?: string;
  readonly enum?: readonly unknown[];
  readonly const?: unknown;
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly required?: readonly string[];
  readonly additionalProperties?: boolean | Schema;
  readonly propertyNames?: Schema;
  readonly items?: Schema;
  readonly anyOf?: readonly Schema[];
  readonly examples?: readonly unknown[];
  readonly default?: unknown;
  readonly pattern?: string;
  readonly minLength?: number;
  readonly maxLength?: number;
  readonly minimum?: number;
  readonly exclusiveMinimum?: number;
  readonly maximum?: number;
  readonly multipleOf?: number;
  readonly minItems?: number;
  readonly maxItems?: number;
  readonly maxProperties?: number;
}

export interface Example {
  readonly summary?: string;
  readonly description?: string;
  readonly value: unknown;
}

export interface MediaType {
  readonly schema: Schema;
  readonly examples?: Readonly<Record<string, Example | { readonly $ref: string }>>;
}

export interface Parameter {
  readonly name: string;
  readonly in: 'query' | 'path' | 'header';
  readonly description: string;
  readonly required?: boolean;
  readonly schema: Schema;
  readonly style?: 'form';
  readonly explode?: boolean;
  readonly examples?: Readonly<Record<string, Example>>;
}

export interface Header {
  readonly description: string;
  readonly required?: boolean;
  readonly schema: Schema;
}

export type Ref = { readonly $ref: string };

export interface Response {
  readonly description: string;
  readonly headers?: Readonly<Record<string, Ref>>;
  readonly content?: Readonly<Record<string, MediaType>>;
  readonly links?: Readonly<Record<string, unknown>>;
}

export interface Operation {
  readonly operationId: string;
  readonly summary: string;
  readonly description?: string;
  readonly tags: readonly [string];
  /** Empty: it needs no key. */
  readonly security: readonly { readonly key: readonly [string] }[];
  readonly parameters: readonly (Parameter | Ref)[];
  readonly requestBody?: {
    readonly required: boolean;
    readonly content: Readonly<Record<string, MediaType>>;
  };
  readonly responses: Readonly<Record<string, Response | Ref>>;
  /**
   * When a client may send it again without knowing whether it was carried out: `always`, `keyed` (under its idempotency key) or
   * `never`.
   */
  readonly 'x-repeatable': 'always' | 'keyed' | 'never';
}

export type Properties = Readonly<Record<string, Schema>>;

/** An object with these properties: the first all required. */
export function object(required: Properties, optional: Properties = {}, description?: string): Schema {
  return {
    ...(description === undefined ? {} : { description }),
    type: 'object',
    properties: { ...required, ...optional },
    ...(Object.keys(required).length === 0 ? {} : { required: Object.keys(required) }),
  };
}

/** The same of a request, where other properties are refused. */
export function closed(required: Properties, optional: Properties = {}, description?: string): Schema {
  return { ...object(required, optional, description), additionalProperties: false };
}

export function ref(schema: string, description?: string): Schema {
  return { $ref: `#/components/schemas/${schema}`, ...(description === undefined ? {} : { description }) };
}

export function array(items: Schema, more: Schema = {}): Schema {
  return { type: 'array', items, ...more };
}

/** An object by any name. */
export function record(values: Schema, description?: string): Schema {
  return { ...(description === undefined ? {} : { description }), type: 'object', additionalProperties: values };
}

export const text = (description?: string, more: Schema = {}): Schema => typed('string', description, more);
export const count = (description?: string, more: Schema = {}): Schema =>
  typed('integer', description, { minimum: 0, ...more });
export const number = (description?: string, more: Schema = {}): Schema => typed('number', description, more);
export const flag = (description?: string): Schema => typed('boolean', description, {});

function typed(type: string, description: string | undefined, more: Schema): Schema {
  return { ...(description === undefined ? {} : { description }), type, ...more };
}

/** Or null. */
export function nullable(schema: Schema): Schema {
  if (typeof schema.type === 'string') return { ...schema, type: [schema.type, 'null'] };
  const { description, ...rest } = schema;
  return { ...(description === undefined ? {} : { description }), anyOf: [rest, { type: 'null' }] };
}

/** Examples of a parameter or a body. */
export function examplesOf(values: Readonly<Record<string, unknown>>): Readonly<Record<string, Example>> {
  return Object.fromEntries(Object.entries(values).map(([name, value]) => [name, { value }]));
}
