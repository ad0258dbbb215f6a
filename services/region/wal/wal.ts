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
  /** Stored in the same transaction. */
  readonly offset?: StreamOffset;
  /** The origin this process opened and may extend; batches of other own-looking origins are peers' copies. */
  readonly own?: string;
}

export interface Wal {
  /** Highest durable sequence of every origin held. Only completed flushes move it, and never back. */
  readonly durable: Position;
  readonly offset: StreamOffset | undefined;
  /** Highest HLC in the log; 0 when it is empty. */
  readonly highestHlc: number;
  origins(): readonly OriginInfo[];
  origin(name: string): OriginInfo | undefined;
  /**
   * One flushed transaction. Appends run one after another in call order; several in the queue are not merged.
   * Throws `BrokenInvariant` when a batch is not the next of its origin: decoded and checked before the first put.
   */
  append(options: AppendOptions): Promise<void>;
  /** Stores a new offset alone: the stream moved over messages this region already had. */
  storeOffset(offset: StreamOffset): Promise<void>;
  /** Durable batches of an origin from the one that holds `from`, whole, at most `limitBytes` but at least one. */
  read(origin: string, from: number, limitBytes: number): readonly Uint8Array[];
  /** Small values that survive restarts: the leadership record, the cut flag, the accepted schema. Flushed when resolved. */
  mark(name: string): unknown;
  storeMark(name: string, value: unknown): Promise<void>;
  close(): Promise<void>;
}
