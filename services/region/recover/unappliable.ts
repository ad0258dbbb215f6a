/**
 * Events that cannot be applied: how a start reports one, and how it is set aside.
 *
 * A log may hold such an event although every event is checked before the append: an earlier version wrote it, or this one has a
 * bug. The region then serves only its status, and waits until the event is in quarantine (`shared/protocol/quarantine.ts`),
 * instead of crashing on it at every start.
 */
import { Fault, Refusal } from '../../../shared/errors/errors.ts';
import { type Position, sequenceOf } from '../../../shared/protocol/position.ts';
import { QUARANTINE_LIMIT, type QuarantinedRange } from '../../../shared/protocol/quarantine.ts';
import { readCheckpointPosition, unpackShard } from '../checkpoint/checkpoint.ts';
import { isStorageFull } from '../storage-fault/storage-fault.ts';
import type { Wal } from '../wal/wal.ts';

/** Thrown by recovery: the state cannot be built as long as these events are in it. */
export class UnappliableEvent extends Fault {
  readonly range: QuarantinedRange;

  constructor(range: QuarantinedRange, why: string) {
    const { origin, first, last } = range;
    super('unappliable_event', `${origin}:${first === last ? first : `${first}-${last}`} cannot be applied: ${why}`);
    this.range = range;
  }
}

/** The position of the stored checkpoint: events that it covers may no longer be set aside. */
export function checkpointed(wal: Wal): Position {
  const { position: floor } = readCheckpointPosition(wal.mark('checkpoint'));
  const contained = new Map(floor);
  for (const [, row] of wal.shards()) {
    for (const [origin, sequence] of unpackShard(row, floor).at) {
      contained.set(origin, Math.max(sequence, sequenceOf(contained, origin)));
    }
  }
  return contained;
}

/** Puts the range into this region's quarantine. Idempotent. Throws a `Refusal` if `contained` covers a part of it. */
export async function setAside(wal: Wal, range: QuarantinedRange, contained: Position): Promise<void> {
  const { origin, first, last } = range;
  if (wal.quarantine.covers(range)) return;
  if (sequenceOf(contained, origin) >= first) {
    throw new Refusal('event_applied', `${origin}:${first} is already applied`, {
      hint: 'only events that no region has applied can be quarantined',
    });
  }
  if (wal.owns(origin)) throw new Refusal('unknown_event', `${origin}:${last} has not been accepted yet`);
  if (wal.quarantine.with(range).ranges.length > QUARANTINE_LIMIT) {
    throw new Refusal('quarantine_full', `the quarantine has ${QUARANTINE_LIMIT} ranges already`);
  }
  try {
    await wal.setAside(range);
  } catch (error) {
    if (!isStorageFull(error)) throw error;
    throw new Refusal('storage_full', 'the disk of the region is full, the quarantine cannot be stored');
  }
}
