/** What is written: one write of each kind, and the answer to it. */

import { METADATA_FIELDS_LIMIT, NAME_LIMIT, WEIGHT_LIMIT, WEIGHT_SCALE } from '../../../shared/protocol/events.ts';
import { BULK_LIMIT } from '../../../shared/protocol/internal.ts';
import { FIRST_NUMBER_MS, LAST_NUMBER_MS } from '../../../shared/protocol/timestamp.ts';
import { METADATA_LIST_LIMIT, writeFields } from '../../../shared/protocol/writes.ts';
import { array, closed, count, flag, number, object, record, ref, type Schema, text } from './document.ts';

type Fields<K extends keyof typeof writeFields> = Readonly<Record<(typeof writeFields)[K][number], Schema>>;

/** In the order of the table that requests are checked by, of which the type demands an entry for each field. */
function write<K extends keyof typeof writeFields>(
  kind: K,
  fields: Fields<K>,
  { required, description }: { readonly required: readonly (keyof Fields<K>)[]; readonly description: string },
): Schema {
  const all = fields as Readonly<Record<string, Schema>>;
  const names: readonly string[] = writeFields[kind];
  const of = (wanted: boolean) =>
    Object.fromEntries(
      names
        .filter((name) => (required as readonly string[]).includes(name) === wanted)
        .map((name) => [name, all[name]!]),
    );
  return closed(of(true), of(false), description);
}

/** The highest number that rounds to a finite one of 32 bits. */
const FLOAT_LIMIT = 3.4028235677973362e38;
const float = number(undefined, { minimum: -FLOAT_LIMIT, maximum: FLOAT_LIMIT });
const value: readonly Schema[] = [text(), number(), flag(), array(text(), { maxItems: METADATA_LIST_LIMIT })];
const fieldNames = text(undefined, { minLength: 1, maxLength: NAME_LIMIT });

export const writeSchemas: Readonly<Record<string, Schema>> = {
  EntityId: count('The id of an item.', { maximum: Number.MAX_SAFE_INTEGER }),
  Time: {
    description:
      'An RFC 3339 time from 1970 on, or integer milliseconds since 1970, of the years 2000 to 9999: seconds and microseconds are refused.',
    anyOf: [
      text(undefined, { format: 'date-time' }),
      { type: 'integer', minimum: FIRST_NUMBER_MS, maximum: LAST_NUMBER_MS },
    ],
  },
  Position: text(
    'A place in the log, as writes and reads return it: `origin:sequence`, several separated by commas. Opaque to clients. Empty before the first write.',
    { pattern: '^([a-z0-9-]+@[a-z2-7]+:[0-9]+(,[a-z0-9-]+@[a-z2-7]+:[0-9]+)*)?$' },
  ),
  Metadata: {
    ...record({ anyOf: value }, 'A flat object. Lists hold strings.'),
    propertyNames: fieldNames,
    maxProperties: METADATA_FIELDS_LIMIT,
  },
  Item: write(
    'items',
    {
      entity_id: ref('EntityId'),
      metadata: ref('Metadata', 'Replaces the former metadata.'),
      created_at: ref(
        'Time',
        'When the item was created, if before its first put. Not in the future; of several puts the lowest counts.',
      ),
    },
    { required: ['entity_id', 'metadata'], description: 'A put of an item.' },
  ),
  ItemPatch: closed(
    {
      metadata: {
        ...record(
          { anyOf: [...value, { type: 'null' }] },
          'Fields are put or replaced; null removes one; all others stay (RFC 7396).',
        ),
        propertyNames: fieldNames,
        maxProperties: METADATA_FIELDS_LIMIT,
      },
    },
    {},
    'A change of some metadata.',
  ),
  Embedding: write(
    'embeddings',
    {
      entity_id: ref('EntityId'),
      values: array(float, {
        minItems: 1,
        description: 'As many as the schema of the cluster has dimensions (4 by default).',
      }),
    },
    { required: ['entity_id', 'values'], description: 'A put of an embedding.' },
  ),
  Signal: write(
    'signals',
    {
      entity_id: ref('EntityId', 'Signals may arrive before their item.'),
      signal: text('A signal of the schema of the cluster.', { minLength: 1, maxLength: NAME_LIMIT }),
      weight: number('In steps of 0.001.', {
        minimum: 0,
        maximum: WEIGHT_LIMIT,
        multipleOf: 1 / WEIGHT_SCALE,
        default: 1,
      }),
      timestamp: ref('Time', 'When it happened; at most the time of acceptance, which it is without.'),
      retract: flag(
        'Takes back what was given with the same Idempotency-Key and otherwise the same body. In all elements of a bulk, or in none.',
      ),
    },
    { required: ['entity_id', 'signal'], description: 'One engagement with an item.' },
  ),
  SignalAtPosition: closed(
    { position: ref('Position', 'Of one signal that was given under an idempotency key.') },
    { retract: { type: 'boolean', const: true, description: 'Required by `POST /signals`.' } },
    'Takes back the signal at a position. Without an Idempotency-Key, and not in a bulk.',
  ),
  WriteAnswer: object(
    {
      accepted: count('How many writes.', { minimum: 1, maximum: BULK_LIMIT }),
      position: ref('Position', 'Of the last write: pass it as `min_position` to read it in any region.'),
      durability: text('`local`: flushed on the disk of the leader; `stream`: acknowledged by the stream as well.', {
        enum: ['local', 'stream'],
      }),
    },
    {
      entity_id: ref('EntityId', 'Of a single write.'),
      replayed: {
        type: 'boolean',
        const: true,
        description: 'It was accepted before, under the same idempotency key: nothing was added.',
      },
    },
    'The write is accepted.',
  ),
};

/** One write, or several as an array: all or nothing. */
export function oneOrMany(schema: string): Schema {
  return { anyOf: [ref(schema), array(ref(schema), { minItems: 1, maxItems: BULK_LIMIT })] };
}
