/**
 * The write-ahead log of one region: every batch of every origin it holds, the registers that those batches wrote, and the marks
 * that must change with them, in one LMDB environment.
 *
 * Order of effects: `append` opens one transaction → asserts last = first − 1, chain and ownership → puts batches, registers and
 * marks → commits → flushes → advances `durable` → resolves. A batch is not used before that: only `durable` bounds reads of the
 * log.
 *
 * What a crash leaves: before the flush, the whole append or nothing of it, and no reader has seen it; after it, the append. A
 * failed commit or flush rejects with `Fault('storage_failed')`: the process must end without answering anyone.
 *
 * The effects of a batch outlive it: the beginning of an origin may be trimmed, once a checkpoint of the ledger covers it and
 * another region has it. The origin's record stays, so that its next batch is checked as usual.
 *
 * The store below it is passed to the constructor (`store.ts`): LMDB in production, a fake with the same crash semantics in the
 * simulation.
 */

import { Fault } from '../../../shared/errors/errors.ts';
import type { KeyRunReport } from '../../../shared/protocol/internal.ts';
import type { Position } from '../../../shared/protocol/position.ts';
import type { Quarantine, QuarantinedRange } from '../../../shared/protocol/quarantine.ts';
import type { Batch } from '../batch/batch.ts';
import type { SlicesOptions } from '../slices/slices.ts';
import type { EmbeddingRegister, ItemRegister } from '../state/catalog/catalog.ts';
import type { Copy } from '../state/keys/keys.ts';
import type { TableName } from '../store/store.ts';

/** The state of an origin in the log. */
export interface OriginInfo {
  readonly origin: string;
  readonly epoch: number;
  /** Lowest sequence whose batch is still stored; `last` + 1 when all were trimmed. */
  readonly first: number;
  /** Highest durable sequence. */
  readonly last: number;
  /** Chain hash of the last batch. */
  readonly chain: Uint8Array;
  /** HLC of its last event. */
  readonly lastHlc: number;
  /** When that event was accepted, epoch ms. */
  readonly lastMs: number;
  /** The latest acceptance time of any of its events, epoch ms; 0 when it has none. */
  readonly newestMs: number;
}

/** The stream offset of this region. A hint, checked against the stream before it is used. */
export interface StreamOffset {
  /** Stream sequence up to which everything is applied. */
  readonly sequence: number;
  /** The message there. */
  readonly origin: string;
  readonly last: number;
  /** The stream's `created`. */
  readonly created: string;
}

/** A row that is not as it was written. The key of a batch is `origin:sequence`. */
export class DamagedRow extends Fault {
  readonly table: TableName;
  readonly key: string | number;

  constructor(table: TableName, key: string | number, why: string) {
    const what = table === 'batches' ? `the log is damaged at ${key}` : `the row ${table} ${key} is damaged`;
    super('damaged_log', `${what}: ${why}`);
    this.table = table;
    this.key = key;
  }
}

/** Where a batch is in the log. */
export interface BatchRange {
  readonly origin: string;
  readonly first: number;
  readonly last: number;
}

export interface SearchOptions extends SlicesOptions {
  /** Absent: all batches. Otherwise those of this origin from there on, before the first that is whole. */
  readonly from?: { readonly origin: string; readonly first: number } | undefined;
}

export interface AppendOptions {
  /** Batches in log order, each the next of its origin. */
  readonly batches: readonly Batch[];
  /** The origin these batches extend is this process's own (intake); absent: received batches. */
  readonly own?: boolean;
  /** The stream offset once these batches are applied; stored in the same transaction. */
  readonly offset?: StreamOffset;
}

/** A small value that survives restarts, by name. */
export type MarkName = (typeof markNames)[number];
export const markNames = [
  'format',
  'quarantine',
  'region',
  'leadership',
  'cut',
  'schema',
  'catching_up',
  'checkpoint',
  'disk',
  'disks',
  'mending',
  'mended',
] as const;

export interface ForgetOptions {
  /** Start of the step: the result of the former one; undefined: the beginning. */
  readonly from: string | undefined;
  /** Limits of rows it checks, and of their bytes; at least one row. */
  readonly limit: number;
  readonly limitBytes: number;
  readonly beforeMs: number;
  readonly upTo: Position;
}

export interface Wal {
  /** Highest durable sequence of every origin. Only completed flushes advance it, and it never goes back. */
  readonly durable: Position;
  /** The stored offset: never ahead of the durable position. */
  readonly offset: StreamOffset | undefined;
  /** Highest HLC of the epoch in the log, unflushed appends included; 0 if there is none. */
  highestHlcOf(epoch: number): number;
  origins(): readonly OriginInfo[];
  /** The highest plausible epoch of its origins (`credibleInLog`); 0 if there is none. */
  readonly credibleEpoch: number;
  origin(name: string): OriginInfo | undefined;
  /** Whether this process opened the origin, which no other process extends. */
  owns(origin: string): boolean;
  /** Opens an origin for this process: its record is flushed before its first event. No process opens one twice. */
  openOrigin(origin: string, epoch: number): Promise<void>;
  /**
   * One flushed transaction: batches, the documents they make, the offset. Appends run in call order.
   * Throws `BrokenInvariant` when a batch is not the next of its origin, and `Fault` when the store failed: the process
   * must end in both cases, without answering anyone.
   */
  append(options: AppendOptions): Promise<void>;
  /** The stream advanced over messages that this region already had: stored with the next append, or by `flushNotes`. */
  noteOffset(offset: StreamOffset): void;
  /** Stores what was noted, offset and marks. */
  flushNotes(): Promise<void>;
  /**
   * Durable batches of an origin from the one that holds `from`, whole, at most `limitBytes` but at least one; none when
   * `from` lies beyond the durable position or before what was trimmed (`OriginInfo.first`). None is damaged: it ends before such
   * a batch, and throws `DamagedRow` if that is the first.
   */
  read(origin: string, from: number, limitBytes: number): readonly Uint8Array[];
  /**
   * Removes the oldest batches of an origin, whole ones that end at or below `upTo`, in one transaction of at most `limitBytes`
   * but at least one batch. The caller decides whether they may be removed (`checkpoint/checkpoint.ts`); registers, idempotency
   * records and the origin's record stay.
   */
  trim(origin: string, upTo: number, limitBytes: number): Promise<{ readonly batches: number; readonly bytes: number }>;
  /** Called with each damaged batch that a read or a trim meets. */
  onDamaged(listener: (damage: DamagedRow) => void): void;
  /**
   * The damaged batches, in order; if the signal is aborted meanwhile, those that were found before. Other work has its turns, and
   * may write.
   */
  damagedBatches(options: SearchOptions): Promise<readonly BatchRange[]>;
  /**
   * Puts the bytes in the place of a damaged batch, flushed, if they are those that were written there; otherwise returns why they
   * are not, and changes nothing. Of consecutive ones the last is the first to be restored.
   */
  restoreBatch(range: BatchRange, bytes: Uint8Array): Promise<string | undefined>;
  /**
   * Computes damaged registers again from the log, flushed; returns how many, or undefined, with nothing changed, if the signal was
   * aborted before. Throws `DamagedRow` if the log does not begin at 1 or the state was mended. Other work has its turns, but
   * nothing may be appended.
   */
  restoreRegisters(options: SlicesOptions): Promise<number | undefined>;
  /** Bytes the batches take on disk, and how many they are. */
  readonly batchBytes: number;
  readonly batches: number;
  /**
   * Writes one ledger shard in one flushed transaction, which replaces the stored one. The bytes, from the caller, contain their
   * position and a checksum.
   */
  storeShard(shard: number, bytes: Uint8Array): Promise<void>;
  /** The shards as they were last stored, each once, ascending. */
  shards(): Iterable<readonly [shard: number, bytes: Uint8Array]>;
  /** Every durable event in the log of the writes under an idempotency key's id, in no particular order. */
  copies(id: string): readonly Copy[];
  /** Where the durable log has the writes under a key on a route, whatever their number; for operators. */
  runs(keyId: string): readonly KeyRunReport[];
  /** While a received event under this id's key is being appended: resolves when that has ended. */
  arriving(id: string): Promise<void> | undefined;
  /**
   * Number of appends of received batches so far: while it is unchanged, no copy was added that was not {@link arriving} before.
   */
  readonly received: number;
  /** Idempotency keys in the log, each once a route, whatever the number of writes; and the bytes of their rows on disk. */
  readonly keys: number;
  readonly keyBytes: number;
  /**
   * One step through the table of keys: checks some rows and removes those whose newest copy was accepted before `beforeMs` and
   * whose copies are all covered by `upTo`, which is durable. Returns where the next step begins, undefined at the end. Removal
   * is only correct if no copy within seven days of a removed one can still arrive (`checkpoint/key-sweep.ts`).
   */
  forgetKeys(options: ForgetOptions): Promise<{ readonly next: string | undefined; readonly forgotten: number }>;
  /**
   * Records whose newest copy was accepted before this time may have been removed here, epoch ms; 0: none was. Never goes back,
   * and is as durable as their removal.
   */
  readonly keysForgottenMs: number;
  /** The stored registers, for recovery. Each is valid until anything else is read. */
  itemRegisters(): Iterable<readonly [entity: number, register: ItemRegister]>;
  embeddingRegisters(): Iterable<readonly [entity: number, register: EmbeddingRegister]>;
  /**
   * For a complete check: all copies by the id of their key, those of an earlier version's records by their own; durable or not.
   */
  idempotencyRecords(): Iterable<readonly [id: string, copies: readonly Copy[]]>;
  /** As it was stored or noted last. */
  mark(name: MarkName): unknown;
  /** The quarantine: events that are in this log and in no state. */
  readonly quarantine: Quarantine;
  /**
   * Adds to the quarantine, in one flushed transaction with what it makes of the registers. The caller decides whether it may
   * (`recover/unappliable.ts`).
   */
  setAside(range: QuarantinedRange): Promise<void>;
  /** Flushed when resolved. */
  storeMark(name: MarkName, value: unknown): Promise<void>;
  /**
   * Effective from now on, and on the disk no later than anything written after it: stored with the next append, opened origin or
   * mark, or by `flushNotes`. For marks of a start, so that a full disk does not prevent it from serving reads.
   */
  noteMark(name: MarkName, value: unknown): void;
  /** Noted marks that are not on the disk yet. */
  readonly noted: ReadonlySet<MarkName>;
  close(): Promise<void>;
}
