/**
 * Retractions by position: the leader reads the signal there from its log and takes it back under the key it was given with. A
 * signal without a key has no idempotency record, and a second retraction of it could not be distinguished from the first.
 */
import { Refusal } from '../../../../shared/errors/errors.ts';
import type { RequestedBody, RetractionAt, WriteBody } from '../../../../shared/protocol/events.ts';
import type { SignalColumns } from '../../../../shared/protocol/signal-columns.ts';
import type { Wal } from '../../wal/wal.ts';
import type { Read, SignalReader } from './signal-reader.ts';

export { type Retraction, SignalReader } from './signal-reader.ts';

const KEYED_HINT =
  'only signals that were given under an Idempotency-Key can be taken back; give those that may be with one';

export function hasPositions(bodies: readonly RequestedBody[] | SignalColumns): boolean {
  return !('kinds' in bodies) && bodies.some(({ kind }) => kind === 'retraction at');
}

interface PositionsOptions {
  readonly wal: Pick<Wal, 'origin' | 'quarantine'>;
  readonly region: string;
  readonly signals: Pick<SignalReader, 'read'>;
}

/** The same writes, those by position under their keys, or why one is refused. */
export async function readPositions(
  { wal, region, signals }: PositionsOptions,
  bodies: readonly RequestedBody[],
): Promise<(WriteBody | Refusal)[]> {
  const found = bodies.map((body) => {
    if (body.kind !== 'retraction at') return body;
    const { origin, sequence } = body;
    const info = wal.origin(origin);
    if (info === undefined || sequence > info.last) return nothingThere(region, body);
    return wal.quarantine.has(origin, sequence) ? notASignal(body) : body;
  });
  const places = found.filter(
    (body): body is RetractionAt => !(body instanceof Refusal) && body.kind === 'retraction at',
  );
  const events = (await signals.read(places)).values();
  return found.map((body) =>
    body instanceof Refusal || body.kind !== 'retraction at' ? body : retractionOf(body, events.next().value),
  );
}

function retractionOf(at: RetractionAt, event: Read): WriteBody | Refusal {
  if (event === undefined) return notASignal(at);
  if (event instanceof Refusal) return event;
  const { entity, signal, weight, key } = event;
  if (key === undefined) {
    return new Refusal('not_retractable', `the signal at ${textOf(at)} was given without an Idempotency-Key`, {
      hint: KEYED_HINT,
    });
  }
  return { kind: 'retraction', entity, signal, weight, timeMs: undefined, key };
}

function textOf({ origin, sequence }: RetractionAt): string {
  return `${origin}:${sequence}`;
}

function notASignal(at: RetractionAt): Refusal {
  return new Refusal('not_retractable', `the event at ${textOf(at)} is not a signal`, { hint: KEYED_HINT });
}

function nothingThere(region: string, at: RetractionAt): Refusal {
  return new Refusal('nothing_to_retract', `${region} has no event at ${textOf(at)}`, {
    hint: 'position is that of the answer to the signal, such as us-east@abcdefghij234:125',
  });
}
