/**
 * A region's internal API (`shared/protocol/internal.ts`), as routers and other regions call it: all answers of another process
 * are read here. A simulation replaces the network below it, tests replace the client.
 *
 * Promise: a returned value is an answer of that region, and has its declared type. Positions are parsed once, here; a position
 * that is not one is never read as the position before everything.
 *
 * Every call throws either the region's own `Refusal`, or a `Fault`, whose code decides what the caller may do:
 *
 * - `not_sent`: nothing left this process (no connection). Nothing was accepted; the request may be sent again.
 * - `not_admitted`: the region refused the internal token or the certificate of this process, or this process the region's
 *   certificate, which is as if nothing was sent.
 * - `no_answer`: it was sent, and there was no answer. It may have been accepted. A write is never sent again after it.
 * - `timed_out`: like `no_answer`, after the time limit: the region may still be working on it. No other region is asked for the
 *   same work.
 * - `malformed_answer`: like `no_answer`, because the answer cannot be read.
 * - `wrong_region`: the address leads to another region.
 * - `version_mismatch`: the region runs a version that this process does not understand, and is not used.
 */
import { Fault } from '../errors/errors.ts';
import type {
  CountDigestReply,
  DrainRequest,
  HandoverRequest,
  KeyRunsReply,
  PartitionRequest,
  RetireDiskRequest,
  SnapshotInfo,
  WritesReply,
  WritesRequest,
} from '../protocol/internal.ts';
import type { Position } from '../protocol/position.ts';
import type { QuarantinedRange } from '../protocol/quarantine.ts';
import type { ReportedStatus } from './reported-status.ts';

export interface RegionClient {
  readonly region: string;
  writes(request: WritesRequest, requestId: string): Promise<WritesReply>;
  status(): Promise<ReportedStatus>;
  /** The region reads the leadership record now. */
  refreshLeadership(): Promise<ReportedStatus>;
  /** The final durable position, once the leader has stopped for this handover and everything it accepted is flushed. */
  handover(request: HandoverRequest, limitMs: number): Promise<Position>;
  await(wanted: AwaitedPosition): Promise<AwaitOutcome>;
  /** Whether the region has everything that the stream had at the request. */
  drain(request: DrainRequest): Promise<boolean>;
  setPartitioned(request: PartitionRequest): Promise<ReportedStatus>;
  retireDisk(request: RetireDiskRequest): Promise<ReportedStatus>;
  countDigest(request: { readonly id: string; readonly covering: Position }): Promise<DigestCount>;
  quarantine(range: QuarantinedRange): Promise<void>;
  /** Of each id of a key on a route: where the region's log has the writes under it. */
  keyRuns(ids: readonly string[]): Promise<KeyRunsReply['runs']>;
  /** Never throws the region's refusal: it is part of the answer. */
  read(request: ReadRequest): Promise<ReadAnswer>;
  /**
   * Whole durable batches of an origin from the one that holds `from`, back to back as in a stream message; empty when the region
   * has none. Refused with `log_trimmed` if it has trimmed it, and while it is partitioned.
   */
  log(origin: string, from: number): Promise<Uint8Array>;
  /**
   * A copy of the region's store to fetch, one that holds `covering` if the region can make it. Refused with `not_ready` while it
   * is being made or the region restarts: ask again.
   */
  snapshot(covering?: Position): Promise<SnapshotOffer>;
  /** Its bytes from `offset` on. Refused with `snapshot_gone` if the region no longer serves it. */
  snapshotPart(id: string, offset: number): Promise<Uint8Array>;
  /** Ends requests in flight. */
  close(): Promise<void>;
}

export interface AwaitedPosition {
  readonly position: Position;
  readonly limitMs: number;
}

export interface AwaitOutcome {
  readonly reached: boolean;
  readonly applied: Position;
}

export interface SnapshotOffer extends Omit<SnapshotInfo, 'position'> {
  readonly position: Position;
}

export interface DigestCount extends Omit<CountDigestReply, 'applied'> {
  readonly applied: Position;
}

export interface ReadRequest {
  /** `/feed`, `/search`, `/items/7`. */
  readonly path: string;
  /** JSON of a read that is a POST; a GET without it. */
  readonly body?: string;
  /** Without the question mark; may be empty. */
  readonly query: string;
  /** Passed on: request id and position token. */
  readonly headers: Readonly<Record<string, string>>;
  /** Aborted when the client has closed the connection. */
  readonly unwanted?: AbortSignal;
  /** Receives the length of the answer before it is read into memory; may throw a `Refusal`. */
  readonly reserve?: (bytes: number) => void;
}

/** A region's raw answer, problems included. */
export interface ReadAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Buffer;
}

export function hasTimedOut(error: unknown): boolean {
  return error instanceof Fault && error.code === 'timed_out';
}

export function wasNotSent(error: unknown): boolean {
  return error instanceof Fault && (error.code === 'not_sent' || error.code === 'not_admitted');
}

/** Whether the region may be unavailable for a short time only: it did not answer, as opposed to an unusable answer. */
export function isAway(error: unknown): boolean {
  return error instanceof Fault && ['not_sent', 'not_admitted', 'no_answer', 'timed_out'].includes(error.code);
}
