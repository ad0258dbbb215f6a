/** Why intake refuses writes of which nothing is in the log, and what it answers of those it cannot confirm. */
import { messageOf, Refusal } from '../../../shared/errors/errors.ts';
import { isStorageFull } from '../storage-fault/storage-fault.ts';

/** The refusal of a group of which nothing is in the log; undefined: the process must end. */
export function refusalFor(error: unknown): Refusal | undefined {
  if (error instanceof Refusal) return error;
  if (!isStorageFull(error)) return undefined;
  return new Refusal('storage_full', 'the disk of the leader is full', { hint: messageOf(error) });
}

export function neverRoom(given: string, limit: string): Refusal {
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
