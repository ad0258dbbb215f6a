/**
 * Receive: adds batches that other processes accepted, from the stream or from a peer, to this region's log and state.
 *
 * Per batch: last ≤ durable → skip; first = durable + 1 → check its contents, its chain and its origin, append (log, registers,
 * offset in one flushed transaction), apply; else a gap: skipped, other origins continue, the stored offset stays before it until
 * the position covers it. The position decides, so every event is appended exactly once, whatever the stream repeats or drops.
 *
 * What a crash leaves: an append is whole or absent, and the offset with it. A message that was received but not appended is
 * delivered again from the stored offset.
 */
import type { Batch } from '../batch/batch.ts';
import type { StreamOffset } from '../wal/wal.ts';

/**
 * Why nothing more of an origin is accepted here, although a peer holds more of it: the schema or the program of this region
 * lacks something, the logs differ, an event cannot be applied, a clock or an epoch is implausible, or the event may repeat a
 * write whose idempotency record was removed here.
 */
export type StopCode = 'schema_behind' | 'damaged_log' | 'invalid_event' | 'implausible' | 'keys_forgotten';

export interface Stopped {
  readonly origin: string;
  readonly code: StopCode;
  readonly detail: string;
}

/** Why a message, or a batch of one, was refused and skipped. Values of a metric's label. */
export const refusedFor = [
  'damaged',
  'later_version',
  'forged',
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

/** Batches of one origin that could not be appended because earlier ones are missing. */
export interface Gap {
  readonly origin: string;
  /** Sequence from which the stream has to be read again once everything before it is here. */
  readonly first: number;
  /** First sequence of the last batch that was skipped, if that is another one. */
  readonly upTo?: number;
}

export interface Taken {
  /** Events appended and applied. */
  readonly events: number;
  /** Origins with a batch beyond a gap, or with one that an upgraded region may accept. */
  readonly gaps: readonly Gap[];
  /** Origins whose next batch was refused, and why: a peer may hold the right one. */
  readonly doubted: readonly Stopped[];
}

/**
 * The only entry for foreign batches: the stream's receiver and repair both use it, one at a time. Nothing is appended that could
 * not be applied: the contents of a batch were checked when it was decoded; its origin, its sequence and the schema are checked
 * here.
 *
 * Every client of the stream can publish there, so an invalid message is counted and skipped, and a peer is asked for the
 * origin's next batch. Only if the answers of all peers are refused as well, or only the schema is behind, does the origin stop,
 * until its next batch is accepted. Other origins, and the leader's intake, continue.
 */
export interface Ingest {
  /** Stopped origins, by name. */
  readonly stopped: ReadonlyMap<string, Stopped>;
  /** Refusals of the last 30 s: their number, and the newest. */
  readonly refused: (Refused & { readonly count: number }) | undefined;
  /**
   * Appends the next batches and skips known ones. `offset` is stored with the last append, or noted if all were known; it is
   * omitted if there is a gap. Rejects when the store fails: with `Fault('storage_full')` nothing changed and the same batches
   * may be offered again later; otherwise the process must end.
   */
  take(batches: readonly Batch[], offset?: StreamOffset): Promise<Taken>;
  /** Counts a received message that is not a batch. */
  refuse(refused: Refused): void;
  /** No peer that holds more of the origin has an acceptable next batch. */
  stop(stopped: Stopped): void;
  /** No region holds more of the origin than this one: refused batches of it are in no log. */
  release(origin: string): void;
}

/** The stream's receiver. */
export interface Receiver {
  /** Highest stream sequence that was delivered and handled since the last subscription; 0 while not subscribed. */
  readonly delivered: number;
  start(): void;
  /** Switches the subscription off (a partition) and on again. Off: resolves when nothing more is appended. */
  setEnabled(enabled: boolean): Promise<void>;
  stop(): Promise<void>;
}
