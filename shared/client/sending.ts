/**
 * Sends one request until it is answered: again after a refusal or a lost connection, to the next router if one is away.
 *
 * What may have been carried out is sent again only if it may be carried out twice: reads, writes under an idempotency key, and what
 * the document calls repeatable. A refusal with 408, 429 or 503 has changed nothing, and is asked again always. What a proxy answers
 * instead of a router is neither an answer nor a refusal: whether the request was carried out is unknown.
 */
import type { Problem } from '../errors/errors.ts';
import { type Clock, type Random, sleep } from '../kernel/kernel.ts';
import { TidalProblem, TidalUnanswered } from './errors.ts';

const BACK_OFF_FIRST_MS = 100;
const BACK_OFF_LIMIT_MS = 2_000;
const JSON_TYPE = 'application/json';
const PROBLEM_TYPE = 'application/problem+json';

export interface SendingOptions {
  /** Without a trailing slash. */
  readonly urls: readonly string[];
  readonly clock: Clock;
  readonly random: Random;
  readonly fetch: typeof fetch;
  /** Tries of one call. */
  readonly attempts: number;
}

export interface Outgoing {
  readonly method: string;
  /** With its query. */
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string | undefined;
  /** Whether it may be sent again when it may have been carried out. */
  readonly repeatable: boolean;
  /** For all tries together. */
  readonly deadlineMs: number;
  /** For one try. */
  readonly attemptMs: number;
  readonly signal: AbortSignal | undefined;
  /** Whether 503 with a `status` in its body is an answer: health is answered so while the cluster is unavailable. */
  readonly isHealth: boolean;
  /** A text in every answer, without which it is not a router's. */
  readonly member: string | undefined;
}

/** Of an answer in JSON the object, otherwise the text. */
export interface Answer {
  readonly value: unknown;
}

interface Received {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
}

interface Failure {
  readonly error: TidalProblem | TidalUnanswered;
  readonly again: boolean;
  /** At least by a router that was not asked yet. */
  readonly elsewhere: boolean;
  /** Another router may do better. */
  readonly move: boolean;
  /** Asked for by the answer. */
  readonly afterMs: number;
}

export class Sending {
  private readonly options: SendingOptions;
  /** Index of the router that is asked next. */
  private at: number;

  constructor(options: SendingOptions) {
    this.options = options;
    this.at = Math.floor(this.fraction() * options.urls.length);
  }

  /** Throws `TidalProblem` or `TidalUnanswered`, and the reason of the signal if it aborts. */
  async send(outgoing: Outgoing): Promise<Answer> {
    const { urls, clock, attempts: limit } = this.options;
    const endMs = clock.monotonicMs() + outgoing.deadlineMs;
    const silent = new Set<string>();
    for (let attempts = 1; ; attempts++) {
      outgoing.signal?.throwIfAborted();
      const url = urls[this.at % urls.length]!;
      const leftMs = Math.max(1, endMs - clock.monotonicMs());
      const answered = await this.attempt(url, outgoing, { attempts, limitMs: Math.min(leftMs, outgoing.attemptMs) });
      if ('value' in answered) return answered;
      const { error, again, elsewhere, move, afterMs } = answered;
      if (move) this.leave(url);
      if (error instanceof TidalUnanswered) silent.add(url);
      // A router that was not asked yet is asked at once.
      const isFresh = error instanceof TidalUnanswered && !silent.has(urls[this.at % urls.length]!);
      const waitMs = isFresh ? 0 : afterMs + this.backOffMs(attempts);
      if (!(again || (elsewhere && isFresh)) || attempts >= limit || clock.monotonicMs() + waitMs >= endMs) throw error;
      if (waitMs > 0) await sleep(clock, waitMs, outgoing.signal);
    }
  }

  /** Unless another call has left it already. */
  private leave(url: string): void {
    const { urls } = this.options;
    if (urls[this.at % urls.length] === url) this.at = (this.at + 1) % urls.length;
  }

  /** Between half of the full time and all of it, which doubles with every try. */
  private backOffMs(attempts: number): number {
    const fullMs = Math.min(BACK_OFF_LIMIT_MS, BACK_OFF_FIRST_MS * 2 ** (attempts - 1));
    return (fullMs * (1 + this.fraction())) / 2;
  }

  /** From 0 up to 1. */
  private fraction(): number {
    const [a = 0, b = 0] = this.options.random.bytes(2);
    return (a * 256 + b) / 65_536;
  }

  private async attempt(
    url: string,
    outgoing: Outgoing,
    { attempts, limitMs }: { readonly attempts: number; readonly limitMs: number },
  ): Promise<Answer | Failure> {
    const { method, path, headers, body, repeatable, signal } = outgoing;
    const limit = new AbortController();
    const stop = (): void => limit.abort(signal?.reason);
    signal?.addEventListener('abort', stop, { once: true });
    const timer = this.options.clock.after(limitMs, () => limit.abort(new Error(`no answer within ${limitMs} ms`)));
    try {
      const response = await this.options.fetch(url + path, {
        // A redirect would make a GET of a POST, and show the key to another.
        ...{ method, headers, signal: limit.signal, redirect: 'manual' },
        ...(body === undefined ? {} : { body }),
      });
      const text = await response.text();
      const received = { status: response.status, headers: response.headers, text };
      return answerOf(received, outgoing) ?? failureOf(received, { url, attempts, repeatable });
    } catch (error) {
      signal?.throwIfAborted();
      const notSent = wasNotSent(error);
      return {
        error: new TidalUnanswered(
          `no answer from ${url}: ${reasonOf(limit.signal.aborted ? limit.signal.reason : error)}`,
          {
            ...{ url, attempts, notSent, cause: error },
          },
        ),
        ...{ again: notSent || repeatable, elsewhere: false, move: true, afterMs: 0 },
      };
    } finally {
      timer.cancel();
      signal?.removeEventListener('abort', stop);
    }
  }
}

/** Undefined: it is a refusal, or a router has not answered it. */
function answerOf({ status, headers, text }: Received, outgoing: Outgoing): Answer | undefined {
  const isUnavailable = outgoing.isHealth && status === 503;
  const accepted = outgoing.headers.accept!;
  if (!(isUnavailable || isSuccess(status)) || mediaTypeOf(headers) !== accepted) return undefined;
  if (accepted !== JSON_TYPE) return { value: text };
  const value = objectOf(text);
  const member = isUnavailable ? 'status' : outgoing.member;
  const isAnswer = value !== undefined && (member === undefined || typeof value[member] === 'string');
  return isAnswer ? { value } : undefined;
}

function failureOf(
  { status, headers, text }: Received,
  { url, attempts, repeatable }: { readonly url: string; readonly attempts: number; readonly repeatable: boolean },
): Failure {
  const problem = mediaTypeOf(headers) === PROBLEM_TYPE ? problemOf(text) : undefined;
  const isRouter = problem !== undefined;
  const changedNothing = isRouter && [408, 429, 503].includes(status);
  const mayHelp = isSuccess(status) || [408, 429, 500, 502, 503, 504].includes(status);
  const afterSeconds = Number(headers.get('retry-after') ?? 0);
  const how = status >= 300 && status < 400 ? 'a redirect, which is not followed' : 'and not as a router does';
  return {
    error: isRouter
      ? new TidalProblem(problem, { url, attempts, requestId: headers.get('x-request-id') ?? undefined })
      : new TidalUnanswered(`${url} answered ${status}, ${how}`, { url, attempts, notSent: false }),
    again: mayHelp && (changedNothing || repeatable),
    elsewhere: !isRouter && repeatable,
    // A rate is the key's at one router: the others are not asked instead.
    move: !isRouter || (status >= 500 && problem.code !== 'position_not_reached'),
    afterMs: Number.isFinite(afterSeconds) ? Math.max(0, afterSeconds) * 1_000 : 0,
  };
}

function isSuccess(status: number): boolean {
  return status >= 200 && status < 300;
}

/** Without its parameters. */
function mediaTypeOf(headers: Headers): string {
  return (headers.get('content-type') ?? '').split(';')[0]!.trim().toLowerCase();
}

function problemOf(text: string): Problem | undefined {
  const value = objectOf(text);
  const isProblem = typeof value?.code === 'string' && typeof value.status === 'number';
  return isProblem ? (value as unknown as Problem) : undefined;
}

function objectOf(text: string): Readonly<Record<string, unknown>> | undefined {
  try {
    const value: unknown = JSON.parse(text);
    const isObject = typeof value === 'object' && value !== null && !Array.isArray(value);
    return isObject ? (value as Record<string, unknown>) : undefined;
  } catch {
    return undefined;
  }
}

/** Of errors before anything of the request could arrive. */
const unsent: ReadonlySet<unknown> = new Set([
  'ECONNREFUSED',
  'ENOTFOUND',
  'EAI_AGAIN',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'UND_ERR_CONNECT_TIMEOUT',
]);

/** Of what `fetch` has thrown: whether nothing of the request has arrived. */
export function wasNotSent(error: unknown): boolean {
  const { cause } = (error ?? {}) as { readonly cause?: unknown };
  const { code, errors } = (cause ?? {}) as {
    readonly code?: unknown;
    readonly errors?: readonly { readonly code?: unknown }[];
  };
  return (
    unsent.has(code) || (errors !== undefined && errors.length > 0 && errors.every((each) => unsent.has(each.code)))
  );
}

function reasonOf(error: unknown): string {
  const { cause } = (error ?? {}) as { readonly cause?: unknown };
  for (const each of [cause, error]) if (each instanceof Error && each.message !== '') return each.message;
  return String((cause as { readonly code?: unknown } | undefined)?.code ?? error);
}
