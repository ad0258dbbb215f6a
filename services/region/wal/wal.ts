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
 * The store below it comes in through the constructor (`store.ts`): LMDB in production, a fake with the same crash
 * semantics in the simulation.
 */
import type { Batch } from '../../../shared/protocol/batch.ts';
import type { Position } from '../../../shared/protocol/position.ts';
import type { EmbeddingRegister, ItemRegister } from '../state/catalog/catalog.ts';
import type { Copy } from '../state/keys/keys.ts';

/** What is known of an origin. */
export interface OriginInfo {
  readonly origin: string;
  readonly epoch: number;
  /** Highest durable sequence. */
  readonly last: number;
  /** Chain hash of the last batch. */
  readonly chain: Uint8Array;
  /** HLC of its last event. */
  readonly lastHlc: number;
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
export type MarkName = 'region' | 'leadership' | 'cut' | 'schema' | 'catching_up';

export interface Wal {
  /** Highest durable sequence of every origin held. Only completed flushes move it, and never back. */
  readonly durable: Position;
  /** The stored offset: never ahead of the durable position. */
  readonly offset: StreamOffset | undefined;
  /** Highest HLC in the log; 0 when it is empty. */
  readonly highestHlc: number;
  origins(): readonly OriginInfo[];
  origin(name: string): OriginInfo | undefined;
  /** Opens an origin for this process: its record is flushed before its first event. No process opens one twice. */
  openOrigin(origin: string, epoch: number): Promise<void>;
  /**
   * One flushed transaction: batches, the documents they make, the offset. Appends run in call order.
   * Throws `BrokenInvariant` when a batch is not the next of its origin, and `Fault` when the store failed: the process
   * must end in both cases, without answering anyone.
   */
  append(options: AppendOptions): Promise<void>;
  /** The stream moved over messages this region already had: stored with the next append, or by `flushOffset`. */
  noteOffset(offset: StreamOffset): void;
  flushOffset(): Promise<void>;
  /** Durable batches of an origin from the one that holds `from`, whole, at most `limitBytes` but at least one. */
  read(origin: string, from: number, limitBytes: number): readonly Uint8Array[];
  /** Every durable copy in the log of the writes under an idempotency key's id, in no promised order. */
  copies(id: string): readonly Copy[];
  /** Ids of idempotency keys in the log. */
  readonly keys: number;
  /** Documents, for recovery: the registers as the log made them. */
  itemRegisters(): Iterable<readonly [entity: number, register: ItemRegister]>;
  embeddingRegisters(): Iterable<readonly [entity: number, register: EmbeddingRegister]>;
  mark(name: MarkName): unknown;
  /** Flushed when resolved. */
  storeMark(name: MarkName, value: unknown): Promise<void>;
  close(): Promise<void>;
}
