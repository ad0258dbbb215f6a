/**
 * The parameters of reads, and the headers of requests and answers. A parameter stands once, with its form in a request line and, where
 * it differs, as a field of a body; the tables that requests are checked by say which route takes it.
 */
import { CURSOR_LIMIT_CHARACTERS, EXCLUDE_LIMIT } from '../../../shared/protocol/internal.ts';
import {
  builtInProfiles,
  type feedParameters,
  type itemsParameters,
  type searchFields,
  type suggestParameters,
} from '../../../shared/protocol/read-parameters.ts';
import {
  array,
  type Example,
  examplesOf,
  flag,
  type Header,
  number,
  type Parameter,
  ref,
  type Schema,
  text,
} from './document.ts';
import { problemHeaders } from './problem-responses.ts';

export type ReadParameter =
  | (typeof feedParameters)[number]
  | (typeof searchFields)[number]
  | (typeof itemsParameters)[number]
  | (typeof suggestParameters)[number];

interface Described {
  readonly description: string;
  readonly schema: Schema;
  /** As a field of a body; absent: the same. */
  readonly field?: Schema;
  readonly examples: Readonly<Record<string, unknown>>;
  readonly more?: Partial<Parameter>;
}

/** Compared with those of the schema by a test. */
export const windows = ['1h', '24h', '7d', 'all'];
export const syntaxes = ['plain', 'lunr'];
export const matchings = ['all', 'any', 'most'];

const names = (description: string, examples: Readonly<Record<string, unknown>>): Described => ({
  description,
  schema: text(undefined, { minLength: 1, maxLength: 1_000 }),
  field: {
    anyOf: [
      text(undefined, { minLength: 1, maxLength: 1_000 }),
      array(text(undefined, { minLength: 1 }), { minItems: 1 }),
    ],
  },
  examples,
});
const commas = { style: 'form', explode: false } as const;
const filter = text(undefined, { minLength: 1, maxLength: 4_096 });
const ids = (limit: number): Schema => array(ref('EntityId'), { minItems: 1, maxItems: limit });

export const described: Readonly<Record<ReadParameter, Described>> = {
  profile: {
    description: `The ranking: ${builtInProfiles.join(', ')}, or one that the schema of the cluster declares (docs/ranking.md).`,
    schema: text(undefined, { minLength: 1, maxLength: 1_000 }),
    examples: { new: 'new', hot: 'hot' },
  },
  limit: {
    description: 'Items of a page. A page of large items has fewer, and a cursor if there are more.',
    schema: { type: 'integer', minimum: 1, maximum: 200, default: 20 },
    examples: { few: 2 },
  },
  cursor: {
    description: '`next_cursor` of the page before, with the same other parameters.',
    schema: text(undefined, { minLength: 1, maxLength: CURSOR_LIMIT_CHARACTERS }),
    examples: {},
  },
  filter: {
    description: 'Selects items by their metadata (docs/api.md#filters). Of several all must hold.',
    schema: array(filter, { minItems: 1, maxItems: 32 }),
    field: { anyOf: [filter, array(filter, { maxItems: 32 })] },
    examples: { one: ['category:music|jazz AND year>=1950'], two: ['category:music', 'year:[1950..]'] },
    more: { style: 'form', explode: true },
  },
  exclude: {
    description: 'Items to leave out, as if they did not exist.',
    schema: ids(EXCLUDE_LIMIT),
    field: array(ref('EntityId'), { maxItems: EXCLUDE_LIMIT }),
    examples: { two: [7, 9] },
    more: commas,
  },
  max_per: {
    description: 'At most so many items of each value of a field on a page, as `field:count`.',
    schema: text(undefined, { pattern: '^.+:[0-9]{1,3}$', maxLength: 1_000 }),
    examples: { two: 'category:2' },
  },
  sort: names('One to four keys in the order of which items are sorted, instead of the score (docs/api.md#sorting).', {
    year: 'year:desc,score',
  }),
  fields: names('The metadata fields to show; without it all. Names with signs of their own stand in double quotes.', {
    two: 'title,"og:type"',
  }),
  window: {
    description: 'The window of profiles that sum over one.',
    schema: text(undefined, { enum: windows }),
    examples: { day: '24h' },
  },
  entity_id: {
    description: 'For the profile `related`: the item to start from.',
    schema: ref('EntityId'),
    examples: { one: 1 },
  },
  seed: {
    description: 'For the profile `shuffle`: another seed is another order.',
    schema: text(undefined, { maxLength: 1_000 }),
    field: { type: ['string', 'number'], maxLength: 1_000 },
    examples: { monday: 'monday' },
  },
  explain: { description: 'Whether each item has the parts of its score.', schema: flag(), examples: { yes: true } },
  at: {
    description: 'The time for which ages, windows and decay are computed; events after it do not count.',
    schema: ref('Time'),
    examples: { later: '2040-01-01T00:00:00Z' },
  },
  user_id: {
    description: 'Accepted; changes nothing, and `notes` says so.',
    schema: text(undefined, { maxLength: 1_000 }),
    examples: { one: '42' },
  },
  region: {
    description: 'The region that answers. Default: the leader, else the most advanced region that answers.',
    schema: text(undefined, { minLength: 1 }),
    examples: {},
  },
  min_position: {
    description: 'The `position` of a write or read: the region waits up to 2 s until it has applied it.',
    schema: { ...ref('Position'), maxLength: 131_072 },
    examples: {},
  },
  query: {
    description: 'What to search for; `*` or an empty text: every item, the newest first.',
    schema: text(),
    examples: { words: 'jazz piano', everything: '*' },
  },
  vector: {
    description: 'As many values as the schema has dimensions: the items with the nearest embeddings.',
    schema: array(number(), { minItems: 1 }),
    examples: {},
  },
  syntax: {
    description: '`plain`: text as people type it; `lunr`: with operators (docs/search.md).',
    schema: text(undefined, { enum: syntaxes, default: 'plain' }),
    examples: { plain: 'plain' },
  },
  matching: {
    description: 'How many words of a plain text must be in an item.',
    schema: text(undefined, { enum: matchings, default: 'most' }),
    examples: { all: 'all' },
  },
  profile_weight: {
    description: 'How much `profile` weighs beside the text.',
    schema: number(undefined, { minimum: 0, maximum: 100, default: 1 }),
    examples: { half: 0.5 },
  },
  facets: names('Fields whose values are counted over the whole result, or ranges of a field in brackets.', {
    two: 'category,year[..1990,1990..2000,2000..]',
  }),
  facet_limit: {
    description: 'Values of a facet.',
    schema: { type: 'integer', minimum: 1, maximum: 1_000, default: 10 },
    examples: { few: 3 },
  },
  highlight: names('Text fields of the schema in which the words of the query are marked.', { title: 'title' }),
  snippet_length: {
    description: 'Characters of a highlight.',
    schema: { type: 'integer', minimum: 20, maximum: 2_000, default: 200 },
    examples: { short: 40 },
  },
  ids: {
    description: 'Items, in the order in which they are answered.',
    schema: ids(200),
    examples: { three: [3, 1, 2] },
    more: commas,
  },
  prefix: {
    description: 'The beginning of a text; its last word is completed.',
    schema: text(undefined, { minLength: 1, maxLength: 100 }),
    examples: { ja: 'ja' },
  },
};

/** Parameters of a request line. `own`: what this route says otherwise. */
export function inQuery(
  known: readonly ReadParameter[],
  {
    required = [],
    own = {},
  }: { readonly required?: readonly ReadParameter[]; readonly own?: Partial<Record<ReadParameter, Schema>> } = {},
): readonly Parameter[] {
  return known.map((name) => {
    const { description, schema, examples, more } = described[name];
    return {
      ...{ name, in: 'query', description },
      ...(required.includes(name) ? { required: true } : {}),
      schema: own[name] ?? schema,
      ...more,
      ...(Object.keys(examples).length === 0 ? {} : { examples: examplesOf(examples) as Record<string, Example> }),
    };
  });
}

/** The same as fields of a body. */
export function asFields(known: readonly ReadParameter[]): Readonly<Record<string, Schema>> {
  return Object.fromEntries(
    known.map((name) => {
      const { description, schema, field = schema } = described[name];
      return [name, { ...field, description }];
    }),
  );
}

const key = (name: string) => ({ $ref: `#/components/parameters/${name}` });

export const parameters = {
  EntityId: {
    ...{ name: 'id', in: 'path', description: 'The item.', required: true, schema: ref('EntityId') },
    examples: examplesOf({ one: 1 }),
  },
  RequestId: {
    ...{ name: 'X-Request-Id', in: 'header', schema: text() },
    description:
      'At most 128 of `A-Za-z0-9._:/+=@-`: returned, logged, and passed on to the region. Without it, or if it is another text, one is generated.',
    examples: examplesOf({ one: 'page-17' }),
  },
  IdempotencyKey: {
    ...{ name: 'Idempotency-Key', in: 'header', schema: text(undefined, { pattern: '^[!-~]{1,255}$' }) },
    description:
      'Makes the write safe to send again for seven days: it counts once. A key belongs to the route and the body. A random UUID will do.',
    examples: examplesOf({ uuid: '0f6b1e0a-7f3d-4d7e-9a5e-0d6d3c1b2a49' }),
  },
  Prefer: {
    ...{ name: 'Prefer', in: 'header', schema: text() },
    description:
      '`durability=stream`: the write is refused or fails unless the stream acknowledges it. Other preferences are ignored.',
    examples: examplesOf({ stream: 'durability=stream' }),
  },
  Position: {
    ...{ name: 'X-Tidal-Position', in: 'header', schema: ref('Position') },
    description: 'As the parameter `min_position`, which is preferred: for positions that do not fit a request line.',
  },
  IfNoneMatch: {
    ...{ name: 'If-None-Match', in: 'header', schema: text() },
    description: 'The `ETag` of an earlier answer: 304 if it would be the same.',
    examples: examplesOf({ other: 'W/"AAAAAAAAAAAAAAAAAAAAAA"' }),
  },
} as const satisfies Readonly<Record<string, Parameter>>;

export const requestId = key('RequestId');
export const entityInPath = key('EntityId');
export const ofWrites = [key('IdempotencyKey'), key('Prefer'), requestId];
export const ofReads = [key('Position'), requestId];
export const ofTaggedReads = [key('IfNoneMatch'), ...ofReads];

export const headers = {
  ...problemHeaders,
  'X-Request-Id': {
    ...{ description: 'The id under which the request is logged.', required: true },
    schema: text(undefined, { pattern: '^[A-Za-z0-9._:/+=@-]{1,128}$' }),
  },
  ETag: {
    description: 'Weak: the same while items, their sums and their order are the same. Absent of large answers.',
    schema: text(undefined, { pattern: '^W/"[A-Za-z0-9_-]{22}"$' }),
  },
  'Cache-Control': { description: '`private, no-cache` with an `ETag`; `no-store` of what is live.', schema: text() },
  'Content-Security-Policy': {
    description: 'Of the console: nothing of another origin, nothing inline.',
    schema: text(),
  },
  'X-Content-Type-Options': { description: 'Of the console.', schema: { type: 'string', const: 'nosniff' } },
  'Referrer-Policy': { description: 'Of the console.', schema: { type: 'string', const: 'no-referrer' } },
} as const satisfies Readonly<Record<string, Header>>;

/** Of an answer; the request id in addition. */
export function answerHeaders(...known: readonly (keyof typeof headers)[]) {
  return Object.fromEntries(['X-Request-Id', ...known].map((name) => [name, { $ref: `#/components/headers/${name}` }]));
}
