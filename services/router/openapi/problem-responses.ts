/** Refusals in the document: one response a status, with the codes that the operation may be refused with and an example of each. */
import { type ProblemCode, problems } from '../../../shared/errors/errors.ts';
import { array, count, type Header, object, type Ref, type Response, type Schema, text } from './document.ts';

const codes = Object.keys(problems) as ProblemCode[];

export const problemSchemas: Readonly<Record<string, Schema>> = {
  Problem: object(
    {
      type: text('`urn:tidaldb:problem:<code>`', { format: 'uri' }),
      title: text('What the code means.'),
      status: { type: 'integer', description: 'The HTTP status.', minimum: 400, maximum: 599 },
      code: text('Stable: decide by it.', { enum: codes }),
      detail: text('What is wrong with this request.'),
    },
    {
      hint: text('What to do about it, or what would be accepted.'),
      errors: array(
        object(
          { path: text('Where in the input: `values[2]`, `line 17: weight`.'), message: text() },
          { position: count('In a filter or another text: the first character that does not fit.', { minimum: 1 }) },
        ),
        { description: 'The places of the input that are wrong.' },
      ),
    },
    'Problem details of RFC 9457.',
  ),
};

/** Codes that no documented operation is answered with, and when they are. */
export const elsewhere = {
  unknown_route: 'a path that no operation has',
  method_not_allowed: 'a method that the path does not take; `Allow` lists those it does',
  snapshot_gone: 'between regions only',
} as const satisfies Partial<Record<ProblemCode, string>>;

export const problemExamples = Object.fromEntries(
  codes
    .filter((code) => !(code in elsewhere))
    .map((code) => {
      const [status, title] = problems[code];
      const detail = title.replace(/^./, (first) => first.toLowerCase());
      return [code, { summary: title, value: { type: `urn:tidaldb:problem:${code}`, title, status, code, detail } }];
    }),
);

/** Codes that any request may be refused with. */
const everywhere: readonly ProblemCode[] = [
  'invalid_request',
  'request_timeout',
  'expectation_failed',
  'headers_too_large',
  'internal',
  'overloaded',
];
/** The same, of requests that need a key if there are keys. */
const keyed: readonly ProblemCode[] = ['unauthenticated', 'forbidden', 'rate_limited'];

const withHeaders = (...names: readonly (keyof typeof problemHeaders)[]): NonNullable<Response['headers']> =>
  Object.fromEntries(['X-Request-Id', ...names].map((name) => [name, { $ref: `#/components/headers/${name}` }]));

export const problemHeaders = {
  'Retry-After': {
    description: 'Seconds until it is worth asking again.',
    required: true,
    schema: { type: 'integer', minimum: 0 },
  },
  'WWW-Authenticate': {
    description: 'The scheme, and what the key lacks (RFC 6750).',
    required: true,
    schema: { type: 'string' },
  },
} as const satisfies Readonly<Record<string, Header>>;

const headersOf: Readonly<Record<string, readonly (keyof typeof problemHeaders)[]>> = {
  401: ['WWW-Authenticate'],
  403: ['WWW-Authenticate'],
  429: ['Retry-After'],
  503: ['Retry-After'],
};

/** By name: refusals that several operations have in common stand once. */
export const problemResponses: Record<string, Response> = {};

/** References to the responses for these codes and those of any request, by status. */
export function refusals(scope: 'open' | 'keyed', own: readonly ProblemCode[]): Readonly<Record<string, Ref>> {
  const all = [...new Set([...own, ...everywhere, ...(scope === 'keyed' ? keyed : [])])];
  const statuses = [...new Set(all.map((code) => problems[code][0]))].sort((a, b) => a - b);
  return Object.fromEntries(
    statuses.map((status) => {
      const here = codes.filter((code) => all.includes(code) && problems[code][0] === status);
      return [status, { $ref: `#/components/responses/${nameOf(status, here)}` }];
    }),
  );
}

function nameOf(status: number, here: readonly ProblemCode[]): string {
  const response = responseOf(status, here);
  if (here.length === 1) {
    problemResponses[here[0]!] = response;
    return here[0]!;
  }
  const same = Object.entries(problemResponses).find(([, { description }]) => description === response.description);
  const before = Object.keys(problemResponses).filter((name) => name.startsWith(`refused_${status}_`)).length;
  const name = same?.[0] ?? `refused_${status}_${before + 1}`;
  problemResponses[name] = response;
  return name;
}

function responseOf(status: number, here: readonly ProblemCode[]): Response {
  const schema: Schema = {
    $ref: '#/components/schemas/Problem',
    properties: { code: { enum: here }, status: { const: status } },
  };
  return {
    description: here.map((code) => `\`${code}\`: ${problems[code][1]}`).join('. '),
    headers: withHeaders(...(headersOf[status] ?? [])),
    content: {
      'application/problem+json': {
        schema,
        examples: Object.fromEntries(here.map((code) => [code, { $ref: `#/components/examples/${code}` }])),
      },
    },
  };
}
