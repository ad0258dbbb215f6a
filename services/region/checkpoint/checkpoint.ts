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
 * `Fault('damaged_checkpoint')`: where the log still begins at 1, the shard is replayed from there instead.
 *
 * Trimming: a batch goes, oldest origin first, while the batches take more than the configured bytes, and only when the floor
 * covers it, another region reported it durable (where there are others), and no copy being served to a peer still needs it. A region that lacks it
 * then comes back by a snapshot (`snapshot/snapshot.ts`).
 *
 * **How a stored shard says where it stands.** Its row names only the entries of its position P that differ from the floor F
 * it was written under; its effective position is E = max(F', entries), F' the floor stored when it is read. Claim: the
 * shard's content is exactly what the events up to E make of it. F' = F: E = P. Else F' is the position at the beginning of a
 * later end of pass, and either
 * - the row was written in that very pass: then F ≤ F' ≤ P, so an entry left out (P = F there) has F' = P too: E = P; or
 * - it was not, because the shard had not changed when its turn came, at a position Q ≥ F', Q ≥ P: no event between P
 *   and Q touches the shard, so its content is that of every position between them. E ≤ Q; E ≥ P, because an entry left
 *   out is F ≤ F'. By the same step it stays so through every later pass.
 * A shard without a row is the second case with P the position before everything.
 */
import { crc32 } from 'node:zlib';
import { Fault } from '../../../shared/errors/errors.ts';
import type { KnownDisk } from '../../../shared/protocol/known-disks.ts';
import { formatPosition, merge, type Position, parsePosition, sequenceOf } from '../../../shared/protocol/position.ts';

export interface Checkpoint {
  /** What every shard on disk covers: where a restart would replay from. Empty before the first pass. */
  readonly checkpointPosition: Position;
  /** Events applied since the floor: what a restart would replay. */
  readonly behind: number;
  /** When the floor was the present, epoch ms; 0 before the first pass. */
  readonly checkpointedMs: number;
  /** Writes passes when due, from now on. */
  start(): void;
  /** Writes a pass now, or joins the one under way; resolves at its end, or when it was given up. For backups and tests. */
  now(): Promise<void>;
  /** Finishes the shard being written. */
  stop(): Promise<void>;
}

/** A background work of this room that only ever takes away what nobody needs. */
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
  /** The earliest moment up to which everything that was accepted on any disk is known here, epoch ms; undefined: that cannot be told. */
  readonly knownMs: number | undefined;
  /** Stores what is known of them. What is decided by it is stored later. */
  store(): Promise<void>;
  /** An operator says that the disk will not come back. Stored when resolved. Throws a `Refusal`: `unknown_disk`, `disk_in_use`. */
  retire(id: string): Promise<void>;
}

/** The floor of the last finished pass. */
export interface CheckpointPosition {
  readonly position: Position;
  /** The beginning of that pass, epoch ms. */
  readonly atMs: number;
}

/** As the log's mark `checkpoint` keeps it. */
export function checkpointMark({ position, atMs }: CheckpointPosition): unknown {
  return { position: formatPosition(position), atMs };
}

/** Throws `Fault('damaged_checkpoint')` for a mark that is none. */
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

/** A shard's row: where it stands, relative to the floor that is stored now, and its content. */
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

/** The row's effective position under the floor that is stored now, and its content. Throws `Fault('damaged_checkpoint')`. */
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
