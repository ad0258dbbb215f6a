/**
 * The shape of writes: the checks of a body that need no schema. The router makes them, so that a malformed request is never
 * forwarded; the leader's intake checks the rest against its schema.
 */
import type { FieldError } from '../errors/errors.ts';
import { clip, Refusal } from '../errors/errors.ts';
import { floatBytes, floatsOf } from '../kernel/floats.ts';
import { entityIdOf } from './entity-id.ts';
import type { EventBody, Flaw, Metadata, MetadataPatch, RequestedBody } from './events.ts';
import {
  areValues,
  isCount,
  isSignalName,
  isThousandths,
  metadataFlaw,
  NAME_LIMIT,
  THOUSANDTHS_LIMIT,
  WEIGHT_LIMIT,
  WEIGHT_SCALE,
} from './events.ts';
import { parseEventPosition } from './position.ts';
import { timestampOf } from './timestamp.ts';

/** The routes of an idempotency key. */
export const writeRoutes = ['items', 'patch', 'delete', 'embeddings', 'signals'] as const;
export type WriteRoute = (typeof writeRoutes)[number];
type BodyRoute = Exclude<WriteRoute, 'patch' | 'delete'>;

/** The fields of one write. */
export const writeFields = {
  items: ['entity_id', 'metadata', 'created_at'],
  embeddings: ['entity_id', 'values'],
  signals: ['entity_id', 'signal', 'weight', 'timestamp', 'retract'],
} as const satisfies Record<BodyRoute, readonly string[]>;

/** Of a retraction by position. */
export const retractionFields = ['position', 'retract'] as const;

/** Fields that are refused by a name of their own. */
const contexts = ['user_id', 'creator_id'];
const known: Record<BodyRoute, readonly string[]> = {
  ...writeFields,
  signals: [...writeFields.signals, ...contexts],
};

/**
 * Elements of a list in metadata. Every element is a posting of the filter index, which is updated in one turn of the event loop
 * in every region. Stricter than `metadataFlaw`, because logs may have longer lists, which stay readable.
 */
export const METADATA_LIST_LIMIT = 1_000;

/** Relative tolerance of a weight: the error of some thousand additions is within it. */
const STEP_TOLERANCE = 1e-12;

/** Checks one write and returns its event. `at` prefixes error paths in bulks: `line 3` or `[2]`. */
export function parseWrite(route: BodyRoute, body: unknown, at = ''): EventBody {
  const where = (path: string): string => (at === '' ? path : path === '' ? at : `${at}: ${path}`);
  const invalid = invalidAt(where);
  const fields = fieldsOf(body, known[route], `/${route}`, where);
  const entity = entityIdOf(fields.entity_id);
  if (typeof entity === 'string') throw invalid('entity_id', entity);
  switch (route) {
    case 'items':
      return {
        ...{ kind: 'item', entity, metadata: parseMetadata(fields.metadata, invalid) },
        ...(fields.created_at === undefined
          ? {}
          : { createdMs: parseTimestamp('created_at', fields.created_at, invalid) as number }),
      };
    case 'embeddings':
      return { kind: 'embedding', entity, values: parseVector('values', fields.values, invalid) };
    case 'signals': {
      for (const context of contexts) {
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
      if (!isSignalName(signal)) throw invalid('signal', `must be a name of 1 to ${NAME_LIMIT} characters`);
      const weight = fields.weight === undefined ? 1 : fields.weight;
      if (typeof weight !== 'number' || !Number.isFinite(weight) || weight < 0 || weight > WEIGHT_LIMIT) {
        throw invalid('weight', `must be a number from 0 to ${WEIGHT_LIMIT}`);
      }
      const thousandths = Math.round(weight * WEIGHT_SCALE);
      if (!isStep(weight, thousandths)) throw invalid('weight', 'must be a multiple of 0.001');
      const { retract } = fields;
      if (retract !== undefined && typeof retract !== 'boolean') throw invalid('retract', 'must be true or false');
      return {
        kind: retract === true ? 'retraction' : 'signal',
        entity,
        signal,
        weight: thousandths,
        timeMs: parseTimestamp('timestamp', fields.timestamp, invalid),
      };
    }
  }
}

/**
 * Checks the body of a signal or of its retraction. `isDelete`: it takes back, whether it says so or not. `at` as in
 * {@link parseWrite}.
 */
export function parseSignal(body: unknown, isDelete: boolean, at = ''): RequestedBody {
  const invalid = invalidAt((path) => (at === '' ? path : `${at}: ${path}`));
  const { retract, position } = (body ?? {}) as { readonly retract?: unknown; readonly position?: unknown };
  if (isDelete && retract !== undefined && retract !== true) {
    throw invalid('retract', 'must be true, or be left out: DELETE /signals takes back');
  }
  if (position === undefined) {
    const write = parseWrite('signals', body, at);
    return isDelete && write.kind === 'signal' ? { ...write, kind: 'retraction' } : write;
  }
  if (at !== '') throw invalid('position', 'takes back one signal: send it as one object, not in a bulk');
  if (!isDelete && retract !== true) throw invalid('position', 'names a signal to take back: add "retract": true');
  fieldsOf(body, retractionFields, `${isDelete ? 'DELETE ' : ''}/signals with position`, (path) => path);
  const event = typeof position === 'string' ? parseEventPosition(position) : undefined;
  if (event !== undefined) return { kind: 'retraction at', ...event };
  throw invalid('position', 'must be that of one signal, as in its answer: us-east@abcdefghij234:125');
}

/**
 * A multiple of 0.001 with floating-point error (0.1 + 0.2 is 0.30000000000000004) is accepted as that multiple; other weights
 * are not.
 */
function isStep(weight: number, thousandths: number): boolean {
  return thousandths === 0 ? weight === 0 : Math.abs(weight - thousandths / WEIGHT_SCALE) <= weight * STEP_TOLERANCE;
}

type Where = (path: string) => string;
type Invalid = (path: string, message: string) => Refusal;

function invalidAt(where: Where): Invalid {
  return (path, message) => {
    const errors: FieldError[] = [{ path: where(path), message }];
    return new Refusal('invalid_request', `${where(path)} ${message}`.trim(), { errors });
  };
}

function fieldsOf(body: unknown, names: readonly string[], route: string, where: Where): Record<string, unknown> {
  if (typeof body !== 'object' || body === null || Array.isArray(body)) {
    throw invalidAt(where)('', 'must be a JSON object');
  }
  for (const name of Object.keys(body)) {
    if (names.includes(name)) continue;
    const accepted = names.filter((field) => !contexts.includes(field));
    throw new Refusal('unknown_field', `${where(clip(name))} is not a field of ${route}`, {
      hint: `accepted fields: ${accepted.join(', ')}`,
      errors: [{ path: where(clip(name)), message: 'unknown field' }],
    });
  }
  return body as Record<string, unknown>;
}

/** The body of `PATCH /items/:id`: `{"metadata": {…}}`, of which a null removes a field. Throws a `Refusal`. */
export function parsePatch(body: unknown): MetadataPatch {
  const where: Where = (path) => path;
  const { metadata } = fieldsOf(body, ['metadata'], 'PATCH /items/:id', where);
  const flaw = patchFlaw(metadata);
  if (flaw === undefined) return metadata as MetadataPatch;
  throw invalidAt(where)(flaw.path === '' ? 'metadata' : `metadata.${flaw.path}`, flaw.message);
}

/** Undefined: it is a {@link MetadataPatch} that may be written. */
function patchFlaw(value: unknown): Flaw | undefined {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    return { path: '', message: 'must be a JSON object of the fields to change; null removes a field' };
  }
  const put = Object.entries(value).map(([name, each]) => [name, each === null ? '' : each]);
  const flaw = writtenMetadataFlaw(Object.fromEntries(put));
  return flaw && { ...flaw, message: `${flaw.message}; null removes a field` };
}

function parseMetadata(value: unknown, invalid: Invalid): Metadata {
  const flaw = writtenMetadataFlaw(value);
  if (flaw !== undefined) throw invalid(flaw.path === '' ? 'metadata' : `metadata.${flaw.path}`, flaw.message);
  return value as Metadata;
}

/** Undefined: it may be written. */
function writtenMetadataFlaw(value: unknown): Flaw | undefined {
  const flaw = metadataFlaw(value);
  if (flaw !== undefined) return flaw;
  for (const [name, list] of Object.entries(value as Metadata)) {
    if (!Array.isArray(list) || list.length <= METADATA_LIST_LIMIT) continue;
    return { path: clip(name), message: `has ${list.length} elements; a list may have at most ${METADATA_LIST_LIMIT}` };
  }
  return undefined;
}

/** `name`: its field. Throws the error of `invalid`. */
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

function parseTimestamp(name: string, value: unknown, invalid: Invalid): number | undefined {
  if (value === undefined) return undefined;
  const moment = timestampOf(value);
  if (typeof moment === 'string') throw invalid(name, moment);
  return moment;
}

/** A write between router and leader: plain JSON. The inverse is {@link fromWire}. */
export type WireWrite = UnkeyedWire & {
  /** [id, body hash] of an idempotency key, as {@link EventKey} has them. */
  readonly key?: readonly [id: string, bodyHash: string];
};

type UnkeyedWire =
  | { k: 's'; e: number; s: string; w: number; t?: number }
  /** A retraction of the signal with these values under the same key. */
  | { k: 'r'; e: number; s: string; w: number; t?: number }
  /** A retraction of the signal at a position. */
  | { k: 'b'; p: string; e?: undefined }
  | { k: 'i'; e: number; m: Metadata }
  /** An item with the time of its creation. Another name, because earlier regions would ignore that time. */
  | { k: 'c'; e: number; m: Metadata; t: number }
  | { k: 'p'; e: number; m: MetadataPatch }
  | { k: 'd'; e: number }
  /**
   * Values as {@link floatBytes} in base64: a third of the length of numbers, and a tenth of the work on either side. They have a
   * name of their own, because earlier routers sent numbers as `f`, and neither side may confuse the two.
   */
  | { k: 'v'; e: number; b: string };

export function toWire(event: RequestedBody): WireWrite {
  switch (event.kind) {
    case 'signal':
    case 'retraction': {
      const k = event.kind === 'signal' ? 's' : 'r';
      return event.timeMs === undefined
        ? { k, e: event.entity, s: event.signal, w: event.weight }
        : { k, e: event.entity, s: event.signal, w: event.weight, t: event.timeMs };
    }
    case 'retraction at':
      return { k: 'b', p: `${event.origin}:${event.sequence}` };
    case 'item':
      return event.createdMs === undefined
        ? { k: 'i', e: event.entity, m: event.metadata }
        : { k: 'c', e: event.entity, m: event.metadata, t: event.createdMs };
    case 'patch':
      return { k: 'p', e: event.entity, m: event.changes };
    case 'delete':
      return { k: 'd', e: event.entity };
    case 'embedding':
      return { k: 'v', e: event.entity, b: floatBytes(event.values).toString('base64') };
  }
}

// The last character has unused bits: they must be 0, or the log would return another name.
const idPattern = /^[A-Za-z0-9_-]{21}[AQgw]$/;
const bodyHashPattern = /^[A-Za-z0-9_-]{10}[AEIMQUYcgkosw048]$/;

/**
 * The event of a router's request, checked by the rules of `parseWrite`: a request to a region's port is trusted no more than one
 * to the router's. Throws a `Refusal`.
 */
export function fromWire(write: unknown): RequestedBody {
  if (typeof write !== 'object' || write === null) throw malformed('a write must be an object');
  const body = unkeyedFromWire(write as Readonly<Record<string, unknown>>);
  const { key } = write as { readonly key?: unknown };
  if (key === undefined) {
    if (body.kind === 'retraction') throw malformed('a retraction must have the key of what it takes back');
    return body;
  }
  if (body.kind === 'retraction at') throw malformed('a retraction by position has no key');
  const [id, bodyHash] = Array.isArray(key) && key.length === 2 ? (key as readonly unknown[]) : [];
  if (
    typeof id !== 'string' ||
    typeof bodyHash !== 'string' ||
    !idPattern.test(id) ||
    !bodyHashPattern.test(bodyHash)
  ) {
    throw malformed('key must be an id of 16 bytes and a hash of 8, in base64url');
  }
  return { ...body, key: { id, bodyHash } };
}

export function valuesOf(wire: string): Float32Array {
  return floatsOf(Buffer.from(wire, 'base64'));
}

function unkeyedFromWire(write: Readonly<Record<string, unknown>>): RequestedBody {
  const { k, e } = write;
  if (k === 'b') {
    const event = typeof write.p === 'string' ? parseEventPosition(write.p) : undefined;
    if (event === undefined) throw malformed('p must be the position of one event');
    return { kind: 'retraction at', ...event };
  }
  const entity = entityIdOf(e);
  if (typeof entity === 'string') throw malformed(`e ${entity}`);
  switch (k) {
    case 's':
    case 'r': {
      const { s: signal, w: weight, t: timeMs } = write;
      if (!isSignalName(signal)) throw malformed(`s must be a name of 1 to ${NAME_LIMIT} characters`);
      if (!isThousandths(weight)) throw malformed(`w must be an integer from 0 to ${THOUSANDTHS_LIMIT}`);
      if (timeMs !== undefined && !isCount(timeMs)) throw malformed('t must be milliseconds since 1970');
      const kind = k === 's' ? 'signal' : 'retraction';
      return { kind, entity, signal, weight: weight + 0, timeMs: timeMs === undefined ? timeMs : timeMs + 0 };
    }
    case 'i':
    case 'c': {
      const flaw = writtenMetadataFlaw(write.m);
      if (flaw !== undefined) throw malformed(`${flaw.path === '' ? 'm' : `m.${flaw.path}`} ${flaw.message}`);
      const metadata = write.m as Metadata;
      if (k === 'i') return { kind: 'item', entity, metadata };
      if (!isCount(write.t)) throw malformed('t must be milliseconds since 1970');
      return { kind: 'item', entity, metadata, createdMs: write.t + 0 };
    }
    case 'p': {
      const flaw = patchFlaw(write.m);
      if (flaw !== undefined) throw malformed(`${flaw.path === '' ? 'm' : `m.${flaw.path}`} ${flaw.message}`);
      return { kind: 'patch', entity, changes: write.m as MetadataPatch };
    }
    case 'd':
      return { kind: 'delete', entity };
    case 'v': {
      if (typeof write.b !== 'string') throw malformed('b must be the values in base64');
      const values = valuesOf(write.b);
      if (!areValues(values)) throw malformed('b must hold at least one value, and finite ones only');
      // −0 and 0 are one value: state is compared bit by bit.
      for (let index = 0; index < values.length; index++) if (values[index] === 0) values[index] = 0;
      return { kind: 'embedding', entity, values };
    }
    default:
      throw malformed('k must be one of: s, r, b, i, c, p, d, v');
  }
}

function malformed(detail: string): Refusal {
  return new Refusal('invalid_request', detail);
}
