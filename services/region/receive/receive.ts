/**
 * Receive: batches that other processes accepted, from the stream or from a peer, into this region's log and state.
 *
 * Per batch: last ≤ durable → skip; first = durable + 1 → check CRC and chain, append (log, documents, offset in one
 * flushed transaction), apply; else a gap: passed over, other origins go on, the stored offset stays before it until the
 * position covers it. Position decides, so whatever the stream repeats or drops, every event is taken exactly once.
 *
 * What a crash leaves: an append is whole or absent, and the offset with it. A message taken but not yet appended is
 * delivered again from the stored offset.
 */
import type { Batch } from '../../../shared/protocol/batch.ts';
import type { StreamOffset } from '../wal/wal.ts';

/** Why a region stopped taking batches until it is upgraded or looked at. */
export interface Stopped {
  readonly code: 'schema_behind' | 'damaged_log';
  readonly detail: string;
}

/** Batches of one origin that could not be taken because earlier ones are not here. */
export interface Gap {
  readonly origin: string;
  /** First sequence of the batch that was passed over. */
  readonly first: number;
}

export interface Taken {
  /** Events appended and applied. */
  readonly events: number;
  /** Origins with a batch beyond a hole. */
  readonly gaps: readonly Gap[];
}

/** The one door through which foreign batches enter: the stream's receiver and repair both use it, one at a time. */
export interface Ingest {
  /** Set once a batch was met that this region cannot read; nothing is taken any more. */
  readonly stopped: Stopped | undefined;
  /**
   * Takes what is next, skips what is known. `offset` is stored with the last append, or noted when all was known; it is
   * left out when there is a gap. Rejects when the store fails: with `Fault('storage_full')` nothing changed and the same
   * may be offered again later; otherwise the process must end.
   */
  take(batches: readonly Batch[], offset?: StreamOffset): Promise<Taken>;
  /** Something arrived that this program cannot read: takes nothing from now on. Idempotent; the first reason stays. */
  stop(stopped: Stopped): void;
}

/** The stream's receiver. */
export interface Receiver {
  /** Highest stream sequence that was delivered and handled since the last attach; 0 while not attached. */
  readonly delivered: number;
  start(): void;
  /** Switches the subscription off (a cut) and on again. Off: resolves when nothing more is taken. */
  setEnabled(enabled: boolean): Promise<void>;
  stop(): Promise<void>;
}
