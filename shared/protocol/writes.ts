/**
 * The shape of writes: what a body must look like before any schema is asked. The router checks it, so that a malformed
 * request never travels; the leader's intake checks the rest against its schema.
 */
import type { FieldError } from '../errors/errors.ts';
import { Refusal } from '../errors/errors.ts';
import { floatBytes, floatsOf } from '../kernel/floats.ts';
import type { EventBody, Metadata, MetadataValue } from './events.ts';
import { WEIGHT_LIMIT, WEIGHT_SCALE } from './events.ts';

export type WriteRoute = 'items' | 'delete' | 'embeddings' | 'signals';

const known: Record<Exclude<WriteRoute, 'delete'>, readonly string[]> = {
  items: ['entity_id', 'metadata'],
  embeddings: ['entity_id', 'values'],
  signals: ['entity_id', 'signal', 'weight', 'timestamp', 'user_id', 'creator_id'],
};

const MAX_METADATA_FIELDS = 256;
const MAX_NAME_LENGTH = 128;

/** Checks one write and answers the event it asks for. `at` prefixes error paths in bulks: `line 3` or `[2]`. */
export function parseWrite(route: Exclude<WriteRoute, 'delete'>, body: unknown, at = ''): EventBody {
  const where = (path: string): string => (at === '' ? path : path === '' ? at : `${at}: ${path}`);
  const invalid = (path: string, message: string): Refusal => {
    const errors: FieldError[] = [{ path: where(path), message }];
    return new Refusal('invalid_request', `${where(path)} ${message}`.trim(), { errors });
  };
  if (typeof body !== 'object' || body === null || Array.isArray(body)) throw invalid('', 'must be a JSON object');
  const fields = body as Record<string, unknown>;
  for (const name of Object.keys(fields)) {
    if (known[route].includes(name)) continue;
    const accepted = known[route].filter((field) => field !== 'user_id' && field !== 'creator_id');
    throw new Refusal('unknown_field', `${where(clip(name))} is not a field of /${route}`, {
      hint: `accepted fields: ${accepted.join(', ')}`,
      errors: [{ path: where(clip(name)), message: 'unknown field' }],
    });
  }
  const entity = fields.entity_id;
  if (typeof entity !== 'number' || !Number.isSafeInteger(entity) || entity < 0) {
    throw invalid('entity_id', 'must be an integer from 0 to 9007199254740991');
  }
  switch (route) {
    case 'items':
      return { kind: 'item', entity: entity + 0, metadata: parseMetadata(fields.metadata, invalid) };
    case 'embeddings':
      return { kind: 'embedding', entity: entity + 0, values: parseVector('values', fields.values, invalid) };
    case 'signals': {
      for (const context of ['user_id', 'creator_id']) {
        if (fields[context] === undefined) continue;
        throw new Refusal(
          'context_not_replicated',
          `${where(context)} is not accepted: cluster mode replicates global signals only`,
          {
            hint: 'send the signal without user_id and creator_id',
            errors: [{ path: where(context), message: 'contexts are not replicated' }],
          },
        );
      }
      const signal = fields.signal;
      if (typeof signal !== 'string' || signal === '' || signal.length > MAX_NAME_LENGTH) {
        throw invalid('signal', `must be a name of 1 to ${MAX_NAME_LENGTH} characters`);
      }
      const weight = fields.weight ?? 1;
      if (typeof weight !== 'number' || !Number.isFinite(weight) || weight < 0 || weight > WEIGHT_LIMIT) {
        throw invalid('weight', `must be a number from 0 to ${WEIGHT_LIMIT}`);
      }
      const thousandths = Math.round(weight * WEIGHT_SCALE);
      if (thousandths === 0 && weight !== 0)
        throw invalid('weight', 'must be 0 or at least 0.0005: weights have steps of 0.001');
      return {
        kind: 'signal',
        entity: entity + 0,
        signal,
        weight: thousandths,
        timeMs: parseTimestamp(fields.timestamp, invalid),
      };
    }
  }
}

type Invalid = (path: string, message: string) => Refusal;

function parseMetadata(value: unknown, invalid: Invalid): Metadata {
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw invalid('metadata', 'must be a flat JSON object');
  const entries = Object.entries(value);
  if (entries.length > MAX_METADATA_FIELDS)
    throw invalid('metadata', `must have at most ${MAX_METADATA_FIELDS} fields`);
  for (const [name, field] of entries) {
    if (name === '' || name.length > MAX_NAME_LENGTH)
      throw invalid('metadata', `field names have 1 to ${MAX_NAME_LENGTH} characters`);
    if (!isMetadataValue(field))
      throw invalid(`metadata.${clip(name)}`, 'must be a string, a finite number, a boolean or an array of strings');
  }
  return value as Metadata;
}

function isMetadataValue(value: unknown): value is MetadataValue {
  if (typeof value === 'number') return Number.isFinite(value);
  if (Array.isArray(value)) return value.every((element) => typeof element === 'string');
  return typeof value === 'string' || typeof value === 'boolean';
}

/** `name`: the field it comes from. Throws what `invalid` makes. */
export function parseVector(name: string, value: unknown, invalid: Invalid): Float32Array {
  if (!Array.isArray(value) || value.length === 0) throw invalid(name, 'must be an array of numbers');
  const values = new Float32Array(value.length);
  for (let index = 0; index < values.length; index++) {
    const element: unknown = value[index];
    if (typeof element !== 'number' || !Number.isFinite(Math.fround(element))) {
      throw invalid(`${name}[${index}]`, 'must be a finite number within 32-bit floating point');
    }
    // −0 and 0 are one value: state is compared bit by bit.
    values[index] = element + 0 === 0 ? 0 : element;
  }
  return values;
}

const rfc3339 = /^\d{4}-\d{2}-\d{2}[Tt ]\d{2}:\d{2}:\d{2}(\.\d{1,9})?([Zz]|[+-]\d{2}:\d{2})$/;

function parseTimestamp(value: unknown, invalid: Invalid): number | undefined {
  if (value === undefined) return undefined;
  const refusal = (): Refusal => invalid('timestamp', 'must be an RFC 3339 time or integer milliseconds since 1970');
  const timeMs =
    typeof value === 'number'
      ? value
      : typeof value === 'string' && rfc3339.test(value)
        ? Date.parse(value)
        : Number.NaN;
  if (!Number.isFinite(timeMs) || timeMs < 0 || timeMs > Number.MAX_SAFE_INTEGER) throw refusal();
  if (typeof value === 'number' && !Number.isInteger(value)) throw refusal();
  return Math.floor(timeMs);
}

function clip(name: string): string {
  return name.length > 64 ? `${name.slice(0, 64)}…` : name;
}

/** What travels from router to leader: plain JSON, one per write. The inverse is {@link fromWire}. */
export type WireWrite = UnkeyedWire & {
  /** [id, body hash] of an idempotency key, as {@link EventKey} has them. */
  readonly key?: readonly [id: string, bodyHash: string];
};

type UnkeyedWire =
  | { k: 's'; e: number; s: string; w: number; t?: number }
  | { k: 'i'; e: number; m: Metadata }
  | { k: 'd'; e: number }
  /**
   * Values as {@link floatBytes} in base64: a third of the length of numbers, and a tenth of the work on either side. A name
   * of their own, because earlier routers sent numbers as `f`: neither side may take the one for the other.
   */
  | { k: 'v'; e: number; b: string };

export function toWire(event: EventBody): WireWrite {
  switch (event.kind) {
    case 'signal':
      return event.timeMs === undefined
        ? { k: 's', e: event.entity, s: event.signal, w: event.weight }
        : { k: 's', e: event.entity, s: event.signal, w: event.weight, t: event.timeMs };
    case 'item':
      return { k: 'i', e: event.entity, m: event.metadata };
    case 'delete':
      return { k: 'd', e: event.entity };
    case 'embedding':
      return { k: 'v', e: event.entity, b: floatBytes(event.values).toString('base64') };
  }
}

// The last character has bits to spare: they are 0, or what comes back from the log would be another name.
const idPattern = /^[A-Za-z0-9_-]{21}[AQgw]$/;
const bodyHashPattern = /^[A-Za-z0-9_-]{10}[AEIMQUYcgkosw048]$/;

/** Throws a `Refusal` for a key that is none: the log has room for nothing else. */
export function fromWire(write: WireWrite): EventBody {
  const body = unkeyedFromWire(write);
  if (write.key === undefined) return body;
  const [id, bodyHash] = write.key;
  if (!idPattern.test(id) || !bodyHashPattern.test(bodyHash)) {
    throw new Refusal('invalid_request', 'key must be an id of 16 bytes and a hash of 8, in base64url');
  }
  return { ...body, key: { id, bodyHash } };
}

export function valuesOf(wire: string): Float32Array {
  return floatsOf(Buffer.from(wire, 'base64'));
}

function unkeyedFromWire(write: WireWrite): EventBody {
  switch (write.k) {
    case 's':
      return { kind: 'signal', entity: write.e, signal: write.s, weight: write.w, timeMs: write.t };
    case 'i':
      return { kind: 'item', entity: write.e, metadata: write.m };
    case 'd':
      return { kind: 'delete', entity: write.e };
    case 'v':
      if (typeof write.b !== 'string') throw new Refusal('invalid_request', 'b must be the values in base64');
      return { kind: 'embedding', entity: write.e, values: valuesOf(write.b) };
  }
}
