/**
 * The console: a page at `/` of the router that shows the cluster as it is now and over the last 15 minutes, and does what an operator
 * asks for through the public surface. Contract of this folder; `static` has the page.
 *
 * The router samples its regions every {@link SAMPLE_MS} and keeps the newest {@link PAST_SAMPLES}, so that a page that is opened now has the past. It
 * is kept in memory only: after a restart it begins again, and an open page keeps its own.
 *
 * Every stream gets the newest state, never a queue of states: a client that does not read misses events, and is disconnected if it
 * misses {@link MISSED_LIMIT} of them one after the other.
 */
import type { ClusterHealth, ClusterStatus } from '../cluster/cluster.ts';

export const SAMPLE_MS = 2_000;
/** Of 15 minutes. */
export const PAST_SAMPLES = 450;
/** Events that a client may miss one after the other: 30 s. */
export const MISSED_LIMIT = 15;

export interface ConsoleFile {
  /** The content type. */
  readonly type: string;
  readonly text: string;
  /** In quotes, as the header has it. */
  readonly etag: string;
}

/** By name; `index.html` is the page. */
export type ConsoleFiles = ReadonlyMap<string, ConsoleFile>;

/** Columns of equal length, the oldest sample first. */
export interface LivePast {
  /** RFC 3339. */
  readonly at: readonly string[];
  readonly writes_per_second: readonly number[];
  readonly reads_per_second: readonly number[];
  /** By region in topology order; null: not known then. */
  readonly lag_events: Readonly<Record<string, readonly (number | null)[]>>;
  readonly lag_seconds: Readonly<Record<string, readonly (number | null)[]>>;
}

export interface LiveNow {
  /** RFC 3339 on this router's clock. */
  readonly at: string;
  /** As `GET /cluster/status` has it. */
  readonly status: ClusterStatus;
  /** As `GET /health` has it. */
  readonly health: ClusterHealth;
  /** Acknowledged by this router since the sample before. */
  readonly writes_per_second: number;
  /** Answered by this router since the sample before. */
  readonly reads_per_second: number;
  /** The id of the newest entry of the journal; 0: none is known. */
  readonly newest_event: number;
}

/** `GET /cluster/live`, as sent. */
export interface ClusterLive {
  readonly past: LivePast;
  readonly now: LiveNow;
}

/** One client that reads the stream. */
export interface LiveClient {
  /** Whether it has not taken what was sent before. */
  readonly isBehind: boolean;
  /** Whether its key is still valid for this. */
  mayRead(): boolean;
  send(event: string): void;
  end(): void;
  /** It does not read: nothing more reaches it. */
  drop(): void;
}

export interface Live {
  /** One reading of everything. */
  read(): Promise<ClusterLive>;
  /** Sends the past, the present state, and from then on every sample. Throws `overloaded` or `shutting_down`. */
  open(client: LiveClient): void;
  /** The client has disconnected. Idempotent. */
  close(client: LiveClient): void;
  /** Counts answered reads of this router. */
  countRead(): void;
}
