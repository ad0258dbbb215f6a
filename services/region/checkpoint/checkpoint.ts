/**
 * Checkpoints: the signal ledger on disk, so that a start replays only the log's tail, and the log's beginning can be trimmed.
 *
 * The ledger is divided into 256 shards by a hash of the entity. A checkpoint run writes every shard that changed, one after
 * another, each encoded in one synchronous step with its position, each in its own flushed transaction. At the end of the run the
 * position at its beginning becomes the checkpoint position: every shard covers it, those that did not change included. Recovery
 * replays the log from the checkpoint position, and each shard skips per origin what it covers.
 *
 * Everything else that the log produces (registers, idempotency records, origins) is in the store, written with each batch, and
 * needs no checkpoint.
 *
 * What a crash leaves: each shard as it was last written, whole, with its own position; the checkpoint position of the last
 * finished run. Shards of an unfinished run are newer than the checkpoint position and are used. A shard that cannot be read is
 * `Fault('damaged_checkpoint')`: if the log still begins at 1, the shard is replayed from there instead.
 *
 * Trimming: batches are removed, oldest origin first, while they take more than the configured bytes, and only if the checkpoint
 * position covers them, another region (if there is one) reports them durable, and no peer that fetches a snapshot still needs
 * them. A region that lacks them later recovers by a snapshot (`snapshot/snapshot.ts`).
 *
 * **The position of a stored shard.** Its row has only the entries of its position P that differ from the checkpoint position F
 * at the time of writing. Its effective position is E = max(F', entries), with F' the checkpoint position stored when it is read.
 * Claim: the shard's content is exactly the result of the events up to E. If F' = F: E = P. Otherwise F' is the position at the
 * beginning of a run that ended later, and either
 * - the row was written in that same run: then F ≤ F' ≤ P, so an omitted entry (P = F there) has F' = P too: E = P; or
 * - it was not, because the shard had not changed when the run reached it, at a position Q ≥ F', Q ≥ P: no event between P
 *   and Q touches the shard, so its content is that of every position between them. E ≤ Q; E ≥ P, because an omitted entry
 *   is F ≤ F'. By the same step this holds after every later run.
 * A shard without a row is the second case with P the position before everything.
 */
import { crc32 } from 'node:zlib';
import { Fault } from '../../../shared/errors/errors.ts';
import type { KnownDisk } from '../../../shared/protocol/known-disks.ts';
import { formatPosition, merge, type Position, parsePosition, sequenceOf } from '../../../shared/protocol/position.ts';

export interface Checkpoint {
  /** The checkpoint position: every shard on disk covers it, and a restart replays from it. Empty before the first run. */
  readonly checkpointPosition: Position;
  /** Events applied since the checkpoint position, which a restart would replay. */
  readonly behind: number;
  /** When the run of the checkpoint position began, epoch ms; 0 before the first run. */
  readonly checkpointedMs: number;
  /** Starts checkpoint runs when they are due. */
  start(): void;
  /** Starts a run now, or joins the one in progress; resolves at its end, or when it was abandoned. For backups and tests. */
  now(): Promise<void>;
  /** Finishes the shard being written. */
  stop(): Promise<void>;
}

/** Background work of this folder that only removes data that is no longer needed. */
export interface Sweep {
  start(): void;
  stop(): Promise<void>;
}

/** Which disks events may still come from (`disk-account.ts`). */
export interface Disks {
  /** The id of this region's own disk; undefined: it is not on the disk yet. */
  readonly own: string | undefined;
  /** All others that were ever seen, retired ones among them. */
  readonly known: readonly KnownDisk[];
  /** The time up to which everything that was accepted on any disk is known here, epoch ms; undefined if that is unknown. */
  readonly knownMs: number | undefined;
  /** Stores the account. Decisions based on it are stored later. */
  store(): Promise<void>;
  /**
   * An operator declares that the disk will not return. Stored when resolved. Throws a `Refusal`: `unknown_disk`, `disk_in_use`.
   */
  retire(id: string): Promise<void>;
}

/** The checkpoint position of the last finished run. */
export interface CheckpointPosition {
  readonly position: Position;
  /** The beginning of that run, epoch ms. */
  readonly atMs: number;
}

/** As the log's mark `checkpoint` keeps it. */
export function checkpointMark({ position, atMs }: CheckpointPosition): unknown {
  return { position: formatPosition(position), atMs };
}

/** Throws `Fault('damaged_checkpoint')` for an invalid mark. */
export function readCheckpointPosition(mark: unknown): CheckpointPosition {
  if (mark === undefined) return { position: new Map(), atMs: 0 };
  const { position, atMs } = (mark ?? {}) as { readonly position?: unknown; readonly atMs?: unknown };
  const parsed = typeof position === 'string' ? parsePosition(position) : undefined;
  if (parsed === undefined || typeof atMs !== 'number') {
    throw new Fault('damaged_checkpoint', `the stored checkpoint position is not a position: ${JSON.stringify(mark)}`);
  }
  return { position: parsed, atMs };
}

const ROW_VERSION = 1;
/** u8 version · u32 CRC-32 of what follows · u32 length of the position's text · the text · the ledger's bytes. */
const CRC_AT = 1;
const LENGTH_AT = 5;
const ROW_HEAD_BYTES = 9;

/** A shard's row: its position relative to the present checkpoint position, and its content. */
export function packShard(shard: Uint8Array, at: Position, checkpointPosition: Position): Uint8Array {
  const entries = [...at].filter(([origin, sequence]) => sequence !== sequenceOf(checkpointPosition, origin));
  const text = Buffer.from(formatPosition(new Map(entries)), 'ascii');
  const row = Buffer.allocUnsafe(ROW_HEAD_BYTES + text.length + shard.length);
  row[0] = ROW_VERSION;
  row.writeUInt32LE(text.length, LENGTH_AT);
  text.copy(row, ROW_HEAD_BYTES);
  row.set(shard, ROW_HEAD_BYTES + text.length);
  row.writeUInt32LE(crc32(row.subarray(LENGTH_AT)), CRC_AT);
  return row;
}

/** The row's effective position under the present checkpoint position, and its content. Throws `Fault('damaged_checkpoint')`. */
export function unpackShard(
  row: Uint8Array,
  checkpointPosition: Position,
): { readonly at: Position; readonly shard: Uint8Array } {
  const bytes = Buffer.from(row.buffer, row.byteOffset, row.length);
  if (bytes.length < ROW_HEAD_BYTES || bytes.readUInt32LE(CRC_AT) !== crc32(bytes.subarray(LENGTH_AT))) {
    throw new Fault('damaged_checkpoint', 'checksum mismatch of a stored ledger shard');
  }
  const start = ROW_HEAD_BYTES + bytes.readUInt32LE(LENGTH_AT);
  const entries = parsePosition(bytes.toString('ascii', ROW_HEAD_BYTES, start));
  if (bytes[0] !== ROW_VERSION || entries === undefined) {
    throw new Fault('damaged_checkpoint', `a stored ledger shard has the format ${bytes[0]}, not ${ROW_VERSION}`);
  }
  return { at: merge(checkpointPosition, entries), shard: bytes.subarray(start) };
}
