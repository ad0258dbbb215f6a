/**
 * Retractions by position: the leader reads the signal there from its log and takes it back under the key it was given with. A
 * signal without a key has no idempotency record, and a second retraction of it could not be distinguished from the first.
 */
import { Refusal } from '../../../../shared/errors/errors.ts';
import { type Clock, sleep } from '../../../../shared/kernel/kernel.ts';
import type { RequestedBody, RetractionAt, WriteBody } from '../../../../shared/protocol/events.ts';
import type { SignalColumns } from '../../../../shared/protocol/signal-columns.ts';
import { decodeBatchUnder } from '../../batch/batch.ts';
import type { Wal } from '../../wal/wal.ts';

const KEYED_HINT =
  'only signals that were given under an Idempotency-Key can be taken back; give those that may be with one';

export function hasPositions(bodies: readonly RequestedBody[] | SignalColumns): boolean {
  return !('kinds' in bodies) && bodies.some(({ kind }) => kind === 'retraction at');
}

interface PositionsOptions {
  readonly clock: Clock;
  readonly wal: Pick<Wal, 'origin' | 'read' | 'quarantine'>;
  readonly region: string;
}

/** The same writes, those by position under their keys, or why one is refused. Each reads a batch in a turn of its own. */
export async function readPositions(
  options: PositionsOptions,
  bodies: readonly RequestedBody[],
): Promise<(WriteBody | Refusal)[]> {
  const read: (WriteBody | Refusal)[] = [];
  for (const body of bodies) {
    if (body.kind === 'retraction at') {
      await sleep(options.clock, 0);
      read.push(retractionAt(options, body));
    } else read.push(body);
  }
  return read;
}

function retractionAt({ wal, region }: PositionsOptions, { origin, sequence }: RetractionAt): WriteBody | Refusal {
  const at = `${origin}:${sequence}`;
  const info = wal.origin(origin);
  if (info === undefined || sequence > info.last) {
    return new Refusal('nothing_to_retract', `${region} has no event at ${at}`, {
      hint: 'position is that of the answer to the signal, such as us-east@abcdefghij234:125',
    });
  }
  if (sequence < info.first) {
    return new Refusal('log_trimmed', `the log of ${region} begins after ${at}: what the event was is not known`, {
      hint: 'send DELETE /signals with the Idempotency-Key and the body that the signal was given with',
    });
  }
  const bytes = wal.read(origin, sequence, 1)[0]!;
  const { first, events } = decodeBatchUnder(wal.quarantine, bytes);
  const event = events[sequence - first]!;
  if (event.kind !== 'signal' && event.kind !== 'retraction') {
    return new Refusal('not_retractable', `the event at ${at} is not a signal`, { hint: KEYED_HINT });
  }
  const { entity, signal, weight, key } = event;
  if (key === undefined) {
    return new Refusal('not_retractable', `the signal at ${at} was given without an Idempotency-Key`, {
      hint: KEYED_HINT,
    });
  }
  return { kind: 'retraction', entity, signal, weight, timeMs: undefined, key };
}

/** Why the retraction of a write under a key is refused: none was accepted, or not within the time. */
export function nothingToRetract(): Refusal {
  return new Refusal('nothing_to_retract', 'no signal is known under this Idempotency-Key that can be taken back', {
    hint: 'a signal can be taken back for seven days after it was accepted, less a minute, with the Idempotency-Key and the body it was given with',
  });
}

export function countedBeforeMending(): Refusal {
  return new Refusal('not_retractable', 'the signal was given before the state of the cluster was mended', {
    hint: 'sums that were mended do not say any more in which windows it counts; it leaves them as it ages',
  });
}
