/** Why intake refuses writes of which nothing is in the log, and what it answers of those it cannot confirm. */
import { messageOf, Refusal } from '../../../shared/errors/errors.ts';
import { isStorageFull } from '../storage-fault/storage-fault.ts';

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
