/**
 * Checkpoints: the signal ledger on disk, so that a start replays only the log's tail, and so that the log's beginning may go.
 *
 * The ledger is cut into 256 shards by a hash of the entity. A pass writes every shard that changed, one after another,
 * each in one synchronous step with the position it stands at, each in its own flushed transaction; at the end of the pass
 * the position at its beginning becomes the floor: every shard covers it, those that did not change included. Recovery
 * replays the log from the floor, and each shard skips per origin what it covers.
 *
 * Everything else the log made - registers, copies of keys, origins - lies in the store as documents, written with each
 * batch, and needs no checkpoint.
 *
 * What a crash leaves: each shard as it was last written, whole, with its own position; the floor of the last finished
 * pass. Shards of an unfinished pass are newer than the floor and are used. A shard that cannot be read is
 * `Fault('damaged_checkpoint')`: where the log still begins at 1, the caller replays all of it instead.
 *
 * Trimming: a batch goes, oldest origin first, while the batches take more than the configured bytes, and only when the floor
 * covers it, another region reported it durable (where there are others), and no copy being served to a peer still needs it. A region that lacks it
 * then comes back by a snapshot (`snapshot/snapshot.ts`).
 */
import type { Position } from '../../../shared/protocol/position.ts';

export interface Checkpoint {
  /** What every shard on disk covers: where a restart would replay from. Empty before the first pass. */
  readonly floor: Position;
  /** Events applied since the floor: what a restart would replay. */
  readonly behind: number;
  /** Writes passes when due, from now on. */
  start(): void;
  /** Writes a pass now, or joins the one under way; resolves at its end. For backups and tests. */
  now(): Promise<void>;
  /** Finishes the shard being written. */
  stop(): Promise<void>;
}

export interface Trim {
  start(): void;
  stop(): Promise<void>;
  /** Events that were trimmed since the start. */
  readonly trimmed: number;
}
