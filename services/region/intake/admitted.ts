/** Writes on their way through intake: admitted, accepted, and what became of them. */
import type { Refusal } from '../../../shared/errors/errors.ts';
import type { Position } from '../../../shared/protocol/position.ts';
import type { Bulk, RequestedBulk } from './bulk.ts';

/** Writes admitted together: one atomic request, or one write of another. */
export interface Admitted {
  readonly bodies: RequestedBulk;
  readonly epoch: number;
  readonly bytes: number;
  /** The log's {@link Wal.received} when it was admitted. */
  readonly received: number;
  /** The acceptance time it would have had at its admission, epoch ms. */
  readonly atMs: number;
  readonly resolve: (outcome: Outcome) => void;
}

/** The last point at which it could be refused is over. */
export interface Accepted extends Admitted {
  readonly bodies: Bulk;
}

/** `duplicate-arrived`: another region's duplicate of a keyed write was received; nothing was accepted. */
export type Outcome = Refusal | Placed | 'duplicate-arrived';

/** The positions of the writes: one entry, unless a bulk was accepted in two parts. */
export interface Placed {
  readonly position: Position;
  /** Nothing was accepted now. */
  readonly replayed?: true;
}
