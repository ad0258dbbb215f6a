/**
 * The three error families, never mixed.
 *
 * - `Refusal`: the caller's turn. Nothing was changed (invariant 8); it becomes an `application/problem+json` answer
 *   (RFC 9457) with a stable `code` of the table below.
 * - `Fault`: the outside world failed (network, stream, disk); the code that catches it retries with a bound or reports.
 * - `BrokenInvariant` (`shared/kernel`): a bug; the process exits.
 *
 * Foreign errors are translated into one of these at the edge.
 */

/** Every stable problem code with its HTTP status and title. `docs/api.md` documents each; a test compares the two. */
export const problems = {
  invalid_json: [400, 'The body is not valid JSON'],
  invalid_request: [400, 'The request is not valid'],
  unknown_field: [400, 'The body has an unknown field'],
  unknown_signal: [400, 'The signal is not declared by the schema'],
  wrong_dimensions: [400, 'The embedding has the wrong number of values'],
  context_not_replicated: [400, 'Signals with a user or creator context are not replicated'],
  invalid_query: [400, 'The search query is not valid'],
  invalid_filter: [400, 'The filter is not valid'],
  unauthenticated: [401, 'The request carries no valid credential'],
  forbidden: [403, 'The key may not do this'],
  unknown_region: [404, 'The region is not in the topology'],
  unknown_profile: [404, 'The ranking profile does not exist'],
  unknown_item: [404, 'The item does not exist'],
  unknown_disk: [404, 'No region knows the disk'],
  no_embedding: [404, 'The item has no embedding'],
  unknown_event: [404, 'No region holds the event'],
  nothing_to_retract: [404, 'There is no signal to take back'],
  unknown_route: [404, 'The route does not exist'],
  method_not_allowed: [405, 'The route does not take this method'],
  promotion_in_progress: [409, 'Another promotion is in progress'],
  target_partitioned: [409, 'The target region is partitioned'],
  target_unreachable: [409, 'The target region cannot be reached'],
  target_not_ready: [409, 'The target region is not ready to lead'],
  leader_partitioned: [409, 'The leader is partitioned'],
  leader_unreachable: [409, 'The leader cannot be reached'],
  drill_in_progress: [409, 'Another drill is in progress'],
  drill_ended: [409, 'The drill was ended'],
  disk_in_use: [409, 'A region runs on the disk'],
  stale_epoch: [409, 'The epoch is not the current one'],
  idempotency_conflict: [409, 'The idempotency key was used for another write'],
  not_retractable: [409, 'The event cannot be taken back'],
  event_applied: [409, 'A region has already applied the event'],
  log_trimmed: [410, 'This part of the log has been trimmed'],
  snapshot_gone: [410, 'The snapshot is no longer served'],
  body_too_large: [413, 'The body is too large'],
  event_too_large: [413, 'One event is too large'],
  expectation_failed: [417, 'The Expect header cannot be satisfied'],
  headers_too_large: [431, 'The headers of the request are too large'],
  request_timeout: [408, 'The request was not received in time'],
  unsupported_media_type: [415, 'The content type is not supported'],
  rate_limited: [429, 'The key has reached its rate'],
  not_leader: [503, 'This region is not the leader'],
  handing_over: [503, 'The leader is handing over'],
  not_ready: [503, 'The region is not ready'],
  no_leader: [503, 'No leader can be reached'],
  region_unreachable: [503, 'The region cannot be reached'],
  control_unavailable: [503, 'The leadership record cannot be read or written'],
  overloaded: [503, 'A limit on queued work was reached'],
  shutting_down: [503, 'The process is shutting down'],
  version_mismatch: [503, 'The two processes do not speak the same protocol'],
  configuration_refused: [503, 'The process was started with an invalid configuration'],
  stream_unavailable: [503, 'The stream is unavailable'],
  log_damaged: [503, 'This part of the log is damaged on the disk of the leader'],
  clock_unsafe: [503, 'The clock of this region is too far off'],
  storage_full: [507, 'The disk is full'],
  client_keys_full: [507, 'The client has used its share of the idempotency keys'],
  state_full: [507, 'The state has reached its limit'],
  quarantine_full: [507, 'The quarantine is full'],
  position_not_reached: [504, 'The region did not reach the position in time'],
  stream_unconfirmed: [504, 'The stream acknowledgement timed out'],
  handover_timeout: [504, 'The handover did not finish in time'],
  outcome_unknown: [504, 'The outcome of the request is unknown'],
  internal: [500, 'Internal error'],
} as const satisfies Record<string, readonly [number, string]>;

export type ProblemCode = keyof typeof problems;

export interface FieldError {
  /** The location in the input: `values[2]`, `line 17`, `signals.view.half_life`. */
  readonly path: string;
  readonly message: string;
  /** In a text with a grammar of its own: the first character that does not fit, from 1. */
  readonly position?: number;
}

/** RFC 9457 problem details as sent. */
export interface Problem {
  readonly type: string;
  readonly title: string;
  readonly status: number;
  readonly code: ProblemCode;
  readonly detail: string;
  readonly hint?: string;
  readonly errors?: readonly FieldError[];
}

export interface RefusalExtras {
  /** What to do about it. */
  readonly hint?: string;
  readonly errors?: readonly FieldError[];
  /** Seconds for `Retry-After`; 429 and 503 always carry one (default 1). */
  readonly retryAfterSeconds?: number;
  /** For `WWW-Authenticate`; 401 always has one. */
  readonly challenge?: string;
  /** For `method_not_allowed`: the accepted methods. */
  readonly allow?: readonly string[];
}

/** It has no stack: a refusal is an answer, its cause is the request, and under overload there are thousands a second. */
export class Refusal extends Error {
  override readonly name: string;
  readonly code: ProblemCode;
  readonly extras: RefusalExtras;

  constructor(code: ProblemCode, detail: string, extras: RefusalExtras = {}) {
    const { stackTraceLimit } = Error;
    Error.stackTraceLimit = 0;
    super(detail);
    Error.stackTraceLimit = stackTraceLimit;
    this.name = 'Refusal';
    this.code = code;
    this.extras = extras;
  }

  get status(): number {
    return problems[this.code][0];
  }

  toProblem(): Problem {
    const [status, title] = problems[this.code];
    return {
      type: `urn:tidaldb:problem:${this.code}`,
      title,
      status,
      code: this.code,
      detail: this.message,
      ...(this.extras.hint === undefined ? {} : { hint: this.extras.hint }),
      ...(this.extras.errors === undefined ? {} : { errors: this.extras.errors }),
    };
  }

  /** The refusal that another process returned. An unknown code is a fault of that process: `undefined`. */
  static fromProblem(value: unknown): Refusal | undefined {
    if (typeof value !== 'object' || value === null) return undefined;
    const { code, detail, hint, errors } = value as Partial<Problem>;
    if (code === undefined || !Object.hasOwn(problems, code)) return undefined;
    return new Refusal(code, detail ?? problems[code][1], {
      ...(hint === undefined ? {} : { hint }),
      ...(errors === undefined ? {} : { errors }),
    });
  }
}

/** Every code of a fault, never a foreign text; code that catches a fault decides by it. */
export type FaultCode =
  // Another process, over HTTP: the codes say whether it may have acted.
  | 'not_sent'
  | 'not_admitted'
  | 'no_answer'
  | 'timed_out'
  | 'malformed_answer'
  | 'not_reached'
  | 'no_position'
  | 'wrong_region'
  | 'version_mismatch'
  // A peer's snapshot.
  | 'snapshot_gone'
  | 'snapshot_refused'
  | 'snapshot_unfit'
  // The broker.
  | 'stream_unavailable'
  | 'stream_missing'
  | 'stream_error'
  | 'control_unavailable'
  // The disk.
  | 'storage_full'
  | 'storage_failed'
  | 'no_place_to_read'
  | 'damaged_store'
  | 'damaged_log'
  | 'damaged_batch'
  | 'unknown_format'
  | 'unappliable_event'
  | 'damaged_checkpoint'
  | 'damaged_index'
  | 'damaged_backup'
  | 'no_graph'
  // Commands.
  | 'nats_server_missing'
  | 'nats_server_unusable'
  | 'download_failed'
  | 'package_failed'
  | 'docker_failed'
  | 'demo_failed';

/** The outside world failed. */
export class Fault extends Error {
  override readonly name = 'Fault';
  readonly code: FaultCode;

  constructor(code: FaultCode, message: string, options?: { cause?: unknown }) {
    super(message, options);
    this.code = code;
  }
}

/** The text of anything thrown, for logs. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** Text of a client or another process, shortened for use in a message. */
export function clip(text: string, limit = 64): string {
  return text.length > limit ? `${text.slice(0, limit)}…` : text;
}
