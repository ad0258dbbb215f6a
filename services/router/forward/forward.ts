/**
 * The router's way to the regions.
 *
 * A {@link RegionLink} speaks the internal API to one region; a simulation replaces it. Every call throws either the
 * region's own `Refusal`, or a `Fault` with one of three codes, and the difference is law:
 *
 * - `not_sent`: nothing left this process (no connection). Nothing was taken; it may be sent again.
 * - `no_answer`: it was sent, and no answer that can be read came back. It may have been taken. A write is never sent
 *   again after it.
 * - `timed_out`: as `no_answer`, because the time was over: the region may be working on it still. Nobody else is asked for
 *   the same work.
 */
import { Fault } from '../../../shared/errors/errors.ts';
import type {
  AwaitReply,
  AwaitRequest,
  DigestsReply,
  DrainReply,
  DrainRequest,
  Durability,
  HandoverReply,
  HandoverRequest,
  PartitionRequest,
  RegionStatus,
  RetireDiskRequest,
  WriteAccepted,
  WritesReply,
  WritesRequest,
} from '../../../shared/protocol/internal.ts';
import type { PackedSignals } from '../../../shared/protocol/packed-signals.ts';
import type { QuarantinedRange } from '../../../shared/protocol/quarantine.ts';
import type { WireWrite } from '../../../shared/protocol/writes.ts';

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
  /** Told how long the answer is before it is read into memory; may throw a `Refusal`. */
  readonly reserve?: (bytes: number) => void;
}

/** A region's answer as it came, problems included. */
export interface ReadAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Buffer;
}

export interface RegionLink {
  readonly region: string;
  writes(request: WritesRequest, requestId: string): Promise<WritesReply>;
  status(): Promise<RegionStatus>;
  /** Reads the leadership record now. */
  refreshLeadership(): Promise<RegionStatus>;
  /** Answers once the leader has stopped for this handover and everything it accepted is flushed. */
  handover(request: HandoverRequest, limitMs: number): Promise<HandoverReply>;
  await(request: AwaitRequest): Promise<AwaitReply>;
  drain(request: DrainRequest): Promise<DrainReply>;
  setPartitioned(request: PartitionRequest): Promise<RegionStatus>;
  retireDisk(request: RetireDiskRequest): Promise<RegionStatus>;
  digests(): Promise<DigestsReply>;
  /** Sets events aside there. */
  quarantine(range: QuarantinedRange): Promise<void>;
  /** Never throws the region's refusal: it is part of the answer. */
  read(request: ReadRequest): Promise<ReadAnswer>;
  close(): Promise<void>;
}

/** In topology order. */
export type RegionLinks = ReadonlyMap<string, RegionLink>;

export function hasTimedOut(error: unknown): boolean {
  return error instanceof Fault && error.code === 'timed_out';
}

export function wasNotSent(error: unknown): boolean {
  return error instanceof Fault && error.code === 'not_sent';
}

/** One client request with writes. */
export interface Submission {
  readonly writes: readonly WireWrite[];
  /** Beside no writes: a bulk of signals without keys. */
  readonly signals?: PackedSignals;
  /** What they take in an internal request, an estimate from above. */
  readonly bytes: number;
  /** All or nothing, and alone in its internal request. */
  readonly atomic: boolean;
  /** The least the client accepts. */
  readonly durability: Durability;
  readonly requestId: string;
  /** The client may send it again under its idempotency key, whatever the outcome. */
  readonly keyed?: boolean;
  /** Names write `index` of a bulk as the client knows it: `line 3` or `[2]`. */
  readonly label?: (index: number) => string;
}

export interface WriteForwarding {
  /** The leader's answer; throws a `Refusal`, whose status says whether anything may have changed. */
  submit(submission: Submission): Promise<WriteAccepted>;
}
