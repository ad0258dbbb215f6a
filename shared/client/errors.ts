/** What a call fails with: a refusal of the cluster, or no answer. */
import type { FieldError, Problem, ProblemCode } from '../errors/errors.ts';

/** The cluster has refused the request, or does not know its outcome: problem details of RFC 9457. */
export class TidalProblem extends Error {
  override readonly name = 'TidalProblem';
  /** HTTP status. A 4xx, 503 or 507 has changed nothing. */
  readonly status: number;
  /** Stable: decide by it. */
  readonly code: ProblemCode;
  /** What is wrong with the request. */
  readonly detail: string;
  readonly hint: string | undefined;
  readonly errors: readonly FieldError[];
  /** For the log of the router. */
  readonly requestId: string | undefined;
  /** Of the last try. */
  readonly url: string;
  readonly attempts: number;

  constructor({ status, code, detail, title, hint, errors = [] }: Problem, sent: Sent) {
    super(`${detail ?? title} (${code})${hint === undefined ? '' : `; ${hint}`}`);
    this.status = status;
    this.code = code;
    this.detail = detail;
    this.hint = hint;
    this.errors = errors;
    this.requestId = sent.requestId;
    this.url = sent.url;
    this.attempts = sent.attempts;
  }
}

/** No router has answered, or not as a router does. */
export class TidalUnanswered extends Error {
  override readonly name = 'TidalUnanswered';
  /** True: the request was not carried out. False: it may have been. */
  readonly notSent: boolean;
  readonly url: string;
  readonly attempts: number;

  constructor(
    message: string,
    {
      url,
      attempts,
      notSent,
      cause,
    }: Omit<Sent, 'requestId'> & { readonly notSent: boolean; readonly cause?: unknown },
  ) {
    super(`${message}${attempts > 1 ? `, after ${attempts} attempts` : ''}`, { cause });
    this.notSent = notSent;
    this.url = url;
    this.attempts = attempts;
  }
}

export interface Sent {
  readonly requestId: string | undefined;
  readonly url: string;
  readonly attempts: number;
}
