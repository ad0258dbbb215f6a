/**
 * The write-ahead log of one region: every batch of every origin it holds, the documents those batches made, and the
 * marks that must move with them, in one LMDB environment.
 *
 * Order of effects: `append` opens one transaction → asserts last = first − 1, chain and ownership → puts batches,
 * documents and marks → commits → flushes → advances `durable` → resolves. Nobody sees a batch before that: `durable`
 * is the only thing that tells how far reads of the log may go.
 *
 * What a crash leaves: before the flush, the whole append or nothing of it, seen by nobody; after it, the append.
 * A failed commit or flush rejects with `Fault('storage_failed')`: the process must end without answering anyone.
 *
 * What a batch made outlives it: the beginning of an origin may be trimmed, once a checkpoint of the ledger covers it and
 * another region has it. The origin's record stays, so that its next batch is checked as ever.
 *
 * The store below it comes in through the constructor (`store.ts`): LMDB in production, a fake with the same crash
 * semantics in the simulation.
 */

import type { Position } from '../../../shared/protocol/position.ts';
import type { Quarantine, QuarantinedRange } from '../../../shared/protocol/quarantine.ts';
import type { Batch } from '../batch/batch.ts';
import type { EmbeddingRegister, ItemRegister } from '../state/catalog/catalog.ts';
import type { Copy } from '../state/keys/keys.ts';

/** What is known of an origin. */
export interface OriginInfo {
  readonly origin: string;
  readonly epoch: number;
  /** Lowest sequence whose batch is still here; `last` + 1 when all were trimmed. */
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

/** Where this region stands in the stream. A hint, checked against the stream before it is used. */
export interface StreamOffset {
  /** Stream sequence up to which everything is applied. */
  readonly sequence: number;
  /** The message there. */
  readonly origin: string;
  readonly last: number;
  /** The stream's `created`. */
  readonly created: string;
}

export interface AppendOptions {
  /** Batches in log order, each the next of its origin. */
  readonly batches: readonly Batch[];
  /** The origin these batches extend is this process's own (intake); absent: copies of what others accepted. */
  readonly own?: boolean;
  /** How far the stream is applied once these batches are; stored in the same transaction. */
  readonly offset?: StreamOffset;
}

/** A small value that survives restarts, by name. */
export type MarkName =
  | 'quarantine'
  | 'region'
  | 'leadership'
  | 'cut'
  | 'schema'
  | 'catching_up'
  | 'checkpoint'
  | 'disk'
  | 'disks'
  | 'mending'
  | 'mended';

export interface ForgetOptions {
  /** Where the step begins: what the one before answered; undefined: at the beginning. */
  readonly from: string | undefined;
  /** Rows it looks at, and their bytes; at least one row. */
  readonly limit: number;
  readonly limitBytes: number;
  readonly beforeMs: number;
  readonly upTo: Position;
}

export interface Wal {
  /** Highest durable sequence of every origin held. Only completed flushes move it, and never back. */
  readonly durable: Position;
  /** The stored offset: never ahead of the durable position. */
  readonly offset: StreamOffset | undefined;
  /** Highest HLC of the epoch in the log, and in what it was given and has not flushed yet; 0 when there is nothing. */
  highestHlcOf(epoch: number): number;
  origins(): readonly OriginInfo[];
  /** The highest epoch of its origins that can be believed (`credibleInLog`); 0 when there is none. */
  readonly credibleEpoch: number;
  origin(name: string): OriginInfo | undefined;
  /** Whether this process opened the origin: nobody else extends it. */
  owns(origin: string): boolean;
  /** Opens an origin for this process: its record is flushed before its first event. No process opens one twice. */
  openOrigin(origin: string, epoch: number): Promise<void>;
  /**
   * One flushed transaction: batches, the documents they make, the offset. Appends run in call order.
   * Throws `BrokenInvariant` when a batch is not the next of its origin, and `Fault` when the store failed: the process
   * must end in both cases, without answering anyone.
   */
  append(options: AppendOptions): Promise<void>;
  /** The stream moved over messages this region already had: stored with the next append, or by `flushNotes`. */
  noteOffset(offset: StreamOffset): void;
  /** Stores what was noted, offset and marks. */
  flushNotes(): Promise<void>;
  /**
   * Durable batches of an origin from the one that holds `from`, whole, at most `limitBytes` but at least one; none when
   * `from` lies beyond the durable position or before what was trimmed (`OriginInfo.first`).
   */
  read(origin: string, from: number, limitBytes: number): readonly Uint8Array[];
  /**
   * Removes the oldest batches of an origin, whole ones that end at or below `upTo`, in one transaction of at most
   * `limitBytes` but at least one batch. Whether they may go is the caller's to know (`checkpoint/checkpoint.ts`); what
   * they made - registers, copies of keys, the origin's record - stays.
   */
  trim(origin: string, upTo: number, limitBytes: number): Promise<{ readonly batches: number; readonly bytes: number }>;
  /** Bytes the batches take on disk, and how many they are. */
  readonly batchBytes: number;
  readonly batches: number;
  /**
   * Writes one ledger shard in one flushed transaction, in place of what was stored of it before. The bytes are the
   * caller's: they name the position they stand at, and carry a checksum.
   */
  storeShard(shard: number, bytes: Uint8Array): Promise<void>;
  /** The shards as they were last stored, each once, ascending. */
  shards(): Iterable<readonly [shard: number, bytes: Uint8Array]>;
  /** Every durable copy in the log of the writes under an idempotency key's id, in no promised order. */
  copies(id: string): readonly Copy[];
  /** While a copy of a write under this id's key, received from another region, is being appended: resolves when that is over. */
  arriving(id: string): Promise<void> | undefined;
  /** Appends of what others accepted, so far: while it stays, no copy has come that was not {@link arriving} before. */
  readonly received: number;
  /** Idempotency keys in the log, each once a route, however many writes a request has; and what their rows take on disk. */
  readonly keys: number;
  readonly keyBytes: number;
  /**
   * One step through the table of keys: looks at some rows and forgets those whose newest copy was accepted before `beforeMs`
   * and whose copies all lie at or below `upTo`, which is durable. Answers where the next step begins, undefined at the end.
   * Forgetting is sound only where no copy within seven days of a forgotten one can come any more (`checkpoint/key-sweep.ts`).
   */
  forgetKeys(options: ForgetOptions): Promise<{ readonly next: string | undefined; readonly forgotten: number }>;
  /**
   * Keys whose newest copy was accepted before this moment may have been forgotten here, epoch ms; 0: none was. Never goes
   * back, and is as lasting as their absence.
   */
  readonly keysForgottenMs: number;
  /** Documents, for recovery: the registers as the log made them. */
  itemRegisters(): Iterable<readonly [entity: number, register: ItemRegister]>;
  embeddingRegisters(): Iterable<readonly [entity: number, register: EmbeddingRegister]>;
  /** For a check of everything: all copies by the id of their key, those of an earlier version's records by their own; durable or not. */
  idempotencyRecords(): Iterable<readonly [id: string, copies: readonly Copy[]]>;
  /** As it was stored or noted last. */
  mark(name: MarkName): unknown;
  /** Events that are in this log and in no state. */
  readonly quarantine: Quarantine;
  /**
   * Adds to the quarantine, in one flushed transaction with what it makes of the registers. Whether it may is the caller's to know
   * (`recover/unappliable.ts`).
   */
  setAside(range: QuarantinedRange): Promise<void>;
  /** Flushed when resolved. */
  storeMark(name: MarkName, value: unknown): Promise<void>;
  /**
   * Counts from now on, and is on the disk no later than anything that is written after it: stored with the next append,
   * opened origin or mark, or by `flushNotes`. For what a start has to say: a full disk does not keep it from serving reads.
   */
  noteMark(name: MarkName, value: unknown): void;
  /** Noted marks that are not on the disk yet. */
  readonly noted: ReadonlySet<MarkName>;
  close(): Promise<void>;
}
