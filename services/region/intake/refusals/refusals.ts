/** Why intake refuses writes of which nothing is in the log, and what it answers of those it cannot confirm. */
import { Fault, type FaultCode, messageOf, Refusal } from '../../../../shared/errors/errors.ts';
import { isStorageFull } from '../../storage-fault/storage-fault.ts';

const DAMAGE: readonly FaultCode[] = ['damaged_log', 'damaged_batch', 'unknown_format'];

/** The refusal of a group of which nothing is in the log; undefined: the process must end. */
export function refusalFor(error: unknown): Refusal | undefined {
  if (error instanceof Refusal) return error;
  if (!isStorageFull(error)) return undefined;
  return new Refusal('storage_full', 'the disk of the leader is full', { hint: messageOf(error) });
}

/** What waits for its group commit, and how much may. */
export interface Waiting {
  readonly waiting: number;
  readonly waitingBytes: number;
  readonly queueLimit: number;
  readonly queueLimitBytes: number;
}

/** Why so many more may not wait; undefined: they may. */
export function noRoom(
  { waiting, waitingBytes, queueLimit, queueLimitBytes }: Waiting,
  events: number,
  bytes: number,
): Refusal | undefined {
  // A bulk that is larger than the queue must not wait.
  if (events > queueLimit) return neverRoom(`${events} writes`, `${queueLimit} may wait to be written`);
  if (bytes > queueLimitBytes)
    return neverRoom(`${bytes} bytes of events`, `${queueLimitBytes} may wait to be written`);
  if (waiting + events > queueLimit) {
    return new Refusal('overloaded', `${queueLimit} events are already waiting to be written`);
  }
  if (waitingBytes + bytes > queueLimitBytes) {
    return new Refusal('overloaded', `${queueLimitBytes} bytes of events are already waiting to be written`);
  }
  return undefined;
}

function neverRoom(given: string, limit: string): Refusal {
  return new Refusal('body_too_large', `the request has ${given}; at most ${limit}`, {
    hint: 'send it in smaller parts',
  });
}

export function shuttingDown(): Refusal {
  return new Refusal('shutting_down', 'the region is shutting down');
}

export function unconfirmed(position: string, keyed: boolean): Refusal {
  return new Refusal(
    'stream_unconfirmed',
    `the write is durable here at ${position}; the stream acknowledgement timed out`,
    {
      hint: keyed
        ? 'the write counts; it may be sent again with the same Idempotency-Key and is not counted twice'
        : 'the write counts; do not send it again',
    },
  );
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

export function logTrimmed(region: string, at: string): Refusal {
  return new Refusal('log_trimmed', `the log of ${region} begins after ${at}: what the signal was is not known`, {
    hint: 'a signal can be taken back for seven days, and as long as the leader’s log keeps it: TIDAL_LOG_RETENTION_BYTES',
  });
}

/** A copy is of a time that is too far from now: one of the two clocks was wrong. */
export function clockUnsafe(): Refusal {
  return new Refusal('clock_unsafe', 'the signal was accepted at a time more than seven days after this one');
}

export function conflict(): Refusal {
  return new Refusal(
    'idempotency_conflict',
    'the Idempotency-Key was used for another write within the last seven days',
    {
      hint: 'send a new key with a new write, and the same body with the same key',
    },
  );
}

/** Why a write is refused that needs a row of the log which is damaged. Throws what is something else. */
export function logDamaged(error: unknown, what: string): Refusal {
  if (!(error instanceof Fault && DAMAGE.includes(error.code))) throw error;
  return new Refusal('log_damaged', `${what} cannot be read: ${messageOf(error)}`, {
    hint: 'nothing was changed, and other writes are accepted. A batch is restored from another region within seconds: try again',
  });
}
