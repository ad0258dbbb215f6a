/** What the schema and the limits of the log say about a write. */
import { Refusal } from '../../../shared/errors/errors.ts';
import { EVENT_LIMIT_BYTES, type WriteBody } from '../../../shared/protocol/events.ts';
import type { Schema } from '../schema/schema.ts';
import { writeBytes } from './bulk.ts';

export function unknownSignal({ signals }: Schema, name: string): Refusal | undefined {
  if (signals.has(name)) return undefined;
  const known = [...signals.keys()].join(', ');
  return new Refusal('unknown_signal', `the signal ${JSON.stringify(name)} is not declared by the schema`, {
    hint: `known signals: ${known}`,
    errors: [{ path: 'signal', message: `must be one of: ${known}` }],
  });
}

/** How far a client's clock may be ahead: such an item is created at its acceptance. */
const CREATED_AHEAD_MS = 5_000;

/** `nowMs`: of the region's clock. */
export function validate(schema: Schema, body: WriteBody, nowMs: number): Refusal | undefined {
  if (body.kind === 'item' && body.createdMs !== undefined && body.createdMs > nowMs + CREATED_AHEAD_MS) {
    const message = `must not be in the future: it is ${new Date(nowMs).toISOString()}`;
    return new Refusal('invalid_request', `created_at ${message}`, { errors: [{ path: 'created_at', message }] });
  }
  if (body.kind === 'signal' || body.kind === 'retraction') {
    const unknown = unknownSignal(schema, body.signal);
    if (unknown !== undefined) return unknown;
  }
  const { dimensions } = schema.embedding;
  if (body.kind === 'embedding' && body.values.length !== dimensions) {
    return new Refusal(
      'wrong_dimensions',
      `the embedding has ${body.values.length} values; the schema says ${dimensions}`,
      {
        errors: [{ path: 'values', message: `must have ${dimensions} numbers` }],
      },
    );
  }
  const bytes = writeBytes(body);
  if (bytes > EVENT_LIMIT_BYTES) {
    return new Refusal('event_too_large', `the event has ${bytes} bytes; at most ${EVENT_LIMIT_BYTES} are taken`);
  }
  return undefined;
}
