/**
 * Receive: batches that other processes accepted, from the stream or from a peer, into this region's log and state.
 *
 * Per batch: last ≤ durable → skip; first = durable + 1 → check everything that is in it, its chain and its origin, append
 * (log, documents, offset in one flushed transaction), apply; else a gap: passed over, other origins go on, the stored offset
 * stays before it until the position covers it. Position decides, so whatever the stream repeats or drops, every event is
 * taken exactly once.
 *
 * What a crash leaves: an append is whole or absent, and the offset with it. A message taken but not yet appended is
 * delivered again from the stored offset.
 */
import type { Batch } from '../batch/batch.ts';
import type { StreamOffset } from '../wal/wal.ts';

/**
 * Why nothing more of an origin is taken here, although a peer holds more of it: the schema or the program of this region lacks
 * something, the logs differ, an event is none that could be applied, a clock or an epoch cannot be true, or whether it repeats
 * a write whose idempotency key is forgotten here cannot be told.
 */
export type StopCode = 'schema_behind' | 'damaged_log' | 'invalid_event' | 'implausible' | 'keys_forgotten';

export interface Stopped {
  readonly origin: string;
  readonly code: StopCode;
  readonly detail: string;
}

/** Why a message, or a batch of one, was refused and passed over. Values of a metric's label. */
export const refusedFor = [
  'damaged',
  'later_version',
  'foreign',
  'own_origin',
  'not_next',
  'schema',
  'implausible',
  'keys_forgotten',
] as const;
export type RefusedFor = (typeof refusedFor)[number];

export interface Refused {
  readonly origin: string;
  readonly reason: RefusedFor;
  readonly detail: string;
}

/** Batches of one origin that could not be taken because earlier ones are not here. */
export interface Gap {
  readonly origin: string;
  /** Sequence from which on the stream is to be read again once everything before it is here. */
  readonly first: number;
  /** First sequence of the last batch that was passed over, where that is another one. */
  readonly upTo?: number;
}

export interface Taken {
  /** Events appended and applied. */
  readonly events: number;
  /** Origins with a batch beyond a hole, or with one that an upgrade of this region may take. */
  readonly gaps: readonly Gap[];
  /** Origins whose next batch was refused, and why: a peer may hold the right one. */
  readonly doubted: readonly Stopped[];
}

/**
 * The one door through which foreign batches enter: the stream's receiver and repair both use it, one at a time. Nothing is
 * appended that could not be applied: what a batch holds was checked when it was decoded; its origin, its place and the
 * schema are checked here.
 *
 * Anybody who reaches the stream can publish there, so what is wrong with a message is counted and passed over, and a peer
 * is asked for the origin's next batch. Only where the answers of all peers are refused as well, or nothing but the schema is
 * missing, the origin stops, until its next batch is taken after all. Other origins, and the leader's intake, go on.
 */
export interface Ingest {
  /** Origins of which nothing more is taken, by name. */
  readonly stopped: ReadonlyMap<string, Stopped>;
  /** What was refused in the last 30 s: how often, and the newest. */
  readonly refused: (Refused & { readonly count: number }) | undefined;
  /**
   * Takes what is next, skips what is known. `offset` is stored with the last append, or noted when all was known; it is
   * left out when there is a gap. Rejects when the store fails: with `Fault('storage_full')` nothing changed and the same
   * may be offered again later; otherwise the process must end.
   */
  take(batches: readonly Batch[], offset?: StreamOffset): Promise<Taken>;
  /** Something arrived that is not a batch: it is counted. */
  refuse(refused: Refused): void;
  /** No peer that holds more of the origin has anything that can be taken. */
  stop(stopped: Stopped): void;
  /** Nobody holds more of the origin than this region: whatever was refused of it is not in any log. */
  release(origin: string): void;
}

/** The stream's receiver. */
export interface Receiver {
  /** Highest stream sequence that was delivered and handled since the last subscription; 0 while not subscribed. */
  readonly delivered: number;
  start(): void;
  /** Switches the subscription off (a partition) and on again. Off: resolves when nothing more is taken. */
  setEnabled(enabled: boolean): Promise<void>;
  stop(): Promise<void>;
}
