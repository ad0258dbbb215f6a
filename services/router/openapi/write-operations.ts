/** The operations that write. */
import type { ProblemCode } from '../../../shared/errors/errors.ts';
import { examplesOf, type MediaType, type Operation, type Response, ref } from './document.ts';
import { answerHeaders, entityInPath, ofWrites } from './parameters.ts';
import { refusals } from './problem-responses.ts';
import { oneOrMany } from './write-schemas.ts';

const ofBodies: readonly ProblemCode[] = ['invalid_json', 'unknown_field', 'body_too_large', 'unsupported_media_type'];
/** What the leader, its stream or its disk may say. */
const ofLeader: readonly ProblemCode[] = [
  'idempotency_conflict',
  'not_ready',
  'no_leader',
  'not_leader',
  'handing_over',
  'control_unavailable',
  'region_unreachable',
  'shutting_down',
  'stream_unavailable',
  'log_damaged',
  'clock_unsafe',
  'version_mismatch',
  'configuration_refused',
  'stream_unconfirmed',
  'outcome_unknown',
  'storage_full',
  'client_keys_full',
  'state_full',
];

const accepted: Readonly<Record<string, Response>> = {
  200: {
    description: 'Accepted, and flushed on the disk of the leader.',
    headers: answerHeaders(),
    content: {
      'application/json': {
        schema: ref('WriteAnswer'),
        examples: examplesOf({
          single: { accepted: 1, position: 'us-east@k3qv5m2xw7abc:125', durability: 'stream', entity_id: 1 },
          bulk: { accepted: 3, position: 'us-east@k3qv5m2xw7abc:128', durability: 'local' },
        }),
      },
    },
    links: {
      item: {
        operationId: 'getItem',
        description: 'Reads what was written, in any region.',
        parameters: { id: '$response.body#/entity_id', min_position: '$response.body#/position' },
      },
    },
  },
};

interface Written {
  readonly id: string;
  readonly summary: string;
  readonly description?: string;
  readonly parameters?: Operation['parameters'];
  readonly content?: Readonly<Record<string, MediaType>>;
  readonly codes: readonly ProblemCode[];
}

function write({ id, summary, description, parameters = [], content, codes }: Written): Operation {
  return {
    ...{ operationId: id, summary },
    ...(description === undefined ? {} : { description }),
    ...{ tags: ['writes'], security: [{ key: ['write'] }], parameters: [...parameters, ...ofWrites] },
    ...(content === undefined ? {} : { requestBody: { required: true, content } }),
    responses: {
      ...accepted,
      ...refusals('keyed', [...(content === undefined ? [] : ofBodies), ...codes, ...ofLeader]),
    },
    'x-repeatable': 'keyed',
  };
}

/** One, an array, or one a line. */
function bodies(
  schema: string,
  one: unknown,
  more: Readonly<Record<string, unknown>>,
): Readonly<Record<string, MediaType>> {
  const many = [one, ...Object.values(more)];
  return {
    'application/json': { schema: oneOrMany(schema), examples: examplesOf({ one, ...more, several: many }) },
    'application/x-ndjson': {
      schema: { type: 'string', description: `One ${schema} a line; blank lines are skipped.` },
      examples: examplesOf({ lines: `${many.map((each) => JSON.stringify(each)).join('\n')}\n` }),
    },
  };
}

/** The same, and a retraction by position. */
function signals(one: unknown, more: Readonly<Record<string, unknown>>): Readonly<Record<string, MediaType>> {
  const content = bodies('Signal', one, more);
  const json = content['application/json']!;
  return {
    ...content,
    'application/json': {
      schema: { anyOf: [...(json.schema.anyOf ?? []), ref('SignalAtPosition')] },
      examples: {
        ...json.examples,
        ...examplesOf({ retraction: { position: 'us-east@k3qv5m2xw7abc:125', retract: true } }),
      },
    },
  };
}

const ofSignals: readonly ProblemCode[] = [
  ...(['unknown_signal', 'context_not_replicated'] as const),
  ...(['nothing_to_retract', 'not_retractable', 'log_trimmed'] as const),
];
const bulks =
  'One, or at most 20,000 as an array or one a line (NDJSON): several are all or nothing, and a refusal names the index or the line.';
const patch = {
  schema: ref('ItemPatch'),
  examples: examplesOf({ change: { metadata: { year: 1958, draft: null } } }),
};

export const writeOperations = {
  'POST /items': write({
    ...{ id: 'putItems', summary: 'Puts items', description: bulks },
    content: bodies(
      'Item',
      {
        entity_id: 1,
        metadata: { title: 'Take Five', category: 'music', year: 1959, tags: ['jazz', 'cool'], live: false },
      },
      {
        older: {
          entity_id: 2,
          metadata: { title: 'So What', category: 'jazz', year: 1959 },
          created_at: '2024-05-01T12:00:00Z',
        },
        empty: { entity_id: 3, metadata: {} },
      },
    ),
    codes: ['event_too_large'],
  }),
  'PATCH /items/{id}': write({
    ...{ id: 'patchItem', summary: 'Changes some metadata of an item' },
    description:
      'Merged with the item as it is when the write is accepted: changes of different fields at the same time both stay.',
    parameters: [entityInPath],
    content: { 'application/json': patch, 'application/merge-patch+json': patch },
    codes: ['unknown_item', 'event_too_large'],
  }),
  'DELETE /items/{id}': write({
    ...{ id: 'deleteItem', summary: 'Deletes an item and its embedding', parameters: [entityInPath], codes: [] },
    description:
      'Its signals are kept, and shown again if it is put again. An item that does not exist may be deleted.',
  }),
  'POST /embeddings': write({
    ...{ id: 'putEmbeddings', summary: 'Puts embeddings', description: bulks },
    content: bodies(
      'Embedding',
      { entity_id: 1, values: [0.1, 0.2, 0.3, 0.4] },
      { other: { entity_id: 2, values: [0, 1, -0.5, 0] } },
    ),
    codes: ['wrong_dimensions'],
  }),
  'POST /signals': write({
    ...{ id: 'addSignals', summary: 'Adds signals', description: bulks },
    content: signals(
      { entity_id: 1, signal: 'view' },
      {
        weighted: { entity_id: 1, signal: 'like', weight: 2.5, timestamp: '2024-05-01T12:00:00Z' },
        atMs: { entity_id: 2, signal: 'view', timestamp: 1_714_564_800_000 },
      },
    ),
    codes: ofSignals,
  }),
  'DELETE /signals': write({
    ...{ id: 'takeBackSignals', summary: 'Takes back signals' },
    description:
      'What the same request to `POST /signals` gave: the same Idempotency-Key and body. Or one by its position, without the key. Once, for seven days.',
    content: signals({ entity_id: 1, signal: 'like' }, { other: { entity_id: 2, signal: 'like', weight: 2.5 } }),
    codes: ofSignals,
  }),
} as const satisfies Readonly<Record<string, Operation>>;
