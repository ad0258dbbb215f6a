/**
 * Where a write is: which regions have it on their disks, and which of them have applied it. Contract of this folder.
 *
 * A write is named by its position, by the idempotency key it was sent under, or by the id of its request. Regions are asked for
 * the key; request ids are remembered by the router that has accepted the write, for its newest {@link RECENT_LIMIT}.
 */
import type { WriteRoute } from '../../../shared/protocol/writes.ts';

export const RECENT_LIMIT = 10_000;

/** One of them. */
export interface TraceRequest {
  readonly position?: string;
  readonly key?: string;
  readonly request_id?: string;
}

/** Events under the key, one after another in the log of one origin. */
export interface TracedWrite {
  readonly route: WriteRoute;
  readonly origin: string;
  readonly first: number;
  readonly last: number;
  /** Of the first of them. */
  readonly accepted_at: string;
  /** They take back what was given under the key. */
  readonly retraction?: true;
}

export interface TracedRegion {
  readonly name: string;
  readonly reachable: boolean;
  /** On its disk; null: unknown. */
  readonly durable: boolean | null;
  /** In its answers; null: unknown. */
  readonly applied: boolean | null;
  /** Events up to the position that it has not applied. */
  readonly lacking_events: number | null;
}

/** The answer of `POST /cluster/trace`, as sent. */
export interface TraceAnswer {
  readonly position: string;
  /** Only of a key: where it was used. A duplicate in another origin does not count. */
  readonly writes?: readonly TracedWrite[];
  /** In the order of the topology. */
  readonly regions: readonly TracedRegion[];
}

export interface Trace {
  /** Throws `Refusal` `unknown_event` if no region that answers has the write, or this router not its id; `invalid_request`. */
  find(request: TraceRequest): Promise<TraceAnswer>;
  /** A write was accepted. */
  accepted(requestId: string, position: string): void;
}
